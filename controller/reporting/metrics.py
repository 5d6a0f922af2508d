"""Counts what happens and publishes it for Prometheus. The only door to prometheus_client.

Refuses labels without a bound, such as ids and messages, and keeps no series of what is gone.
"""

import platform
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

import prometheus_client
from prometheus_client.metrics import MetricWrapperBase

from controller.api.conditions import Reason
from controller.model.actions import StopContainer
from controller.model.observed import Container
from controller.model.outcomes import Failed, Outcome, Skipped, Succeeded
from controller.model.status import ChainReport, PassReport
from controller.reporting import declaring, exposition, gpus, instruments, slices

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Of what `expose` returns."""

_LAST_CODE_OF_A_PROGRAM: Final = 128
"""Above it is the number of the signal; see signal(7) and the Engine's documentation of exit codes."""


class Metrics:
    """All instruments on one registry. Every method may be called from any thread."""

    def __init__(self, version: str, registry: prometheus_client.CollectorRegistry | None = None) -> None:
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call] # unannotated there
        self._registry = registry or prometheus_client.CollectorRegistry()
        self._lock = threading.Lock()
        self._report: PassReport | None = None
        self._exits: Mapping[tuple[str, str], int] = {}
        self._xids: gpus.Counts = {}
        self._counters: dict[str, prometheus_client.Counter] = {}
        self._gauges: dict[str, prometheus_client.Gauge] = {}
        self._histograms: dict[str, prometheus_client.Histogram] = {}
        for declared in instruments.DECLARED:
            if not declared.passing:
                self._declare(declared)
        prometheus_client.ProcessCollector(registry=self._registry)
        prometheus_client.PlatformCollector(registry=self._registry)
        prometheus_client.GCCollector(registry=self._registry)
        self._gauges["build_info"].labels(version, platform.python_version()).set(1)

    def _declare(self, declared: declaring.Instrument) -> None:
        made: MetricWrapperBase
        if declared.kind is declaring.Kind.COUNTER:
            made = self._counters[declared.name] = prometheus_client.Counter(
                declared.full_name, declared.help, declared.labels, registry=self._registry
            )
        elif declared.kind is declaring.Kind.GAUGE:
            made = self._gauges[declared.name] = prometheus_client.Gauge(
                declared.full_name, declared.help, declared.labels, registry=self._registry
            )
        else:
            made = self._histograms[declared.name] = prometheus_client.Histogram(
                declared.full_name,
                declared.help,
                declared.labels,
                buckets=declared.buckets,
                registry=self._registry,
            )
        for values in declared.known_sets():
            made.labels(*values)

    def expose(self) -> bytes:
        """Everything, in the text format of `CONTENT_TYPE`."""
        with self._lock:
            told = (self._report, self._exits, self._xids)
        return prometheus_client.generate_latest(self._registry) + exposition.render(*told).encode()

    def publish(self, report: PassReport) -> None:
        """Fold one pass: its state replaces the one before, what happened in it is counted once."""
        with self._lock:
            before, self._report = self._report, report
            self._exits = _count_exits(self._exits, before, report)
            self._xids = gpus.count_xids(self._xids, before, report)
        self.beat("pass", report.at)
        self._count_reconcile("pass", report.seconds, "success" if report.complete else "error")
        if report.complete:
            self._gauges["resync_last_success_timestamp_seconds"].set(report.at.timestamp())
        for _, reason, _ in report.unseen:
            self._count("reconcile_errors_total", "pass", reason)
        if report.cause == "resync":
            self._histograms["resync_duration_seconds"].observe(report.seconds)
        for chain in report.chains:
            self._count_chain(chain)
        self._count_drifts(before, report)
        self._count_rejections(before, report)
        for result, waited in gpus.requests(before, report):
            self._count("gpu_allocation_requests_total", result)
            if waited is not None:
                self._histograms["gpu_allocation_wait_seconds"].observe(waited)

    def count_request(self, operation: str, code: str, seconds: float) -> None:
        """One request to the Engine: the operation's name, the HTTP status or the class of error."""
        self._count("docker_requests_total", operation, code)
        self._histograms["docker_request_duration_seconds"].labels(operation).observe(seconds)

    def count_engine_event(self, kind: str, action: str) -> None:
        """One event of the Engine; `exec_create: ...` and the like are counted by their first word."""
        self._count("docker_events_total", kind, action.partition(":")[0])

    def count_reconnect(self, reason: str) -> None:
        """The event stream was connected anew, after `eof` or `error`."""
        self._count("docker_event_stream_reconnects_total", reason)

    def set_stream_connected(self, connected: bool) -> None:  # noqa: FBT001 - the value itself
        """Whether the event stream is connected."""
        self._gauges["docker_event_stream_connected"].set(connected)

    def beat(self, loop: str, at: datetime) -> None:
        """A background loop went round."""
        self._gauges["loop_heartbeat_timestamp_seconds"].labels(loop).set(at.timestamp())

    def count_panic(self, controller: str) -> None:
        """One defect of our own that was caught, in a pass as a whole."""
        self._count("reconcile_panics_total", controller)

    def count_log(self, level: str) -> None:
        """One log message."""
        self._count("log_messages_total", level)

    def count_http(self, server: str, method: str, route: str, code: int) -> None:
        """One HTTP request that was answered; `route` is a pattern, never a path."""
        self._count("http_requests_total", server, method, route, str(code))

    def set_ledger_size(self, size: int) -> None:
        """Size of the ledger's file, bytes."""
        self._gauges["state_db_size_bytes"].set(size)

    def count_ledger_error(self, kind: str) -> None:
        """One error of the ledger: busy, corrupt, io or full."""
        self._count("state_db_errors_total", kind)

    def watch_queue(
        self, name: str, depth: Callable[[], int], ages: Callable[[], Mapping[str, float]]
    ) -> None:
        """Read a work queue at each scrape: items that wait, and the age in seconds of each item in work."""
        self._gauges["workqueue_depth"].labels(name).set_function(depth)
        unfinished = self._gauges["workqueue_unfinished_work_seconds"].labels(name)
        unfinished.set_function(lambda: sum(ages().values()))
        longest = self._gauges["workqueue_longest_running_processor_seconds"].labels(name)
        longest.set_function(lambda: max(ages().values(), default=0.0))
        for counter in ("workqueue_adds_total", "workqueue_retries_total"):
            self._counters[counter].labels(name)

    def count_queue_add(self, name: str) -> None:
        """One item was added."""
        self._count("workqueue_adds_total", name)

    def count_queue_retry(self, name: str) -> None:
        """One item was added again after a failure."""
        self._count("workqueue_retries_total", name)

    def observe_queue(self, name: str, waited: float, worked: float) -> None:
        """One item is done: seconds in the queue and in work."""
        self._histograms["workqueue_queue_duration_seconds"].labels(name).observe(waited)
        self._histograms["workqueue_work_duration_seconds"].labels(name).observe(worked)

    def _count(self, name: str, *labels: str) -> None:
        self._counters[name].labels(*labels).inc()

    def _count_reconcile(self, controller: str, seconds: float, result: str) -> None:
        self._count("reconcile_total", controller, result)
        self._histograms["reconcile_time_seconds"].labels(controller).observe(seconds)

    def _count_chain(self, chain: ChainReport) -> None:
        seconds = (chain.finished_at - chain.started_at).total_seconds()
        self._count_reconcile("workspace", max(0.0, seconds), _result_of_chain(chain))
        cause = chain.decision.cause
        if cause is not None and any(map(_stopped, chain.outcomes)):
            self._count("disruptions_total", cause)
        for outcome in chain.outcomes:
            action = instruments.action_label(type(outcome.action))
            self._count("actions_total", action, _result_of_action(outcome))
            self._histograms["action_duration_seconds"].labels(action).observe(outcome.seconds)
            if isinstance(outcome, Failed):
                self._count_failure(outcome)

    def _count_failure(self, outcome: Failed) -> None:
        for backend, limit in slices.not_applied(outcome):
            self._count("cgroup_apply_errors_total", backend, limit)
        self._count("reconcile_errors_total", "workspace", outcome.reason)
        if outcome.reason is Reason.INTERNAL_ERROR:
            self._count("reconcile_panics_total", "workspace")
        if not outcome.retryable:
            self._count("terminal_reconcile_errors_total", "workspace")

    def _count_drifts(self, before: PassReport | None, report: PassReport) -> None:
        for name, status in report.statuses.items():
            prior = before.statuses.get(name) if before else None
            if prior is status:
                continue
            known = prior.drift_since if prior else {}
            for kind, since in status.drift_since.items():
                if known.get(kind) != since:
                    self._count("drift_detected_total", kind, report.cause)

    def _count_rejections(self, before: PassReport | None, report: PassReport) -> None:
        known = _rejections(before) if before else {}
        for file, (finding, reason) in _rejections(report).items():
            if file not in known or known[file][0] != finding:
                self._count("spec_parse_errors_total", reason)


