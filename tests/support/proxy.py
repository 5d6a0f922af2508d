"""Knows how to stand between a controller and its Engine, and to do harm at one chosen request.

It refuses to change a request or an answer: both pass as they are, late, or not at all.
"""

import contextlib
import enum
import selectors
import shutil
import socket
import socketserver
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CHANGING = {"POST", "DELETE", "PUT"}
PATIENCE = 120.0
"""Seconds for which an answer is held at most."""
_CHUNK = 65536


class Moment(enum.Enum):
    """When harm is done to a request."""

    BEFORE = "before the Engine hears of it"
    AFTER = "after the Engine has done it, before it is told"


def is_change(operation: str) -> bool:
    """Whether a request is one that may change something."""
    return operation.partition(" ")[0] in CHANGING


@dataclass(frozen=True)
class Harm:
    """What happens at one request, whose connection then ends without an answer.

    Attributes:
        at: number of the request among those that match, from 0.
        do: kills a controller or an Engine, waits, or does nothing: then the connection alone is cut.
        of: which requests count, by names such as `POST containers/stop` and `DELETE containers`.
    """

    at: int
    moment: Moment
    do: Callable[[], object]
    of: Callable[[str], bool] = is_change


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
        self._seen: list[str] = []
        self._harm: Harm | None = None
        self.struck = threading.Event()
        self._server = _Server(str(self._folder / "docker.sock"), self._serve)  # type: ignore[arg-type]  # a function serves as well
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def arm(self, harm: Harm | None = None) -> None:
        """Begin to count anew, and do this harm once."""
        with self._lock:
            self._seen.clear()
            self._harm = harm
            self.struck.clear()

    def changes(self) -> list[str]:
        """Names of the changing requests since the last `arm`, in order."""
        with self._lock:
            return [operation for operation in self._seen if is_change(operation)]

    def late(self) -> None:
        """Harm: let the client wait for its answer for longer than it does."""
        self.struck.set()
        self._closing.wait(PATIENCE)

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
        harm = self._count(_name(head))
        if harm is not None and harm.moment is Moment.BEFORE:
            harm.do()
            self.struck.set()
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as engine:
            engine.connect(str(self._engine))
            engine.sendall(head + body)
            if harm is None:
                _relay(client, engine)
                return
            while engine.recv(_CHUNK):
                pass
            harm.do()
            self.struck.set()

    def _count(self, operation: str) -> Harm | None:
        """Take note of a request; the harm that is due at it, once."""
        with self._lock:
            self._seen.append(operation)
            harm = self._harm
            if harm is None or not harm.of(operation):
                return None
            if sum(map(harm.of, self._seen)) - 1 != harm.at:
                return None
            self._harm = None
            return harm


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


def _name(head: bytes) -> str:
    """`POST containers/stop` for `POST /v1.41/containers/3f…/stop?t=1 HTTP/1.1`."""
    method, target = head.decode("latin-1").split(" ")[:2]
    parts = [part for part in target.partition("?")[0].split("/") if part][1:]
    return (
        f"{method} {parts[0]}" if method == "DELETE" else f"{method} {'/'.join(parts[:1] + parts[1:][-1:])}"
    )


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
