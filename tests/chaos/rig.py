"""Knows the host of a chaos run: an Engine with a small disk, a controller, workspaces whose writers count.

It refuses to decide what goes wrong, and to leave anything behind: whatever it started it ends.
"""

import contextlib
import json
import os
import threading
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controller.cli import control, exits
from deploy.dev import api, host
from tests.chaos import writers
from tests.support import dockerd, process, proxy

WORKSPACE = "dev.wharfinger.workspace"
STRANGER = "stranger"
"""How the names of containers begin that only look like a workspace's."""
MEMORY = 64 * 2**20
"""What every workspace is limited to."""
DISK = 96
"""Mebibytes for all that the Engine keeps."""
ALIVE = {"running", "paused", "restarting"}
Row = dict[str, Any]


class ViolationError(Exception):
    """A promise is broken; the message says which."""


@dataclass
class Count:
    """What was done so far; what healed, and in how many seconds."""

    rounds: int = 0
    controller_kills: int = 0
    engine_kills: int = 0
    containerd_kills: int = 0
    without_live_restore: int = 0
    pauses: int = 0
    full_disks: int = 0
    stale_endpoints: int = 0
    admin: int = 0
    edits: int = 0
    plan_faults: int = 0
    values: int = 0
    lost_bytes: int = 0
    restarts: int = 0
    healed: list[tuple[str, float]] = field(default_factory=list)


