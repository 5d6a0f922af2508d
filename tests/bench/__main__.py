"""Measures and prints: `python -m tests.bench [NAME...] [--quick]`; JSON goes to `.dev/bench.json`.

Names: cold, repairs, deaf, restarts, downtime, calls, passes, memory, resolution, allocation, slices; none:
all, and docs/performance.md is written anew. It knows the sizes of a run; exit 1 where a target is missed.
`--quick` tries the bench itself.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.bench import figures, keeper, reactions, replacement, rig, scale, slicing
from tests.support import dockerd

RESULT = Path(".dev/bench.json")
PAGE = Path("docs/performance.md")
MARK = "<!-- last run -->\n"


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    fleet: int = 50
    pairs: int = 5
    samples: int = 20
    deaf: int = 5
    restarts: int = 5
    idle: float = 30.0
    few: int = 200
    many: int = 1000
    passes: int = 20
    people: int = 1000
    gpus: int = 64
    slices: int = 200


QUICK = Sizes(
    fleet=3,
    pairs=1,
    samples=2,
    deaf=1,
    restarts=1,
    idle=3.0,
    few=10,
    many=10,
    passes=3,
    people=10,
    gpus=2,
    slices=2,
)

Measure = Callable[[Path, Sizes], Iterator[figures.Figure]]
OnEngine = Callable[[rig.Rig, Sizes], Iterator[figures.Figure]]

ON_RECORDED: dict[str, Measure] = {
    "calls": lambda base, sizes: scale.calls(base, sizes.few),
    "passes": lambda base, sizes: scale.passes(base, sizes.many, sizes.passes),
    "memory": lambda base, sizes: scale.memory(base, sizes.many),
    "resolution": lambda _, sizes: scale.resolution(sizes.people, 3, sizes.passes),
    "allocation": lambda _, sizes: scale.allocation(sizes.gpus, 2 * sizes.people, sizes.passes),
    "slices": lambda base, sizes: slicing.looks(base, sizes.slices, sizes.passes),
}
ON_ENGINE: dict[str, OnEngine] = {
    "cold": lambda on, sizes: reactions.cold_start(on, sizes.fleet, sizes.pairs),
    "repairs": lambda on, sizes: reactions.repairs(on, sizes.fleet, sizes.samples),
    "deaf": lambda on, sizes: reactions.without_events(on, sizes.deaf),
    "restarts": lambda on, sizes: reactions.restarts_and_rest(on, sizes.fleet, sizes.restarts, sizes.idle),
    "downtime": lambda on, sizes: replacement.downtimes(on, sizes.samples),
}


def measure(names: list[str], sizes: Sizes) -> Iterator[figures.Figure]:
    """Make the named measurements, telling each figure as it comes."""
    with tempfile.TemporaryDirectory(dir="/run", prefix="wharf-bench-") as base:
        for name in (name for name in ON_RECORDED if name in names):
            yield from ON_RECORDED[name](Path(base), sizes)
    wanted = [name for name in ON_ENGINE if name in names]
    if wanted:
        dockerd.remove_leftovers()
        with rig.open_rig() as on:
            for name in wanted:
                yield from ON_ENGINE[name](on, sizes)


def main(arguments: list[str]) -> int:
    """Run; 0 if every target was met, 1 if one was missed or something could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Performance figures.")
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[*ON_RECORDED, *ON_ENGINE, []])
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes, to try the bench itself; no targets"
    )
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args(arguments)
    names = options.names or [*ON_RECORDED, *ON_ENGINE]
    before, made, trouble = os.getloadavg(), [], ""
    with contextlib.ExitStack():
        try:
            for figure in measure(names, QUICK if options.quick else Sizes()):
                made.append(figure)
                print(figures.table([figure]).splitlines()[1], file=sys.stderr, flush=True)
        except keeper.BenchError as error:
            trouble = str(error)
    made.sort(key=lambda figure: int(figure.number))
    loads = f"load average {before[0]:.1f} before, {os.getloadavg()[0]:.1f} after; {os.cpu_count()} cores"
    print(f"{figures.table(made)}\n{loads}")
    if trouble:
        print(f"bench: not measured: {trouble}", file=sys.stderr)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    report = {"quick": options.quick, "load": loads, "figures": [figure.as_json() for figure in made]}
    options.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if not options.names and not options.quick and not trouble and PAGE.exists():
        text = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
        PAGE.write_text(f"{text}{MARK}\n{figures.markdown(made)}\n\nHost: {loads}.\n", encoding="utf-8")
    missed = any(figure.verdict == "missed" for figure in made) and not options.quick
    return int(bool(trouble) or missed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
