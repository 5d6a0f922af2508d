"""Says of a process of the host whose it is: which container it is in, who runs it, what it is called.

Refuses to take a process for gone because /proc does not show it: it is left without a container and a user.
Formats: proc(5), cgroups(7).
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from controller.gpus.inventory import Using
from controller.model.gpus import Process

PROC: Final = Path("/proc")
_CONTAINER: Final = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_OF_USERS: Final = "/user.slice/"
"""Below it users may make cgroups, and name them as they like."""
_LARGEST_PID: Final = 2**22
"""Where the kernel does not say: the most that it allows."""


class Processes:
    """Tells of processes; `name_of` returns the login name of a uid, or the uid as text."""

    def __init__(self, name_of: Callable[[int], str], proc: Path = PROC) -> None:
        self._name_of = name_of
        self._proc = proc
        self._own = frozenset(_containers(_read(proc / "self" / "cgroup")))

    def pid_max(self) -> int:
        """The largest number of a process on this host."""
        text = _read(self._proc / "sys" / "kernel" / "pid_max").strip()
        return int(text) if text.isdecimal() else _LARGEST_PID

    def exists(self, pid: int) -> bool:
        """Whether the kernel shows it."""
        return (self._proc / str(pid)).exists()

    def describe(self, found: Iterable[Using]) -> tuple[Process, ...]:
        """Say of each whose it is; by device and number."""
        return tuple(self._describe(one) for one in sorted(found, key=lambda one: (one.device, one.pid)))

    def _describe(self, one: Using) -> Process:
        folder = self._proc / str(one.pid)
        outer = [found for found in _containers(_read(folder / "cgroup")) if found not in self._own]
        return Process(
            device=one.device,
            pid=one.pid,
            memory=one.memory,
            container_id=outer[0] if outer else "",
            user=self._user(folder),
            command=_plain(_read(folder / "comm").rstrip("\n")),
            graphics=one.graphics,
        )

    def _user(self, folder: Path) -> str:
        try:
            return self._name_of(folder.stat().st_uid)
        except OSError:
            return ""


def _containers(cgroups: str) -> list[str]:
    """Ids of the containers whose names are in a process's cgroups, the outermost first.

    With a driver for cgroups of its own an Engine may nest them; one hierarchy is as good as another.
    """
    paths = (line.split(":", 2)[-1] for line in cgroups.splitlines())
    found = (_CONTAINER.findall(path) for path in paths if not path.startswith(_OF_USERS))
    return max(found, key=len, default=[])


def _plain(name: str) -> str:
    """A name without what a terminal obeys: each process chooses its own."""
    return "".join(sign if sign.isprintable() else "?" for sign in name)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
