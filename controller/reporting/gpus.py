"""What of the GPUs is published: lines that are read off the last pass, and what happened in it.

Refuses to call anything 0 that hardware or driver do not tell: such a series is absent, as those of devices
that are gone are.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from controller.api.conditions import Reason
from controller.model.gpus import AccessState, Ailment
from controller.model.gpustatus import DeviceStatus, Foreign
from controller.model.status import PassReport, WorkspaceStatus
from controller.reporting.declaring import escape

Line = tuple[str, float]
Counts = Mapping[tuple[str, str], int]
"""Of reported faults so far, by UUID and number."""

_GRANTED, _QUEUED, _DENIED, _CONFLICT = "granted", "queued", "denied", "conflict"
_RESULTS: Final[Mapping[Reason, str]] = {
    Reason.GPU_QUEUED: _QUEUED,
    Reason.OWN_GPU_BUSY: _QUEUED,
    Reason.GPU_UNAVAILABLE: _DENIED,
    Reason.GPU_MODE_REFUSED: _DENIED,
    Reason.GPU_CONTENDED: _CONFLICT,
}
KNOWN_XIDS: Final = (13, 31, 43, 45, 48, 61, 62, 63, 64, 68, 74, 79, 92, 94, 95, 109, 119, 120)
"""Faults whose series start at 0 for every device, so that the first one is a growth."""
WHOLE: Final = "whole"
"""In place of a profile, for requests of whole GPUs."""


def _devices(report: PassReport | None) -> tuple[DeviceStatus, ...]:
    return tuple(one for one in report.gpus.devices if one.there) if report else ()


def _of_each(
    read: Callable[[DeviceStatus], Iterator[Line]],
) -> Callable[[PassReport | None], Iterator[Line]]:
    def lines(report: PassReport | None) -> Iterator[Line]:
        for one in _devices(report):
            yield from read(one)

    return lines


def _uuid(one: DeviceStatus) -> str:
    return f'uuid="{escape(one.device.uuid)}"'


def _up(report: PassReport | None) -> Iterator[Line]:
    """Absent where there is no driver to ask."""
    if report is not None and (report.gpus.unseen is not None or report.gpus.driver):
        yield "", float(report.gpus.unseen is None)


def _number(report: PassReport | None) -> Iterator[Line]:
    if report is not None and report.gpus.unseen is None:
        yield "", float(sum(one.device.parent is None for one in _devices(report)))


def _info(one: DeviceStatus) -> Iterator[Line]:
    device = one.device
    told = {
        "uuid": device.uuid,
        "parent_uuid": device.parent or "",
        "type": "gpu" if device.parent is None else "mig",
        "gpu": device.index,
        "model": device.model,
        "profile": device.profile or "",
    }
    yield ",".join(f'{name}="{escape(value)}"' for name, value in told.items()), 1.0


def _allocatable(one: DeviceStatus) -> Iterator[Line]:
    yield _uuid(one), float(one.allocatable)


def _allocated(one: DeviceStatus) -> Iterator[Line]:
    for name in one.workspaces:
        yield f'{_uuid(one)},workspace="{name}"', 1.0


def _foreign(one: DeviceStatus) -> Iterator[Line]:
    for kind in Foreign if one.users is not None else ():
        found = (user.pid for user in one.users or () if user.foreign is kind)
        yield f'{_uuid(one)},kind="{kind}"', float(sum(pid is not None for pid in found))


def _memory(one: DeviceStatus) -> Iterator[Line]:
    if one.use.memory is not None:
        yield _uuid(one), float(one.use.memory)


def _busy(one: DeviceStatus) -> Iterator[Line]:
    if one.use.busy is not None:
        yield _uuid(one), one.use.busy


def _pending(report: PassReport | None) -> Iterator[Line]:
    counts = {WHOLE: 0}
    for status in report.statuses.values() if report else ():
        gpus = status.gpus
        if gpus is not None and gpus.waiting_since is not None:
            profile = (gpus.wish.profile if gpus.wish else None) or WHOLE
            counts[profile] = counts.get(profile, 0) + 1
    for profile, count in counts.items():
        yield f'profile="{escape(profile)}"', float(count)


def _strangers(report: PassReport | None) -> Iterator[Line]:
    foreign = report.gpus.foreign if report else ()
    yield "", float(len({user.who for user in foreign if user.foreign is Foreign.CONTAINER}))


def _lost(report: PassReport | None) -> Iterator[Line]:
    for name, status in report.statuses.items() if report else ():
        access = status.gpus.access if status.gpus else None
        if access in {AccessState.OK, AccessState.LOST}:
            yield f'workspace="{name}"', float(access is AccessState.LOST)


FAMILIES: Final[Mapping[str, Callable[[PassReport | None], Iterator[Line]]]] = {
    "nvml_up": _up,
    "gpu_devices": _number,
    "gpu_device_info": _of_each(_info),
    "gpu_device_allocatable": _of_each(_allocatable),
    "gpu_device_allocated": _of_each(_allocated),
    "gpu_foreign_processes": _of_each(_foreign),
    "gpu_memory_used_bytes": _of_each(_memory),
    "gpu_utilization_ratio": _of_each(_busy),
    "gpu_pending_requests": _pending,
    "unmanaged_gpu_containers": _strangers,
    "workspace_gpu_access_lost": _lost,
}
"""How the lines of each family are read off a pass."""


# what happened


def count_xids(counts: Counts, before: PassReport | None, report: PassReport) -> Counts:
    """The reported faults so far, those of this pass included, of the devices that still are."""
    known = {report_of for report_of, _ in _xids(before)} if before else set()
    there = {one.device.uuid for one in _devices(report) if one.device.parent is None}
    if report.gpus.unseen is not None:
        there |= {uuid for uuid, _ in counts}
    grown = {(uuid, str(xid)): 0 for uuid in there for xid in KNOWN_XIDS}
    grown |= {key: count for key, count in counts.items() if key[0] in there}
    for report_of, key in _xids(report):
        if report_of not in known:
            grown[key] = grown.get(key, 0) + 1
    return grown


def xid_lines(counts: Counts) -> Iterator[Line]:
    """The lines of the counter."""
    for (uuid, xid), count in counts.items():
        yield f'uuid="{escape(uuid)}",xid="{escape(xid)}"', float(count)


def _xids(report: PassReport) -> Iterator[tuple[object, tuple[str, str]]]:
    for one in _devices(report):
        for trouble in one.troubles if one.device.parent is None else ():
            if trouble.ailment is Ailment.XID and trouble.code is not None:
                yield (trouble.uuid, trouble.code, trouble.at), (one.device.uuid, str(trouble.code))


def requests(before: PassReport | None, report: PassReport) -> Iterator[tuple[str, float | None]]:
    """What came of requests in this pass, by result; with seconds of waiting where devices were granted."""
    for name, status in report.statuses.items():
        prior = before.statuses.get(name) if before else None
        if status.gpus is None or prior is status:
            continue
        if prior is not None and _is_new(prior, status):
            since = prior.gpus.waiting_since if prior.gpus else None
            yield _GRANTED, 0.0 if since is None else max(0.0, (report.at - since).total_seconds())
        result = _RESULTS.get(status.decision.reason)
        if result is not None and (prior is None or _RESULTS.get(prior.decision.reason) != result):
            yield result, None


def _is_new(prior: WorkspaceStatus, status: WorkspaceStatus) -> bool:
    had = prior.gpus.uuids if prior.gpus else ()
    return status.gpus is not None and not set(status.gpus.uuids) <= set(had)
