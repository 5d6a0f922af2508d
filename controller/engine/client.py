"""Knows how to reach one Docker Engine: sockets, versions, time-outs, and another try for failed reads.

It refuses to interpret: every call of the Engine's API is one thin method of `calls.EngineClient`, and this
module only carries them. The only door to docker, requests, urllib3 and tenacity.
"""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import docker
import docker.auth
import docker.types
import requests
import tenacity
import urllib3
from docker.transport import unixconn

from controller.engine import calls, refusals, rows, transport

OLDEST_API = (1, 41)
NEWEST_API = (1, 45)
"""The newest that this was tried with; a newer Engine is spoken to in this one."""
READ_ATTEMPTS = 3
READER_PATIENCE = 7 * 86400
"""Seconds for which a person may follow a silent container's log."""

_LOSSES = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    docker.errors.DockerException,
    OSError,
)
"""What the libraries raise where no answer came."""

OnRequest = Callable[[str, str, float], None]
"""Operation, code (HTTP status or a `Silence`), seconds."""


def connect(base_url: str, request_timeout: timedelta, on_request: OnRequest) -> calls.EngineClient:
    """A client for the Engine at `base_url` (`unix:///path` or `tcp://host:port`); nothing is sent yet."""
    return calls.EngineClient(SocketTransport(base_url, request_timeout, on_request), request_timeout)


class _Connection(unixconn.UnixHTTPConnection):
    """The library's connection, which leaves no open socket behind when nobody listens."""

    def connect(self) -> None:
        """Open the connection."""
        connecting = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connecting.settimeout(self.timeout)
            connecting.connect(self.unix_socket)
        except OSError:
            connecting.close()
            raise
        self.sock = connecting


class _Pool(unixconn.UnixHTTPConnectionPool):
    """The library's pool, of those connections."""

    def _new_conn(self) -> _Connection:  # type: ignore[override]  # the stubs' protocol is not met by their own classes
        return _Connection(self.base_url, self.socket_path, self.timeout)  # type: ignore[arg-type]


class OnePoolAdapter(unixconn.UnixHTTPAdapter):
    """The library's adapter for unix sockets, with one pool for the socket instead of one for each URL."""

    def get_connection(self, url: str | bytes | None, proxies: Any = None) -> Any:  # noqa: ANN401, ARG002 - the library's signature
        """The pool of the socket, whatever the URL."""
        with self.pools.lock:
            pool = self.pools.get(self.socket_path)
            if pool is None:
                pool = _Pool(self.socket_path, self.socket_path, self.timeout, maxsize=self.max_pool_size)
                self.pools[self.socket_path] = pool
        return pool


class _LineStream:
    """Lines of JSON from a response."""

    def __init__(self, response: requests.Response) -> None:
        self._response = response
        self._closing = threading.Event()

    def __iter__(self) -> Iterator[transport.Row]:
        try:
            for line in self._response.iter_lines(chunk_size=None):
                if line:
                    yield _object(line)
        except (*_LOSSES, ValueError) as error:
            if not self._closing.is_set():
                raise _unanswered(error) from error
        finally:
            self._response.close()

    def close(self) -> None:
        self._closing.set()
        with contextlib.suppress(OSError, AttributeError, ValueError):  # it may just have ended by itself
            docker.types.CancellableStream(iter(()), self._response).close()


