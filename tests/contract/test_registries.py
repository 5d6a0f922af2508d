"""What an Engine holds of registries: tags that move, digests that do not, and registries that are silent."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from controller.api.conditions import Reason
from controller.engine import parsing
from controller.model import errors
from tests.contract import backends
from tests.contract.backends import Backend, row
from tests.support import registry, sim_images

NAME = "lab/box"


class Registry(Protocol):
    """What the checks do to a registry."""

    address: str

    def publish(self, image: str) -> str:
        """Let the tag 1 name an image of the Engine's; its digest there, with the repository."""
        ...

    def stop(self) -> None:
        """Nobody answers any more."""
        ...


class _Real:
    def __init__(self, world: backends.RealWorld, served: registry.Registry) -> None:
        self.address, self._world, self._served = served.address, world, served

    def publish(self, image: str) -> str:
        return self._served.publish(self._world.daemon, image, NAME, "1")

    def stop(self) -> None:
        self._served.stop()


class _Simulated:
    address = "127.0.0.1:5000"

    def __init__(self, world: backends.SimWorld) -> None:
        self._engine = world.engine

    def publish(self, image: str) -> str:
        return sim_images.publish(self._engine, f"{self.address}/{NAME}:1", self._engine.images[image])

    def stop(self) -> None:
        self._engine.silent_registries.add(self.address)


@pytest.fixture
def served(backend: Backend, tmp_path: Path) -> Iterator[Registry]:
    """A registry of which the Engine holds nothing."""
    world = backend.world
    if isinstance(world, backends.SimWorld):
        yield _Simulated(world)
        return
    assert isinstance(world, backends.RealWorld)
    real = registry.Registry(tmp_path, backends.free_port())
    real.start()
    try:
        yield _Real(world, real)
    finally:
        real.stop()
        client = world.daemon.client()
        for image in client.images():
            for name in image["RepoTags"] or ():
                if name.startswith(real.address):
                    client.remove_image(name)
            for name in image["RepoDigests"] or ():
                if name.startswith(real.address) and backend.client.inspect_image(name) is not None:
                    client.remove_image(name)


def digests(backend: Backend, reference: str) -> tuple[str, ...] | None:
    found = backend.client.inspect_image(reference)
    return None if found is None else parsing.parse_image(found).digests


def image_id(backend: Backend, reference: str) -> str:
    found = backend.client.inspect_image(reference)
    assert found is not None, reference
    return str(found["Id"])


@row("RIG-registry")
def test_a_tag_that_moved_is_found_out_by_a_pull_alone(backend: Backend, served: Registry) -> None:
    tag = f"{served.address}/{NAME}:1"
    first = served.publish(backends.IMAGE)
    assert digests(backend, tag) is None
    assert backend.client.pull(tag)
    assert not backend.client.pull(tag)
    assert (digests(backend, tag), image_id(backend, tag)) == ((first,), image_id(backend, backends.IMAGE))
    second = served.publish(backends.OTHER_IMAGE)
    assert image_id(backend, tag) == image_id(backend, backends.IMAGE)
    assert backend.client.pull(tag)
    assert (digests(backend, tag), image_id(backend, tag)) == (
        (second,),
        image_id(backend, backends.OTHER_IMAGE),
    )
    assert image_id(backend, first) == image_id(backend, backends.IMAGE)


@row("RIG-registry")
def test_an_image_is_what_a_digest_names_only_if_a_registry_gave_it(
    backend: Backend, served: Registry
) -> None:
    first, second = served.publish(backends.IMAGE), served.publish(backends.OTHER_IMAGE)
    tag, digest = f"{served.address}/{NAME}:1", first.rpartition("@")[2]
    pinned = f"{tag}@{digest}"
    assert backend.client.pull(tag)
    assert digests(backend, tag) == (second,)
    assert backend.client.inspect_image(pinned) is None
    assert backend.client.pull(pinned)
    assert image_id(backend, pinned) == image_id(backend, backends.IMAGE)
    assert image_id(backend, tag) == image_id(backend, backends.OTHER_IMAGE)
    assert not backend.client.pull(pinned)


@row("RIG-registry")
def test_the_list_shows_a_container_of_a_digest_by_its_reference(backend: Backend, served: Registry) -> None:
    pinned = f"{served.address}/{NAME}:1@{served.publish(backends.IMAGE).rpartition('@')[2]}"
    backend.client.pull(pinned)
    box = backend.client.create_container("box", {"Image": pinned, "Cmd": backends.SLEEP})
    assert backend.inspect(box)["Config"]["Image"] == pinned
    listed = backend.listed(box)
    assert listed is not None
    assert (listed["Image"], listed["ImageID"]) == (pinned, image_id(backend, backends.IMAGE))


@row("RIG-registry")
def test_a_pull_is_told_also_where_it_changed_nothing(backend: Backend, served: Registry) -> None:
    tag = f"{served.address}/{NAME}:1"
    served.publish(backends.IMAGE)
    begin = backend.facts().time
    backend.client.pull(tag)
    backend.client.pull(tag)
    told = [(e["Type"], e["Action"], e["Actor"]["ID"]) for e in backend.events(begin)]
    assert told == [("image", "pull", tag)] * 2


@row("RIG-registry")
def test_digests_go_with_the_last_tag_of_their_repository(backend: Backend, served: Registry) -> None:
    tag = f"{served.address}/{NAME}:1"
    digest = served.publish(backends.IMAGE)
    backend.client.pull(tag)
    assert digests(backend, backends.IMAGE) == (digest,)
    if isinstance(backend.world, backends.SimWorld):
        backend.world.engine.remove_image(tag)
    else:
        assert isinstance(backend.world, backends.RealWorld)
        backend.world.daemon.client().remove_image(tag)
    assert digests(backend, backends.IMAGE) == ()
    assert backend.client.inspect_image(digest) is None


@row("AP17")
def test_a_registry_that_is_silent_fails_a_pull_and_takes_nothing_away(
    backend: Backend, served: Registry
) -> None:
    tag = f"{served.address}/{NAME}:1"
    digest = served.publish(backends.IMAGE)
    backend.client.pull(tag)
    served.stop()
    with pytest.raises(errors.Retryable) as caught:
        backend.client.pull(tag)
    assert caught.value.reason is Reason.IMAGE_UNAVAILABLE
    assert "connection refused" in caught.value.message
    assert digests(backend, tag) == (digest,)
