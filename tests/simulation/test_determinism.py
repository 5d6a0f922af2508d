import os
import subprocess
import sys

from tests.simulation import swarm

SEEDS = range(10_000, 10_100)
PROGRAM = f"""
from tests.simulation import swarm
for seed in range({SEEDS.start}, {SEEDS.stop}):
    print(swarm.of_seed(seed).trace)
"""


def test_a_seed_gives_the_same_trace_in_another_process_with_another_hash_seed() -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONHASHSEED": "4711"},
        stdout=subprocess.PIPE,
        text=True,
    )
    here = [swarm.of_seed(seed).trace for seed in SEEDS]
    there, _ = other.communicate(timeout=300)
    assert there.split() == here
    assert len(set(here)) == len(SEEDS)
