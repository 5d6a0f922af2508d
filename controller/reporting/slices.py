"""What of the slices is published: limits and use by owner, use by workspace, read off the last pass.

Refuses to call anything 0 that the kernel does not tell: such a series is absent, as are those of slices and
workspaces that are gone. What the kernel counts begins anew with each cgroup, as Prometheus takes it.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from controller.api.config import SliceDriver
from controller.model.actions import LimitCgroup, RemoveSlice, SetSlice
from controller.model.outcomes import Failed
from controller.model.slices import SliceLimit, SliceLimits, Use
from controller.model.status import PassReport
from controller.reporting.declaring import Instrument, Kind, counter, escape, passing

Line = tuple[str, float]
Read = Callable[[Use], float | None]

OTHER: Final = "other"
"""In place of a property, where none alone is to blame."""
_PROPERTIES: Final = frozenset(map(str, SliceLimit))
_LIMITS: Final[Mapping[str, Callable[[SliceLimits], float | None]]] = {
    "cpus": lambda limits: None if limits.nano_cpus is None else limits.nano_cpus / 10**9,
    "memory": lambda limits: limits.memory,
    "memory_high": lambda limits: limits.memory_high,
    "memory_low": lambda limits: limits.memory_low or None,
    "swap": lambda limits: limits.swap,
    "pids": lambda limits: limits.pids,
}
"""In CPUs, bytes and tasks."""
_GAUGES: Final[Mapping[str, tuple[str, Read]]] = {
    "memory_bytes": ("Memory in use, page cache included", lambda use: use.memory),
    "memory_cache_bytes": ("Bytes of files within that memory", lambda use: use.cache),
    "swap_bytes": ("Swap in use", lambda use: use.swap),
    "pids": ("Processes and threads", lambda use: use.pids),
}
_COUNTERS: Final[Mapping[str, tuple[str, Read]]] = {
    "cpu_seconds_total": ("Time on processors", lambda use: use.cpu_seconds),
    "cpu_throttled_seconds_total": (
        "Time for which the quota kept it from the processors",
        lambda use: use.throttled_seconds,
    ),
    "oom_kills_total": ("Processes killed for want of memory", lambda use: use.oom_kills),
}
_IO: Final[Mapping[str, Read]] = {"read": lambda use: use.io_read, "write": lambda use: use.io_written}
_SUBJECTS: Final[Mapping[str, str]] = {
    "owner": "of an owner's workspaces together",
    "workspace": "of a workspace",
}


def _uses() -> Iterator[Instrument]:
    """The same for owners and for workspaces."""
    for label, whose in _SUBJECTS.items():
        for name, (text, _) in _GAUGES.items():
            yield passing(f"{label}_{name}", f"{text} {whose}; absent if unknown.", label)
        for name, (text, _) in _COUNTERS.items():
            yield _counted(f"{label}_{name}", f"{text}, {whose}; absent if unknown.", label)
        text = f"Bytes read from and written to disks, {whose}; absent if unknown."
        yield _counted(f"{label}_io_bytes_total", text, label, "direction")
        text = f"Time in which some or all tasks waited for a resource, {whose}; absent if unknown."
        yield _counted(f"{label}_pressure_seconds_total", text, label, "resource", "kind")


def _counted(name: str, text: str, *labels: str) -> Instrument:
    return Instrument(name, Kind.COUNTER, text, labels, passing=True)


INSTRUMENTS: Final[tuple[Instrument, ...]] = (
    passing("cgroup_info", "Version of the cgroups, and who makes slices; always 1.", "version", "driver"),
    counter(
        "cgroup_apply_errors_total",
        "Limits that could not be set, by their names in the policy; other where none alone is to blame.",
        "backend",
        "property",
    ),
    passing("owner_info", "In which group an owner counts; always 1.", "owner", "group"),
    passing(
        "owner_limit",
        "What an owner's workspaces may use together: CPUs, bytes, tasks; absent if unlimited.",
        "owner",
        "resource",
    ),
    passing("contested_slices", "Slices that somebody else changes again and again."),
    passing("slices_with_strangers", "Slices with something in them that is no container of ours."),
    *_uses(),
)
"""What is declared of slices."""


def _info(report: PassReport | None) -> Iterator[Line]:
    if report is not None and report.slices.version:
        yield f'version="{report.slices.version}",driver="{report.slices.driver.lower()}"', 1.0


def _owners(report: PassReport | None) -> Iterator[Line]:
    """Those without a group, too: a sum over all owners is to be one over all groups."""
    for owner in sorted({status.owner for status in report.statuses.values()}) if report else ():
        if report is not None and owner:
            yield f'owner="{escape(owner)}",group="{escape(report.groups.get(owner, ""))}"', 1.0


def _limits(report: PassReport | None) -> Iterator[Line]:
    for owner, one in report.slices.owners.items() if report else ():
        for resource, read in _LIMITS.items() if one.wanted is not None else ():
            value = read(one.wanted) if one.wanted is not None else None
            if value is not None:
                yield f'owner="{escape(owner)}",resource="{resource}"', float(value)


def _of_owners(report: PassReport | None) -> Iterator[tuple[str, Use]]:
    for owner, one in report.slices.owners.items() if report else ():
        if one.found is not None:
            yield f'owner="{escape(owner)}"', one.found.use


def _of_workspaces(report: PassReport | None) -> Iterator[tuple[str, Use]]:
    uses = report.slices.uses if report else {}
    for name, status in report.statuses.items() if report and uses else ():
        used = uses.get(status.container.id) if status.container is not None else None
        if used is not None:
            yield f'workspace="{name}"', used.use


_FOUND: Final = {"owner": _of_owners, "workspace": _of_workspaces}
_Reader = Callable[[PassReport | None], Iterator[Line]]
_Subjects = Callable[[PassReport | None], Iterator[tuple[str, Use]]]


def _each(found: _Subjects, read: Read) -> _Reader:
    def lines(report: PassReport | None) -> Iterator[Line]:
        for label, use in found(report):
            value = read(use)
            if value is not None:
                yield label, float(value)

    return lines


def _io(found: _Subjects) -> _Reader:
    def lines(report: PassReport | None) -> Iterator[Line]:
        for label, use in found(report):
            for direction, read in _IO.items():
                value = read(use)
                if value is not None:
                    yield f'{label},direction="{direction}"', float(value)

    return lines


def _pressure(found: _Subjects) -> _Reader:
    def lines(report: PassReport | None) -> Iterator[Line]:
        for label, use in found(report):
            for kind, seconds in use.pressure.items():
                resource, _, who = kind.partition(" ")
                yield f'{label},resource="{resource}",kind="{who}"', seconds

    return lines


def _families() -> Iterator[tuple[str, _Reader]]:
    for label, found in _FOUND.items():
        for name, (_, read) in {**_GAUGES, **_COUNTERS}.items():
            yield f"{label}_{name}", _each(found, read)
        yield f"{label}_io_bytes_total", _io(found)
        yield f"{label}_pressure_seconds_total", _pressure(found)


FAMILIES: Final[Mapping[str, _Reader]] = {
    "cgroup_info": _info,
    "owner_info": _owners,
    "owner_limit": _limits,
    **dict(_families()),
}
"""How the lines of each family are read off a pass."""


# what happened


def not_applied(outcome: Failed) -> Iterator[tuple[str, str]]:
    """Who failed to set which limits, for each limit that a failure about a cgroup names; else nothing."""
    action = outcome.action
    match action:
        case SetSlice() | RemoveSlice():
            backend = action.driver
        case LimitCgroup():
            backend = SliceDriver.CGROUPFS
        case _:
            return
    parts = (part.partition(":")[0].strip() for part in outcome.message.split(";"))
    named = dict.fromkeys(part for part in parts if part in _PROPERTIES)
    for limit in named or (OTHER,):
        yield backend.lower(), limit
