"""The set-up's own calls, against an Engine that will not let go of a network."""

import http.server
import json
import threading
from collections.abc import Iterator
from typing import ClassVar

import pytest

from deploy.dev import api

NETWORKS = [{"Id": "n0", "Name": "bridge"}, {"Id": "n1", "Name": "stale"}, {"Id": "n2", "Name": "wharf"}]
ENDPOINTS = {"ep-1": {"Name": "workspace-gone"}}


class _Handler(http.server.BaseHTTPRequestHandler):
    done: ClassVar[list[tuple[str, str]]]

    def do_GET(self) -> None:
        answers: dict[str, object] = {
            "/containers/json?all=1": [{"Id": "c1"}],
            "/networks": NETWORKS,
            "/networks/n1": {"Containers": ENDPOINTS},
            "/networks/n2": {"Containers": {}},
        }
        self._answer(200, answers[self.path])

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.headers["Content-Type"] == "application/json"
        self.done.append((self.path, asked["Container"]))
        self._answer(200, {})

    def do_DELETE(self) -> None:
        refused = self.path == "/networks/n1"
        if not refused:
            self.done.append(("DELETE", self.path))
        self._answer(403 if refused else 200, {"message": "network stale has active endpoints"})

    def _answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's signature
        """Say nothing."""


@pytest.fixture
def engine() -> Iterator[api.Api]:
    _Handler.done = []
    with http.server.HTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield api.Api(f"tcp://127.0.0.1:{server.server_port}")
        server.shutdown()
        thread.join(5)


def test_a_network_that_will_not_go_stops_nothing_else_from_going(engine: api.Api) -> None:
    (refusal,) = engine.remove_everything()
    assert "/networks/n1: 403" in refusal
    assert "active endpoints" in refusal
    assert _Handler.done == [
        ("DELETE", "/containers/c1?force=1&v=1"),
        ("/networks/n1/disconnect", "workspace-gone"),
        ("DELETE", "/networks/n2"),
    ]
