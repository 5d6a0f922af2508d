"""Serves metrics and health over TCP and the control API over a unix socket. The only door to aiohttp.

Refuses to block: one thread with one event loop moves bytes, a small pool of threads answers the questions.
"""

import asyncio
import functools
import json
import os
import threading
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from aiohttp import typedefs, web

from controller.api.conditions import Reason
from controller.model import errors
from controller.reporting import control, metrics, sockets

_WORKERS: Final = 8
_LARGEST_BODY: Final = 64 * 1024
_ASK_AGAIN: Final = 0.1
_GOODBYE: Final = 0.5
_STOP_WITHIN: Final = 2.0

_log = structlog.stdlib.get_logger("controller.reporting.http")


class ServerError(Exception):
    """The server cannot be started; the message names the address and the cause."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where to listen: `address:port` for metrics and health, a path for the control API."""

    listen: str
    control_socket: Path


class Server:
    """Metrics, health and control API, in a thread of its own between `start` and `stop`."""

    def __init__(
        self,
        endpoints: Endpoints,
        service: control.ControlService,
        health: control.Health,
        published: metrics.Metrics,
    ) -> None:
        self._endpoints = endpoints
        self._service = service
        self._health = health
        self._metrics = published
        self._loop = asyncio.new_event_loop()
        self._pool = futures.ThreadPoolExecutor(_WORKERS, thread_name_prefix="http-worker")
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        self._runners: list[web.AppRunner] = []
        self._inode = 0
        self.address = ("", 0)
        """Where metrics are served, host and port, once started."""

    def start(self) -> None:
        """Listen on both; returns when both answer.

        Raises:
            ServerError: an address is taken, not allowed or too long.
        """
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()
        except (OSError, sockets.SocketError) as error:
            self.stop()
            raise ServerError(str(error)) from error

    def stop(self) -> None:
        """Close both, ending what is under way; returns within two seconds. A second call does nothing."""
        if self._loop.is_closed() or not self._thread.is_alive():
            return
        closing = asyncio.run_coroutine_threadsafe(self._close(), self._loop)
        futures.wait([closing], timeout=_STOP_WITHIN)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_STOP_WITHIN)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    async def _open(self) -> None:
        host, _, port = self._endpoints.listen.rpartition(":")
        public = await self._serve(self._public(), "metrics")
        try:
            await web.TCPSite(public, host.strip("[]"), int(port)).start()
        except OSError as error:
            raise OSError(f"metrics.listen {self._endpoints.listen}: {error.strerror or error}") from error
        self.address = public.addresses[0][:2]
        listening = sockets.listen(self._endpoints.control_socket)
        self._inode = self._endpoints.control_socket.lstat().st_ino
        await web.SockSite(await self._serve(self._control(), "control"), listening).start()

    async def _serve(self, application: web.Application, server: str) -> web.AppRunner:
        application.middlewares.append(self._counting(server))
        runner = web.AppRunner(
            application, access_log=None, handler_cancellation=True, shutdown_timeout=_GOODBYE
        )
        await runner.setup()
        self._runners.append(runner)
        return runner

    async def _close(self) -> None:
        if self._inode:
            sockets.remove(self._endpoints.control_socket, self._inode)
        await asyncio.gather(*(runner.cleanup() for runner in self._runners))
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _counting(self, server: str) -> typedefs.Middleware:
        @web.middleware
        async def count(request: web.Request, handler: typedefs.Handler) -> web.StreamResponse:
            resource = request.match_info.route.resource
            response = await _answered(request, handler)
            route = resource.canonical if resource else "unknown"
            self._metrics.count_http(server, _known_method(request.method), route, response.status)
            return response

        return count

    def _public(self) -> web.Application:
        application = web.Application()
        application.router.add_get("/metrics", self._get_metrics)
        application.router.add_get("/healthz", self._get_healthz)
        application.router.add_get("/readyz", self._get_readyz)
        return application

    async def _get_metrics(self, _request: web.Request) -> web.Response:
        body = await self._loop.run_in_executor(self._pool, self._metrics.expose)
        return web.Response(body=body, headers={"Content-Type": metrics.CONTENT_TYPE})

    async def _get_healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _get_readyz(self, _request: web.Request) -> web.Response:
        reason = await self._loop.run_in_executor(self._pool, self._health.why_not_ready)
        return web.Response(text=f"{reason or 'ok'}\n", status=503 if reason else 200)

    def _control(self) -> web.Application:
        application = web.Application(client_max_size=_LARGEST_BODY)
        for route in control.ROUTES:
            application.router.add_route(route.method, route.path, self._answering(route))
        application.router.add_post(control.WAIT_PATH, self._post_wait)
        return application

    def _answering(self, route: control.Route) -> typedefs.Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            question = await _read(request)
            answered = await self._loop.run_in_executor(self._pool, route.answer, self._service, question)
            return _json(answered)

        return answer

    async def _post_wait(self, request: web.Request) -> web.StreamResponse:
        question = await _read(request)
        waiting = control.read_wait(question)
        deadline = self._loop.time() + waiting.timeout
        while True:
            left = deadline - self._loop.time()
            settled, answer = await self._loop.run_in_executor(
                self._pool,
                functools.partial(_look, self._service, question.name, waiting.awaited, may_come=left > 0),
            )
            if settled or left <= 0:
                return _json(answer)
            await asyncio.sleep(min(_ASK_AGAIN, left))


def _look(
    service: control.ControlService, name: str, awaited: control.Awaited, *, may_come: bool
) -> tuple[bool, control.Json]:
    """Whether it has settled; a workspace whose file was just written may still be unknown."""
    try:
        return service.settled(name, awaited)
    except control.NotFound:
        if awaited.digest is None or not may_come:
            raise
        return False, {}


async def _read(request: web.Request) -> control.Question:
    connection = request.get_extra_info("socket")
    if connection is None:
        raise control.Forbidden("the other end is gone")
    caller = control.Caller(*sockets.peer(connection))
    if request.method != "GET" and caller.uid not in {0, os.geteuid()}:
        raise control.Forbidden(f"only root may do that, and uid {caller.uid} asks")
    text = await request.text() if request.can_read_body else ""
    try:
        body = json.loads(text) if text else {}
    except (ValueError, RecursionError) as error:
        raise control.BadRequest(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise control.BadRequest("the body must be an object")
    return control.Question(caller, request.match_info.get("name", ""), dict(request.query), body)


async def _answered(request: web.Request, handler: typedefs.Handler) -> web.StreamResponse:
    """Whatever happens, an answer; errors as `{"error": {"reason", "message"}}`."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return _error(error.status, error.reason.replace(" ", ""), f"{request.method} {request.path}")
    except control.ControlError as error:
        return _error(error.status, error.reason, error.message)
    except errors.Retryable as error:
        return _error(503, error.reason, error.message)
    except errors.Terminal as error:
        return _error(409, error.reason, error.message)
    except UnicodeDecodeError:
        return _error(400, "BadRequest", "the body is not UTF-8")
    except Exception:  # noqa: BLE001 - our own bug must not end the answer
        _log.exception("request_failed", reason=Reason.INTERNAL_ERROR, route=request.path)
        return _error(500, Reason.INTERNAL_ERROR, "a defect in the controller; its log has the traceback")


def _error(status: int, reason: str, message: str) -> web.Response:
    return _json({"error": {"reason": str(reason), "message": message}}, status)


def _json(value: control.Json, status: int = 200) -> web.Response:
    return web.json_response(value, status=status, dumps=_dumps)


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _known_method(method: str) -> str:
    return method if method in {"GET", "HEAD", "POST"} else "other"
