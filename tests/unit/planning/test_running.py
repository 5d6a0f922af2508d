"""When a workspace that runs as specified is looked at again before anything happens to it."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from controller.api.conditions import Reason
from controller.model.observed import Unseen
from controller.model.plan import Plan
from controller.planning import running
from tests.support import builders
from tests.support.world import World

SERVICES = [{"name": "ssh", "port": 22}, {"name": "jupyter", "port": 8888}]
NOT_SEEN = Unseen(Reason.NOT_SEEN, "no such process", datetime.min)  # noqa: DTZ901 - never read


def plan_of(listening: frozenset[int] | Unseen, age: timedelta) -> tuple[World, Plan]:
    """The plan for a workspace of that age in which something listens there."""
    world = World().add(builders.accepted("alice", services=SERVICES))
    for made in world.of("alice"):
        world.containers[made.id] = replace(made, started_at=world.now - age, listening=listening)
    plan = world.plan()
    assert plan.decisions["alice"].reason is Reason.AS_SPECIFIED
    return world, plan


def test_a_young_workspace_whose_service_is_silent_is_looked_at_again_in_a_second() -> None:
    for listening in (frozenset[int](), frozenset({8888}), frozenset({22, 80})):
        world, plan = plan_of(listening, timedelta(seconds=2))
        assert plan.next_look == world.now + running.LOOKED_FOR_EVERY


@pytest.mark.parametrize(
    ("listening", "age"),
    [
        (frozenset({22, 8888, 80}), timedelta(seconds=2)),
        (frozenset[int](), running.EXPECTED_TO_LISTEN),
        (NOT_SEEN, timedelta(seconds=2)),
    ],
    ids=["all listen", "not young", "unseen"],
)
def test_every_other_one_waits_for_the_periodic_pass(
    listening: frozenset[int] | Unseen, age: timedelta
) -> None:
    assert plan_of(listening, age)[1].next_look is None


def test_a_workspace_without_services_has_nothing_to_wait_for() -> None:
    world = World().add(builders.accepted("alice"))
    for made in world.of("alice"):
        world.containers[made.id] = replace(made, started_at=world.now, listening=frozenset[int]())
    assert world.plan().next_look is None
