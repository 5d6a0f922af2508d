"""What holds for every plan of every world: the properties of the design, over random worlds.

P1 determinism, P2 convergence, P3 ownership, P5 ignorance is harmless, P6 totality, P9 rejections remove
nothing; no port is granted twice; one container of a workspace runs; nothing is stopped for nothing.
"""

import contextlib
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given, note
from hypothesis import strategies as st

from controller.api import labels
from controller.api.conditions import Reason
from controller.model import actions
from controller.model.memory import Memory
from controller.model.plan import Decision, Plan, Verdict
from controller.planning import claims
from controller.planning.planner import Planner
from tests.support import builders, stories
from tests.support.world import RefusedError, World

NAMES = ("alice", "bob", "thesis")
OF_THE_HOST = (actions.EnsureNetwork, actions.RemoveImage, actions.SetSlice, actions.RemoveSlice)
STILL = {Verdict.KEEP, Verdict.WAIT, Verdict.HOLD}
ENOUGH_PASSES = 40
BAD_PASSES = 12
PASS = timedelta(minutes=2)

Event = dict[str, Any]


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    """What a spec may say, owners apart."""
    wanted: dict[str, Any] = {
        "env": draw(st.sampled_from([{}, {"A": "a"}, {"A": "b"}])),
        "desiredState": draw(st.sampled_from(["Running", "Running", "Running", "Stopped"])),
        "lifecycle": {"changes": draw(st.sampled_from(["Immediate", "WhenIdle", "Manual"]))},
        "image": {"reference": draw(st.sampled_from(["sample:1", "sample:1", "other:2"]))},
        "pull": draw(st.sampled_from(["IfNotPresent", "IfNotPresent", "Always", "Never"])),
        "resources": {"memory": draw(st.sampled_from(["1g", "2g", None]))},
        "services": draw(
            st.sampled_from(
                [
                    [],
                    [{"name": "ssh", "port": 22}],
                    [{"name": "ssh", "port": 22}, {"name": "web", "port": 80}],
                    [{"name": "web", "port": 80, "hostPort": 10022}],
                ]
            )
        ),
        "mounts": draw(
            st.sampled_from([[], [{"name": "home", "source": "/mnt/storage/a", "target": "/home/a"}]])
        ),
        "secrets": draw(st.sampled_from([[], [{"name": "a", "file": "a"}]])),
    }
    if draw(st.integers(0, 9)) == 0:
        wanted["gpu"] = {"mode": "All"}
    return wanted


def _workspace(draw: st.DrawFn, name: str) -> list[Event]:
    spec = draw(specs())
    if name == "thesis":
        spec["owner"] = "alice"
    state = draw(st.sampled_from(["none", "running", "running", "running", "exited", "created", "paused"]))
    image = spec["image"]["reference"]
    events: list[Event] = [{"image": image, "is": draw(st.sampled_from([image, image, "missing"]))}]
    if "gpu" in spec:
        state = "none"
    events.append({"workspace": name, "spec": spec, "container": state})
    if state != "none":
        events += draw(st.lists(_by_hand(name), max_size=2))
    return events


def _by_hand(name: str) -> st.SearchStrategy[Event]:
    changes: list[Event] = [
        {"name": f"by-hand-{name}"},
        {"state": "running"},
        {"state": "exited"},
        {"limits": {"memory": "3g"}},
        {"networks": []},
        {"restart_policy": "always"},
        {"env": {"A": "z"}},
        {"hash": "v0:old"},
        {"started_ago": "1m", "ended_ago": "2s"},
    ]
    return st.sampled_from([{"container": name, **change} for change in changes])


