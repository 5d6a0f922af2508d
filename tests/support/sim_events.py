"""Knows the simulated Engine's events: a ring of 256, and streams that end at their `until`.

It refuses to be better than the real one: older events are forgotten, and labels overwrite attributes.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from controller.engine import transport

RING = 256


class SimEvents:
    """All events of one Engine."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._ring: deque[tuple[float, dict[str, Any]]] = deque(maxlen=RING)
        self._changed = threading.Condition()
        self._number = 0
        self._cut = 0

    def publish(self, kind: str, action: str, actor_id: str, attributes: dict[str, str]) -> None:
        with self._changed:
            moment = self._clock().timestamp()
            self._number += 1
            actor = {"ID": actor_id, "Attributes": attributes}
            self._ring.append((moment, {"Type": kind, "Action": action, "Actor": actor, "n": self._number}))
            self._changed.notify_all()

    def cut(self) -> None:
        """End all streams as the death of the Engine does."""
        with self._changed:
            self._cut += 1
            self._changed.notify_all()

    def forget(self) -> None:
        """The ring is in memory only."""
        with self._changed:
            self._ring.clear()

    def stream(self, since: float, until: float, garbage: Callable[[], bool]) -> "SimStream":
        return SimStream(self, since, until, garbage)

    def read(self, stream: "SimStream") -> Iterator[transport.Row]:
        seen, cut = 0, self._cut
        while True:
            with self._changed:
                fresh = [(at, row) for at, row in self._ring if row["n"] > seen and at >= stream.since]
                if not fresh:
                    if stream.closed or self._clock().timestamp() >= stream.until:
                        return
                    if self._cut != cut:
                        raise transport.UnansweredError(transport.Silence.BROKEN, "the Engine went away")
                    self._changed.wait(0.02)
                    continue
            for at, row in fresh:
                seen = row["n"]
                if stream.garbage():
                    raise transport.UnansweredError(transport.Silence.BROKEN, "garbage in the stream")
                if at <= stream.until:
                    yield {key: value for key, value in row.items() if key != "n"}


class SimStream:
    """One subscriber."""

    def __init__(self, events: SimEvents, since: float, until: float, garbage: Callable[[], bool]) -> None:
        self.since, self.until, self.garbage = since, until, garbage
        self.closed = False
        self._events = events
        self.opened = time.monotonic()

    def __iter__(self) -> Iterator[transport.Row]:
        return self._events.read(self)

    def close(self) -> None:
        self.closed = True


class SimLines:
    """The lines of a pull."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows = rows

    def __iter__(self) -> Iterator[transport.Row]:
        return iter(self._rows)

    def close(self) -> None:
        """Nothing is open."""
