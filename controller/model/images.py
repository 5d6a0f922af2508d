"""The images that an Engine holds, as one complete look at all of them found them, and who uses each.

Refuses to say which of them may go: that is for planning.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One image.

    Attributes:
        id: with its `sha256:`.
        references: its tags, and where it has none the digests by which registries know it; may be empty.
        arrived: when it was built, or came to this host, whichever is later and known.
        size: bytes, with layers that it shares with others.
        parent: id of the image on this host that it was built on, or empty.
    """

    id: str
    references: tuple[str, ...]
    arrived: datetime
    size: int
    parent: str = ""

    @property
    def name(self) -> str:
        """What people call it: its first reference, or the beginning of its id."""
        return self.references[0] if self.references else self.id.removeprefix("sha256:")[:12]


@dataclass(frozen=True, slots=True)
class ImageStore:
    """All images of an Engine, those without a name included.

    Attributes:
        images: by id.
        users: name of a container that was made from an image, by the image's id; of anybody's containers.
        meant: image id by each reference that was asked for; None where the Engine lacks it.
    """

    images: Mapping[str, StoredImage]
    users: Mapping[str, str]
    meant: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Collection:
    """A person's wish for room on the disk, and the look at all images that it is decided on.

    Attributes:
        asked_at: when.
        wanted: what wants an image, by the image's reference: `workspace alice`, `catalog ml-cpu`.
    """

    asked_at: datetime
    store: ImageStore
    wanted: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judged:
    """One image, and why it stays; empty if it may go."""

    image: StoredImage
    kept: str
