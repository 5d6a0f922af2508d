"""Where the kernel says that cgroups are: its tables of mounts and of a process's cgroups, read as text.

Refuses to open a file. Formats: cgroups(7), proc_pid_mountinfo(5).
"""

from collections.abc import Mapping
from typing import TypeAlias

Mounts: TypeAlias = Mapping[str, tuple[str, str]]
"""Mount point and root by controller; version 2 under the empty name."""


def mounts(mountinfo: str) -> Mounts:
    """All mounts of cgroups in a process's table; later ones of the same do not count."""
    found: dict[str, tuple[str, str]] = {}
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ")[:3]
        root, point = left.split(" ")[3:5]
        if kind == "cgroup2":
            found.setdefault("", (point, root))
        elif kind == "cgroup":
            for controller in options.split(","):
                found.setdefault(controller, (point, root))
    return found


def paths(cgroup: str) -> dict[str, str]:
    """A process's path by controller, from its table; version 2 under the empty name."""
    found: dict[str, str] = {}
    for line in cgroup.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            found[controller] = path
    return found


def folder(mount: tuple[str, str], path: str) -> str:
    """Where a path of a process's table is to be found below a mount."""
    point, root = mount
    below = path.removeprefix(root) if root != "/" and path.startswith(root) else path
    return point + "/" + below.lstrip("/")
