"""`make demo` does what it says, and says when it does not."""

import subprocess
import sys
from pathlib import Path

from deploy.dev import demo, simulated
from tests.support.gpus import GpuDockerd

ROOT = Path(__file__).resolve().parents[2]


def tour(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deploy.dev.demo", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)


def test_every_chapter_of_the_tour_is_made_and_says_which_gpus_are_simulated(
    engine_hook: GpuDockerd,
) -> None:
    engine_hook.set_gpus(simulated.GPUS)
    directory = ROOT / ".dev" / "tests" / f"{engine_hook.directory.name}-demo"
    where = ("--engine", engine_hook.base_url, "--subnet", engine_hook.free_subnet())
    done = tour(*where, "--gpus", str(directory))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert done.stdout.count("\n--- ") == len(demo.CHAPTERS)
    about = [line for line in done.stdout.splitlines() if "GPU-" in line or "H100" in line]
    assert len(about) > len(simulated.GPUS)
    assert [line for line in about if "SIMULATED" not in line] == []
    assert engine_hook.client().containers(all=True) == []


def test_a_tour_without_an_engine_ends_with_one_line(tmp_path: Path) -> None:
    done = tour("--engine", "unix:///nowhere.sock", str(tmp_path / "stage"))
    assert done.returncode == 1
    assert done.stderr == "demo: no Docker Engine answers at unix:///nowhere.sock\n"
