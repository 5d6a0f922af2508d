"""The metrics that are read off the last pass, as lines of the Prometheus text format (version 0.0.4).

Refuses to keep anything of its own: what the report lacks has no series. A thousand workspaces have forty
thousand samples; as objects of the client library they would cost ten times the time.
Source of the format: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final

from controller.api.conditions import ConditionStatus, ConditionType, Reason
from controller.model.memory import Cause
from controller.model.observed import Disk
from controller.model.sizes import Measured, Size, Usage
from controller.model.status import PassReport, WorkspaceStatus
from controller.reporting import gpus, instruments, slices
from controller.reporting.declaring import escape

Line = tuple[str, float]
"""Labels between braces, and the value."""

_ENGINE: Final = "engine"


def render(
    report: PassReport | None, exits: Mapping[tuple[str, str], int], xids: gpus.Counts | None = None
) -> str:
    """All families of the last pass; before the first one, those of the host alone, at 0.

    `exits` has the number of exits so far by workspace and reason, `xids` of faults by device and number.
    """
    readers = {**_FAMILIES, **gpus.FAMILIES, **slices.FAMILIES}
    families = [_family(name, lines(report)) for name, lines in readers.items()]
    families.append(_family("workspace_container_exits_total", _exits(report, exits)))
    return "".join([*families, _family("gpu_xid_errors_total", gpus.xid_lines(xids or {}))])


def _exits(report: PassReport | None, exits: Mapping[tuple[str, str], int]) -> Iterator[Line]:
    for name in report.statuses if report else ():
        for reason in instruments.EXITS:
            yield f'workspace="{name}",reason="{reason}"', float(exits.get((name, reason), 0))


def _family(name: str, lines: Iterator[Line]) -> str:
    declared = instruments.BY_NAME[name]
    full = declared.full_name
    head = f"# HELP {full} {declared.help}\n# TYPE {full} {declared.kind}\n"
    return head + "".join(
        [f"{full}{{{labels}}} {value}\n" if labels else f"{full} {value}\n" for labels, value in lines]
    )


def _modes(report: PassReport | None) -> Iterator[Line]:
    mode = report.mode.lower() if report else ""
    for known in instruments.MODES:
        yield f'mode="{known}"', float(known == mode)


def _workers(report: PassReport | None) -> Iterator[Line]:
    yield 'controller="workspace"', float(len(report.in_progress) if report else 0)


def _spec_files(report: PassReport | None) -> Iterator[Line]:
    counts: dict[tuple[str, str], int] = {
        (kind, state): 0 for kind in instruments.SPEC_STATES[0] for state in instruments.SPEC_STATES[1]
    }
    counts.update(report.spec_files if report else {})
    for (kind, state), count in counts.items():
        yield f'kind="{escape(kind)}",state="{escape(state)}"', float(count)


def _found(reason: Reason) -> Callable[[PassReport | None], Iterator[Line]]:
    def lines(report: PassReport | None) -> Iterator[Line]:
        found = {*report.findings, *report.plan.findings} if report else set()
        yield "", float(sum(finding.reason is reason for finding in found))

    return lines


def _docker_up(report: PassReport | None) -> Iterator[Line]:
    yield "", float(report is not None and all(part != _ENGINE for part, _, _ in report.unseen))


def _disk(read: Callable[[Disk], float]) -> Callable[[PassReport | None], Iterator[Line]]:
    def lines(report: PassReport | None) -> Iterator[Line]:
        if report is not None and isinstance(report.disk, Disk):
            yield "", read(report.disk)

    return lines


def _pressure(report: PassReport | None) -> Iterator[Line]:
    yield "", float(report is not None and isinstance(report.disk, Disk) and report.disk.pressed)


def _of_each(
    lines: Callable[[WorkspaceStatus], Iterator[Line]],
) -> Callable[[PassReport | None], Iterator[Line]]:
    def of_all(report: PassReport | None) -> Iterator[Line]:
        for status in report.statuses.values() if report else ():
            yield from lines(status)

    return of_all


def _info(status: WorkspaceStatus) -> Iterator[Line]:
    image = status.container.configuration.image if status.container else ""
    yield f'workspace="{status.workspace}",owner="{escape(status.owner)}",image="{escape(image)}"', 1.0


def _value(read: Callable[[WorkspaceStatus], float]) -> Callable[[WorkspaceStatus], Iterator[Line]]:
    def lines(status: WorkspaceStatus) -> Iterator[Line]:
        yield f'workspace="{status.workspace}"', read(status)

    return lines


def _conditions(status: WorkspaceStatus) -> Iterator[Line]:
    rare = (kind for kind in instruments.RARE_CONDITIONS if kind in status.conditions)
    for kind in (*instruments.CONDITIONS, *rare):
        condition = status.conditions.get(kind)
        truth = (condition.status if condition else ConditionStatus.FALSE).lower()
        for known in instruments.TRUTHS:
            yield (
                f'workspace="{status.workspace}",condition="{kind}",status="{known}"',
                1.0 if known == truth else 0.0,
            )


def _started(status: WorkspaceStatus) -> Iterator[Line]:
    if status.container is not None and status.container.running and status.container.started_at is not None:
        yield f'workspace="{status.workspace}"', status.container.started_at.timestamp()


def _drift(status: WorkspaceStatus) -> Iterator[Line]:
    for kind in instruments.KINDS_OF_DRIFT:
        yield f'workspace="{status.workspace}",kind="{kind}"', 1.0 if kind in status.drift_since else 0.0


def _drift_since(status: WorkspaceStatus) -> Iterator[Line]:
    for kind, since in status.drift_since.items():
        yield f'workspace="{status.workspace}",kind="{kind}"', since.timestamp()


def _pending_since(status: WorkspaceStatus) -> Iterator[Line]:
    condition = status.conditions.get(ConditionType.CHANGE_PENDING)
    if condition is not None and condition.status is ConditionStatus.TRUE:
        yield f'workspace="{status.workspace}"', condition.last_transition.timestamp()


def _bytes(read: Callable[[Usage], Size]) -> Callable[[WorkspaceStatus], Iterator[Line]]:
    def lines(status: WorkspaceStatus) -> Iterator[Line]:
        size = read(status.usage) if status.usage is not None else None
        if isinstance(size, Measured):
            yield f'workspace="{status.workspace}"', float(size.size)

    return lines


def _layer_measured(status: WorkspaceStatus) -> Iterator[Line]:
    if status.usage is not None and isinstance(status.usage.layer, Measured):
        yield f'workspace="{status.workspace}"', status.usage.layer.at.timestamp()


def _homes(
    read: Callable[[Collection[Measured]], float],
) -> Callable[[PassReport | None], Iterator[Line]]:
    """One line for each owner: workspaces may share a home, and an owner may have several."""

    def lines(report: PassReport | None) -> Iterator[Line]:
        found: dict[str, dict[str, Measured]] = {}
        for status in report.statuses.values() if report else ():
            if status.usage is not None and isinstance(status.usage.home, Measured):
                found.setdefault(status.owner, {})[status.usage.home_path] = status.usage.home
        for owner, homes in found.items():
            yield f'owner="{escape(owner)}"', read(homes.values())

    return lines


def _held(report: PassReport | None) -> Iterator[Line]:
    decisions = report.plan.decisions.values() if report else ()
    held = [one.cause for one in decisions if one.reason is Reason.BUDGET_EXCEEDED]
    held += [Cause.REMOVED for one in decisions if one.reason is Reason.REMOVALS_HELD]
    for cause in Cause:
        if cause is not Cause.APPROVED:
            yield f'cause="{cause}"', float(held.count(cause))


_FAMILIES: Final[Mapping[str, Callable[[PassReport | None], Iterator[Line]]]] = {
    "controller_mode": _modes,
    "active_workers": _workers,
    "spec_files": _spec_files,
    "orphan_containers": _found(Reason.ORPHANED),
    "foreign_containers": _found(Reason.FOREIGN_CONTAINER),
    "contested_slices": _found(Reason.SLICE_CONTESTED),
    "slices_with_strangers": _found(Reason.SLICE_STRANGER),
    "docker_up": _docker_up,
    "workspace_layer_bytes": _of_each(_bytes(lambda usage: usage.layer)),
    "workspace_log_bytes": _of_each(_bytes(lambda usage: usage.log)),
    "workspace_layer_measured_timestamp_seconds": _of_each(_layer_measured),
    "owner_home_bytes": _homes(lambda sizes: float(sum(one.size for one in sizes))),
    "owner_home_measured_timestamp_seconds": _homes(lambda sizes: min(one.at for one in sizes).timestamp()),
    "disk_size_bytes": _disk(lambda disk: float(disk.size)),
    "disk_used_bytes": _disk(lambda disk: float(disk.used)),
    "disk_used_ratio": _disk(lambda disk: disk.share),
    "disk_pressure": _pressure,
    "workspace_info": _of_each(_info),
    "workspace_created_timestamp_seconds": _of_each(_value(lambda status: status.created_at.timestamp())),
    "workspace_spec_running": _of_each(_value(lambda status: float(status.desired_running))),
    "workspace_metadata_generation": _of_each(_value(lambda status: float(status.generation))),
    "workspace_status_observed_generation": _of_each(
        _value(lambda status: float(status.observed_generation))
    ),
    "workspace_status_condition": _of_each(_conditions),
    "workspace_container_start_timestamp_seconds": _of_each(_started),
    "workspace_change_pending_since_timestamp_seconds": _of_each(_pending_since),
    "held_changes": _held,
    "workspace_drift": _of_each(_drift),
    "workspace_drift_since_timestamp_seconds": _of_each(_drift_since),
}
