"""What the page on DS01 shows is what the command prints."""

import re
from pathlib import Path

import pytest

from controller.cli import main

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "move-from-ds01.md"


def block(pattern: str) -> str:
    found = re.search(pattern, PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def test_the_page_shows_what_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("resource-limits.yaml").write_text(block(r"<<'END'\n(.*?)END\n"), encoding="utf-8")
    assert main.invoke(["import", "ds01", "resource-limits.yaml"]) == 0
    said = capsys.readouterr()
    assert said.out == block(r"```yaml\n(.*?)```")
    assert said.err == block(r"```text\n(.*?)```")
