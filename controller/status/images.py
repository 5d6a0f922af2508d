"""The public shape of the catalog's images: what they are, whether they may be used, and who does.

Refuses whatever a reader could not write down: times are RFC 3339 in UTC, absent values are absent keys.
"""

from collections.abc import Mapping
from typing import NotRequired, TypedDict

from controller.api.images import CatalogImage, ScanResult
from controller.model.memory import Content, Memory
from controller.model.status import PassReport
from controller.status import objects


class ImageStatusObject(TypedDict):
    """What is known of one image on this host.

    `local` is absent where the Engine did not tell; `recordedDigest` is the last that was seen here, and
    `askedAt` when its registry answered last.
    """

    state: str
    usedBy: list[str]
    local: NotRequired[bool]
    imageID: NotRequired[str]
    recordedDigest: NotRequired[str]
    recordedAt: NotRequired[str]
    askedAt: NotRequired[str]


def image_objects(report: PassReport, memory: Memory) -> list[dict[str, object]]:
    """All images of the catalog in force, by alias; none where there is no catalog."""
    images: Mapping[str, CatalogImage] = report.policy.catalog.spec.images if report.policy else {}
    return [
        {
            "name": alias,
            **images[alias].model_dump(mode="json"),
            "status": _status(images[alias], report, memory),
        }
        for alias in sorted(images)
    ]


def state_of(image: CatalogImage) -> str:
    """Whether it may be used, in words."""
    if image.scan is not None and image.scan.result is ScanResult.FAILED:
        return "scan failed"
    if not image.approved:
        return "not approved"
    if image.deprecated is None:
        return "approved"
    successor = image.deprecated.successor
    return f"deprecated -> {successor}" if successor else "deprecated"


def _status(image: CatalogImage, report: PassReport, memory: Memory) -> ImageStatusObject:
    reference = image.pinned
    users = sorted(name for name, status in report.statuses.items() if status.image_reference == reference)
    described: ImageStatusObject = {"state": state_of(image), "usedBy": users}
    if reference in report.images:
        image_id = report.images[reference]
        described["local"] = image_id is not None
        if image_id is not None:
            described["imageID"] = image_id
    known = _recorded(reference, described.get("imageID"), memory)
    if known is not None:
        described["recordedDigest"] = known.digest
        described["recordedAt"] = objects.timestamp(known.at)
    if reference in memory.asked:
        described["askedAt"] = objects.timestamp(memory.asked[reference])
    return described


def _recorded(reference: str, image_id: str | None, memory: Memory) -> Content | None:
    """The content that is here, else the last that was."""
    if image_id is not None:
        digest = memory.digest_of(reference, image_id)
        return None if digest is None else memory.contents[digest]
    had = (one for one in memory.contents.values() if one.reference == reference)
    return max(had, key=lambda one: (one.at, one.digest), default=None)
