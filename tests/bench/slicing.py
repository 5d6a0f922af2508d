"""Knows what a look at slices costs, on this host's cgroups: each slice has limits and a container.

It refuses to measure anything of an Engine's: its containers are processes that rest in cgroups of their own.
Processor time counts, the kernel's for us included.
"""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from controller.api.config import SliceDriver
from controller.model import slicenames
from controller.model.actions import SetSlice
from controller.model.observed import Unseen
from controller.model.slices import Question, SliceLimits
from controller.slices.room import Room
from deploy.dev import cgroups as places
from tests.bench import keeper
from tests.bench.figures import Figure
from tests.support import cgroups

LIMITS = SliceLimits(nano_cpus=10**9, memory=400 << 20, swap=0, pids=500)
MILLI = 1000.0


def looks(base: Path, count: int, repeats: int) -> Iterator[Figure]:
    """Time of a look at so many slices, beside that of opening and reading the same files."""
    root = cgroups.root_of(base)
    with contextlib.ExitStack() as stack:
        stack.callback(places.remove_empty, root)
        room, running = Room(), _people(stack, root, count)
        question, now = Question(SliceDriver.CGROUPFS, root, running=running), datetime.now(UTC)
        ours, bare = [], []
        for number in range(repeats + 1):
            began = time.thread_time()
            found = room.observe(question, now + timedelta(minutes=number))
            ours.append((time.thread_time() - began) * MILLI)
            if isinstance(found, Unseen) or len(found.value.slices) <= count:
                raise keeper.BenchError(f"the slices were not seen: {found}")
            files = room.files()
            began = time.thread_time()
            for file in files:
                descriptor = os.open(file, os.O_RDONLY)
                os.read(descriptor, 4096)
                os.close(descriptor)
            bare.append((time.thread_time() - began) * MILLI)
    each = f"{count} slices with a container each"
    yield Figure(
        "12",
        f"a look at {each}, every file kept open since the last one",
        "ms",
        tuple(ours[1:]),
        "median",
        50.0,
    )
    yield Figure("12", "the first look of all", "ms", (ours[0],), "max")
    yield Figure("12", f"its {len(files)} files, each opened and read by a bare loop", "ms", tuple(bare[1:]))


def _people(stack: contextlib.ExitStack, root: str, count: int) -> dict[str, int]:
    """Make the slices; return the pid of what rests in each, by the id of a container."""
    room, running = Room(), {}
    for number in range(count):
        name = slicenames.parent(SliceDriver.CGROUPFS, root, f"user{number}")
        room.execute(SetSlice(SliceDriver.CGROUPFS, f"user{number}", name, LIMITS))
        container = f"{number:064x}"
        process = subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL)
        stack.callback(process.wait)
        stack.callback(process.kill)
        for folder in places.folders(name):
            cgroup = folder / container
            cgroup.mkdir()
            for file in ("cpuset.cpus", "cpuset.mems"):
                if (cgroup / file).exists():
                    (cgroup / file).write_text((folder / file).read_text())
            (cgroup / "cgroup.procs").write_text(str(process.pid))
        running[container] = process.pid
    return running
