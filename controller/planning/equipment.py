"""Knows which GPUs a workspace needs for what is about to be done with it, and how they would reach it.

Refuses to decide about a workspace, and to give anything while it is not known who holds what.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Final

from controller.api.conditions import Reason
from controller.api.config import GpuAttach
from controller.model.actions import CreateContainer, StartContainer
from controller.model.effective import Effective, Refusal
from controller.model.gpus import AccessState, Attachment, Driver, GpuView, Wish
from controller.model.memory import Memory
from controller.model.observed import Container, EngineView, Seen, Unseen
from controller.model.plan import Decision, Note, Verdict
from controller.planning import allocation, devices, fencing, gear, holdings, replacement
from controller.planning.allocation import Allotment, Waiting
from controller.planning.case import Blueprint, Ours, Rules
from controller.planning.claimed import Claim, Hold, Holders
from controller.planning.fitting import Stock
from controller.planning.gear import Gear, Shortage
from controller.planning.queueing import Request
from controller.planning.regranting import has_run

_NOTHING: Final = Ours()
_ANY_NUMBER: Final = 1 << 30
QUEUED: Final = frozenset({Reason.GPU_QUEUED, Reason.OWN_GPU_BUSY})
"""Reasons of those who are in the queue."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What of one pass the equipment of workspaces rests on."""

    gpus: Seen[GpuView] | Unseen
    view: EngineView
    index: Mapping[str, Ours]
    designs: Mapping[str, Blueprint | Refusal]
    specs: Collection[str]
    memory: Memory
    rules: Rules
    now: datetime


@dataclass(frozen=True, slots=True)
class Need:
    """What one workspace needs.

    Attributes:
        starts: it needs the very devices of the container that is there; else any for a new one.
        wanted: the workspace asks for devices; else its container only has some, and no others are given.
    """

    request: Request
    starts: bool = False
    wanted: bool = True


class Outfitter:
    """Keeps in mind from pass to pass who wants GPUs and which there are, while that stays the same."""

    def __init__(self) -> None:
        self._designs: Mapping[str, Blueprint | Refusal] | None = None
        self._wishing: frozenset[str] = frozenset()
        self._stock = gear.EMPTY

    def equipment(self, sight: Sight) -> "Equipment | None":
        """Return what there is to give, None where there is nothing and nobody asks."""
        if sight.designs is not self._designs:
            self._designs = sight.designs
            self._wishing = frozenset(
                name
                for name, design in sight.designs.items()
                if isinstance(design, Blueprint) and design.effective.gpu is not None
            )
        known = sight.gpus.value.devices if isinstance(sight.gpus, Seen) else {}
        if not (self._wishing or known or isinstance(sight.gpus, Unseen)):
            return None
        if known != self._stock.devices:
            self._stock = Stock(known, (), {})
        having = {name for name, ours in sight.index.items() if ours.main is not None and _has(ours)}
        return Equipment(sight, self._stock, self._wishing | having)


def _has(ours: Ours) -> bool:
    return any(devices.has_any(container) for container in ours.all())


