"""Knows what one run is made from: a seed for the order of things, and what disturbs it at which step.

It refuses to know what a disturbance does; two equal scenarios make equal runs.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from tests.simulation.world import World

Disturb = Callable[["World", random.Random], str | None]
"""Does something to a host, and says what; None where there was nothing to do it to."""
SAFETY, LIVENESS, LOCKLESS = MODES = "safety", "liveness", "lockless"
NAMES = ("alice", "bob", "carol", "dave")


@dataclass(frozen=True, slots=True)
class Disturbance:
    """Something from outside: at a step, of a kind, with a number that settles its details."""

    at: int
    kind: str
    number: int


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run.

    Attributes:
        mode: `safety`; `liveness`, with a healing at the end; `lockless`, the same of two controllers without
            a lock, of which one dies at the end.
        steps: how many are made before faults heal, or in all (`safety`).
        workspaces: how many have a spec from the beginning.
        workers: chains at a time.
        per_minute, percent: the budget of disruptions.
        grace: seconds a spec must be gone before its workspace goes.
        gpus: the kind of host, by the devices that it has (`board.BUILDS`); 0: none.
        slices: likewise by what makes slices (`slice_host.BUILDS`); 0: nobody does.
    """

    seed: int
    mode: str
    steps: int
    workspaces: int
    workers: int
    per_minute: int
    percent: int
    grace: int
    disturbances: tuple[Disturbance, ...]
    gpus: int = 0
    slices: int = 0

    def without(self, indices: Sequence[int]) -> "Scenario":
        """The same run without some disturbances."""
        left = (one for index, one in enumerate(self.disturbances) if index not in set(indices))
        return replace(self, disturbances=tuple(left))

    def store(self, path: Path, story: str, invariant: str) -> None:
        """Write a plan file; `invariant` is the one that was violated when it was found."""
        fields = asdict(self)
        fields["disturbances"] = [f"{one.at} {one.kind} {one.number}" for one in self.disturbances]
        path.write_text(yaml.safe_dump({"story": story, "violated": invariant, **fields}, sort_keys=False))


def load(path: Path) -> tuple[Scenario, str]:
    """Return the scenario of a plan file, and the invariant that it once violated."""
    fields: dict[str, Any] = yaml.safe_load(path.read_text())
    invariant = fields.pop("violated")
    del fields["story"]
    lines = [line.split() for line in fields.pop("disturbances")]
    disturbances = tuple(Disturbance(int(at), kind, int(number)) for at, kind, number in lines)
    return Scenario(**fields, disturbances=disturbances), invariant


def generate(
    seed: int,
    faults: Sequence[str],
    acts: Sequence[str],
    steps: int,
    of_gpus: Sequence[str] = (),
    of_slices: Sequence[str] = (),
) -> Scenario:
    """Draw a run from a seed: a random subset of faults and acts, at random rates.

    `steps` is the mean length; `of_gpus` is what befalls GPUs, on those hosts that have any, and `of_slices`
    likewise.
    """
    chance = random.Random(f"scenario/{seed}")
    length = int(steps * chance.uniform(0.6, 1.4))
    some = [kind for kind in faults if chance.random() < chance.choice((0.15, 0.4, 0.8))]
    words = [kind for kind in acts if chance.random() < 0.6]  # noqa: PLR2004 - some, not all
    rate = chance.choice((0.03, 0.06, 0.12, 0.25))
    blend = chance.choice((0.3, 0.5, 0.7))
    drawn = []
    for at in range(chance.randint(30, 120), length):
        if chance.random() < rate:
            kinds = some if some and chance.random() < blend else words or some
            if kinds:
                drawn.append(Disturbance(at, chance.choice(kinds), chance.randrange(1 << 30)))
    gpus, befalls = _of_gpus(seed, of_gpus, length)
    slices, falls = _of_slices(seed, of_slices, length)
    return Scenario(
        seed=seed,
        mode=_mode(seed),
        steps=length,
        workspaces=chance.randint(2, len(NAMES)),
        workers=chance.choice((1, 2, 4)),
        per_minute=chance.choice((1, 2, 10)),
        percent=chance.choice((10, 50, 100)),
        grace=chance.choice((3, 10)),
        disturbances=tuple(sorted((*drawn, *befalls, *falls), key=lambda one: one.at)),
        gpus=gpus,
        slices=slices,
    )


def _of_gpus(seed: int, kinds: Sequence[str], length: int) -> tuple[int, list[Disturbance]]:
    """Draw which GPUs a host has, most have none, and what befalls them."""
    chance = random.Random(f"gpus/{seed}")
    if not kinds or chance.random() < 0.6:  # noqa: PLR2004 - more often than not
        return 0, []
    some = [kind for kind in kinds if chance.random() < 0.5] or list(kinds)  # noqa: PLR2004 - likewise
    return _befalling(chance, some, length, 4)


def _of_slices(seed: int, kinds: Sequence[str], length: int) -> tuple[int, list[Disturbance]]:
    """Draw what makes slices on a host, on some nothing, and what befalls them."""
    chance = random.Random(f"slices/{seed}")
    if not kinds or chance.random() < 0.4:  # noqa: PLR2004 - less often than not
        return 0, []
    some = [kind for kind in kinds if chance.random() < 0.6] or list(kinds)  # noqa: PLR2004 - most
    return _befalling(chance, some, length, 5)


def _befalling(
    chance: random.Random, some: Sequence[str], length: int, most: int
) -> tuple[int, list[Disturbance]]:
    """Draw a number up to `most` of what a host has, and when what befalls it."""
    rate = chance.choice((0.01, 0.03, 0.06))
    at = [step for step in range(chance.randint(30, 120), length) if chance.random() < rate]
    return chance.randint(1, most), [
        Disturbance(step, chance.choice(some), chance.randrange(1 << 30)) for step in at
    ]


def _mode(seed: int) -> str:
    """Each eighth seed is of two controllers; of the others, each third ends with a healing."""
    if seed % 8 == 5:  # noqa: PLR2004 - any of eight
        return LOCKLESS
    return LIVENESS if seed % 3 == 0 else SAFETY
