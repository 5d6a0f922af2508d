"""Who finds room beneath an owner's quotas: every total, every order, whatever runs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controller.api.conditions import ConditionType, Reason
from controller.api.presets import Enforcement, LimitName
from controller.model.effective import OwnerQuotas
from controller.model.gpus import Wish
from controller.model.memory import Suspension
from controller.model.observed import ContainerState
from controller.model.plan import Verdict
from controller.planning import quotas
from controller.planning.case import Beyond, Blueprint, Ours
from controller.planning.planner import Planner
from tests.support import builders, stories
from tests.support.world import World

GIB = 2**30


@dataclass(frozen=True)
class Told:
    """A workspace of alice's, as the strategies draw it."""

    name: str
    memory: int
    cpus: int
    age: int
    wanted: bool
    running: bool


TOLD = st.builds(
    Told,
    name=st.just(""),
    memory=st.integers(1, 8),
    cpus=st.integers(1, 8),
    age=st.integers(0, 3),
    wanted=st.booleans(),
    running=st.booleans(),
)
FLEETS = st.lists(TOLD, min_size=1, max_size=6).map(
    lambda fleet: [replace(one, name=f"w{place}") for place, one in enumerate(fleet)]
)
CAPS = st.none() | st.integers(0, 4)
TOTALS = st.none() | st.integers(1, 20)
QUOTAS = st.builds(
    lambda there, running, memory, cpus: OwnerQuotas(
        workspaces=there,
        running_workspaces=running,
        memory=None if memory is None else memory * GIB,
        cpus=None if cpus is None else cpus * 10**9,
    ),
    CAPS,
    CAPS,
    TOTALS,
    TOTALS,
)
LIMITS = st.sampled_from(LimitName)
ENFORCE = st.dictionaries(LIMITS, st.sampled_from(Enforcement))


def judge(
    fleet: list[Told],
    owned: OwnerQuotas,
    enforce: Mapping[LimitName, Enforcement] | None = None,
    gpus: Wish | None = None,
) -> Mapping[str, Beyond]:
    """What is beyond, of a fleet that is told."""
    world = World()
    for told in fleet:
        limits = {"memory": f"{told.memory}g", "cpus": str(told.cpus)}
        state = "Running" if told.wanted else "Stopped"
        spec = builders.accepted(told.name, owner="alice", resources=limits, desiredState=state)
        spec = replace(spec, accepted_at=world.now - timedelta(days=told.age))
        world.add(spec, ContainerState.RUNNING if told.running else None)
    planner = Planner(world.rules)
    world.plan(planner)
    designs = {
        name: replace(design, effective=_with(design, owned, gpus))
        for name, design in planner.designs.items()
        if isinstance(design, Blueprint)
    }
    index = {name: Ours(main=world.main(name)) for name in world.specs}
    return quotas.Register().beyond(world.specs, designs, index, world.memory, enforce or {})


def _with(design: Blueprint, owned: OwnerQuotas, gpu: Wish | None) -> Any:  # noqa: ANN401 - one kind of value
    return replace(design.effective, quotas=owned, gpu=gpu)


@given(FLEETS, QUOTAS)
def test_what_is_beyond_fits_whatever_runs(fleet: list[Told], owned: OwnerQuotas) -> None:
    """What may start fits beside all that runs; what runs is beyond only because others that run are not."""
    beyond = judge(fleet, owned)
    active = [one for one in fleet if one.running or one.wanted]
    admitted = [one for one in active if one.name not in beyond]
    starting = [one for one in admitted if not one.running]
    running = [one for one in fleet if one.running]
    assert set(beyond) <= {one.name for one in active}
    if starting:
        together = [*running, *starting]
        assert owned.running_workspaces is None or len(together) <= owned.running_workspaces
        assert owned.memory is None or sum(one.memory for one in together) * GIB <= owned.memory
        assert owned.cpus is None or sum(one.cpus for one in together) * 10**9 <= owned.cpus
    if not any(one.running and one.name in beyond for one in fleet):
        assert owned.running_workspaces is None or len(running) <= owned.running_workspaces
        assert owned.memory is None or sum(one.memory for one in running) * GIB <= owned.memory


@given(FLEETS, QUOTAS)
def test_who_runs_is_judged_as_if_nobody_waited(fleet: list[Told], owned: OwnerQuotas) -> None:
    running = [one for one in fleet if one.running]
    alone = judge(running, replace(owned, workspaces=None))
    among = judge(fleet, replace(owned, workspaces=None))
    assert {name for name in among if name in {one.name for one in running}} == set(alone)


@given(FLEETS, QUOTAS, ENFORCE)
def test_nothing_is_stopped_but_for_a_limit_that_is_enforced_now(
    fleet: list[Told], owned: OwnerQuotas, enforce: dict[LimitName, Enforcement]
) -> None:
    """And what is left then is no less than the quota leaves room for."""
    beyond = judge(fleet, owned, enforce)
    now = {limit.value for limit, when in enforce.items() if when is Enforcement.NOW}
    stopped = {name for name, why in beyond.items() if why.stop}
    running = [one for one in fleet if one.running]
    if not now:
        assert not stopped
    if now == {"runningWorkspaces"} and owned.running_workspaces is not None:
        assert len(running) - len(stopped & {one.name for one in running}) == min(
            len(running), owned.running_workspaces
        )


@given(FLEETS)
def test_without_quotas_everybody_has_room(fleet: list[Told]) -> None:
    assert not judge(fleet, OwnerQuotas())


