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


class WorkQueue:
    """A deduplicating, delaying queue for one consumer and any number of producers.

    `monotonic` gives seconds that never go back; a key that is added twice keeps its earlier time.
    `on_add` is told of every key that was not waiting yet.
    """

    def __init__(self, monotonic: Callable[[], float], on_add: Callable[[], None] = lambda: None) -> None:
        self._monotonic = monotonic
        self._on_add = on_add
        self._changed = threading.Condition()
        self._due: dict[str, float] = {}

    def add(self, key: str) -> None:
        """Ask for a look now."""
        self.add_after(key, 0.0)

    def add_after(self, key: str, seconds: float) -> None:
        """Ask for a look `seconds` from now; an earlier wish for the same key stands."""
        due = self._monotonic() + max(0.0, seconds)
        with self._changed:
            if due < self._due.get(key, float("inf")):
                if key not in self._due:
                    self._on_add()
                self._due[key] = due
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

    def depth(self) -> int:
        """Return how many keys wait."""
        with self._changed:
            return len(self._due)