def _count_exits(
    counts: Mapping[tuple[str, str], int], before: PassReport | None, report: PassReport
) -> Mapping[tuple[str, str], int]:
    """The exits so far, those since the pass before included, of the workspaces that still are."""
    grown = {key: count for key, count in counts.items() if key[0] in report.statuses}
    for name, status in report.statuses.items():
        prior = before.statuses.get(name) if before else None
        if prior is status or prior is None or prior.container is None or status.container is None:
            continue
        if _exited_between(prior.container, status.container):
            key = (name, _why_exited(status.container))
            grown[key] = grown.get(key, 0) + 1
    return grown


def _exited_between(before: Container, after: Container) -> bool:
    same = before.id == after.id
    return same and after.finished_at is not None and after.finished_at != before.finished_at


def _why_exited(container: Container) -> str:
    if container.running:
        return "unknown"
    if container.oom_killed:
        return "oom"
    code = container.exit_code or 0
    return "completed" if code == 0 else "signal" if code > _LAST_CODE_OF_A_PROGRAM else "error"


def _rejections(report: PassReport) -> Mapping[str, tuple[object, Reason]]:
    found: dict[str, tuple[object, Reason]] = {}
    for finding in report.file_findings:
        found.setdefault(finding.file, (finding, Reason.SPEC_REJECTED))
    for status in report.statuses.values():
        if status.rejected is not None:
            found[status.rejected.file] = (status.rejected.findings, status.rejected.reason)
    return found


def _result_of_chain(chain: ChainReport) -> str:
    if any(isinstance(outcome, Failed) for outcome in chain.outcomes):
        return "error"
    return "requeue" if any(isinstance(outcome, Skipped) for outcome in chain.outcomes) else "success"


def _stopped(outcome: Outcome) -> bool:
    """Whether a container that ran was stopped by it."""
    done = isinstance(outcome, Succeeded) and not outcome.already
    return done and isinstance(outcome.action, StopContainer)


def _result_of_action(outcome: Outcome) -> str:
    if isinstance(outcome, Failed):
        return "unknown" if outcome.unknown else "error"
    return "skipped" if isinstance(outcome, Skipped) else "success"
