"""Knows the cgroups of this host as the kernel shows them: where a process is, what is set, what is used.

It refuses to go through the controller: what it says is a second opinion.
"""

import os
import re
from pathlib import Path

from deploy.dev import cgroups, host

PROC = Path("/proc")
_ROOT = re.compile(r"wt(\d+)n\d+")
_left: set[str] = set()


def root_of(site: Path) -> str:
    """Name of the slice above all owners' slices for the controllers of one directory of this test run."""
    return f"wt{os.getpid()}n{int(host.digest(site), 16)}"


def leave(root: str) -> None:
    """Nobody makes slices below it any more; `tidy` removes it once nothing runs in it."""
    _left.add(root)


def tidy() -> None:
    """Removes what was left and is empty."""
    for root in sorted(_left):
        cgroups.remove_empty(root)
        if not cgroups.folders(root):
            _left.discard(root)


def remove_leftovers() -> None:
    """Removes what earlier test runs left that were killed before they could do it themselves."""
    names = {one.name for place in set(cgroups.mounts().values()) for one in place.glob("wt*")}
    for name in sorted(names):
        found = _ROOT.fullmatch(name)
        if found is not None and not Path("/proc", found[1]).exists():
            cgroups.remove_empty(name)


def path(pid: int, controller: str, proc: Path = PROC) -> str:
    """The cgroup of a process for a controller; version 2's if that has none of its own."""
    found = {
        name: place
        for line in (proc / str(pid) / "cgroup").read_text(encoding="utf-8").splitlines()
        for names, place in [line.split(":", 2)[1:]]
        for name in names.split(",")
    }
    return found.get(controller, found.get("", ""))


def folder(controller: str, cgroup: str) -> Path:
    """Where a cgroup is: of version 1 if the controller has a tree there, else of version 2."""
    there = cgroups.mounts()
    return there.get(controller, there.get("", Path("/sys/fs/cgroup"))) / cgroup.lstrip("/")


def read(controller: str, cgroup: str, file: str) -> str:
    """What a file of a cgroup says."""
    return (folder(controller, cgroup) / file).read_text(encoding="ascii").strip()


def write(controller: str, cgroup: str, file: str, text: str) -> None:
    """What a person would do with `echo`."""
    (folder(controller, cgroup) / file).write_text(text, encoding="ascii")


def remove(cgroup: str) -> None:
    """What a person would do with rmdir(1), in every hierarchy.

    Raises:
        OSError: something runs in it, or it is not there.
    """
    there = cgroups.folders(cgroup)
    if not there:
        raise FileNotFoundError(cgroup)
    for place in there:
        place.rmdir()
