"""What a catalog may say."""

import pydantic
import pytest

from controller.api import images
from tests.support import documents

DIGEST = "sha256:" + "0" * 64


def test_the_published_example_says_what_it_shows() -> None:
    spec = images.ImageCatalog.model_validate(documents.CATALOG).spec
    found = spec.find("ml-cpu")
    assert found is not None
    assert (found.pinned, found.approved, found.gpu) == ("python:3.11-slim", True, False)
    assert spec.find("ml-gpu") is None


def test_a_digest_pins_the_reference() -> None:
    document = documents.changed(documents.CATALOG, "spec.images.ml-cpu.digest", DIGEST)
    found = images.ImageCatalog.model_validate(document).spec.find("ml-cpu")
    assert found is not None
    assert found.pinned == f"python:3.11-slim@{DIGEST}"


@pytest.mark.parametrize(
    ("entry", "needed"),
    [
        ({"reference": "a b"}, "image reference"),
        ({"reference": "a", "digest": "sha256:12"}, "64 hexadecimal digits"),
        ({"reference": f"a@{DIGEST}", "digest": DIGEST}, "leave digest out"),
        ({}, "Field required"),
    ],
)
def test_a_broken_entry_is_refused(entry: dict[str, str], needed: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=needed):
        images.ImageCatalog.model_validate(documents.changed(documents.CATALOG, "spec.images.ml-cpu", entry))
