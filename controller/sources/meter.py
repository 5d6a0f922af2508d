"""Knows how many bytes each workspace takes, measured one after another in a thread of its own, slowly.

Refuses to keep anybody waiting: it tells what it measured last, and when. Layers are the Engine's to count,
which costs it time; so after each the meter rests a hundred times as long.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from controller.model import errors
from controller.model.sizes import Measured, Size, Unmeasured, Usage, Wanted
from controller.sources import counting

LAYERS_EVERY: Final = timedelta(minutes=10)
"""A container is measured at most this often."""
HOMES_EVERY: Final = timedelta(hours=6)
"""A home is measured at most this often."""
RESTS: Final = 99.0
"""Times the length of a question to the Engine."""
LEAST_REST, LONGEST_REST = 1.0, 600.0
"""Seconds between two measurements."""
_LOWEST_PRIORITY: Final = 19

Ask = Callable[[str], tuple[int, str] | None]
"""Bytes of a container's writable layer and the path of its log; None if there is no such container.

It may raise `errors.EffectError`.
"""


class Meter:
    """Measures what `observe` was last asked for. `observe` may be called from any thread."""

    def __init__(self, ask: Ask, clock: Callable[[], datetime]) -> None:
        self._ask = ask
        self._clock = clock
        self._lock = threading.Lock()
        self._wanted: Mapping[str, Wanted] = {}
        self._layers: dict[str, tuple[Size, Size, datetime]] = {}  # layer, log and when, by container id
        self._homes: dict[str, tuple[Size, datetime]] = {}  # by path
        self._begun: datetime | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="meter", daemon=True)

    def start(self) -> None:
        """Begin to measure."""
        self._thread.start()

    def stop(self) -> None:
        """End; what is under way is given up, but for a question that the Engine has not answered."""
        self._end.set()

    def observe(self, wanted: Mapping[str, Wanted], now: datetime) -> Mapping[str, Usage]:
        """Return what is known of these workspaces, and measure them and no others from now on."""
        with self._lock:
            self._wanted = wanted
            self._begun = self._begun or now
            ids, homes = {one.container_id for one in wanted.values()}, {one.home for one in wanted.values()}
            self._layers = {key: value for key, value in self._layers.items() if key in ids}
            self._homes = {key: value for key, value in self._homes.items() if key in homes}
            none = Unmeasured("not measured yet", self._begun)
            return {name: self._known(one, none) for name, one in wanted.items()}

    def _known(self, wanted: Wanted, none: Unmeasured) -> Usage:
        layer, log, _ = self._layers.get(wanted.container_id, (none, none, None))
        home = self._homes[wanted.home][0] if wanted.home in self._homes else none
        return Usage(layer, log, home if wanted.home else None, wanted.home)

    # measuring

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST_PRIORITY)
        rest = LEAST_REST
        while not self._end.wait(rest):
            began = time.monotonic()
            asked = self.measure()
            rest = min(max(LEAST_REST, RESTS * (time.monotonic() - began) if asked else 0.0), LONGEST_REST)

    def measure(self) -> bool:
        """Measure what is due for the longest time, if anything is; True if the Engine was asked."""
        now = self._clock()
        with self._lock:
            containers = {one.container_id for one in self._wanted.values() if one.container_id}
            homes = {one.home for one in self._wanted.values() if one.home}
            layers_at = {key: at for key, (_, _, at) in self._layers.items()}
            homes_at = {key: at for key, (_, at) in self._homes.items()}
        container = _most_due(containers, layers_at, LAYERS_EVERY, now)
        if container is not None:
            self._measure_container(container, now)
            return True
        home = _most_due(homes, homes_at, HOMES_EVERY, now)
        if home is not None:
            found = self._home(home, now)
            with self._lock:
                self._homes[home] = (found, now)
        return False

    def _measure_container(self, container_id: str, now: datetime) -> None:
        layer: Size
        log: Size
        try:
            answer = self._ask(container_id)
        except errors.EffectError as error:
            layer = log = Unmeasured(error.message, now)
        else:
            if answer is None:
                layer = log = Unmeasured("the container is gone", now)
            else:
                layer, log = Measured(answer[0], now), _log(answer[1], now)
        with self._lock:
            before = self._layers.get(container_id)
            layer = _since_first(before[0], layer) if before else layer
            log = _since_first(before[1], log) if before else log
            self._layers[container_id] = (layer, log, now)

    def _home(self, path: str, now: datetime) -> Size:
        try:
            return Measured(counting.below(path, _Clocks(self._end)), now)
        except counting.GivenUpError as error:
            return Unmeasured(str(error), now)


class _Clocks:
    """The clocks of this thread."""

    def __init__(self, end: threading.Event) -> None:
        self._end = end

    def elapsed(self) -> float:
        return time.monotonic()

    def used(self) -> float:
        return time.thread_time()

    def rest(self, seconds: float) -> bool:
        return self._end.wait(seconds)


def _log(path: str, now: datetime) -> Size:
    try:
        return Measured(counting.of_log(path), now)
    except counting.GivenUpError as error:
        return Unmeasured(str(error), now)


def _since_first(before: Size, now: Size) -> Size:
    """What cannot be seen has been so since it was first not seen."""
    if isinstance(before, Unmeasured) and isinstance(now, Unmeasured) and before.message == now.message:
        return replace(now, since=before.since)
    return now


def _most_due(
    keys: set[str], measured: Mapping[str, datetime], every: timedelta, now: datetime
) -> str | None:
    """What was never measured, else what was longest ago, if that is long enough, or in the future."""
    new = sorted(keys - measured.keys())
    if new:
        return new[0]
    due = [key for key in keys if not timedelta(0) <= now - measured[key] < every]
    return min(due, key=lambda key: (measured[key], key), default=None)
