"""Knows what slices must be like: what the policy asks for, and what must hold at each start and each action.

It refuses to ask planning what that is, and to blame a controller for what others did after its look.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from controller.audit.finding import Violation
from controller.model import actions
from controller.model.plan import Decision
from controller.model.slices import FIELDS, IoLimit, SliceLimits, SliceView
from tests.simulation.engine import Asker
from tests.simulation.laws import Aggregate, Law
from tests.support.sim_container import SimContainer
from tests.support.slice_tree import SliceTree

HARD: Final = ("nano_cpus", "cpuset", "memory", "swap", "pids")
"""Nothing starts where one of these is asked for and is not in force."""
UNITS: Final = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
ID: Final = "slices"
"""Stands for the invariant in what is violated; it has no number of its own."""


@dataclass(frozen=True, slots=True)
class SliceSight:
    """What a controller knew of slices and policy when it decided.

    Attributes:
        view: None: they were Unseen.
        taken_at: when the look began that it rests on, in true time.
        law: what the policy in force says; None where nobody can tell.
        times: when it was decided, by the wall clock, as early and as late as it may count.
    """

    view: SliceView | None
    taken_at: datetime
    law: Law | None
    times: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class Started:
    """A container as it was started.

    Attributes:
        limits: of the slice that it came into; None: there was none.
    """

    at: datetime
    name: str
    owner: str
    parent: str
    by: Asker
    limits: SliceLimits | None


# what is asked for


def asked(law: Law, owner: str, now: datetime) -> SliceLimits:
    """Return what the policy says that an owner's workspaces may use together, reservations apart."""
    said: dict[str, str | None] = {}
    for layer in _layers(law, owner, now):
        said.update(layer)
    high, most = _bytes(said.get("memoryHigh")), _bytes(said.get("memory"))
    if high is not None and most is not None:
        high = min(high, most)
    cpus, cpuset = said.get("cpus"), said.get("cpuset")
    return SliceLimits(
        nano_cpus=round(float(cpus) * 10**9) if cpus is not None else None,
        cpuset=None if cpuset == "0-1" else cpuset,
        cpu_weight=int(said.get("cpuWeight") or 100),
        memory=most,
        memory_high=high,
        memory_low=_bytes(said.get("memoryLow")) or 0,
        swap=_bytes(said.get("swap")),
        pids=int(said["pids"] or 0) or None if "pids" in said else None,
        io_weight=int(said.get("ioWeight") or 100),
        io=(IoLimit("/srv/data", read=10 << 20),) if said.get("io") else (),
    )


def _layers(law: Law, owner: str, now: datetime) -> Iterator[Aggregate]:
    yield law.aggregate
    if owner == "alice":
        if law.group:
            yield law.of_group
        if law.grant is not None and law.grant[1] <= now < law.grant[2]:
            yield law.granted


def _bytes(word: str | None) -> int | None:
    return int(word[:-1]) * UNITS[word[-1]] if word is not None else None


def hard(limits: SliceLimits) -> dict[str, object]:
    """Return those that nothing may start without."""
    return {name: getattr(limits, name) for name in HARD if getattr(limits, name) is not None}


def due(law: Law, owner: str, workspaces: int, tree: SliceTree, now: datetime) -> SliceLimits:
    """Return what a slice is to have once all is at rest, with so many workspaces that run or are to run."""
    said = asked(law, owner, now)
    low = max(said.memory_low, workspaces * (_bytes(law.reserved or None) or 0)) if workspaces else 0
    normal = SliceLimits()
    left_out = {FIELDS[limit]: getattr(normal, FIELDS[limit]) for limit in tree.cannot}
    return replace(replace(said, memory_low=low), **left_out)


# a start


def judged(
    started: Started, tree: SliceTree, lawful: tuple[Law, ...], touched: datetime | None
) -> Iterator[Violation]:
    """Return what is wrong with a start by a controller.

    `lawful` are the policies that came into force since its look; `touched`: when somebody else changed the
    slice last.
    """
    sight = started.by.slices
    if sight is None or started.by.late:
        return
    for message in _wrong(started, sight, tree, lawful, touched):
        yield Violation(ID, started.at, started.owner, f"{started.name} was started {message}")


