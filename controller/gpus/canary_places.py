"""Knows which cgroup says what devices a container may open, in both versions, and whether it stands still.

It refuses to write, and to take one container's process for another's: its id must be in the path.
"""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from controller.model import cgroups

PROC: Final = Path("/proc")
_DEVICES, _FREEZER, _UNIFIED = "devices", "freezer", ""


class NoPlaceError(Exception):
    """There is no such place, or none is known; the message says what is missing."""


class StandsStillError(NoPlaceError):
    """The container is paused: who joins it would stand still, too."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a probe goes.

    Attributes:
        procs: file that takes it in.
        home: file that takes it back.
        rules: the list of what may be opened, where there is one: version 1.
    """

    procs: Path
    home: Path
    rules: Path | None

    def read_rules(self) -> str:
        """The list as it is now; empty where there is none: version 2 has a program instead."""
        try:
            return "" if self.rules is None else self.rules.read_text(encoding="ascii")
        except OSError:
            return ""  # the container is about to be gone


def find(container_id: str, pid: int, proc: Path = PROC) -> Place:
    """The place of a container, of which a process is known.

    Raises:
        NoPlaceError: it is gone, or is another's.
        StandsStillError: it cannot be joined now.
    """
    try:
        paths, own = (_paths(proc / of) for of in (str(pid), "self"))
        mounts = _mounts_of(proc)
        controller = _DEVICES if _DEVICES in paths and _DEVICES in mounts else _UNIFIED
        if container_id not in paths[controller]:
            raise NoPlaceError(f"process {pid} is not the container's any more")
        folder, home = (Path(cgroups.folder(mounts[controller], of[controller])) for of in (paths, own))
        if _stands_still(mounts, paths):
            raise StandsStillError("the container is paused")
    except (OSError, ValueError, KeyError) as error:
        _mounts_of.cache_clear()
        raise NoPlaceError(f"cgroup of process {pid}: {error}") from error
    rules = folder / "devices.list" if controller == _DEVICES else None
    return Place(folder / "cgroup.procs", home / "cgroup.procs", rules)


def began(pid: int, proc: Path = PROC) -> int | None:
    """Ticks since boot at which a process began: tells it from others of its number; None: it is gone."""
    try:
        stat = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        return int(stat.rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def driver_numbers(proc: Path = PROC) -> tuple[int, ...]:
    """Major numbers of the character devices that NVIDIA's driver has; none without it."""
    try:
        table = (proc / "devices").read_text(encoding="utf-8").partition("\nBlock devices:")[0]
    except OSError:
        return ()
    rows = (line.split() for line in table.splitlines()[1:])
    return tuple(int(row[0]) for row in rows if row[1:] and row[1].startswith("nvidia"))


def _stands_still(mounts: cgroups.Mounts, paths: dict[str, str]) -> bool:
    if _FREEZER in paths and _FREEZER in mounts:
        folder = Path(cgroups.folder(mounts[_FREEZER], paths[_FREEZER]))
        return (folder / "freezer.state").read_text(encoding="ascii").strip() != "THAWED"
    folder = Path(cgroups.folder(mounts[_UNIFIED], paths[_UNIFIED]))
    events = folder / "cgroup.events"
    return events.exists() and "frozen 1" in events.read_text(encoding="ascii").splitlines()


@functools.cache
def _mounts_of(proc: Path) -> cgroups.Mounts:
    """The host's cgroup mounts, read once: each container adds lines to the table, none of them of these."""
    return cgroups.mounts((proc / "self/mountinfo").read_text(encoding="utf-8"))


def _paths(process: Path) -> dict[str, str]:
    return cgroups.paths((process / "cgroup").read_text(encoding="utf-8"))
