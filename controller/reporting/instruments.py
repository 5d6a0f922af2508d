"""Every metric that is published, declared once: name, type, labels, help, and label values known beforehand.

Refuses to measure: `metrics` does.
"""

import typing
from typing import Final

from controller.api.conditions import ConditionStatus, ConditionType, DriftKind
from controller.model import actions, memory
from controller.reporting import slices
from controller.reporting.declaring import Instrument, Kind, counter, gauge, histogram, passing


def action_label(action: type) -> str:
    """An action's name in metrics and logs: `create_container`."""
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in action.__name__).lstrip("_")


_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_REQUEST: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_QUEUE: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0)

CONTROLLERS: Final = ("pass", "workspace")
RESULTS: Final = ("success", "error", "requeue")
ACTIONS: Final = tuple(sorted(action_label(kind) for kind in typing.get_args(actions.Action)))
ACTION_RESULTS: Final = ("success", "error", "unknown", "skipped")
CAUSES: Final = ("startup", "event", "spec", "resync", "request", "chain", "gpus")
DISRUPTION_CAUSES: Final = tuple(str(cause) for cause in memory.Cause)
MODES: Final = ("enforce", "observe", "paused")
SPEC_STATES: Final = (("Workspace",), ("valid", "invalid", "ignored", "settling"))
CONDITIONS: Final = (
    ConditionType.READY,
    ConditionType.RECONCILING,
    ConditionType.STALLED,
    ConditionType.SPEC_ACCEPTED,
    ConditionType.CONTAINER_RUNNING,
    ConditionType.CHANGE_PENDING,
    ConditionType.NOT_ENFORCED,
)
RARE_CONDITIONS: Final = (ConditionType.GPUS_ALLOCATED, ConditionType.LIMIT_NOT_ENFORCED)
"""Those that have series only for a workspace that has them."""
TRUTHS: Final = tuple(str(status).lower() for status in ConditionStatus)
EXITS: Final = ("completed", "error", "oom", "signal", "unknown")
KINDS_OF_DRIFT: Final = tuple(str(kind) for kind in DriftKind)
DECLARED: Final[tuple[Instrument, ...]] = (
    # the controller itself
    gauge(
        "build_info",
        "Build information of the running controller; the value is always 1.",
        "version",
        "python_version",
    ),
    passing("controller_mode", "Mode of the controller as a state set: enforce, observe or paused.", "mode"),
    counter(
        "reconcile_total",
        "Passes over the host and chains of a workspace that ended, by result.",
        "controller",
        "result",
        known=(CONTROLLERS, RESULTS),
    ),
    counter("reconcile_errors_total", "What went wrong in them, by reason.", "controller", "reason"),
    counter(
        "terminal_reconcile_errors_total",
        "Failures that are not retried before the spec or the host changes.",
        "controller",
        known=(CONTROLLERS,),
    ),
    counter(
        "reconcile_panics_total",
        "Defects of the controller that were caught.",
        "controller",
        known=(CONTROLLERS,),
    ),
    histogram(
        "reconcile_time_seconds",
        "Time taken by one pass, or by one chain of actions.",
        "controller",
        buckets=_SECONDS,
        known=(CONTROLLERS,),
    ),
    passing("active_workers", "Workspaces with a chain of actions under way.", "controller"),
    gauge("loop_heartbeat_timestamp_seconds", "Unix time of the last beat of a background loop.", "loop"),
    gauge("resync_last_success_timestamp_seconds", "Unix time of the last complete pass."),
    histogram("resync_duration_seconds", "Duration of the periodic passes.", buckets=_SECONDS),
    counter(
        "log_messages_total",
        "Log messages by level.",
        "level",
        known=(("debug", "info", "warning", "error", "critical"),),
    ),
    # the work queue
    gauge("workqueue_depth", "Items waiting in the work queue.", "name"),
    counter("workqueue_adds_total", "Items added to the work queue.", "name"),
    counter("workqueue_retries_total", "Items added again with back-off after a failure.", "name"),
    histogram(
        "workqueue_queue_duration_seconds",
        "Time an item waited in the queue before a worker took it.",
        "name",
        buckets=_QUEUE,
    ),
    histogram(
        "workqueue_work_duration_seconds", "Time a worker spent on one item.", "name", buckets=_SECONDS
    ),
    gauge("workqueue_unfinished_work_seconds", "Sum of the ages of items in work.", "name"),
    gauge(
        "workqueue_longest_running_processor_seconds",
        "Age of the item that has been in work for longest.",
        "name",
    ),
    # specs
    passing("spec_files", "Spec files by kind and state.", "kind", "state"),
    counter("spec_parse_errors_total", "Files that were refused, by reason.", "reason"),
    # workspaces
    passing(
        "workspace_info",
        "Information about a workspace; the value is always 1.",
        "workspace",
        "owner",
        "image",
    ),
    passing(
        "workspace_created_timestamp_seconds", "Unix time at which the workspace was created.", "workspace"
    ),
    passing(
        "workspace_spec_running",
        "Whether the workspace is asked to run (1) or to be stopped (0).",
        "workspace",
    ),
    passing("workspace_metadata_generation", "Generation of the spec in force.", "workspace"),
    passing(
        "workspace_status_observed_generation",
        "Generation of the spec that was acted upon last.",
        "workspace",
    ),
    passing(
        "workspace_status_condition",
        "Condition of a workspace as a state set over status: true, false or unknown.",
        "workspace",
        "condition",
        "status",
    ),
    passing(
        "workspace_container_start_timestamp_seconds",
        "Unix time at which the current container was started.",
        "workspace",
    ),
    passing(
        "workspace_change_pending_since_timestamp_seconds",
        "Unix time since which a change has been parked or held; absent without one.",
        "workspace",
    ),
    passing("held_changes", "Changes that wait for a person's approval, by cause.", "cause"),
    counter(
        "disruptions_total",
        "Running containers that were stopped without anybody asking for it, by cause.",
        "cause",
        known=(DISRUPTION_CAUSES,),
    ),
    Instrument(
        "workspace_container_exits_total",
        Kind.COUNTER,
        "Exits of the container by reason: completed, error, oom, signal; unknown if it runs again.",
        ("workspace", "reason"),
        passing=True,
    ),
    # drift and actions
    passing(
        "workspace_drift", "Whether a workspace differs from its spec, by kind of drift.", "workspace", "kind"
    ),
    passing(
        "workspace_drift_since_timestamp_seconds",
        "Unix time since which the drift has existed; absent without drift.",
        "workspace",
        "kind",
    ),
    counter(
        "drift_detected_total",
        "Drifts detected, by kind and by what woke the pass.",
        "kind",
        "source",
        known=(KINDS_OF_DRIFT, CAUSES),
    ),
    counter("actions_total", "Actions by result.", "action", "result", known=(ACTIONS, ACTION_RESULTS)),
    histogram(
        "action_duration_seconds", "Duration of actions.", "action", buckets=_SECONDS, known=(ACTIONS,)
    ),
    passing("orphan_containers", "Containers of ours that have no spec."),
    passing("foreign_containers", "Containers that carry our labels without a valid claim."),
    # Docker
    passing("docker_up", "Whether the last look at the Docker Engine succeeded."),
    counter(
        "docker_requests_total",
        "Requests to the Docker API by operation and HTTP status code, or class of error without one.",
        "operation",
        "code",
    ),
    histogram(
        "docker_request_duration_seconds", "Latency of Docker API requests.", "operation", buckets=_REQUEST
    ),
    counter("docker_events_total", "Events received from the Docker Engine.", "type", "action"),
    gauge("docker_event_stream_connected", "Whether the event stream is connected."),
    counter(
        "docker_event_stream_reconnects_total",
        "Reconnects of the event stream by reason.",
        "reason",
        known=(("lost",),),
    ),
    # bytes, as they were measured last
    passing(
        "workspace_layer_bytes",
        "What the container wrote outside its mounts; absent if unknown.",
        "workspace",
    ),
    passing(
        "workspace_log_bytes", "The container's log with its rotated files; absent if unknown.", "workspace"
    ),
    passing(
        "workspace_layer_measured_timestamp_seconds", "Unix time at which both were measured.", "workspace"
    ),
    passing("owner_home_bytes", "The owner's home; absent if unknown.", "owner"),
    passing("owner_home_measured_timestamp_seconds", "Unix time at which it was measured.", "owner"),
    # the Engine's disk
    passing("disk_size_bytes", "Size of the file system that holds the Engine's data; absent if unseen."),
    passing("disk_used_bytes", "Bytes in use on it; absent if unseen."),
    passing("disk_used_ratio", "Share in use of what can be used, as df counts it; absent if unseen."),
    passing("disk_pressure", "Whether it is fuller than the high watermark, so that nothing new is made."),
    # GPUs
    passing("nvml_up", "Whether the GPUs could be looked at; absent where there is no driver."),
    passing("gpu_devices", "Number of whole GPUs; absent if unseen."),
    passing(
        "gpu_device_info",
        "A device, whole GPU or MIG instance; the value is always 1.",
        *("uuid", "parent_uuid", "type", "gpu", "model", "profile"),
    ),
    passing("gpu_device_allocatable", "Whether a device may be granted once nobody has it.", "uuid"),
    passing("gpu_device_allocated", "Which workspace holds a device; always 1.", "uuid", "workspace"),
    counter(
        "gpu_allocation_requests_total",
        "What came of requests for devices: granted, queued, denied, conflict.",
        "result",
        known=(("granted", "queued", "denied", "conflict"),),
    ),
    histogram(
        "gpu_allocation_wait_seconds",
        "Time from request to grant.",
        buckets=(1.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 21600.0, 86400.0, 259200.0),
    ),
    passing("gpu_pending_requests", "Workspaces that wait for devices, by profile.", "profile"),
    passing(
        "gpu_foreign_processes",
        "Processes on a device that was not granted to them; absent if the driver does not tell.",
        *("uuid", "kind"),
    ),
    Instrument(
        "gpu_xid_errors_total",
        Kind.COUNTER,
        "XIDs that the driver reported, those of programs included.",
        ("uuid", "xid"),
        passing=True,
    ),
    passing("gpu_memory_used_bytes", "Memory of a device in use; absent if unknown.", "uuid"),
    passing(
        "gpu_utilization_ratio",
        "Share of the last sample period in which a device was busy; absent if unknown, as with MIG.",
        "uuid",
    ),
    passing("unmanaged_gpu_containers", "Running containers with a GPU that are not ours."),
    passing(
        "workspace_gpu_access_lost",
        "Whether a running container cannot open its devices any more; absent if nobody has tried.",
        "workspace",
    ),
    *slices.INSTRUMENTS,
    # HTTP and ledger
    counter(
        "http_requests_total",
        "HTTP requests served, by server (metrics or control).",
        "server",
        "method",
        "route",
        "code",
    ),
    gauge("state_db_size_bytes", "Size of the ledger's file."),
    counter(
        "state_db_errors_total", "Errors of the ledger.", "kind", known=(("busy", "corrupt", "io", "full"),)
    ),
)

BY_NAME: Final = {instrument.name: instrument for instrument in DECLARED}
"""Every instrument, by its name without the prefix."""


def reference() -> str:
    """The reference page of all metrics, Markdown."""
    return (
        "# Metrics\n\n"
        "Served at `/metrics` of `metrics.listen`, in the Prometheus text format. Series of a deleted\n"
        "workspace disappear with the pass that finds it gone. The library adds `process_*` and `python_*`.\n"
        "\n"
        "| metric | type | labels | help |\n| --- | --- | --- | --- |\n"
        + "".join(_row(instrument) for instrument in DECLARED)
    )


def _row(instrument: Instrument) -> str:
    labels = ", ".join(f"`{label}`" for label in instrument.labels) or "-"
    return f"| `{instrument.full_name}` | {instrument.kind} | {labels} | {instrument.help} |\n"
