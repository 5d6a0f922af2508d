"""The client on a real socket whose other end misbehaves."""

import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controller.api.conditions import Reason
from controller.engine import calls, client, transport
from controller.model import errors

WINDOW = (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 1, 0, 1, tzinfo=UTC))
VERSION = {"ApiVersion": "1.41", "MinAPIVersion": "1.12"}
STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n"
EVENT = b'{"Type":"container"}\n'


class _Handler(socketserver.StreamRequestHandler):
    server: "Engine"

    def handle(self) -> None:
        while line := self.rfile.readline():
            length = 0
            while (header := self.rfile.readline()).strip():
                if header.lower().startswith(b"content-length:"):
                    length = int(header.split(b":")[1])
            self.rfile.read(length)
            path = line.split()[1].decode()
            self.server.paths.append(path)
            answer = self.server.answer(path)
            if answer is None:
                return
            self.wfile.write(answer)
            self.wfile.flush()
            if answer.startswith(STREAM):
                self.server.cut.wait(10)
                return


class Engine(socketserver.ThreadingUnixStreamServer):
    """Answers what it is told to: bytes for a path, None to hang up."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, path: Path) -> None:
        self.version = dict(VERSION)
        self.scripts: list[bytes | None] = []
        self.paths: list[str] = []
        self.cut = threading.Event()
        self.cut.set()
        super().__init__(str(path), _Handler)

    def answer(self, path: str) -> bytes | None:
        if path.endswith("/version"):
            return reply(200, self.version)
        return self.scripts.pop(0) if self.scripts else reply(200, [])


def reply(status: int, body: object) -> bytes:
    content = json.dumps(body).encode()
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(content), content)


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)


class World:
    def __init__(self, path: Path) -> None:
        self.engine = Engine(path)
        self.requests: list[tuple[str, str]] = []
        self.thread = threading.Thread(target=self.engine.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()
        self.client = client.connect(
            f"unix://{path}",
            timedelta(seconds=1),
            lambda operation, code, _seconds: self.requests.append((operation, code)),
        )

    def close(self) -> None:
        self.client.close()
        self.engine.cut.set()
        self.engine.shutdown()
        self.thread.join(5)
        self.engine.server_close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "s")
    yield made
    made.close()


def reason_of(caught: pytest.ExceptionInfo[errors.EffectError]) -> Reason:
    return caught.value.reason


def read(stream: transport.Stream) -> list[transport.Row]:
    return list(stream)


def test_the_newest_version_that_both_know_is_spoken(world: World) -> None:
    world.engine.version = {"ApiVersion": "1.99", "MinAPIVersion": "1.44"}
    world.client.list_containers()
    assert world.engine.paths == ["/version", "/v1.45/containers/json?all=1"]
    assert world.requests == [("list_containers", "200")]


@pytest.mark.parametrize(
    "version",
    [{"ApiVersion": "1.40", "MinAPIVersion": "1.12"}, {"ApiVersion": "1.99", "MinAPIVersion": "1.90"}],
)
def test_an_engine_without_a_common_version_is_unavailable(world: World, version: dict[str, str]) -> None:
    world.engine.version = version
    with pytest.raises(errors.Retryable) as caught:
        world.client.list_containers()
    assert reason_of(caught) is Reason.ENGINE_UNAVAILABLE
    assert "1.41 to 1.45" in caught.value.message
    assert world.requests == [("list_containers", "unsupported")]


def test_a_read_whose_connection_breaks_is_tried_again(world: World) -> None:
    world.engine.scripts = [None, None, reply(200, [])]
    assert list(world.client.list_containers()) == []
    assert [code for _, code in world.requests] == ["broken", "broken", "200"]


def test_a_list_that_is_cut_off_is_no_list(world: World) -> None:
    content = b'[{"Id": "a"}, {"Id"'
    world.engine.scripts = [b"HTTP/1.1 200 X\r\nContent-Length: %d\r\n\r\n%s" % (len(content), content)]
    with pytest.raises(errors.Retryable) as caught:
        list(world.client.list_containers())
    assert reason_of(caught) is Reason.ENGINE_UNAVAILABLE


def test_a_change_whose_connection_breaks_is_unknown_and_not_tried_again(world: World) -> None:
    world.engine.scripts = [None]
    with pytest.raises(errors.Retryable) as caught:
        world.client.start("0" * 64)
    assert reason_of(caught) is Reason.OUTCOME_UNKNOWN
    assert world.requests == [("start", "broken")]


def test_a_read_that_is_never_answered_times_out_once(world: World) -> None:
    world.engine.cut.clear()
    world.engine.scripts = [STREAM]
    with pytest.raises(errors.Retryable) as caught:
        world.client.inspect_container("box")
    assert reason_of(caught) is Reason.ENGINE_UNAVAILABLE
    assert world.requests == [("inspect_container", "timeout")]


def test_a_change_that_is_never_answered_is_unknown(world: World) -> None:
    world.engine.cut.clear()
    world.engine.scripts = [STREAM]
    with pytest.raises(errors.Retryable) as caught:
        world.client.rename("0" * 64, "box")
    assert reason_of(caught) is Reason.OUTCOME_UNKNOWN


def test_a_socket_that_is_not_there_is_unavailable_and_nothing_was_done(tmp_path: Path) -> None:
    codes: list[str] = []
    absent = client.connect(
        f"unix://{tmp_path}/s", timedelta(seconds=1), lambda _name, code, _seconds: codes.append(code)
    )
    with pytest.raises(errors.Retryable) as caught:
        absent.start("0" * 64)
    assert (reason_of(caught), codes) == (Reason.ENGINE_UNAVAILABLE, ["refused"])


def test_a_socket_that_nobody_listens_on_is_unavailable(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "s"))
        refused = client.connect(f"unix://{tmp_path}/s", timedelta(seconds=1), lambda *_: None)
        with pytest.raises(errors.Retryable) as caught:
            refused.list_containers()
    assert reason_of(caught) is Reason.ENGINE_UNAVAILABLE


def test_an_answer_that_is_not_json_is_told_as_it_is(world: World) -> None:
    world.engine.scripts = [b"HTTP/1.1 502 X\r\nContent-Length: 11\r\n\r\nBad Gateway"]
    with pytest.raises(errors.Retryable) as caught:
        world.client.start("0" * 64)
    assert (reason_of(caught), caught.value.message) == (Reason.OUTCOME_UNKNOWN, "Bad Gateway")


def test_a_stream_that_ends_properly_just_ends(world: World) -> None:
    world.engine.scripts = [STREAM + chunk(EVENT) + chunk(EVENT) + chunk(b"")]
    assert read(world.client.events(*WINDOW)) == [{"Type": "container"}] * 2


@pytest.mark.parametrize(
    "tail",
    [b"", b"40\r\nhalf", b"zz\r\n", chunk(b"{garbage\n"), chunk(b"[1]\n")],
    ids=["dead", "half a chunk", "bad length", "garbage", "not an object"],
)
def test_every_other_end_of_a_stream_is_a_loss(world: World, tail: bytes) -> None:
    world.engine.scripts = [STREAM + chunk(EVENT) + tail]
    seen: list[transport.Row] = []
    stream = world.client.events(*WINDOW)
    with pytest.raises(transport.UnansweredError) as caught:
        seen.extend(stream)
    assert caught.value.silence is transport.Silence.BROKEN


def test_a_pull_that_breaks_off_is_unknown(world: World) -> None:
    world.engine.scripts = [STREAM + chunk(b'{"status":"Pulling"}\n')]
    with pytest.raises(errors.Retryable) as caught:
        world.client.pull("lab/image:1")
    assert reason_of(caught) is Reason.OUTCOME_UNKNOWN
    assert world.engine.paths[-1].endswith("/images/create?fromImage=lab%2Fimage&tag=1")


def test_close_ends_a_silent_stream_at_once_from_another_thread(world: World) -> None:
    world.engine.cut.clear()
    world.engine.scripts = [STREAM + chunk(EVENT)]
    stream = world.client.events(*WINDOW)
    rows = iter(stream)
    assert next(rows) == {"Type": "container"}
    closer = threading.Timer(0.1, stream.close)
    closer.start()
    assert list(rows) == []
    closer.join()


def test_one_connection_serves_many_urls(world: World) -> None:
    for number in range(30):
        world.client.inspect_network(f"net-{number}")
    transport_in_use = world.client._carrier
    assert isinstance(transport_in_use, client.SocketTransport)
    (session,) = transport_in_use._sessions
    adapter = session.get_adapter("http+docker://localhost")
    assert isinstance(adapter, client.OnePoolAdapter)
    assert len(adapter.pools) == 1


def test_names_and_references_are_quoted(world: World) -> None:
    world.client.inspect_container("a/../b")
    world.client.inspect_image("host:5000/lab/x@sha256:12")
    assert world.engine.paths[-2:] == [
        "/v1.41/containers/a%2F..%2Fb/json",
        "/v1.41/images/host:5000/lab/x@sha256:12/json",
    ]


def test_the_grace_of_a_stop_is_whole_seconds_upwards(world: World) -> None:
    world.engine.scripts = [b"HTTP/1.1 204 X\r\n\r\n"]
    assert world.client.stop("0" * 64, timedelta(seconds=1.2)) is True
    assert world.engine.paths[-1].endswith("/stop?t=2")


def test_the_client_has_no_word_for_what_must_not_happen() -> None:
    words = {name for name in dir(calls.EngineClient) if not name.startswith("_")}
    assert not {word for word in words if any(bad in word for bad in ("exec", "prune", "kill", "volume"))}
