"""The public shape of the images on the Engine's disk: which would go for room, which stay, and why.

Refuses to promise how much room that makes: images share layers, and their sizes count those of each.
"""

from collections.abc import Iterable
from typing import TypedDict

from controller.model.images import Judged
from controller.model.observed import Disk, Unseen
from controller.status import objects


class DiskObject(TypedDict):
    """How full the disk is; `percent` as df counts."""

    path: str
    size: int
    used: int
    available: int
    percent: int


class ImageObject(TypedDict):
    """One image: `action` is Remove, Next (if those before it do not make enough room) or Keep."""

    id: str
    name: str
    references: list[str]
    size: int
    arrived: str
    action: str
    reason: str


class GarbageObject(TypedDict):
    """All images, in the order in which they would go; `disk` is None, with a reason, where it is unseen."""

    disk: DiskObject | None
    unseen: str
    lowWatermark: int
    items: list[ImageObject]


def garbage_object(judged: Iterable[Judged], disk: Disk | Unseen, low: int) -> GarbageObject:
    """Tell what would be removed until the disk is no fuller than the low watermark."""
    excess = 0.0
    if isinstance(disk, Disk):
        excess = disk.used - (disk.used + disk.available) * low / 100
    needed, items = excess > 0, list[ImageObject]()
    for one in judged:
        action = "Keep" if one.kept or not needed else "Remove" if excess > 0 else "Next"
        excess -= one.image.size if action == "Remove" else 0
        items.append(
            ImageObject(
                id=one.image.id,
                name=one.image.name,
                references=list(one.image.references),
                size=one.image.size,
                arrived=objects.timestamp(one.image.arrived),
                action=action,
                reason=one.kept or _why(action),
            )
        )
    return GarbageObject(
        disk=_disk(disk) if isinstance(disk, Disk) else None,
        unseen="" if isinstance(disk, Disk) else disk.message,
        lowWatermark=low,
        items=items,
    )


def _why(action: str) -> str:
    return "nothing uses it" if action != "Keep" else "nothing uses it, and there is room enough"


def _disk(disk: Disk) -> DiskObject:
    return DiskObject(
        path=disk.path, size=disk.size, used=disk.used, available=disk.available, percent=disk.percent
    )
