"""Knows in which folders a cgroup is, in both versions, and where below the hierarchies' tops ours begin.

Refuses to assume where cgroups are mounted, and that ours are right below the mount: what runs tells.
Formats: cgroups(7), proc_pid_mountinfo(5).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from controller.api.conditions import Reason
from controller.api.config import SliceDriver
from controller.model import cgroups, errors, slicenames
from controller.model.slices import ROOT

PROC: Final = Path("/proc")
CONTROLLERS: Final = ("cpu", "cpuacct", "cpuset", "memory", "pids", "blkio")
"""Those that limit or count what slices do, by their names in version 1."""
LIMITING: Final = ("cpu", "cpuset", "memory", "pids")
"""Where one of these has a tree of its own, limits are version 1's, with or without a version 2 tree."""
UNIFIED: Final = ""
"""How version 2 is called among the mounts."""

NOWHERE: Final = "/no such cgroup"
"""Where files of controllers are that are not mounted."""


@dataclass(frozen=True, slots=True)
class Group:
    """One cgroup: its folder by controller; in version 2 all are one."""

    version: int
    folders: Mapping[str, str]

    def file(self, controller: str, name: str) -> str:
        """Return the path of one of its files; a controller that is not mounted has none that is there."""
        return f"{self.folder(controller)}/{name}"

    def folder(self, controller: str) -> str:
        """Return its folder for a controller."""
        return self.folders.get(controller, NOWHERE)

    def main(self) -> str:
        """Return the folder that tells what is in it: of memory, where there are several."""
        return self.folders.get("memory") or next(iter(self.folders.values()), NOWHERE)

    def all(self) -> tuple[str, ...]:
        """Return its folders, each once."""
        return tuple(dict.fromkeys(self.folders.values()))


@dataclass(frozen=True, slots=True)
class Where:
    """Whose slice a container is in, and by controller what is above the slices in its path."""

    owner: str
    above: Mapping[str, str]


class Hierarchies:
    """The hierarchies of a host, as a process's table of mounts shows them.

    Attributes:
        version: of that in which limits are set.
    """

    def __init__(self, mounts: cgroups.Mounts) -> None:
        """Raise `errors.Retryable` where no cgroups are mounted."""
        self._mounts = mounts
        if any(name in mounts for name in LIMITING):
            self.version = 1
            self._names: tuple[str, ...] = tuple(name for name in CONTROLLERS if name in mounts)
        elif UNIFIED in mounts:
            self.version = 2
            self._names = (UNIFIED,)
        else:
            raise errors.Retryable(Reason.NOT_SEEN, "no cgroups are mounted where the controller runs")

    def of_process(self, table: str) -> Group:
        """Return the cgroup of a process, by its table."""
        return self._group(self._paths(table))

    def of_container(self, table: str, container: str) -> Group:
        """Return the cgroup of a container, from the table of a process in it; it has no folder elsewhere."""
        found = {}
        for name, path in self._paths(table).items():
            parts = path.split("/")
            if (level := _level(parts, container)) is not None:
                found[name] = "/".join(parts[: level + 1])
        return self._group(found)

    def below(self, above: Mapping[str, str], path: str) -> Group:
        """Return the cgroup at a path below `above`, by controller; without one there, below the mount."""
        tops = {name: above.get(name, self._mounts[name][1]) for name in self._names}
        return self._group({name: top.rstrip("/") + path for name, top in tops.items()})

    def everywhere(self, above: Mapping[str, str], path: str) -> Iterator[str]:
        """Yield the folders of that path in all hierarchies: others, too, are made for containers."""
        known = next(iter(above.values()), None)
        seen = set()
        for name, mount in self._mounts.items():
            top = above.get(name, mount[1] if known is None else known)
            folder = cgroups.folder(mount, top.rstrip("/") + path)
            if folder not in seen:
                seen.add(folder)
                yield folder

    def above(self, table: str, driver: SliceDriver, root: str, container: str) -> Where | None:
        """Return where a container is, by the table of a process in it; None: in no slice of ours."""
        split = {name: _split(path, driver, root, container) for name, path in self._paths(table).items()}
        found = {name: one for name, one in split.items() if one is not None}
        first = "memory" if "memory" in found else next(iter(found), None)
        if first is None:
            return None
        return Where(found[first][1], {name: above for name, (above, _) in found.items()})

    def of_systemd(self, table: str) -> Mapping[str, str]:
        """Return by controller what is above systemd's units, by the table of its own process."""
        try:
            paths = cgroups.paths(table)
        except ValueError:
            return {}
        path = paths.get("name=systemd") or paths.get(UNIFIED) or ""
        above = path.removesuffix("/init.scope")
        return {} if above == path else dict.fromkeys(self._names, above)

    def _paths(self, table: str) -> dict[str, str]:
        try:
            paths = cgroups.paths(table)
        except ValueError:
            return {}
        return {name: paths[name] for name in self._names if name in paths}

    def _group(self, paths: Mapping[str, str]) -> Group:
        folders = {name: cgroups.folder(self._mounts[name], path).rstrip("/") for name, path in paths.items()}
        if self.version == 2 and UNIFIED in folders:  # noqa: PLR2004 - as the kernel counts
            folders = dict.fromkeys(CONTROLLERS, folders[UNIFIED])
        return Group(self.version, folders)


def find(proc: Path = PROC) -> Hierarchies:
    """Return where cgroups are for this process.

    Raises:
        errors.Retryable: they cannot be found.
    """
    try:
        text = (proc / "self/mountinfo").read_text(encoding="utf-8", errors="replace")
        return Hierarchies(cgroups.mounts(text))
    except (OSError, ValueError) as error:
        raise errors.Retryable(Reason.NOT_SEEN, f"mounts of cgroups: {error}") from error


def path_of(driver: SliceDriver, name: str) -> str:
    """Return where the slice that is called so is, below what is above all slices."""
    if driver is not SliceDriver.SYSTEMD:
        return name
    top, below, _ = name.partition("-")
    return f"/{top}.slice/{name}" if below else f"/{name}"


def owner_of(driver: SliceDriver, root: str, folder: str) -> str | None:
    """Return whose slice a folder right below the slice above all is; None for nobody's."""
    name = folder if driver is SliceDriver.SYSTEMD else f"/{root}/{folder}"
    return slicenames.owner_of(driver, root, name) or None


def _level(parts: Sequence[str], container: str) -> int | None:
    """Return which part of a path is the container: below it, it may have cgroups of its own."""
    return next((level for level, part in enumerate(parts) if container in part), None)


def _split(path: str, driver: SliceDriver, root: str, container: str) -> tuple[str, str] | None:
    """Return what is above the slices, and whose slice a container's path goes through."""
    parts = path.split("/")
    level = _level(parts, container)
    if level is None or level < 3 or "/" + parts[level - 2] != path_of(driver, _top(driver, root)):  # noqa: PLR2004
        return None
    owner = owner_of(driver, root, parts[level - 1])
    return None if owner is None else ("/".join(parts[: level - 2]), owner)


def _top(driver: SliceDriver, root: str) -> str:
    return slicenames.parent(driver, root, ROOT)
