"""Which registry's digest stands for what a reference or a container has here."""

from dataclasses import replace

import pytest

from controller.model.memory import Content
from controller.model.observed import EngineView, Seen
from controller.planning import contents
from tests.support import builders
from tests.support.world import World

OLD, NEW = "sha256:" + "0" * 64, "sha256:" + "1" * 64


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
    assert contents.among(digests, reference) == expected


def seen(world: World, digests: tuple[str, ...]) -> EngineView:
    """What the Engine shows of a world with one image, which has these digests."""
    engine = world.observed().engine
    assert isinstance(engine, Seen)
    details = {key: replace(detail, digests=digests) for key, detail in engine.value.image_details.items()}
    return replace(engine.value, image_details=details)


def test_what_was_seen_once_is_known_when_the_engine_forgot_it() -> None:
    world = World().add(builders.accepted("alice"))
    (container,) = world.containers.values()
    digest = f"sample@{OLD}"
    known = Content(digest, container.image_id, builders.IMAGE, world.now)
    assert contents.unrecorded(seen(world, (digest,)), world.memory, world.now) == (known,)
    assert contents.of_container(container, seen(world, ()), world.memory) is None
    world.remember(contents={digest: known})
    assert contents.unrecorded(seen(world, (digest,)), world.memory, world.now) == ()
    assert contents.of_container(container, seen(world, ()), world.memory) == digest


def test_an_image_that_was_built_here_has_no_digest() -> None:
    world = World().add(builders.accepted("alice"))
    (container,) = world.containers.values()
    assert contents.unrecorded(seen(world, ()), world.memory, world.now) == ()
    assert contents.of_container(container, seen(world, ()), world.memory) is None
