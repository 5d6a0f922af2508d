"""The generated files: that they are current, deterministic and readable, and that samples are valid."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from controller.api import conditions, schema, workspace
from controller.cli import generate, pages
from controller.sources import loader

ROOT = Path(__file__).resolve().parents[3]
KEYS = st.text("ab:# -", min_size=1, max_size=4) | st.sampled_from(["no", "On", "null", "true", "y", "1"])
KINDS = pytest.mark.parametrize("kind", sorted(schema.KINDS))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["C", "Z"])),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS, below, max_size=3),
    max_leaves=8,
)


def test_a_second_process_generates_the_same_files(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "controller.cli.generate", "--root", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, env={"PYTHONHASHSEED": "7", "PATH": "/usr/bin:/bin"})
    assert generate.differences(tmp_path) == []


def test_check_names_the_files_that_differ(tmp_path: Path) -> None:
    runner = CliRunner()
    assert runner.invoke(generate.main, ["--root", str(tmp_path)]).exit_code == 0
    assert runner.invoke(generate.main, ["--root", str(tmp_path), "--check"]).exit_code == 0
    (tmp_path / "crds/workspaces.yaml").write_text("other", encoding="utf-8")
    (tmp_path / "docs/reference/reasons.md").unlink()
    result = runner.invoke(generate.main, ["--root", str(tmp_path), "--check"])
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "crds/workspaces.yaml: not current; run `make generate`",
        "docs/reference/reasons.md: not current; run `make generate`",
    ]
    assert (tmp_path / "crds/workspaces.yaml").read_text(encoding="utf-8") == "other"


@KINDS
def test_the_written_definitions_read_as_they_were_meant(kind: str) -> None:
    files = generate.render_all()
    assert yaml.safe_load(files[f"crds/{schema.plural(kind)}.yaml"]) == schema.custom_resource(kind)
    assert json.loads(files[f"crds/{kind.lower()}.schema.json"]) == schema.editor_schema(kind)


@given(st.dictionaries(KEYS, VALUES, max_size=3))
def test_any_value_reads_back_from_yaml(value: schema.JsonObject) -> None:
    assert yaml.safe_load(generate.render_yaml(value)) == value


@KINDS
def test_a_page_describes_every_field(kind: str) -> None:
    page = pages.kind_page(kind)
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) > 5
    for row in rows:
        assert row.count(" | ") >= 1
        assert not row.endswith("|  |"), f"no description: {row}"


def test_the_workspace_page_shows_the_defaults() -> None:
    page = pages.kind_page("Workspace")
    assert "| `stopGrace` | duration | `1m` |" in page
    assert "| `swap` | size or null | `0b` |" in page
    for path in workspace.CONTRACT_DEFAULTS:
        assert f"| `{path.rpartition('.')[2]}` |" in page


def test_every_reason_is_explained() -> None:
    explained = dict(pages.documented(conditions.Reason))
    assert set(explained) == {reason.value for reason in conditions.Reason}
    assert all(explained.values())
    page = pages.reasons_page()
    for reason in conditions.Reason:
        assert f"| `{reason}` | " in page


def test_the_samples_are_valid() -> None:
    seen: dict[str, list[object]] = {}
    for file in sorted((ROOT / "config").rglob("*.yaml")):
        text = file.read_bytes()
        (kind,) = [kind for kind in schema.KINDS if f"kind: {kind}\n".encode() in text]
        result = loader.parse_document(text, str(file), schema.KINDS[kind])
        assert isinstance(result, loader.Parsed), result
        seen.setdefault(kind, []).append(result.value)
    assert {kind: len(values) for kind, values in seen.items()} == {
        "ControllerConfig": 1,
        "ImageCatalog": 2,
        "ResourcePolicy": 2,
        "Workspace": 3,
    }
