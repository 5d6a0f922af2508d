"""What the catalog makes of the image that a workspace asks for."""

from typing import Any

import pytest

from controller.api.conditions import Reason
from controller.model.effective import Effective, Refusal
from controller.planning import resolve
from tests.support import builders

DIGEST = "sha256:" + "a" * 64
FAILED = {"result": "Failed", "at": "2026-11-20T03:00:00Z", "by": "trivy", "report": "scans/17"}
PASSED = {"result": "Passed", "at": "2026-11-20T03:00:00Z"}
CATALOG: dict[str, Any] = {
    "plain": {"reference": "python:3.11"},
    "pinned": {"reference": "ghcr.io/lab/jupyter:2", "digest": DIGEST},
    "closed": {"reference": "lab/closed:1", "approved": False},
    "ill": {"reference": "lab/ill:1", "scan": FAILED},
    "well": {"reference": "lab/well:1", "scan": PASSED},
    "old": {"reference": "lab/old:1", "deprecated": {"message": "gone in May", "successor": "plain"}},
    "older": {"reference": "lab/older:1", "deprecated": {"message": "gone in April"}},
    "gpu": {"reference": "lab/gpu:1", "gpu": True},
    "serving": {
        "reference": "lab/serving:1",
        "command": ["/bin/serve"],
        "services": [{"name": "jupyter", "port": 8888}, {"name": "ssh", "port": 22}],
    },
}
USABLE = "use one of: gpu, old, older, pinned, plain, serving, well"


def resolved(image: Any, *, policy: Any = None, **spec: Any) -> Effective | Refusal:  # noqa: ANN401 - as written
    return resolve.resolve(
        builders.accepted("alice", image=image, **spec),
        builders.standing(CATALOG, **(policy or {})),
        builders.account("alice"),
    )


def accepted(image: Any, **given: Any) -> Effective:  # noqa: ANN401 - as written
    found = resolved(image, **given)
    assert isinstance(found, Effective), found
    return found


@pytest.mark.parametrize("catalog_only", [False, True])
@pytest.mark.parametrize(
    ("image", "reference"),
    [
        ("plain", "python:3.11"),
        ({"alias": "plain"}, "python:3.11"),
        ({"reference": "python:3.11"}, "python:3.11"),
        ("docker.io/library/python:3.11", "python:3.11"),
        ("pinned", f"ghcr.io/lab/jupyter:2@{DIGEST}"),
        ({"reference": "ghcr.io/lab/jupyter:2"}, f"ghcr.io/lab/jupyter:2@{DIGEST}"),
        ({"reference": f"ghcr.io/lab/jupyter:2@{DIGEST}"}, f"ghcr.io/lab/jupyter:2@{DIGEST}"),
        ("well", "lab/well:1"),
    ],
)
def test_an_entry_is_had_by_alias_and_by_its_reference(
    image: object, reference: str, catalog_only: bool
) -> None:
    assert accepted(image, policy={"requireCatalog": catalog_only}).image == reference


@pytest.mark.parametrize(
    ("image", "catalog_only", "reason", "message"),
    [
        (
            {"alias": "nope"},
            False,
            Reason.IMAGE_UNKNOWN,
            f'image alias "nope" is not in the catalog; {USABLE}',
        ),
        ("nope:1", True, Reason.IMAGE_UNKNOWN, f'only, not "nope:1"; {USABLE}'),
        ({"reference": "python:3.12"}, True, Reason.IMAGE_UNKNOWN, 'only, not "python:3.12"'),
        (
            "closed",
            False,
            Reason.IMAGE_NOT_APPROVED,
            f'image "closed" is in the catalog but not approved; {USABLE}',
        ),
        ({"reference": "lab/closed:1"}, False, Reason.IMAGE_NOT_APPROVED, 'image "closed" is in the catalog'),
        (
            "ill",
            False,
            Reason.IMAGE_NOT_APPROVED,
            'image "ill" failed its scan by trivy at 2026-11-20 03:00 (report: scans/17); use one of',
        ),
    ],
)
def test_what_may_not_be_used_is_refused_with_what_may(
    image: object, catalog_only: bool, reason: Reason, message: str
) -> None:
    found = resolved(image, policy={"requireCatalog": catalog_only})
    assert isinstance(found, Refusal)
    assert found.reason is reason
    assert message in found.message


def test_what_the_catalog_lacks_is_a_reference_where_the_policy_lets_it_be() -> None:
    assert accepted("nope:1").image == "nope:1"
    assert accepted({"reference": "python:3.12"}).image == "python:3.12"


@pytest.mark.parametrize(
    ("image", "reason", "message"),
    [
        ("old", Reason.IMAGE_DEPRECATED, 'image "old": gone in May; use "plain"'),
        ("older", Reason.IMAGE_DEPRECATED, 'image "older": gone in April'),
        ("gpu", Reason.IMAGE_WANTS_GPU, 'image "gpu" is of use only with a GPU, and gpu.mode is None'),
    ],
)
def test_what_may_be_used_all_the_same_is_noted(image: str, reason: Reason, message: str) -> None:
    (note,) = accepted(image).notes
    assert (note.reason, note.message) == (reason, message)
    assert accepted("plain").notes == ()


def test_an_entry_says_command_and_services_where_nobody_else_does() -> None:
    found = accepted("serving")
    assert found.command == ("/bin/serve",)
    assert [(service.name, service.port) for service in found.services] == [("jupyter", 8888), ("ssh", 22)]
    (origin,) = [value.origin for value in found.values if value.path == "command"]
    assert "images.yaml" in origin
    assert "image serving" in origin


@pytest.mark.parametrize("place", ["class", "workspace"])
def test_an_entry_is_weaker_than_all_others(place: str) -> None:
    said = {
        "command": ["/bin/own"],
        "services": [{"name": "ssh", "port": 2222}, {"name": "code", "port": 80}],
    }
    policy = {"classes": {"own": said}, "defaultClass": "own"} if place == "class" else {}
    found = accepted("serving", policy=policy, **(said if place == "workspace" else {}))
    assert found.command == ("/bin/own",)
    ports = {service.name: service.port for service in found.services}
    assert ports == {"jupyter": 8888, "ssh": 2222, "code": 80}


def test_of_two_entries_of_one_reference_one_that_may_be_used_is_meant() -> None:
    shared = "lab/shared:1"
    catalog = {"a": {"reference": shared, "approved": False}, "b": {"reference": shared}}
    found = resolve.resolve(
        builders.accepted("alice", image={"reference": shared}),
        builders.standing(catalog, requireCatalog=True),
        builders.account("alice"),
    )
    assert isinstance(found, Effective)