class Equipment:
    """The GPUs of one pass.

    Attributes:
        stock: which devices there are; nothing is claimed of it.
        concerned: the workspaces that want or have any.
    """

    def __init__(self, sight: Sight, stock: Stock, concerned: frozenset[str]) -> None:
        self.stock = stock
        self.concerned = concerned
        self._sight = sight
        self._gpus = sight.gpus.value if isinstance(sight.gpus, Seen) else GpuView()

    @cached_property
    def holdings(self) -> holdings.Holdings:
        """Who holds what."""
        sight = self._sight
        return holdings.held(
            holdings.Grounds(
                sight.view,
                self._gpus,
                sight.index,
                sight.designs,
                sight.specs,
                sight.memory,
                sight.now,
                sight.rules.gpu_monitors,
            )
        )

    @cached_property
    def _holders(self) -> Holders:
        return Holders(self.stock.devices, self.holdings.claims)

    @cached_property
    def blocked(self) -> Shortage | None:
        """Why nobody gets any device in this pass."""
        gpus = self._sight.gpus
        if isinstance(gpus, Unseen):
            return Shortage(Verdict.HOLD, gpus.reason, gpus.message)
        if self.holdings.blind:
            return Shortage(Verdict.HOLD, Reason.NOT_SEEN, self.holdings.blind)
        if gpus.value.mismatch:
            return Shortage(Verdict.WAIT, Reason.GPU_DRIVER_MISMATCH, gpus.value.mismatch)
        return None

    @cached_property
    def next_change(self) -> datetime | None:
        """When devices become free though nothing happens: a hold ends, or a fence."""
        memory, after = self._sight.memory, self._sight.rules.gpus_clean_after
        times = [fencing.until(fence, after) for fence in memory.fences.values()]
        times.append(self.holdings.next_end)
        return min((time for time in times if time is not None and time > self._sight.now), default=None)

    def allotment(self, requests: Iterable[Request]) -> Allotment:
        """Return the devices as they are before anybody gets any."""
        memory = self._sight.memory
        withheld = allocation.withheld(memory.cordons, memory.fences)
        claims = self.holdings.claims
        return Allotment(self.stock.devices, claims, withheld, requests, self._sight.now)

    # before anything is given

    def prospect(self, name: str) -> Gear | None:
        """Return what a workspace could do if it had all that it asks for; None where it asks for nothing."""
        if name not in self.concerned:
            return None
        main = self._sight.index.get(name, _NOTHING).main
        if main is None or not main.running or not devices.has_any(main):
            return Gear()
        access = self._gpus.access.get(main.id)
        lost = access.message if access is not None and access.state is AccessState.LOST else ""
        return Gear(lost=lost, notes=tuple(self._notes(name, main)))

    def beyond(self, container: Container) -> tuple[str, ...]:
        """Return nodes of GPUs that a container may open and was not granted, as far as both are known."""
        access, own = self._gpus.access.get(container.id), devices.of(container)
        known = self.stock.devices
        wholes = [known.get(known[uuid].whole) for uuid in own if uuid in known]
        minors = {device.minor for device in wholes if device is not None}
        if access is None or container.configuration.privileged or None in minors or len(wholes) < len(own):
            return ()
        granted = {f"/dev/nvidia{minor}" for minor in minors}
        return tuple(node for node in access.opens if node not in granted)

    def _notes(self, name: str, main: Container) -> list[Note]:
        notes, hold = [], self._hold(name)
        memory, seen = self._sight.memory, isinstance(self._sight.gpus, Seen)
        for uuid in devices.of(main):
            device = self.stock.devices.get(uuid)
            if device is None and seen:
                notes.append(Note(Reason.GPU_UNHEALTHY, f"{uuid} is not there any more"))
            for place in dict.fromkeys((uuid, device.whole if device else uuid)):
                fence, cordon = memory.fences.get(place), memory.cordons.get(place)
                if fence is not None:
                    notes.append(Note(Reason.GPU_UNHEALTHY, f"{place} is out of use: {fence.message}"))
                if cordon is not None and cordon.drain:
                    asks = f"{cordon.by} asks to leave {place}: {cordon.reason}"
                    notes.append(Note(Reason.GPU_DRAINING, asks))
            rivals = self._holders.rivals(uuid, name, hold, _ANY_NUMBER)
            if rivals:
                notes.append(Note(Reason.GPU_CONFLICT, f"{_words(rivals)} has {uuid}, too"))
        return notes

    def _hold(self, name: str) -> Hold:
        effective = self._effective(name)
        return Hold.ALONE if effective is None or effective.gpu is None else Hold.of(effective.gpu)

    # what is needed

    def need(self, name: str, decision: Decision) -> Need | None:
        """Return which devices are needed for what was decided, None for none."""
        effective = self._effective(name)
        if name not in self.concerned or effective is None or not _uses(decision):
            return None
        memory = self._sight.memory
        asks = Request(
            name, effective.gpu or Wish(), effective.priority, waiting_since=memory.gpu_waits.get(name)
        )
        ours = self._sight.index.get(name, _NOTHING)
        if _makes(decision):
            return None if effective.gpu is None else Need(replace(asks, own=self._sticky(name, ours)))
        if ours.main is None or not devices.has_any(ours.main):
            return None
        own = devices.given(ours.main, self.stock.devices)
        wish = effective.gpu or Wish(count=len(own))
        return Need(
            replace(asks, wish=wish, own=own, must_own=has_run(ours.main)),
            starts=True,
            wanted=effective.gpu is not None,
        )

    def _sticky(self, name: str, ours: Ours) -> tuple[str, ...]:
        """Return what it had before: of its container, or of the one that makes way."""
        begun = self._sight.memory.replacements.get(name)
        before = [c for c in ours.others if begun is not None and c.id == begun.old_id]
        basis = ours.main or next(iter((*before, *ours.running(), *ours.others)), None)
        return () if basis is None else devices.of(basis)

    def rivals(self, request: Request) -> str:
        """Return who else claims the devices that a container was made with, in words, or nothing."""
        hold, sharers = Hold.of(request.wish), request.wish.sharers
        found = [
            claim
            for uuid in request.own
            for claim in self._holders.rivals(uuid, request.workspace, hold, sharers)
        ]
        return _words(found)

    # what is given

    def attachment(self, uuids: tuple[str, ...]) -> Attachment:
        """Return how devices reach a container: by CDI where the Engine can, else by NVIDIA's hook."""
        known, cdi = self.stock.devices, self._sight.view.cdi
        names = tuple(devices.cdi_name(known[uuid]) for uuid in uuids)
        offered = cdi is not None and (not cdi or cdi.issuperset(names))
        named = any(known[uuid].cdi is not None for uuid in uuids)
        match self._sight.rules.gpu_attach:
            case GpuAttach.AUTO:
                by_cdi = named or offered
            case way:
                by_cdi = way is GpuAttach.CDI
        if by_cdi:
            return Attachment(Driver.CDI, uuids, names)
        return Attachment(Driver.NVIDIA, uuids, uuids)

    def shortage(self, waiting: Waiting) -> Shortage:
        """Return why a request is not met."""
        verdict = Verdict.WAIT if waiting.reason in QUEUED else Verdict.HOLD
        return Shortage(verdict, waiting.reason, waiting.message)

    def is_approved(self, decision: Decision) -> bool:
        """Tell whether a person let go exactly what was decided."""
        approval = self._sight.memory.approvals.get(decision.workspace)
        return approval is not None and approval.change == decision.change

    def is_on_its_way_back(self, name: str) -> bool:
        """Tell whether a kept container is put back: then no other one is made."""
        return name in self._sight.memory.rollbacks

    def waits(self, decisions: Mapping[str, Decision], queued: frozenset[str]) -> Mapping[str, datetime]:
        """Return since when each workspace waits; who got devices keeps that until its container runs."""
        memory, now = self._sight.memory, self._sight.now
        before = memory.gpu_waits
        nobody_served = self.blocked is not None or memory.host_pause is not None
        if before and nobody_served:  # and so nobody lost the place
            return {name: since for name, since in before.items() if name in self.concerned}
        waits = {name: before.get(name, now) for name in queued}
        for name, since in before.items():
            decision, ours = decisions.get(name), self._sight.index.get(name, _NOTHING)
            if decision is None or name not in self.concerned or self._runs_or_ran(ours, since):
                continue
            if decision.verdict in _ON_ITS_WAY or decision.reason in _OF_THE_HOST:
                waits[name] = since
        return waits

    def _runs_or_ran(self, ours: Ours, since: datetime) -> bool:
        """Tell whether it got its devices, though no look may have seen it run: it ended at once."""
        started = None if ours.main is None else ours.main.started_at
        return bool(ours.running()) or (started is not None and since <= started <= self._sight.now)

    def _effective(self, name: str) -> Effective | None:
        design = self._sight.designs.get(name)
        return design.effective if isinstance(design, Blueprint) else None


