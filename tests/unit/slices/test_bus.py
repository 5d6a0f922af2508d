"""What a call of systemd's comes to: an answer, a refusal, or silence that says whether it was heard."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import jeepney
import pytest

from controller.slices.bus import Bus, Refused, Unanswered
from deploy.dev import host

Answer: TypeAlias = Callable[[socket.socket, jeepney.Message], bool]
"""Answers one call on a connection; whether it stays open."""
Serve: TypeAlias = Callable[..., "Server"]
SILENCE = 0.5
SIGNAL = jeepney.DBusAddress("/org/freedesktop/systemd1", "org.freedesktop.systemd1", "org.freedesktop.Any")


class Server:
    """Answers calls at a socket, Hello by itself; `heard` are the methods that were called."""

    def __init__(self, path: Path, answer: Answer) -> None:
        self.path = path
        self.heard: list[str] = []
        self._answer = answer
        self._open: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def hang_up(self) -> None:
        for one in self._open:
            one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            said = b""
            while b"BEGIN\r\n" not in said:
                part = connection.recv(4096)
                if not part:
                    return
                said += part
                if said.endswith(b"\r\n") and b"BEGIN" not in said:
                    connection.sendall(b"OK 0123456789abcdef0123456789abcdef\r\n")
            parser = jeepney.Parser()
            data = said.partition(b"BEGIN\r\n")[2] or connection.recv(65536)
            while data:
                parser.add_data(data)
                while (call := parser.get_next_message()) is not None:
                    method = call.header.fields[jeepney.HeaderFields.member]
                    self.heard.append(method)
                    stays = (
                        reply(connection, call, ":1.7")
                        if method == "Hello"
                        else self._answer(connection, call)
                    )
                    if not stays:
                        return
                data = connection.recv(65536)


def reply(connection: socket.socket, call: jeepney.Message, text: str) -> bool:
    connection.sendall(jeepney.new_method_return(call, "s", (text,)).serialise(serial=1))
    return True


def refuse(connection: socket.socket, call: jeepney.Message) -> bool:
    error = jeepney.new_error(call, "org.freedesktop.systemd1.NoSuchUnit", "s", ("not loaded",))
    connection.sendall(error.serialise(serial=1))
    return True


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    servers = []

    def begin(answer: Answer, name: str = "bus") -> Server:
        servers.append(Server(tmp_path / name, answer))
        return servers[-1]

    yield begin
    for server in servers:
        server.close()


@contextlib.contextmanager
def opened(*paths: Path, deadline: float = 5.0, rest: float = 0.0) -> Iterator[Bus]:
    bus = Bus(paths, deadline, rest)
    try:
        yield bus
    finally:
        bus.close()


def test_a_call_has_its_answer_and_signals_are_for_nobody(serve: Serve) -> None:
    def answer(connection: socket.socket, call: jeepney.Message) -> bool:
        signal = jeepney.new_signal(SIGNAL, "JobRemoved", "s", ("another",))
        connection.sendall(signal.serialise(serial=9))
        return reply(connection, call, "/unit/a")

    server = serve(answer)
    with opened(server.path) as bus:
        assert bus.call("GetUnit", "s", ("a.slice",)) == ("/unit/a",)
        assert bus.call("GetUnit", "s", ("a.slice",)) == ("/unit/a",)
    assert server.heard == ["Hello", "GetUnit", "GetUnit"]


def test_an_error_is_told_by_its_name(serve: Serve) -> None:
    with opened(serve(refuse).path) as bus, pytest.raises(Refused, match="not loaded") as caught:
        bus.call("GetUnit", "s", ("a.slice",))
    assert caught.value.name == "org.freedesktop.systemd1.NoSuchUnit"


def test_who_never_answers_may_have_heard_and_the_late_answer_is_not_taken_for_the_next_one(
    serve: Serve,
) -> None:
    held: list[tuple[socket.socket, jeepney.Message]] = []

    def answer(connection: socket.socket, call: jeepney.Message) -> bool:
        if not held:
            held.append((connection, call))
            return True
        with contextlib.suppress(OSError):
            reply(*held[0], "late")
        return reply(connection, call, "in time")

    with opened(serve(answer).path, deadline=SILENCE) as bus:
        with pytest.raises(Unanswered, match="timed out") as caught:
            bus.call("StopUnit", "ss", ("a.slice", "fail"))
        assert caught.value.taken
        assert bus.call("GetUnit", "s", ("a.slice",)) == ("in time",)


def test_while_systemd_is_silent_many_callers_wait_no_longer_than_one(serve: Serve) -> None:
    server = serve(lambda connection, call: True)
    words: list[str] = []

    def ask(bus: Bus) -> None:
        with pytest.raises(Unanswered) as caught:
            bus.call("SetUnitProperties")
        words.append(caught.value.text)

    with opened(server.path, deadline=SILENCE, rest=60.0) as bus:
        callers = [threading.Thread(target=ask, args=(bus,)) for _ in range(8)]
        begin = time.monotonic()
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        assert time.monotonic() - begin < 4 * SILENCE
        ask(bus)
    assert server.heard == ["Hello", "SetUnitProperties"]
    assert "was asked" in words[-1]


def test_after_a_rest_systemd_is_asked_again(serve: Serve) -> None:
    silent = [True]

    def answer(connection: socket.socket, call: jeepney.Message) -> bool:
        return bool(silent and silent.pop()) or reply(connection, call, "here")

    with opened(serve(answer).path, deadline=SILENCE, rest=0.05) as bus:
        with pytest.raises(Unanswered):
            bus.call("GetUnit", "s", ("a.slice",))
        found = []

        def answered() -> bool:
            with contextlib.suppress(Unanswered):
                found.append(bus.call("GetUnit", "s", ("a.slice",)))
            return bool(found)

        assert host.wait_until(answered, 5.0)
    assert found == [("here",)]


def test_a_connection_that_ends_before_the_answer_leaves_it_open_and_the_next_call_makes_another(
    serve: Serve,
) -> None:
    calls: list[object] = []

    def answer(connection: socket.socket, call: jeepney.Message) -> bool:
        calls.append(call)
        return len(calls) > 1 and reply(connection, call, "here")

    with opened(serve(answer).path) as bus:
        with pytest.raises(Unanswered, match="hung up") as caught:
            bus.call("StopUnit", "ss", ("a.slice", "fail"))
        assert caught.value.taken
        assert bus.call("GetUnit", "s", ("a.slice",)) == ("here",)


def test_a_connection_that_ended_meanwhile_is_made_anew_without_a_word(serve: Serve) -> None:
    server = serve(lambda connection, call: reply(connection, call, "here"))
    with opened(server.path) as bus:
        bus.call("GetUnit", "s", ("a.slice",))
        server.hang_up()
        assert bus.call("GetUnit", "s", ("a.slice",)) == ("here",)


def test_systemds_own_socket_is_the_second_way_and_is_not_greeted(serve: Serve, tmp_path: Path) -> None:
    server = serve(lambda connection, call: reply(connection, call, "here"), "private")
    with opened(tmp_path / "absent", server.path) as bus:
        assert bus.call("GetUnit", "s", ("a.slice",)) == ("here",)
    assert server.heard == ["Ping", "GetUnit"]


def test_what_lies_unread_after_the_greeting_is_asked_once_more(serve: Serve) -> None:
    calls: list[jeepney.Message] = []

    def answer(connection: socket.socket, call: jeepney.Message) -> bool:
        calls.append(call)
        return True if len(calls) == 1 else reply(connection, call, "here")

    server = serve(answer, "private")
    with opened(server.path) as bus:
        assert bus.call("GetUnit", "s", ("a.slice",)) == ("here",)
    assert server.heard == ["Ping", "Ping", "GetUnit"]


def test_without_any_way_it_was_certainly_not_heard_and_each_way_is_named(tmp_path: Path) -> None:
    with opened(tmp_path / "bus", tmp_path / "private") as bus, pytest.raises(Unanswered) as caught:
        bus.call("StopUnit", "ss", ("a.slice", "fail"))
    assert not caught.value.taken
    assert str(tmp_path / "bus") in caught.value.text
    assert str(tmp_path / "private") in caught.value.text


def test_who_lets_nobody_in_is_no_way(tmp_path: Path) -> None:
    path = tmp_path / "bus"
    with socket.socket(socket.AF_UNIX) as listener, opened(path, deadline=SILENCE, rest=60.0) as bus:
        listener.bind(str(path))
        listener.listen()
        with pytest.raises(Unanswered, match="no way to systemd") as caught:
            bus.call("GetUnit", "s", ("a.slice",))
        with pytest.raises(Unanswered, match="was asked"):
            bus.call("GetUnit", "s", ("a.slice",))
    assert not caught.value.taken
