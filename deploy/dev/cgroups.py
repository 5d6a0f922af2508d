"""Knows where this host's cgroups are, and takes away those that nothing runs in.

It refuses to touch one that a process is in, and to change a limit.
"""

import contextlib
import os
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")


def mounts() -> dict[str, Path]:
    """Where the cgroups of each controller are; version 2 under the empty name."""
    found: dict[str, Path] = {}
    for line in MOUNTS.read_text(encoding="utf-8").splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ")[:3]
        for controller in options.split(",") if kind == "cgroup" else [""] if kind == "cgroup2" else []:
            found.setdefault(controller, Path(left.split(" ")[4]))
    return found


def folders(cgroup: str) -> list[Path]:
    """All folders of a cgroup, one for each hierarchy that has it."""
    places = {place / cgroup.strip("/") for place in mounts().values()}
    return sorted(place for place in places if place.is_dir())


def remove_empty(cgroup: str) -> None:
    """Takes away a cgroup and all below it, but for those that something runs in and those above them."""
    for place in folders(cgroup):
        for below, _, _ in os.walk(place, topdown=False):
            with contextlib.suppress(OSError):
                Path(below).rmdir()
