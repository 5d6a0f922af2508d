"""Breaks spec files by the thousand and prints what became of them: `python -m tests.fuzz [--cases N]`.

It knows three rules: nothing is raised, no text takes longer than 50 ms, other workspaces are untouched.
Exit 1 and the texts by seed and number where one is broken. Writes `.dev/fuzz.json`.
"""

import argparse
import dataclasses
import datetime as dt
import json
import pathlib
import random
import resource
import sys
import tempfile
import time

from controller.api.workspace import Workspace
from controller.model.observed import Seen
from controller.sources import directory, loader
from tests.fuzz import mutations
from tests.support import specfiles

LIMIT_SECONDS = 0.05
LIMIT_BYTES = 64 * 2**20
RESULT = pathlib.Path(".dev/fuzz.json")
SCAN_EVERY = 50


@dataclasses.dataclass
class Tally:
    """What became of one kind of text; times in milliseconds of processor time."""

    kind: str
    cases: int = 0
    accepted: int = 0
    rejected: int = 0
    slowest_ms: float = 0.0
    escapes: list[str] = dataclasses.field(default_factory=list)


def _cost(text: bytes) -> tuple[loader.Parsed[Workspace] | loader.Rejection, float]:
    """The verdict and the processor time it took, in seconds; the best of three where one looks slow."""
    cost = float("inf")
    for _ in range(3):
        begun = time.thread_time()
        verdict = loader.parse_document(text, "alice.yaml", Workspace)
        cost = min(cost, time.thread_time() - begun)
        if cost < LIMIT_SECONDS:
            break
    return verdict, cost


def _is_bob_untouched(text: bytes, folder: pathlib.Path) -> bool:
    """Whether another workspace's spec is read as ever beside a broken file."""
    (folder / "alice.yaml").write_bytes(text)
    (folder / "bob.yaml").write_bytes(specfiles.workspace("bob"))
    specs = directory.SpecDirectory(str(folder), dt.timedelta(0))
    specs.observe(specfiles.LATE)
    scan = specs.observe(specfiles.LATE + dt.timedelta(seconds=1))
    if not isinstance(scan, Seen):
        return False
    is_told = "alice" in scan.value.files or any(item.file == "alice.yaml" for item in scan.value.rejected)
    return "bob" in scan.value.files and is_told


def _try_kind(kind: str, cases: int, seed: str, folder: pathlib.Path) -> Tally:
    tally = Tally(kind)
    for number in range(cases):
        text = mutations.KINDS[kind](random.Random(f"{seed}/{kind}/{number}"))
        tally.cases += 1
        try:
            verdict, cost = _cost(text)
            is_isolated = number % SCAN_EVERY != 0 or _is_bob_untouched(text, folder)
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            tally.escapes.append(f"{number}: {type(error).__name__}: {error}")
            continue
        tally.accepted += isinstance(verdict, loader.Parsed)
        tally.rejected += isinstance(verdict, loader.Rejection)
        tally.slowest_ms = max(tally.slowest_ms, cost * 1000)
        if cost >= LIMIT_SECONDS:
            tally.escapes.append(f"{number}: took {cost * 1000:.0f} ms")
        if not is_isolated:
            tally.escapes.append(f"{number}: another workspace was touched")
    return tally


def main() -> int:
    """Runs all kinds; 0 if every rule held."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzzing of spec files.")
    parser.add_argument("--cases", type=int, default=5000, help="texts of each kind")
    parser.add_argument("--seed", default="1", help="names the run; the same seed gives the same texts")
    parser.add_argument("--output", type=pathlib.Path, default=RESULT)
    options = parser.parse_args()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    with tempfile.TemporaryDirectory() as folder:
        tallies = [
            _try_kind(kind, options.cases, options.seed, pathlib.Path(folder)) for kind in mutations.KINDS
        ]
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    print(f"{'kind':10} {'cases':>8} {'accepted':>9} {'rejected':>9} {'slowest ms':>11} {'escapes':>8}")
    for tally in tallies:
        row = (
            f"{tally.kind:10} {tally.cases:8} {tally.accepted:9} {tally.rejected:9} {tally.slowest_ms:11.1f}"
        )
        print(f"{row} {len(tally.escapes):8}")
    print(f"memory grew by {grown / 2**20:.1f} MiB; seed {options.seed}")
    for tally in tallies:
        for escape in tally.escapes[:20]:
            print(f"escape: {options.seed}/{tally.kind}/{escape}", file=sys.stderr)
    is_good = grown < LIMIT_BYTES and not any(tally.escapes for tally in tallies)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    report = {
        "seed": options.seed,
        "memory_growth_bytes": grown,
        "ok": is_good,
        "kinds": [dataclasses.asdict(tally) for tally in tallies],
    }
    options.output.write_text(json.dumps(report, indent=2) + "\n")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
