"""Knows how full the file system is that holds the Engine's data: statvfs(3), counted as df counts.

Refuses to ask a disk that is not this host's, and to change its mind with every block that is written: once
a disk was fuller than the high watermark, it counts as full until it is a point of a percent below.
"""

import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from controller.api.conditions import Reason
from controller.model.observed import Disk, Unseen

EASED: Final = 1.0
"""Points of a percent below the high watermark at which the disk no longer counts as full."""
_LOCAL: Final = frozenset({"unix", ""})


class Reader:
    """Reads one Engine's disk, from any thread; `high` is the high watermark in percent."""

    def __init__(self, engine: str, high: int) -> None:
        self._local = urlsplit(engine).scheme in _LOCAL
        self._high = high
        self._lock = threading.Lock()
        self._pressed = False
        self._unseen: Unseen | None = None

    def read(self, path: str, now: datetime) -> Disk | Unseen:
        """How full the file system of `path` is; Unseen where the Engine's path is not one of this host."""
        with self._lock:
            seen = self._read(path, now)
            if isinstance(seen, Unseen) and self._unseen is not None:
                seen = Unseen(seen.reason, seen.message, self._unseen.since)
            self._unseen = seen if isinstance(seen, Unseen) else None
            return seen

    def _read(self, path: str, now: datetime) -> Disk | Unseen:
        if not self._local or not path:
            return Unseen(Reason.NOT_SEEN, "the Engine's disk is another host's", now)
        try:
            found = os.statvfs(path)
        except OSError as error:
            return Unseen(Reason.NOT_SEEN, f"{path} cannot be looked at: {error.strerror}", now)
        block = found.f_frsize
        used, free = (found.f_blocks - found.f_bfree) * block, found.f_bavail * block
        disk = Disk(path, found.f_blocks * block, used, free, pressed=False)
        self._pressed = is_pressed(disk, self._high, before=self._pressed)
        return Disk(path, disk.size, used, free, self._pressed)


def is_pressed(disk: Disk, high: int, *, before: bool) -> bool:
    """Tell whether a disk counts as full, after it did so before or did not."""
    return disk.share * 100 > (high - EASED if before else high)


def arrived(root: str, image_id: str) -> datetime | None:
    """When an image came to this host: its entry below the Engine's data root is written once, and then.

    None where there is no such entry, as with an Engine on another host or one that keeps its images in
    containerd.
    """
    algorithm, _, digits = image_id.partition(":")
    try:
        entries = Path(root).glob(f"image/*/imagedb/content/{algorithm}/{digits}") if root else ()
        found = [entry.stat().st_mtime for entry in entries]
    except OSError:
        return None
    return datetime.fromtimestamp(max(found), UTC) if found else None
