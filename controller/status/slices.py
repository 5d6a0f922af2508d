"""The public shape of the slices: what each owner may use together, uses, and what keeps both apart.

Refuses to call anything 0 that the kernel does not tell: such a key is absent. Amounts are plain numbers:
CPUs, bytes, seconds.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, NotRequired, TypedDict, cast

from controller.api.config import SliceDriver
from controller.model.observed import Container, Limits, Unseen
from controller.model.slices import FIELDS, UNLIMITED, IoLimit, SliceLimits, Use
from controller.model.slicestatus import OwnerSlice, SlicesStatus
from controller.model.status import PassReport, WorkspaceStatus

BILLION: Final = 10**9
_USES: Final = {
    "cpuSeconds": "cpu_seconds",
    "throttledSeconds": "throttled_seconds",
    "memory": "memory",
    "cache": "cache",
    "swap": "swap",
    "pids": "pids",
    "ioRead": "io_read",
    "ioWritten": "io_written",
    "oomKills": "oom_kills",
}
"""By which field of `Use` each amount is kept."""


class SliceState(StrEnum):
    """How an owner's slice stands, in one word: the first of these that is true."""

    UNKNOWN = "Unknown"
    """It could not be looked at, or nobody can tell what the policy says of the owner."""
    UNENFORCEABLE = "Unenforceable"
    """A hard limit that is asked for is beyond this kernel, so nothing of the owner's is started."""
    PENDING = "Pending"
    """It is not there yet, and something is to run in it."""
    DIFFERS = "Differs"
    """Its limits are not those of the policy, and are being set."""
    LOWERING = "Lowering"
    """A lower limit of memory is below what is in use, and follows once that has fallen."""
    NOT_ENFORCED = "NotEnforced"
    """It has what this kernel can; a limit that is only a wish has no effect."""
    ABSENT = "Absent"
    """It is not there, and need not be."""
    UNLIMITED = "Unlimited"
    """It is there, and nobody limits it."""
    AS_SPECIFIED = "AsSpecified"
    """It has the limits of the policy."""


class UseObject(TypedDict):
    """What is used, processors and IO since the cgroup was made.

    `cache` are the bytes of files within `memory`; `pressure` is seconds of waiting by kind.
    """

    cpuSeconds: NotRequired[float]
    throttledSeconds: NotRequired[float]
    memory: NotRequired[int]
    cache: NotRequired[int]
    swap: NotRequired[int]
    pids: NotRequired[int]
    ioRead: NotRequired[int]
    ioWritten: NotRequired[int]
    oomKills: NotRequired[int]
    pressure: NotRequired[dict[str, float]]


class IoObject(TypedDict):
    """How much of one device may be used a second."""

    path: str
    read: NotRequired[int]
    write: NotRequired[int]
    readOps: NotRequired[int]
    writeOps: NotRequired[int]


class LimitsObject(TypedDict):
    """What may be used; what is absent is unlimited, or as usual."""

    cpus: NotRequired[float]
    cpuset: NotRequired[str]
    cpuWeight: NotRequired[int]
    memory: NotRequired[int]
    memoryHigh: NotRequired[int]
    memoryLow: NotRequired[int]
    swap: NotRequired[int]
    pids: NotRequired[int]
    ioWeight: NotRequired[int]
    io: NotRequired[list[IoObject]]


class DifferenceObject(TypedDict):
    """One limit that is not as it should be, in words."""

    limit: str
    observed: str
    desired: str


class SliceObject(TypedDict):
    """One owner's slice, as `wharf get slice OWNER -o yaml` prints it.

    `limits` are what it should have; `enforced` what the kernel has, where the slice is there. `cpus` is how
    many processors were busy with it between the last two looks.
    """

    name: str
    owner: str
    group: NotRequired[str]
    slice: str
    state: str
    message: NotRequired[str]
    limits: NotRequired[LimitsObject]
    enforced: NotRequired[LimitsObject]
    differences: list[DifferenceObject]
    notEnforced: list[str]
    strangers: list[str]
    workspaces: list[str]
    use: NotRequired[UseObject]
    cpus: NotRequired[float]


class SlicesObject(TypedDict):
    """All slices; `total` is the one above them. `unseen` says why they could not be looked at."""

    items: list[SliceObject]
    driver: str
    cgroupVersion: NotRequired[int]
    total: NotRequired[SliceObject]
    unseen: NotRequired[str]


class WorkspaceUseObject(TypedDict):
    """What one running workspace uses, and of how much; `inside`: it counts in its owner's slice."""

    name: str
    owner: str
    inside: bool
    limits: LimitsObject
    use: UseObject


class UsageObject(SlicesObject):
    """What is used at one moment (`at`, RFC 3339 with its fraction), by owner and by workspace."""

    at: str
    workspaces: list[WorkspaceUseObject]


class MembershipObject(TypedDict):
    """In which slice a workspace's container is; `inside` and `use` only while it runs and could be read."""

    name: str
    inside: NotRequired[bool]
    use: NotRequired[UseObject]


def slices_object(report: PassReport, cpus: Mapping[str, float] | None = None) -> SlicesObject:
    """All slices at the time of a report; `cpus` are processors in use by owner, of those that are known."""
    status, shares, inside = report.slices, cpus or {}, _inside(report)
    told: SlicesObject = {
        "items": [_slice(report, status.owners[owner], inside, shares) for owner in sorted(status.owners)],
        "driver": str(status.driver),
    }
    if status.version:
        told["cgroupVersion"] = status.version
    if status.root is not None:
        told["total"] = _slice(report, status.root, inside, shares)
    if status.unseen is not None:
        told["unseen"] = f"{status.unseen.reason}: {status.unseen.message}"
    return told


