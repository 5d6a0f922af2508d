import time

import pytest

from tests.simulation import runs, scenario, shrinking, swarm

SEEDS = range(1, 361)
MORE_SEEDS = range(361, 1361)
LEAST_STEPS = 200_000
LEAST_SEEDS = 250
LEAST_OF_A_MODE = 30
SEEDS_OF_A_KIND = 125
"""Once in so many seeds each kind of disturbance must have had an effect."""
LEAST_STARTS = 150
"""So many containers must have been started with GPUs by a controller."""


@pytest.fixture(
    scope="module",
    params=[pytest.param(SEEDS, id="few"), pytest.param(MORE_SEEDS, id="many", marks=pytest.mark.full)],
)
def figures(request: pytest.FixtureRequest) -> swarm.Figures:
    began = time.process_time()
    found = swarm.on_one_core(request.param)
    seconds = time.process_time() - began
    print(f"{found.line()}; {seconds:.0f} s of a core, {found.steps / seconds:.0f} steps a second")
    return found


def test_nothing_that_must_never_happen_happens(figures: swarm.Figures) -> None:
    for result in figures.violated[:1]:
        small = shrinking.shrink(result.scenario)
        told = "\n".join(result.lines)
        pytest.fail(f"{result.violated}\n{told}\nshrunk and kept: {shrinking.keep(small)}")
    assert figures.steps >= LEAST_STEPS
    assert figures.seeds >= LEAST_SEEDS
    assert figures.counts["started with devices"] >= LEAST_STARTS
    assert min(figures.by_mode[mode] for mode in scenario.MODES) >= LEAST_OF_A_MODE


def test_every_kind_of_disturbance_had_its_effect(figures: swarm.Figures) -> None:
    least = figures.seeds // SEEDS_OF_A_KIND
    rare = {kind: figures.counts[kind] for kind in runs.CATALOGUE if figures.counts[kind] < least}
    assert rare == {}
