"""Knows how each limit is written into the kernel's files, in both versions, and in which order.

Refuses to choose one, and to compare afterwards: who writes reads back. Formats: as `files` has them.
"""

import os
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from functools import partial
from pathlib import Path
from typing import Final

from controller.api.conditions import Reason
from controller.model import errors
from controller.model.slices import IoLimit, SliceLimit, SliceLimits
from controller.slices import cpusets, disks, files, reading
from controller.slices.files import BFQ_WEIGHTS, BILLION, IO_WEIGHT, PERIOD, Terms
from controller.slices.groups import Group

_NOTHING: Final = "\n"
_ALL: Final = -1
"""Unlimited, to version 1."""
_Step = tuple[frozenset[SliceLimit], Callable[[], None]]
"""What writes limits."""


def write_limits(group: Group, wanted: SliceLimits, which: AbstractSet[SliceLimit], terms: Terms) -> None:
    """Write those limits of a cgroup that are named; the others stay, but for memory and swap of version 1.

    What is refused keeps no other limit from being written, but for that at which memory is reclaimed: then
    memory does not end either.

    Raises:
        OSError: the kernel refuses one, the first of them; it names the file.
        errors.Terminal: a path has no disk.
    """
    steps = (_steps_v1 if group.version == 1 else _steps_v2)(group, wanted, terms)
    refused: dict[SliceLimit, Exception] = {}
    for limits, step in steps:
        if limits & which and not (SliceLimit.MEMORY in limits and SliceLimit.MEMORY_HIGH in refused):
            try:
                step()
            except (OSError, errors.EffectError) as error:
                refused.update(dict.fromkeys(limits & which, error))
    if refused:
        raise next(iter(refused.values()))


def _steps_v1(group: Group, wanted: SliceLimits, terms: Terms) -> Iterator[_Step]:
    yield _of(SliceLimit.CPUSET), lambda: cpusets.write(group.folder("cpuset"), wanted.cpuset)
    yield _of(SliceLimit.CPUS), lambda: _write_quota_v1(group, wanted.nano_cpus)
    shares = str(files.shares_of_weight(wanted.cpu_weight))
    yield _of(SliceLimit.CPU_WEIGHT), lambda: reading.write(group.file("cpu", "cpu.shares"), shares)
    memory = _of(SliceLimit.MEMORY, SliceLimit.SWAP)
    yield memory, lambda: _write_memory_v1(group, wanted, terms.memory)
    yield from _steps_of_both(group, wanted)


def _steps_v2(group: Group, wanted: SliceLimits, terms: Terms) -> Iterator[_Step]:
    """Yield where memory is reclaimed before where it ends.

    A cgroup that something is in may have all processors, but not none of its own.
    """
    quota = "max" if wanted.nano_cpus is None else str(_quota(wanted.nano_cpus))
    values = {
        SliceLimit.CPUSET: ("cpuset", "cpuset.cpus", wanted.cpuset or terms.processors or _NOTHING),
        SliceLimit.CPUS: ("cpu", "cpu.max", f"{quota} {PERIOD}"),
        SliceLimit.CPU_WEIGHT: ("cpu", "cpu.weight", str(wanted.cpu_weight)),
        SliceLimit.MEMORY_HIGH: ("memory", "memory.high", _or_max(wanted.memory_high)),
        SliceLimit.MEMORY: ("memory", "memory.max", _or_max(wanted.memory)),
        SliceLimit.MEMORY_LOW: ("memory", "memory.low", str(wanted.memory_low)),
        SliceLimit.SWAP: ("memory", "memory.swap.max", _or_max(wanted.swap)),
    }
    for limit, (controller, name, text) in values.items():
        yield _of(limit), partial(reading.write, group.file(controller, name), text)
    yield from _steps_of_both(group, wanted)
    yield _of(SliceLimit.IO), lambda: _write_io(group.file("blkio", "io.max"), wanted.io)


def _steps_of_both(group: Group, wanted: SliceLimits) -> Iterator[_Step]:
    pids = _or_max(wanted.pids)
    yield _of(SliceLimit.PIDS), lambda: reading.write(group.file("pids", "pids.max"), pids)
    yield _of(SliceLimit.IO_WEIGHT), lambda: _write_io_weight(group, wanted.io_weight)


def _of(*limits: SliceLimit) -> frozenset[SliceLimit]:
    return frozenset(limits)


def _write_quota_v1(group: Group, nano_cpus: int | None) -> None:
    period = group.file("cpu", "cpu.cfs_period_us")
    if reading.read(period) != str(PERIOD):
        reading.write(period, str(PERIOD))
    quota = _ALL if nano_cpus is None else _quota(nano_cpus)
    reading.write(group.file("cpu", "cpu.cfs_quota_us"), str(quota))


def _write_memory_v1(group: Group, wanted: SliceLimits, host: int) -> None:
    """Write memory, and memory with swap: that is never less, so it is raised first and lowered last."""
    both = group.file("memory", "memory.memsw.limit_in_bytes")
    lines = [(group.file("memory", "memory.limit_in_bytes"), _or_all(wanted.memory))]
    if (now := reading.number(reading.read(both))) is not None:
        whole = None if wanted.swap is None else (wanted.memory or host) + wanted.swap
        lines.insert(0 if whole is None or whole > now else 1, (both, _or_all(whole)))
    for path, value in lines:
        reading.write(path, str(value))


def _write_io(path: str, limits: tuple[IoLimit, ...]) -> None:
    wanted: dict[str, IoLimit | None] = dict.fromkeys(files.devices_in(reading.read(path)))
    for one in limits:
        try:
            wanted[disks.device_of(one.path)] = one
        except disks.NoDeviceError as error:
            raise errors.Terminal(Reason.SLICE_REFUSED, f"{SliceLimit.IO}: {error}") from error
    for device, limit in wanted.items():
        reading.write(path, files.line_of(device, limit))


def _write_io_weight(group: Group, weight: int) -> None:
    """Write it wherever there is a file for it: which one counts is a matter of each disk."""
    kept = str(files.bfq_of_weight(weight))
    lines = {BFQ_WEIGHTS[group.version]: kept, IO_WEIGHT: f"default {weight}"}
    for name, text in lines.items():
        path = group.file("blkio", name)
        if Path(path).exists():
            reading.write(path, text)


def write_reservation_v1(group: Group, reservation: int) -> bool:
    """Write what version 1 has in place of a guarantee; return whether it was not there.

    Raises:
        OSError: the kernel refuses it.
    """
    path, page = group.file("memory", "memory.soft_limit_in_bytes"), os.sysconf("SC_PAGE_SIZE")
    if reading.read(path) == str(reservation // page * page):
        return False
    reading.write(path, str(reservation))
    return True


def _quota(nano_cpus: int) -> int:
    """Return microseconds of each period."""
    return nano_cpus * PERIOD // BILLION


def _or_max(value: int | None) -> str:
    return "max" if value is None else str(value)


def _or_all(value: int | None) -> int:
    return _ALL if value is None else value
