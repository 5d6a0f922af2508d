"""Knows who holds which GPU, and why: rebuilt in each pass from what was seen, so that nothing is remembered.

Refuses to call a device free because it was not looked at: what could not be seen gives nothing to anybody.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from controller.api import labels
from controller.api.conditions import Reason
from controller.model.effective import Effective
from controller.model.gpus import Bystander, GpuView, Process
from controller.model.memory import Memory
from controller.model.observed import Container, ContainerState, EngineView, Unseen
from controller.planning import devices
from controller.planning.case import Blueprint, Ours, is_kept
from controller.planning.claimed import Claim, Hold
from controller.planning.devices import Names

USUAL_HOLD: Final = timedelta(minutes=15)
"""How long devices are kept for a stopped workspace of which nobody knows what its spec says."""
UNANSWERED: Final = timedelta(minutes=5)
"""So long after the next attempt is due the Engine may still start what it gave no answer about."""
_AT_REST: Final = frozenset({ContainerState.CREATED, ContainerState.EXITED})


@dataclass(frozen=True, slots=True)
class Holdings:
    """Who holds what.

    Attributes:
        claims: all of them, in a fixed order.
        blind: why nothing can be given to anybody, or empty: somebody may hold any device.
        next_end: when the first claim ends that is only kept for a workspace that has stopped.
    """

    claims: tuple[Claim, ...] = ()
    blind: str = ""
    next_end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Grounds:
    """What claims are read from.

    Attributes:
        index: our containers by workspace.
        designs: what each workspace gets, or why it gets nothing.
        specs: workspaces that a spec in force asks for.
        monitors: names of containers of others that only watch the GPUs that they were given.
    """

    view: EngineView
    gpus: GpuView
    index: Mapping[str, Ours]
    designs: Mapping[str, object]
    specs: Collection[str]
    memory: Memory
    now: datetime
    monitors: Collection[str] = ()


def held(grounds: Grounds) -> Holdings:
    """Return all claims there are."""
    reader = _Reader(grounds)
    claims = dict.fromkeys(reader.claims())
    return Holdings(tuple(sorted(claims, key=_order)), reader.blind(), min(reader.ends, default=None))


def _order(claim: Claim) -> tuple[str, str, str, str]:
    return claim.uuid, claim.holder, claim.workspace, claim.hold


class _Reader:
    def __init__(self, grounds: Grounds) -> None:
        self._g = grounds
        self.ends: list[datetime] = []
        self._names = Names(grounds.gpus.devices)
        self._ours = {
            container.id: (name, container)
            for name, ours in grounds.index.items()
            for container in ours.all()
        }

    def blind(self) -> str:
        view = self._g.view
        if isinstance(view.bystanders, Unseen) and self._g.gpus.devices:
            return view.bystanders.message
        known = {container.name for container in view.containers.values()}
        lost = sorted(view.unknown - known)
        if lost:
            return f"the container {lost[0]} cannot be inspected, and may have any device"
        if self._g.gpus.processes is None:
            return "the driver does not tell which processes use the devices, so none is known to be free"
        return ""

    def claims(self) -> Iterator[Claim]:
        for name, ours in self._g.index.items():
            for container in ours.all():
                if devices.has_any(container) and self._counts(name, ours, container):
                    yield from self._of_ours(name, container)
        yield from self._of_strangers()
        for intent in self._g.memory.open_intents:
            hold = self._hold(intent.workspace)
            for uuid in intent.gpus:
                yield Claim(uuid, f"workspace {intent.workspace}", intent.workspace, hold)
        for process in self._g.gpus.processes or ():
            yield from self._of_process(process)

    def _counts(self, name: str, ours: Ours, container: Container) -> bool:
        """Tell whether a container holds its devices."""
        memory = self._g.memory
        if container.state not in _AT_REST or container.name in self._g.view.unknown:
            return True  # it runs, or may, or nobody knows
        begun, back = memory.replacements.get(name), memory.rollbacks.get(name)
        if container.id in {begun.old_id if begun else "", back.to_id if back else ""}:
            return self._is_held(name, container)  # it may have to come back, but not for ever
        if is_kept(container, memory):
            return False
        if container.started_at is None:
            return True  # it was made with them in order to be started
        in_use = ours.main or ours.strays(memory)[0]  # somebody renamed it
        return container is in_use and self._is_held(name, container)

    def _is_held(self, name: str, container: Container) -> bool:
        """Tell whether the devices of a workspace that has stopped are kept for it."""
        ended, ends = container.finished_at, []
        if name in self._g.specs and ended is not None:
            effective = self._effective(name)
            wants = effective is None or effective.gpu is not None
            hold = USUAL_HOLD if effective is None else effective.gpu_hold
            ends += [ended + hold] if wants else []
        wait, main = self._g.memory.backoffs.get(name), self._g.index[name].main
        if wait is not None and wait.reason is Reason.OUTCOME_UNKNOWN and container is main:
            ends.append(wait.next_attempt + UNANSWERED)  # what was asked for may be done late, a start too
        latest = [end for end in ends if self._g.now < end]
        self.ends += [max(latest)] if latest else []
        return bool(latest)

    def _of_ours(self, name: str, container: Container) -> Iterator[Claim]:
        attached, runtime = container.configuration.gpus, container.configuration.runtime
        meant = self._names.meant(attached, honours="nvidia" in runtime)
        hold = self._hold(name)
        for uuid in meant.union(devices.of(container)):
            yield Claim(uuid, f"workspace {name}", name, hold)

    def _of_strangers(self) -> Iterator[Claim]:
        """Others but monitors hold what they run with; one labelled like ours also what it was made with."""
        view = self._g.view
        bystanders: Mapping[str, Bystander] = {} if isinstance(view.bystanders, Unseen) else view.bystanders
        for stranger in bystanders.values():
            watches = stranger.name in self._g.monitors
            if stranger.running and not watches and stranger.id not in self._ours:
                meant = self._names.meant(stranger.attached, honours=stranger.honours)
                yield from self._foreign(meant, f'container "{stranger.name}" (not ours)')
        for container in view.containers.values():
            if container.id in self._ours or not devices.has_any(container):
                continue
            alike = labels.WORKSPACE in container.labels and container.started_at is None
            if alike or container.state not in _AT_REST:
                honours = "nvidia" in container.configuration.runtime
                meant = self._names.meant(container.configuration.gpus, honours=honours)
                yield from self._foreign(meant, f'container "{container.name}" (not ours)')

    def _foreign(self, meant: frozenset[str], holder: str) -> Iterator[Claim]:
        for uuid in meant:
            yield Claim(uuid, holder)

    def _of_process(self, process: Process) -> Iterator[Claim]:
        """A process holds its device, wherever it runs; one of a container of ours does so for it."""
        ours = self._ours.get(process.container_id)
        if ours is not None:
            name, container = ours
            if not self._has_part_of(container, process.device):
                yield Claim(process.device, f"workspace {name}", name, self._hold(name))
            return
        bystanders = self._g.view.bystanders
        known = None if isinstance(bystanders, Unseen) else bystanders.get(process.container_id)
        if known is not None:
            yield Claim(process.device, f'container "{known.name}" (not ours)')
            return
        command = f" ({process.command})" if process.command else ""
        where = f" in container {process.container_id[:12]}" if process.container_id else ""
        by = f" of {process.user}" if process.user else ""
        yield Claim(process.device, f"process {process.pid}{command}{by}{where}")

    def _has_part_of(self, container: Container, uuid: str) -> bool:
        """Tell whether a container was granted an instance of a GPU, in which its processes are then."""
        known = self._g.gpus.devices
        return any(known[one].parent == uuid for one in devices.of(container) if one in known)

    def _hold(self, name: str) -> Hold:
        effective = self._effective(name)
        return Hold.ALONE if effective is None or effective.gpu is None else Hold.of(effective.gpu)

    def _effective(self, name: str) -> Effective | None:
        design = self._g.designs.get(name)
        return design.effective if isinstance(design, Blueprint) else None