def _happenings(name: str) -> st.SearchStrategy[Event]:
    """What may happen to a workspace that has a spec."""
    fixed: list[Event] = [
        {"stop asked": name},
        {"start asked": name},
        {"restart asked": name},
        {"pause": name},
        {"spec gone": name, "ago": "1m"},
        {"spec gone": name, "ago": "1s"},
        {"rejected": f"{name}.yaml", "name": name},
        {"rejected": f"{name}.yaml", "name": name, "reason": "OwnerChanged"},
        {"passes": 1, "failing": "CreateContainer"},
        {"passes": 1, "failing": "StartContainer"},
        {"passes": 2},
        {"secret missing": name},
        {"mount": f"{name}/home", "reason": "MountMissing"},
        {"listener": 10022},
        {"network": "wharf", "gone": True},
        {"ledger lost": "retained"},
        {"ledger lost": "backoffs"},
        {"removals held": "an accident"},
        {"accident": "all specs vanished at once"},
        {"approve": name},
        {"program": "sample:1", "does": "ends"},
        {"program": "other:2", "does": "cannot start"},
        {"program": "sample:1", "does": "unhealthy"},
        {"port taken": 10022},
        {"claim lost": name},
        {"policy": {"quotas": {"runningWorkspaces": 1}}},
        {"policy": {"quotas": {"memory": "1g"}, "enforce": {"memory": "Now"}}},
        {"policy": {"quotas": {"workspaces": 1}, "enforce": {"workspaces": "Now"}}},
        {"policy": {"defaults": {"resources": {"pids": 100, "swap": "1g"}}}},
        {"policy": {}},
    ]
    edits = specs().map(lambda spec: {"edit": name, "spec": _of_owner(name, spec)})
    unconfirmed = edits.map(lambda event: {**event, "unconfirmed": True, "ago": "1s"})
    return st.one_of(st.sampled_from(fixed), edits, unconfirmed)


