"""What systemd is told, received as systemd receives it."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.reporting.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    name = f"@wharf-test-{os.getpid()}" if request.param == "abstract" else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(name.replace("@", "\0", 1))
        receiver.settimeout(10)
        yield receiver, name


def test_the_life_of_a_service(systemd: tuple[socket.socket, str]) -> None:
    receiver, name = systemd
    notifier = Notifier(name, "60000000")
    notifier.ready("3 workspaces\nas specified")
    notifier.status("2 workspaces")
    notifier.alive()
    notifier.stopping()
    assert [receiver.recv(4096).decode() for _ in range(4)] == [
        "READY=1\nSTATUS=3 workspaces as specified",
        "STATUS=2 workspaces",
        "WATCHDOG=1",
        "STOPPING=1\nSTATUS=stopping",
    ]


def test_a_sign_of_life_comes_twice_in_the_time_that_systemd_waits() -> None:
    assert Notifier("/run/x", "60000000").watchdog_interval == 30.0


@pytest.mark.parametrize("usec", [None, "", "0", "soon"])
def test_without_a_watchdog_there_is_no_sign_of_life(
    systemd: tuple[socket.socket, str], usec: str | None
) -> None:
    receiver, name = systemd
    notifier = Notifier(name, usec)
    assert notifier.watchdog_interval is None
    notifier.alive()
    receiver.setblocking(False)
    with pytest.raises(BlockingIOError):
        receiver.recv(4096)


def test_without_systemd_nothing_happens(tmp_path: Path) -> None:
    for address in (None, "", str(tmp_path / "nobody-listens")):
        notifier = Notifier(address, "1000")
        notifier.ready("x")
        notifier.alive()
        notifier.stopping()
    assert list(tmp_path.iterdir()) == []
