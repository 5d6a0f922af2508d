"""Knows where the kernel keeps the limits of a process's cgroups, in both versions, and reads them.

It refuses to write, and to take a missing file for "unlimited" where the cgroup itself is missing.
Formats: cgroups(7), and the kernel's admin-guide on cgroup-v1 and cgroup-v2.
"""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path

from controller.api import quantities
from controller.api.conditions import Reason
from controller.model import cgroups, errors, observed

PROC = Path("/proc")
UNLIMITED_V1 = 2**62
"""Version 1 has no word for unlimited: it shows the largest multiple of a page, or as much as was written."""
CONTROLLERS = ("cpu", "cpuset", "memory", "pids")
"""Where one of these has a tree of its own, limits are version 1's, with or without a version 2 tree."""
BILLION = 10**9
FILE_CACHE_V1 = ("total_inactive_file", "total_active_file")


def read_limits(pid: int, proc: Path = PROC) -> observed.Limits:
    """The limits that the kernel enforces on a host process; None where there is none.

    Raises:
        errors.Retryable: the process is gone, or its cgroups cannot be read.
    """
    try:
        paths = cgroups.paths((proc / str(pid) / "cgroup").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise errors.Retryable(Reason.NOT_SEEN, f"cgroup of process {pid}: {error}") from error
    try:
        mounts = _mounts_of(proc)
        first = [name for name in CONTROLLERS if name in paths and name in mounts]
        if first:
            return _read_v1({name: _folder(mounts[name], paths[name]) for name in first})
        return _read_v2(_folder(mounts[""], paths[""]))
    except (OSError, ValueError, KeyError) as error:
        _mounts_of.cache_clear()
        raise errors.Retryable(Reason.NOT_SEEN, f"cgroup of process {pid}: {error}") from error


def read_memory_use(pid: int, proc: Path = PROC) -> int | None:
    """Bytes that a host process's cgroup holds, as far as a lower limit must respect them; None: not known.

    Version 1 keeps file cache until there is need, and a lower limit reclaims it: there it does not count.
    """
    try:
        paths = cgroups.paths((proc / str(pid) / "cgroup").read_text(encoding="utf-8"))
        mounts = _mounts_of(proc)
        if "memory" not in paths or "memory" not in mounts:
            return int((_folder(mounts[""], paths[""]) / "memory.current").read_text(encoding="ascii"))
        folder = _folder(mounts["memory"], paths["memory"])
        used = int((folder / "memory.usage_in_bytes").read_text(encoding="ascii"))
        lines = (folder / "memory.stat").read_text(encoding="ascii").splitlines()
        counts = dict(line.split(" ") for line in lines)
        return max(0, used - sum(int(counts.get(name, 0)) for name in FILE_CACHE_V1))
    except (OSError, ValueError, KeyError):
        return None


@functools.cache
def _mounts_of(proc: Path) -> cgroups.Mounts:
    """The host's cgroup mounts, read once: each container adds lines to the table, none of them of these."""
    return cgroups.mounts((proc / "self/mountinfo").read_text(encoding="utf-8"))


def _folder(mount: tuple[str, str], path: str) -> Path:
    folder = Path(cgroups.folder(mount, path))
    if not folder.is_dir():
        raise FileNotFoundError(f"no {folder}")
    return folder


def _read_v1(folders: Mapping[str, Path]) -> observed.Limits:
    quota = _number(folders.get("cpu"), "cpu.cfs_quota_us")
    period = _number(folders.get("cpu"), "cpu.cfs_period_us")
    return observed.Limits(
        nano_cpus=quota * BILLION // period if quota is not None and period else None,
        cpuset=_text(folders.get("cpuset"), "cpuset.cpus", quantities.parse_cpuset),
        memory=_number(folders.get("memory"), "memory.limit_in_bytes"),
        memory_reservation=_number(folders.get("memory"), "memory.soft_limit_in_bytes"),
        memory_swap=_number(folders.get("memory"), "memory.memsw.limit_in_bytes"),
        pids=_number(folders.get("pids"), "pids.max"),
    )


def _read_v2(folder: Path) -> observed.Limits:
    memory = _number(folder, "memory.max")
    swap = _number(folder, "memory.swap.max", zero=0)
    quota, _, period = (_text(folder, "cpu.max", str) or "max").partition(" ")
    return observed.Limits(
        nano_cpus=None if quota == "max" else int(quota) * BILLION // int(period),
        cpuset=_text(folder, "cpuset.cpus", quantities.parse_cpuset),
        memory=memory,
        memory_reservation=_number(folder, "memory.low"),
        memory_swap=None if swap is None or memory is None else memory + swap,
        pids=_number(folder, "pids.max"),
    )


def _number(folder: Path | None, name: str, zero: int | None = None) -> int | None:
    """A limit; None for unlimited, for a controller that is not there, and `zero` for 0."""
    value = _text(folder, name, str)
    if value is None or value == "max":
        return None
    number = int(value)
    if number == 0:
        return zero
    return number if 0 < number < UNLIMITED_V1 else None


def _text(folder: Path | None, name: str, parse: Callable[[str], str]) -> str | None:
    if folder is None:
        return None
    try:
        text = (folder / name).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    return parse(text) if text else None
