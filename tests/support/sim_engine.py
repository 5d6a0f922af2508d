"""Knows how a Docker Engine 20.10 behaves at its HTTP API, in memory and on a clock of the test's own.

It refuses to be a mock: it has no expectations, only a world. It passes tests/contract beside a real
dockerd. It is a `transport.Transport`: give it to `calls.EngineClient`.
"""

import hashlib
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from controller.api.conditions import Reason
from controller.engine import transport
from controller.engine.transport import Answer
from controller.model import errors, observed
from tests.support import (
    sim_cgroups,
    sim_events,
    sim_gpus,
    sim_images,
    sim_networks,
    sim_routes,
    sim_security,
    sim_signals,
    sim_updates,
)
from tests.support.sim_container import SimContainer, SimImage, stamp

BUILT_IN_NETWORK = "bridge"


@dataclass
class Fault:
    """One planned failure: the next `times` calls of an operation get no answer, or this one.

    Attributes:
        applied: the Engine carries the call out all the same.
    """

    operation: str
    applied: bool = False
    silence: transport.Silence = transport.Silence.TIMEOUT
    answer: Answer | None = None
    times: int = 1


class SimEngine:
    """One simulated Engine; safe for threads.

    Attributes:
        down: nobody listens on the socket.
        disk_full: changes of state do not reach the list.
        crowded: its disk is above the high watermark, and works.
        runtimes: names of those that it has.
        gpus: the devices that it can give.
        cgroup_driver: who makes its cgroups.
        cgroups: what the starts and ends of containers do to those of the host.
        capabilities: what the kernel gives the Engine, and it can give away.
        stuck: ids whose inspect hangs.
        missing_paths: host paths that do not exist.
        host_ports: ports on which others on the host listen.
        registry: what can be pulled, by tag or digest.
        silent_registries: addresses on which nobody listens.
        images, digests: by tag, and by the digest that a registry gave it with.
        calls: operations so far, in order.
        seconds: how long calls have taken in all, in the Engine's own time.
    """

    def __init__(self, clock: Callable[[], datetime], *, cpus: int = 2, memory: int = 24 * 2**30) -> None:
        self.clock = clock
        self.cpus, self.memory = cpus, memory
        self.engine_id = "SIMU:LATE:DENG:INE0"
        self.down = False
        self.disk_full = False
        self.crowded = False
        self.live_restore = True
        self.runtimes = {"runc", "io.containerd.runc.v2"}
        self.gpus = sim_gpus.SimGpus()
        self.cgroup_driver = "cgroupfs"
        self.cgroups: sim_cgroups.Cgroups = sim_cgroups.Tree()
        self.capabilities = frozenset(sim_security.KERNEL)
        self.stuck: set[str] = set()
        self.missing_paths: set[str] = set()
        self.host_ports: set[int] = set()
        self.registry: dict[str, SimImage] = {}
        self.silent_registries: set[str] = set()
        self.faults: list[Fault] = []
        self.calls: list[str] = []
        self.seconds = 0.0
        self.garbage_events = 0
        self.containers: dict[str, SimContainer] = {}
        self.images: dict[str, SimImage] = {}
        self.digests: dict[str, SimImage] = {}
        self.networks: dict[str, dict[str, Any]] = {}
        self.events = sim_events.SimEvents(clock)
        self._replica: dict[str, dict[str, Any]] = {}
        self._numbers = itertools.count(1)
        self._pids = itertools.count(1)
        self._lock = threading.RLock()
        self.add_network(BUILT_IN_NETWORK, {})

    # transport

    def call(self, request: transport.Request) -> Answer:
        """One call; see `transport.Transport`."""
        with self._lock:
            self.calls.append(request.operation)
            if self.down:
                raise transport.UnansweredError(transport.Silence.REFUSED, "connection refused")
            fault = self._fault(request.operation)
            if fault is not None and not fault.applied:
                return self._fail(fault)
            before = self.seconds
            answer = sim_routes.answer(self, request)
            if fault is not None:
                return self._fail(fault)
            if self.seconds - before > request.timeout:
                raise transport.UnansweredError(transport.Silence.TIMEOUT, "timed out")
            return answer

    def stream(self, request: transport.Request) -> transport.Stream | Answer:
        """Events and pulls; see `transport.Transport`."""
        with self._lock:
            self.calls.append(request.operation)
            if self.down:
                raise transport.UnansweredError(transport.Silence.REFUSED, "connection refused")
            fault = self._fault(request.operation)
            if fault is not None:
                return self._fail(fault)
            if request.operation == "events":
                since, until = (float(request.query[key]) for key in ("since", "until"))
                return self.events.stream(since, until, self._take_garbage)
            return sim_images.pull(self, request.query["fromImage"], request.query["tag"])

    def close(self) -> None:
        """Nothing is open."""

    def _fault(self, operation: str) -> Fault | None:
        for fault in self.faults:
            if fault.operation == operation and fault.times > 0:
                fault.times -= 1
                return fault
        return None

    def _fail(self, fault: Fault) -> Answer:
        if fault.answer is not None:
            return fault.answer
        raise transport.UnansweredError(fault.silence, f"planned: {fault.silence}")

    def _take_garbage(self) -> bool:
        taken = self.garbage_events > 0
        self.garbage_events -= taken
        return taken

    # the kernel

    def read_limits(self, pid: int) -> observed.Limits:
        """What the simulated kernel enforces on a process."""
        return self._process(pid).kernel

    def read_memory_use(self, pid: int) -> int | None:
        """Bytes that a simulated process holds; None if there is no such process."""
        try:
            return self._process(pid).memory_use
        except errors.Retryable:
            return None

    def cgroup(self, pid: int) -> str:
        """Which cgroup a simulated process is in."""
        process = self._process(pid)
        return f"{sim_cgroups.parent(process)}/{process.id}"

    def bounding(self, pid: int) -> frozenset[str]:
        """Capabilities beyond which no program of a simulated process comes."""
        return sim_security.bounding(self._process(pid).host_config)

    def nodes(self, pid: int) -> frozenset[str]:
        """Paths of the nodes of devices that a simulated process can open."""
        return self._process(pid).nodes

    def visible(self, pid: int) -> str | None:
        """NVIDIA_VISIBLE_DEVICES in the environment of a simulated process."""
        return sim_gpus.visible(self._process(pid))

    def take_access(self, pid: int, node: str) -> None:
        """From now on a simulated process cannot open a node that it was given, until its next start."""
        process = self._process(pid)
        process.nodes -= {node}

    def read_disk(self, path: str, now: datetime) -> observed.Disk | observed.Unseen:
        """How full the simulated disk is."""
        del now
        used = 95 if self.crowded else 50
        return observed.Disk(path, 100 << 30, used << 30, (100 - used) << 30, pressed=self.crowded)

    def listening(self, pid: int) -> frozenset[int]:
        """Ports on which a simulated process listens."""
        return self._process(pid).listens()

    def _process(self, pid: int) -> SimContainer:
        for container in self.containers.values():
            if container.pid == pid and pid:
                return container
        raise errors.Retryable(Reason.NOT_SEEN, f"no process {pid}")

    # the world, for tests and for sim_routes

    def new_id(self) -> str:
        """64 hex digits, the same in every run."""
        return hashlib.sha256(f"sim-{next(self._numbers)}".encode()).hexdigest()

    def new_pid(self) -> int:
        """A host pid, the same in every run."""
        return 1_000_000 + next(self._pids)

    def find(self, name_or_id: str) -> SimContainer | None:
        """By full id, then by name, then by a prefix of an id, as the Engine does."""
        if name_or_id in self.containers:
            return self.containers[name_or_id]
        wanted = name_or_id.removeprefix("/")
        named = [item for item in self.containers.values() if item.name == wanted]
        prefixed = [item for key, item in self.containers.items() if key.startswith(wanted)]
        found = named or (prefixed if len(prefixed) == 1 else [])
        return found[0] if found else None

    def get(self, name: str) -> SimContainer:
        """The container of this name; the test knows that it is there."""
        container = self.find(name)
        assert container is not None, f"no container {name}"
        return container

    def add_image(self, reference: str, image: SimImage | None = None) -> str:
        """Put a tag on an image (by default a new one), as `docker load` or `docker tag` do; its id."""
        image = image or SimImage("sha256:" + self.new_id())
        self.images[sim_images.tagged(reference)] = image
        for container in self.containers.values():
            self.checkpoint(container)
        self.events.publish("image", "tag", image.id, {"name": reference})
        return image.id

    def remove_image(self, reference: str) -> None:
        """Untag, as `docker rmi` does."""
        image = sim_images.untag(self, reference)
        self.events.publish("image", "untag", image.id, {"name": reference})

    def find_image(self, reference: str) -> SimImage | None:
        """By reference or by id; the image of a container stays while that does."""
        return sim_images.find(self, reference)

    def add_network(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        """Make a network."""
        network: dict[str, Any] = {
            "Name": name,
            "Id": self.new_id(),
            "Driver": body.get("Driver") or "bridge",
            "IPAM": body.get("IPAM") or {"Config": []},
            "Options": body.get("Options") or {},
        }
        self.networks[name] = network
        self.events.publish("network", "create", network["Id"], {"name": name})
        return network

    def checkpoint(self, container: SimContainer) -> None:
        """Bring a change to the list, unless the disk is full."""
        if self.disk_full or container.id not in self.containers:
            return
        reference = str(container.config["Image"])
        image = self.find_image(reference)
        shown = reference if image is not None and image.id == container.image_id else container.image_id
        self._replica[container.id] = container.listed(shown)

    def rows(self) -> list[dict[str, Any]]:
        """The list's copy, newest first."""
        return [dict(row) for key, row in reversed(self._replica.items()) if key in self.containers]

    def publish(self, container: SimContainer, action: str, **attributes: str) -> None:
        """An event of a container: labels overwrite the event's own attributes, but not name and image."""
        named = {"image": str(container.config["Image"]), "name": container.name}
        merged = {**attributes, **container.config["Labels"], **named}
        self.events.publish("container", action, container.id, merged)

    # people, and what happens by itself

    def by_hand(
        self, method: str, path: str, query: dict[str, str] | None = None, body: transport.Row | None = None
    ) -> Answer:
        """Any call by somebody else with the socket; not in `calls`."""
        with self._lock:
            return sim_routes.answer(self, transport.Request("by_hand", method, path, query or {}, body))

    def exit(self, name: str, code: int = 0, *, oom_killed: bool = False) -> None:
        """The main process ends by itself, or by a signal from outside; a frozen one when it is thawed."""
        with self._lock:
            container = self.get(name)
            if container.status == "paused":
                container.doom = code
                return
            container.oom_killed = oom_killed
            if oom_killed:
                self.publish(container, "oom")
            self.end(container, code)

    def end(self, container: SimContainer, code: int) -> None:
        """The main process is gone."""
        container.status, container.exit_code, container.pid = "exited", code, 0
        container.doom = None
        container.finished = self.clock()
        self.cgroups.leave(sim_cgroups.parent(container), container.id)
        self.publish(container, "die", exitCode=str(code))
        sim_networks.detach(self, container)
        self.checkpoint(container)

    def set_health(self, name: str, health: str) -> None:
        """The image's health check has this result now."""
        with self._lock:
            container = self.get(name)
            container.health = health
            self.publish(container, f"health_status: {health}")
            self.checkpoint(container)

    def restart(self) -> None:
        """`kill -9` of the daemon and its start: without live restore it ends what survived it.

        Then it starts what its policies say, as if a person had stopped what it ended itself.
        """
        with self._lock:
            self.events.cut()
            self.events.forget()
            for container in self.containers.values():
                if container.running and not self.live_restore:
                    sim_networks.forget(container)
                    sim_signals.end_softly(self, container)
                able = sim_gpus.refuse(self, container) is None
                if not container.running and able and sim_updates.starts_by_policy(container):
                    sim_networks.attach(self, container)
                    sim_updates.run(self, container)
                self.checkpoint(container)

    def info(self) -> dict[str, Any]:
        """The Engine about itself."""
        able = dict.fromkeys(("MemoryLimit", "SwapLimit", "CpuCfsQuota", "CPUSet", "PidsLimit"), True)
        return {
            "ID": self.engine_id,
            "NCPU": self.cpus,
            "MemTotal": self.memory,
            "CgroupDriver": self.cgroup_driver,
            "CgroupVersion": "1",
            "LiveRestoreEnabled": self.live_restore,
            "Runtimes": {name: {"path": "runc"} for name in sorted(self.runtimes)},
            "SecurityOptions": ["name=seccomp,profile=default"],
            "SystemTime": stamp(self.clock()),
            **able,
            **self.gpus.info(),
        }


class ManualClock:
    """A clock that moves only when it is told to."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> datetime:
        self.now += by
        return self.now