def slice_object(report: PassReport, owner: str, cpus: Mapping[str, float]) -> SliceObject:
    """One owner's slice.

    Raises:
        KeyError: nothing is known of it.
    """
    return _slice(report, report.slices.owners[owner], _inside(report), cpus)


def usage_object(report: PassReport, at: datetime) -> UsageObject:
    """What is used as of a report whose slices were looked at just now."""
    moment = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    running = (report.statuses[name] for name in sorted(report.statuses))
    found = [told for status in running if (told := _workspace_use(status, report.slices)) is not None]
    return {**slices_object(report), "at": moment, "workspaces": found}


def membership_object(status: WorkspaceStatus, slices: SlicesStatus) -> MembershipObject | None:
    """In which slice one workspace is; None where nobody makes slices."""
    of_owner = slices.owners.get(status.owner)
    used = None if status.container is None else slices.uses.get(status.container.id)
    if slices.driver is SliceDriver.NONE or (of_owner is None and used is None):
        return None
    told: MembershipObject = {"name": of_owner.name if of_owner is not None else ""}
    if used is not None:
        told["inside"], told["use"] = used.owner == status.owner, use_object(used.use)
    return told


def use_object(use: Use) -> UseObject:
    """What is used, as far as the kernel tells."""
    told = {key: value for key, name in _USES.items() if (value := getattr(use, name)) is not None}
    if use.pressure:
        told["pressure"] = dict(use.pressure)
    return cast("UseObject", told)


def state_of(one: OwnerSlice, unseen: Unseen | None) -> SliceState:
    """How an owner's slice stands."""
    limited = one.wanted is not None and one.wanted != UNLIMITED
    found = {
        SliceState.UNKNOWN: unseen is not None or one.wanted is None,
        SliceState.UNENFORCEABLE: bool(one.refused),
        SliceState.PENDING: one.found is None and one.active and limited,
        SliceState.DIFFERS: bool(one.differences),
        SliceState.LOWERING: bool(one.lowering),
        SliceState.NOT_ENFORCED: bool(one.gaps),
        SliceState.ABSENT: one.found is None,
        SliceState.UNLIMITED: not limited,
    }
    return next((state for state, is_so in found.items() if is_so), SliceState.AS_SPECIFIED)


def _slice(
    report: PassReport, one: OwnerSlice, inside: Mapping[str, list[str]], cpus: Mapping[str, float]
) -> SliceObject:
    status = report.slices
    told: SliceObject = {
        "name": one.owner,
        "owner": one.owner,
        "slice": one.name,
        "state": str(state_of(one, status.unseen)),
        "differences": [
            {"limit": str(found.limit), "observed": found.observed, "desired": found.desired}
            for found in one.differences
        ],
        "notEnforced": list(one.gaps),
        "strangers": list(one.found.strangers) if one.found is not None else [],
        "workspaces": inside.get(one.owner, []),
    }
    if report.groups.get(one.owner):
        told["group"] = report.groups[one.owner]
    message = one.refused or one.lowering or one.waits
    if message:
        told["message"] = message
    if one.wanted is not None:
        told["limits"] = _limits(one.wanted)
    if one.found is not None:
        told["enforced"], told["use"] = _limits(one.found.limits), use_object(one.found.use)
    if one.owner in cpus:
        told["cpus"] = cpus[one.owner]
    return told


def _inside(report: PassReport) -> Mapping[str, list[str]]:
    """The workspaces that run in their owner's slice, by owner."""
    found: dict[str, list[str]] = {}
    for name in sorted(report.statuses):
        status = report.statuses[name]
        if status.container is not None and status.container.running:
            used = report.slices.uses.get(status.container.id)
            if used is not None and used.owner == status.owner:
                found.setdefault(status.owner, []).append(name)
    return found


def _workspace_use(status: WorkspaceStatus, slices: SlicesStatus) -> WorkspaceUseObject | None:
    container = status.container
    used = slices.uses.get(container.id) if container is not None and container.running else None
    if container is None or used is None:
        return None
    return {
        "name": status.workspace,
        "owner": status.owner,
        "inside": used.owner == status.owner,
        "limits": _container_limits(_limits_of(container)),
        "use": use_object(used.use),
    }


def _limits_of(container: Container) -> Limits:
    """What the kernel enforces on a container, else what the Engine was asked for."""
    known = container.kernel_limits
    return container.configuration.limits if isinstance(known, Unseen) else known


def _container_limits(limits: Limits) -> LimitsObject:
    told: LimitsObject = {}
    if limits.nano_cpus is not None:
        told["cpus"] = limits.nano_cpus / BILLION
    if limits.cpuset is not None:
        told["cpuset"] = limits.cpuset
    if limits.memory is not None:
        told["memory"] = limits.memory
        if limits.memory_swap is not None:
            told["swap"] = max(0, limits.memory_swap - limits.memory)
    if limits.pids is not None:
        told["pids"] = limits.pids
    return told


def _limits(limits: SliceLimits) -> LimitsObject:
    """What is limited; shares are told where they are not as usual."""
    told: dict[str, object] = {
        str(limit): getattr(limits, name)
        for limit, name in FIELDS.items()
        if getattr(limits, name) != getattr(UNLIMITED, name)
    }
    if limits.nano_cpus is not None:
        told["cpus"] = limits.nano_cpus / BILLION
    if limits.io:
        told["io"] = [_io(one) for one in limits.io]
    return cast("LimitsObject", told)


def _io(one: IoLimit) -> IoObject:
    amounts = {"read": one.read, "write": one.write, "readOps": one.read_ops, "writeOps": one.write_ops}
    said = {key: value for key, value in amounts.items() if value is not None}
    return cast("IoObject", {"path": one.path, **said})
