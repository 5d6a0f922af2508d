"""What is told of the catalog's images: state, place, digest, and who uses them."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from controller.api.images import CatalogImage
from controller.model.memory import Content, Memory
from controller.status import images
from tests.support import builders, reports

DIGEST = "sha256:" + "0" * 64
FAILED = {"result": "Failed", "at": "2026-11-20T03:00:00Z"}


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({}, "approved"),
        ({"approved": False}, "not approved"),
        ({"scan": FAILED}, "scan failed"),
        ({"scan": FAILED, "approved": False}, "scan failed"),
        ({"scan": {**FAILED, "result": "Passed"}}, "approved"),
        ({"deprecated": {"message": "old"}}, "deprecated"),
        ({"deprecated": {"message": "old", "successor": "new"}}, "deprecated -> new"),
    ],
)
def test_the_state_is_said_in_words(fields: dict[str, Any], state: str) -> None:
    assert images.state_of(CatalogImage.model_validate({"reference": "lab/x:1", **fields})) == state


def told(memory: Memory, held: dict[str, str | None]) -> dict[str, Any]:
    """What is told of one pinned and one plain image, of which alice uses the plain one."""
    catalog = {"plain": {"reference": "lab/x:1"}, "pinned": {"reference": "lab/y:1", "digest": DIGEST}}
    alice = replace(reports.status("alice"), image_reference="lab/x:1")
    report = replace(reports.report([alice]), policy=builders.policy(catalog), images=held)
    return {str(item["name"]): item["status"] for item in images.image_objects(report, memory)}


def test_an_image_that_is_here_shows_its_digest_and_who_uses_it() -> None:
    here = Content(f"lab/x@{DIGEST}", "sha256:1", "lab/x:1", reports.NOW)
    memory = builders.memory(contents={here.digest: here}, asked={"lab/x:1": reports.NOW})
    assert told(memory, {"lab/x:1": "sha256:1", f"lab/y:1@{DIGEST}": None}) == {
        "plain": {
            "state": "approved",
            "usedBy": ["alice"],
            "local": True,
            "imageID": "sha256:1",
            "recordedDigest": f"lab/x@{DIGEST}",
            "recordedAt": "2026-11-22T12:00:00Z",
            "askedAt": "2026-11-22T12:00:00Z",
        },
        "pinned": {"state": "approved", "usedBy": [], "local": False},
    }


def test_an_image_that_was_built_here_has_no_recorded_digest() -> None:
    before = Content(f"lab/x@{DIGEST}", "sha256:1", "lab/x:1", reports.NOW)
    memory = builders.memory(contents={before.digest: before})
    assert "recordedDigest" not in told(memory, {"lab/x:1": "sha256:2"})["plain"]


def test_of_an_image_that_is_gone_the_last_digest_is_told() -> None:
    first = Content("lab/x@first", "sha256:1", "lab/x:1", reports.NOW)
    last = Content("lab/x@last", "sha256:2", "lab/x:1", reports.NOW + timedelta(hours=1))
    memory = builders.memory(contents={one.digest: one for one in (last, first)})
    assert told(memory, {"lab/x:1": None})["plain"]["recordedDigest"] == "lab/x@last"


def test_an_engine_that_is_not_seen_tells_no_place() -> None:
    assert "local" not in told(builders.memory(), {})["plain"]
