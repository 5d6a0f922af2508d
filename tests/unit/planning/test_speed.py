"""What planning costs: the figures are printed, and must not grow by a multiple."""

import time

from controller.api.conditions import Reason
from controller.model.effective import Effective
from controller.planning import resolve
from controller.planning.planner import Planner
from controller.planning.standing import Standing
from tests.support import builders, population
from tests.support.world import World

COUNT = 1000
TARGET = 0.04
"""Milliseconds a workspace on an idle machine."""
NOISE = 10
"""A shared machine may be this much slower; a quadratic step is more."""
PEOPLE, EACH = 1000, 3
ALL_ANEW = 300
"""Milliseconds to resolve all workspaces of so many people after an edit of the policy."""


def fleet() -> World:
    """A thousand running workspaces as specified."""
    world = World(
        policy=builders.policy(
            portPools=[{"name": "main", "from": 10000, "to": 59999, "block": 40}],
            defaultClass="vm",
            classes={"vm": {"resources": {"memory": "1g"}, "env": {"A": "a"}}},
        )
    )
    for number in range(COUNT):
        name = f"w{number:04}"
        world.specs[name] = builders.accepted(name, services=[{"name": "ssh", "port": 22}])
    for _ in range(2):
        world.execute(world.plan())
    return world


def test_an_unchanged_fleet_costs_next_to_nothing() -> None:
    world = fleet()
    planner = Planner(builders.RULES)
    desired, observed, memory = world.desired(), world.observed(), world.recall()
    plan = planner.plan(desired, observed, memory, world.now)
    assert {decision.reason for decision in plan.decisions.values()} == {Reason.AS_SPECIFIED}
    times = []
    for _ in range(7):
        began = time.perf_counter()
        assert len(planner.plan(desired, observed, memory, world.now).decisions) == COUNT
        times.append((time.perf_counter() - began) * 1000 / COUNT)
    print(f"planning: {min(times):.4f} ms a workspace at best of {COUNT} unchanged ones (target {TARGET})")
    assert min(times) < TARGET * NOISE


def test_a_policy_of_a_thousand_people_is_resolved_anew_in_no_time() -> None:
    policy, specs = population.policy(PEOPLE), list(population.workspaces(PEOPLE, EACH))
    accounts = {name: builders.account(name) for name in population.logins(PEOPLE)}
    times = []
    for _ in range(3):
        began = time.process_time()
        standing = Standing(policy, builders.NOW)
        for spec in specs:
            found = resolve.resolve(spec, standing, accounts[resolve.owner_of(spec.workspace)])
            assert isinstance(found, Effective)
        times.append((time.process_time() - began) * 1000)
    count = len(specs)
    print(
        f"resolution: {min(times):.0f} ms for all {count} workspaces of {PEOPLE} people (target {ALL_ANEW})"
    )
    assert min(times) < ALL_ANEW * NOISE
