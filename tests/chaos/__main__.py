"""Lets everything go wrong on a real Engine and prints what came of it: `python -m tests.chaos`.

It knows how a run is asked for. The seed is printed first: the same one lets the same things go wrong, if not
at the same instants. Exit 1 and the story where a promise is broken. Writes `.dev/chaos.json`.
"""

import argparse
import json
import pathlib
import random
import signal
import sys

from tests.chaos import run

RESULT = pathlib.Path(".dev/chaos.json")


def _interrupt(_number: int, _frame: object) -> None:
    """The first one ends the run; what is removed then is not left half removed by the next one."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> int:
    """Run; 0 if every promise was kept, 1 if not, 130 if interrupted: then all is removed too."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Fault runs on a real Engine.")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=None, help="default: another one each time")
    parser.add_argument("--workspaces", type=int, default=8)
    parser.add_argument("--output", type=pathlib.Path, default=RESULT)
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        result = run.play(seed, 60 * options.minutes, options.workspaces)
    except KeyboardInterrupt:
        return 130
    for name, value in result.figures.items():
        print(f"{name:24} {value}")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    report = {"seed": seed, "minutes": options.minutes, "ok": not result.story, **result.figures}
    report["acts"] = result.acts
    options.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if result.story:
        print(result.story, file=sys.stderr)
    print(f"seed {seed}: {result.line}")
    return int(bool(result.story))


if __name__ == "__main__":
    sys.exit(main())
