"""What holds for the GPUs of every plan of every world: S1 and S8 as far as a plan can keep them.

Who starts is alone on what it has alone; nothing is given twice; ignorance gives nothing; all comes to rest.
"""

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import given, note
from hypothesis import strategies as st

from controller.api import labels
from controller.api.conditions import Reason
from controller.model import actions
from controller.model.effective import Effective
from controller.model.gpus import Wish
from controller.model.observed import Container, ContainerState
from controller.model.plan import Decision, Plan, Verdict
from controller.planning.case import Blueprint
from controller.planning.planner import Planner
from tests.properties import test_planning as planning
from tests.support import builders, stories
from tests.support.world import World

Event = dict[str, Any]
NAMES = ("alice", "bob", "carol")
WHOLE = ("GPU-1", "GPU-2", "GPU-3")
INSTANCES = ("MIG-1", "MIG-2")
HAVING = {
    ContainerState.RUNNING,
    ContainerState.PAUSED,
    ContainerState.RESTARTING,
    ContainerState.REMOVING,
    ContainerState.DEAD,
}
"""States in which processes of a container may use what it was made with."""
WISHES: list[dict[str, Any] | None] = [
    None,
    {"mode": "Exclusive"},
    {"mode": "Exclusive"},
    {"mode": "Exclusive", "count": 2},
    {"mode": "Exclusive", "uuids": ["GPU-1"]},
    {"mode": "Exclusive", "migProfile": "1g.10gb"},
    {"mode": "Exclusive", "minMemory": "90g"},
    {"mode": "Shared"},
    {"mode": "All"},
]


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    """What a spec may say of GPUs, and what makes it be replaced."""
    wish = draw(st.sampled_from(WISHES))
    return {
        **({} if wish is None else {"gpu": wish}),
        "env": draw(st.sampled_from([{}, {"A": "a"}])),
        "lifecycle": {"changes": draw(st.sampled_from(["Immediate", "Immediate", "WhenIdle", "Manual"]))},
        "desiredState": draw(st.sampled_from(["Running", "Running", "Running", "Stopped"])),
    }


def _devices(draw: st.DrawFn) -> list[Event]:
    whole = list(draw(st.sets(st.sampled_from(WHOLE))))
    events: list[Event] = [{"gpus": sorted(whole)}]
    if "GPU-3" in whole and draw(st.booleans()):
        events.append({"instances": list(INSTANCES), "of": "GPU-3", "profile": "1g.10gb"})
    return events


def _workspace(draw: st.DrawFn, name: str) -> list[Event]:
    state = draw(st.sampled_from(["none", "none", "running", "running", "created"]))
    own = draw(st.sampled_from([None, None, None, ["GPU-1"], ["GPU-2"], ["MIG-1"], ["GPU-3"]]))
    event: Event = {"workspace": name, "spec": draw(specs()), "container": state}
    events = [event if own is None or state == "none" else {**event, "gpus": own}]
    if state == "running" and draw(st.booleans()):
        ago = draw(st.sampled_from(["1m", "1h"]))
        events.append({"container": name, "started_ago": "2h", "ended_ago": ago})
    return events


