"""Knows what a controller takes from its host: memory, descriptors, threads, and the Engine's time.

It refuses to judge more than the bounds that are named here.
"""

import os
import signal
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.rig import Rig, ViolationError

LISTS = 60
MOST_GROWTH = 1.5
"""A controller that has lived through all of it may have this much of what a first one has, at most."""
SLOWER = 1.5
"""A list may take this much longer with a controller than without, at most; noise of the host included."""
NOISE = 0.01
"""Seconds."""


@dataclass(frozen=True)
class Vitals:
    """What a process has; memory in mebibytes."""

    rss: float
    descriptors: int
    threads: int


def of(pid: int) -> Vitals:
    """What a process has now."""
    place = Path("/proc", str(pid))
    status = dict(line.split(":", 1) for line in (place / "status").read_text().splitlines())
    rss = int(status["VmRSS"].split()[0]) / 1024
    descriptors, threads = (len(list((place / part).iterdir())) for part in ("fd", "task"))
    return Vitals(round(rss, 1), descriptors, threads)


def compare(before: Vitals, after: Vitals) -> None:
    """Raises: ViolationError: it has grown beyond what is tolerated."""
    for kind in ("rss", "descriptors", "threads"):
        first, last = getattr(before, kind), getattr(after, kind)
        if last > MOST_GROWTH * first + 2:
            raise ViolationError(f"the controller's {kind} grew from {first} to {last}")


def list_times(rig: Rig) -> dict[str, float]:
    """Median of `docker ps`, in milliseconds, while the controller runs, hangs, and is not there.

    Raises:
        ViolationError: others wait for their answers because of it.
    """
    assert rig.controller is not None
    rig.kill_controller()
    found = {"absent": _median(rig)}
    pid = rig.start_controller().ready().process.pid
    found["running"] = _median(rig)
    os.kill(pid, signal.SIGSTOP)
    try:
        found["hanging"] = _median(rig)
    finally:
        os.kill(pid, signal.SIGCONT)
    for state in ("running", "hanging"):
        if found[state] > SLOWER * found["absent"] + NOISE:
            raise ViolationError(
                f"a list takes {found[state]:.3f} s, {found['absent']:.3f} s without controller"
            )
    return {state: round(1000 * seconds, 1) for state, seconds in found.items()}


def _median(rig: Rig) -> float:
    """Seconds of one list, in the middle of many."""
    times = []
    for _ in range(LISTS):
        began = time.monotonic()
        rig.rows()
        times.append(time.monotonic() - began)
    return statistics.median(times)
