"""Knows how to answer at a control socket as a controller would, from workspace objects that a test chose.

It refuses to decide anything: what happens to a workspace on `stop` or `wait` is told by the test.
"""

import http.server
import json
import socketserver
import threading
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Reply = tuple[int, object]
Body = dict[str, Any]


@dataclass
class World:
    """What the stand-in knows and what it was asked for.

    Attributes:
        workspaces: objects by name.
        answers: value of other GET routes by path: plan, events, retained, adoptable/alice.
        on_post: what a POST does, by its last path segment; it gets the workspace's name and the body.
        requested: what was changed on request, in order.
    """

    workspaces: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, object] = field(default_factory=dict)
    on_post: dict[str, Callable[[str, Body], Reply]] = field(default_factory=dict)
    requested: list[tuple[str, str, Body]] = field(default_factory=list)

    def get(self, parts: list[str], query: Mapping[str, list[str]]) -> Reply:
        """The answer to GET /v1/ and the parts."""
        match parts:
            case ["version"]:
                return 200, {"version": "0.1.0"}
            case ["workspaces"]:
                return 200, {"items": [self.workspaces[name] for name in sorted(self.workspaces)]}
            case ["workspaces", name] if name in self.workspaces:
                return 200, self.workspaces[name]
            case ["events"]:
                return 200, self._events(query)
            case _ if "/".join(parts) in self.answers:
                return 200, self.answers["/".join(parts)]
        return 404, {"error": {"reason": "NotFound", "message": f"no {'/'.join(parts)}"}}

    def post(self, parts: list[str], body: Body) -> Reply:
        """The answer to POST /v1/ and the parts."""
        verb, name = parts[-1], parts[1] if len(parts) > 1 else ""
        if parts[0] == "workspaces" and name not in self.workspaces:
            return 404, {"error": {"reason": "NotFound", "message": f"no workspace {name}"}}
        self.requested.append((verb, name, body))
        if verb in self.on_post:
            return self.on_post[verb](name, body)
        return 200, self.workspaces.get(name, {})

    def _events(self, query: Mapping[str, list[str]]) -> object:
        found: Any = self.answers.get("events", {"items": []})
        subjects = query.get("subject")
        chosen = [item for item in found["items"] if subjects is None or item["subject"] in subjects]
        return {"items": chosen}


class _Handler(http.server.BaseHTTPRequestHandler):
    server: "_Server"

    def do_GET(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        parts = [urllib.parse.unquote(part) for part in url.path.split("/")[2:]]
        self._reply(*self.server.world.get(parts, urllib.parse.parse_qs(url.query)))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._reply(*self.server.world.post(self.path.split("/")[2:], body))

    def _reply(self, status: int, value: object) -> None:
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The same time always, so that ages in tables are certain."""
        return "Sun, 22 Nov 2026 12:05:00 GMT"

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def __init__(self, path: Path, world: World) -> None:
        super().__init__(str(path), _Handler)
        self.world = world


class StandIn:
    """A server at `path` for as long as the context lasts."""

    def __init__(self, path: Path, world: World) -> None:
        self.world = world
        self._server = _Server(path, world)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> World:
        self._thread.start()
        return self.world

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
