"""Knows what the kernel's refusals mean where cgroups are concerned: one table from errno to our two errors.

Refuses to guess: what no row knows is told in the kernel's own words.
"""

import errno
from dataclasses import dataclass
from typing import Final

from controller.api.conditions import Reason
from controller.model import errors
from controller.model.slices import SliceLimit


class NotNowError(Exception):
    """It would do harm at the moment; nothing was done. The message says why."""


@dataclass(frozen=True, slots=True)
class Row:
    """One known case.

    Attributes:
        number: of the error.
        meaning: for people, after the kernel's words.
        file: how the file's name ends; empty for all.
        reason: `CHANGED_MEANWHILE` where it was not as expected.
        terminal: the host must change first.
    """

    number: int
    meaning: str
    file: str = ""
    reason: Reason = Reason.SLICE_REFUSED
    terminal: bool = False


_LIMIT_OF: Final = {
    "cpu.cfs": SliceLimit.CPUS,
    "cpu.max": SliceLimit.CPUS,
    "cpu.shares": SliceLimit.CPU_WEIGHT,
    "cpu.weight": SliceLimit.CPU_WEIGHT,
    "cpuset.cpus": SliceLimit.CPUSET,
    "memory.limit": SliceLimit.MEMORY,
    "memory.max": SliceLimit.MEMORY,
    "memory.high": SliceLimit.MEMORY_HIGH,
    "memory.low": SliceLimit.MEMORY_LOW,
    "memory.memsw": SliceLimit.SWAP,
    "memory.swap": SliceLimit.SWAP,
    "pids.max": SliceLimit.PIDS,
    "io.max": SliceLimit.IO,
    "io.weight": SliceLimit.IO_WEIGHT,
    "io.bfq": SliceLimit.IO_WEIGHT,
    "blkio.bfq": SliceLimit.IO_WEIGHT,
}
"""By how a file is called, whose it is."""
READ_ONLY: Final = "the controller may not write there; its unit must not say ProtectControlGroups"
TABLE: Final[tuple[Row, ...]] = (
    Row(errno.EINVAL, "a container in the slice has a greater quota, or it is less than 0.01", "quota_us"),
    Row(errno.EINVAL, "at least 0.01 processors are needed", "cpu.max"),
    Row(errno.EINVAL, "the host has no such processors", "cpuset.cpus"),
    Row(errno.ERANGE, "the host has no such processors", "cpuset.cpus"),
    Row(errno.EACCES, "the cgroup above has not all of these processors", "cpuset.cpus"),
    Row(errno.EBUSY, "what is below has processors that would be taken away", "cpuset.cpus"),
    Row(errno.ENOSPC, "no processors would be left to what runs", "cpuset.cpus"),
    Row(errno.EBUSY, "more is in use, and the kernel cannot take it back", "_in_bytes"),
    Row(errno.EINVAL, "less memory and swap together than memory", "memsw.limit_in_bytes"),
    Row(errno.ENODEV, "no such disk, or it cannot be limited", "io.max"),
    Row(errno.EBUSY, "what is above has processes of its own", "subtree_control"),
    Row(errno.ENOENT, "this kernel does not have that controller", "subtree_control", terminal=True),
    Row(errno.EOPNOTSUPP, "somebody made it a cgroup of threads", "subtree_control"),
    Row(errno.ENOENT, "it went meanwhile, or this kernel does not have it"),
    Row(errno.ENODEV, "it went meanwhile", reason=Reason.CHANGED_MEANWHILE),
    Row(errno.EACCES, READ_ONLY, terminal=True),
    Row(errno.EPERM, READ_ONLY, terminal=True),
    Row(errno.EROFS, READ_ONLY, terminal=True),
    Row(errno.ENOSPC, "the host has too many cgroups (cgroup.max.descendants)"),
    Row(errno.EAGAIN, "the host has too many cgroups (cgroup.max.depth, cgroup.max.descendants)"),
    Row(errno.ENOMEM, "the host is short of memory"),
    Row(errno.EBUSY, "something is in it", reason=Reason.CHANGED_MEANWHILE),
    Row(errno.EINTR, "it was interrupted"),
)


def translate(error: OSError) -> errors.EffectError:
    """Return the error that this one stands for; it names the limit first, where one is to blame."""
    name = str(error.filename or "")
    words = f"{name}: {error.strerror or error}" if name else str(error.strerror or error)
    base = name.rpartition("/")[2]
    words = next((f"{limit}: " for mark, limit in _LIMIT_OF.items() if base.startswith(mark)), "") + words
    for row in TABLE:
        if row.number == error.errno and name.endswith(row.file):
            kind = errors.Terminal if row.terminal else errors.Retryable
            return kind(row.reason, f"{words}: {row.meaning}")
    return errors.Retryable(Reason.SLICE_REFUSED, words)