def _happenings(name: str) -> st.SearchStrategy[Event]:
    device = st.sampled_from([*WHOLE, *INSTANCES])
    fixed: list[Event] = [
        {"stop asked": name},
        {"start asked": name},
        {"restart asked": name},
        {"pause": name},
        {"spec gone": name, "ago": "1m"},
        {"approve": name},
        {"gpu access": name},
        {"passes": 1},
        {"passes": 2},
        {"passes": 1, "failing": "StartContainer"},
        {"passes": 1, "failing": "CreateContainer"},
        {"program": "sample:1", "does": "ends"},
        {"wait": "20m"},
        {"waits for gpus": name, "for": "2h"},
        {"gpu container": "jupyter", "with": "all"},
        {"driver mismatch": "the driver is 1 and its library is 2"},
        {"cdi": []},
        {"unknown": f"workspace-{name}"},
    ]
    placed = [
        device.map(lambda uuid: {"gpu container": "dcgm", "with": [uuid]}),
        device.map(lambda uuid: {"gpu process": 4711, "device": uuid}),
        device.map(lambda uuid: {"gpu process": 4712, "device": uuid, "in": name}),
        device.map(lambda uuid: {"cordon": uuid}),
        device.map(lambda uuid: {"fence": uuid}),
        device.map(lambda uuid: {"gpu gone": uuid}),
        device.map(lambda uuid: {"intent": name, "gpus": [uuid]}),
    ]
    edits = specs().map(lambda spec: {"edit": name, "spec": spec})
    return st.one_of(st.sampled_from(fixed), edits, *placed)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A host with up to three GPUs and as many workspaces that may want some, to which things happened."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
    policy = {"gpus": {"sharers": 2, "allowAll": list(NAMES)}}
    events: list[Event] = [{"policy": policy}, *_devices(draw)]
    events += [event for name in names for event in _workspace(draw, name)]
    events += [draw(_happenings(name)) for name in draw(st.lists(st.sampled_from(names), max_size=5))]
    note(str(events))
    return planning.tell(events)


@dataclass(frozen=True)
class Use:
    """Somebody has a device."""

    uuid: str
    who: str
    shares: bool


def effective_of(world: World, name: str) -> Effective | None:
    planner = Planner(world.rules)
    planner.plan(world.desired(), world.observed(), world.memory, world.now)
    design = planner.designs.get(name)
    return design.effective if isinstance(design, Blueprint) else None


def shares(wishes: dict[str, Wish | None], name: str) -> bool:
    wish = wishes.get(name)
    return wish is not None and wish.shared


def granted(container: Container) -> list[str]:
    return [uuid for uuid in container.labels.get(labels.GPUS, "").split(",") if uuid]


def uses(world: World, wishes: dict[str, Wish | None], *, created: bool) -> Iterator[Use]:
    """Who has what as the host is: by a container that may run, by a process; `created`: or is about to."""
    ours = planning.owned(world)
    owner = {c.id: c.labels[labels.WORKSPACE] for c in world.containers.values() if c.id in ours}
    for container in world.containers.values():
        name = owner.get(container.id, container.name)
        about_to = created and container.started_at is None and container.id not in world.memory.retained
        if container.state in HAVING or (about_to and container.state is ContainerState.CREATED):
            for uuid in granted(container):
                yield Use(uuid, name, container.id in ours and shares(wishes, name))
    assert isinstance(world.bystanders, dict)
    for stranger in world.bystanders.values():
        every = list(world.gpus.devices) if stranger.attached.all else stranger.attached.names
        for uuid in every if stranger.running else ():
            yield Use(uuid, f"not ours: {stranger.name}", shares=False)
    for process in world.gpus.processes or ():
        who = owner.get(process.container_id, "")
        yield Use(process.device, who or f"process {process.pid}", bool(who) and shares(wishes, who))


def kin(world: World, uuid: str) -> set[str]:
    """The device itself and those that it shuts out."""
    known = world.gpus.devices
    parent = known[uuid].parent if uuid in known else None
    return {uuid, *((parent,) if parent else ()), *(one for one, d in known.items() if d.parent == uuid)}


def check_grants(world: World, plan: Plan) -> None:
    """Nothing is given or started that others have, and nothing twice in one plan."""
    wishes = {name: found.gpu for name in world.specs if (found := effective_of(world, name))}
    held: dict[str, list[Use]] = defaultdict(list)
    for use in uses(world, wishes, created=True):
        held[use.uuid].append(use)
    given: dict[str, set[str]] = defaultdict(set)
    for name, decision in plan.decisions.items():
        for uuid in _taken(decision.actions):
            given[uuid].add(name)
            rivals = {
                use.who
                for place in kin(world, uuid)
                for use in held[place]
                if use.who != name and not (place == uuid and use.shares and shares(wishes, name))
            }
            assert not rivals, f"{name} gets {uuid}, and {rivals} have it"
    for uuid, names in given.items():
        together = {n for place in kin(world, uuid) for n in given.get(place, ())}
        if len(together) > 1:
            assert together == names, f"{uuid} and a part of it are given to {together}"
            assert all(shares(wishes, name) for name in names), f"{uuid} is given to {names}"


