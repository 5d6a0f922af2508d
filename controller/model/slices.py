"""Slices: what an owner's workspaces may use together, what they use, and what the kernel makes of it.

Refuses to take what the kernel does not tell for nothing: there a value is None, or a limit has its reason.
Terms: cgroups(7), and the kernel's admin-guide on cgroup-v2 and cgroup-v1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from controller.api.config import SliceDriver

ROOT: Final = ""
"""Stands for the slice above all owners' slices where an owner is asked for; no owner is called so."""
USUAL_WEIGHT: Final = 100
"""The share of a slice that nobody gave one, of processors and of IO alike; 1 to 10000."""


def subject(owner: str) -> str:
    """Return under which name a slice is decided about; no workspace is called so."""
    return f"slice/{owner}"


class SliceLimit(StrEnum):
    """A limit of a slice, by its name in the policy's `aggregate`."""

    CPUS = "cpus"
    CPUSET = "cpuset"
    CPU_WEIGHT = "cpuWeight"
    MEMORY = "memory"
    MEMORY_HIGH = "memoryHigh"
    MEMORY_LOW = "memoryLow"
    SWAP = "swap"
    PIDS = "pids"
    IO_WEIGHT = "ioWeight"
    IO = "io"


HARD: Final = frozenset(
    {SliceLimit.CPUS, SliceLimit.CPUSET, SliceLimit.MEMORY, SliceLimit.SWAP, SliceLimit.PIDS}
)
"""Nothing is started where one of these is asked for and not enforced; the others are wishes."""


@dataclass(frozen=True, slots=True, order=True)
class IoLimit:
    """How much of one device may be used a second; None is unlimited.

    Attributes:
        path: any path on the device, as the policy names it.
        read, write: bytes a second.
        read_ops, write_ops: requests a second.
    """

    path: str
    read: int | None = None
    write: int | None = None
    read_ops: int | None = None
    write_ops: int | None = None


@dataclass(frozen=True, slots=True)
class SliceLimits:
    """Limits of one slice; a slice that nobody limits equals `UNLIMITED`.

    Attributes:
        nano_cpus: CPU quota in 10⁻⁹ CPUs; None is unlimited, here and below.
        cpuset: canonical list such as `0-3,8`; None for all of the host's.
        cpu_weight, io_weight: share against the other slices when all of them want more than there is.
        memory: hard limit, bytes.
        memory_high: above this memory is reclaimed, bytes.
        memory_low: guaranteed, bytes; 0 is nothing.
        swap: swap alone, bytes.
        pids: number of tasks.
        io: by device, in the order of their paths.
    """

    nano_cpus: int | None = None
    cpuset: str | None = None
    cpu_weight: int = USUAL_WEIGHT
    memory: int | None = None
    memory_high: int | None = None
    memory_low: int = 0
    swap: int | None = None
    pids: int | None = None
    io_weight: int = USUAL_WEIGHT
    io: tuple[IoLimit, ...] = ()


UNLIMITED: Final = SliceLimits()
FIELDS: Final[Mapping[SliceLimit, str]] = {
    SliceLimit.CPUS: "nano_cpus",
    SliceLimit.CPUSET: "cpuset",
    SliceLimit.CPU_WEIGHT: "cpu_weight",
    SliceLimit.MEMORY: "memory",
    SliceLimit.MEMORY_HIGH: "memory_high",
    SliceLimit.MEMORY_LOW: "memory_low",
    SliceLimit.SWAP: "swap",
    SliceLimit.PIDS: "pids",
    SliceLimit.IO_WEIGHT: "io_weight",
    SliceLimit.IO: "io",
}
"""By which field of `SliceLimits` each limit is kept."""


@dataclass(frozen=True, slots=True)
class Use:
    """What a cgroup and all below it use; None where this kernel does not tell.

    Attributes:
        cpu_seconds: since the cgroup was made.
        throttled_seconds: how long it was kept from the processors by its quota, likewise.
        memory: bytes, page cache included.
        cache: of that, bytes of files, which the kernel takes back when it is asked to.
        swap: bytes, swap alone.
        pids: tasks.
        io_read, io_written: bytes, of all devices, since the cgroup was made.
        oom_kills: processes that the kernel killed for want of memory, likewise.
        pressure: seconds in which something waited, by resource and kind such as `cpu some`: pressure stall
            information, where the kernel has it.
    """

    cpu_seconds: float | None = None
    throttled_seconds: float | None = None
    memory: int | None = None
    cache: int | None = None
    swap: int | None = None
    pids: int | None = None
    io_read: int | None = None
    io_written: int | None = None
    oom_kills: int | None = None
    pressure: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Slice:
    """One slice as it was found.

    Attributes:
        owner: login name; `ROOT` for the slice above all.
        name: as a container's parent is named to the Engine.
        limits: what the kernel enforces.
        populated: processes are in it, or below it.
        strangers: what is in it and is no container of ours, as short texts such as `process 4711 (python)`.
    """

    owner: str
    name: str
    limits: SliceLimits
    use: Use = Use()
    populated: bool = False
    strangers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ContainerUse:
    """What one running container uses, and what was written to its own cgroup.

    Attributes:
        owner: whose slice it is in; None for nobody's.
        memory_high: above this its memory is reclaimed, bytes; None is unlimited.
    """

    use: Use
    owner: str | None
    memory_high: int | None = None


