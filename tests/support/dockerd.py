"""Knows how to have a real, disposable Docker Engine in a test: start, stop, kill, ask.

It refuses to know how an Engine is made (deploy/dev/engine.py does) and to touch any that it did not start.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import docker

from deploy.dev import cgroups as dev_cgroups
from deploy.dev import engine, host
from tests.support import cgroups

ROOT = Path(__file__).resolve().parents[2]
BASE = ROOT / ".dev" / "tests"
VERB_DEADLINE = 300.0
RUNTIME = "wharf-other"
"""A second name that the Engine has for its own runtime."""


class DockerdError(AssertionError):
    """The Engine could not be had; the message ends with what the set-up said."""


class Dockerd:
    """One private Engine in one directory; not started by its construction.

    Attributes:
        slices: name of the slice above all owners' slices for controllers of it.
    """

    runtimes: ClassVar[tuple[str, ...]] = (RUNTIME,)

    def __init__(self, directory: Path, *, live_restore: bool = True) -> None:
        self.directory = directory
        self._live_restore = live_restore
        self._clients: list[docker.APIClient] = []
        status = self._status()
        self.socket = Path(status["socket"])
        self.base_url = f"unix://{self.socket}"
        self.bridge = str(status["bridge"])
        self.log = Path(status["log"])
        self.slices = engine.slice_root(directory)

    def give_small_disk(self, mebibytes: int) -> None:
        """Puts the data of an Engine that was never started on a disk in memory; `stop` takes it away."""
        place = self.directory / "data"
        place.mkdir(parents=True)
        host.call("mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=0711", "wharf-test", str(place))

    def start(self, *, live_restore: bool | None = None) -> None:
        """Starts it with the sample images; after `kill9` with the same data. Running already is fine.

        `live_restore` is as at its construction unless it is given, then it stays so.
        """
        self._live_restore = self._live_restore if live_restore is None else live_restore
        switch = "--live-restore" if self._live_restore else "--no-live-restore"
        self._call("up", switch, *(f"--runtime={name}" for name in self.runtimes))
        self._call("image")

    def stop(self) -> None:
        """Removes its containers and networks, ends it, removes its data and closes all its clients."""
        self.close_clients()
        self._call("down", "--purge")
        cgroups.tidy()

    def kill9(self) -> None:
        """Ends dockerd alone with SIGKILL; its containerd and, with live restore, the containers go on."""
        self._call("kill")

    def kill9_containerd(self) -> None:
        """Ends containerd alone with SIGKILL; a start of the Engine after its own end brings it back."""
        pid = self._status()["containerdPid"]
        if pid is not None:
            os.kill(int(pid), signal.SIGKILL)
            gone = host.wait_until(lambda: self._status()["containerdPid"] is None, 10)
            assert gone, f"containerd {pid} survived SIGKILL"

    def restart(self) -> None:
        """A crash and the start after it."""
        self.kill9()
        self.start()

    def pid(self) -> int | None:
        """The process id of dockerd; None when it does not run."""
        pid = self._status()["pid"]
        return None if pid is None else int(pid)

    def client(self) -> docker.APIClient:
        """A new client with a negotiated API version; closed by `stop` if not before."""
        client = docker.APIClient(base_url=self.base_url, version="auto", timeout=60)
        self._clients.append(client)
        return client

    def close_clients(self) -> None:
        """Closes every client that was handed out."""
        while self._clients:
            self._clients.pop().close()

    def events(self, since: float, until: float) -> list[dict[str, Any]]:
        """What happened between two times, in seconds since the epoch with fractions."""
        client: Any = self.client()  # its types know whole seconds only
        stream: Iterator[dict[str, Any]] = client.events(
            since=f"{since:.6f}", until=f"{until:.6f}", decode=True
        )
        return list(stream)

    def free_subnet(self) -> str:
        """A /24 that this host has no route to, for a network of the test."""
        return str(host.free_subnet(host.digest(self.directory / "network")))

    def remove_everything(self) -> None:
        """Removes all containers, all networks that were made, all volumes, all slices."""
        client = self.client()
        for container in client.containers(all=True):
            client.remove_container(container["Id"], force=True, v=True)
        for network in client.networks():
            if network["Name"] not in {"bridge", "host", "none"}:
                client.remove_network(network["Id"])
        for volume in client.volumes()["Volumes"] or []:
            client.remove_volume(volume["Name"], force=True)
        dev_cgroups.remove_empty(self.slices)
        cgroups.tidy()

    def _status(self) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(self._call("status", codes=(0, 3)))
        return status

    def _call(self, *verb: str, codes: tuple[int, ...] = (0,)) -> str:
        command = [sys.executable, "-m", "deploy.dev.engine", "--dir", str(self.directory), *verb]
        done = subprocess.run(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=VERB_DEADLINE,
            check=False,
        )
        if done.returncode not in codes:
            raise DockerdError(f"{command[1:]} ended with {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout


def remove_leftovers() -> None:
    """Ends the Engines of earlier test runs that were killed before they could, and removes their slices."""
    for directory in BASE.glob("*-*"):
        owner = directory.name.split("-")[0]
        if not owner.isdigit() or not Path("/proc", owner).exists():
            Dockerd(directory).stop()
    cgroups.remove_leftovers()
