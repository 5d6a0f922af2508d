"""One file at a time, from look to verdict; and single documents such as the policy and the catalog.

It refuses to parse what has not settled, and parses nothing twice that has not changed.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import os
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeAlias

from controller.sources import findings, loader, positions, readings, settling
from controller.sources.loader import ModelT

Judge: TypeAlias = "Callable[[bytes, str], loader.Parsed[ModelT] | loader.Rejection]"
"""What a text says that is called so in findings."""


class Place(NamedTuple):
    """A file: an open directory, its name there, how findings call it, and how many bytes of it are read."""

    directory: int
    name: str
    title: str
    limit: int = positions.MAX_BYTES


def observe(
    place: Place,
    before: settling.Track[ModelT] | None,
    judge: Judge[ModelT],
    now: dt.datetime,
    settle: dt.timedelta,
) -> settling.Track[ModelT] | readings.NotReadable | None:
    """How a file has read so far, this look included; None where there is no such file."""
    stamp = readings.look(place.directory, place.name)
    if not isinstance(stamp, readings.Stamp):
        return stamp
    if before is not None and before.verdict is not None and before.stamp == stamp:
        return before
    reading = readings.read(place.directory, place.name, place.limit)
    if not isinstance(reading, readings.Reading):
        return reading
    text = reading.text
    digest = hashlib.sha256(text if text is not None else b"too large").hexdigest()
    terminated = text is not None and positions.ends_explicitly(text)
    track = settling.advance(before, settling.Look(reading.stamp, digest, terminated), now, settle)
    if not settling.is_due(track, now):
        return track
    if text is None:
        verdict: loader.Parsed[ModelT] | loader.Rejection = _too_large(place, reading.stamp.size)
    else:
        verdict = judge(text, place.title)
    return settling.conclude(track, verdict)


def document(model: type[ModelT]) -> Judge[ModelT]:
    """What tells whether a text is a valid document of a kind."""
    return lambda text, title: loader.parse_document(text, title, model)


def _too_large(place: Place, size: int) -> loader.Rejection:
    message = f"the file has {size} bytes; at most {place.limit} ({place.limit // 1024} KiB) are read"
    return loader.Rejection(place.title, (findings.of_file(place.title, message),))


@dataclasses.dataclass(frozen=True, slots=True)
class Absent:
    """There is no such file, in a directory that could be read."""


@dataclasses.dataclass(frozen=True, slots=True)
class Settling:
    """The file is there, but must read the same once more at `due` before it counts."""

    due: dt.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class Settled(Generic[ModelT]):
    """A valid file that reads the same since `since`; `digest` is the SHA-256 of its bytes, hex."""

    parsed: loader.Parsed[ModelT]
    digest: str
    since: dt.datetime


DocumentState: TypeAlias = "Absent | Settling | Settled[ModelT] | loader.Rejection"


class DocumentFile(Generic[ModelT]):
    """Looks at one file that `judge` understands, by the same rules as a spec; `limit` is in bytes.

    A file that is a link or cannot be read is a rejection, and so is one in a directory that cannot be
    opened: only a file that is certainly not there is `Absent`.
    """

    def __init__(
        self, path: str, settle: dt.timedelta, judge: Judge[ModelT], limit: int = positions.MAX_BYTES
    ) -> None:
        self.path = path
        self._settle = settle
        self._judge = judge
        self._limit = limit
        self._track: settling.Track[ModelT] | None = None

    def observe(self, now: dt.datetime) -> DocumentState[ModelT]:
        """What the file says now. Never raises OSError."""
        directory, name = os.path.split(self.path)
        try:
            descriptor = os.open(directory or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            return self._rejection(f"its directory cannot be opened: {error.strerror}")
        try:
            place = Place(descriptor, name, self.path, self._limit)
            track = observe(place, self._track, self._judge, now, self._settle)
        finally:
            os.close(descriptor)
        return self._conclude(track)

    def _conclude(self, track: settling.Track[ModelT] | readings.NotReadable | None) -> DocumentState[ModelT]:
        if track is None:
            self._track = None
            return Absent()
        if isinstance(track, readings.NotReadable):
            return self._rejection(f"the file cannot be used: {track.message}")
        self._track = track
        if track.verdict is None:
            return Settling(track.due)
        if isinstance(track.verdict, loader.Rejection):
            return track.verdict
        return Settled(track.verdict, track.digest, track.since)

    def _rejection(self, message: str) -> loader.Rejection:
        return loader.Rejection(self.path, (findings.of_file(self.path, message),))
