"""Knows how to stand between a controller and its Engine, and to do there what a plan says.

It refuses to invent: a request and its answer pass as they are, late, cut short, or not at all, except where
the plan has an answer of its own.
"""

import contextlib
import json
import selectors
import shutil
import socket
import socketserver
import tempfile
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path

from tests.support import plans
from tests.support.plans import Boundary, Deed, Fault

PATIENCE = 120.0
"""Seconds for which a client is kept waiting at most."""
_CHUNK = 65536
_CHANGES = plans.Trigger(operation=plans.CHANGES)

Hands = Mapping[Deed, Callable[[], object]]
"""What kills, for the deeds that need somebody to do it."""


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64


class Proxy:
    """A socket that leads to an Engine's socket; one request for each connection, streams included."""

    def __init__(self, engine: Path) -> None:
        self._engine = engine
        self._folder = Path(tempfile.mkdtemp(prefix="wharf-proxy-", dir="/run"))
        self.url = f"unix://{self._folder / 'docker.sock'}"
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._seen: list[tuple[str, str]] = []
        self._course = plans.Course(())
        self._hands: Hands = {}
        self._struck: list[Fault] = []
        self.struck = threading.Event()
        self._server = _Server(str(self._folder / "docker.sock"), self._serve)  # type: ignore[arg-type]  # a function serves as well
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def follow(self, plan: plans.Plan = (), hands: Hands | None = None) -> None:
        """Begin to count anew, and do what this plan says; `struck` is set when its first fault was done."""
        with self._lock:
            self._seen.clear()
            self._course = plans.Course(plan)
            self._hands = hands or {}
            self._struck.clear()
            self.struck.clear()

    def changes(self) -> list[str]:
        """Names of the changing requests since the last `follow`, in order."""
        with self._lock:
            return [plans.name_of(*request) for request in self._seen if _CHANGES.matches(*request)]

    def strikes(self) -> list[Fault]:
        """The faults that were done since the last `follow`, in order."""
        with self._lock:
            return list(self._struck)

    def close(self) -> None:
        """End it with all its connections."""
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        with self._lock:
            connections = dict(self._open)
        for connection, thread in connections.items():
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(10)
        shutil.rmtree(self._folder)

    def _serve(self, client: socket.socket, _address: object, _server: object) -> None:
        with self._lock:
            self._open[client] = threading.current_thread()
        try:
            with contextlib.suppress(OSError):
                self._pass_on(client)
        finally:
            with self._lock:
                del self._open[client]

    def _pass_on(self, client: socket.socket) -> None:
        head, body = _read_request(client)
        if not head:
            return
        due = self._count(*_target(head))
        if not self._go_on(client, due.get(Boundary.RECEIVED), b""):
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as engine:
            engine.connect(str(self._engine))
            engine.sendall(head + body)
            if due.keys() <= {Boundary.RECEIVED}:
                _relay(client, engine)
                return
            answer = _read_all(engine)
        if self._go_on(client, due.get(Boundary.APPLIED), answer):
            client.sendall(answer)
            self._go_on(client, due.get(Boundary.ANSWERED), answer)

    def _count(self, method: str, path: str) -> dict[Boundary, Fault]:
        """Take note of a request; the faults that are due at it, one at each boundary."""
        with self._lock:
            self._seen.append((method, path))
            return self._course.meet(method, path)

    def _go_on(self, client: socket.socket, fault: Fault | None, answer: bytes) -> bool:
        """Do what is due at a boundary; whether the request, or its answer, goes on after it."""
        if fault is None or (fault.do is Deed.TRUNCATE and len(answer) <= fault.at_byte):
            return True
        with self._lock:
            self._struck.append(fault)
            hands = self._hands
        match fault.do:
            case Deed.DELAY:
                self._closing.wait(fault.seconds)
            case Deed.DROP:
                pass
            case Deed.TIMEOUT:
                self.struck.set()  # now: it is over when the client has given up
                _outwait(client)
            case Deed.ANSWER:
                client.sendall(_refusal(fault))
            case Deed.TRUNCATE:
                client.sendall(answer[: fault.at_byte])
            case Deed.KILL_CONTROLLER | Deed.KILL_ENGINE:
                hands[fault.do]()
        self.struck.set()
        return fault.do is Deed.DELAY


def _read_request(client: socket.socket) -> tuple[bytes, bytes]:
    """One request: its head, which asks the Engine to end the connection after its answer, and its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = client.recv(_CHUNK)
        if not more:
            return b"", b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    fields = {
        key.strip().lower(): text.strip() for key, _, text in (row.partition(b":") for row in lines[1:])
    }
    while len(body) < int(fields.get(b"content-length", b"0")):
        body += client.recv(_CHUNK)
    if b"upgrade" not in fields:
        lines = [row for row in lines if not row.lower().startswith(b"connection:")]
        lines.append(b"Connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n", body


def _target(head: bytes) -> tuple[str, str]:
    """Method and path below the API's version: `POST` and `/containers/3f…/stop?t=1`."""
    method, target = head.decode("latin-1").split(" ")[:2]
    return method, "/" + target.lstrip("/").partition("/")[2] if target.startswith("/v1.") else target


def _read_all(engine: socket.socket) -> bytes:
    """The whole answer: the Engine was asked to end the connection after it."""
    answer = bytearray()
    while more := engine.recv(_CHUNK):
        answer += more
    return bytes(answer)


def _refusal(fault: Fault) -> bytes:
    """The answer that a fault gives in place of the Engine's."""
    body = json.dumps({"message": fault.message}).encode()
    head = f"HTTP/1.1 {fault.status} {HTTPStatus(fault.status).phrase}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


def _outwait(client: socket.socket) -> None:
    """Say nothing until the client has gone."""
    client.settimeout(PATIENCE)
    while client.recv(_CHUNK):
        pass


def _relay(client: socket.socket, engine: socket.socket) -> None:
    """Both directions until the Engine ends its own, or the client is gone."""
    with selectors.DefaultSelector() as ready:
        ready.register(client, selectors.EVENT_READ, engine)
        ready.register(engine, selectors.EVENT_READ, client)
        while True:
            for key, _ in ready.select():
                source, sink = key.fileobj, key.data
                assert isinstance(source, socket.socket)
                data = source.recv(_CHUNK)
                if not data:
                    return
                sink.sendall(data)
