"""Knows what is in a slice and is no container of ours.

Refuses to blame what was just seen for the first time: a container that starts, or has just ended, is in its
slice before, or after, it is known to run. A cgroup that nothing is in is nobody.
"""

import os
import re
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from controller.slices import cgroupfs, reading
from controller.slices.groups import PROC

PATIENCE: Final = timedelta(seconds=5)
"""So long something must have been there before it is named."""
_MOST: Final = 8
"""So many of one slice are named."""
_ID: Final = re.compile(r"[0-9a-f]{64}")
_LINKS_OF_NONE: Final = 2


class Watch:
    """Since when something strange is where it is; one thread, `settle` once a look."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, str], datetime] = {}

    def settle(self, found: Mapping[str, Collection[str]], now: datetime) -> Mapping[str, tuple[str, ...]]:
        """Return, by cgroup, the words of what was found there for long enough."""
        seen = {(folder, words) for folder, all_words in found.items() for words in all_words}
        self._since = {one: min(self._since.get(one, now), now) for one in seen}
        settled: dict[str, list[str]] = {}
        for (folder, words), since in sorted(self._since.items()):
            if now - since >= PATIENCE:
                settled.setdefault(folder, []).append(words)
        return {folder: tuple(words[:_MOST]) for folder, words in settled.items()}


def within(folder: str, known: Collection[str], proc: Path = PROC) -> list[str]:
    """Return words for what is in a cgroup and is not known.

    Its list of processes is opened anew: version 1 shows an old one, for a second, to who keeps it open.

    Args:
        folder: of the cgroup.
        known: names of folders right below it.
        proc: tells what processes are called.

    Raises:
        OSError: it cannot be looked at.
    """
    try:
        pids = (reading.read(f"{folder}/cgroup.procs") or "").split()[: _MOST + 1]
        found = [_process(pid, proc) for pid in pids]
    except OSError:  # somebody made it a cgroup of threads
        found = ["processes that cannot be listed"]
    if _count(folder) != len(known):
        strange = [one for one in cgroupfs.children(folder) if Path(one).name not in known]
        found += [_group(Path(one).name) for one in strange if cgroupfs.populated(one)]
    return found


def _count(folder: str) -> int | None:
    """Return how many cgroups are right below one: a link each; None if that cannot be told so."""
    try:
        links = os.stat(folder).st_nlink  # noqa: PTH116 - thousands of times
    except OSError:
        return None
    return links - _LINKS_OF_NONE if links >= _LINKS_OF_NONE else None


def _process(pid: str, proc: Path) -> str:
    return f"process {pid} ({_plain(reading.read(f'{proc}/{pid}/comm') or '?')})"


def _group(name: str) -> str:
    found = _ID.search(name)
    return f"container {found[0][:12]}" if found else f"cgroup {_plain(name)}"


def _plain(name: str) -> str:
    """Return a name without what a terminal obeys: whoever is in there chose it."""
    return "".join(sign if sign.isprintable() else "?" for sign in name)