class SocketTransport:
    """Carries requests over one session for each thread, in the newest API version that both sides know.

    Plain calls go straight to the pool of the session's connections: the library's way there takes more
    processor time than all else that a pass does with an answer.
    """

    def __init__(self, base_url: str, request_timeout: timedelta, on_request: OnRequest) -> None:
        self._base_url = base_url
        self._seconds = int(request_timeout.total_seconds())
        self._on_request = on_request
        self._local = threading.local()
        self._lock = threading.Lock()
        self._sessions: list[docker.APIClient] = []
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_worth_another_try),
            stop=tenacity.stop_after_attempt(READ_ATTEMPTS),
            wait=tenacity.wait_exponential(multiplier=0.1, max=1),
            reraise=True,
        )

    def call(self, request: transport.Request) -> transport.Answer:
        """See `transport.Transport`; reads whose connection failed are tried thrice within a second."""
        if request.method != "GET":
            return self._call_once(request)
        return self._retrying(self._call_once, request)

    def stream(self, request: transport.Request) -> transport.Stream | transport.Answer:
        """See `transport.Transport`."""
        with self._measured(request) as codes:
            response = self._open(request)
            codes.append(str(response.status_code))
            if response.status_code != HTTPStatus.OK:
                return _answer(response.status_code, response.content)
            return _LineStream(response)

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            while self._sessions:
                self._sessions.pop().close()
        self._local = threading.local()

    def _call_once(self, request: transport.Request) -> transport.Answer:
        with self._measured(request) as codes:
            response = self._ask(request)
            codes.append(str(response.status))
            if request.rows and response.status == HTTPStatus.OK:
                return transport.Answer(response.status, rows.read(response.data))
            return _answer(response.status, response.data)

    @contextlib.contextmanager
    def _measured(self, request: transport.Request) -> Iterator[list[str]]:
        begin = time.monotonic()
        codes: list[str] = []
        try:
            yield codes
        except _LOSSES as error:
            unanswered = _unanswered(error)
            codes.append(unanswered.silence.value)
            self._drop_session()
            raise unanswered from error
        except transport.UnansweredError as error:
            codes.append(error.silence.value)
            raise
        finally:
            self._on_request(request.operation, codes[-1] if codes else "error", time.monotonic() - begin)

    def _ask(self, request: transport.Request) -> urllib3.BaseHTTPResponse:
        """Send it, and read all of the answer."""
        session = self._session()
        headers = {name: str(value) for name, value in session.headers.items()}
        headers |= _credentials(session, request.registry)
        body = None
        if request.body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(request.body).encode()
        query = f"?{urlencode(request.query)}" if request.query else ""
        return _pool(session).urlopen(
            request.method,
            f"/v{session.api_version}{request.path}{query}",
            body,
            headers,
            retries=False,
            redirect=False,
            timeout=urllib3.Timeout(connect=min(self._seconds, request.timeout), read=request.timeout),
        )

    def _open(self, request: transport.Request) -> requests.Response:
        """Send it, and read the head of the answer."""
        session = self._session()
        return session.request(
            request.method,
            f"{session.base_url}/v{session.api_version}{request.path}",
            params=dict(request.query),
            json=request.body,
            headers=_credentials(session, request.registry),
            timeout=(min(self._seconds, request.timeout), request.timeout),
            stream=True,
        )

    def _session(self) -> docker.APIClient:
        session: docker.APIClient | None = getattr(self._local, "session", None)
        if session is None:
            version = self._negotiated()
            session = self._new_session(version)
            self._local.session = session
            with self._lock:
                self._sessions.append(session)
        return session

    def _new_session(self, version: str) -> docker.APIClient:
        session = docker.APIClient(base_url=self._base_url, version=version, timeout=self._seconds)
        session.trust_env = False  # no proxy and no netrc stand between us and the Engine
        if self._base_url.startswith("unix://"):
            path = self._base_url.removeprefix("unix://")
            session.mount("http+docker://", OnePoolAdapter(f"http+unix://{path}", self._seconds))
        return session

    def _negotiated(self) -> str:
        with contextlib.closing(self._new_session(_text(OLDEST_API))) as session:
            known = session.version(api_version=False)
        newest, oldest = _numbers(known["ApiVersion"]), _numbers(known.get("MinAPIVersion", "1.0"))
        chosen = min(newest, NEWEST_API)
        if chosen < OLDEST_API or chosen < oldest:
            raise transport.UnansweredError(
                transport.Silence.UNSUPPORTED,
                f"the Engine speaks API {_text(oldest)} to {_text(newest)}; "
                f"this version of the controller speaks {_text(OLDEST_API)} to {_text(NEWEST_API)}",
            )
        return _text(chosen)

    def _drop_session(self) -> None:
        session: docker.APIClient | None = getattr(self._local, "session", None)
        if session is not None:
            self._local.session = None
            session.close()
            with self._lock, contextlib.suppress(ValueError):
                self._sessions.remove(session)