def test_gpus_are_counted_together() -> None:
    fleet = [Told(name, 1, 1, 0, wanted=True, running=False) for name in ("a", "b", "c")]
    beyond = judge(fleet, OwnerQuotas(gpu_equivalents=Decimal(1)), gpus=Wish(profile="3g.20gb"))
    assert set(beyond) == {"c"}
    assert beyond["c"].reason is Reason.QUOTA_EXCEEDED
    assert beyond["c"].message == "gpuEquivalents 6/7 + 3/7 asked of 1 (a 3/7, b 3/7); policy"


def test_what_ended_for_a_quota_is_not_called_for_again_in_turn() -> None:
    """Two that run in turn would disturb each other for ever."""
    world = stories.tell(
        [
            {"workspace": "alice", "accepted": "3d"},
            {"workspace": "second", "spec": {"owner": "alice"}, "accepted": "2d"},
            {
                "policy": {"quotas": {"runningWorkspaces": 1}, "enforce": {"runningWorkspaces": "Now"}},
            },
        ]
    )
    for _ in range(8):
        world.execute(world.plan())
        world.now += timedelta(minutes=1)
    names = [type(action).__name__ for action in world.done]
    assert names == ["StopContainer"]


def test_a_start_under_way_has_its_place() -> None:
    """Its container does not run yet, and an older one that ran before must not come between."""
    world = stories.tell(
        [
            {"policy": {"quotas": {"runningWorkspaces": 1}}},
            {"workspace": "alice", "container": "exited"},
            {"workspace": "second", "spec": {"owner": "alice"}, "container": "created"},
            {"intent": "second", "verdict": "Start", "reason": "FirstStart"},
        ]
    )
    decisions = world.plan().decisions
    assert decisions["second"].verdict is Verdict.WAIT
    assert decisions["alice"].reason is Reason.USER_AT_LIMIT


def test_a_container_that_cannot_be_inspected_has_its_place() -> None:
    world = stories.tell(
        [
            {"policy": {"quotas": {"runningWorkspaces": 1}}},
            {"workspace": "alice", "container": "exited"},
            {"workspace": "second", "spec": {"owner": "alice"}},
        ]
    )
    container = world.main("second")
    assert container is not None
    del world.containers[container.id]
    world.unknown = frozenset({"workspace-second"})
    assert world.plan().decisions["alice"].reason is Reason.USER_AT_LIMIT


ONE_NOW = {"quotas": {"runningWorkspaces": 1}, "enforce": {"runningWorkspaces": "Now"}}


def test_nothing_is_stopped_for_one_that_cannot_be_inspected() -> None:
    """It may run, and so has its place; that is not known well enough to stop another one for it."""
    world = stories.tell(
        [
            {"policy": ONE_NOW},
            {"workspace": "alice", "container": "exited", "accepted": "3d"},
            {"workspace": "second", "spec": {"owner": "alice"}, "accepted": "2d"},
        ]
    )
    container = world.main("alice")
    assert container is not None
    del world.containers[container.id]
    world.unknown = frozenset({"workspace-alice"})
    decision = world.plan().decisions["second"]
    assert (decision.verdict, decision.reason) == (Verdict.KEEP, Reason.OVER_QUOTA)


def test_nothing_is_stopped_for_what_is_done_to_a_stopped_one() -> None:
    world = stories.tell(
        [
            {"policy": ONE_NOW},
            {
                "workspace": "alice",
                "spec": {"desiredState": "Stopped"},
                "container": "exited",
                "accepted": "3d",
            },
            {"workspace": "second", "spec": {"owner": "alice"}, "accepted": "2d"},
            {"intent": "alice", "verdict": "Update", "reason": "Drifted"},
        ]
    )
    assert world.plan().decisions["second"].verdict is Verdict.KEEP


def test_an_edit_makes_no_workspace_younger() -> None:
    world = stories.tell(
        [
            {"policy": ONE_NOW},
            {"workspace": "alice", "accepted": "3d"},
            {"workspace": "second", "spec": {"owner": "alice"}, "accepted": "2d"},
        ]
    )
    before = world.specs["alice"]
    edited = replace(before, accepted_at=world.now - timedelta(hours=1), created_at=before.since)
    world.specs["alice"] = edited
    decisions = world.plan().decisions
    assert decisions["alice"].verdict is Verdict.KEEP
    assert decisions["second"].verdict is Verdict.STOP


def test_a_person_who_asks_for_a_start_gets_it_when_there_is_room() -> None:
    world = stories.tell(
        [
            {"policy": {"quotas": {"runningWorkspaces": 1}}},
            {"workspace": "alice"},
            {
                "workspace": "second",
                "spec": {"owner": "alice", "desiredState": "Stopped"},
                "container": "exited",
            },
            {"start asked": "second", "while": "Stopped"},
        ]
    )
    assert world.plan().decisions["second"].reason is Reason.USER_AT_LIMIT
    asked = Suspension(running=False, desired_state="Running", at=world.now, by="alice")
    world.remember(suspensions={**world.memory.suspensions, "alice": asked})
    for _ in range(2):
        world.execute(world.plan())
        world.now += timedelta(seconds=1)
    decisions = world.plan().decisions
    assert decisions["second"].verdict is Verdict.KEEP
    assert decisions["alice"].reason is Reason.STOPPED_BY_REQUEST


def test_what_the_condition_is_called() -> None:
    assert ConditionType.OVER_QUOTA.value == Reason.OVER_QUOTA.value
