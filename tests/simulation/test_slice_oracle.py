"""The simulator finds what is wrong with slices: each of these faults is seen within a few runs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from controller.api.config import SliceDriver
from controller.model.plan import Decision
from controller.model.slices import Slice, SliceLimits, SliceView
from controller.model.slicestatus import OwnerSlice
from controller.planning import lowering, ownerslices, sliceupkeep
from tests.simulation import runs, scenario, slice_verdicts
from tests.simulation.engine import Asker
from tests.simulation.laws import Aggregate, Law
from tests.simulation.slice_host import BUILDS
from tests.simulation.slice_verdicts import SliceSight, Started
from tests.support.sim_engine import ManualClock, SimEngine
from tests.support.slice_tree import SliceTree

SEEDS = 60
STEPS = 400
MIB = 1 << 20
NOW, HOUR = datetime(2026, 1, 1, tzinfo=UTC), timedelta(hours=1)
WHOLE: Aggregate = (("cpus", "1.5"), ("memory", "256m"), ("pids", "400"))
LESS: Aggregate = (("memory", "64m"),)
MORE: Aggregate = (("memory", None), ("pids", "900"))
HIGH: Aggregate = (("memory", "96m"), ("memoryHigh", "1g"))
HELD = SliceLimits(memory=64 * MIB)


def starts_without_waiting(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ownerslices._Survey, "_waits", lambda *_: "")


def starts_whatever_is_under_way(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ownerslices._Survey, "_under_way", lambda *_: "")


def limits_below_what_is_in_use(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lowering, "is_in_the_way", lambda *_: False)


def removes_what_is_in_use(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sliceupkeep, "_is_over", lambda one: one.found is not None and not one.differences)


def sets_what_does_not_differ(patch: pytest.MonkeyPatch) -> None:
    upkeep = sliceupkeep.upkeep

    def busily(status: object, *arguments: object, **named: object) -> Iterator[Decision]:
        yield from upkeep(status, *arguments, **named)  # type: ignore[arg-type]
        for one in status.owners.values() if status.unseen is None else ():  # type: ignore[attr-defined]
            if one.now is not None and one.found is not None and not one.differences:
                yield sliceupkeep._set(status, one)  # type: ignore[arg-type]

    patch.setattr(sliceupkeep, "upkeep", busily)


def never_sets_again(patch: pytest.MonkeyPatch) -> None:
    compared = ownerslices._Survey._compared

    def content(self: ownerslices._Survey, one: OwnerSlice, asked: SliceLimits) -> OwnerSlice:
        found = compared(self, one, asked)
        return found if found.found is None else replace(found, differences=(), waits="")

    patch.setattr(ownerslices._Survey, "_compared", content)


def leaves_what_is_empty(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sliceupkeep, "_is_over", lambda _: False)


@dataclass(frozen=True)
class Broken:
    """A fault in the product, what goes on while it is there, and which invariant it violates.

    Attributes:
        first: seed from which on runs are made, so that it is found soon.
    """

    breaks: Callable[[pytest.MonkeyPatch], None]
    kinds: tuple[str, ...]
    violates: frozenset[str]
    mode: str = scenario.SAFETY
    first: int = 1


BROKEN = (
    Broken(
        starts_whatever_is_under_way,
        ("wharf_stop", "wharf_start", "wharf_start", "slices_slow", "write"),
        frozenset({"slices"}),
    ),
    Broken(
        starts_without_waiting, ("write", "edit_aggregate", "slice_by_hand", "exits"), frozenset({"slices"})
    ),
    Broken(
        limits_below_what_is_in_use,
        ("write", "edit_aggregate", "takes_memory", "hour"),
        frozenset({"slices"}),
    ),
    Broken(removes_what_is_in_use, ("write", "edit_aggregate", "exits"), frozenset({"slices"})),
    Broken(sets_what_does_not_differ, ("write", "edit_aggregate", "exits"), frozenset({"slices"})),
    Broken(
        never_sets_again,
        ("write", "edit_aggregate", "slice_by_hand"),
        frozenset({"slices", "L1", "L6"}),
        scenario.LIVENESS,
    ),
    Broken(
        leaves_what_is_empty,
        ("write", "remove", "edit_aggregate", "slice_of_nobody"),
        frozenset({"L1", "L3", "L6"}),
        scenario.LIVENESS,
    ),
)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.breaks.__name__)
def test_a_broken_product_is_found(broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    broken.breaks(monkeypatch)
    for seed in range(broken.first, broken.first + SEEDS):
        drawn = scenario.generate(seed, (), broken.kinds, STEPS)
        slices = 1 + seed % len(BUILDS)
        violated = runs.run(replace(drawn, mode=broken.mode, slices=slices)).violated
        if violated is not None:
            assert violated[0] in broken.violates, f"seed {seed}: {violated}"
            return
    pytest.fail("nothing was found")


@pytest.mark.parametrize(
    ("law", "owner", "expected"),
    [
        (Law(), "alice", SliceLimits()),
        (Law(aggregate=WHOLE), "bob", SliceLimits(nano_cpus=1_500_000_000, memory=256 * MIB, pids=400)),
        (
            Law(aggregate=WHOLE, group="staff", of_group=LESS),
            "alice",
            SliceLimits(nano_cpus=1_500_000_000, memory=64 * MIB, pids=400),
        ),
        (Law(aggregate=WHOLE, group="staff", of_group=LESS), "dave", None),
        (
            Law(aggregate=WHOLE, group="staff", of_group=LESS, granted=MORE, grant=("", NOW, NOW + HOUR)),
            "alice",
            SliceLimits(nano_cpus=1_500_000_000, pids=900),
        ),
        (Law(aggregate=WHOLE, granted=MORE, grant=("", NOW - HOUR, NOW)), "alice", None),
        (Law(aggregate=HIGH), "alice", SliceLimits(memory=96 * MIB, memory_high=96 * MIB)),
    ],
)
def test_what_the_policy_asks_for(law: Law, owner: str, expected: SliceLimits | None) -> None:
    usual = slice_verdicts.asked(Law(aggregate=WHOLE), "dave", NOW)
    assert slice_verdicts.asked(law, owner, NOW) == (usual if expected is None else expected)


@pytest.mark.parametrize(
    ("parent", "limits", "seen", "wrong"),
    [
        ("/wharf/alice", HELD, HELD, 0),
        ("/wharf/alice", HELD, None, 1),
        ("/wharf/alice", SliceLimits(), HELD, 1),
        ("/wharf/alice", None, HELD, 1),
        ("/wharf/alice", HELD, SliceLimits(), 1),
        ("/wharf/dave", HELD, HELD, 1),
        ("", None, HELD, 0),
    ],
)
def test_a_start_is_in_the_own_slice_with_its_limits(
    parent: str, limits: SliceLimits | None, seen: SliceLimits | None, wrong: int
) -> None:
    tree = SliceTree(SimEngine(ManualClock(NOW)), SliceDriver.CGROUPFS, 2, lambda _: None)
    found = {"alice": Slice("alice", "/wharf/alice", seen)} if seen is not None else {}
    sight = SliceSight(SliceView(SliceDriver.CGROUPFS, 2, slices=found), NOW, Law(aggregate=LESS), (NOW,))
    by = Asker("controller", slices=sight)
    started = Started(NOW, "workspace-alice", "alice", parent, by, limits)
    assert len(list(slice_verdicts.judged(started, tree, (), None))) == wrong
    late = replace(started, by=replace(by, late=True))
    assert list(slice_verdicts.judged(late, tree, (), None)) == []
