"""Knows how many runs are made and added up, on one core or on several; the seeds alone say what comes out.

It refuses to count void runs, and to go on after a violation.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from tests.simulation import runs
from tests.simulation.scenario import MODES

AT_ONCE = 16
"""Seeds that a worker takes at a time."""


@dataclass
class Figures:
    """What many runs came to; void ones are only counted as such."""

    seeds: int = 0
    steps: int = 0
    void: int = 0
    mutations: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    violated: list[runs.Result] = field(default_factory=list)
    by_mode: Counter[str] = field(default_factory=Counter)
    """Seeds that were not void."""

    def add(self, result: runs.Result) -> None:
        if result.violated is not None:
            self.violated.append(result)
        if result.void:
            self.void += 1
            return
        self.seeds += 1
        self.steps += result.steps
        self.mutations += result.mutations
        self.counts += result.counts
        self.by_mode[result.scenario.mode] += 1

    def line(self) -> str:
        rarest = min(((self.counts[kind], kind) for kind in runs.CATALOGUE), default=(0, ""))
        modes = ", ".join(f"{mode} {self.by_mode[mode]}" for mode in MODES)
        return (
            f"{self.steps} steps, {self.seeds} seeds ({modes}), {self.void} void, {self.mutations} changes, "
            f"{sum(self.counts.values())} disturbances of {len(runs.CATALOGUE)} kinds "
            f"(rarest: {rarest[1]}, {rarest[0]}), {len(self.violated)} violations"
        )


def of_seed(seed: int) -> runs.Result:
    """The run of a seed."""
    return runs.run(runs.scenario_of(seed))


def on_one_core(seeds: Iterable[int]) -> Figures:
    """Make the runs of these seeds here."""
    figures = Figures()
    for seed in seeds:
        figures.add(of_seed(seed))
    return figures


def until(steps: int, first: int) -> Figures:
    """Make runs from a first seed on, on all cores, until so many steps are made or something is violated."""
    figures = Figures()
    for result in _in_order(first):
        figures.add(result)
        if figures.violated or figures.steps >= steps:
            return figures
    raise AssertionError("seeds never end")


def _in_order(first: int) -> Iterator[runs.Result]:
    """Results of seed after seed; workers are ahead by one batch."""
    cores = len(os.sched_getaffinity(0))
    batch = cores * AT_ONCE
    with ProcessPoolExecutor(cores) as pool:
        try:
            while True:
                yield from pool.map(of_seed, range(first, first + batch), chunksize=AT_ONCE)
                first += batch
        finally:
            pool.shutdown(cancel_futures=True)
