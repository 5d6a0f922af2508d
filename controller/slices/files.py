"""Knows how each limit of a slice reads in the kernel's files, in both versions.

Refuses to write. Weights of IO are those of the file that has an effect on this host. Formats: the kernel's
admin-guide on cgroup-v1 and cgroup-v2, sched-bwc and BFQ.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from controller.api import quantities
from controller.model.slices import UNLIMITED, USUAL_WEIGHT, IoLimit, SliceLimit, SliceLimits
from controller.slices import cpusets
from controller.slices.groups import Group
from controller.slices.reading import number

Read = Callable[[str], str | None]
PERIOD: Final = 100_000
"""Microseconds over which a quota of processors counts, as the runtime of containers has it."""
BILLION: Final = 10**9
SHARES: Final = 1024
"""What version 1 calls the usual weight of processors."""
UNLIMITED_V1: Final = 2**62
"""Version 1 has no word for unlimited: it shows the largest multiple of a page."""
MOST: Final = 2**63 - 1
IO_WEIGHT: Final = "io.weight"
BFQ_WEIGHTS: Final = {1: "blkio.bfq.weight", 2: "io.bfq.weight"}
BFQ_STEP: Final = 11
"""BFQ keeps weights of 100 to 10000 as 100 to 1000."""
_FILES: Final[Mapping[SliceLimit, tuple[str, str, str]]] = {
    SliceLimit.CPUS: ("cpu", "cpu.cfs_quota_us", "cpu.max"),
    SliceLimit.CPUSET: ("cpuset", "cpuset.cpus", "cpuset.cpus"),
    SliceLimit.MEMORY: ("memory", "memory.limit_in_bytes", "memory.max"),
    SliceLimit.MEMORY_HIGH: ("memory", "", "memory.high"),
    SliceLimit.MEMORY_LOW: ("memory", "", "memory.low"),
    SliceLimit.SWAP: ("memory", "memory.memsw.limit_in_bytes", "memory.swap.max"),
    SliceLimit.PIDS: ("pids", "pids.max", "pids.max"),
}
"""Controller and file of what containers are limited in, in version 1 and 2."""
_BYTES: Final = ("read", "write", "read_ops", "write_ops")
_IO_MAX: Final = dict(zip(("rbps", "wbps", "riops", "wiops"), _BYTES, strict=True))


@dataclass(frozen=True, slots=True)
class Terms:
    """What is to be known of a host before its files can be read.

    Attributes:
        processors: all of the host's, as a canonical list.
        memory: of the host, bytes.
        io_weight: name of the file whose weights have an effect; empty where none has.
        devices: number of the disk by each path that can be limited.
    """

    processors: str
    memory: int
    io_weight: str
    devices: Mapping[str, str]

    def path_of(self, device: str) -> str:
        """Return the first of the paths on a disk; a disk that nobody asked for has its node's."""
        named = sorted(path for path, number in self.devices.items() if number == device)
        return named[0] if named else f"/dev/block/{device}"


def read_limits(read: Read, group: Group, terms: Terms) -> SliceLimits:
    """Return what the kernel enforces on a cgroup; what it has no file for is unlimited.

    Raises:
        OSError, ValueError: a file cannot be read, or says what no kernel says.
    """
    return _read_v1(read, group, terms) if group.version == 1 else _read_v2(read, group, terms)


def _read_v1(read: Read, group: Group, terms: Terms) -> SliceLimits:
    memory = _limit(read(group.file("memory", "memory.limit_in_bytes")))
    both = _limit(read(group.file("memory", "memory.memsw.limit_in_bytes")))
    swap = None if both is None else max(0, both - (terms.memory if memory is None else memory))
    shares = number(read(group.file("cpu", "cpu.shares")))
    return SliceLimits(
        nano_cpus=_quota(
            read(group.file("cpu", "cpu.cfs_quota_us")), read(group.file("cpu", "cpu.cfs_period_us"))
        ),
        cpuset=_cpuset(read(group.file("cpuset", "cpuset.cpus")), terms),
        cpu_weight=USUAL_WEIGHT if shares is None else weight_of_shares(shares),
        memory=memory,
        swap=swap,
        pids=_limit(read(group.file("pids", "pids.max"))),
        io_weight=_io_weight(read, group, terms),
    )