_ON_ITS_WAY: Final = frozenset({Verdict.CREATE, Verdict.START, Verdict.UPDATE, Verdict.REPLACE, Verdict.WAIT})
_OF_THE_HOST: Final = frozenset({Reason.DISK_PRESSURE, Reason.NETWORK_UNUSABLE})
"""What holds everybody alike costs nobody the place."""


def used(decision: Decision) -> frozenset[str]:
    """Return the UUIDs of the devices that the actions of a decision take."""
    found: set[str] = set()
    for action in decision.actions:
        if isinstance(action, StartContainer):
            found.update(action.gpus)
        elif isinstance(action, CreateContainer) and action.template.gpus is not None:
            found.update(action.template.gpus.uuids)
    return frozenset(found)


def _uses(decision: Decision) -> bool:
    """Tell whether devices must be there for what was decided: also for a start that follows a stop."""
    again = decision.reason in {Reason.RESTART_REQUESTED, Reason.GPU_ACCESS_LOST}
    starts = any(isinstance(action, StartContainer | CreateContainer) for action in decision.actions)
    return bool(decision.actions) and (starts or again)


def _makes(decision: Decision) -> bool:
    made = any(isinstance(action, CreateContainer) for action in decision.actions)
    return made or (decision.verdict is Verdict.STOP and replacement.needed(decision.drifts))


def _words(claims: tuple[Claim, ...] | list[Claim]) -> str:
    return ", ".join(sorted({claim.holder for claim in claims}))