def _of_owner(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {**spec, "owner": "alice"} if name == "thesis" else spec


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A host with up to three workspaces, to which things happened, and strangers on it."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
    events = [event for name in names for event in _workspace(draw, name)]
    events += [draw(_happenings(name)) for name in draw(st.lists(st.sampled_from(names), max_size=4))]
    stranger = draw(st.sampled_from([None, None, "workspace-bob", "elsewhere"]))
    note(str(events))
    world = tell(events)
    if stranger is not None and all(c.name != stranger for c in world.containers.values()):
        stories.tell_more(world, [{"foreign": stranger, "claims": "bob"}])
    return world


def tell(events: list[Event]) -> World:
    """Tell them but for those about a workspace that an earlier one made an end of."""
    world = World()
    for event in events:
        verb = next(iter(event))
        about = event[verb]
        if verb in {"edit", "spec gone", "restart asked", "container"} and about not in world.specs:
            continue
        if verb == "container" and not world.of(about):
            continue
        if verb == "gpu access" and world.main(about) is None:
            continue
        if verb == "approve" and about not in world.plan().decisions:
            continue
        with contextlib.suppress(RefusedError):  # a workspace that gets no ports has no container
            stories.tell_more(world, [event])
    return world


def destructive(decision: Decision) -> list[actions.Action]:
    return [
        action
        for action in decision.actions
        if isinstance(action, actions.StopContainer | actions.RemoveContainer | actions.ForgetWorkspace)
    ]


def owned(world: World) -> set[str]:
    """Ids of the containers whose claim holds and which are no copies."""
    first: dict[str, str] = {}
    for found in sorted(world.containers.values(), key=lambda c: (c.created, c.id)):
        if claims.judge(world.memory.claim_key, found.labels) is claims.Ownership.OWNED:
            first.setdefault(found.labels[labels.INSTANCE], found.id)
    return set(first.values())


def check_every(world: World, plan: Plan) -> None:
    """What holds for every plan."""
    ours = owned(world)
    mains = {
        c.labels[labels.WORKSPACE]
        for c in world.containers.values()
        if c.id in ours and c.name == labels.container_name(c.labels[labels.WORKSPACE])
    }
    named = {name for name in world.rejected if "." not in name}
    assert plan.decisions.keys() == {*world.specs, *named, *mains}
    for name, decision in plan.decisions.items():
        assert decision.workspace == name
        assert decision.reason
        assert (decision.verdict in STILL) == (not decision.actions)
        assert decision.retry_at is None or decision.retry_at > world.now
        assert not decision.disrupts or destructive(decision) or decision.reason in LATER
        for action in decision.actions:
            assert not isinstance(action, OF_THE_HOST)
            assert action.workspace == name
            if (identifier := getattr(action, "container_id", None)) is not None:
                assert identifier in ours
                assert world.containers[identifier].labels[labels.WORKSPACE] == name
        check_stops(world, decision)


def check_stops(world: World, decision: Decision) -> None:
    """Nothing that runs is stopped unless somebody or something confirmed says so."""
    name = decision.workspace
    spec = world.specs.get(name)
    for action in decision.actions:
        if not isinstance(action, actions.StopContainer):
            continue
        assert decision.disrupts
        assert spec is not None
        found = world.containers[action.container_id]
        assert action.expected == actions.Expected(found.running, found.started_at, found.pid)
        wish = world.memory.suspensions.get(name)
        asked = wish is not None and not wish.running
        restarted = name in world.memory.restart_requests
        removed = (
            spec.missing_since is not None
            and world.now - spec.missing_since >= builders.RULES.deletion_grace
            and not world.removals_held
        )
        beside = any(c.running and c.id != found.id for c in world.of(name))
        assert asked or restarted or removed or spec.confirmed or beside
        if name in world.rejected:
            assert asked or restarted or removed or spec.generation > 1 or beside or _says(spec, "Stopped")


def _says(spec: Any, word: str) -> bool:  # noqa: ANN401 - an accepted spec
    return bool(spec.workspace.spec.desired_state == word)


@given(worlds())
def test_every_workspace_has_one_decision_and_only_our_containers_are_touched(world: World) -> None:
    check_every(world, world.plan())


@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_of_what_is_seen_does_not_matter(world: World, chance: random.Random) -> None:
    first = world.plan()
    for field in ("specs", "containers", "images", "rejected"):
        items = list(getattr(world, field).items())
        chance.shuffle(items)
        setattr(world, field, dict(items))
    assert world.plan() == first


@given(worlds(), st.sampled_from(["engine", "host", "ledger", "specs", "policy"]))
def test_what_is_not_seen_stops_and_removes_nothing(world: World, part: str) -> None:
    stories.tell_more(world, [{"unseen": part}])
    for decision in world.plan().decisions.values():
        by_person = part in {"specs", "policy"} and _person_asked(world.memory, decision)
        assert by_person or not destructive(decision)


def _person_asked(memory: Memory, decision: Decision) -> bool:
    wish = memory.suspensions.get(decision.workspace)
    stop = wish is not None and not wish.running
    return (stop and decision.verdict is Verdict.STOP) or decision.workspace in memory.restart_requests


@given(worlds(), st.data())
def test_a_container_that_cannot_be_inspected_is_not_touched(world: World, data: st.DataObject) -> None:
    names = sorted(c.name for c in world.containers.values())
    if not names:
        return
    world.unknown = frozenset(data.draw(st.sets(st.sampled_from(names), min_size=1)))
    for decision in world.plan().decisions.values():
        for action in decision.actions:
            identifier = getattr(action, "container_id", None)
            assert identifier is None or world.containers[identifier].name not in world.unknown
            assert not isinstance(action, actions.CreateContainer) or action.name not in world.unknown


@given(worlds())
def test_a_rejected_file_removes_nothing(world: World) -> None:
    for name, spec in world.specs.items():
        world.specs[name] = replace(spec, missing_since=None)
        world.rejected[name] = builders.rejected(name, path=f"{name}.yaml")
    plan = world.plan()
    removals = [d for d in plan.decisions.values() if d.verdict is Verdict.REMOVE]
    assert removals == []
    forgets = [
        a for d in plan.decisions.values() for a in d.actions if isinstance(a, actions.ForgetWorkspace)
    ]
    assert forgets == []


@given(worlds())
def test_no_port_is_granted_or_published_twice(world: World) -> None:
    plan = world.plan()
    holder = {grant.port: grant.workspace for grant in world.memory.port_grants}
    for decision in plan.decisions.values():
        for action in decision.actions:
            if isinstance(action, actions.GrantPorts):
                for grant in action.grants:
                    assert holder.setdefault(grant.port, grant.workspace) == grant.workspace
    for decision in plan.decisions.values():
        for action in decision.actions:
            if isinstance(action, actions.CreateContainer):
                ports = [port.host_port for port in action.template.ports]
                assert len(set(ports)) == len(ports)
                assert all(holder[port] == decision.workspace for port in ports)


def calm(world: World) -> None:
    """End what only time or a person would end, so that the rest must come to rest."""
    world.now += timedelta(minutes=1)
    for name, spec in world.specs.items():
        world.specs[name] = replace(spec, confirmed=True)


def drive(world: World, fault: Callable[[actions.Action], bool]) -> Plan:
    """Make passes, each by a controller that knows only the ledger, until nothing is left to do.

    Programs that end at once do so for some passes, and then no more.
    """
    for number in range(ENOUGH_PASSES):
        if number == BAD_PASSES:
            world.programs.clear()
            world.taken_ports = frozenset()
            for stranger in world.containers.keys() - owned(world):  # it may be what has a port of ours
                del world.containers[stranger]
        plan = world.plan(Planner(world.rules))
        check_every(world, plan)
        check_running(world)
        decisions = plan.decisions.values()
        if not plan.host_actions and not any(d.actions or d.reason in TIMED for d in decisions):
            return plan
        world.execute(plan, fault)
        world.now += PASS
    raise AssertionError(f"{ENOUGH_PASSES} passes did not come to rest")


LATER = {Reason.SPEC_CHANGED, Reason.PACED, Reason.BUDGET_EXCEEDED}
"""Something that runs is stopped for it, but by a later pass."""
TIMED = {
    Reason.CRASH_LOOP,
    Reason.BACKING_OFF,
    Reason.DELETION_GRACE,
    Reason.CONFIRMING,
    Reason.PACED,
    Reason.PROVING,
}
"""Waits that end by themselves."""


def check_running(world: World) -> None:
    """Never do two containers of one workspace run, but for one that a person started."""
    for name in world.specs:
        running = [c for c in world.of(name) if c.running and c.id in owned(world)]
        assert len(running) <= 1, [c.name for c in running]


@given(worlds())
def test_plans_come_to_rest_and_stay_there(world: World) -> None:
    calm(world)
    plan = drive(world, lambda _: False)
    settled = world.plan()
    assert settled.decisions == plan.decisions
    for name, decision in settled.decisions.items():
        found = world.main(name)
        if decision.reason is Reason.AS_SPECIFIED:
            assert found is not None
            assert found.running
        if decision.reason in {Reason.STOPPED, Reason.STOPPED_BY_REQUEST}:
            assert found is None or not found.running


@given(worlds(), st.integers(0, 12), st.integers(1, 3))
def test_plans_come_to_rest_although_actions_fail(world: World, skip: int, failures: int) -> None:
    calm(world)
    count = 0

    def fault(_: actions.Action) -> bool:
        nonlocal count
        count += 1
        return skip < count <= skip + failures

    drive(world, fault)


@given(worlds(), st.integers(0, 20))
def test_a_crash_between_any_two_actions_changes_nothing_of_where_it_ends(world: World, after: int) -> None:
    """The crash leaves no back-off: what was done is all that the next controller sees."""
    calm(world)
    count = 0

    def crash(_: actions.Action) -> bool:
        nonlocal count
        count += 1
        return count > after

    world.execute(world.plan(), crash)
    world.remember(backoffs={})
    drive(world, lambda _: False)
