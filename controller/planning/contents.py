"""Knows by which digest a registry would give again what a reference, or a container, has here.

Refuses to ask a registry: the Engine tells what it pulled, the ledger what it pulled before.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

from controller.api import references
from controller.model.memory import Content, Memory
from controller.model.observed import EngineView


def unrecorded(view: EngineView, memory: Memory, now: datetime) -> tuple[Content, ...]:
    """Return the contents that were seen and that the ledger does not know."""
    found: dict[str, Content] = {}
    for reference, image_id in _seen(view):
        detail = view.image_details.get(image_id)
        digest = references.among(detail.digests, reference) if detail is not None else None
        if digest is not None and digest not in memory.contents:
            found.setdefault(digest, Content(digest, image_id, reference, now))
    return tuple(found[digest] for digest in sorted(found))


def _seen(view: EngineView) -> Iterator[tuple[str, str]]:
    known = {(name, image_id) for name, image_id in view.images.items() if image_id is not None}
    known |= {(one.configuration.image, one.image_id) for one in view.containers.values()}
    yield from sorted(known)


def of_images(view: EngineView, memory: Memory) -> Mapping[tuple[str, str], str | None]:
    """Return the digest of each image that containers were made from, by reference and image id.

    None where no registry gave it.
    """
    used = {(one.configuration.image, one.image_id) for one in view.containers.values()}
    return {(reference, image_id): _digest(reference, image_id, view, memory) for reference, image_id in used}


def _digest(reference: str, image_id: str, view: EngineView, memory: Memory) -> str | None:
    detail = view.image_details.get(image_id)
    told = references.among(detail.digests, reference) if detail is not None else None
    return told or memory.digest_of(reference, image_id)
