"""Knows the GPUs of a simulated host as they truly are: which there are, who has access, who uses them.

It refuses to tell anybody but the judge: what a controller sees of them is for `gpu_room`.
"""

import random
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from controller.api import labels
from controller.model.gpus import Ailment, Device, Process, Trouble, Wish
from tests.simulation.engine import Asker
from tests.support.sim_container import SimContainer

if TYPE_CHECKING:
    from tests.simulation.engine import WatchedEngine

GIB: Final = 1 << 30
REPORTED_FOR: Final = timedelta(seconds=60)
"""So long a reader tells of what a device reported once."""


@dataclass(frozen=True, slots=True)
class Build:
    """What a host has.

    Attributes:
        memory: of each GPU, in GiB.
        divided: the instances of a GPU, by its index.
        cdi: its Engine attaches devices by CDI; else by NVIDIA's hook.
        eager: its usual runtime reads the environment of every container, as NVIDIA's does.
    """

    memory: tuple[int, ...]
    divided: Mapping[int, tuple[str, ...]]
    cdi: bool
    eager: bool = False


BUILDS: Final = (
    Build((40, 80), {}, cdi=True),
    Build((40, 40, 80), {}, cdi=False),
    Build((80, 40), {0: ("3g.40gb", "1g.10gb", "1g.10gb")}, cdi=True),
    Build((80, 40), {0: ("1g.10gb", "1g.10gb")}, cdi=False, eager=True),
)
"""Kinds of hosts with GPUs; a scenario names one by its number, from 1."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A process that uses a device and is in no container that is there: of the host, or a survivor."""

    device: str
    pid: int
    since: datetime
    container_id: str = ""
    command: str = "python"


@dataclass(frozen=True, slots=True)
class Beside:
    """Somebody who had access to a device when it was given to another one, or a claim to it.

    Attributes:
        what: `ours`, `foreign` (containers that run), `made` (ours, never started) or `process`.
        since: when that began, in true time; `by`: who began it.
        first: its container had never run before.
        listed: the Engine's list shows it.
        kin: it is of the GPU of an instance, or an instance of the GPU.
    """

    what: str
    name: str
    workspace: str
    devices: frozenset[str]
    since: datetime
    by: Asker | None = None
    first: bool = False
    listed: bool = True
    kin: bool = False


@dataclass(frozen=True, slots=True)
class Given:
    """A container was started with devices by a controller."""

    at: datetime
    name: str
    workspace: str
    devices: frozenset[str]
    granted: frozenset[str]
    by: Asker
    first: bool
    beside: tuple[Beside, ...]


@dataclass(frozen=True, slots=True)
class _Run:
    """The latest run of a container, for its devices."""

    devices: frozenset[str]
    by: Asker
    since: datetime
    first: bool


