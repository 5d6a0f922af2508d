"""What the pages record of a session is what a session says today."""

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.dev import simulated, stage, transcript
from tests.support.dockerd import Dockerd
from tests.support.gpus import GpuDockerd

ROOT = Path(__file__).resolve().parents[2]
USUAL = [ROOT / "README.md", ROOT / "docs" / "tutorial.md"]
WITH_GPUS = [ROOT / "docs" / name for name in sorted(transcript.WITH_GPUS)]


@pytest.mark.parametrize("page", USUAL, ids=lambda page: page.name)
def test_a_session_goes_as_recorded(page: Path, dockerd: Dockerd) -> None:
    play(page, dockerd)


@pytest.mark.parametrize("page", WITH_GPUS, ids=lambda page: page.name)
def test_a_session_with_gpus_goes_as_recorded(page: Path, engine_hook: GpuDockerd) -> None:
    engine_hook.set_gpus(simulated.GPUS)
    play(page, engine_hook, gpus=True)


def play(page: Path, engine: Dockerd, *, gpus: bool = False) -> None:
    """Type a page's lines; raise unless each says what is recorded."""
    directory = ROOT / ".dev" / "tests" / f"{engine.directory.name}-docs"
    played = 0
    with stage.Stage(directory, engine.base_url, engine.free_subnet(), gpus=gpus) as scene:
        player = transcript.Player(scene)
        for block in transcript.blocks(page.read_text(encoding="utf-8")):
            player.write(block)
            if block.language == "sh" and not block.words:
                typed = scene.type(f"set -euo pipefail\n{block.text}")
                assert typed.code == 0, (block, typed)
            elif block.language == "console":
                for exchange in transcript.exchanges(block.text):
                    said = transcript.essence(player.answer(exchange))
                    assert said == transcript.essence(exchange.output), exchange.command
                    played += 1
    assert played > 5


def test_no_other_page_records_a_session() -> None:
    pages = (ROOT / "docs").rglob("*.md")
    recorded = {page for page in pages if "```console" in page.read_text(encoding="utf-8")}
    assert recorded <= {*USUAL, *WITH_GPUS}


def test_a_difference_is_found_and_ages_are_none() -> None:
    first = "NAME AGE\nalice   True 2m3s 4f1a2b3c4d5e\n"
    assert transcript.essence(first) == transcript.essence("NAME    AGE\nalice True   5s   0123456789ab\n")
    assert transcript.essence(first) != transcript.essence(first.replace("True", "False"))


def test_a_console_is_lines_that_are_typed_and_what_is_said() -> None:
    page = "text\n```console\n$ one\n1\n2\n$ two\n```\n"
    (block,) = transcript.blocks(page)
    assert (block.language, block.line) == ("console", 3)
    assert transcript.exchanges(block.text) == [
        transcript.Exchange("one", "1\n2\n"),
        transcript.Exchange("two", ""),
    ]
    with pytest.raises(ValueError, match="begins with a typed line"):
        transcript.exchanges("said without a line\n")


def test_the_recorder_says_what_it_is_for() -> None:
    command = [sys.executable, "-m", "deploy.dev.transcript", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "Record the consoles of pages" in done.stdout
