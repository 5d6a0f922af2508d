"""Knows the rules of version 1 for sets of processors: a cgroup has some, and never more than the one above.

Refuses to leave a container of the slice without any: one that has none of the new ones gets all of them.
Source: the kernel's admin-guide on cgroup-v1 (cpusets).
"""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from controller.api import quantities
from controller.slices import reading

_CPUS: Final = "cpuset.cpus"
_MEMS: Final = "cpuset.mems"


def fill(folder: str) -> None:
    """Give a new cgroup all that the one above has: without that no process may enter it."""
    for name in (_CPUS, _MEMS):
        if reading.read(f"{folder}/{name}") == "":
            reading.write(f"{folder}/{name}", reading.read(f"{_above(folder)}/{name}") or "\n")


def all_of(folder: str) -> str:
    """Return the processors of the cgroup above, which are all that this one can have."""
    return _of(_above(folder))


def write(folder: str, cpuset: str | None) -> None:
    """Set the processors of a cgroup, and of all below it that had all of them, or others.

    Whoever is to have more has it before those below, and whoever is to have less after them.

    Raises:
        OSError: the kernel refuses it; it names the file.
    """
    if reading.read(f"{folder}/{_CPUS}") is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), f"{folder}/{_CPUS}")
    steps = list(_steps(folder, cpuset or all_of(folder)))
    for path, before, after in steps:
        if before and _either(before, after) != before:
            _set(path, _either(before, after))
    for path, before, after in reversed(steps):
        if before != after:
            _set(path, after)


def _steps(folder: str, wanted: str) -> Iterator[tuple[str, str, str]]:
    """Yield folder, processors before and after: of a cgroup, then of those below it."""
    left = [(folder, _of(folder), wanted)]
    while left:
        here, before, after = left.pop()
        yield here, before, after
        for child in (entry.path for entry in os.scandir(here) if entry.is_dir(follow_symlinks=False)):
            has = _of(child)
            left.append((child, has, after if has in {before, ""} else _both(has, after) or after))


def members(cpuset: str) -> frozenset[int]:
    """Return the numbers in a list such as `0-3,8`."""
    found: set[int] = set()
    for part in filter(None, cpuset.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def _either(one: str, other: str) -> str:
    return quantities.parse_cpuset(f"{one},{other}")


def _both(one: str, other: str) -> str:
    shared = sorted(members(one) & members(other))
    return quantities.parse_cpuset(",".join(map(str, shared))) if shared else ""


def _of(folder: str) -> str:
    text = reading.read(f"{folder}/{_CPUS}")
    return quantities.parse_cpuset(text) if text else ""


def _set(folder: str, cpuset: str) -> None:
    reading.write(f"{folder}/{_CPUS}", cpuset)


def _above(folder: str) -> str:
    return str(Path(folder).parent)
