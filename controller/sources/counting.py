"""Knows how many bytes lie below a directory and in a log: walked slowly, as du(1) counts.

Refuses to follow links, to leave the file system that it began on, and to go on after its deadline. A walk
takes a hundredth of a processor at the most; whoever waits for it waits long.
"""

import os
import stat
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final, Protocol

LONGEST: Final = timedelta(hours=1)
"""A walk that takes longer is given up."""
SHARE: Final = 0.01
"""Of one processor."""
_BLOCK: Final = 512
"""st_blocks counts these, whatever the file system's own blocks are: stat(2)."""
_STEP: Final = 200
"""Entries between two looks at the clocks."""


class Clocks(Protocol):
    """Seconds that go by, and seconds that this thread computed; `rest` returns True to end the walk."""

    def elapsed(self) -> float:
        """Seconds by a clock that never goes back."""

    def used(self) -> float:
        """Seconds of processor time of this thread."""

    def rest(self, seconds: float) -> bool:
        """Wait; True if it is time to end."""


class GivenUpError(Exception):
    """The bytes are not known; the message says why."""


def below(directory: str, clocks: Clocks, longest: timedelta = LONGEST) -> int:
    """Bytes that the directory and all below it take on their file system; hard links count once.

    Raises:
        GivenUpError: it took too long, it cannot be read, or it was to end.
    """
    pace = _Pace(clocks, longest)
    linked: set[int] = set()
    try:
        top = Path(directory).lstat()
        total, waiting = top.st_blocks * _BLOCK, [directory]
        if not stat.S_ISDIR(top.st_mode):
            raise GivenUpError(f"{directory} is no directory")
        while waiting:
            for path, found in _entries(waiting.pop(), pace.step):
                if found.st_dev != top.st_dev or (found.st_nlink > 1 and _is_known(found, linked)):
                    continue
                total += found.st_blocks * _BLOCK
                if stat.S_ISDIR(found.st_mode):
                    waiting.append(path)
    except OSError as error:
        raise GivenUpError(f"{error.filename}: {error.strerror}") from error
    return total


def _is_known(found: os.stat_result, linked: set[int]) -> bool:
    """Tell whether a file was counted under another name."""
    if stat.S_ISDIR(found.st_mode):
        return False
    known = found.st_ino in linked
    linked.add(found.st_ino)
    return known


def _entries(directory: str, step: Callable[[], None]) -> Iterator[tuple[str, os.stat_result]]:
    """What lies in a directory, unless it went meanwhile or became a link."""
    try:
        opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        with os.scandir(opened) as found:
            for entry in found:
                step()
                try:
                    yield f"{directory}/{entry.name}", entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
    finally:
        os.close(opened)


class _Pace:
    """Rests as long as it takes to have used no more than the share."""

    def __init__(self, clocks: Clocks, longest: timedelta) -> None:
        self._clocks = clocks
        self._longest = longest.total_seconds()
        self._began, self._used = clocks.elapsed(), clocks.used()
        self._steps = 0

    def step(self) -> None:
        """One entry was looked at."""
        self._steps += 1
        if self._steps % _STEP:
            return
        elapsed = self._clocks.elapsed() - self._began
        if elapsed > self._longest:
            raise GivenUpError(f"it could not be counted within {self._longest / 60:.0f} minutes")
        ahead = (self._clocks.used() - self._used) / SHARE - elapsed
        if ahead > 0 and self._clocks.rest(ahead):
            raise GivenUpError("the controller ended")


def of_log(path: str) -> int:
    """Bytes of a container's log, with the files that were rotated away from its name.

    Raises:
        GivenUpError: there is no such file on this host.
    """
    file = Path(path)
    if not path:
        raise GivenUpError("its log is kept in no file")
    try:
        sizes = [
            one.lstat().st_blocks * _BLOCK for one in file.parent.iterdir() if _is_of(one.name, file.name)
        ]
    except OSError as error:
        raise GivenUpError(f"{error.filename}: {error.strerror}") from error
    if not sizes:
        raise GivenUpError(f"{path} is not there")
    return sum(sizes)


def _is_of(name: str, log: str) -> bool:
    return name == log or name.startswith(f"{log}.")
