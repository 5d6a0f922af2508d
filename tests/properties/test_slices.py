"""What holds for slices in every plan of every world: owners' limits as far as a plan can keep them.

Nothing is started without its owner's hard limits; nothing that runs is ended by a slice; what is as it
should be is left alone; ignorance is harmless; all comes to rest; no two owners share one.
"""

from datetime import timedelta
from typing import Any, Final

from hypothesis import given, note
from hypothesis import strategies as st

from controller.api.conditions import Reason
from controller.api.config import SliceDriver
from controller.model import actions, slicenames
from controller.model.observed import Seen, Unseen
from controller.model.plan import Plan
from controller.model.slices import ROOT, Slice, SliceLimits, SliceView, differing
from controller.planning import resolve
from controller.planning.case import Blueprint, should_run
from controller.planning.planner import Planner
from tests.properties import test_planning as planning
from tests.support import stories
from tests.support.world import World

Event = dict[str, Any]
NAMES: Final = ("alice", "second", "bob")
OWNERS: Final = {"alice": "alice", "second": "alice", "bob": "bob"}
DRIVERS: Final = (SliceDriver.SYSTEMD, SliceDriver.CGROUPFS)
MIB: Final = 2**20
AGGREGATES: Final[list[dict[str, Any]]] = [
    {},
    {"cpus": "1", "memory": "400m"},
    {"cpus": "1.5", "pids": 100, "memory": "200m"},
    {"cpuset": "0-1", "memory": "1g", "memoryHigh": "300m"},
    {"cpuset": "1-2", "memoryLow": "100m"},
    {"cpuWeight": 200, "memoryHigh": "300m"},
]
LOGINS: Final = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}", fullmatch=True)


