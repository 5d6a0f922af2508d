"""What holds for every policy: order means nothing, quotas cap, and nobody depends on others."""

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controller.model.effective import Effective, Refusal
from controller.planning import resolve
from controller.planning.case import Blueprint
from controller.planning.planner import Planner
from tests.support import builders
from tests.support.world import World

PEOPLE = ("alice", "bob", "carol", "dave")
GROUPS = ("students", "faculty", "guests")
CLASSES = ("vm", "batch")
SOON, LATER = "2026-12-24T00:00:00Z", "2027-03-31T00:00:00Z"
PAST = "2026-01-01T00:00:00Z"

sizes = st.sampled_from(["16m", "1g", "2g", "64g", None])
cpus = st.sampled_from(["0.5", "2", "64", None])
counts = st.sampled_from([50, 1000, None])


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Any of these fields, or none."""
    return st.fixed_dictionaries({}, optional=fields)


resources = some(
    cpus=cpus,
    memory=sizes,
    memoryReservation=st.just("16m"),
    shm=st.sampled_from(["1m", "1g", "64g"]),
    pids=counts,
)
quotas = some(cpus=cpus, memory=sizes, shm=sizes, pids=counts, workspaces=st.integers(0, 3))
presets: dict[str, st.SearchStrategy[Any]] = {
    "resources": resources,
    "lifecycle": some(idleTimeout=st.sampled_from(["1h", None])),
    "priority": st.integers(1, 100),
    "storage": some(home=sizes),
}
persons = st.lists(st.sampled_from(PEOPLE), unique=True, max_size=3)


def _granted(draw: st.DrawFn, number: int) -> dict[str, Any]:
    grant: dict[str, Any] = draw(some(**presets, quotas=quotas, starts=st.just(PAST)))
    who = draw(st.sampled_from(["users", "groups"]))
    names = PEOPLE if who == "users" else GROUPS
    grant[who] = draw(st.lists(st.sampled_from(names), unique=True, min_size=1, max_size=2))
    months = st.sampled_from(["2026-11", "2027-01", "2027-02"])  # the first is over
    expires = f"{draw(months)}-0{number + 1}T00:00:00Z"
    return {**grant, "name": f"g{number}", "reason": "r", "approvedBy": "prof", "expires": expires}


@st.composite
def policies(draw: st.DrawFn) -> dict[str, Any]:
    """What a policy may say of people."""
    groups = draw(st.lists(st.sampled_from(GROUPS), unique=True))
    a_class = some(resources=resources, env=st.just({"WHO": "{owner}"}))
    wanted: dict[str, Any] = {
        "defaults": draw(some(**presets)),
        "quotas": draw(quotas),
        "classes": {name: draw(a_class) for name in CLASSES},
        "defaultClass": draw(st.sampled_from(CLASSES)),
        "groups": {name: draw(some(**presets, members=persons, quotas=quotas)) for name in groups},
        "groupOrder": draw(st.permutations(groups)) if draw(st.booleans()) else [],
        "users": draw(
            st.dictionaries(
                st.sampled_from(PEOPLE),
                some(**presets, quotas=quotas, expires=st.sampled_from([SOON, PAST])),
            )
        ),
    }
    grants = [_granted(draw, number) for number in range(draw(st.integers(0, 4)))]
    named = [grant for grant in grants if set(grant.get("groups", ())) <= set(groups)]
    return wanted | {"grants": named}


def resolved(policy: dict[str, Any], owner: str, spec: dict[str, Any]) -> Effective | Refusal:
    return resolve.resolve(
        builders.accepted(f"{owner}-1", owner=owner, **spec),
        builders.standing(**policy),
        builders.account(owner),
    )


def shuffled(value: Any, chance: random.Random, path: str = "") -> Any:  # noqa: ANN401 - as written
    """The same policy in another order, where order says nothing."""
    if isinstance(value, dict):
        keys = chance.sample(list(value), len(value))
        return {key: shuffled(value[key], chance, key) for key in keys}
    if isinstance(value, list) and path in {"members", "grants", "users", "groups"}:
        return [shuffled(one, chance) for one in chance.sample(value, len(value))]
    return value


@given(policies(), st.sampled_from(PEOPLE), some(resources=resources), st.randoms(use_true_random=False))
def test_order_within_a_policy_means_nothing(
    policy: dict[str, Any], owner: str, spec: dict[str, Any], chance: random.Random
) -> None:
    found, other = resolved(policy, owner, spec), resolved(shuffled(policy, chance), owner, spec)
    assert found == other
    if isinstance(found, Effective) and isinstance(other, Effective):
        assert found.values == other.values


@given(policies(), st.sampled_from(PEOPLE), some(resources=resources))
def test_no_workspace_has_more_than_its_owner_may_have_in_all(
    policy: dict[str, Any], owner: str, spec: dict[str, Any]
) -> None:
    found = resolved(policy, owner, spec)
    if isinstance(found, Refusal):
        return
    limits, most = found.limits, found.quotas
    for value, cap in (
        (limits.nano_cpus, most.cpus),
        (limits.memory, most.memory),
        (limits.memory_reservation, most.memory),
        (found.shm, most.shm),
        (limits.pids, most.pids),
    ):
        reserves_nothing = value is None and value is limits.memory_reservation
        assert cap is None or reserves_nothing or (value is not None and value <= cap)


@given(policies(), st.sampled_from(PEOPLE), st.sampled_from(PEOPLE))
def test_what_is_said_of_one_is_nothing_to_another(policy: dict[str, Any], one: str, other: str) -> None:
    if one == other:
        return
    others = [grant for grant in policy["grants"] if grant.get("users") != [one]]
    without = {
        **policy,
        "users": {name: user for name, user in policy["users"].items() if name != one},
        "groups": {name: _without(group, one) for name, group in policy["groups"].items()},
        "grants": [_without(grant, one, "users") for grant in others],
    }
    assert resolved(policy, other, {}) == resolved(without, other, {})


def _without(said: dict[str, Any], name: str, part: str = "members") -> dict[str, Any]:
    return {**said, part: [one for one in said[part] if one != name]} if part in said else said


def _ports(world: World) -> dict[str, tuple[object, ...]]:
    planner = Planner(world.rules)
    world.plan(planner)
    return {
        name: tuple(design.template.ports)
        for name, design in planner.designs.items()
        if isinstance(design, Blueprint)
    }


@given(st.permutations(PEOPLE), st.lists(st.sampled_from(PEOPLE), min_size=1, unique=True))
def test_who_leaves_moves_nobodys_ports(listed: list[str], leaving: list[str]) -> None:
    def policy(members: list[str]) -> Any:  # noqa: ANN401 - of the builders
        pool = {"name": "main", "from": 10000, "to": 10999, "block": 100}
        return builders.policy(portPools=[pool], groups={"students": {"members": members}})

    world = World(policy=policy(listed))
    for name in listed:
        services = [{"name": "ssh", "port": 22}, {"name": "web", "port": 80}]
        world.specs[name] = builders.accepted(name, services=services)
    for _ in range(2):
        world.execute(world.plan())
    before = _ports(world)
    world.policy = policy([name for name in listed if name not in leaving])
    for name in leaving:
        del world.specs[name]
    after = _ports(world)
    assert after == {name: ports for name, ports in before.items() if name not in leaving}
