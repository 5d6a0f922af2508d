"""What is published of slices: by owner and by workspace, absent where nobody knows, gone with its object."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from prometheus_client import parser

from controller.api.conditions import ConditionType, Reason
from controller.api.config import SliceDriver
from controller.model import actions
from controller.model.outcomes import Failed
from controller.model.plan import HostFinding, Note
from controller.model.slices import UNLIMITED, ContainerUse, SliceLimits, Use
from controller.model.status import ChainReport
from controller.reporting import metrics
from tests.support import reports, sliced

EXPECTED = actions.Expected(running=True, started_at=reports.NOW, pid=42)
SET = actions.SetSlice(SliceDriver.SYSTEMD, "alice", "wharf-alice.slice", sliced.LIMITS)
LIMIT = actions.LimitCgroup("alice", reports.ID, "workspace-alice", None, 1, EXPECTED)


@pytest.fixture
def published() -> metrics.Metrics:
    return metrics.Metrics("1.2.3")


def series(published: metrics.Metrics, name: str) -> Mapping[tuple[str, ...], float]:
    """The values of one metric by the values of its labels, in the order of the labels' names."""
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in parser.text_string_to_metric_families(published.expose().decode())
        for sample in family.samples
        if sample.name == f"wharfinger_{name}"
    }


def test_what_owners_and_workspaces_use_is_published(published: metrics.Metrics) -> None:
    one = replace(sliced.USE, cpu_seconds=7.0)
    published.publish(
        sliced.report(
            [sliced.running("vision")], [sliced.owned()], uses={"vision": ContainerUse(one, "alice")}
        )
    )
    for subject, name, seconds in (("owner", "alice", 12.5), ("workspace", "vision", 7.0)):
        assert series(published, f"{subject}_cpu_seconds_total") == {(name,): seconds}
        assert series(published, f"{subject}_cpu_throttled_seconds_total") == {(name,): 1.25}
        assert series(published, f"{subject}_memory_bytes") == {(name,): 300 * sliced.MEBI}
        assert series(published, f"{subject}_memory_cache_bytes") == {(name,): 100 * sliced.MEBI}
        assert series(published, f"{subject}_swap_bytes") == {(name,): sliced.MEBI}
        assert series(published, f"{subject}_pids") == {(name,): 7}
        assert series(published, f"{subject}_oom_kills_total") == {(name,): 2}
        io = series(published, f"{subject}_io_bytes_total")
        assert io == {("read", name): 1000, ("write", name): 2000}
        waits = series(published, f"{subject}_pressure_seconds_total")
        assert {(*sorted(key), value) for key, value in waits.items()} == {
            (*sorted((name, "cpu", "some")), 3.5),
            (*sorted((name, "memory", "full")), 0.5),
        }


def test_what_the_kernel_does_not_tell_is_absent_and_not_nothing(published: metrics.Metrics) -> None:
    published.publish(
        sliced.report(
            [sliced.running("vision")],
            [sliced.owned(use=Use(memory=0))],
            uses={"vision": ContainerUse(Use(), "alice")},
        )
    )
    assert series(published, "owner_memory_bytes") == {("alice",): 0}
    for name in ("swap_bytes", "pids", "cpu_seconds_total", "oom_kills_total", "io_bytes_total"):
        assert series(published, f"owner_{name}") == {}
    assert series(published, "workspace_memory_bytes") == {}


def test_series_go_with_what_they_are_of(published: metrics.Metrics) -> None:
    used = {name: ContainerUse(sliced.USE, "alice") for name in ("vision", "audio")}
    slices = [sliced.owned(), sliced.owned("bob")]
    published.publish(sliced.report(map(sliced.running, used), slices, used))
    assert series(published, "owner_memory_bytes").keys() == {("alice",), ("bob",)}
    assert series(published, "workspace_memory_bytes").keys() == {("vision",), ("audio",)}
    published.publish(sliced.report([sliced.running("audio")], slices[:1], used))
    assert series(published, "owner_memory_bytes").keys() == {("alice",)}
    assert series(published, "owner_limit").keys() == {
        ("alice", "cpus"),
        ("alice", "memory"),
        ("alice", "pids"),
    }
    assert series(published, "workspace_memory_bytes").keys() == {("audio",)}


