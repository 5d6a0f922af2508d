"""Knows how a run is made from a scenario, and what is said of it when it has ended.

It refuses to count a run in which next to nothing happened.
"""

import random
from collections import Counter
from dataclasses import dataclass

from tests.simulation import acts, faults, gpu_deeds, gpu_verdicts, hands, healing, judging, slice_deeds
from tests.simulation.judging import ViolatedError
from tests.simulation.scenario import LOCKLESS, NAMES, SAFETY, Disturbance, Scenario, generate
from tests.simulation.world import World
from tests.support import specfiles

CATALOGUE = {**faults.FAULTS, **acts.ACTS, **hands.HANDS, **gpu_deeds.GPU_DEEDS, **slice_deeds.SLICE_DEEDS}
LEAST = 5
"""Calls of the controller's that changed something, without which a run is void."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a run.

    Attributes:
        trace: hash of all steps.
        counts: effective disturbances by kind.
        mutations: changes that the controller made.
        violated: invariant and message, or empty.
        lines: the end of the trace, where something was violated.
    """

    scenario: Scenario
    steps: int
    trace: str
    counts: Counter[str]
    mutations: int
    violated: tuple[str, str] | None = None
    lines: tuple[str, ...] = ()

    @property
    def void(self) -> bool:
        return self.mutations < LEAST


def scenario_of(seed: int, steps: int = 400) -> Scenario:
    """The run of a seed."""
    words = (*acts.ACTS, *hands.HANDS)
    of_gpus, of_slices = tuple(gpu_deeds.GPU_DEEDS), tuple(slice_deeds.SLICE_DEEDS)
    return generate(seed, tuple(faults.FAULTS), words, steps, of_gpus, of_slices)


def disturb(world: World, disturbance: Disturbance) -> str | None:
    """Carry a disturbance out."""
    return CATALOGUE[disturbance.kind](world, random.Random(disturbance.number))


def begin(scenario: Scenario) -> World:
    """A host with its first specs, and a controller that has just been started."""
    world = World(scenario, disturb)
    chance = random.Random(f"begin/{scenario.seed}")
    world.put_policy()
    for name in NAMES[: scenario.workspaces]:
        text = specfiles.workspace(name, acts.calm(chance, name, world.board)) + b"...\n"
        world.write_spec(f"{name}.yaml", name, text, how="rename")
    world.boot_controller()
    return world


def run(scenario: Scenario) -> Result:
    """Make a run; a violation is a result like any other."""
    world, violated = begin(scenario), None
    try:
        world.run()
        if scenario.mode == LOCKLESS:
            world.bereave()
        if scenario.mode != SAFETY:
            healing.Healed(world).judge()
        judging.look_for_secrets(world, acts.CANARY)
    except ViolatedError as error:
        violated = error.invariant, error.message
    except gpu_verdicts.OvertakenError as error:
        violated = "L5", str(error)
    return _result(world, violated)


def _result(world: World, violated: tuple[str, str] | None) -> Result:
    for process in world.processes:
        process.kill()
    world.disk.close()
    mutations = sum(1 for happening in world.engine.happenings if happening.by == "controller")
    return Result(
        world.scenario,
        world.number,
        world.trace.hexdigest(),
        world.counts,
        mutations,
        violated,
        tuple(world.lines) if violated else (),
    )
