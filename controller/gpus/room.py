"""Keeps a view of the GPUs that is a few seconds old at most, and says when it changed.

Refuses to keep anybody waiting: it looks in a thread of its own, and tells what was seen last. What was seen
too long ago is Unseen.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from controller.api.conditions import Reason
from controller.model.gpus import Access, GpuView
from controller.model.observed import NO_GPUS, Seen, Unseen

EVERY: Final = 5.0
"""Seconds between two looks; a device that reports something is looked at once."""
SOONEST: Final = 1.0
"""Seconds between the beginnings of two looks, however much is reported."""
FRESH: Final = timedelta(seconds=30)
"""A view that is older is Unseen."""
_RESTS: Final = (5.0, 10.0, 20.0, 40.0, 60.0)
"""Seconds after so many looks in a row that failed."""
_UNCONNECTED: Final = 15.0
"""Seconds between looks that each begin a process."""

_NOT_YET: Final = Unseen(Reason.NOT_SEEN, "the GPUs were not looked at yet", datetime.min.replace(tzinfo=UTC))


class Looker(Protocol):
    """Who looks; see `looker.Looker`."""

    def absent(self) -> bool:
        """Whether there is no GPU here."""

    @property
    def connected(self) -> bool:
        """Whether another look is cheap."""

    def look(self, wait: float) -> GpuView | Unseen:
        """Wait up to `wait` seconds for something to happen, then look."""

    def interrupt(self) -> None:
        """End a look that is under way; called from another thread."""

    def close(self) -> None:
        """Leave nothing behind."""


class Canary(Protocol):
    """Who tries whether containers can still open their devices."""

    def start(self) -> None:
        """Begin to try."""

    def stop(self) -> None:
        """End."""

    def watch(self, running: Mapping[str, int]) -> None:
        """From now on try these: pid by full id."""

    def access(self) -> Mapping[str, Access]:
        """Return what was found last."""


class Room:
    """The GPUs of a host. `observe` may be called from any thread.

    Attributes of construction:
        looker: is asked in the room's own thread, but for `absent` and `interrupt`.
        clock: the time of day.
        on_change: what counts is different than before; called in the room's thread.
        heartbeat: called at each look.
        canary: is asked whenever the room is; None: nobody tries.
    """

    def __init__(
        self,
        looker: Looker,
        clock: Callable[[], datetime],
        on_change: Callable[[], None],
        heartbeat: Callable[[], None],
        canary: Canary | None = None,
    ) -> None:
        self._looker = looker
        self._clock = clock
        self._on_change = on_change
        self._heartbeat = heartbeat
        self._canary = canary
        self._end = threading.Event()
        self._changed = threading.Condition()
        self._view: Seen[GpuView] | Unseen = NO_GPUS if looker.absent() else _NOT_YET
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name="gpus", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()
        if self._canary is not None:
            self._canary.start()

    def stop(self) -> None:
        """End; whoever looks at the moment is not waited for."""
        self._end.set()
        if self._thread.is_alive():
            self._looker.interrupt()
        else:
            self._looker.close()
        if self._canary is not None:
            self._canary.stop()

    def observe(self, running: Mapping[str, int], now: datetime) -> Seen[GpuView] | Unseen:
        """Return the latest look; `running` are our running containers with devices: pid by full id."""
        with self._changed:
            found = self._view
        if self._canary is not None:
            self._canary.watch(running)
        if isinstance(found, Unseen) or found is NO_GPUS:
            return found
        if abs(now - found.at) > FRESH:
            words = f"the GPUs were looked at last at {found.at:%H:%M:%S}"
            return Unseen(Reason.NOT_SEEN, words, found.at)
        return self._with_access(found)

    @property
    def any(self) -> bool:
        """Whether there are GPUs, or that cannot be told."""
        return isinstance(self._view, Unseen) or bool(self._view.value.devices)

    def wait(self, seconds: float) -> None:
        """Wait until they were looked at once, whatever was seen, but not longer."""
        with self._changed:
            self._changed.wait_for(lambda: self._view is not _NOT_YET, seconds)

    def look(self) -> None:
        """Look once in the caller's thread: at once if it is the first look, else when `EVERY` is over."""
        if not self._looker.connected and self._looker.absent():
            self._take(NO_GPUS)
            return
        found = self._looker.look(0.0 if self._view is _NOT_YET else EVERY)
        if not isinstance(found, Unseen):
            self._failures = 0
            self._take(Seen(found, self._clock()))
            return
        self._failures += 1
        before = self._view
        if isinstance(before, Unseen) and before is not _NOT_YET:
            found = replace(found, since=before.since)
        self._take(found)

    def _take(self, found: Seen[GpuView] | Unseen) -> None:
        with self._changed:
            before, self._view = self._view, found
            self._changed.notify_all()
        if _what_counts(before) != _what_counts(found) and not self._end.is_set():
            self._on_change()

    def _run(self) -> None:
        while not self._end.is_set():
            self._heartbeat()
            begin = time.monotonic()
            self.look()
            self._end.wait(max(self._rest(), begin + SOONEST - time.monotonic()))
        self._looker.close()

    def _rest(self) -> float:
        """Seconds until the next look."""
        if self._view is NO_GPUS:
            return EVERY
        if self._failures:
            return _RESTS[min(self._failures, len(_RESTS)) - 1]
        return 0.0 if self._looker.connected else _UNCONNECTED

    def _with_access(self, found: Seen[GpuView]) -> Seen[GpuView]:
        access = self._canary.access() if self._canary is not None else {}
        return Seen(replace(found.value, access=access), found.at) if access else found


def _what_counts(view: Seen[GpuView] | Unseen) -> tuple[object, ...]:
    """That of a view which a pass should hear of at once; how much a device does is not."""
    if isinstance(view, Unseen):
        return view.reason, view.message
    seen = view.value
    users = seen.processes
    return (
        tuple(seen.devices.values()),
        None if users is None else {(one.device, one.pid, one.container_id, one.graphics) for one in users},
        frozenset((one.uuid, one.ailment, one.message, one.at) for one in seen.troubles if not one.lasts),
        frozenset((one.uuid, one.ailment, one.message) for one in seen.troubles if one.lasts),
        (seen.driver, seen.library, seen.mismatch),
    )
