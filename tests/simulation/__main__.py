"""Runs the simulator for as many steps as asked: `make sim STEPS=5000000 SEED=1`.

It refuses to succeed when an invariant was violated; then it prints, shrinks and keeps the run.
"""

import argparse
import secrets
import sys
import time

from tests.simulation import runs, shrinking, swarm


def main() -> int:
    """Return 1 if something was violated."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--steps", type=int, default=1_000_000, help="how many, in all")
    parser.add_argument("--seed", type=int, default=None, help="the first one; else drawn by lot")
    asked = parser.parse_args()
    seed = secrets.randbelow(1 << 31) if asked.seed is None else asked.seed
    print(f"seed {seed}", flush=True)
    began = time.monotonic()
    figures = swarm.until(asked.steps, seed)
    seconds = time.monotonic() - began
    for result in figures.violated[:1]:
        tell(result)
    print(f"{figures.line()}; {seconds:.0f} s, {figures.steps / seconds:.0f} steps a second")
    return 1 if figures.violated else 0


def tell(result: runs.Result) -> None:
    """Print a run that violates something, and keep it in a plan file."""
    assert result.violated is not None
    invariant, message = result.violated
    print(f"seed {result.scenario.seed}, step {result.steps}: {invariant}: {message}")
    print("\n".join(result.lines), flush=True)
    small = shrinking.shrink(result.scenario)
    print(f"shrunk to {small.steps} steps, {len(small.scenario.disturbances)} disturbances:")
    print("\n".join(f"  {one.at} {one.kind} {one.number}" for one in small.scenario.disturbances))
    print(f"kept as {shrinking.keep(small)}")


if __name__ == "__main__":
    sys.exit(main())
