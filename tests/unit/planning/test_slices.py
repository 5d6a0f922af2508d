"""What is decided about slices, beside the golden cases: numbers, words, and what is under way."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from controller.api.conditions import DriftKind, Reason
from controller.api.config import SliceDriver
from controller.model import actions
from controller.model.memory import Intent
from controller.model.observed import Limits, Seen
from controller.model.plan import Remedy, Verdict
from controller.model.slices import UNLIMITED, IoLimit, Slice, SliceLimit, SliceLimits, SliceView, Use
from controller.planning import aggregates, belonging, lowering, slicing
from controller.planning.case import Blueprint
from controller.planning.planner import Planner
from controller.planning.standing import Profile
from tests.support import builders, stories
from tests.support.world import World

MIB = 2**20
GIB = 2**30
LIMITED: list[stories.Event] = [
    {"slices": "cgroupfs"},
    {"policy": {"aggregate": {"cpus": "1", "memory": "400m"}}},
    {"workspace": "alice"},
    {"workspace": "bob"},
]


def test_layers_of_the_policy_together_make_the_limits_of_a_slice() -> None:
    standing = builders.standing(
        aggregate={"cpus": "2", "memory": "1g", "memoryHigh": "900m", "io": [{"path": "/b", "read": "1m"}]},
        groups={"students": {"members": ["bob"], "aggregate": {"memory": "400m", "cpus": None}}},
    )
    alice, bob = standing.profile("alice"), standing.profile("bob")
    assert isinstance(alice, Profile)
    assert isinstance(bob, Profile)
    assert alice.limits == SliceLimits(
        nano_cpus=2 * 10**9, memory=GIB, memory_high=900 * MIB, io=(IoLimit("/b", read=MIB),)
    )
    lowered = bob.aggregate["memoryHigh"]
    assert lowered.value == 400 * MIB
    assert str(lowered.origin).endswith(
        "(group students), at most memory, was 900m by policy.yaml (aggregate)"
    )
    assert bob.limits == SliceLimits(memory=400 * MIB, memory_high=400 * MIB, io=(IoLimit("/b", read=MIB),))


def test_nothing_asked_for_is_the_one_unlimited() -> None:
    assert aggregates.limits_of({}) is UNLIMITED
    place = builders.standing(aggregate={"cpuWeight": 100}).profile("alice")
    assert isinstance(place, Profile)
    assert place.limits is UNLIMITED


@pytest.mark.parametrize(
    ("own", "slice_", "confined"),
    [
        (Limits(), UNLIMITED, Limits()),
        (Limits(), SliceLimits(nano_cpus=5), Limits(nano_cpus=5)),
        (Limits(nano_cpus=3), SliceLimits(nano_cpus=5), Limits(nano_cpus=3)),
        (Limits(nano_cpus=8, memory=1), SliceLimits(nano_cpus=5), Limits(nano_cpus=5, memory=1)),
        (Limits(), SliceLimits(cpuset="0-3"), Limits(cpuset="0-3")),
        (Limits(cpuset="2-9"), SliceLimits(cpuset="0-3,8"), Limits(cpuset="2-3,8")),
        (Limits(cpuset="9"), SliceLimits(cpuset="0,2,4-6"), Limits(cpuset="0,2,4-6")),
    ],
)
def test_what_a_container_may_have_within_its_slice(
    own: Limits, slice_: SliceLimits, confined: Limits
) -> None:
    assert aggregates.confined(own, slice_) == confined


def slice_of(memory: int | None, used: int | None, **fields: Any) -> Slice:  # noqa: ANN401 - of one class
    """A slice in which something runs."""
    return Slice(
        "alice", "/wharf/alice", SliceLimits(memory=memory, **fields), Use(memory=used), populated=True
    )


@pytest.mark.parametrize(
    ("wanted", "found", "version", "now"),
    [
        (400, slice_of(None, 300), 2, SliceLimits(memory=400)),
        (400, slice_of(300, 300), 2, SliceLimits(memory=400)),
        (300, slice_of(400, 300), 2, SliceLimits(memory=400, memory_high=lowering.below(300))),
        (300, slice_of(None, None), 2, SliceLimits(memory=None, memory_high=lowering.below(300))),
        (300, slice_of(400, 300), 1, SliceLimits(memory=400)),
        (300, replace(slice_of(400, 500), populated=False), 1, SliceLimits(memory=300)),
        (300, replace(slice_of(400, 300), use=Use(memory=300, cache=100)), 1, SliceLimits(memory=300)),
        (300, replace(slice_of(400, 300), use=Use(memory=300, cache=100)), 2, None),
    ],
)
def test_memory_is_lowered_once_less_is_in_use(
    wanted: int, found: Slice, version: int, now: SliceLimits | None
) -> None:
    reached, told = lowering.reachable(SliceLimits(memory=wanted), found, version)
    assert now is None or reached == now
    assert bool(told) == (reached.memory != wanted)


def test_version_1_keeps_a_sum_with_swap_that_is_in_use() -> None:
    found = replace(slice_of(400, 200, swap=300), use=Use(memory=200, swap=150))
    assert lowering.reachable(SliceLimits(memory=250, swap=50), found, 1)[0].swap == 300
    assert lowering.reachable(SliceLimits(memory=250, swap=150), found, 1)[0].swap == 150
    assert lowering.reachable(SliceLimits(memory=250, swap=50), found, 2)[0].swap == 50


def test_a_slice_above_which_memory_is_reclaimed_lies_a_little_below() -> None:
    assert lowering.below(400 * MIB) == 393 * MIB
    assert lowering.below(8 * MIB) == 8 * MIB - 128 * 1024


def test_one_chain_at_a_time_for_each_slice() -> None:
    world = stories.tell(LIMITED)
    chain = Intent(1, "slice/alice", world.now, 1, "Update", "SliceDrifted")
    world.remember(open_intents=(chain,))
    plan = world.plan()
    assert [one.workspace for one in plan.upkeep] == ["slice/bob"]


def test_nothing_is_done_while_the_slice_above_all_goes() -> None:
    world = stories.tell([*LIMITED, {"workspace": "carol", "container": "created"}])
    world.remember(open_intents=(Intent(1, "slice/", world.now, 1, "Remove", "SliceEmpty"),))
    plan = world.plan()
    assert not plan.upkeep
    assert plan.decisions["carol"].message == "the slice of all owners is being removed"


def test_a_policy_that_cannot_be_read_leaves_slices_alone() -> None:
    world = stories.tell([*LIMITED, {"slice": "carol", "memory": "1g"}, {"unseen": "policy"}])
    assert not world.plan().upkeep


def test_a_slice_is_not_removed_on_old_evidence() -> None:
    world = stories.tell([*LIMITED, {"slice": "carol", "memory": "1g"}])
    assert "slice/carol" in {one.workspace for one in world.plan().upkeep}
    world.seen_ago = timedelta(minutes=1)
    assert {one.workspace for one in world.plan().upkeep} == {"slice/alice", "slice/bob"}


def test_an_answer_about_another_driver_is_none() -> None:
    world = stories.tell([*LIMITED, {"workspace": "carol", "container": "created"}])
    world.rules = replace(world.rules, slice_driver=SliceDriver.SYSTEMD)
    plan = world.plan()
    assert not plan.upkeep
    assert plan.decisions["carol"].reason is Reason.SLICE_PENDING


def test_while_its_owner_is_not_known_a_slice_stays_as_it_is() -> None:
    policy = {"groups": {"students": {"membersFile": "students", "aggregate": {"memory": "400m"}}}}
    unread = {"policy": policy, "unread": ["students"]}
    world = stories.tell([*LIMITED, {"slice": "alice", "memory": "1g"}, unread])
    assert not world.plan().upkeep


def test_what_differs_is_shown_on_what_is_in_the_slice() -> None:
    world = stories.tell([*LIMITED, {"container": "bob", "slice": ""}])
    shown = {
        name: [one.field for one in decision.drifts if one.kind is DriftKind.SLICE]
        for name, decision in world.plan().decisions.items()
    }
    assert shown == {"alice": ["cpus", "memory"], "bob": []}


@pytest.mark.parametrize(
    ("parent", "ours"),
    [
        ("/wharf/bob", True),
        ("/old/alice", True),
        ("wharf-alice.slice", True),
        ("old-alice.slice", True),
        ("/old/bob", False),
        ("/docker/4711", False),
        ("/wharf", False),
        ("", False),
        ("machine.slice", False),
    ],
)
def test_only_a_slice_of_ours_needs_another_container(parent: str, ours: bool) -> None:  # noqa: FBT001
    world = stories.tell([*LIMITED, {"container": "alice", "slice": parent}])
    planner = Planner(world.rules)
    plan = world.plan(planner)
    moved = [one for one in plan.decisions["alice"].drifts if one.field == "parent"]
    assert [one.remedy for one in moved] == ([Remedy.REPLACE] if ours else [])
    assert any(one.reason is Reason.LIMIT_NOT_ENFORCED for one in plan.decisions["alice"].notes)


def test_a_container_that_was_adopted_may_be_in_a_slice_that_is_called_alike() -> None:
    world = stories.tell([*LIMITED, {"container": "alice", "slice": "lab-alice.slice"}])
    planner = Planner(world.rules)
    world.plan(planner)
    design, found = planner.designs["alice"], world.main("alice")
    assert isinstance(design, Blueprint)
    assert found is not None
    assert belonging.drifts(found, design.template, "alice", planner.slices)
    adopted = replace(found, labels={})
    assert not belonging.drifts(adopted, design.template, "alice", planner.slices)


def test_a_paused_workspace_is_promised_nothing_while_it_does_not_run() -> None:
    big = {"resources": {"memory": "40g", "memoryReservation": "40g"}}
    world = stories.tell(
        [
            {"slices": "systemd"},
            {"workspace": "alice", "spec": big, "container": "exited"},
            {"workspace": "bob", "spec": big, "container": "created"},
        ]
    )
    assert world.plan().decisions["bob"].reason is Reason.MEMORY_PROMISED
    assert "alice 40g, who does not run and comes first" in world.plan().decisions["bob"].message
    stories.tell_more(world, [{"pause": "alice"}])
    assert world.plan().decisions["bob"].verdict is Verdict.START


def test_a_look_asks_for_paths_and_for_what_runs() -> None:
    world = stories.tell(
        [*LIMITED, {"policy": {"aggregate": {"io": [{"path": "/mnt/storage", "read": "1m"}]}}}]
    )
    engine = world.observed().engine
    assert isinstance(engine, Seen)
    asked = slicing.question(world.rules, engine.value, world.policy)
    assert asked.paths == {"/mnt/storage"}
    assert asked.running.keys() == {c.id for c in world.containers.values()}


def test_devices_that_cannot_be_limited_are_told() -> None:
    world = stories.tell(
        [
            {"slices": "systemd", "no_device": {"/mnt/storage": "it is no block device"}},
            {"policy": {"aggregate": {"io": [{"path": "/mnt/storage", "read": "1m"}]}}},
            {"workspace": "alice"},
        ]
    )
    (note,) = world.plan().decisions["alice"].notes
    assert note.message == "limits of alice have no effect: io /mnt/storage: it is no block device"


def test_swap_alone_is_refused_by_version_1() -> None:
    world = stories.tell(
        [
            {"slices": "cgroupfs", "version": 1},
            {"policy": {"aggregate": {"swap": "1g"}}},
            {"workspace": "alice", "container": "created"},
        ]
    )
    plan = world.plan()
    assert plan.decisions["alice"].reason is Reason.LIMIT_UNENFORCEABLE
    assert not any(isinstance(a, actions.SetSlice) for one in plan.upkeep for a in one.actions)


def test_limits_are_words_and_a_view_without_a_driver_is_empty() -> None:
    limits = SliceLimits(nano_cpus=10**9, io=(IoLimit("/a", read=MIB, write_ops=5),), pids=7)
    assert aggregates.words(limits, aggregates.asked_for(limits)) == (
        "cpus 1, pids 7, io /a read 1m writeOps 5"
    )
    assert aggregates.text(SliceLimit.IO, UNLIMITED) == "unlimited"
    assert World().slices.view({}) == SliceView()
