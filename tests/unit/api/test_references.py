"""References to images are read as the Engine reads them."""

import pytest

from controller.api import references
from controller.api.references import Reference

DIGEST = "sha256:" + "0" * 64
OLD, NEW = DIGEST, "sha256:" + "1" * 64


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("python", Reference("docker.io/library/python", "latest", "")),
        ("python:3.11", Reference("docker.io/library/python", "3.11", "")),
        ("lab/jupyter:1", Reference("docker.io/lab/jupyter", "1", "")),
        ("docker.io/python:3.11", Reference("docker.io/library/python", "3.11", "")),
        ("index.docker.io/lab/jupyter", Reference("docker.io/lab/jupyter", "latest", "")),
        ("ghcr.io/lab/jupyter:2", Reference("ghcr.io/lab/jupyter", "2", "")),
        ("localhost/jupyter", Reference("localhost/jupyter", "latest", "")),
        ("127.0.0.1:5000/jupyter", Reference("127.0.0.1:5000/jupyter", "latest", "")),
        ("registry:5000/lab/jupyter:2", Reference("registry:5000/lab/jupyter", "2", "")),
        (f"python@{DIGEST}", Reference("docker.io/library/python", "", DIGEST)),
        (f"python:3.11@{DIGEST}", Reference("docker.io/library/python", "3.11", DIGEST)),
    ],
)
def test_what_is_left_out_is_what_the_engine_takes(text: str, expected: Reference) -> None:
    assert references.read(text) == expected


def test_a_digest_makes_the_tag_a_remark() -> None:
    assert references.same("python:3.11", "docker.io/library/python:3.11")
    assert references.same(f"python:3.11@{DIGEST}", f"python:3.12@{DIGEST}")
    assert not references.same("python:3.11", "python:3.12")
    assert not references.same("python:3.11", f"python:3.11@{DIGEST}")
    assert not references.same("python", "lab/python")


@pytest.mark.parametrize(
    ("digests", "reference", "expected"),
    [
        ((), "lab/jupyter:1", None),
        ((f"lab/jupyter@{OLD}",), "lab/jupyter:1", f"lab/jupyter@{OLD}"),
        ((f"lab/jupyter@{OLD}",), "docker.io/lab/jupyter", f"lab/jupyter@{OLD}"),
        ((f"mirror:5000/jupyter@{OLD}", f"lab/jupyter@{NEW}"), "lab/jupyter:1", f"lab/jupyter@{NEW}"),
        ((f"mirror:5000/jupyter@{OLD}",), "lab/jupyter:1", None),
        ((f"lab/jupyter@{OLD}", f"lab/jupyter@{NEW}"), f"lab/jupyter:1@{NEW}", f"lab/jupyter@{NEW}"),
        ((f"python@{OLD}",), "python:3.11", f"python@{OLD}"),
    ],
)
def test_the_digest_is_that_of_the_reference_s_own_repository(
    digests: tuple[str, ...], reference: str, expected: str | None
) -> None:
    assert references.among(digests, reference) == expected
