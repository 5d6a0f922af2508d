"""The client of the control API against real sockets: what each answer and each silence means."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controller.cli import control, exits
from tests.support import controller_stand_in, wharf_host

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, 1), (403, 4), (404, 3), (408, 6), (409, 5), (500, 1), (503, 7), (504, 6)],
)
def test_an_error_answer_has_its_exit_code_and_keeps_its_words(
    host: wharf_host.Host, world: controller_stand_in.World, status: int, code: int
) -> None:
    world.workspaces["alice"] = {}
    error = {"error": {"reason": "Paused", "message": "the host is paused"}}
    world.on_post["start"] = lambda name, body: (status, error)
    with pytest.raises(exits.Failure) as caught:
        control.Client(host.socket).post("workspaces", "alice", "start")
    assert caught.value.code == code
    assert caught.value.message == "the host is paused (Paused)"


def test_an_answer_has_the_controllers_time(host: wharf_host.Host, world: controller_stand_in.World) -> None:
    world.answers["ports"] = {"items": []}
    answer = control.Client(host.socket).get("ports")
    assert answer == control.Answer({"items": []}, datetime(2026, 11, 22, 12, 5, tzinfo=UTC))


def test_names_are_quoted(host: wharf_host.Host, world: controller_stand_in.World) -> None:
    world.workspaces["a b/c?d"] = {"found": True}
    assert control.Client(host.socket).get("workspaces", "a b/c?d").value == {"found": True}


def test_without_a_socket_the_controller_is_unreachable(host: wharf_host.Host) -> None:
    with pytest.raises(control.UnreachableError, match="not running") as caught:
        control.Client(host.socket).get("version")
    assert caught.value.code == 7


def test_a_socket_without_a_process_is_unreachable(host: wharf_host.Host) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(host.socket))
    with pytest.raises(control.UnreachableError, match="not running"):
        control.Client(host.socket).get("version")


def test_a_path_too_long_for_a_socket_is_said(host: wharf_host.Host) -> None:
    with pytest.raises(control.UnreachableError, match="too long"):
        control.Client(host.root / ("x" * 120)).get("version")


def answered_by(path: Path, talk: Callable[[socket.socket], None]) -> threading.Thread:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        with listener, listener.accept()[0] as peer:
            peer.recv(4096)
            talk(peer)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (b"", 7, "broke off"),
        (b"garbage\r\n\r\n", 7, "broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", 7, "broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnope", 1, "not JSON"),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n{}", 1, "answered 500"),
    ],
)
def test_a_broken_answer_is_told_as_such(host: wharf_host.Host, answer: bytes, code: int, words: str) -> None:
    thread = answered_by(host.socket, lambda peer: peer.sendall(answer))
    with pytest.raises(exits.Failure, match=words) as caught:
        control.Client(host.socket).get("version")
    thread.join()
    assert caught.value.code == code


def test_a_controller_that_never_answers_times_out(
    host: wharf_host.Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "REQUEST_TIMEOUT", timedelta(milliseconds=100))
    is_over = threading.Event()
    thread = answered_by(host.socket, lambda peer: (is_over.wait(30), None)[1])
    with pytest.raises(exits.Failure, match="did not answer") as caught:
        control.Client(host.socket).get("version")
    is_over.set()
    thread.join()
    assert caught.value.code == 6


def test_a_socket_that_is_not_for_the_caller_is_not_permitted(
    host: wharf_host.Host, world: controller_stand_in.World
) -> None:
    host.root.chmod(0o755)
    host.socket.chmod(0o600)
    code = (
        "import os, sys; from pathlib import Path; from controller.cli import control, exits\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "try: control.Client(Path(sys.argv[1])).get('version')\n"
        "except exits.Failure as failure: print(int(failure.code), failure.message)"
    )
    assert os.getuid() == 0, "the tests run as root"
    done = subprocess.run(
        [sys.executable, "-c", code, str(host.socket)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"4 {host.socket}: not permitted; ask the controller as root\n"
