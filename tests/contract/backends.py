"""Knows the two Engines that the contract is held against, and gives the tests one way to speak to both.

It refuses to know a claim: those are in the test files, each marked with its row of the fault catalogue.
"""

import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import pytest

from controller.activity import listening
from controller.engine import calls, client, executor, observer, parsing, transport
from controller.model import observed
from controller.slices import limits
from tests.support import cgroups, sim_cgroups, sim_engine, sim_security
from tests.support import dockerd as dockerd_support
from tests.support import engine_actions as act
from tests.support.sim_container import SimImage

DEADLINE = 20.0
IMAGE = "wharf-sample:1"
OTHER_IMAGE = "wharf-sample:2"
SLEEP = ["/bin/sleep", "600"]
row = pytest.mark.row
"""Marks a check with the row that it witnesses: `@row("AP5")`."""


class World(Protocol):
    """What differs between the two Engines beside their socket."""

    carrier: transport.Transport
    subnet: str
    slices: str

    def read_limits(self, pid: int) -> observed.Limits: ...
    def read_memory_use(self, pid: int) -> int | None: ...
    def listening(self, pid: int) -> frozenset[int]: ...
    def bounding(self, pid: int | None = None) -> frozenset[str]: ...
    def cgroup(self, pid: int) -> str: ...
    def remove_cgroup(self, cgroup: str) -> None: ...
    def now(self) -> datetime: ...
    def seconds(self) -> float: ...
    def break_source(self, path: Path) -> None: ...
    def take_port(self, port: int) -> "Iterator[None]": ...
    def restart(self, killed: str = "") -> None: ...
    def end_process(self, container_id: str) -> None: ...
    def fill_memory(self, container_id: str) -> None: ...
    def hold_memory(self, container_id: str, size: int) -> None: ...
    def handles_term(self, pid: int) -> bool: ...


class RealWorld:
    """A dockerd of the test set-up's."""

    def __init__(self, daemon: dockerd_support.Dockerd) -> None:
        self.daemon = daemon
        self.carrier: transport.Transport = client.SocketTransport(
            daemon.base_url, timedelta(seconds=60), lambda *_: None
        )
        self.subnet = daemon.free_subnet()
        self.slices = daemon.slices

    def read_limits(self, pid: int) -> observed.Limits:
        return limits.read_limits(pid)

    def read_memory_use(self, pid: int) -> int | None:
        return limits.read_memory_use(pid)

    def listening(self, pid: int) -> frozenset[int]:
        return listening.listening(pid)

    def bounding(self, pid: int | None = None) -> frozenset[str]:
        """What /proc/PID/status says of the capabilities beyond which no program of a process comes.

        Without a process: what the Engine, which the tests start, can give away.
        """
        lines = Path("/proc", str(pid or "self"), "status").read_text(encoding="utf-8").splitlines()
        bits = int(next(line.split()[1] for line in lines if line.startswith("CapBnd")), 16)
        return frozenset(name for bit, name in enumerate(sim_security.KERNEL) if bits >> bit & 1)

    def cgroup(self, pid: int) -> str:
        """Where a process's number of tasks is counted."""
        return cgroups.path(pid, "pids")

    def remove_cgroup(self, cgroup: str) -> None:
        cgroups.remove(cgroup)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def seconds(self) -> float:
        return time.monotonic()

    def break_source(self, path: Path) -> None:
        shutil.rmtree(path)

    def take_port(self, port: int) -> Iterator[None]:
        with socket.create_server(("127.0.0.1", port)):
            yield

    def restart(self, killed: str = "") -> None:
        """A crash and the start after it; between them the process of a container may be killed."""
        row = calls.EngineClient(self.carrier, timedelta(seconds=60)).inspect_container(killed or "nobody")
        self.daemon.kill9()
        if row is not None:
            os.kill(row["State"]["Pid"], signal.SIGKILL)
        self.daemon.start()

    def end_process(self, container_id: str) -> None:
        """KILL from outside, without the Engine's knowledge."""
        row = calls.EngineClient(self.carrier, timedelta(seconds=60)).inspect_container(container_id)
        if row is not None and row["State"]["Pid"]:
            os.kill(row["State"]["Pid"], signal.SIGKILL)

    def fill_memory(self, container_id: str) -> None:
        """Its program does it by itself."""

    def hold_memory(self, container_id: str, size: int) -> None:
        """Its program does it by itself: here it has come so far."""
        row = calls.EngineClient(self.carrier, timedelta(seconds=60)).inspect_container(container_id)
        assert row is not None
        until(lambda: (self.read_memory_use(int(row["State"]["Pid"])) or 0) >= size)

    def handles_term(self, pid: int) -> bool:
        """Whether a process has come so far that it catches TERM, or has a child to pass it on to."""
        process = Path("/proc", str(pid))
        lines = (process / "status").read_text(encoding="utf-8").splitlines()
        caught = next(line.split()[1] for line in lines if line.startswith("SigCgt"))
        children = (process / "task" / str(pid) / "children").read_text(encoding="utf-8")
        return bool(children) or bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


