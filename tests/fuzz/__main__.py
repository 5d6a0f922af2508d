"""Breaks spec files by the thousand and prints what became of them: `python -m tests.fuzz [--seconds N]`.

It knows four rules: nothing is raised, no text takes too long or too much memory, other workspaces are
untouched. Every prefix and every flip of the samples comes first, then random texts until the time is over.
Exit 1, and the texts by kind and name, where a rule is broken. Writes `.dev/fuzz.json`.
"""

import argparse
import itertools
import json
import pathlib
import random
import sys
import tempfile
import time
from collections.abc import Iterator

from tests.fuzz import judging, mutations, samples

RESULT = pathlib.Path(".dev/fuzz.json")
SECONDS = 300.0
TOLD = 20
"""So many texts of a kind that broke a rule are named."""


def complete() -> Iterator[tuple[str, str, bytes]]:
    """Kind, name and text of all that is tried without chance."""
    for kind, break_all in mutations.COMPLETE.items():
        for name, whole in samples.texts().items():
            for place, text in break_all(whole):
                yield kind, f"{name}/{place}", text
    for name, text in samples.giants().items():
        yield "whole giants", name, text


def by_chance(seed: str) -> Iterator[tuple[str, str, bytes]]:
    """Kind, name and text of one random text of each kind after the other, for ever."""
    for number in itertools.count():
        for kind, break_one in mutations.RANDOM.items():
            if number % mutations.EVERY.get(kind, 1) == 0:
                name = f"{seed}/{kind}/{number}"
                yield kind, name, break_one(random.Random(name))


def print_table(judge: judging.Judge) -> None:
    """One row a kind, and what is asked for in the last line."""
    print(f"{'kind':14} {'inputs':>8} {'accepted':>9} {'rejected':>9} {'slowest ms':>11} {'escapes':>8}")
    for tally in judge.tallies.values():
        counts = f"{tally.inputs:8} {tally.accepted:9} {tally.rejected:9}"
        print(f"{tally.kind:14} {counts} {tally.slowest_ms:11.1f} {len(tally.escapes):8}")
    figures = judge.figures()
    print(
        f"inputs {figures.inputs}, escapes {figures.escapes}, "
        f"slowest {figures.slowest_ms:.0f} ms of {judging.LARGE_SECONDS * 1000:.0f} ({figures.slowest}), "
        f"memory {figures.memory_mib:.1f} MiB of {judging.LIMIT_BYTES >> 20} ({figures.largest})"
    )


def main() -> int:
    """Tries texts until the time is over; 0 if every rule held."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzzing of spec files.")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long in all")
    parser.add_argument("--seed", default="1", help="names the run; the same seed gives the same texts")
    parser.add_argument("--output", type=pathlib.Path, default=RESULT)
    options = parser.parse_args()
    end = time.monotonic() + options.seconds
    with tempfile.TemporaryDirectory() as folder:
        judge = judging.Judge(pathlib.Path(folder))
        for kind, name, text in complete():
            judge.try_text(kind, name, text)
        for kind, name, text in by_chance(options.seed):
            judge.try_text(kind, name, text)
            if time.monotonic() > end:
                break
    print_table(judge)
    for tally in judge.tallies.values():
        for escape in tally.escapes[:TOLD]:
            print(f"escape: {tally.kind}: {escape}", file=sys.stderr)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps({"seed": options.seed, **judge.report()}, indent=2) + "\n")
    return 1 if judge.figures().escapes else 0


if __name__ == "__main__":
    sys.exit(main())