def _read_v2(read: Read, group: Group, terms: Terms) -> SliceLimits:
    quota, _, period = (read(group.file("cpu", "cpu.max")) or "max").partition(" ")
    weight = number(read(group.file("cpu", "cpu.weight")))
    return SliceLimits(
        nano_cpus=_quota(quota, period),
        cpuset=_cpuset(_processors_v2(read, group), terms),
        cpu_weight=USUAL_WEIGHT if weight is None else weight,
        memory=_limit(read(group.file("memory", "memory.max"))),
        memory_high=_limit(read(group.file("memory", "memory.high"))),
        memory_low=_guarantee(read(group.file("memory", "memory.low"))),
        swap=_limit(read(group.file("memory", "memory.swap.max"))),
        pids=_limit(read(group.file("pids", "pids.max"))),
        io_weight=_io_weight(read, group, terms),
        io=_io(read(group.file("blkio", "io.max")), terms),
    )


def _processors_v2(read: Read, group: Group) -> str | None:
    """Return what a cgroup asks for, or what it has: that may be others, if none of its own are there."""
    asked = read(group.file("cpuset", "cpuset.cpus"))
    if not asked:
        return None
    has = read(group.file("cpuset", "cpuset.cpus.effective"))
    return has if has and not cpusets.members(has) <= cpusets.members(asked) else asked


def lacking(read: Read, group: Group) -> frozenset[SliceLimit]:
    """Return which limits of containers a cgroup has no file for."""
    named = {limit: (one[0], one[group.version]) for limit, one in _FILES.items()}
    return frozenset(
        limit for limit, (of, name) in named.items() if not name or read(group.file(of, name)) is None
    )


def shares_of_weight(weight: int) -> int:
    """Return the shares that version 1 has for a weight, as systemd has it; `weight_of_shares` reverts it."""
    return weight * SHARES // USUAL_WEIGHT


def weight_of_shares(shares: int) -> int:
    """Return the weight that shares of version 1 are."""
    return max(1, (shares * USUAL_WEIGHT + SHARES // 2) // SHARES)


def bfq_of_weight(weight: int) -> int:
    """Return how BFQ keeps a weight, as systemd has it: 1 to 1000."""
    return weight if weight <= USUAL_WEIGHT else USUAL_WEIGHT + (weight - USUAL_WEIGHT) // BFQ_STEP


def weight_of_bfq(kept: int) -> int:
    """Return the least weight that BFQ keeps so."""
    return kept if kept <= USUAL_WEIGHT else USUAL_WEIGHT + (kept - USUAL_WEIGHT) * BFQ_STEP


def devices_in(io_max: str | None) -> Mapping[str, Mapping[str, int]]:
    """Return what `io.max` limits, by the number of the disk and the field of `IoLimit`."""
    found = {}
    for line in (io_max or "").splitlines():
        device, *said = line.split()
        pairs = (one.partition("=")[::2] for one in said)
        limits = {_IO_MAX[key]: value for key, value in pairs if key in _IO_MAX}
        found[device] = {name: int(value) for name, value in limits.items() if value != "max"}
    return {device: limits for device, limits in found.items() if limits}


def line_of(device: str, limit: IoLimit | None) -> str:
    """Return the line of `io.max` that gives a disk this limit; None: no limit at all."""
    values = {key: None if limit is None else getattr(limit, name) for key, name in _IO_MAX.items()}
    said = " ".join(f"{key}={'max' if value is None else value}" for key, value in values.items())
    return f"{device} {said}"


def _io(text: str | None, terms: Terms) -> tuple[IoLimit, ...]:
    if not text:
        return UNLIMITED.io
    found = [IoLimit(terms.path_of(device), **said) for device, said in devices_in(text).items()]
    return tuple(sorted(found, key=lambda one: one.path))


def _io_weight(read: Read, group: Group, terms: Terms) -> int:
    if not terms.io_weight:
        return USUAL_WEIGHT
    text = read(group.file("blkio", terms.io_weight))
    kept = number((text or "").splitlines()[0].removeprefix("default ")) if text else None
    if kept is None:
        return USUAL_WEIGHT
    return kept if terms.io_weight == IO_WEIGHT else weight_of_bfq(kept)


def _limit(text: str | None) -> int | None:
    value = number(text)
    return None if value is None or value >= UNLIMITED_V1 else value


def _guarantee(text: str | None) -> int:
    return MOST if text == "max" else number(text) or 0


def _quota(quota: str | None, period: str | None) -> int | None:
    value, over = number(quota), number(period)
    return None if value is None or not over else value * BILLION // over


def _cpuset(text: str | None, terms: Terms) -> str | None:
    found = quantities.parse_cpuset(text) if text else None
    return None if found == terms.processors else found
