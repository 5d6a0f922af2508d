"""Tells systemd how the service is: ready, alive, stopping, and one line of status. See sd_notify(3).

Refuses to matter: without systemd, or when it does not listen, nothing happens.
"""

import contextlib
import socket
from typing import Final

_MICROSECONDS: Final = 1_000_000


class Notifier:
    """Speaks to the socket that systemd named, if it named one."""

    def __init__(self, address: str | None, watchdog_usec: str | None) -> None:
        """Take the values of NOTIFY_SOCKET and WATCHDOG_USEC; both may be absent."""
        self._address = f"\0{address[1:]}" if address and address.startswith("@") else address
        self.watchdog_interval = _half_of(watchdog_usec) if self._address else None
        """Seconds between two signs of life: half of what systemd waits for; None: it does not wait."""

    def ready(self, status: str) -> None:
        """The service does its work."""
        self._send(f"READY=1\nSTATUS={_one_line(status)}")

    def status(self, status: str) -> None:
        """What it is doing, one line for `systemctl status`."""
        self._send(f"STATUS={_one_line(status)}")

    def alive(self) -> None:
        """A sign of life for the watchdog."""
        if self.watchdog_interval is not None:
            self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """It was told to stop and is about to."""
        self._send("STOPPING=1\nSTATUS=stopping")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)  # noqa: FBT003 - the standard library's own
            with contextlib.suppress(OSError):
                sender.sendto(message.encode(), self._address)


def _half_of(watchdog_usec: str | None) -> float | None:
    if watchdog_usec is None or not watchdog_usec.isdigit() or not int(watchdog_usec):
        return None
    return int(watchdog_usec) / _MICROSECONDS / 2


def _one_line(text: str) -> str:
    return " ".join(text.split())
