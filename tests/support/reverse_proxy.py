"""Knows how to be a site's proxy: forwards requests and web sockets by the documents of a directory.

It refuses to remember: every request reads the directory anew, as Traefik does after each change.
"""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import aiohttp
from aiohttp import web

from tests.support import traefik

OWN_HEADERS = {"Connection", "Upgrade", "Transfer-Encoding", "Content-Length", "Content-Encoding"}


@contextlib.contextmanager
def serving(directory: Path) -> Iterator[int]:
    """A proxy on a port of 127.0.0.1, for as long as the context lasts."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    proxy = _Proxy(directory)
    try:
        yield asyncio.run_coroutine_threadsafe(proxy.start(), loop).result(10)
    finally:
        asyncio.run_coroutine_threadsafe(proxy.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class _Proxy:
    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def start(self) -> int:
        self._session = aiohttp.ClientSession(auto_decompress=False)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._forward)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        port: int = self._runner.addresses[0][1]
        return port

    async def stop(self) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        target = traefik.read(self._directory).find(request.host.partition(":")[0], request.path)
        if target is None:
            return web.Response(status=404, text="no router matches")
        url = target.server + target.path
        try:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                return await self._socket(request, url)
            return await self._page(request, url)
        except aiohttp.ClientError as error:
            return web.Response(status=502, text=str(error))

    async def _page(self, request: web.Request, url: str) -> web.Response:
        kept = {name: text for name, text in request.headers.items() if name not in OWN_HEADERS}
        body = await request.read()
        async with self._session.request(request.method, url, headers=kept, data=body) as answer:
            return web.Response(status=answer.status, body=await answer.read())

    async def _socket(self, request: web.Request, url: str) -> web.WebSocketResponse:
        async with self._session.ws_connect(url, headers={"Host": request.host}) as inner:
            outer = web.WebSocketResponse()
            await outer.prepare(request)
            ways = [asyncio.create_task(_pass_on(outer, inner)), asyncio.create_task(_pass_on(inner, outer))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            return outer


Socket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


async def _pass_on(source: Socket, target: Socket) -> None:
    async for message in source:
        await target.send_str(message.data)
    await target.close()
