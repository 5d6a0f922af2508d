"""Plays one plan file on the simulated Engine and says how it ended: `python -m tests.faults FILE`.

Refuses to call an end good that is not: exit 1 if something is not as it would be without faults,
or if a fault found nothing to meet.
"""

import argparse
import sys
from pathlib import Path

from tests.faults import simulated, workload
from tests.faults.workload import Ending


def main() -> int:
    """Play it, and say how it ended."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("file", type=Path, help="a plan file, as those in tests/faults")
    parser.add_argument("--seed", type=int, default=1, help="settles the order of what goes on at a time")
    given = parser.parse_args()
    story = workload.tell(given.file)
    calm, found = simulated.play(story.calm, given.seed), simulated.play(story, given.seed)
    _show("nothing goes wrong", calm)
    _show(given.file.name, found)
    for line in found.missed:
        print(f"not done: {line}")
    same = (found.standings, found.made, found.removed) == (calm.standings, calm.made, calm.removed)
    print("the same end" if same else "ANOTHER END")
    return 0 if same and not found.missed else 1


def _show(title: str, ending: Ending) -> None:
    print(f"{title}: {ending.made} made, {ending.removed} removed, {len(ending.requests)} changing requests")
    for one in ending.standings:
        state = "runs" if one.running else "is stopped"
        print(f"  {one.workspace}{' (kept)' * one.kept} {state}, {one.image}, {one.template[:15]}")


if __name__ == "__main__":
    sys.exit(main())
