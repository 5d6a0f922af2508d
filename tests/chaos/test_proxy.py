"""The proxy does what a plan says at the request that it names, and nothing to any other."""

import http.client
import socketserver
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.dev import api
from tests.support import plans, proxy
from tests.support.plans import Boundary, Deed, Fault, Trigger

START = "/v1.41/containers/3f/start"
DONE = b'{"done": true}'


class Engine(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Does whatever it is asked, and counts it."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        self.asked: list[str] = []
        super().__init__(str(path), self._serve)  # type: ignore[arg-type]  # a function serves as well

    def _serve(self, client: object, _address: object, _server: object) -> None:
        assert hasattr(client, "recv")
        assert hasattr(client, "sendall")
        data = b""
        while b"\r\n\r\n" not in data:
            data += client.recv(65536)
        self.asked.append(data.split(b"\r\n")[0].decode())
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(DONE))
        client.sendall(DONE)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine(tmp_path / "engine.sock") as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def between(engine: Engine, tmp_path: Path) -> Iterator[proxy.Proxy]:
    made = proxy.Proxy(tmp_path / "engine.sock")
    yield made
    made.close()


def ask(between: proxy.Proxy, path: str = START, timeout: float = 5.0) -> tuple[int, bytes]:
    """Status and body; 0 and why where no answer came."""
    connection = api.UnixConnection(between.url.removeprefix("unix://"), timeout)
    try:
        connection.request("POST", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        return 0, type(error).__name__.encode()
    finally:
        connection.close()


def fault(boundary: Boundary, deed: Deed, **fields: object) -> Fault:
    trigger = Trigger(operation="POST containers/start", nth=1)
    return Fault.model_validate({"on": trigger, "boundary": boundary, "do": deed, **fields})


@pytest.mark.parametrize(
    ("chosen", "answer", "is_done"),
    [
        (fault(Boundary.RECEIVED, Deed.DROP), (0, b"RemoteDisconnected"), False),
        (fault(Boundary.APPLIED, Deed.DROP), (0, b"RemoteDisconnected"), True),
        (fault(Boundary.RECEIVED, Deed.TIMEOUT), (0, b"TimeoutError"), False),
        (fault(Boundary.APPLIED, Deed.TIMEOUT), (0, b"TimeoutError"), True),
        (fault(Boundary.RECEIVED, Deed.ANSWER, status=409), (409, b'{"message": "fault"}'), False),
        (fault(Boundary.APPLIED, Deed.ANSWER, status=503), (503, b'{"message": "fault"}'), True),
        (fault(Boundary.APPLIED, Deed.TRUNCATE, at_byte=60), (0, b"IncompleteRead"), True),
        (fault(Boundary.RECEIVED, Deed.DELAY, seconds=0.1), (200, DONE), True),
        (fault(Boundary.APPLIED, Deed.DELAY, seconds=0.1), (200, DONE), True),
    ],
    ids=lambda value: f"{value.boundary.value}-{value.do.value}" if isinstance(value, Fault) else "",
)
def test_a_fault_meets_the_request_that_it_names(
    between: proxy.Proxy, engine: Engine, chosen: Fault, answer: tuple[int, bytes], *, is_done: bool
) -> None:
    between.follow((chosen,))
    began = time.monotonic()
    assert ask(between) == (200, DONE)
    assert ask(between, "/v1.41/containers/3f/stop") == (200, DONE)
    assert between.strikes() == []
    assert ask(between, timeout=0.5) == answer
    assert between.struck.wait(5)
    assert between.strikes() == [chosen]
    assert ask(between) == (200, DONE)
    assert len(engine.asked) == 3 + is_done
    assert between.changes() == [f"POST containers/{verb}" for verb in ("start", "stop", "start", "start")]
    assert chosen.do is not Deed.DELAY or time.monotonic() - began > chosen.seconds


@pytest.mark.parametrize("deed", [Deed.KILL_CONTROLLER, Deed.KILL_ENGINE])
@pytest.mark.parametrize(
    ("boundary", "status", "asked"),
    [(Boundary.RECEIVED, 0, 0), (Boundary.APPLIED, 0, 1), (Boundary.ANSWERED, 200, 1)],
)
def test_a_kill_comes_at_its_boundary(
    between: proxy.Proxy, engine: Engine, deed: Deed, boundary: Boundary, status: int, asked: int
) -> None:
    killed: list[int] = []
    plan = (Fault(on=Trigger(operation=plans.CHANGES), boundary=boundary, do=deed),)
    between.follow(plan, {deed: lambda: killed.append(len(engine.asked))})
    assert ask(between)[0] == status
    assert between.struck.wait(5)
    assert killed == [asked]
    assert len(engine.asked) == asked


def test_faults_of_one_request_come_in_its_order_and_a_new_plan_counts_anew(between: proxy.Proxy) -> None:
    first = Fault(on=Trigger(times=2), boundary=Boundary.RECEIVED, do=Deed.DELAY, seconds=0.01)
    then = Fault(on=Trigger(times=2), boundary=Boundary.APPLIED, do=Deed.ANSWER)
    between.follow((then, first))
    assert [ask(between)[0] for _ in range(3)] == [500, 500, 200]
    assert between.strikes() == [first, then, first, then]
    between.follow()
    assert ask(between)[0] == 200
    assert (between.strikes(), len(between.changes())) == ([], 1)
