"""The committed schemas and reference pages are those that the models say; `make generate` renews them."""

from pathlib import Path

from controller.cli import generate

ROOT = Path(__file__).resolve().parents[2]


def test_generated_files_are_current() -> None:
    assert generate.differences(ROOT) == []
