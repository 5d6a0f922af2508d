"""Knows how each owner's slice stands: what it should have, what it has, and what waits for that.

Refuses to act on it, and to take a slice that could not be looked at for one that is not there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Final

from controller.api.conditions import Reason
from controller.api.config import SliceDriver
from controller.model import slicenames, slicestatus
from controller.model.memory import Memory
from controller.model.observed import Container, EngineView, Limits, Seen, Unseen
from controller.model.plan import Verdict
from controller.model.slices import (
    HARD,
    ROOT,
    UNLIMITED,
    SliceLimit,
    SliceLimits,
    SliceView,
    differing,
    feasible,
    subject,
)
from controller.model.slicestatus import Difference, OwnerSlice, SlicesStatus
from controller.planning import aggregates, lowering
from controller.planning.standing import Standing
from controller.planning.tenants import Tenancy, Tenants, limits_of

_EMPTY: Final = SliceView()
_SUBJECT: Final = subject(ROOT)
"""Leads the name under which each slice is decided about."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What of one pass the slices rest on.

    Attributes:
        driver: who makes them; never AUTO.
        root: name of the slice above all.
        standing: None while there is no policy.
    """

    driver: SliceDriver
    root: str
    slices: Seen[SliceView] | Unseen
    view: EngineView
    standing: Standing | None
    memory: Memory
    now: datetime


def status(sight: Sight, tenants: Tenants, tenancy: Tenancy) -> SlicesStatus:
    """Return how all of them stand."""
    if sight.driver is SliceDriver.NONE:
        return slicestatus.NONE
    return _Survey(sight, tenants, tenancy).status()


def unmade(tenants: Tenants, why: str) -> SlicesStatus:
    """Return how they stand where nobody can make any: whoever is to have limits has none."""
    found = {}
    for owner, limits in sorted(tenants.limits.items()):
        asked = () if limits is None else aggregates.asked_for(limits)
        hard = [one for one in asked if one in HARD]
        soft = tuple(f"{one}: {why}" for one in asked if one not in HARD)
        found[owner] = OwnerSlice(owner, "", refused=f"{', '.join(hard)}: {why}" if hard else "", gaps=soft)
    return SlicesStatus(owners=found)


def unseen(sight: Sight) -> Unseen | None:
    """Return why nobody can tell how the slices are; what was asked of another driver is no answer."""
    if isinstance(sight.slices, Unseen):
        return sight.slices
    if sight.slices.value.driver is sight.driver:
        return None
    message = f"the slices of {sight.driver} were not looked at yet"
    return Unseen(Reason.NOT_SEEN, message, sight.slices.at)


class _Survey:
    """One pass over all slices."""

    def __init__(self, sight: Sight, tenants: Tenants, tenancy: Tenancy) -> None:
        self._sight = sight
        self._tenants = tenants
        self._tenancy = tenancy
        self._unseen = unseen(sight)
        seen = sight.slices
        self._view = seen.value if self._unseen is None and isinstance(seen, Seen) else _EMPTY
        self._begun = {one.workspace: one for one in sight.memory.open_intents}

    def status(self) -> SlicesStatus:
        owners = {} if self._sight.standing is None else dict(self._owners(self._sight.standing))
        return SlicesStatus(
            driver=self._sight.driver,
            version=self._view.version,
            unseen=self._unseen,
            owners=owners,
            root=self._root(owners) if self._unseen is None and self._sight.standing is not None else None,
            promised=self._tenancy.promised,
            uses=self._view.containers,
        )

    def _owners(self, standing: Standing) -> Iterator[tuple[str, OwnerSlice]]:
        concerned = {*self._tenants.limits, *self._tenancy.guaranteed, *self._view.slices} - {ROOT}
        concerned |= {one.removeprefix(_SUBJECT) for one in self._begun if one.startswith(_SUBJECT)} - {ROOT}
        for owner in sorted(concerned):
            known = owner in self._tenants.owned
            asked = self._tenants.limits.get(owner, UNLIMITED) if known else limits_of(standing, owner)
            yield owner, self._owner(owner, asked)

    def _owner(self, owner: str, asked: SliceLimits | None) -> OwnerSlice:
        """Return how one owner's slice stands; `asked` is the policy's word, None where that is not known."""
        found, name = self._view.slices.get(owner), self._name(owner)
        active = owner in self._tenancy.active or (found is not None and found.populated)
        waits = self._under_way(owner)
        if asked is None:
            return OwnerSlice(owner, name, active, found=found, waits=waits)
        usual = self._tenancy.guaranteed.get(owner, 0)
        low = usual or (asked.memory_low if found is not None and found.populated else 0)
        if low != asked.memory_low:
            asked = replace(asked, memory_low=low)
        if asked is UNLIMITED and found is not None and found.limits == UNLIMITED:
            return OwnerSlice(owner, name, active, UNLIMITED, UNLIMITED, found, waits=waits)
        return self._compared(OwnerSlice(owner, name, active, found=found, waits=waits), asked)

    def _compared(self, slice_: OwnerSlice, asked: SliceLimits) -> OwnerSlice:
        """Return it with what it should have, and in what it differs from that."""
        view, found = self._view, slice_.found
        refused, gaps = self._impossible(slice_, asked)
        wanted = feasible(asked, view)
        if view.version == lowering.FIRST_VERSION and wanted.memory is None:
            wanted = replace(wanted, swap=None)  # version 1 has a limit for both together alone
        now, told = wanted, ""
        if found is not None:
            now, told = lowering.reachable(wanted, found, view.version)
        possible = now
        if found is not None and view.version == lowering.FIRST_VERSION:
            possible = lowering.around(now, found, (one for _, one in self._inside(slice_.name)))
        differences: tuple[Difference, ...] = ()
        if slice_.active and self._unseen is None:
            differences = self._differences(possible, UNLIMITED if found is None else found.limits)
        stands = replace(
            slice_,
            wanted=wanted,
            now=possible,
            differences=differences,
            refused=refused,
            gaps=gaps,
            lowering=told,
        )
        if not stands.waits:
            stands = replace(stands, waits=self._waits(stands))
        if stands.waits or possible == now:
            return stands
        return replace(stands, waits=self._too_wide(stands, now))

    def _impossible(self, slice_: OwnerSlice, asked: SliceLimits) -> tuple[str, tuple[str, ...]]:
        """Return which hard limits are asked for and cannot be had, and which others, each with why."""
        wishes = aggregates.asked_for(asked)
        cannot = dict(self._view.cannot)
        alone = SliceLimit.SWAP in wishes and SliceLimit.MEMORY not in wishes
        if alone and self._view.version == lowering.FIRST_VERSION and SliceLimit.SWAP not in self._view.held:
            cannot.setdefault(SliceLimit.SWAP, "version 1 of the cgroups limits swap only with `memory`")
        told = {
            limit: f"{limit} {aggregates.text(limit, asked)}: {cannot[limit]}"
            for limit in wishes
            if limit in cannot
        }
        gaps = [text for limit, text in told.items() if limit not in HARD]
        if SliceLimit.IO not in cannot:
            lacking = (one.path for one in asked.io if one.path in self._view.no_device)
            gaps += [f"io {path}: {self._view.no_device[path]}" for path in lacking]
        refused = [text for limit, text in told.items() if limit in HARD]
        if wishes:
            (refused if any(limit in HARD for limit in wishes) else gaps).extend(self._misplaced(slice_))
        return "; ".join(refused), tuple(gaps)

    def _misplaced(self, slice_: OwnerSlice) -> Iterator[str]:
        """Yield which containers were made in a slice, and are not in it by the kernel's own word."""
        for container in self._by_parent.get(slice_.name, ()):
            use = self._view.containers.get(container.id)
            if use is not None and use.owner != slice_.owner:
                yield (
                    f"{container.name} was made in {slice_.name}, and the kernel has it elsewhere; "
                    "stop it or have it made anew"
                )

    @cached_property
    def _by_parent(self) -> Mapping[str, list[Container]]:
        """The running containers, by the slice that they were made in."""
        found: dict[str, list[Container]] = {}
        for container in self._sight.view.containers.values():
            if container.running and container.configuration.cgroup_parent:
                found.setdefault(container.configuration.cgroup_parent, []).append(container)
        return found

    def _inside(self, name: str) -> Iterator[tuple[str, Limits]]:
        """Yield the running containers in a slice by name, with their limits as the kernel has them.

        Processors that nobody gave to a container are those of its slice, and go with it.
        """
        for container in self._by_parent.get(name, ()):
            limits, given = container.kernel_limits, container.configuration.limits
            known = limits if isinstance(limits, Limits) else given
            yield container.name, known if given.cpuset is not None else replace(known, cpuset=None)

    def _too_wide(self, slice_: OwnerSlice, now: SliceLimits) -> str:
        """Say which containers keep a slice from having fewer processors."""
        asked = [one for one in (SliceLimit.CPUS, SliceLimit.CPUSET) if one in aggregates.asked_for(now)]
        wide = [
            f"{name} ({aggregates.of_container(limits)})"
            for name, limits in self._inside(slice_.name)
            if aggregates.confined(limits, now) != limits and aggregates.of_container(limits)
        ]
        return (
            f"the slice of {slice_.owner} is to have {aggregates.words(now, asked)}, and in it there is what "
            f"has more: {', '.join(wide)}; that is changed first"
        )

    def _differences(self, now: SliceLimits, have: SliceLimits) -> tuple[Difference, ...]:
        return tuple(
            Difference(limit, aggregates.text(limit, have), aggregates.text(limit, now))
            for limit in differing(now, have, self._view.grain)
        )

    def _waits(self, slice_: OwnerSlice) -> str:
        """Say why nothing is started until the slice is as it should be: only hard limits are waited for."""
        if slice_.wanted is None or not any(one in HARD for one in aggregates.asked_for(slice_.wanted)):
            return ""
        if self._unseen is not None:
            return f"the slice of {slice_.owner} is to have limits, and {self._unseen.message}"
        if slice_.found is None and slice_.now is not None:
            text = f"the slice of {slice_.owner} is not there yet and is made with "
            return self._tried(
                slice_.owner, text + aggregates.words(slice_.now, aggregates.asked_for(slice_.now))
            )
        if not any(one.limit in HARD for one in slice_.differences):
            return ""
        return self._tried(
            slice_.owner, f"the slice of {slice_.owner} has {in_place(slice_)} and is being set"
        )

    def _tried(self, owner: str, text: str) -> str:
        wait = self._sight.memory.backoffs.get(subject(owner))
        if wait is None or wait.next_attempt <= self._sight.now:
            return text
        return f"{text}; that failed: {wait.message}"

    def _under_way(self, owner: str) -> str:
        """Say that something is done to the slice, or that the one above all goes."""
        own, above = self._begun.get(subject(owner)), self._begun.get(subject(ROOT))
        if own is not None:
            return f"{own.verdict} of the slice of {owner} ({own.reason}) is under way"
        if above is not None and above.verdict == Verdict.REMOVE:
            return "the slice of all owners is being removed"
        return ""

    def _root(self, owners: Mapping[str, OwnerSlice]) -> OwnerSlice:
        """Return how the slice above all stands: it guarantees what those below it do, and limits nothing."""
        found = self._view.slices.get(ROOT)
        low = min(sum(map(_guaranteed, owners.values())), self._sight.view.total_memory)
        wanted = feasible(replace(UNLIMITED, memory_low=low) if low else UNLIMITED, self._view)
        active = bool(self._tenancy.active or self._view.slices.keys() - {ROOT})
        active = active or (found is not None and found.populated)
        have = UNLIMITED if found is None else found.limits
        differences = self._differences(wanted, have) if active else ()
        return OwnerSlice(ROOT, self._name(ROOT), active, wanted, wanted, found, differences)

    def _name(self, owner: str) -> str:
        return slicenames.parent(self._sight.driver, self._sight.root, owner)


def _guaranteed(slice_: OwnerSlice) -> int:
    """Return what a slice guarantees: while nobody knows what it should, what it does."""
    if slice_.now is not None:
        return slice_.now.memory_low if slice_.active else 0
    return 0 if slice_.found is None else slice_.found.limits.memory_low


def in_place(slice_: OwnerSlice) -> str:
    """Return in words what a slice has and should have: `memory 512m in place of 400m`."""
    return ", ".join(f"{one.limit} {one.observed} in place of {one.desired}" for one in slice_.differences)
