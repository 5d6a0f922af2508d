"""Knows the mutants: small patches that each put one bug into controller/, with what they break.

It refuses to apply one to the tree that it lies in, and to take a patch without a head for a mutant.

A patch begins with its head: `Breaks:` a sentence, `Invariants:` those of the catalogue (S1 to S16, L1 to
L8), and `Killed by:`, once or more, a test that must fail: a path below the repository as pytest takes it,
or `plans/…`, a case below tests/plans/cases.
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).resolve().parent
PLAN_TEST = "tests/plans/test_plans.py::test_the_plan_is_as_recorded"
GRAVEST = frozenset({"S1", "S2", "S3", "S4", "S5", "S6"})
"""The invariants whose mutants must all be killed."""

_INVARIANT = re.compile(r"S(?:[1-9]|1[0-6])|L[1-8]")
_TARGET = re.compile(r"^\+\+\+ b/(\S+)$", re.MULTILINE)


class HeadError(Exception):
    """A patch does not say what it breaks; the message says which and how."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One patch.

    Attributes:
        name: of its file, without the ending.
        killers: what pytest is asked to run first.
        targets: the files that it changes, below the repository.
    """

    name: str
    path: Path
    breaks: str
    invariants: tuple[str, ...]
    killers: tuple[str, ...]
    targets: tuple[str, ...]

    @property
    def is_grave(self) -> bool:
        """Whether it breaks one of the gravest promises."""
        return not GRAVEST.isdisjoint(self.invariants)


def read_all() -> tuple[Mutant, ...]:
    """Every mutant, in the order of its number; raises HeadError."""
    return tuple(parse(path.stem, path, path.read_text(encoding="utf-8")) for path in sorted(_paths()))


def _paths() -> list[Path]:
    return list(FOLDER.glob("*.patch"))


def parse(name: str, path: Path, text: str) -> Mutant:
    """One mutant from the text of its patch; raises HeadError."""
    head, _, _ = text.partition("\n--- ")
    said: dict[str, list[str]] = {}
    for line in head.strip().splitlines():
        key, _, value = line.partition(": ")
        said.setdefault(key, []).append(value.strip())
    if said.keys() != {"Breaks", "Invariants", "Killed by"}:
        raise HeadError(f"{path}: its head has {sorted(said)}; it needs Breaks, Invariants and Killed by")
    invariants = tuple(" ".join(said["Invariants"]).split())
    unknown = [word for word in invariants if not _INVARIANT.fullmatch(word)]
    if unknown or not invariants:
        raise HeadError(f"{path}: no invariants of the catalogue: {unknown}")
    killers = tuple(_node(killer) for killer in said["Killed by"])
    targets = tuple(_TARGET.findall(text))
    if not targets or not all(target.startswith("controller/") for target in targets):
        raise HeadError(f"{path}: it changes {list(targets)}; a mutant is one of controller/")
    return Mutant(name, path, " ".join(said["Breaks"]), invariants, killers, targets)


def _node(killer: str) -> str:
    return f"{PLAN_TEST}[{killer.removeprefix('plans/')}.yaml]" if killer.startswith("plans/") else killer
