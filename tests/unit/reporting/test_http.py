"""The server, asked over real sockets."""

import http.client
import json
import os
import re
import socket
import stat
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from controller.api.conditions import Reason
from controller.model import errors
from controller.reporting import control, metrics, sockets
from controller.reporting import http as http_room

DEADLINE = 10.0


class World:
    """A service that answers what a test put there, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.settled_after = 1
        self.known_after = 0
        self.reason = ""
        self.slow = threading.Event()
        self.slow.set()

    def version(self) -> control.Json:
        return {"version": "1.2.3"}

    def workspaces(self) -> control.Json:
        return {"items": [{"metadata": {"name": "alice"}}]}

    def workspace(self, name: str) -> control.Json:
        if name != "alice":
            raise control.NotFound(f"no workspace {name}")
        return {"metadata": {"name": "älice"}}

    def plan(self) -> control.Json:
        self.slow.wait(DEADLINE)
        return {"decisions": []}

    def events(self, subject: str | None, limit: int) -> control.Json:
        return {"items": [], "subject": subject, "limit": limit}

    def retained(self) -> control.Json:
        raise RuntimeError("a defect with a secret")

    def ports(self) -> control.Json:
        raise errors.Retryable(Reason.LEDGER_UNAVAILABLE, "the disk is full")

    def user(self, name: str) -> control.Json:
        return {"name": name}

    def images(self) -> control.Json:
        return {"items": []}

    def start(self, name: str, caller: control.Caller) -> control.Json:
        self.asked.append(("start", name, caller))
        return {}

    def stop(self, name: str, caller: control.Caller) -> control.Json:
        self.asked.append(("stop", name, caller))
        return {}

    def restart(self, name: str, caller: control.Caller) -> control.Json:
        raise control.Refused(Reason.PAUSED, f"{name} is paused for {caller.uid}")

    def pause(self, workspace: str | None, reason: str, caller: control.Caller) -> control.Json:
        self.asked.append(("pause", workspace, reason, caller))
        return {}

    def resume(self, workspace: str | None, caller: control.Caller) -> control.Json:
        self.asked.append(("resume", workspace, caller))
        return {}

    def story(self, name: str) -> control.Json:
        return {"of": name}

    def adoptable(self, name: str) -> control.Json:
        return {"named": name}

    def approve(self, name: str, caller: control.Caller) -> control.Json:
        self.asked.append(("approve", name, caller))
        return {}

    def rollback(self, name: str, caller: control.Caller) -> control.Json:
        self.asked.append(("rollback", name, caller))
        return {}

    def delete(self, name: str, caller: control.Caller) -> control.Json:
        self.asked.append(("delete", name, caller))
        return {}

    def forget(self, container: str, caller: control.Caller) -> control.Json:
        self.asked.append(("forget", container, caller))
        return {}

    def adopt(self, name: str, container_id: str, caller: control.Caller) -> control.Json:
        self.asked.append(("adopt", name, container_id, caller))
        return {}

    def settled(self, name: str, awaited: control.Awaited) -> tuple[bool, control.Json]:
        self.asked.append(("settled", name, awaited))
        if len(self.asked) <= self.known_after:
            raise control.NotFound(f"no workspace {name}")
        return len(self.asked) >= self.settled_after, {"looks": len(self.asked)}

    def garbage(self) -> control.Json:
        return {"items": []}

    def collection(self) -> control.Json:
        return {"underWay": False}

    def collect(self, caller: control.Caller) -> control.Json:
        self.asked.append(("collect", caller))
        return {}

    def gpus(self) -> control.Json:
        return {"items": []}

    def slices(self) -> control.Json:
        return {"items": []}

    def usage(self) -> control.Json:
        return {"items": [], "workspaces": []}

    def cordon(self, name: str, reason: str, caller: control.Caller, *, drain: bool) -> control.Json:
        self.asked.append(("cordon", name, reason, drain, caller))
        return {}

    def uncordon(self, name: str, caller: control.Caller) -> control.Json:
        self.asked.append(("uncordon", name, caller))
        return {}

    def wake(self, caller: control.Caller) -> control.Json:
        self.asked.append(("wake", caller))
        return {}

    def why_not_ready(self) -> str:
        return self.reason


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def published() -> metrics.Metrics:
    return metrics.Metrics("1.2.3")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


@pytest.fixture
def server(world: World, published: metrics.Metrics, path: Path) -> Iterator[http_room.Server]:
    started = http_room.Server(http_room.Endpoints("127.0.0.1:0", path), world, world, published)
    started.start()
    yield started
    world.slow.set()
    started.stop()


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=DEADLINE)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


def exchange(
    connection: http.client.HTTPConnection, method: str, url: str, body: object = None
) -> tuple[int, str]:
    content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    try:
        connection.request(method, url, content)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def ask(path: Path, method: str, url: str, body: object = None) -> tuple[int, Any]:
    status, text = exchange(UnixConnection(path), method, url, body)
    return status, json.loads(text)


def get(server: http_room.Server, url: str) -> tuple[int, str]:
    return exchange(http.client.HTTPConnection(*server.address, timeout=DEADLINE), "GET", url)


@pytest.mark.usefixtures("server")
class TestControl:
    """The API on the unix socket."""

    @pytest.mark.parametrize(
        ("url", "answer"),
        [
            ("/v1/version", {"version": "1.2.3"}),
            ("/v1/workspaces", {"items": [{"metadata": {"name": "alice"}}]}),
            ("/v1/workspaces/alice", {"metadata": {"name": "älice"}}),
            ("/v1/plan", {"decisions": []}),
            ("/v1/events", {"items": [], "subject": None, "limit": 100}),
            ("/v1/events?subject=alice&limit=5", {"items": [], "subject": "alice", "limit": 5}),
            ("/v1/events?limit=99999999999999999999", {"items": [], "subject": None, "limit": 1000}),
        ],
    )
    def test_questions_are_answered(self, path: Path, url: str, answer: object) -> None:
        assert ask(path, "GET", url) == (200, answer)

    @pytest.mark.parametrize(
        ("method", "url", "status", "reason"),
        [
            ("GET", "/v1/workspaces/carol", 404, "NotFound"),
            ("GET", "/v1/nothing", 404, "NotFound"),
            ("POST", "/v1/plan", 405, "MethodNotAllowed"),
            ("GET", "/v1/events?limit=many", 400, "BadRequest"),
            ("POST", "/v1/workspaces/alice/restart", 409, "Paused"),
            ("GET", "/v1/ports", 503, "LedgerUnavailable"),
            ("GET", "/v1/retained", 500, "InternalError"),
            ("POST", "/v1/pause", 400, "BadRequest"),
        ],
    )
    def test_errors_have_a_status_a_reason_and_a_message(
        self, path: Path, method: str, url: str, status: int, reason: str
    ) -> None:
        answered, value = ask(path, method, url)
        assert (answered, value["error"]["reason"]) == (status, reason)
        assert value["error"]["message"]
        assert "secret" not in value["error"]["message"]

    @pytest.mark.parametrize(
        "body", [b"{", b"[]", b"\xff", b"[" * 60_000, {"reason": "x", "workspace": 3}, {"reason": " "}]
    )
    def test_a_bad_body_is_refused(self, path: Path, world: World, body: object) -> None:
        status, value = ask(path, "POST", "/v1/pause", body)
        assert (status, value["error"]["reason"]) == (400, "BadRequest")
        assert world.asked == []

    def test_a_huge_body_is_refused(self, path: Path) -> None:
        status, value = ask(path, "POST", "/v1/pause", b" " * 100_000)
        assert status == 413
        assert value["error"]["message"]

    def test_orders_carry_who_gave_them(self, path: Path, world: World) -> None:
        me = control.Caller(os.getuid(), os.getpid())
        orders: list[tuple[str, Mapping[str, object] | None]] = [
            ("/v1/workspaces/alice/start", None),
            ("/v1/workspaces/alice/stop", {}),
            ("/v1/workspaces/alice/approve", None),
            ("/v1/workspaces/alice/rollback", None),
            ("/v1/retained/workspace-alice.0123abcd/forget", None),
            ("/v1/adopt", {"name": "alice", "id": "c0ffee"}),
            ("/v1/pause", {"workspace": None, "reason": "maintenance"}),
            ("/v1/resume", {"workspace": "alice"}),
            ("/v1/wake", {}),
        ]
        for url, body in orders:
            assert ask(path, "POST", url, body) == (200, {})
        assert world.asked == [
            ("start", "alice", me),
            ("stop", "alice", me),
            ("approve", "alice", me),
            ("rollback", "alice", me),
            ("forget", "workspace-alice.0123abcd", me),
            ("adopt", "alice", "c0ffee", me),
            ("pause", None, "maintenance", me),
            ("resume", "alice", me),
            ("wake", me),
        ]

    def test_questions_about_one_thing_name_it(self, path: Path) -> None:
        assert ask(path, "GET", "/v1/workspaces/alice/story") == (200, {"of": "alice"})
        assert ask(path, "GET", "/v1/adoptable/workspace-bob") == (200, {"named": "workspace-bob"})

    @pytest.mark.parametrize("body", [{}, {"name": "alice"}, {"name": "alice", "id": 1}])
    def test_an_adoption_without_what_was_shown_is_refused(
        self, path: Path, world: World, body: dict[str, object]
    ) -> None:
        assert ask(path, "POST", "/v1/adopt", body)[0] == 400
        assert world.asked == []

    def test_a_wait_ends_when_it_is_settled(self, path: Path, world: World) -> None:
        world.settled_after = 3
        body = {"digest": "abc", "timeout": DEADLINE}
        assert ask(path, "POST", "/v1/workspaces/alice/wait", body) == (200, {"looks": 3})
        assert world.asked[0] == ("settled", "alice", control.Awaited(None, "abc"))

    def test_a_wait_ends_in_time(self, path: Path, world: World) -> None:
        world.settled_after = 10_000
        begun = time.monotonic()
        status, _ = ask(path, "POST", "/v1/workspaces/alice/wait", {"generation": 2, "timeout": 0.3})
        assert status == 200
        assert 0.3 <= time.monotonic() - begun < 3

    def test_a_new_file_may_be_waited_for(self, path: Path, world: World) -> None:
        world.known_after = 2
        body = {"digest": "abc", "timeout": DEADLINE}
        assert ask(path, "POST", "/v1/workspaces/dora/wait", body) == (200, {"looks": 3})

    def test_an_unknown_workspace_is_not_waited_for(self, path: Path, world: World) -> None:
        world.known_after = 10_000
        assert ask(path, "POST", "/v1/workspaces/dora/wait", {})[0] == 404
        assert ask(path, "POST", "/v1/workspaces/dora/wait", {"digest": "abc", "timeout": 0.2})[0] == 404

    @pytest.mark.parametrize(
        "body",
        [{"generation": "2"}, {"digest": 2}, {"timeout": "1"}, {"generation": True}, b'{"timeout": NaN}'],
    )
    def test_a_bad_wait_is_refused(self, path: Path, body: object) -> None:
        assert ask(path, "POST", "/v1/workspaces/alice/wait", body)[0] == 400

    def test_only_root_and_its_group_reach_the_socket(self, path: Path) -> None:
        mode = path.stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o660


def ask_as(uid: int, path: Path, method: str, url: str) -> int:
    """The status that a process of another user is answered."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setresuid(uid, uid, uid)
            connection = UnixConnection(path)
            connection.request(method, url)
            os.write(writing, str(connection.getresponse().status).encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as answer:
        return int(answer.read())


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.usefixtures("server")
def test_others_than_root_may_ask_and_not_order(path: Path, world: World) -> None:
    for parent in [path, *list(path.parents)[:-2]]:
        parent.chmod(0o777)
    assert ask_as(12345, path, "GET", "/v1/version") == 200
    assert ask_as(12345, path, "POST", "/v1/wake") == 403
    assert world.asked == []


def test_metrics_are_served_and_requests_counted(server: http_room.Server, path: Path) -> None:
    ask(path, "GET", "/v1/workspaces/alice")
    get(server, "/no/such/page")
    status, text = get(server, "/metrics")
    assert status == 200
    (line,) = [line for line in text.splitlines() if 'route="/v1/workspaces/{name}"' in line]
    assert {'server="control"', 'method="GET"', 'code="200"'} <= set(re.findall(r'\w+="[^"]*"', line))
    assert line.endswith(" 1.0")
    assert 'route="unknown"' in text
    assert "/no/such/page" not in text


def test_health_and_readiness(server: http_room.Server, world: World) -> None:
    assert get(server, "/healthz") == (200, "ok\n")
    assert get(server, "/readyz") == (200, "ok\n")
    world.reason = "the Engine does not answer"
    assert get(server, "/readyz") == (503, "the Engine does not answer\n")
    assert get(server, "/healthz")[0] == 200


def test_the_control_api_is_not_on_the_network(server: http_room.Server) -> None:
    assert get(server, "/v1/version")[0] == 404


def test_a_taken_port_is_a_clear_error(server: http_room.Server, world: World, tmp_path: Path) -> None:
    taken = f"127.0.0.1:{server.address[1]}"
    second = http_room.Server(
        http_room.Endpoints(taken, tmp_path / "b.sock"), world, world, metrics.Metrics("1")
    )
    with pytest.raises(http_room.ServerError, match=rf"metrics\.listen {taken}.*in use"):
        second.start()


def test_a_second_controller_does_not_take_the_socket(
    server: http_room.Server, world: World, path: Path
) -> None:
    second = http_room.Server(http_room.Endpoints("127.0.0.1:0", path), world, world, metrics.Metrics("1"))
    with pytest.raises(http_room.ServerError, match="another process listens"):
        second.start()
    assert ask(path, "GET", "/v1/version")[0] == 200
    server.stop()
    assert not path.exists()


def test_a_stale_socket_is_replaced(world: World, path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left_behind:
        left_behind.bind(str(path))
    server = http_room.Server(http_room.Endpoints("127.0.0.1:0", path), world, world, metrics.Metrics("1"))
    server.start()
    assert ask(path, "GET", "/v1/version")[0] == 200
    server.stop()
    server.stop()


def test_what_is_no_socket_stays(path: Path) -> None:
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(sockets.SocketError, match="something else"):
        sockets.listen(path)
    assert path.read_text(encoding="utf-8") == "mine"


def test_a_path_that_is_too_long_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(sockets.SocketError, match=r"107 bytes.*runtimeDir"):
        sockets.listen(tmp_path / ("x" * 108))


def test_a_missing_directory_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(sockets.SocketError, match="No such file"):
        sockets.listen(tmp_path / "missing" / "s")


def test_it_stops_within_two_seconds_whatever_is_under_way(
    server: http_room.Server, world: World, path: Path
) -> None:
    world.slow.clear()
    world.settled_after = 10_000
    lingering = []
    for method, url, body in (
        ("GET", "/v1/plan", None),
        ("POST", "/v1/workspaces/alice/wait", b'{"timeout": 500}'),
    ):
        connection = UnixConnection(path)
        connection.request(method, url, body)
        lingering.append(connection)
    deadline = time.monotonic() + DEADLINE
    while not world.asked and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    begun = time.monotonic()
    server.stop()
    assert time.monotonic() - begun < 2
    for connection in lingering:
        connection.close()
