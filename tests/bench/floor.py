"""Knows the least that the Engine itself costs: bare docker-py calls, four at a time, and a bare event loop.

It refuses to be clever: no observation, no decision, no record. What it makes has the options of `fleet`.
"""

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker

from tests.bench import fleet

WORKERS = 4
NETWORK = "wharf"
PREFIX = "floor-"
LABELS = ("uid", "owner", "generation", "epoch", "template-hash", "gpus", "instance", "claim")


def body(name: str, port: int, homes: Path) -> dict[str, Any]:
    """What the controller writes for a workspace of `fleet`, by hand."""
    return {
        "Image": fleet.IMAGE,
        "Hostname": name,
        "Cmd": ["httpd", "-f", "-p", "8888", "-h", "/srv"],
        "Env": ["NVIDIA_VISIBLE_DEVICES=void"],
        "Labels": {"bench.floor": name, **{f"bench.{label}": "v1:0123456789abcdef" * 2 for label in LABELS}},
        "ExposedPorts": {"8888/tcp": {}},
        "StopTimeout": 2,
        "HostConfig": {
            "Init": True,
            "Mounts": [
                {"Type": "bind", "Source": str(homes / name), "Target": f"/home/{name}", "ReadOnly": False}
            ],
            "PortBindings": {"8888/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]},
            "NetworkMode": NETWORK,
            "ShmSize": 16 * 2**20,
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
            "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
            "NanoCpus": 5 * 10**8,
            "Memory": fleet.MEMORY,
            "MemorySwap": fleet.MEMORY,
            "PidsLimit": 64,
        },
        "NetworkingConfig": {"EndpointsConfig": {NETWORK: {}}},
    }


class Floor:
    """Bare containers on one Engine."""

    def __init__(self, base_url: str, homes: Path) -> None:
        self._base_url = base_url
        self._homes = homes
        self._local = threading.local()
        self._clients: list[docker.APIClient] = []

    def up(self, count: int) -> None:
        """Create and start so many, four at a time; returns when all run."""
        for number in range(count):
            (self._homes / f"{PREFIX}{number:04}").mkdir(exist_ok=True)
        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(self.make, range(count)))

    def make(self, number: int) -> str:
        """Create and start one; its id."""
        name = f"{PREFIX}{number:04}"
        (self._homes / name).mkdir(exist_ok=True)
        made: dict[str, Any] = self._client().create_container_from_config(  # type: ignore[no-untyped-call]
            body(name, 15000 + number, self._homes), name
        )
        self._client().start(made["Id"])
        return str(made["Id"])

    def _client(self) -> docker.APIClient:
        client: docker.APIClient | None = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = docker.APIClient(
                base_url=self._base_url, version="auto", timeout=60
            )
            self._clients.append(client)
        return client

    def close(self) -> None:
        """Close all connections."""
        while self._clients:
            self._clients.pop().close()


class EventLoop:
    """Replaces each bare container that is removed: one thread, events in, create and start out."""

    def __init__(self, floor: Floor, base_url: str) -> None:
        self._floor = floor
        self._client: Any = docker.APIClient(base_url=base_url, version="auto", timeout=600)
        self._stream = self._client.events(decode=True, filters={"type": "container", "event": "destroy"})
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(Exception):  # the end of the stream is the end of the loop
            for event in self._stream:
                name = event["Actor"]["Attributes"].get("name", "")
                if name.startswith(PREFIX):
                    self._floor.make(int(name.removeprefix(PREFIX)))

    def close(self) -> None:
        """End it."""
        self._stream.close()
        self._thread.join(5)
        self._client.close()


def remove_all(base_url: str, prefixes: tuple[str, ...]) -> None:
    """Remove the containers whose names begin so, by force, eight at a time."""
    with contextlib.closing(docker.APIClient(base_url=base_url, version="auto", timeout=120)) as client:
        rows = [
            row
            for row in client.containers(all=True)
            if row["Names"][0].removeprefix("/").startswith(prefixes)
        ]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda row: client.remove_container(row["Id"], force=True), rows))
    time.sleep(0.5)
