"""Knows how to be a service that speaks web sockets: says back what it hears, and which host was asked for.

It refuses everything else. `nsenter -t PID -n python -m tests.support.echo PORT` listens inside a container.
"""

import sys

from aiohttp import web


async def _echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(f"{request.host}{request.path} {message.data}")
    return socket


def main(port: int) -> None:
    """Serve until killed."""
    app = web.Application()
    app.router.add_get("/{path:.*}", _echo)
    web.run_app(app, port=port, print=lambda *_: None)


if __name__ == "__main__":
    main(int(sys.argv[1]))