def _wrong(
    started: Started, sight: SliceSight, tree: SliceTree, lawful: tuple[Law, ...], touched: datetime | None
) -> Iterator[str]:
    mine = tree.name(started.owner)
    if started.parent != mine and tree.owner(started.parent) is not None:
        yield f"in {started.parent}, which is the slice of somebody else"
    if started.parent != mine or sight.law is None:
        return
    wanted = [hard(asked(sight.law, started.owner, now)) for now in sight.times]
    if not all(wanted):
        return
    seen = sight.view.slices.get(started.owner) if sight.view is not None else None
    if seen is None:
        yield f"although nobody saw {mine} with its limits"
        return
    lowering = seen.use.memory
    if not any(_in_force(one, seen.limits, lowering) for one in wanted):
        yield f"although {mine} had {hard(seen.limits)} in place of {wanted[0]}"
    if touched is None or touched < sight.taken_at:
        times = (*sight.times, started.at)
        may = [asked(law, started.owner, now) for law in (sight.law, *lawful) for now in times]
        found = started.limits
        if found is None or not _on_the_way(may, found, lowering):
            yield f"while {mine} has {found and hard(found)} in place of {wanted[0]}"


def _in_force(wanted: Mapping[str, object], found: SliceLimits, in_use: int | None) -> bool:
    """Tell whether all limits are in force, but for one of memory below what was in use."""
    return all(
        getattr(found, name) == value
        or (name == "memory" and in_use is not None and isinstance(value, int) and in_use >= value)
        for name, value in wanted.items()
    )


def _on_the_way(may: list[SliceLimits], found: SliceLimits, in_use: int | None) -> bool:
    """Tell whether each limit is that of a policy that came into force since, which may be half set."""
    return all(
        any(_in_force({name: wanted}, found, in_use) for wanted in {getattr(one, name) for one in may})
        for name in HARD
    )


# an action


def judged_decision(
    decision: Decision, sight: SliceSight, tree: SliceTree, find: Callable[[str], SimContainer | None]
) -> Iterator[str]:
    """Return what is wrong with what is about to be done; a sentence each."""
    for action in decision.actions:
        match action:
            case actions.SetSlice() | actions.RemoveSlice():
                yield from _of_slice(action, sight, tree)
            case actions.LimitCgroup() | actions.UpdateLimits():
                yield from _of_container(action, sight, find)
            case _:
                continue


def _of_slice(
    action: actions.SetSlice | actions.RemoveSlice, sight: SliceSight, tree: SliceTree
) -> Iterator[str]:
    if tree.owner(action.name) != action.owner:
        yield f"{action.name} is not the slice of {action.owner}"
    if sight.view is None:
        yield f"{type(action).__name__} of {action.name}, which was not seen"
        return
    seen = sight.view.slices.get(action.owner)
    if isinstance(action, actions.RemoveSlice):
        if seen is None or seen.populated:
            yield f"{action.name} is to go, and {'something runs in it' if seen else 'is gone'}"
        return
    if seen is None:
        return
    if seen.limits == action.limits:
        yield f"{action.name} is set although nothing differs"
    lowered = action.limits.memory is not None and action.limits.memory != seen.limits.memory
    if lowered and seen.populated and (seen.use.memory or 0) >= (action.limits.memory or 0):
        yield f"{action.name} is to have {action.limits.memory} of memory and uses {seen.use.memory}"


def _of_container(
    action: actions.LimitCgroup | actions.UpdateLimits,
    sight: SliceSight,
    find: Callable[[str], SimContainer | None],
) -> Iterator[str]:
    container = find(action.container_id)
    used = sight.view.containers.get(action.container_id) if sight.view is not None else None
    limit = action.limits.memory if action.limits is not None else None
    if container is None or used is None or limit is None or container.kernel.memory == limit:
        return
    if container.running and (used.use.memory or 0) >= limit:
        yield f"{action.name} is to have {limit} of memory and uses {used.use.memory}"
