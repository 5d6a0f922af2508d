"""Knows the cgroups of this host as the kernel shows them: where a process is, what is set, what is used.

It refuses to go through the controller: what it says is a second opinion.
"""

from pathlib import Path

from deploy.dev import cgroups

PROC = Path("/proc")


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
