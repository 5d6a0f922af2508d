"""How many bytes a workspace takes: its container's writable layer, its log, and its owner's home.

Refuses to be current: each is as it was measured, with its time, or unknown.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Measured:
    """Bytes, as they were at a time."""

    size: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """Bytes that are not known, with the reason, and since when they are not."""

    message: str
    since: datetime


Size: TypeAlias = Measured | Unmeasured


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be measured of a workspace.

    Attributes:
        container_id: of its main container, empty if there is none.
        home: path of its owner's home on this host, empty if it mounts none.
    """

    container_id: str
    home: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What is known of a workspace's sizes.

    Attributes:
        layer: what its container wrote outside its mounts.
        log: what the Engine keeps of its output, rotated files included.
        home: None where it mounts none.
        home_path: on this host; workspaces of one owner may share it.
    """

    layer: Size
    log: Size
    home: Size | None
    home_path: str