@st.composite
def specs(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """What a spec says of limits."""
    memory = draw(st.sampled_from([None, "300m", "600m"]))
    resources: dict[str, Any] = {"memory": memory, "cpus": draw(st.sampled_from([None, "0.8", "2"]))}
    if memory is not None:
        resources["memoryReservation"] = draw(st.sampled_from([None, "100m"]))
    if draw(st.booleans()):
        resources["cpuset"] = draw(st.sampled_from(["0", "0-3", "2-3"]))
    state = draw(st.sampled_from(["Running", "Running", "Stopped"]))
    return {"owner": OWNERS[name], "resources": resources, "desiredState": state}


def _happenings(name: str) -> st.SearchStrategy[Event]:
    owner = OWNERS[name]
    fixed: list[Event] = [
        {"passes": 1},
        {"passes": 2},
        {"passes": 1, "failing": "SetSlice"},
        {"slice": owner, "memory": "512m", "cpus": "4", "pids": None},
        {"slice": owner, "unlimited": True},
        {"slice": owner, "strangers": ["process 4711 (python)"]},
        {"slice": "all", "memoryLow": "1g"},
        {"slice": "carol", "memory": "1g"},
        {"uses": name, "memory": "500m"},
        {"uses": name, "memory": "250m", "high": "200m"},
        {"stop asked": name},
        {"start asked": name},
        {"restart asked": name},
        {"spec gone": name},
        {"container": name, "slice": ""},
        {"container": name, "slice": "/old/alice"},
    ]
    policies = st.sampled_from(AGGREGATES).map(lambda one: {"policy": {"aggregate": one}})
    edits = specs(name).map(lambda spec: {"edit": name, "spec": spec})
    return st.one_of(st.sampled_from(fixed), policies, edits)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A host on which owners have slices, to which things happened."""
    events: list[Event] = [
        {"slices": draw(st.sampled_from(["systemd", "cgroupfs"])), "version": draw(st.sampled_from([1, 2]))},
        {"policy": {"aggregate": draw(st.sampled_from(AGGREGATES))}},
    ]
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
    for name in names:
        state = draw(st.sampled_from(["none", "running", "running", "exited", "created"]))
        events.append({"workspace": name, "spec": draw(specs(name)), "container": state})
    events += [draw(_happenings(name)) for name in draw(st.lists(st.sampled_from(names), max_size=5))]
    note(str(events))
    return tell(events)


def tell(events: list[Event]) -> World:
    """Tell them but for those about a workspace, or a container, that is not there any more."""
    world = World()
    for event in events:
        verb = next(iter(event))
        about = event[verb]
        if verb in {"edit", "spec gone", "restart asked"} and about not in world.specs:
            continue
        if verb in {"container", "uses"} and world.main(about) is None:
            continue
        stories.tell_more(world, [event])
    return world


def seen(world: World) -> SliceView:
    """What a look at the slices finds."""
    found = world.observed().slices
    assert isinstance(found, Seen)
    return found.value


def on_slices(plan: Plan) -> list[actions.SetSlice | actions.RemoveSlice]:
    """All that a plan does to slices."""
    done = (action for decision in plan.upkeep for action in decision.actions)
    return [action for action in done if isinstance(action, actions.SetSlice | actions.RemoveSlice)]


def check(world: World, planner: Planner, plan: Plan) -> None:
    """What holds for every plan."""
    planning.check_every(world, plan)
    view = seen(world)
    for action in on_slices(plan):
        assert action.name == slicenames.parent(view.driver, "wharf", action.owner)
        found = view.slices.get(action.owner)
        if isinstance(action, actions.SetSlice):
            assert found is None or differing(action.limits, found.limits, view.grain)
        else:
            assert found is not None
            assert not found.populated
            assert not wants(world, planner, action.owner)
    for name, decision in plan.decisions.items():
        if any(isinstance(one, actions.StartContainer) for one in decision.actions):
            check_start(world, name, view)


def wants(world: World, planner: Planner, owner: str) -> bool:
    """Whether an owner, or anybody, has a workspace that is to run."""
    return any(
        isinstance(design, Blueprint)
        and (owner in {ROOT, resolve.owner_of(world.specs[name].workspace)})
        and world.specs[name].missing_since is None
        and should_run(design.effective, world.memory.suspensions.get(name))
        for name, design in planner.designs.items()
    )


def check_start(world: World, name: str, view: SliceView) -> None:
    """Who starts has an owner whose hard limits are in force, memory that is in use apart."""
    policy = world.policy
    assert not isinstance(policy, Unseen)
    asked, owner = policy.policy.spec.aggregate, resolve.owner_of(world.specs[name].workspace)
    found = view.slices.get(owner, Slice(owner, "", SliceLimits()))
    have = found.limits
    assert asked.cpus in {None, have.nano_cpus}
    assert asked.cpuset in {None, have.cpuset}
    assert asked.pids in {None, have.pids}
    in_use = found.populated and (found.use.memory or 0) >= (asked.memory or 0)
    assert asked.memory in {None, have.memory} or in_use
    assert not any(one.workspace.startswith("slice/") for one in world.memory.open_intents)


@given(worlds())
def test_nothing_is_started_without_limits_and_nothing_is_ended_by_a_slice(world: World) -> None:
    planner = Planner(world.rules)
    check(world, planner, world.plan(planner))


@given(worlds())
def test_slices_that_cannot_be_seen_are_left_alone_and_nothing_is_stopped_for_that(world: World) -> None:
    before = {n: planning.destructive(d) for n, d in world.plan().decisions.items()}
    stories.tell_more(world, [{"unseen": "slices"}])
    plan = world.plan()
    assert not on_slices(plan)
    for name, decision in plan.decisions.items():
        assert len(planning.destructive(decision)) <= len(before[name])


def drive(world: World) -> Planner:
    """Make passes, each by a controller that knows only the ledger, until nothing is left to do."""
    for _ in range(planning.ENOUGH_PASSES):
        planner = Planner(world.rules)
        plan = world.plan(planner)
        check(world, planner, plan)
        decisions = (*plan.decisions.values(), *plan.upkeep)
        waits = planning.TIMED | {Reason.SLICE_PENDING}
        if not plan.host_actions and not any(d.actions or d.reason in waits for d in decisions):
            return planner
        world.execute(plan)
        world.now += planning.PASS
    raise AssertionError(f"{planning.ENOUGH_PASSES} passes did not come to rest: {plan}")


@given(worlds())
def test_slices_come_to_rest_with_the_limits_of_the_policy(world: World) -> None:
    world.now += timedelta(minutes=1)
    planner = drive(world)
    view, policy = seen(world), world.policy
    assert not isinstance(policy, Unseen)
    asked = policy.policy.spec.aggregate
    for owner, found in view.slices.items():
        if owner == ROOT:
            continue
        assert found.populated or wants(world, planner, owner)
        assert found.limits.nano_cpus == asked.cpus
        assert found.limits.cpuset == asked.cpuset
        assert found.limits.pids == asked.pids
        in_use = (found.use.memory or 0) >= (asked.memory or 0)
        assert found.limits.memory == asked.memory or in_use
    low = sum(found.limits.memory_low for owner, found in view.slices.items() if owner != ROOT)
    above = view.slices.get(ROOT)
    assert low == (above.limits.memory_low if above is not None else 0)
    assert above is None or above.limits == SliceLimits(memory_low=low)


@given(worlds())
def test_what_uses_too_much_gets_its_limit_once_it_uses_less(world: World) -> None:
    world.now += timedelta(minutes=1)
    drive(world)
    world.slices.used = dict.fromkeys(world.slices.used, MIB)
    drive(world)
    policy = world.policy
    assert not isinstance(policy, Unseen)
    for owner, found in seen(world).slices.items():
        assert owner == ROOT or found.limits.memory == policy.policy.spec.aggregate.memory
    assert not world.slices.high.keys() & {c.id for c in world.containers.values() if c.running}


@given(LOGINS, LOGINS, st.sampled_from(DRIVERS))
def test_no_two_owners_have_one_slice(one: str, other: str, driver: SliceDriver) -> None:
    name = slicenames.parent(driver, "wharf", one)
    assert slicenames.owner_of(driver, "wharf", name) == one
    assert (name == slicenames.parent(driver, "wharf", other)) == (one == other)
    assert name != slicenames.parent(driver, "wharf", ROOT)
    assert slicenames.owner_of(driver, "wharf2", name) is None
    if driver is SliceDriver.SYSTEMD:
        assert name.removesuffix(".slice").count("-") == 1
    else:
        assert name.count("/") == 2  # noqa: PLR2004 - one level below the root's