def _taken(chain: tuple[actions.Action, ...]) -> set[str]:
    taken: set[str] = set()
    for action in chain:
        if isinstance(action, actions.StartContainer):
            taken.update(action.gpus)
        if isinstance(action, actions.CreateContainer) and action.template.gpus is not None:
            taken.update(action.template.gpus.uuids)
    return taken


def check_starts(world: World, plan: Plan) -> None:
    """A start names all the devices of its container, and removals only take what never ran."""
    for decision in plan.decisions.values():
        for action in decision.actions:
            if isinstance(action, actions.StartContainer):
                assert sorted(action.gpus) == sorted(granted(world.containers[action.container_id]))
            if isinstance(action, actions.RemoveContainer):
                found = world.containers[action.container_id]
                assert found.started_at is None
                assert not found.running


@given(worlds())
def test_nobody_gets_what_others_have(world: World) -> None:
    plan = world.plan()
    planning.check_every(world, plan)
    check_grants(world, plan)
    check_starts(world, plan)


@given(worlds(), st.integers(1, 6), st.integers(0, 8))
def test_nobody_gets_what_others_have_whatever_fails(world: World, passes: int, fails: int) -> None:
    count = 0

    def fault(_: actions.Action) -> bool:
        nonlocal count
        count += 1
        return count == fails

    for _ in range(passes):
        plan = world.plan()
        check_grants(world, plan)
        check_starts(world, plan)
        world.execute(plan, fault)
        world.now += planning.PASS


@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_of_what_is_seen_does_not_matter(world: World, chance: random.Random) -> None:
    first = world.plan()
    devices = list(world.gpus.devices.items())
    processes = list(world.gpus.processes or ())
    for some in (devices, processes):
        chance.shuffle(some)
    world.gpus = replace(world.gpus, devices=dict(devices), processes=tuple(processes))
    for field in ("specs", "containers", "bystanders"):
        items = list(getattr(world, field).items())
        chance.shuffle(items)
        setattr(world, field, dict(items))
    assert world.plan() == first


@given(worlds(), st.sampled_from(["gpus", "containers", "processes"]))
def test_who_uses_gpus_unseen_gives_none_and_harms_nobody(world: World, what: str) -> None:
    event = {"unseen": "gpus"} if what == "gpus" else {"gpu users unseen": what}
    before = world.plan().decisions
    stories.tell_more(world, [event])
    for name, decision in world.plan().decisions.items():
        assert not _taken(decision.actions)
        in_turn = before[name].reason in {Reason.PACED, Reason.BUDGET_EXCEEDED}  # its turn may come sooner
        assert in_turn or not _stops(decision) or _stops(before[name])


def _stops(decision: Decision) -> bool:
    return any(isinstance(one, actions.StopContainer) for one in decision.actions)


@given(worlds())
def test_workspaces_with_gpus_come_to_rest(world: World) -> None:
    world.remember(open_intents=())
    world.unknown = frozenset()
    planning.calm(world)
    plan = planning.drive(world, lambda _: False)
    waits = plan.gpu_waits or {}
    for name, decision in plan.decisions.items():
        if name in waits:
            assert decision.verdict is Verdict.WAIT
        if decision.reason is Reason.GPU_QUEUED:
            assert name in waits
            assert " in the queue" in decision.message


@given(worlds())
def test_a_planner_that_remembers_plans_the_same(world: World) -> None:
    planner = Planner(builders.RULES)
    for _ in range(3):
        plan = world.plan(planner)
        assert plan == world.plan()
        world.execute(plan)
        world.now += planning.PASS
