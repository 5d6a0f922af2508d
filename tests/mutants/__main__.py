"""Tests the tests: puts one bug after another into a copy of the tree, and looks whether a test fails.

`python -m tests.mutants [NAME ...]`. It refuses to begin where the tests fail without a bug, and to count one
as found by a test of which nobody expected it, unless that test passes without it.
Writes `.dev/mutants.json`.
"""

import argparse
import concurrent.futures
import dataclasses
import json
import os
import sys
import tempfile
from pathlib import Path

from tests.mutants import copies, patches

RESULT = patches.ROOT / ".dev" / "mutants.json"
SUITES = ("tests/unit", "tests/plans", "tests/properties", "tests/simulation")
"""What is run, in this order, where the expected killers let a mutant live."""
PATIENCE = 900.0
"""Seconds after which a run of tests counts as hung."""
LEAST_PERCENT = 90


@dataclasses.dataclass(frozen=True, slots=True)
class Fate:
    """What became of one mutant.

    Attributes:
        killer: the first test that failed; None if it lives.
        expected: the killer is among those that its head names.
        trouble: why nobody can tell, or empty.
    """

    mutant: patches.Mutant
    killer: str | None
    expected: bool
    seconds: float
    trouble: str = ""


def try_mutant(mutant: patches.Mutant, files: tuple[str, ...]) -> Fate:
    """Put one bug into a copy of its own and let the tests look for it."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        place = Path(folder).resolve() / "tree"
        copies.copy_tree(files, place)
        try:
            copies.apply(mutant.path, place)
            return _hunt(mutant, place)
        except copies.NoAnswerError as error:
            return Fate(mutant, None, expected=False, seconds=0.0, trouble=str(error))


def _hunt(mutant: patches.Mutant, place: Path) -> Fate:
    first = copies.run(place, mutant.killers, PATIENCE)
    seconds = first.seconds
    if first.failed is not None:
        return Fate(mutant, first.failed, expected=True, seconds=seconds)
    discredited: set[str] = set()
    for suite in SUITES:
        while (found := copies.run(place, [suite], PATIENCE, discredited)).failed is not None:
            seconds += found.seconds
            if found.hung or _finds(found.failed, mutant, place):
                return Fate(mutant, found.failed, expected=False, seconds=seconds)
            discredited.add(found.failed)
        seconds += found.seconds
    return Fate(mutant, None, expected=False, seconds=seconds)


def _finds(test: str, mutant: patches.Mutant, place: Path) -> bool:
    """Whether a test fails with the bug and passes without it: one of speed may fail for want of time."""
    if copies.run(place, [test], PATIENCE).failed is None:
        return False
    copies.mend(mutant.path, place)
    sound = copies.run(place, [test], PATIENCE)
    copies.apply(mutant.path, place)
    return sound.failed is None


def baseline(mutants: tuple[patches.Mutant, ...], files: tuple[str, ...]) -> str:
    """Run every named killer on a copy without a bug; return what is wrong, or nothing."""
    killers = sorted({killer for mutant in mutants for killer in mutant.killers})
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        place = Path(folder).resolve() / "tree"
        copies.copy_tree(files, place)
        try:
            copies.check_imports(place)
            failed = copies.run(place, killers, PATIENCE).failed
        except copies.NoAnswerError as error:
            return str(error)
    return "" if failed is None else f"{failed} fails"


def line(fate: Fate) -> str:
    """One row of the table."""
    by = fate.killer or (f"no answer: {fate.trouble}" if fate.trouble else "SURVIVED")
    mark = "" if fate.expected or fate.killer is None else " (not the one expected)"
    invariants = ",".join(fate.mutant.invariants)
    return f"{fate.mutant.name:52} {invariants:10} {fate.seconds:7.1f}  {by}{mark}"


def summary(fates: list[Fate]) -> tuple[str, bool]:
    """The last line, and whether the tests are good enough."""
    killed = sum(fate.killer is not None for fate in fates)
    grave = [fate for fate in fates if fate.mutant.is_grave]
    spotted = sum(fate.killer is not None for fate in grave)
    text = f"killed {killed} of {len(fates)}, those of S1-S6: {spotted} of {len(grave)}"
    answered = not any(fate.trouble for fate in fates)
    return text, answered and spotted == len(grave) and killed * 100 >= len(fates) * LEAST_PERCENT


def write(fates: list[Fate], output: Path, *, good: bool) -> None:
    """The table as JSON."""
    rows = [
        {
            "mutant": fate.mutant.name,
            "breaks": fate.mutant.breaks,
            "invariants": fate.mutant.invariants,
            "killed_by": fate.killer,
            "expected": fate.expected,
            "seconds": round(fate.seconds, 1),
            "trouble": fate.trouble,
        }
        for fate in fates
    ]
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps({"ok": good, "mutants": rows}, indent=2) + "\n", encoding="utf-8")


def main() -> int:
    """Tries all mutants, or those named; 0 if the tests are good enough."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description="Tests of the tests.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only mutants whose name has this in it")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="mutants at a time")
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args()
    mutants = tuple(
        mutant
        for mutant in patches.read_all()
        if not options.names or any(name in mutant.name for name in options.names)
    )
    if not mutants:
        print(f"no mutant is named like {' or '.join(options.names)}", file=sys.stderr)
        return 2
    files = copies.tracked_files()
    unsound = baseline(mutants, files)
    if unsound:
        print(f"without any bug: {unsound}; mend that first", file=sys.stderr)
        return 2
    print(f"{'mutant':52} {'breaks':10} {'seconds':>7}  killed by", flush=True)
    fates: list[Fate] = []
    with concurrent.futures.ThreadPoolExecutor(options.workers) as pool:
        for tried in concurrent.futures.as_completed(
            [pool.submit(try_mutant, mutant, files) for mutant in mutants]
        ):
            fates.append(tried.result())
            print(line(fates[-1]), flush=True)
    fates.sort(key=lambda fate: fate.mutant.name)
    text, good = summary(fates)
    write(fates, options.output, good=good)
    print(text)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