@dataclass
class Rig:
    """The host. Its methods may be called from the proxy's threads too.

    Attributes:
        rounds: by workspace, the value of ROUND that its spec says.
        lost: ids of the containers that a person removed.
        strangers: id by name of the containers that only look like a workspace's.
        mains: id and start of each workspace's container when all was well last.
        ends: how often each container ended and was started again, by id.
        acts: a line for each thing that was done, for the story.
    """

    engine: dockerd.Dockerd
    site: process.Site
    between: proxy.Proxy
    names: tuple[str, ...]
    truths: dict[str, writers.Truth]
    rounds: dict[str, str]
    count: Count = field(default_factory=Count)
    lost: set[str] = field(default_factory=set)
    strangers: dict[str, str] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)
    mains: dict[str, tuple[str, str]] = field(default_factory=dict)
    acts: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    controller: process.Controller | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def tell(self, what: str) -> None:
        """Write down what was done, and when."""
        self.acts.append(f"{time.strftime('%H:%M:%S', time.gmtime())} {what}")

    def ask(self, method: str, path: str, body: object = None, timeout: float = 60.0) -> tuple[int, Any]:
        """One call to the Engine, as an admin makes it: status and what it said; 0 without an answer."""
        sent = None if body is None else json.dumps(body).encode()
        try:
            status, answer = api.Api(self.engine.base_url).request(
                method, path, sent, timeout=timeout, kind="application/json"
            )
        except host.SetupError as error:
            return 0, str(error)
        try:
            return status, json.loads(answer or b"null")
        except ValueError:
            return status, answer.decode(errors="replace")

    def rows(self, timeout: float = 10.0) -> list[Row] | None:
        """All containers but the strangers; None while the Engine does not answer."""
        status, rows = self.ask("GET", "/containers/json?all=1", timeout=timeout)
        if status != 200:
            return None
        return [row for row in rows if WORKSPACE in row["Labels"] and not name_of(row).startswith(STRANGER)]

    def inspect(self, container: str) -> Row:
        """One container as the Engine shows it; empty where there is none."""
        status, found = self.ask("GET", f"/containers/{urllib.parse.quote(container)}/json", timeout=10)
        return found if status == 200 else {}

    def often_ended(self, name: str) -> int:
        """How often the container of a workspace ended and was started again."""
        return self.ends.get(self.mains[name][0], 0)

    def start_controller(self, *, proxied: bool = False) -> process.Controller:
        """Start a controller, whose calls pass by the proxy if that is wanted."""
        address = self.between.url if proxied else self.engine.base_url
        with self._lock:
            self.site.configure(docker={"host": address, "requestTimeout": "5s"})
            self.controller = self.site.run()
            return self.controller

    def kill_controller(self) -> None:
        """Kill the controller; one that has ended already is a violation."""
        with self._lock:
            if self.controller is None:
                return
            ended = self.controller.process.poll()
            if ended is not None:
                raise ViolationError(f"the controller ended by itself with {ended}")
            self.controller.kill()
            self.controller = None
            self.count.controller_kills += 1
        self.tell("controller killed")

    def write_spec(self, name: str) -> None:
        """Write the spec of a workspace as `rounds` has it."""
        mounts = [
            {"name": place, "source": str(self.truths[name].storage / place), "target": f"/{place}"}
            for place in ("data", "ack")
        ]
        fields = {
            "uid": 0,
            "gid": 0,
            "command": list(writers.COMMAND),
            "env": {"ROUND": self.rounds[name]},
            "mounts": [{**mount, "mode": "ReadWrite", "create": True} for mount in mounts],
            "lifecycle": {"changes": "Manual", "stopGrace": "1s"},
        }
        self.site.spec(name, fields)

    def said(self) -> dict[str, Any]:
        """What the controller says of each workspace; nothing while it does not answer."""
        try:
            items: Any = control.Client(self.site.runtime / "control.sock").get("workspaces").value
        except exits.Failure:
            return {}
        return {item["metadata"]["name"]: item for item in items["items"]}

    def unsettled(self, rows: Sequence[Row] | None) -> list[str]:
        """What is not yet as it should be, by looking at the Engine and asking the controller."""
        if rows is None:
            return ["the Engine does not answer"]
        said = self.said()
        if not said:
            return ["the controller does not answer"]
        found = [self._unsettled(name, rows, said.get(name, {})) for name in self.names]
        return [text for text in found if text] or [
            text for name in self.names if (text := self._differs(name))
        ]

    def _unsettled(self, name: str, rows: Sequence[Row], said: Any) -> str:  # noqa: ANN401 - a tree
        ours = [row for row in rows if row["Labels"][WORKSPACE] == name and row["State"] in ALIVE]
        if [(name_of(row), row["State"]) for row in ours] != [(f"workspace-{name}", "running")]:
            return f"{name}: {[(name_of(row), row['State']) for row in ours]}"
        if said.get("spec", {}).get("env") != {"ROUND": self.rounds[name]}:
            return f"{name}: its last spec is not accepted"
        decision = said["status"]["decision"]
        if decision.get("reason") != "AsSpecified":
            return f"{name}: {decision}"
        return ""

    def _differs(self, name: str) -> str:
        found = self.inspect(f"workspace-{name}")
        if not found:
            return f"{name}: it cannot be inspected"
        if found["HostConfig"]["Memory"] != MEMORY or found["State"]["Paused"]:
            return f"{name}: {found['HostConfig']['Memory']} bytes, paused: {found['State']['Paused']}"
        if f"ROUND={self.rounds[name]}" not in found["Config"]["Env"]:
            return f"{name}: its container is of another round"
        return ""

    def uppers(self, rows: Sequence[Row]) -> dict[str, dict[str, Path]]:
        """Directory of the writable layer by container id, for each workspace."""
        found: dict[str, dict[str, Path]] = {name: {} for name in self.names}
        for row in rows:
            one = self.inspect(row["Id"])
            if one:
                found[row["Labels"][WORKSPACE]][row["Id"]] = Path(one["GraphDriver"]["Data"]["UpperDir"])
        return found


def name_of(row: Row) -> str:
    """Name of a container in a list."""
    return str(row["Names"][0]).removeprefix("/") if row["Names"] else ""


@contextlib.contextmanager
def open_rig(count: int) -> Iterator[Rig]:
    """A host with so many workspaces, without a controller yet; all of it is removed afterwards."""
    dockerd.remove_leftovers()
    with contextlib.ExitStack() as stack:
        engine = dockerd.Dockerd(dockerd.BASE / f"{os.getpid()}-chaos")
        stack.callback(engine.stop)
        engine.give_small_disk(DISK)
        engine.start()
        site = process.Site(engine.directory / "site", engine.base_url, engine.free_subnet())
        stack.callback(site.close)
        site.configure(settle="300ms", resyncInterval="15s", safety={})
        between = proxy.Proxy(engine.socket)
        stack.callback(between.close)
        names = tuple(f"ship-{number}" for number in range(count))
        truths = {name: writers.Truth(site.storage / name) for name in names}
        rig = Rig(engine, site, between, names, truths, dict.fromkeys(names, "0"))
        stack.callback(rig.over.set)
        for name in names:
            rig.write_spec(name)
        yield rig