def _worth_another_try(error: BaseException) -> bool:
    return isinstance(error, transport.UnansweredError) and error.silence in {
        transport.Silence.REFUSED,
        transport.Silence.BROKEN,
    }


def _pool(session: docker.APIClient) -> urllib3.HTTPConnectionPool:
    """The session's connections to the Engine."""
    adapter = session.get_adapter(session.base_url)
    if isinstance(adapter, OnePoolAdapter):
        pool: urllib3.HTTPConnectionPool = adapter.get_connection(None)
    else:
        assert isinstance(adapter, requests.adapters.HTTPAdapter)
        pool = adapter.poolmanager.connection_from_url(session.base_url)
    return pool


def _credentials(session: docker.APIClient, reference: str | None) -> dict[str, str]:
    if reference is None:
        return {}
    registry, _ = docker.auth.resolve_repository_name(reference)
    header = docker.auth.get_config_header(session, registry)
    return {"X-Registry-Auth": header.decode("ascii")} if header else {}


def _object(line: bytes) -> transport.Row:
    value = json.loads(line)
    if not isinstance(value, dict):
        raise ValueError(f"not a JSON object: {line[:80]!r}")  # noqa: TRY004 - garbage is garbage, of whatever type
    return value


def _answer(status: int, content: bytes) -> transport.Answer:
    try:
        body = json.loads(content) if content else None
    except ValueError:
        body = content.decode(errors="replace").strip()
    return transport.Answer(status, body)


def _unanswered(error: BaseException) -> transport.UnansweredError:
    """The kind of silence that a library's exception stands for: the cause that is deepest inside decides."""
    causes = list(_causes(error))
    text = str(causes[-1]) or type(error).__name__
    if any(
        isinstance(cause, FileNotFoundError | ConnectionRefusedError | PermissionError | BlockingIOError)
        for cause in causes
    ):
        return transport.UnansweredError(transport.Silence.REFUSED, f"the Engine cannot be reached: {text}")
    if any(
        isinstance(cause, urllib3.exceptions.ConnectTimeoutError | urllib3.exceptions.NewConnectionError)
        for cause in causes
    ):
        return transport.UnansweredError(transport.Silence.REFUSED, f"the Engine cannot be reached: {text}")
    if any(
        isinstance(cause, requests.Timeout | TimeoutError | urllib3.exceptions.TimeoutError)
        for cause in causes
    ):
        return transport.UnansweredError(
            transport.Silence.TIMEOUT, f"the Engine did not answer in time: {text}"
        )
    return transport.UnansweredError(transport.Silence.BROKEN, f"the connection to the Engine broke: {text}")


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    pending: list[BaseException] = [error]
    while pending:
        current = pending.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        pending += [
            item
            for item in (
                current.__cause__,
                current.__context__,
                getattr(current, "reason", None),
                *current.args,
            )
            if isinstance(item, BaseException)
        ]


def _numbers(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def _text(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def read_log(base_url: str, container_id: str, *, follow: bool, tail: int | None) -> Iterator[bytes]:
    """A container's output as it was written, stdout and stderr together; `tail` lines of it, None for all.

    With `follow` it goes on until the container ends. For people who read it, never for decisions.

    Raises:
        errors.EffectError: the Engine does not answer, or refuses.
    """
    try:
        session = docker.APIClient(base_url=base_url, version="auto", timeout=READER_PATIENCE)
        with contextlib.closing(session):
            yield from session.logs(
                container_id, stream=True, follow=follow, tail="all" if tail is None else tail
            )
    except docker.errors.APIError as error:
        answer = transport.Answer(
            error.status_code or HTTPStatus.INTERNAL_SERVER_ERROR, str(error.explanation)
        )
        raise refusals.translate_read(answer) from error
    except _LOSSES as error:
        raise refusals.translate_read_silence(_unanswered(error)) from error
