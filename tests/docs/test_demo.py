"""`make demo` does what it says, and says when it does not."""

import subprocess
import sys
from pathlib import Path

from deploy.dev import demo
from tests.support.dockerd import Dockerd

ROOT = Path(__file__).resolve().parents[2]


def tour(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deploy.dev.demo", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)


def test_every_chapter_of_the_tour_is_made(dockerd: Dockerd) -> None:
    directory = ROOT / ".dev" / "tests" / f"{dockerd.directory.name}-demo"
    before = {row["Id"] for row in dockerd.client().containers(all=True)}
    done = tour("--engine", dockerd.base_url, "--subnet", dockerd.free_subnet(), str(directory))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert done.stdout.count("\n--- ") == len(demo.CHAPTERS)
    assert {row["Id"] for row in dockerd.client().containers(all=True)} == before


def test_a_tour_without_an_engine_ends_with_one_line(tmp_path: Path) -> None:
    done = tour("--engine", "unix:///nowhere.sock", str(tmp_path / "stage"))
    assert done.returncode == 1
    assert done.stderr == "demo: no Docker Engine answers at unix:///nowhere.sock\n"
