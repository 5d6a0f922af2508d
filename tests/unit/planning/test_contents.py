"""Which registry's digest stands for what a reference or a container has here."""

from dataclasses import replace

from controller.model.memory import Content
from controller.model.observed import EngineView, Seen
from controller.planning import contents
from tests.support import builders
from tests.support.world import World

OLD = "sha256:" + "0" * 64


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
    key = (container.configuration.image, container.image_id)
    assert contents.of_images(seen(world, ()), world.memory) == {key: None}
    world.remember(contents={digest: known})
    assert contents.unrecorded(seen(world, (digest,)), world.memory, world.now) == ()
    assert contents.of_images(seen(world, ()), world.memory) == {key: digest}


def test_an_image_that_was_built_here_has_no_digest() -> None:
    world = World().add(builders.accepted("alice"))
    (container,) = world.containers.values()
    assert contents.unrecorded(seen(world, ()), world.memory, world.now) == ()
    key = (container.configuration.image, container.image_id)
    assert contents.of_images(seen(world, ()), world.memory) == {key: None}
