"""The guide to limits on owners gives what it says that it gives."""

from pathlib import Path

from controller.api.policy import ResourcePolicy
from controller.model.desired import AcceptedPolicy
from controller.model.effective import Refusal
from controller.planning.standing import Standing, Standings
from controller.sources import loader
from deploy.dev import transcript
from tests.support import builders

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "limit-owners.md"


def standing() -> Standing:
    text = next(b.text for b in transcript.blocks(PAGE.read_text(encoding="utf-8")) if b.language == "yaml")
    parsed = loader.parse_document(text.encode(), PAGE.name, ResourcePolicy)
    assert isinstance(parsed, loader.Parsed), parsed
    known = builders.policy()
    accepted = AcceptedPolicy(parsed.value, known.catalog, known.digest)
    return Standings().at(accepted, builders.NOW)


def test_each_field_is_inherited_for_itself() -> None:
    profile = standing().profile("alice")
    assert not isinstance(profile, Refusal)
    has = {path: value.value for path, value in profile.aggregate.items() if value.value is not None}
    assert has == {"cpus": 4 * 10**9, "memory": 48 << 30, "pids": 8192}


def test_null_is_unlimited() -> None:
    profile = standing().profile("carol")
    assert not isinstance(profile, Refusal)
    assert profile.aggregate["cpus"].value is None
    assert profile.aggregate["memory"].value == 64 << 30