def test_limits_are_published_in_base_units_and_those_of_nobody_are_absent(
    published: metrics.Metrics,
) -> None:
    limits = SliceLimits(
        nano_cpus=1_500_000_000, memory=4, memory_high=3, memory_low=2, swap=0, pids=1, cpu_weight=7
    )
    unlimited = sliced.owned("carol", limits=UNLIMITED)
    unknown = sliced.owned("dave", wanted=None)
    published.publish(sliced.report([], [sliced.owned("bob", limits=limits), unlimited, unknown]))
    assert series(published, "owner_limit") == {
        ("bob", "cpus"): 1.5,
        ("bob", "memory"): 4,
        ("bob", "memory_high"): 3,
        ("bob", "memory_low"): 2,
        ("bob", "swap"): 0,
        ("bob", "pids"): 1,
    }


def test_owners_have_their_groups_so_that_groups_can_be_summed(published: metrics.Metrics) -> None:
    statuses = [sliced.running("a"), sliced.running("b"), sliced.running("c", owner='d"n')]
    published.publish(sliced.report(statuses, groups={"alice": "students"}))
    assert series(published, "owner_info") == {("students", "alice"): 1, ("", 'd"n'): 1}


def test_who_makes_slices_is_published_where_somebody_does(published: metrics.Metrics) -> None:
    published.publish(reports.report([]))
    assert series(published, "cgroup_info") == {}
    published.publish(sliced.report())
    assert series(published, "cgroup_info") == {("cgroupfs", "1"): 1}


@pytest.mark.parametrize(
    ("action", "message", "counted"),
    [
        (
            SET,
            "memory: 512m in place of 400m; pids: 7 in place of 5",
            {("systemd", "memory"), ("systemd", "pids")},
        ),
        (SET, "systemd does not answer", {("systemd", "other")}),
        (LIMIT, "cpus: 2 in place of 1", {("cgroupfs", "cpus")}),
        (reports.start("alice"), "memory: no", set()),
    ],
)
def test_limits_that_could_not_be_set_are_counted_by_name(
    published: metrics.Metrics, action: actions.Action, message: str, counted: set[tuple[str, str]]
) -> None:
    failure = Failed(action, 0.1, Reason.NOT_APPLIED, message, retryable=True)
    chain = ChainReport(reports.decision(), (failure,), reports.NOW, reports.later(1))
    published.publish(sliced.report(chains=(chain,)))
    assert series(published, "cgroup_apply_errors_total") == dict.fromkeys(counted, 1)


def test_what_others_do_to_slices_is_counted(published: metrics.Metrics) -> None:
    assert series(published, "contested_slices") == {(): 0}
    findings = tuple(
        HostFinding(reason, owner, "x")
        for owner in ("alice", "bob")
        for reason in (Reason.SLICE_CONTESTED, Reason.SLICE_STRANGER)
    )
    published.publish(sliced.report(findings=findings[:3]))
    assert series(published, "contested_slices") == {(): 2}
    assert series(published, "slices_with_strangers") == {(): 1}


def test_a_limit_without_effect_is_a_series_of_those_who_have_it(published: metrics.Metrics) -> None:
    noted = reports.decision("bob", notes=(Note(Reason.LIMIT_NOT_ENFORCED, "no memoryHigh"),))
    published.publish(reports.report([reports.status("alice"), reports.status("bob", noted)]))
    found = series(published, "workspace_status_condition")
    kind = str(ConditionType.LIMIT_NOT_ENFORCED)
    assert {key for key, value in found.items() if kind in key and value} == {(kind, "true", "bob")}
    assert not any(kind in key and "alice" in key for key in found)
