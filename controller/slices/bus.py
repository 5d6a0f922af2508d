"""Calls systemd's manager over D-Bus; the only door to jeepney.

Refuses to know what a slice is, and to ask twice: of a call without an answer it says whether it may have
been carried out. Sources: the D-Bus specification, org.freedesktop.systemd1(5).
"""

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import jeepney
from jeepney.auth import AuthenticationError
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import prep_socket

SYSTEM_BUS: Final = Path("/run/dbus/system_bus_socket")
PRIVATE: Final = Path("/run/systemd/private")
"""systemd's own socket for root, where no bus runs; it answers processes of its own PID namespace only."""
DEADLINE: Final = 10.0
REST: Final = 5.0
"""Seconds after a time-out in which nobody asks again: many that wait in line would wait for each other."""
_NAME: Final = "org.freedesktop.systemd1"
MANAGER: Final = "/org/freedesktop/systemd1"
_MANAGER: Final = jeepney.DBusAddress(MANAGER, _NAME, f"{_NAME}.Manager")
_CHUNK: Final = 65536
_PING: Final = jeepney.new_method_call(
    jeepney.DBusAddress("/org/freedesktop/systemd1", _NAME, "org.freedesktop.DBus.Peer"), "Ping"
)
_PATIENCE: Final = 0.3
"""Seconds until systemd is asked once more whether it is there."""
_JUST: Final = 0.01
"""Seconds by which a time-out may come early."""


class Refused(Exception):  # noqa: N818 - what it says of a call
    """An answer that is an error: `name` is D-Bus's, `text` is for people."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name
        self.text = text


class Unanswered(Exception):  # noqa: N818 - what it says of a call
    """No answer; `taken` unless the call certainly was not carried out. What was raised is the cause."""

    def __init__(self, text: str, *, taken: bool) -> None:
        super().__init__(text)
        self.text = text
        self.taken = taken


class Bus:
    """A way to systemd's manager, from any thread, one call at a time; it connects as often as it must."""

    def __init__(
        self, sockets: Sequence[Path] = (SYSTEM_BUS, PRIVATE), deadline: float = DEADLINE, rest: float = REST
    ) -> None:
        """Take the first of the sockets that lets us in.

        Args:
            sockets: of the bus, or systemd's own.
            deadline: seconds for each call, waiting for those of other threads included.
            rest: seconds after a call that came to no end in time, in which others fail at once.
        """
        self._sockets = sockets
        self._deadline = deadline
        self._rest = rest
        self._lock = threading.Lock()
        self._line: _Line | None = None
        self._silent: tuple[float, str] | None = None

    def call(self, method: str, signature: str = "", body: tuple[Any, ...] = ()) -> tuple[Any, ...]:
        """Call a method of the manager; variants are pairs of signature and value.

        Raises:
            Refused: systemd, or the bus, answered with an error.
            Unanswered: nobody answered within the deadline.
        """
        return self._ask(jeepney.new_method_call(_MANAGER, method, signature or None, body))

    def unit(self, path: str, name: str, interface: str = "Unit") -> Any:  # noqa: ANN401 - of any type
        """Return a property of the unit, or the manager, with this object path. Raises as `call` does."""
        unit = jeepney.DBusAddress(path, _NAME, f"{_NAME}.{interface}")
        ((_, value),) = self._ask(jeepney.Properties(unit).get(name))
        return value

    def close(self) -> None:
        """Close the connection, if there is one; the next call makes another."""
        with self._lock:
            self._hang_up()

    def _ask(self, message: jeepney.Message) -> tuple[Any, ...]:
        ends = time.monotonic() + self._deadline
        if not self._lock.acquire(timeout=self._deadline):
            raise Unanswered(f"others wait for systemd since {self._deadline:g} s", taken=False)
        try:
            self._unless_resting()
            if self._line is None or not self._line.alive():
                self._hang_up()
                self._line = self._connect(ends)
            return self._line.ask(message, ends)
        except Unanswered as error:
            self._hang_up()
            if time.monotonic() > ends - _JUST:
                self._silent = (time.monotonic(), error.text)
            raise
        finally:
            self._lock.release()

    def _unless_resting(self) -> None:
        if self._silent is not None:
            since, text = self._silent
            ago = time.monotonic() - since
            if ago < self._rest:
                raise Unanswered(f"systemd was asked {ago:.1f} s ago: {text}", taken=False)
            self._silent = None

    def _connect(self, ends: float) -> "_Line":
        failures = []
        for path in self._sockets:
            try:
                return _Line(path, ends, hello=path.name != PRIVATE.name)
            except (OSError, AuthenticationError, Refused, Unanswered) as error:
                failures.append((f"{path}: {error}", error))
        words = "; ".join(text for text, _ in failures)
        raise Unanswered(f"no way to systemd: {words}", taken=False) from failures[-1][1]

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None


class _Line:
    """One connection."""

    def __init__(self, path: Path, ends: float, *, hello: bool) -> None:
        self._socket: socket.socket = prep_socket(str(path), timeout=_left(ends))
        self._parser = jeepney.Parser()
        self._serials = itertools.count(1)
        if hello:
            try:
                self.ask(message_bus.Hello(), ends)
            except (Refused, Unanswered):
                self.close()
                raise
        else:
            self._knock(ends)

    def _knock(self, ends: float) -> None:
        """Ask until systemd answers: a first call that comes with the end of the greeting may lie unread.

        It lies in its buffer until more comes (systemd 257).
        """
        try:
            while True:
                serial = next(self._serials)
                self._socket.settimeout(_left(ends))
                self._socket.sendall(_PING.serialise(serial=serial))
                with contextlib.suppress(TimeoutError):
                    self._answer_to(serial, min(ends, time.monotonic() + _PATIENCE))
                    return
        except OSError as error:
            self.close()
            raise Unanswered(f"no answer to the greeting: {error}", taken=False) from error

    def alive(self) -> bool:
        """Whether the other side has not hung up yet, as far as can be told without asking."""
        self._socket.settimeout(0)
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return True
        except OSError:
            return False

    def ask(self, message: jeepney.Message, ends: float) -> tuple[Any, ...]:
        serial = next(self._serials)
        try:
            self._socket.settimeout(_left(ends))
            self._socket.sendall(message.serialise(serial=serial))
        except OSError as error:
            raise Unanswered(f"the call was not sent: {error}", taken=False) from error
        try:
            answer = self._answer_to(serial, ends)
        except OSError as error:
            raise Unanswered(f"no answer: {error}", taken=True) from error
        body: tuple[Any, ...] = answer.body
        if answer.header.message_type is jeepney.MessageType.error:
            fields = answer.header.fields
            text = str(body[0]) if body else "no text"
            raise Refused(str(fields[jeepney.HeaderFields.error_name]), text)
        return body

    def _answer_to(self, serial: int, ends: float) -> jeepney.Message:
        """Return it; what else comes, such as signals, is for nobody."""
        while True:
            message = self._parser.get_next_message()
            if message is None:
                self._socket.settimeout(_left(ends))
                data = self._socket.recv(_CHUNK)
                if not data:
                    raise ConnectionResetError("systemd, or the bus, hung up")
                self._parser.add_data(data)
            elif message.header.fields.get(jeepney.HeaderFields.reply_serial) == serial:
                return message

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.close()


def _left(ends: float) -> float:
    """Return the seconds until then; a time-out of none would mean not to wait at all."""
    left = ends - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left
