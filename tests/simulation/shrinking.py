"""Knows how a run that violates something is made smaller, and where such runs are kept.

It refuses to call another violation the same: the invariant stays.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from tests.simulation import runs
from tests.simulation.scenario import SAFETY, Scenario

PLANS: Final = Path(__file__).parent / "plans"
MOST_RUNS: Final = 300
"""Runs that are spent on one shrinking."""


def shrink(scenario: Scenario, run: Callable[[Scenario], runs.Result] = runs.run) -> runs.Result:
    """Return the smallest run that was found with the same violation."""
    best = run(scenario)
    assert best.violated is not None, "nothing is violated"
    invariant, spent = best.violated[0], 0
    if scenario.mode == SAFETY:
        best = run(replace(scenario, steps=best.steps))
    size = max(1, len(best.scenario.disturbances) // 2)
    while size and spent < MOST_RUNS:
        start, smaller = 0, False
        while start < len(best.scenario.disturbances) and spent < MOST_RUNS:
            fewer = best.scenario.without(range(start, start + size))
            found, spent = run(fewer), spent + 1
            if found.violated is not None and found.violated[0] == invariant:
                best, smaller = found, True
            else:
                start += size
        if not smaller:
            size //= 2
    return best


def keep(result: runs.Result) -> Path:
    """Write the plan file of a run that violates something; return its path."""
    assert result.violated is not None
    invariant, message = result.violated
    PLANS.mkdir(exist_ok=True)
    path = PLANS / f"{invariant.lower()}-{result.scenario.seed}.yaml"
    result.scenario.store(path, message, invariant)
    return path
