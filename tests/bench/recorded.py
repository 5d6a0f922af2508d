"""Knows the answers that a real Engine gave once, and gives them for as many containers as are asked for.

A process of its own on a unix socket: `python -m tests.bench.recorded SOCKET`. What is created and started
shows in list and inspect with the options it was given; everything else is the record's. Containers began an
hour ago, their processes do not exist, and the stream of events is silent. The Engine's id follows from its
socket, so that two runs have two Engines. It refuses every call but those.
"""

import asyncio
import collections
import copy
import hashlib
import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.bench import keeper

RECORDS = Path(__file__).with_name("records.json")
FIRST_PID = 10**7
"""Beyond what the kernel gives out."""
AGE = timedelta(hours=1)


class Recorded:
    """One Engine's world: containers by id, as their inspects."""

    def __init__(self, engine_id: str) -> None:
        self._records: dict[str, Any] = json.loads(RECORDS.read_text(encoding="utf-8"))
        self._records["info"]["ID"] = engine_id
        self._containers: dict[str, dict[str, Any]] = {}
        self._rows: dict[str, dict[str, Any]] = {}
        self._networks: dict[str, dict[str, Any]] = {}
        self._list = b""
        self._counts: collections.Counter[str] = collections.Counter()

    def application(self) -> web.Application:
        """Its HTTP API, below any version and without one."""
        made = web.Application()
        routes = [
            ("GET", "/_ping", self._ping),
            ("GET", "/version", self._version),
            ("GET", "/info", self._info),
            ("GET", "/events", self._events),
            ("GET", "/containers/json", self._list_containers),
            ("POST", "/containers/create", self._create),
            ("POST", "/containers/{id}/start", self._start),
            ("GET", "/containers/{id}/json", self._inspect),
            ("GET", "/images/{name:.+}/json", self._image),
            ("GET", "/networks/{name}", self._network),
            ("POST", "/networks/create", self._create_network),
        ]
        for method, path, handler in routes:
            made.router.add_route(method, path, handler)
            made.router.add_route(method, "/v{version:[0-9.]+}" + path, handler)
        made.router.add_get("/counts", self._count)
        return made

    async def _ping(self, _: web.Request) -> web.Response:
        return web.Response(text="OK")

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response(self._records["version"])

    async def _info(self, _: web.Request) -> web.Response:
        self._counts["info"] += 1
        return web.json_response({**self._records["info"], "SystemTime": _stamp(datetime.now(UTC))})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.sleep(max(0.0, float(request.query["until"]) - time.time()))
        return response

    async def _list_containers(self, request: web.Request) -> web.Response:
        wanted = json.loads(request.query.get("filters", "{}")).get("label")
        if wanted:
            self._counts["list_labelled"] += 1
            marks = [one.partition("=")[::2] for one in wanted]
            rows = [r for r in self._rows.values() if all(r["Labels"].get(k) == v for k, v in marks)]
            return web.json_response(rows)
        self._counts["list"] += 1
        if not self._list:
            self._list = json.dumps(list(self._rows.values())).encode()
        return web.Response(body=self._list, content_type="application/json")

    async def _create(self, request: web.Request) -> web.Response:
        self._counts["create"] += 1
        body, name = await request.json(), request.query["name"]
        container_id = hashlib.sha256(name.encode()).hexdigest()
        if container_id in self._containers:
            message = (
                f'Conflict. The container name "/{name}" is already in use by container "{container_id}".'
            )
            return web.json_response({"message": message}, status=409)
        host, networking = body.pop("HostConfig"), body.pop("NetworkingConfig")
        body["Env"] = [*body["Env"], *self._records["image"]["Config"]["Env"]]
        inspect = copy.deepcopy(self._records["inspect"])
        inspect |= {"Id": container_id, "Name": f"/{name}", "Created": _stamp(datetime.now(UTC) - AGE)}
        inspect["Config"] |= body
        inspect["HostConfig"] |= host
        endpoint = next(iter(inspect["NetworkSettings"]["Networks"].values()))
        wanted = next(iter(networking["EndpointsConfig"]))
        inspect["NetworkSettings"]["Networks"] = {
            wanted: endpoint | {"NetworkID": self._networks[wanted]["Id"]}
        }
        self._containers[container_id] = inspect
        self._set_state(container_id, "created", 0)
        return web.json_response({"Id": container_id, "Warnings": []}, status=201)

    async def _start(self, request: web.Request) -> web.Response:
        self._counts["start"] += 1
        self._set_state(request.match_info["id"], "running", FIRST_PID + len(self._containers))
        return web.Response(status=204)

    def _set_state(self, container_id: str, status: str, pid: int) -> None:
        inspect = self._containers[container_id]
        began = _stamp(datetime.now(UTC) - AGE) if pid else "0001-01-01T00:00:00Z"
        inspect["State"] |= {"Status": status, "Running": bool(pid), "Pid": pid, "StartedAt": began}
        row = copy.deepcopy(self._records["list"])
        networks = inspect["NetworkSettings"]["Networks"]
        row |= {"Id": container_id, "Names": [inspect["Name"]], "Labels": inspect["Config"]["Labels"]}
        row |= {
            "State": status,
            "Status": "Up 1 hour" if pid else "Created",
            "Image": inspect["Config"]["Image"],
        }
        row["NetworkSettings"] = {"Networks": networks}
        self._rows[container_id] = row
        self._list = b""

    async def _inspect(self, request: web.Request) -> web.Response:
        self._counts["inspect"] += 1
        inspect = self._containers.get(request.match_info["id"])
        return web.json_response(inspect) if inspect else _missing("container")

    async def _image(self, request: web.Request) -> web.Response:
        self._counts["image"] += 1
        record = self._records["image"]
        known = request.match_info["name"] in {record["Id"], *record["RepoTags"]}
        return web.json_response(record) if known else _missing("image")

    async def _network(self, request: web.Request) -> web.Response:
        self._counts["network"] += 1
        network = self._networks.get(request.match_info["name"])
        return web.json_response(network) if network else _missing("network")

    async def _create_network(self, request: web.Request) -> web.Response:
        self._counts["create_network"] += 1
        body = await request.json()
        made = self._records["network"] | {"Id": hashlib.sha256(body["Name"].encode()).hexdigest()}
        self._networks[body["Name"]] = made | body
        return web.json_response({"Id": made["Id"], "Warning": ""}, status=201)

    async def _count(self, _: web.Request) -> web.Response:
        return web.json_response(self._counts)


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"


def _missing(kind: str) -> web.Response:
    return web.json_response({"message": f"No such {kind}"}, status=404)


class Engine:
    """A recorded Engine as a process; listens when constructed, ends with `close`."""

    def __init__(self, socket_path: Path) -> None:
        self.url = f"unix://{socket_path}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(socket_path)], stdin=subprocess.DEVNULL
        )
        keeper.wait_for("the recorded Engine listens", socket_path.exists)

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(10)


def main(arguments: list[str]) -> None:
    """Serve until terminated."""
    web.run_app(
        Recorded(hashlib.sha256(arguments[0].encode()).hexdigest()).application(),
        path=arguments[0],
        print=None,
        access_log=None,
        shutdown_timeout=0.2,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
