"""How decisions and GPUs come together: who waits since when, when it is looked again, what is approved."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from controller.api.conditions import Reason
from controller.api.config import GpuAttach
from controller.model.gpus import Driver
from controller.model.observed import ContainerState, Seen, Unseen
from controller.model.plan import Plan
from controller.planning.planner import Planner
from tests.support import builders, stories
from tests.support.world import World

ALONE = {"gpu": {"mode": "Exclusive"}}
TWO: list[dict[str, Any]] = [
    {"gpus": ["GPU-1"]},
    {"workspace": "alice", "spec": ALONE},
    {"workspace": "bob", "spec": ALONE, "container": "none"},
]
LONG = builders.NOW - timedelta(minutes=5)


def world(*events: dict[str, Any]) -> World:
    return stories.tell([dict(event) for event in events])


def waits(plan: Plan) -> Mapping[str, datetime]:
    assert plan.gpu_waits is not None
    return plan.gpu_waits


def test_who_begins_to_wait_is_noted_with_the_time() -> None:
    assert waits(world(*TWO).plan()) == {"bob": builders.NOW}


def test_who_waits_keeps_its_place_in_time() -> None:
    assert waits(world(*TWO, {"waits for gpus": "bob", "for": "5m"}).plan()) == {"bob": LONG}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"unseen": "gpus"}, {"bob": LONG}),
        ({"gpu users unseen": "processes"}, {"bob": LONG}),
        ({"driver mismatch": "the driver is 1 and its library is 2"}, {"bob": LONG}),
        ({"intent": "bob"}, {"bob": LONG}),
        ({"unproven": "the host is new"}, None),
        ({"unseen": "policy"}, None),
        ({"unseen": "engine"}, None),
        ({"unseen": "ledger"}, None),
        ({"stop asked": "bob"}, {}),
        ({"pause": "bob"}, {}),
        ({"pause": "host"}, {"bob": LONG}),
        ({"disk": 95}, {"bob": LONG}),
    ],
)
def test_what_is_not_known_costs_nobody_its_place(
    event: dict[str, Any], expected: dict[str, datetime] | None
) -> None:
    assert world(*TWO, {"waits for gpus": "bob", "for": "5m"}, event).plan().gpu_waits == expected


def test_who_got_its_gpu_keeps_its_place_until_it_runs() -> None:
    host = world(*TWO, {"waits for gpus": "bob", "for": "5m"}, {"stop asked": "alice"}, {"passes": 1})
    host.now += timedelta(minutes=20)
    for number, reason in enumerate((Reason.CONTAINER_MISSING, Reason.FIRST_START, Reason.AS_SPECIFIED)):
        plan = host.plan()
        assert plan.decisions["bob"].reason is reason
        assert waits(plan) == ({} if reason is Reason.AS_SPECIFIED else {"bob": LONG}), number
        host.execute(plan)
        host.now += timedelta(seconds=15)


def test_who_ended_at_once_does_not_wait_any_more() -> None:
    host = world(TWO[0], TWO[2], {"waits for gpus": "bob", "for": "5m"}, {"passes": 2})
    main = host.main("bob")
    assert main is not None
    host.change(main.id, state=ContainerState.EXITED, finished_at=host.now, exit_code=1)
    plan = host.plan()
    assert plan.decisions["bob"].reason is Reason.CONTAINER_EXITED
    assert waits(plan) == {}


def test_it_is_looked_again_when_a_hold_or_a_fence_ends() -> None:
    host = world(*TWO, {"stop asked": "alice"}, {"container": "alice", "ended_ago": "5m"})
    assert host.plan().next_look == host.now + timedelta(minutes=10)
    host = world({"gpus": ["GPU-1"]}, {"fence": "GPU-1", "last": "2m"}, dict(TWO[2]))
    assert host.plan().next_look == host.now + timedelta(minutes=8)


def test_an_approval_of_other_devices_is_for_nothing_else() -> None:
    host = world(*TWO, {"container": "alice", "ended_ago": "1h"}, {"gpu container": "x", "with": ["GPU-1"]})
    asked = host.plan().decisions["alice"]
    assert asked.reason is Reason.OWN_GPU_BUSY
    assert asked.change.endswith(":other-gpus")
    host.bystanders = {}
    assert host.plan().decisions["alice"].change == asked.change.removesuffix(":other-gpus")


def test_an_approval_of_a_restart_for_lost_access_is_for_that_run() -> None:
    host = world(*TWO[:2], {"gpu access": "alice"}, {"approve": "alice"})
    assert host.plan().decisions["alice"].disrupts
    main = host.main("alice")
    assert main is not None
    host.change(main.id, started_at=host.now)
    assert host.plan().decisions["alice"].reason is Reason.GPU_ACCESS_LOST
    assert not host.plan().decisions["alice"].disrupts


@pytest.mark.parametrize(
    ("way", "cdi", "driver"),
    [
        (GpuAttach.AUTO, None, Driver.NVIDIA),
        (GpuAttach.AUTO, frozenset[str](), Driver.CDI),
        (GpuAttach.AUTO, frozenset({"nvidia.com/gpu=GPU-1"}), Driver.CDI),
        (GpuAttach.AUTO, frozenset({"nvidia.com/gpu=0"}), Driver.NVIDIA),
        (GpuAttach.CDI, None, Driver.CDI),
        (GpuAttach.DEVICE_REQUEST, frozenset[str](), Driver.NVIDIA),
    ],
)
def test_how_a_gpu_reaches_a_container(way: GpuAttach, cdi: frozenset[str] | None, driver: Driver) -> None:
    host = world(*TWO)
    host.cdi, host.rules = cdi, replace(host.rules, gpu_attach=way)
    planner = Planner(host.rules)
    host.plan(planner)
    assert planner.equipment is not None
    attachment = planner.equipment.attachment(("GPU-1",))
    assert attachment.driver is driver
    assert attachment.names == (("nvidia.com/gpu=GPU-1",) if driver is Driver.CDI else ("GPU-1",))


def test_a_look_with_other_figures_of_the_same_gpus_compares_nothing_anew() -> None:
    host = world(*TWO)
    planner = Planner(host.rules)
    host.plan(planner)
    assert planner.equipment is not None
    stock = planner.equipment.stock
    host.gpus = replace(host.gpus, devices=dict(host.gpus.devices), driver="535")
    host.plan(planner)
    assert planner.equipment.stock is stock


def test_gpus_that_cannot_be_seen_do_not_keep_the_host_from_being_seen_whole() -> None:
    host = world(*TWO, {"unseen": "gpus"})
    observed = host.observed()
    assert isinstance(observed.gpus, Unseen)
    assert isinstance(observed.engine, Seen)
    reasons = {name: decision.reason for name, decision in host.plan().decisions.items()}
    assert reasons == {"alice": Reason.AS_SPECIFIED, "bob": Reason.NOT_SEEN}
