"""What Prometheus reads, read as Prometheus reads it."""

import re
import time
from collections.abc import Mapping
from dataclasses import replace

import pytest
from prometheus_client import parser

from controller.api.conditions import DriftKind, Reason
from controller.model import actions
from controller.model.desired import Finding
from controller.model.gpus import AccessState, Ailment, Cordon, Device, Trouble, Use, Wish
from controller.model.gpustatus import DeviceStatus, Foreign, GpuStatus, User, WorkspaceGpus
from controller.model.memory import Cause
from controller.model.observed import ContainerState, Unseen
from controller.model.outcomes import Failed, Outcome, Skipped, Succeeded
from controller.model.plan import Drift, HostFinding, Remedy, Verdict
from controller.model.sizes import Measured, Unmeasured, Usage
from controller.model.status import ChainReport, PassReport
from controller.reporting import declaring, instruments, metrics
from controller.status import summary
from tests.support import builders, reports

START = reports.start("alice")
CREATED = re.compile("_created$")


@pytest.fixture
def published() -> metrics.Metrics:
    return metrics.Metrics("1.2.3")


def read(published: metrics.Metrics) -> Mapping[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample by name and labels; a series that is there twice fails."""
    samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in parser.text_string_to_metric_families(published.expose().decode()):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in samples, key
            samples[key] = sample.value
    return samples


def value(published: metrics.Metrics, name: str, /, **labels: str) -> float | None:
    return read(published).get((f"wharfinger_{name}", frozenset(labels.items())))


def chain(*outcomes: Outcome) -> ChainReport:
    decision = reports.decision(verdict=Verdict.START, reason=Reason.FIRST_START)
    return ChainReport(decision, outcomes, reports.NOW, reports.later(2))


def drifted_report(**fields: object) -> PassReport:
    clean = reports.status()
    drift = Drift(DriftKind.ENV, "FOO", "a", "b", Remedy.REPLACE)
    decision = reports.decision(verdict=Verdict.WAIT, reason=Reason.CHANGE_PENDING, drifts=(drift,))
    dirty = summary.summarize(clean, clean.spec, decision, clean.container, summary.Facts(), reports.later(1))
    return replace(reports.report([dirty]), **fields)  # type: ignore[arg-type] # by name


def test_bytes_are_published_as_far_as_they_are_known_and_a_shared_home_once(
    published: metrics.Metrics,
) -> None:
    unknown = Unmeasured("not measured yet", reports.NOW)
    home = Measured(7000, reports.later(-60))
    one = Usage(Measured(10, reports.NOW), unknown, home, "/home/alice")
    other = Usage(unknown, Measured(20, reports.NOW), home, "/home/alice")
    third = Usage(unknown, unknown, Measured(500, reports.NOW), "/home/else")
    statuses = [
        replace(reports.status(name), owner="alice", usage=usage)
        for name, usage in (("alice", one), ("bob", other), ("carol", third))
    ]
    published.publish(reports.report(statuses))
    assert value(published, "workspace_layer_bytes", workspace="alice") == 10
    assert value(published, "workspace_layer_bytes", workspace="bob") is None
    assert value(published, "workspace_log_bytes", workspace="alice") is None
    assert value(published, "workspace_log_bytes", workspace="bob") == 20
    measured = value(published, "workspace_layer_measured_timestamp_seconds", workspace="alice")
    assert measured == reports.NOW.timestamp()
    assert value(published, "owner_home_bytes", owner="alice") == 7500
    oldest = value(published, "owner_home_measured_timestamp_seconds", owner="alice")
    assert oldest == reports.later(-60).timestamp()


def test_the_disk_of_the_engine_is_measured_and_absent_while_it_cannot_be_seen(
    published: metrics.Metrics,
) -> None:
    published.publish(reports.report([]))
    assert value(published, "disk_used_ratio") is None
    assert value(published, "disk_pressure") == 0
    published.publish(replace(reports.report([]), disk=builders.disk(93)))
    assert value(published, "disk_used_ratio") == 0.93
    assert value(published, "disk_used_bytes") == 93 * 2**30
    assert value(published, "disk_size_bytes") == 100 * 2**30
    assert value(published, "disk_pressure") == 1


def test_every_declared_metric_is_published_and_no_other(published: metrics.Metrics) -> None:
    published.publish(drifted_report())
    families = {
        family.name: family.type
        for family in parser.text_string_to_metric_families(published.expose().decode())
        if not family.name.startswith(("process_", "python_"))
    }
    declared = {one.full_name.removesuffix("_total"): str(one.kind) for one in instruments.DECLARED}
    assert families == declared


def test_names_follow_the_rules() -> None:
    for one in instruments.DECLARED:
        assert re.fullmatch(r"wharfinger_[a-z][a-z0-9_]*[a-z0-9]", one.full_name), one.name
        assert (one.kind is declaring.Kind.COUNTER) == one.name.endswith("_total"), one.name
        assert not one.name.endswith(("_count", "_sum", "_bucket", "_created")), one.name
        assert one.kind is not declaring.Kind.HISTOGRAM or one.name.endswith("_seconds"), one.name
        assert one.help.endswith("."), one.name
        assert "le" not in one.labels, one.name
        assert "user" not in one.labels, one.name
    assert len(instruments.BY_NAME) == len(instruments.DECLARED)


def test_known_series_start_at_zero(published: metrics.Metrics) -> None:
    assert value(published, "actions_total", action="create_container", result="error") == 0
    assert value(published, "drift_detected_total", kind="gpu", source="resync") == 0
    assert value(published, "reconcile_total", controller="workspace", result="success") == 0
    assert value(published, "spec_files", kind="Workspace", state="invalid") == 0
    assert value(published, "docker_up") == 0


def test_nothing_doubles_the_series(published: metrics.Metrics) -> None:
    published.publish(drifted_report())
    assert [name for name, _ in read(published) if CREATED.search(name)] == []


def test_the_state_of_a_workspace_is_published_and_vanishes(published: metrics.Metrics) -> None:
    published.publish(
        drifted_report(spec_files={("Workspace", "valid"): 1}, in_progress=frozenset({"alice"}))
    )
    condition = {"workspace": "alice", "condition": "Ready"}
    assert value(published, "workspace_info", workspace="alice", owner="alice", image="sample:1") == 1
    assert value(published, "workspace_status_condition", **condition, status="true") == 1
    assert value(published, "workspace_status_condition", **condition, status="false") == 0
    assert value(published, "workspace_drift", workspace="alice", kind="env") == 1
    assert value(published, "workspace_drift", workspace="alice", kind="image") == 0
    since = value(published, "workspace_drift_since_timestamp_seconds", workspace="alice", kind="env")
    assert since == reports.later(1).timestamp()
    assert value(published, "workspace_spec_running", workspace="alice") == 1
    assert value(published, "spec_files", kind="Workspace", state="valid") == 1
    assert value(published, "active_workers", controller="workspace") == 1
    assert value(published, "controller_mode", mode="enforce") == 1
    published.publish(reports.report())
    assert [labels for _, labels in read(published) if ("workspace", "alice") in labels] == []


def test_the_engine_out_of_sight_is_down(published: metrics.Metrics) -> None:
    published.publish(reports.report())
    assert value(published, "docker_up") == 1
    lost = reports.report(
        unseen=(("engine", Reason.ENGINE_UNAVAILABLE, "x"),), complete=False, at=reports.later(9)
    )
    published.publish(lost)
    assert value(published, "docker_up") == 0
    assert value(published, "reconcile_total", controller="pass", result="error") == 1
    assert value(published, "resync_last_success_timestamp_seconds") == reports.NOW.timestamp()
    assert value(published, "loop_heartbeat_timestamp_seconds", loop="pass") == reports.later(9).timestamp()


def test_a_drift_is_counted_once_with_what_found_it(published: metrics.Metrics) -> None:
    report = drifted_report(cause="event")
    published.publish(report)
    published.publish(replace(report, cause="resync"))
    assert value(published, "drift_detected_total", kind="env", source="event") == 1
    assert value(published, "drift_detected_total", kind="env", source="resync") == 0


def test_outcomes_are_counted(published: metrics.Metrics) -> None:
    failed = Failed(START, 0.2, Reason.REFUSED_BY_ENGINE, "no", retryable=False)
    lost = Failed(START, 60.0, Reason.OUTCOME_UNKNOWN, "?", retryable=True, unknown=True)
    chains = (
        chain(Succeeded(START, 0.1)),
        chain(failed),
        chain(lost),
        chain(Skipped(START, 0.1, "changed")),
    )
    published.publish(reports.report(chains=chains))
    for result in ("success", "error", "unknown", "skipped"):
        assert value(published, "actions_total", action="start_container", result=result) == 1
    for result, count in {"success": 1, "error": 2, "requeue": 1}.items():
        assert value(published, "reconcile_total", controller="workspace", result=result) == count
    assert value(published, "terminal_reconcile_errors_total", controller="workspace") == 1
    assert value(published, "action_duration_seconds_count", action="start_container") == 4
    assert value(published, "reconcile_time_seconds_sum", controller="workspace") == 8


@pytest.mark.parametrize(
    ("code", "oom", "state", "reason"),
    [
        (0, False, ContainerState.EXITED, "completed"),
        (1, False, ContainerState.EXITED, "error"),
        (143, False, ContainerState.EXITED, "signal"),
        (137, True, ContainerState.EXITED, "oom"),
        (0, False, ContainerState.RUNNING, "unknown"),
    ],
)
def test_an_exit_is_counted_once_and_forgotten_with_its_workspace(
    published: metrics.Metrics, code: int, oom: bool, state: ContainerState, reason: str
) -> None:
    up = reports.status()
    ended = reports.container(state=state, exit_code=code, oom_killed=oom, finished_at=reports.later(1))
    down = reports.report([replace(up, container=ended)])
    published.publish(reports.report([up]))
    assert value(published, "workspace_container_exits_total", workspace="alice", reason=reason) == 0
    published.publish(down)
    published.publish(replace(down, statuses={"alice": replace(up, container=ended, generation=2)}))
    assert value(published, "workspace_container_exits_total", workspace="alice", reason=reason) == 1
    published.publish(reports.report())
    published.publish(reports.report([up]))
    assert value(published, "workspace_container_exits_total", workspace="alice", reason=reason) == 0


def test_a_refused_file_is_counted_once(published: metrics.Metrics) -> None:
    broken = reports.report(file_findings=(Finding("x.yaml", 1, 1, "", "not YAML"),))
    published.publish(broken)
    published.publish(broken)
    assert value(published, "spec_parse_errors_total", reason="SpecRejected") == 1


def test_findings_about_the_host_are_counted(published: metrics.Metrics) -> None:
    found = (HostFinding(Reason.ORPHANED, "a", ""), HostFinding(Reason.FOREIGN_CONTAINER, "b", ""))
    published.publish(reports.report(findings=found))
    assert value(published, "orphan_containers") == 1
    assert value(published, "foreign_containers") == 1


def test_what_others_count_is_published(published: metrics.Metrics) -> None:
    published.count_request("create", "201", 0.2)
    published.count_engine_event("container", "health_status: healthy")
    published.count_reconnect("lost")
    published.set_stream_connected(True)
    published.count_log("warning")
    published.count_http("metrics", "GET", "/metrics", 200)
    published.set_ledger_size(4096)
    published.count_ledger_error("busy")
    published.count_queue_add("workspaces")
    published.count_queue_retry("workspaces")
    published.observe_queue("workspaces", 0.1, 2.0)
    published.watch_queue("workspaces", lambda: 3, lambda: {"alice": 2.0, "bob": 5.0})
    assert value(published, "docker_requests_total", operation="create", code="201") == 1
    assert value(published, "docker_request_duration_seconds_count", operation="create") == 1
    assert value(published, "docker_events_total", type="container", action="health_status") == 1
    assert value(published, "docker_event_stream_reconnects_total", reason="lost") == 1
    assert value(published, "docker_event_stream_connected") == 1
    assert value(published, "log_messages_total", level="warning") == 1
    http = {"server": "metrics", "method": "GET", "route": "/metrics", "code": "200"}
    assert value(published, "http_requests_total", **http) == 1
    assert value(published, "state_db_size_bytes") == 4096
    assert value(published, "state_db_errors_total", kind="busy") == 1
    assert value(published, "workqueue_adds_total", name="workspaces") == 1
    assert value(published, "workqueue_retries_total", name="workspaces") == 1
    assert value(published, "workqueue_depth", name="workspaces") == 3
    assert value(published, "workqueue_unfinished_work_seconds", name="workspaces") == 7
    assert value(published, "workqueue_longest_running_processor_seconds", name="workspaces") == 5
    assert value(published, "workqueue_work_duration_seconds_sum", name="workspaces") == 2


def test_a_strange_image_name_cannot_break_the_format(published: metrics.Metrics) -> None:
    strange = 'a"b\\c\nd'
    clean = reports.status()
    assert clean.container is not None
    made_from = replace(clean.container, configuration=replace(clean.container.configuration, image=strange))
    published.publish(reports.report([replace(clean, container=made_from)]))
    assert value(published, "workspace_info", workspace="alice", owner="alice", image=strange) == 1


def test_a_thousand_workspaces_are_scraped_quickly(published: metrics.Metrics) -> None:
    published.publish(reports.report([reports.status(f"ws{number}") for number in range(1000)]))
    seconds = []
    for _ in range(5):
        begun = time.perf_counter()
        published.expose()
        seconds.append(time.perf_counter() - begun)
    assert min(seconds) < 0.15


def test_the_reference_page_names_every_metric() -> None:
    page = instruments.reference()
    assert all(f"`{one.full_name}`" in page for one in instruments.DECLARED)


def test_a_change_that_waits_is_published_with_its_time_and_cause(published: metrics.Metrics) -> None:
    held = reports.decision(
        "alice", Verdict.HOLD, Reason.BUDGET_EXCEEDED, cause=Cause.IMAGE_MOVED, disrupts=True
    )
    removal = reports.decision("bob", Verdict.HOLD, Reason.REMOVALS_HELD)
    decided = (held, removal, reports.decision("carol"))
    published.publish(reports.report([reports.status(one.workspace, one) for one in decided]))
    since = "workspace_change_pending_since_timestamp_seconds"
    assert value(published, since, workspace="alice") == reports.NOW.timestamp()
    assert value(published, since, workspace="carol") is None
    counts = {
        cause: value(published, "held_changes", cause=cause) for cause in ("Edited", "ImageMoved", "Removed")
    }
    assert counts == {"Edited": 0, "ImageMoved": 1, "Removed": 1}


def test_only_a_stop_that_happened_and_that_nobody_asked_for_is_a_disruption(
    published: metrics.Metrics,
) -> None:
    stop = actions.StopContainer(
        "alice",
        reports.ID,
        "workspace-alice",
        reports.later(60) - reports.NOW,
        actions.Expected(running=True, started_at=None, pid=1),
    )
    done = replace(chain(Succeeded(stop, 0.1)), decision=reports.decision(cause=Cause.EDITED, disrupts=True))
    chains = (
        done,
        replace(done, outcomes=(Skipped(stop, 0.1, "changed"),)),
        replace(done, outcomes=(Succeeded(stop, 0.1, already=True),)),
        replace(done, decision=reports.decision(disrupts=True)),
    )
    published.publish(reports.report(chains=chains))
    assert value(published, "disruptions_total", cause="Edited") == 1
    assert value(published, "disruptions_total", cause="Removed") == 0


GPU = Device("GPU-1", "A100", 1, "0")
PART = Device("MIG-2", "A100", 1, "0:0", parent="GPU-1", profile="1g.10gb")
HANGS = Unseen(Reason.NOT_SEEN, "it hangs", reports.NOW)
XID = Trouble("GPU-1", Ailment.XID, "XID 79", reports.NOW, 79, lasts=False)


def with_gpus(*devices: DeviceStatus, **fields: object) -> PassReport:
    status = replace(GpuStatus(devices=devices, driver="550.1"), **fields)  # type: ignore[arg-type] # by name
    return reports.report(gpus=status)


def test_each_device_has_its_series_and_what_is_not_told_has_none(published: metrics.Metrics) -> None:
    users = (
        User("GPU-1", "", user="zoe", pid=1, foreign=Foreign.HOST),
        User("GPU-1", "", user="zoe", pid=2, foreign=Foreign.HOST),
        User("GPU-1", "workspace alice", "alice", pid=3),
        User("GPU-1", 'container "x" (not ours)', foreign=Foreign.CONTAINER),
    )
    held = DeviceStatus(
        GPU, holders=("workspace alice",), workspaces=("alice",), users=users, use=Use(0.5, 7)
    )
    cordon = Cordon("MIG-2", "", reports.NOW, "root")
    gone = DeviceStatus(replace(GPU, uuid="GPU-9"), there=False)
    published.publish(with_gpus(held, DeviceStatus(PART, users=None, cordon=cordon), gone))
    assert value(published, "nvml_up") == 1
    assert value(published, "gpu_devices") == 1
    told = {"gpu": "0:0", "model": "A100", "profile": "1g.10gb", "type": "mig", "parent_uuid": "GPU-1"}
    assert value(published, "gpu_device_info", uuid="MIG-2", **told) == 1
    assert value(published, "gpu_device_allocatable", uuid="GPU-1") == 1
    assert value(published, "gpu_device_allocatable", uuid="MIG-2") == 0
    assert value(published, "gpu_device_allocated", uuid="GPU-1", workspace="alice") == 1
    assert value(published, "gpu_foreign_processes", uuid="GPU-1", kind="host") == 2
    assert value(published, "gpu_foreign_processes", uuid="GPU-1", kind="unassigned") == 0
    assert value(published, "gpu_foreign_processes", uuid="MIG-2", kind="host") is None
    assert value(published, "unmanaged_gpu_containers") == 1
    assert value(published, "gpu_memory_used_bytes", uuid="GPU-1") == 7
    assert value(published, "gpu_utilization_ratio", uuid="GPU-1") == 0.5
    assert value(published, "gpu_utilization_ratio", uuid="MIG-2") is None
    published.publish(with_gpus())
    assert not [labels for name, labels in read(published) if "_gpu_" in name and ("uuid", "GPU-1") in labels]


def test_gpus_that_cannot_be_looked_at_are_not_none(published: metrics.Metrics) -> None:
    published.publish(reports.report())
    assert value(published, "nvml_up") is None
    published.publish(reports.report(gpus=GpuStatus(unseen=HANGS)))
    assert value(published, "nvml_up") == 0
    assert value(published, "gpu_devices") is None


def test_a_fault_is_counted_once_however_often_it_is_seen(published: metrics.Metrics) -> None:
    sick = DeviceStatus(GPU, troubles=(XID,))
    published.publish(with_gpus(DeviceStatus(GPU)))
    assert value(published, "gpu_xid_errors_total", uuid="GPU-1", xid="79") == 0
    for _ in range(2):
        published.publish(with_gpus(sick, DeviceStatus(PART, troubles=(XID,))))
    assert value(published, "gpu_xid_errors_total", uuid="GPU-1", xid="79") == 1
    published.publish(with_gpus(unseen=HANGS))
    again = replace(XID, at=reports.later(60))
    published.publish(with_gpus(replace(sick, troubles=(again,))))
    assert value(published, "gpu_xid_errors_total", uuid="GPU-1", xid="79") == 2
    published.publish(with_gpus())
    assert value(published, "gpu_xid_errors_total", uuid="GPU-1", xid="79") is None


def test_requests_for_gpus_are_counted_by_what_came_of_them(published: metrics.Metrics) -> None:
    queued = reports.decision(verdict=Verdict.WAIT, reason=Reason.GPU_QUEUED)
    waiting = reports.status(
        decided=queued, gpus=WorkspaceGpus(Wish(profile="1g.10gb"), waiting_since=reports.NOW)
    )
    given = reports.status(gpus=WorkspaceGpus(Wish(), ("GPU-1",), access=AccessState.LOST))
    assert value(published, "gpu_allocation_requests_total", result="granted") == 0
    for status in (waiting, waiting):
        published.publish(reports.report([status]))
    assert value(published, "gpu_allocation_requests_total", result="queued") == 1
    assert value(published, "gpu_pending_requests", profile="1g.10gb") == 1
    assert value(published, "gpu_pending_requests", profile="whole") == 0
    published.publish(reports.report([given], at=reports.later(90)))
    assert value(published, "gpu_allocation_requests_total", result="granted") == 1
    assert value(published, "gpu_allocation_wait_seconds_sum") == 90
    assert value(published, "workspace_gpu_access_lost", workspace="alice") == 1
    condition = {"workspace": "alice", "condition": "GPUsAllocated", "status": "true"}
    assert value(published, "workspace_status_condition", **condition) == 1
    published.publish(reports.report([reports.status()]))
    assert value(published, "workspace_status_condition", **condition) is None
