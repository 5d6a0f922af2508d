"""What is said of slices: one word, the numbers as far as they are known, and where each workspace is."""

import json
from dataclasses import replace
from datetime import timedelta, timezone
from typing import Any

import pytest

from controller.api.conditions import Reason
from controller.model.observed import ContainerState, Limits, Unseen
from controller.model.slices import (
    UNLIMITED,
    ContainerUse,
    IoLimit,
    Slice,
    SliceLimit,
    SliceLimits,
    Use,
)
from controller.model.slicestatus import Difference
from controller.status import objects, slices
from controller.status.slices import SliceState
from tests.support import reports, sliced

BLIND = Unseen(Reason.NOT_SEEN, "no cgroups", reports.NOW)
DIFFERENCE = Difference(SliceLimit.MEMORY, "512m", "400m")


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, SliceState.AS_SPECIFIED),
        ({"wanted": None}, SliceState.UNKNOWN),
        ({"refused": "no pids here", "differences": (DIFFERENCE,)}, SliceState.UNENFORCEABLE),
        ({"found": None, "differences": (DIFFERENCE,)}, SliceState.PENDING),
        ({"differences": (DIFFERENCE,), "lowering": "in use"}, SliceState.DIFFERS),
        ({"lowering": "in use", "gaps": ("no memoryHigh",)}, SliceState.LOWERING),
        ({"gaps": ("no memoryHigh",)}, SliceState.NOT_ENFORCED),
        ({"found": None, "active": False}, SliceState.ABSENT),
        ({"found": None, "wanted": UNLIMITED}, SliceState.ABSENT),
        ({"wanted": UNLIMITED}, SliceState.UNLIMITED),
    ],
)
def test_how_a_slice_stands_is_one_word(changes: dict[str, Any], state: SliceState) -> None:
    one = sliced.owned(**changes)
    assert slices.state_of(one, None) is state
    assert slices.state_of(one, BLIND) is SliceState.UNKNOWN


def test_everything_known_of_a_slice_is_told_in_plain_numbers() -> None:
    limits = SliceLimits(
        nano_cpus=1_500_000_000,
        cpuset="0-3",
        cpu_weight=50,
        memory=4096,
        memory_low=1024,
        swap=0,
        io=(IoLimit("/home", read=1, write_ops=2),),
    )
    gaps = ("no memoryHigh",)
    found = Slice("alice", "/wharf/alice", UNLIMITED, sliced.USE, strangers=("process 1 (x)",))
    one = sliced.owned(wanted=limits, found=found, differences=(DIFFERENCE,), gaps=gaps, waits="being set")
    report = sliced.report(
        [sliced.running("b"), sliced.running("a"), sliced.running("c"), sliced.running("d", "bob")],
        [sliced.owned("bob"), one],
        uses={
            "a": ContainerUse(sliced.USE, "alice"),
            "b": ContainerUse(sliced.USE, "alice"),
            "c": ContainerUse(sliced.USE, None),
        },
        groups={"alice": "students"},
    )
    told = json.loads(json.dumps(slices.slices_object(report, {"alice": 0.75})))
    assert [item["name"] for item in told["items"]] == ["alice", "bob"]
    assert (told["driver"], told["cgroupVersion"]) == ("Cgroupfs", 1)
    assert told["items"][0] == {
        "name": "alice",
        "owner": "alice",
        "group": "students",
        "slice": "/wharf/alice",
        "state": "Differs",
        "message": "being set",
        "differences": [{"limit": "memory", "observed": "512m", "desired": "400m"}],
        "notEnforced": ["no memoryHigh"],
        "strangers": ["process 1 (x)"],
        "workspaces": ["a", "b"],
        "limits": {
            "cpus": 1.5,
            "cpuset": "0-3",
            "cpuWeight": 50,
            "memory": 4096,
            "memoryLow": 1024,
            "swap": 0,
            "io": [{"path": "/home", "read": 1, "writeOps": 2}],
        },
        "enforced": {},
        "use": {
            "cpuSeconds": 12.5,
            "throttledSeconds": 1.25,
            "memory": 300 * sliced.MEBI,
            "cache": 100 * sliced.MEBI,
            "swap": sliced.MEBI,
            "pids": 7,
            "ioRead": 1000,
            "ioWritten": 2000,
            "oomKills": 2,
            "pressure": {"cpu some": 3.5, "memory full": 0.5},
        },
        "cpus": 0.75,
    }


def test_what_is_not_known_is_absent() -> None:
    one = sliced.owned(found=None, wanted=None, active=False)
    told = slices.slices_object(sliced.report([], [one], unseen=BLIND))
    assert told["unseen"] == "NotSeen: no cgroups"
    (item,) = told["items"]
    assert not {"group", "limits", "enforced", "use", "cpus", "message"} & item.keys()
    assert slices.use_object(Use(memory=0)) == {"memory": 0}


def test_what_was_known_before_is_not_told_where_a_part_of_the_look_is_missing() -> None:
    known = sliced.report([], [sliced.owned()]).slices
    assert known.where_seen(None, reports.NOW) is known
    told = known.where_seen(None, BLIND)
    assert (told.driver, told.version, told.unseen) == (known.driver, known.version, BLIND)
    assert not told.owners


def test_use_is_told_with_the_moment_to_its_fraction_and_by_workspace() -> None:
    status = sliced.running("vision")
    assert status.container is not None
    limits = Limits(nano_cpus=500_000_000, memory=64, memory_swap=96, pids=9)
    container = reports.container("vision", id=status.container.id, kernel_limits=limits)
    blind = reports.container("audio", id=sliced.container_id("audio"), kernel_limits=BLIND)
    stopped = reports.container("text", id=sliced.container_id("text"), state=ContainerState.EXITED)
    report = sliced.report(
        [
            replace(status, container=container),
            replace(sliced.running("audio"), container=blind),
            replace(sliced.running("text"), container=stopped),
            sliced.running("unread"),
        ],
        uses={
            "vision": ContainerUse(Use(memory=1), "alice"),
            "audio": ContainerUse(Use(), None),
            "text": ContainerUse(Use(), "alice"),
        },
    )
    at = reports.later(0.25).astimezone(timezone(timedelta(hours=2)))
    told = slices.usage_object(report, at)
    assert told["at"] == "2026-11-22T12:00:00.250000Z"
    assert told["workspaces"] == [
        {"name": "audio", "owner": "alice", "inside": False, "limits": {}, "use": {}},
        {
            "name": "vision",
            "owner": "alice",
            "inside": True,
            "limits": {"cpus": 0.5, "memory": 64, "swap": 32, "pids": 9},
            "use": {"memory": 1},
        },
    ]


def test_a_workspace_says_in_which_slice_it_is_and_whether_it_is_there() -> None:
    status = sliced.running("vision")

    def told(report: Any) -> object:  # noqa: ANN401 - a report
        return objects.workspace_object(status, report.slices)["status"].get("slice")

    inside = sliced.report([status], [sliced.owned()], {"vision": ContainerUse(Use(memory=1), "alice")})
    assert told(inside) == {"name": "/wharf/alice", "inside": True, "use": {"memory": 1}}
    outside = sliced.report([status], [sliced.owned()], {"vision": ContainerUse(Use(), None)})
    assert told(outside) == {"name": "/wharf/alice", "inside": False, "use": {}}
    assert told(sliced.report([status], [sliced.owned()])) == {"name": "/wharf/alice"}
    assert told(sliced.report([status], [sliced.owned("bob")])) is None
    assert told(reports.report([status])) is None