class Board:
    """The GPUs of one host.

    Attributes:
        devices: those that are there, by UUID.
        tenants: processes that no container of the Engine's has.
        severed: containers that cannot open their devices any more, by full id.
        troubles: what lasts, by GPU and ailment; `reported`: what was told once, with its true time.
        silence: why the driver gives no answer, or empty; `slow`: it gives none for now, and is waited for.
        mismatch: the driver was upgraded; `shy`: it does not tell who uses devices.
        cordons: since when a device is out of use by a person's word, in true time.
        given: starts with devices by controllers that are not judged yet.
    """

    def __init__(self, number: int, engine: "WatchedEngine", true_time: Callable[[], datetime]) -> None:
        self._engine, self._true_time = engine, true_time
        self._uuids = 0
        self._pids = 0
        self.devices: dict[str, Device] = {}
        self.known: dict[str, Device] = {}
        self.tenants: list[Tenant] = []
        self.severed: set[str] = set()
        self.troubles: dict[tuple[str, Ailment], Trouble] = {}
        self.reported: list[tuple[datetime, Trouble]] = []
        self.hidden: dict[str, Device] = {}
        self.silence = ""
        self.slow = self.mismatch = self.shy = False
        self.cordons: dict[str, datetime] = {}
        self.ailed: dict[str, tuple[datetime, datetime]] = {}
        self.given: list[Given] = []
        self._runs: dict[str, _Run] = {}
        self._made: dict[str, datetime] = {}
        build = BUILDS[number - 1]
        for index, memory in enumerate(build.memory):
            uuid = self._uuid("GPU")
            whole = Device(uuid, "SIMULATED H100", memory * GIB, str(index), minor=index)
            self._put(replace(whole, divided=index in build.divided))
            self.divide(uuid, build.divided.get(index, ()))
        engine.gpus.nvidia, engine.gpus.cdi = True, build.cdi
        engine.runtimes.add("nvidia")
        engine.gpus.runtime = "nvidia" if build.eager else "runc"
        engine.on_gpus = self._note
        self._tell_engine()

    def _uuid(self, kind: str) -> str:
        self._uuids += 1
        return f"{kind}-{self._uuids:08x}-0000-4000-8000-000000000000"

    def _put(self, device: Device) -> None:
        self.devices[device.uuid] = self.known[device.uuid] = device

    def new_pid(self) -> int:
        """A pid that no container has."""
        self._pids += 1
        return 4000 + self._pids

    def _tell_engine(self) -> None:
        names = {uuid: uuid for uuid in self.devices}
        names |= {one.index: one.uuid for one in self.devices.values() if one.parent is None}
        self._engine.gpus.nodes = names

    # what people and the driver do with devices

    def divide(self, whole: str, profiles: Collection[str]) -> None:
        """Make the instances of a GPU anew, with UUIDs that nobody had."""
        device = self.devices[whole]
        for uuid in [one.uuid for one in self.devices.values() if one.parent == whole]:
            del self.devices[uuid]
        for place, profile in enumerate(profiles):
            memory = int(profile.partition(".")[2].removesuffix("gb")) * GIB
            index = f"{device.index}:{place}"
            new = Device(self._uuid("MIG"), device.model, memory, index, parent=whole, profile=profile)
            self._put(new)
        self._tell_engine()

    def renumber(self, chance: random.Random) -> None:
        """The host starts anew: nothing uses a device, nothing ails the driver, and indexes are others."""
        wholes = sorted(uuid for uuid, one in self.devices.items() if one.parent is None)
        order = list(range(len(wholes)))
        chance.shuffle(order)
        for uuid, index in zip(wholes, order, strict=True):
            self._put(replace(self.devices[uuid], index=str(index), minor=index))
            for part in [one for one in self.devices.values() if one.parent == uuid]:
                place = part.index.partition(":")[2]
                self._put(replace(part, index=f"{index}:{place}"))
        self.tenants.clear()
        self.severed.clear()
        self.mismatch = False
        self.silence = ""
        self._tell_engine()

    def hide(self, whole: str) -> None:
        """A GPU falls off the bus, and no list has it or its instances."""
        for uuid in [one.uuid for one in self.devices.values() if one.whole == whole]:
            self.hidden[uuid] = self.devices.pop(uuid)
        self._tell_engine()

    def show(self) -> None:
        """All GPUs are there again."""
        self.devices |= self.hidden
        self.hidden.clear()
        self._tell_engine()

    def cure(self, uuid: str, ailment: Ailment) -> None:
        """What ailed a device is gone."""
        self.troubles.pop((uuid, ailment), None)

    def heal(self) -> None:
        """Nothing is wrong with the devices and their driver any more, and no stranger uses one."""
        self.show()
        self.tenants.clear()
        self.troubles.clear()
        self.reported.clear()
        self.silence = ""
        self.slow = self.mismatch = self.shy = False

    # who has what

    def units(self, uuids: Collection[str]) -> frozenset[str]:
        """What only one can have of some devices: a GPU has those of its instances, too."""
        parts = (one.uuid for one in self.known.values() if one.parent in uuids)
        return frozenset((*uuids, *parts))

    def holds(self, container: SimContainer) -> frozenset[str]:
        """The devices that a container has while it runs; access that was lost may come back."""
        run = self._runs.get(container.id)
        return run.devices if run is not None and container.running else frozenset()

    def users(self) -> Iterator[Process]:
        """All processes that use a device, as the driver has them."""
        for container in self._engine.containers.values():
            if container.pid:
                for uuid in sorted(self.holds(container) & self.devices.keys()):
                    yield Process(uuid, container.pid, GIB, container.id, "1000", "python")
        for tenant in self.tenants:
            if tenant.device in self.devices:
                yield Process(tenant.device, tenant.pid, GIB, tenant.container_id, "alice", tenant.command)

    def in_use(self, uuids: Collection[str]) -> bool:
        """Whether anything runs on any of some devices."""
        units = self.units(uuids)
        held = (self.units(self.holds(container)) for container in self._engine.containers.values())
        return any(units & one for one in held) or any(units & self.units({t.device}) for t in self.tenants)

    def free(self, wish: Wish, workspace: str, wishes: Mapping[str, Wish], poisoned: str) -> list[str]:
        """The devices that a workspace could have, by what is true, once nothing ails them.

        One that is poisoned may have to come back to what its stopped container has.
        """
        return [
            uuid
            for uuid, one in self.devices.items()
            if self._suits(one, wish)
            and not {uuid, one.whole} & self.cordons.keys()
            and not self._is_barred(wish, workspace, uuid, wishes, poisoned)
        ]

    def _suits(self, device: Device, wish: Wish) -> bool:
        if device.divided or (wish.uuids and device.uuid not in wish.uuids):
            return False
        of_kind = device.profile == wish.profile or (wish.profile is None and (wish.all or wish.uuids))
        return bool(of_kind) and device.memory >= wish.memory

    def _is_barred(
        self, wish: Wish, workspace: str, uuid: str, wishes: Mapping[str, Wish], poisoned: str
    ) -> bool:
        """Tell whether others keep a workspace from having a device."""
        seats = 0
        for container in self._engine.containers.values():
            owner = self._engine.owner(container)
            kept = owner == poisoned or (container.id not in self._runs and _is_main(container, owner))
            held = self.holds(container) or (_granted(container) if kept and owner else frozenset())
            if uuid not in self.units(held) or owner == workspace:
                continue
            theirs = wishes.get(owner)
            if theirs is None or not (theirs.shared and wish.shared):
                return True
            seats += not theirs.all
        return any(one.device == uuid for one in self.tenants) or (not wish.all and seats >= wish.sharers)

    def ailments(self) -> tuple[Trouble, ...]:
        """What is wrong now, and what was reported not long ago."""
        now = self._true_time()
        self.reported = [(at, one) for at, one in self.reported if now - at < REPORTED_FOR]
        return (*self.troubles.values(), *(one for _, one in self.reported))

    # what is witnessed

    def _note(self, container: SimContainer, what: str, asker: Asker) -> None:
        if what == "create":
            self._made[container.id] = self._true_time()
        elif what == "start":
            self._started(container, asker)

    def _started(self, container: SimContainer, asker: Asker) -> None:
        first, now = container.id not in self._runs, self._true_time()
        self._runs[container.id] = _Run(frozenset(container.nodes), asker, now, first)
        self.severed.discard(container.id)
        granted = _granted(container)
        if asker.by != "controller" or not (container.nodes or granted):
            return
        owner = self._engine.owner(container)
        held = frozenset(container.nodes)
        beside = tuple(self._beside(container, owner, held))
        self.given.append(Given(now, container.name, owner, held, granted, asker, first, beside))

    def _beside(self, started: SimContainer, owner: str, held: frozenset[str]) -> Iterator[Beside]:
        units = self.units(held)
        for container in self._engine.containers.values():
            if container is not started:
                yield from self._of_container(container, owner, held, units)
        for tenant in self.tenants:
            if self.units({tenant.device}) & units:
                kin = tenant.device not in held
                yield Beside(
                    "process", str(tenant.pid), "", frozenset({tenant.device}), tenant.since, kin=kin
                )

    def _of_container(
        self, container: SimContainer, owner: str, held: frozenset[str], units: frozenset[str]
    ) -> Iterator[Beside]:
        workspace = self._engine.owner(container)
        run = self._runs.get(container.id)
        if workspace and workspace == owner:
            return
        if container.running and run is not None and self.units(run.devices) & units:
            what = "ours" if workspace else "foreign"
            kin = not run.devices & held
            yield Beside(
                what,
                container.name,
                workspace,
                run.devices,
                run.since,
                run.by,
                run.first,
                self._engine.shows_running(container),
                kin,
            )
        elif run is None and _is_main(container, workspace) and self.units(_granted(container)) & units:
            since = self._made.get(container.id)
            if since is not None:
                granted = _granted(container)
                kin = not granted & held
                yield Beside("made", container.name, workspace, granted, since, kin=kin)


def _is_main(container: SimContainer, workspace: str) -> bool:
    """Whether it has the name that a workspace's container is started under; a kept one has another."""
    return bool(workspace) and container.name == labels.container_name(workspace)


def _granted(container: SimContainer) -> frozenset[str]:
    """The devices that a container's label names."""
    label = container.config["Labels"].get(labels.GPUS, "")
    return frozenset(label.split(",")) if label else frozenset()
