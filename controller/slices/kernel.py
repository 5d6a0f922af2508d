"""Knows what the kernel of this host can limit, and why not where it cannot, in words for people.

Refuses to try: it looks at what is there and sets nothing.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from controller.api import quantities
from controller.api.config import SliceDriver
from controller.model.slices import Question, SliceLimit, SliceView
from controller.slices import disks, files, reading, systemd
from controller.slices.files import Terms
from controller.slices.groups import PROC, Group, Hierarchies
from controller.slices.reading import number

_LIMITS_OF: Final[Mapping[str, tuple[SliceLimit, ...]]] = {
    "cpu": (SliceLimit.CPUS, SliceLimit.CPU_WEIGHT),
    "cpuset": (SliceLimit.CPUSET,),
    "memory": (SliceLimit.MEMORY, SliceLimit.MEMORY_HIGH, SliceLimit.MEMORY_LOW, SliceLimit.SWAP),
    "pids": (SliceLimit.PIDS,),
    "blkio": (SliceLimit.IO, SliceLimit.IO_WEIGHT),
}
_CANNOT_V1: Final[Mapping[SliceLimit, str]] = {
    SliceLimit.MEMORY_HIGH: "version 1 of the cgroups has no memory.high",
    SliceLimit.MEMORY_LOW: "version 1 of the cgroups guarantees no memory to a slice",
    SliceLimit.IO: "version 1 of the cgroups does not limit the IO of containers by that of their slice",
}
_NEEDS_ROOM: Final = ("memory", "blkio")
"""Controllers of version 2 that are not handed on from a cgroup that has processes of its own."""
_NO_SWAP_COUNT: Final = "the kernel counts no swap (boot with swapaccount=1)"
_NO_QUOTA: Final = "the kernel was built without quotas of processors (CONFIG_CFS_BANDWIDTH)"
_NO_BFQ: Final = "no disk of this host has the scheduler bfq, which alone shares by weight in version 1"
_NO_SHARING: Final = "no disk of this host shares by weight (give it the scheduler bfq, or set io.cost.qos)"
_QUOTA_GRAIN: Final = {SliceDriver.CGROUPFS: 10_000, SliceDriver.SYSTEMD: 100_000}
"""In what steps quotas are kept, in 10⁻⁹ processors: µs of 100 ms, of which systemd keeps tens."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """What this host's kernel can, for one question.

    Attributes:
        view: that of a look that is the same for all slices.
        terms: what is to be known to read limits.
        stacked: devices whose bytes are counted on another one as well.
    """

    view: SliceView
    terms: Terms
    stacked: frozenset[str]


class Host:
    """Where this kernel is asked.

    Attributes:
        top: the cgroup below which the slices are.
        inner: cgroups that have the files that the top lacks.
    """

    def __init__(
        self,
        hierarchies: Hierarchies,
        above: Mapping[str, str],
        inner: tuple[Group, ...],
        sys: Path = disks.SYS,
        proc: Path = PROC,
    ) -> None:
        """Take the cgroups `inner`, and our own, for such as containers have; `above` is above the slices."""
        self.top = hierarchies.below(above, "")
        self.inner = (*inner, hierarchies.of_process(reading.read(f"{proc}/self/cgroup") or ""))
        self.sys = sys
        self.proc = proc


def examine(host: Host, question: Question) -> Kernel:
    """Return what the kernel can.

    Raises:
        OSError, ValueError: a file cannot be read, or says what no kernel says.
    """
    devices, no_device = _devices(question.paths, host)
    weight = _io_weight(host)
    cannot, held = dict(_cannot(host, question.driver, weight)), frozenset[SliceLimit]()
    if SliceLimit.SWAP not in cannot and not _counts_swap(host):
        if _has_swap(host):
            cannot[SliceLimit.SWAP] = _NO_SWAP_COUNT
        else:
            held = frozenset({SliceLimit.SWAP})
    terms = Terms(_processors(host), _memory(host), weight, devices)
    grain = dict.fromkeys(_LIMITS_OF["memory"], os.sysconf("SC_PAGE_SIZE"))
    view = SliceView(
        driver=question.driver,
        version=host.top.version,
        cannot=cannot,
        held=held,
        no_device=no_device,
        devices=devices,
        processors=terms.processors,
        grain={**grain, SliceLimit.CPUS: _QUOTA_GRAIN[question.driver]},
        io_weight_step=files.BFQ_STEP if weight in files.BFQ_WEIGHTS.values() else 1,
    )
    return Kernel(view, terms, disks.stacked(host.sys))


def _cannot(host: Host, driver: SliceDriver, weight: str) -> Iterator[tuple[SliceLimit, str]]:
    if host.top.version == 1:
        if driver is SliceDriver.SYSTEMD:
            yield from systemd.CANNOT_V1.items()
        yield from _CANNOT_V1.items()
        absent = _absent_v1(host)
        no_weight = _NO_BFQ
    else:
        absent = _absent_v2(host)
        no_weight = _NO_SHARING
    if not weight:
        yield SliceLimit.IO_WEIGHT, no_weight
    if _lacks(host, "cpu", ("cpu.cfs_quota_us", "cpu.max"), ("cpu.shares", "cpu.weight")):
        yield SliceLimit.CPUS, _NO_QUOTA
    for controller, why in absent:
        for limit in _LIMITS_OF[controller]:
            yield limit, why


def _absent_v1(host: Host) -> Iterator[tuple[str, str]]:
    for controller in _LIMITS_OF:
        if controller not in host.top.folders:
            yield controller, f"no controller {controller} is mounted (was it switched off at boot?)"
    for group in host.inner[:1]:
        if reading.read(group.file("memory", "memory.use_hierarchy")) == "0":
            folder = group.folders["memory"]
            yield "memory", f"memory of containers does not count in {folder} (memory.use_hierarchy is 0)"


def _absent_v2(host: Host) -> Iterator[tuple[str, str]]:
    offered = (reading.read(host.top.file("memory", "cgroup.controllers")) or "").split()
    handed_on = (reading.read(host.top.file("memory", "cgroup.subtree_control")) or "").split()
    inhabited = (
        reading.read(host.top.file("memory", "cgroup.type")) is not None
        and reading.read(host.top.file("memory", "cgroup.procs")) != ""
    )
    for controller in _LIMITS_OF:
        name = NAMES_V2.get(controller, controller)
        if name not in offered:
            yield controller, f"{_shown(host)} has no controller {name} (was it switched off at boot?)"
        elif inhabited and name not in handed_on and controller in _NEEDS_ROOM:
            yield controller, f"{_shown(host)} hands {name} on to no slice: it has processes of its own"


NAMES_V2: Final = {"blkio": "io"}
"""What version 2 calls otherwise."""


def _shown(host: Host) -> str:
    return host.top.folders["memory"]


def _lacks(host: Host, controller: str, names: tuple[str, str], others: tuple[str, str]) -> bool:
    """Whether a cgroup has the controller's other file and not this one, by version."""
    which = host.top.version - 1
    for group in (host.top, *host.inner):
        if reading.read(group.file(controller, others[which])) is not None:
            return reading.read(group.file(controller, names[which])) is None
    return False


