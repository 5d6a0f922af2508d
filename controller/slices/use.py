"""Knows where the kernel counts what a cgroup and all below it use, in both versions.

Refuses to say 0 where the kernel says nothing. Formats: the kernel's admin-guide on cgroup-v1, cgroup-v2 and
PSI.
"""

from collections.abc import Iterator
from typing import Final

from controller.model.slices import Use
from controller.slices.files import Read
from controller.slices.groups import Group
from controller.slices.reading import entry, number, table

_NANO: Final = 10**9
_MICRO: Final = 10**6
_PRESSURES: Final = (("cpu", "cpu"), ("memory", "memory"), ("io", "blkio"))
"""Resources that something waits for, and by which controller's folder they are found."""


def read_use(read: Read, group: Group, stacked: frozenset[str], *, inner: bool) -> Use:
    """Return what a cgroup uses.

    Args:
        read: returns a file's text, None where it is not there.
        group: which.
        stacked: numbers of the devices whose bytes are counted on another one as well.
        inner: there are cgroups of containers below, whose killed processes version 1 counts there alone.

    Raises:
        OSError, ValueError: a file cannot be read, or says what no kernel says.
    """
    return _read_v1(read, group, stacked, inner) if group.version == 1 else _read_v2(read, group, stacked)


def _read_v1(read: Read, group: Group, stacked: frozenset[str], inner: bool) -> Use:  # noqa: FBT001
    spent = number(read(group.file("cpuacct", "cpuacct.usage")))
    memory = number(read(group.file("memory", "memory.usage_in_bytes")))
    both = number(read(group.file("memory", "memory.memsw.usage_in_bytes")))
    done = read(group.file("blkio", "blkio.throttle.io_service_bytes_recursive"))
    kills = None if inner else table(read(group.file("memory", "memory.oom_control"))).get("oom_kill")
    return Use(
        cpu_seconds=_scaled(spent, _NANO),
        throttled_seconds=_scaled(table(read(group.file("cpu", "cpu.stat"))).get("throttled_time"), _NANO),
        memory=memory,
        cache=read_cache(read, group),
        swap=None if memory is None or both is None else max(0, both - memory),
        pids=number(read(group.file("pids", "pids.current"))),
        io_read=_sum_v1(done, "Read", stacked),
        io_written=_sum_v1(done, "Write", stacked),
        oom_kills=kills,
    )


def _read_v2(read: Read, group: Group, stacked: frozenset[str]) -> Use:
    cpu = table(read(group.file("cpu", "cpu.stat")))
    done = read(group.file("blkio", "io.stat"))
    return Use(
        cpu_seconds=_scaled(cpu.get("usage_usec"), _MICRO),
        throttled_seconds=_scaled(cpu.get("throttled_usec"), _MICRO),
        memory=number(read(group.file("memory", "memory.current"))),
        cache=read_cache(read, group),
        swap=number(read(group.file("memory", "memory.swap.current"))),
        pids=number(read(group.file("pids", "pids.current"))),
        io_read=_sum_v2(done, "rbytes", stacked),
        io_written=_sum_v2(done, "wbytes", stacked),
        oom_kills=table(read(group.file("memory", "memory.events"))).get("oom_kill"),
        pressure=dict(_pressure(read, group)),
    )


def read_memory(read: Read, group: Group) -> int | None:
    """Return how much memory a cgroup uses, bytes; None where the kernel does not tell."""
    name = "memory.usage_in_bytes" if group.version == 1 else "memory.current"
    return number(read(group.file("memory", name)))


def read_cache(read: Read, group: Group) -> int | None:
    """Return how much of that is of files, bytes; None where the kernel does not tell."""
    text, total = read(group.file("memory", "memory.stat")), "total_" if group.version == 1 else ""
    if text is None:
        return None
    return (entry(text, f"{total}inactive_file") or 0) + (entry(text, f"{total}active_file") or 0)


def _scaled(value: int | None, unit: int) -> float | None:
    return None if value is None else value / unit


def _sum_v1(text: str | None, kind: str, stacked: frozenset[str]) -> int | None:
    """Add up lines such as `8:0 Read 4096`."""
    if text is None:
        return None
    lines = (line.split() for line in text.splitlines())
    return sum(int(line[2]) for line in lines if line[1] == kind and line[0] not in stacked)


def _sum_v2(text: str | None, kind: str, stacked: frozenset[str]) -> int | None:
    """Add up lines such as `8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0`.

    Some kernels leave out the end of a line that has nothing to say but its device.
    """
    if text is None:
        return None
    found, device = 0, ""
    for word in text.split():
        key, is_said, value = word.partition("=")
        if not is_said:
            device = word
        elif key == kind and device not in stacked:
            found += int(value)
    return found


def _pressure(read: Read, group: Group) -> Iterator[tuple[str, float]]:
    """Yield seconds from lines such as `some avg10=0.00 avg60=0.00 avg300=0.00 total=123`."""
    for resource, controller in _PRESSURES:
        for line in (read(group.file(controller, f"{resource}.pressure")) or "").splitlines():
            kind, *_, total = line.split()
            yield f"{resource} {kind}", int(total.removeprefix("total=")) / _MICRO
