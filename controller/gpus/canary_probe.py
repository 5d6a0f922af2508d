"""Knows how to try, from a container's cgroup, whether its GPU's nodes can be opened; a child of the canary.

It refuses to enter the container: it joins nothing but the cgroup, follows no link of the container's and
opens no node of it, but the host's with the same numbers, or one of its own making where the host has none.
It needs the standard library alone, and runs by its path. It takes one JSON object on standard input and
answers a line for each container.
"""

import errno
import itertools
import json
import os
import stat
import sys
from typing import Any

MOST_NAMES = 4096
"""How many entries of a container's /dev are looked at: what is there is the container's to choose."""
MOST_NODES = 256
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_BEGIN = "nvidia"
_CAPABILITIES = "nvidia-caps"
"""Folder of the nodes by which MIG instances are given."""


def main() -> None:
    """Carry out one order; whatever goes wrong with one container is its answer."""
    order = json.load(sys.stdin)
    nodes = Nodes(order["dev"], order["directory"])
    for target in order["targets"]:
        try:
            answer = _probe(target, nodes, frozenset(order["drivers"]))
        except OSError as error:
            answer = {"error": f"{error.filename or 'the probe'}: {error.strerror}"}
        sys.stdout.write(json.dumps({"id": target["id"], **answer}) + "\n")
        sys.stdout.flush()


class Nodes:
    """Paths by which devices can be tried: the host's own nodes in `dev`, else others made in `directory`."""

    def __init__(self, dev: str, directory: str) -> None:
        self._directory = directory
        folder = os.open(dev, _FOLDER)
        own = _devices_below(folder)
        os.close(folder)
        self._paths = {(major, minor): f"{dev}/{name}" for name, major, minor in own}
        self._gpus = {(major, minor): name for name, major, minor in own if name[len(_BEGIN) :].isdecimal()}

    def others(self, found: list[tuple[str, int, int]]) -> list[tuple[str, str]]:
        """Name and path of the nodes of those of the host's GPUs that are not among these by their names."""
        seen = {(major, minor) for name, major, minor in found if self._gpus.get((major, minor)) == name}
        return [(name, self._paths[key]) for key, name in sorted(self._gpus.items()) if key not in seen]

    def path(self, major: int, minor: int) -> str:
        """Where the device with these numbers can be tried."""
        known = self._paths.get((major, minor))
        if known is None:
            os.makedirs(self._directory, 0o700, exist_ok=True)  # noqa: PTH103 - as below
            known = self._paths[major, minor] = f"{self._directory}/{major}-{minor}"
            if not os.path.lexists(known):
                os.mknod(known, stat.S_IFCHR | 0o600, os.makedev(major, minor))
        return known


def _probe(target: dict[str, Any], nodes: Nodes, drivers: frozenset[int]) -> dict[str, Any]:
    """The container's nodes, and of each what an opening outside and inside of its cgroup came to.

    `others` are nodes of the host's GPUs that it has not, and might open if it had.
    """
    found = target["nodes"]
    if found is None:
        found = _nodes_of(target["pid"])
    tries = [
        (nodes.path(major, minor), _way(name) if major in drivers else None) for name, major, minor in found
    ]
    outside = [_tried(*one) for one in tries]
    _join(target["procs"])
    try:
        inside = [_tried(*one) for one in tries]
        others = [name for name, path in nodes.others(found) if _tried(path, None) == 0]
    finally:
        _join(target["home"])
    return {"nodes": found, "outside": outside, "inside": inside, "others": others}


def _nodes_of(pid: int) -> list[tuple[str, int, int]]:
    """Name, major and minor number of each of NVIDIA's character devices in a process's /dev."""
    root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    folder = os.open("dev", _FOLDER, dir_fd=root)
    found = _devices_below(folder)
    os.close(folder)
    os.close(root)
    return sorted(found)[:MOST_NODES]


def _devices_below(folder: int) -> list[tuple[str, int, int]]:
    found = _devices(folder, "")
    try:
        below = os.open(_CAPABILITIES, _FOLDER, dir_fd=folder)
    except OSError:
        return found  # no instance was given
    found += _devices(below, f"{_CAPABILITIES}/")
    os.close(below)
    return found


def _devices(folder: int, prefix: str) -> list[tuple[str, int, int]]:
    with os.scandir(folder) as entries:
        begun = itertools.islice(entries, MOST_NAMES)
        names = [entry.name for entry in begun if _is_plain(entry.name)]
    looks = [(name, os.stat(name, dir_fd=folder, follow_symlinks=False)) for name in names]
    return [
        (prefix + name, os.major(look.st_rdev), os.minor(look.st_rdev))
        for name, look in looks
        if stat.S_ISCHR(look.st_mode)
    ]


def _is_plain(name: str) -> bool:
    """Whether a name is one as the driver's nodes have: others may hold what no text and no terminal can."""
    return name.startswith(_BEGIN) and name.isascii() and name.replace("-", "").isalnum()


def _way(name: str) -> int:
    """How programs open a node."""
    return os.O_RDONLY if name.startswith(_CAPABILITIES) else os.O_RDWR


def _tried(path: str, way: int | None) -> int:
    """What an opening comes to: 0 or an errno.

    Nodes that are not the driver's (`way` is None) are not opened: their numbers are the container's to
    choose, and some devices act when they are opened. There the kernel is only asked whether it would let us,
    for which it asks the cgroup, too: access(2).
    """
    if way is None:
        return 0 if os.access(path, os.R_OK | os.W_OK) else errno.EPERM
    try:
        os.close(os.open(path, way | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def _join(procs: str) -> None:
    with open(procs, "w", encoding="ascii") as file:  # noqa: PTH123 - pathlib takes longer to load than all else
        file.write(str(os.getpid()))


if __name__ == "__main__":
    main()
