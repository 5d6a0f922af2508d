"""Every fenced example of a page is played, or held against what it speaks of."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from controller.api import schema
from controller.cli import entry, main
from controller.sources import loader
from deploy.dev import stage, transcript
from tests.support.dockerd import Dockerd

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ROOT / "docs" / "reference"
LANGUAGES = {"yaml", "console", "sh", "text", "python"}
WHARF = re.compile(r"(?:^|\s)(?:\S*/)?wharf (?P<rest>[a-z][^|#\n]*)")
REPOSITORY_FILE = re.compile(r"(?:^|\s)(?P<path>(?:deploy|config|crds|docs)/\S+|requirements\S*\.lock)")


def pages() -> list[Path]:
    written = [page for page in (ROOT / "docs").rglob("*.md") if GENERATED not in page.parents]
    return [ROOT / "README.md", *sorted(written)]


def examples(language: str) -> list[tuple[Path, transcript.Block]]:
    return [
        (page, block)
        for page in pages()
        for block in transcript.blocks(page.read_text(encoding="utf-8"))
        if block.language == language
    ]


def name_of(value: object) -> str:
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else str(getattr(value, "line", value))


def guides() -> list[Path]:
    """Pages to be typed, without those that record what is said (test_transcripts.py has them)."""
    recorded = {page for page, _ in examples("console")}
    typed = {page for page, block in examples("sh") if not block.words}
    return sorted(typed - recorded)


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_example_says_what_it_is(page: Path) -> None:
    found = list(transcript.blocks(page.read_text(encoding="utf-8")))
    assert [block.line for block in found if block.language not in LANGUAGES] == []
    assert page.read_text(encoding="utf-8").count("```") == 2 * len(found)


@pytest.mark.parametrize(("page", "block"), examples("yaml"), ids=name_of)
def test_every_document_is_valid(page: Path, block: transcript.Block) -> None:
    kind = re.search(r"^kind: (\w+)$", block.text, re.MULTILINE)
    assert kind is not None, "an example is a whole document"
    result = loader.parse_document(block.text.encode(), page.name, schema.KINDS[kind[1]])
    assert isinstance(result, loader.Parsed), result


def wrong_command(rest: str) -> str:
    """What is wrong with a command line of wharf, without running it; nothing if nothing is."""
    words = shlex.split(rest)
    called = main.ENTRIES.get(words[0])
    has_more = called is not None and isinstance(called.load(), entry.Group)
    command = words[: 2 if has_more else 1]
    answer = CliRunner().invoke(main.wharf, [*command, "--help"], standalone_mode=False)
    if answer.exit_code != 0:
        return f"no command {' '.join(command)}"
    unknown = [word for word in words if word.startswith("-") and not re.search(rf"{word}\b", answer.output)]
    return f"no option {unknown}" if unknown else ""


@pytest.mark.parametrize(("page", "block"), examples("sh"), ids=name_of)
def test_every_shell_example_is_well_formed(page: Path, block: transcript.Block) -> None:
    subprocess.run(["bash", "-n"], input=block.text, text=True, check=True)
    assert [wrong for found in WHARF.finditer(block.text) if (wrong := wrong_command(found["rest"]))] == []
    if block.words:
        files = (ROOT / found["path"].rstrip("/") for found in REPOSITORY_FILE.finditer(block.text))
        assert [str(file) for file in files if not file.exists()] == []


def test_a_command_that_is_not_there_is_found() -> None:
    assert wrong_command("frobnicate alice") == "no command frobnicate"
    assert wrong_command("get workspaces --frob") == "no option ['--frob']"
    assert wrong_command("get workspaces -o wide") == ""
    assert wrong_command("import frobs logins.txt") == "no command import frobs"
    assert wrong_command("import users logins.txt --dry-run") == ""
    assert wrong_command("import ds01 limits.yaml --dry-run") == "no option ['--dry-run']"


@pytest.fixture(scope="module")
def scene(dockerd: Dockerd) -> Iterator[stage.Stage]:
    directory = ROOT / ".dev" / "tests" / f"{dockerd.directory.name}-docs"
    with stage.Stage(directory, dockerd.base_url, dockerd.free_subnet()) as scene:
        yield scene


@pytest.mark.parametrize("page", guides(), ids=name_of)
def test_the_lines_of_a_guide_can_be_typed(page: Path, scene: stage.Stage) -> None:
    player = transcript.Player(scene)
    for block in transcript.blocks(page.read_text(encoding="utf-8")):
        player.write(block)
        if block.language == "sh" and not block.words:
            typed = scene.type(f"set -euo pipefail\n{block.text}")
            assert typed.code == 0, (block, typed)
