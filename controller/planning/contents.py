"""Knows by which digest a registry would give again what a reference, or a container, has here.

Refuses to ask a registry: the Engine tells what it pulled, the ledger what it pulled before.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from controller.api import references
from controller.model.memory import Content, Memory
from controller.model.observed import Container, EngineView


def unrecorded(view: EngineView, memory: Memory, now: datetime) -> tuple[Content, ...]:
    """Return the contents that were seen and that the ledger does not know."""
    found: dict[str, Content] = {}
    for reference, image_id in _seen(view):
        detail = view.image_details.get(image_id)
        digest = among(detail.digests, reference) if detail is not None else None
        if digest is not None and digest not in memory.contents:
            found.setdefault(digest, Content(digest, image_id, reference, now))
    return tuple(found[digest] for digest in sorted(found))


def _seen(view: EngineView) -> Iterator[tuple[str, str]]:
    known = {(name, image_id) for name, image_id in view.images.items() if image_id is not None}
    known |= {(one.configuration.image, one.image_id) for one in view.containers.values()}
    yield from sorted(known)


def of_container(container: Container, view: EngineView, memory: Memory) -> str | None:
    """Return the digest of the image that a container was made from; None where no registry gave it."""
    detail, reference = view.image_details.get(container.image_id), container.configuration.image
    told = among(detail.digests, reference) if detail is not None else None
    return told or recorded(reference, container.image_id, memory)


def recorded(reference: str, image_id: str, memory: Memory) -> str | None:
    """Return the digest of an image as the ledger knows it, where the Engine cannot tell any more."""
    return among((one.digest for one in memory.contents.values() if one.image_id == image_id), reference)


def among(digests: Iterable[str], reference: str) -> str | None:
    """Return the digest of the reference's own repository; the one that it names, where it names one."""
    wanted = references.read(reference)
    own = [digest for digest in digests if references.read(digest).repository == wanted.repository]
    named = [digest for digest in own if wanted.digest and digest.endswith(f"@{wanted.digest}")]
    return min(named or own, default=None)
