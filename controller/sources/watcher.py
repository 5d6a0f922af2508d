"""Says that something changed in a few directories, and nothing about what; the only door to watchfiles.

It refuses to carry content: names, kinds and order of changes are dropped, because they may be lost, doubled
or late. Events that are lost (a full queue, a network file system, a directory replaced by another) cost
only time: the periodic full scan finds what they would have told.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from typing import Final

import watchfiles

_DEBOUNCE_MS: Final = 50
_STEP_MS: Final = 10
_LOOK_MS: Final = 200
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0


class Watcher:
    """Watches directories in a thread of its own; calls `wake` within about 0.1 s of a change in one.

    Args:
        directories: says which are watched, without what lies in directories below them; they may be missing.
            It is asked several times a second, in the watcher's thread.
        wake: called without arguments, from the watcher's thread; it must not block.
        heartbeat: called several times a second while the thread lives.
    """

    def __init__(
        self,
        directories: Callable[[], Iterable[str]],
        wake: Callable[[], None],
        heartbeat: Callable[[], None],
    ) -> None:
        self._directories = directories
        self._wake = wake
        self._heartbeat = heartbeat
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spec-watcher", daemon=True)

    def start(self) -> None:
        """Begins to watch; to be called once."""
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> bool:
        """Ends the thread; whether it ended within `timeout` seconds."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stop.is_set():
            if self._watch():
                self._wake()
                pause = _FIRST_PAUSE
            self._rest(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _rest(self, seconds: float) -> None:
        """Waits before the next attempt, without missing a heartbeat."""
        left = seconds
        while left > 0 and not self._stop.is_set():
            self._heartbeat()
            self._stop.wait(min(left, _LOOK_MS / 1000))
            left -= _LOOK_MS / 1000

    def _watch(self) -> bool:
        """Watches until directories are others or the library gives up; whether it got that far."""
        identities = self._identities()
        present = [directory for directory, identity in identities.items() if identity is not None]
        if not present:
            return False
        has_begun = False
        try:
            for changes in watchfiles.watch(
                *present,
                watch_filter=None,
                debounce=_DEBOUNCE_MS,
                step=_STEP_MS,
                rust_timeout=_LOOK_MS,
                yield_on_timeout=True,
                stop_event=self._stop,
                recursive=False,
                raise_interrupt=False,
                ignore_permission_denied=True,
            ):
                self._heartbeat()
                if changes or not has_begun:  # what changed before the watch stood was told by nobody
                    self._wake()
                has_begun = True
                if self._identities() != identities:
                    return True
        except (OSError, RuntimeError, ValueError):
            # A vanished directory, no more inotify watches, or a file name that is not UTF-8, at which the
            # library gives up (WatchfilesRustInternalError, a RuntimeError): begin anew.
            return has_begun
        return has_begun

    def _identities(self) -> dict[str, tuple[int, int] | None]:
        return {directory: _identity(directory) for directory in self._directories()}


def _identity(directory: str) -> tuple[int, int] | None:
    try:
        found = os.stat(directory)  # noqa: PTH116 - paths are plain text in this room
    except OSError:
        return None
    return found.st_dev, found.st_ino