class SimWorld:
    """A simulated Engine on the real clock."""

    def __init__(self) -> None:
        self.engine = sim_engine.SimEngine(lambda: datetime.now(UTC))
        self.engine.cgroups = self.tree = sim_cgroups.Tree()
        self.engine.runtimes.add(dockerd_support.RUNTIME)
        self.carrier: transport.Transport = self.engine
        self.subnet = "172.28.0.0/24"
        self.slices = "wharf"
        for number, reference in enumerate((IMAGE, OTHER_IMAGE), 1):
            image = SimImage("sha256:" + self.engine.new_id(), labels={"sample": str(number)})
            self.engine.add_image(reference, image)

    def read_limits(self, pid: int) -> observed.Limits:
        return self.engine.read_limits(pid)

    def read_memory_use(self, pid: int) -> int | None:
        return self.engine.read_memory_use(pid)

    def listening(self, pid: int) -> frozenset[int]:
        return self.engine.listening(pid)

    def bounding(self, pid: int | None = None) -> frozenset[str]:
        return self.engine.bounding(pid) if pid else self.engine.capabilities

    def cgroup(self, pid: int) -> str:
        return self.engine.cgroup(pid)

    def remove_cgroup(self, cgroup: str) -> None:
        self.tree.remove(cgroup)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def seconds(self) -> float:
        return self.engine.seconds

    def break_source(self, path: Path) -> None:
        self.engine.missing_paths.add(str(path))

    def take_port(self, port: int) -> Iterator[None]:
        self.engine.host_ports.add(port)
        yield
        self.engine.host_ports.discard(port)

    def restart(self, killed: str = "") -> None:
        if killed:
            self.end_process(killed)
        self.engine.restart()

    def end_process(self, container_id: str) -> None:
        container = self.engine.find(container_id)
        if container is not None and container.running:
            self.engine.exit(container_id, 137)

    def fill_memory(self, container_id: str) -> None:
        self.engine.exit(container_id, 137, oom_killed=True)

    def hold_memory(self, container_id: str, size: int) -> None:
        container = self.engine.find(container_id)
        assert container is not None
        container.memory_use = size

    def handles_term(self, pid: int) -> bool:
        return True


class Backend:
    """One Engine, and short words for what the tests do to it.

    Attributes:
        newer: it is a 26.1, which words some refusals in another way; else a 20.10.
    """

    def __init__(self, world: World, *, newer: bool = False) -> None:
        self.world = world
        self.newer = newer
        self.client = calls.EngineClient(world.carrier, timedelta(seconds=60))

    @cached_property
    def executor(self) -> executor.EngineExecutor:
        return executor.EngineExecutor(
            self.client, self.world.read_limits, self.world.read_memory_use, act.owns
        )

    def observer(self) -> observer.Observer:
        return observer.Observer(
            self.client,
            timedelta(minutes=5),
            timedelta(seconds=15),
            self.world.read_limits,
            self.world.listening,
        )

    def call(
        self, method: str, path: str, body: transport.Row | None = None, **query: str
    ) -> transport.Answer:
        """A raw call; status and text are the claim."""
        request = transport.Request("test", method, path, query, body, timeout=30)
        return self.world.carrier.call(request)

    def create(self, name: str, command: list[str] | None = None, **body: Any) -> str:  # noqa: ANN401 - JSON
        """A container that is not started: `sleep` under docker-init unless told otherwise."""
        host = {"Init": True, **body.pop("HostConfig", {})}
        whole = {"Image": IMAGE, "Cmd": command or SLEEP, "HostConfig": host, **body}
        return self.client.create_container(name, whole)

    def run(self, name: str, command: list[str] | None = None, **body: Any) -> str:  # noqa: ANN401 - JSON
        """A started container."""
        container_id = self.create(name, command, **body)
        self.client.start(container_id)
        return container_id

    def inspect(self, name_or_id: str) -> transport.Row:
        row = self.client.inspect_container(name_or_id)
        assert row is not None, name_or_id
        return row

    def listed(self, container_id: str) -> transport.Row | None:
        return next((row for row in self.client.list_containers() if row["Id"] == container_id), None)

    def status(self, container_id: str) -> str:
        return str(self.inspect(container_id)["State"]["Status"])

    def pid(self, container_id: str) -> int:
        return int(self.inspect(container_id)["State"]["Pid"])

    def facts(self) -> parsing.HostFacts:
        return parsing.parse_facts(self.client.info())

    def events(self, since: datetime) -> list[transport.Row]:
        """What the Engine tells of the time since then."""
        return list(self.client.events(since, self.facts().time))

    @contextmanager
    def elapsed(self) -> Iterator[Callable[[], float]]:
        """Seconds of the Engine's own time since here."""
        begin = self.world.seconds()
        yield lambda: self.world.seconds() - begin

    @contextmanager
    def taken(self, port: int) -> Iterator[None]:
        """Somebody on the host listens on a port."""
        yield from self.world.take_port(port)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], object]) -> None:
    """Wait for something that must come true."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "the deadline is over"
        time.sleep(0.02)