def _counts_swap(host: Host) -> bool:
    limits = ("memory.memsw.limit_in_bytes", "memory.swap.max")
    return not _lacks(host, "memory", limits, ("memory.usage_in_bytes", "memory.current"))


def _has_swap(host: Host) -> bool:
    return len((reading.read(f"{host.proc}/swaps") or "").splitlines()) > 1


def _io_weight(host: Host) -> str:
    qos = reading.read(host.top.file("blkio", "io.cost.qos")) or ""
    if "enable=1" in qos:
        return files.IO_WEIGHT
    return files.BFQ_WEIGHTS[host.top.version] if disks.sharing_by_bfq(host.sys) else ""


def _processors(host: Host) -> str:
    name = "cpuset.cpus" if host.top.version == 1 else "cpuset.cpus.effective"
    text = reading.read(host.top.file("cpuset", name)) or reading.read(
        f"{host.sys}/devices/system/cpu/online"
    )
    return quantities.parse_cpuset(text) if text else ""


def _memory(host: Host) -> int:
    for line in (reading.read(f"{host.proc}/meminfo") or "").splitlines():
        if line.startswith("MemTotal:"):
            return 1024 * (number(line.split()[1]) or 0)
    return 0


def _devices(paths: Iterable[str], host: Host) -> tuple[dict[str, str], dict[str, str]]:
    found, none = {}, {}
    for path in sorted(paths):
        try:
            found[path] = disks.device_of(path, host.sys, host.proc)
        except disks.NoDeviceError as error:
            none[path] = str(error)
    return found, none
