"""What is measured of a workspace, and what is said of one that takes more than its soft limits."""

from dataclasses import replace

import pytest

from controller.api.conditions import ConditionStatus, ConditionType, Reason
from controller.model.effective import Effective, Mount
from controller.model.observed import Account, Seen
from controller.model.plan import Verdict
from controller.model.sizes import Measured, Size, Unmeasured, Usage, Wanted
from controller.planning import sizes
from controller.planning.case import Blueprint
from controller.planning.planner import Planner
from controller.status import events, summary
from tests.support import builders, reports
from tests.support.world import World

GIB = 1 << 30
NOW = builders.NOW
UNKNOWN = Unmeasured("not measured yet", NOW)


def world() -> World:
    return World().add(builders.accepted())


def effective(found: World) -> Effective:
    planner = Planner(found.rules)
    found.plan(planner)
    design = planner.designs["alice"]
    assert isinstance(design, Blueprint)
    return design.effective


def usage(layer: Size = UNKNOWN, log: Size = UNKNOWN, home: Size | None = None) -> Usage:
    return Usage(layer, log, home, "/mnt/storage/alice")


def mount(name: str, target: str) -> Mount:
    return Mount(name, f"/mnt/{name}", target, read_only=False, create=False, required=True)


def test_the_home_is_the_mount_of_that_name_else_the_one_at_the_accounts_home() -> None:
    found = world()
    container, seen = found.main("alice"), found.observed().engine
    assert container is not None
    assert isinstance(seen, Seen)
    plain = replace(effective(found), account=Account("alice", 1, 1, "/home/alice"), mounts=())
    data, home, other = mount("data", "/data"), mount("home", "/root"), mount("other", "/home/alice")
    for mounts, path in (((data,), ""), ((data, other), "/mnt/other"), ((other, home), "/mnt/home")):
        wanted = sizes.wanted({"alice": replace(plain, mounts=mounts)}, seen.value)
        assert wanted == {"alice": Wanted(container.id, path)}
    wanted = sizes.wanted({"bob": replace(plain, account=None, mounts=(other,))}, seen.value)
    assert wanted == {"bob": Wanted("", "")}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (usage(), ""),
        (usage(Measured(GIB, NOW)), ""),
        (usage(Measured(GIB + 1, NOW)), "the container wrote 1g outside its mounts, more than 1g"),
        (
            usage(Measured(GIB, NOW), Measured(GIB // 2, NOW)),
            "the container wrote 1.5g outside its mounts, more than 1g",
        ),
        (usage(home=Measured(3 * GIB, NOW)), "/mnt/storage/alice has 3g, more than 2g"),
        (usage(home=UNKNOWN), ""),
    ],
)
def test_what_is_larger_than_its_soft_limit_is_said_with_the_numbers(found: Usage, said: str) -> None:
    limited = replace(effective(world()), storage_layer=GIB, storage_home=2 * GIB)
    assert sizes.excess(found, limited) == said
    assert sizes.excess(found, replace(limited, storage_layer=None, storage_home=None)) == ""


def test_nothing_is_done_about_it_but_a_condition_and_one_event() -> None:
    host = World(policy=builders.policy(defaults={"storage": {"layer": "1g"}})).add(builders.accepted())
    observed = replace(host.observed(), usage={"alice": usage(Measured(2 * GIB, NOW))})
    calm = host.plan()
    plan = Planner(host.rules).plan(host.desired(), observed, host.recall(), host.now)
    decision = plan.decisions["alice"]
    assert (decision.verdict, decision.actions) == (Verdict.KEEP, ())
    (note,) = decision.notes
    assert note.reason is Reason.STORAGE_HIGH
    status = summary.summarize(
        None, host.specs["alice"], decision, host.main("alice"), summary.Facts(), host.now
    )
    assert status.conditions[ConditionType.OVER_SOFT_LIMIT].status is ConditionStatus.TRUE
    before = replace(reports.report([]), plan=calm)
    report = replace(reports.report([]), plan=plan)
    told = [event for event in events.derive(before, report) if event.reason is Reason.STORAGE_HIGH]
    assert [(event.subject, event.warning) for event in told] == [("alice", True)]
    assert not [one for one in events.derive(report, report) if one.reason is Reason.STORAGE_HIGH]
