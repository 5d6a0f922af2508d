"""Knows the simulated Engine's images: tags, the digests by which registries gave them, and pulls.

It refuses to keep anything: tags, digests and what registries have are sim_engine's.
"""

import hashlib
import re
from typing import TYPE_CHECKING

from controller.engine import transport
from controller.engine.transport import Answer
from tests.support import sim_events
from tests.support.sim_container import SimImage

if TYPE_CHECKING:
    from tests.support.sim_engine import SimEngine


def tagged(reference: str) -> str:
    """A reference with its tag; a digest makes the tag beside it a remark."""
    name, at, digest = reference.partition("@")
    if at:
        return f"{repository(name)}@{digest}"
    return name if re.search(r":[^/]+$", name) else f"{name}:latest"


def repository(reference: str) -> str:
    """A reference without tag and digest."""
    return re.sub(r":[^/:]+$", "", reference.partition("@")[0])


def digest_of(image: SimImage) -> str:
    """By which every registry knows an image."""
    return f"sha256:{hashlib.sha256(image.id.encode()).hexdigest()}"


def publish(engine: "SimEngine", reference: str, image: SimImage) -> str:
    """Push to the registry that the reference names; the digest there."""
    engine.registry[tagged(reference)] = image
    name = f"{repository(reference)}@{digest_of(image)}"
    engine.registry[name] = image
    return name


def find(engine: "SimEngine", reference: str) -> SimImage | None:
    """By id or by reference; a digest counts only where a registry gave it."""
    held = {image.id: image for image in (*engine.digests.values(), *engine.images.values())}
    named = engine.digests if "@" in reference else engine.images
    return held.get(reference) or named.get(tagged(reference))


def untag(engine: "SimEngine", reference: str) -> SimImage:
    """Take a tag away; digests go with the last tag of their repository."""
    image = engine.images.pop(tagged(reference))
    own = repository(reference)
    if not any(found.id == image.id and repository(tag) == own for tag, found in engine.images.items()):
        for name in [name for name, found in engine.digests.items() if found.id == image.id]:
            if repository(name) == own:
                del engine.digests[name]
    return image


def inspect(engine: "SimEngine", image: SimImage) -> dict[str, object]:
    """What an inspect shows of an image."""
    tags = [tag for tag, found in engine.images.items() if found.id == image.id]
    digests = [name for name, found in engine.digests.items() if found.id == image.id]
    return image.inspect(tags, digests)


def pull(engine: "SimEngine", name: str, wanted: str) -> transport.Stream | Answer:
    """Pull a tag or a digest of a repository; the Engine tells of it also where it changed nothing."""
    reference = f"{name}@{wanted}" if wanted.startswith("sha256:") else f"{name}:{wanted}"
    address = name.partition("/")[0]
    if address in engine.silent_registries:
        text = f'Get "http://{address}/v2/": dial tcp {address}: connect: connection refused'
        return Answer(500, {"message": text})
    image = engine.registry.get(reference)
    if image is None:
        return Answer(404, {"message": f"manifest for {reference} not found: manifest unknown"})
    begin = {"status": f"Pulling from {name}"}
    if not image.id:
        text = "error pulling image configuration: download failed after attempts=1: unknown blob"
        return sim_events.SimLines([begin, {"error": text, "errorDetail": {"message": text}}])
    held = find(engine, reference)
    engine.digests[f"{name}@{digest_of(image)}"] = image
    if "@" not in reference:
        engine.images[reference] = image
    for container in engine.containers.values():
        engine.checkpoint(container)
    engine.events.publish("image", "pull", reference, {"name": name})
    same = held is not None and held.id == image.id
    text = "Image is up to date for" if same else "Downloaded newer image for"
    return sim_events.SimLines([begin, {"status": f"Status: {text} {reference}"}])