@dataclass(frozen=True, slots=True)
class SliceView:
    """All slices as one look found them.

    Attributes:
        driver: who makes them; NONE: nobody does, and there are none.
        version: 1 or 2, of the cgroups that limits are set in; 0 without a driver.
        cannot: why a limit has no effect on this kernel, for each that has none.
        held: limits that hold whatever they are: of swap, where there is none and the kernel counts none.
        no_device: why a path's device cannot be limited, for each path of which that is so.
        devices: number of the device, such as `8:0`, of each other path that was asked for.
        processors: all that the host has, as a canonical list; empty where that was not seen.
        grain: values of a limit that are less than this apart are one to the kernel: memory has pages.
        io_weight_step: in which steps shares of IO above the usual one are kept.
        slices: by owner; those that are there.
        containers: by full id, of those that were asked for and could be read.
        strangers: what is directly below the root and is nobody's slice.
    """

    driver: SliceDriver = SliceDriver.NONE
    version: int = 0
    cannot: Mapping[SliceLimit, str] = field(default_factory=dict)
    held: frozenset[SliceLimit] = frozenset()
    no_device: Mapping[str, str] = field(default_factory=dict)
    devices: Mapping[str, str] = field(default_factory=dict)
    processors: str = ""
    grain: Mapping[SliceLimit, int] = field(default_factory=dict)
    io_weight_step: int = 1
    slices: Mapping[str, Slice] = field(default_factory=dict)
    containers: Mapping[str, ContainerUse] = field(default_factory=dict)
    strangers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """What a look at the slices is to find out.

    Attributes:
        driver: SYSTEMD, CGROUPFS or NONE: what the Engine uses, or the configuration says in its place.
        root: name of the slice above all, a word of letters and digits.
        paths: for which the policy limits IO.
        running: the pid of the main process of each container of ours that runs, by full id.
    """

    driver: SliceDriver
    root: str
    paths: frozenset[str] = frozenset()
    running: Mapping[str, int] = field(default_factory=dict)


def feasible(limits: SliceLimits, view: SliceView) -> SliceLimits:
    """Return what a slice can be given of these limits: what the kernel cannot is left out, to be told.

    Paths on one device become the first of them, with the least that any of them allows. A cpuset of all
    processors is none.
    """
    left_out = {FIELDS[limit]: getattr(UNLIMITED, FIELDS[limit]) for limit in (*view.cannot, *view.held)}
    if limits.cpuset == view.processors:
        left_out["cpuset"] = None
    if (more := limits.io_weight - USUAL_WEIGHT) > 0 and "io_weight" not in left_out:
        left_out["io_weight"] = limits.io_weight - more % view.io_weight_step
    if limits.io and "io" not in left_out:
        left_out["io"] = _by_device(limits.io, view)
    return replace(limits, **left_out)


def differing(
    wanted: SliceLimits, found: SliceLimits, grain: Mapping[SliceLimit, int]
) -> tuple[SliceLimit, ...]:
    """Return which limits are not as wanted, where the kernel rounds as `grain` says."""
    return tuple(
        limit
        for limit, name in FIELDS.items()
        if not _same(getattr(wanted, name), getattr(found, name), grain.get(limit, 1))
    )


def _same(wanted: object, found: object, grain: int) -> bool:
    if isinstance(wanted, int) and isinstance(found, int):
        return abs(wanted - found) < grain
    return wanted == found


def _by_device(limits: tuple[IoLimit, ...], view: SliceView) -> tuple[IoLimit, ...]:
    first: dict[str, str] = {}
    for path in sorted(view.devices):
        first.setdefault(view.devices[path], path)
    found: dict[str, IoLimit] = {}
    for one in limits:
        if (device := view.devices.get(one.path)) is not None:
            named = replace(one, path=first[device])
            found[device] = _least(found[device], named) if device in found else named
    return tuple(sorted(found.values(), key=lambda one: one.path))


def _least(one: IoLimit, other: IoLimit) -> IoLimit:
    def least(name: str) -> int | None:
        said = [value for value in (getattr(one, name), getattr(other, name)) if value is not None]
        return min(said, default=None)

    return IoLimit(one.path, least("read"), least("write"), least("read_ops"), least("write_ops"))
