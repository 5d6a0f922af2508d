"""Knows what asks to be looked at, once each however often it was asked for, now or at a later time.

Refuses content: a key says only "look", never what happened. Lost or doubled keys cost time, not correctness.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Taken:
    """Keys that were due, with the longest time in seconds that one of them had waited."""

    keys: frozenset[str]
    waited: float


@dataclass(frozen=True, slots=True)
class Depth:
    """The queue's own numbers: keys waiting now, and keys added since the beginning."""

    waiting: int
    added: int


class WorkQueue:
    """A deduplicating, delaying queue for one consumer and any number of producers.

    `monotonic` gives seconds that never go back; a key that is added twice keeps its earlier time.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._changed = threading.Condition()
        self._due: dict[str, float] = {}
        self._added = 0

    def add(self, key: str) -> None:
        """Ask for a look now."""
        self.add_after(key, 0.0)

    def add_after(self, key: str, seconds: float) -> None:
        """Ask for a look `seconds` from now; an earlier wish for the same key stands."""
        due = self._monotonic() + max(0.0, seconds)
        with self._changed:
            if due < self._due.get(key, float("inf")):
                self._due[key] = due
                self._added += 1
                self._changed.notify_all()

    def take(self, timeout: float) -> Taken:
        """Wait until a key is due, at most `timeout` seconds, and take all that are due."""
        deadline = self._monotonic() + timeout
        with self._changed:
            while True:
                now = self._monotonic()
                due = {key: at for key, at in self._due.items() if at <= now}
                if due or now >= deadline:
                    for key in due:
                        del self._due[key]
                    return Taken(frozenset(due), max((now - at for at in due.values()), default=0.0))
                self._changed.wait(min([deadline, *self._due.values()]) - now)

    def depth(self) -> Depth:
        """Return the queue's numbers."""
        with self._changed:
            return Depth(len(self._due), self._added)
