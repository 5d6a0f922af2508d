"""Knows who asked for room on the Engine's disk, and what of its images there is to tell them.

Refuses to remove anything, and to write the wish down: it is carried out by this controller, or not at all.
"""

import threading
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, Protocol

from controller.api.conditions import Reason
from controller.model.images import ImageStore
from controller.model.memory import Memory
from controller.model.observed import Unseen
from controller.model.status import PassReport
from controller.planning import collection
from controller.reporting import control
from controller.status import garbage

LONGEST: Final = timedelta(minutes=10)
"""A wish that is older is given up."""


class Inquiries(Protocol):
    """Single questions to the Engine."""

    def images(self, references: Iterable[str], now: datetime) -> ImageStore | Unseen:
        """Look at all images, and at what the references mean."""


class Errands:
    """What is wanted now; safe for threads. A controller that is killed forgets it; nothing is half done."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._room_wanted: datetime | None = None

    def want_room(self, at: datetime) -> None:
        """Ask for unused images to go; to ask again while they do changes nothing."""
        with self._lock:
            self._room_wanted = self._room_wanted or at

    def room_wanted(self, now: datetime) -> datetime | None:
        """Return since when somebody wants images to go; None: nobody does."""
        with self._lock:
            if self._room_wanted is not None and now - self._room_wanted > LONGEST:
                self._room_wanted = None
            return self._room_wanted

    def room_made(self) -> None:
        """Take that as done."""
        with self._lock:
            self._room_wanted = None


def look(
    report: PassReport, inquiries: Inquiries, memory: Memory, low: int, now: datetime
) -> garbage.GarbageObject:
    """Tell of every image why it stays, or that it would go.

    Raises:
        control.Unavailable: policy or images cannot be seen.
    """
    wanted = report.wanted_images
    if isinstance(wanted, Unseen):
        raise control.Unavailable(wanted.reason, wanted.message)
    store = inquiries.images(wanted, now)
    if isinstance(store, Unseen):
        raise control.Unavailable(store.reason, store.message)
    judged = collection.judge(store, wanted, memory, now)
    return garbage.garbage_object(judged, report.disk, low)


def ask(errands: Errands, report: PassReport, memory: Memory, low: int, at: datetime) -> bool:
    """Ask for room; False if there is enough.

    Raises:
        control.Refused: nothing is removed now, or nobody knows how full the disk is.
    """
    if memory.host_pause is not None:
        why = memory.host_pause.reason
        raise control.Refused(Reason.PAUSED, f"the host is paused ({why}), and nothing is removed")
    if report.mode == "Observe":
        raise control.Refused(Reason.OBSERVE_MODE, "the controller only observes, and removes nothing")
    if isinstance(report.disk, Unseen):
        message = f"nobody can tell how full the Engine's disk is: {report.disk.message}"
        raise control.Refused(report.disk.reason, message)
    if not collection.is_needed(report.disk, low):
        return False
    errands.want_room(at)
    return True
