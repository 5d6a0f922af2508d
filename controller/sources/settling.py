"""When a file's content may be believed: pure memory of how it read before, without access to any file.

A half-written YAML file is usually valid YAML. So a reading counts only after it was the same in two looks
at least `settle` apart; a file that is written in place, instead of renamed into place, must also have been
quiet for 2 s. It refuses to look at what the content says.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Final, Generic

from controller.sources import loader
from controller.sources.loader import ModelT
from controller.sources.readings import Stamp

QUIET: Final = dt.timedelta(seconds=2)


@dataclasses.dataclass(frozen=True, slots=True)
class Track(Generic[ModelT]):
    """How one file has read so far.

    Attributes:
        stamp: of the last reading.
        digest: SHA-256 of the last reading's bytes, hex.
        since: first look at this reading.
        due: when a second, equal reading settles it.
        verdict: what the settled reading says; None while it settles.
        name: the last `metadata.name` that a settled reading of this file had, whatever it says now.
    """

    stamp: Stamp
    digest: str
    since: dt.datetime
    due: dt.datetime
    verdict: loader.Parsed[ModelT] | loader.Rejection | None
    name: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Look:
    """One reading of one file: stamp, SHA-256 (hex) and whether the text ends with the line `...`."""

    stamp: Stamp
    digest: str
    terminated: bool


def advance(
    before: Track[ModelT] | None, look: Look, now: dt.datetime, settle: dt.timedelta
) -> Track[ModelT]:
    """The track after one more reading; without a verdict, which the caller adds when it is due."""
    if before is None or before.digest != look.digest or now < before.since:
        return _begin(before, look, now, settle)
    if before.verdict is not None:
        return dataclasses.replace(before, stamp=look.stamp)
    if before.stamp != look.stamp:
        return _begin(before, look, now, settle)
    return before


def is_due(track: Track[ModelT], now: dt.datetime) -> bool:
    """Whether an unsettled track, just advanced by an equal reading, has settled."""
    return track.verdict is None and track.stamp.size >= 0 and track.due <= now and track.since < now


def conclude(track: Track[ModelT], verdict: loader.Parsed[ModelT] | loader.Rejection) -> Track[ModelT]:
    """The track with what its settled reading says."""
    return dataclasses.replace(track, verdict=verdict, name=verdict.name or track.name)


def _begin(before: Track[ModelT] | None, look: Look, now: dt.datetime, settle: dt.timedelta) -> Track[ModelT]:
    due = now + settle
    if _may_be_unfinished(before, look):
        changed = dt.datetime.fromtimestamp(look.stamp.ctime_ns / 1e9, tz=dt.UTC)
        due = max(due, min(changed, now) + QUIET)
    return Track(look.stamp, look.digest, now, due, None, before.name if before else None)


def _may_be_unfinished(before: Track[ModelT] | None, look: Look) -> bool:
    """Whether the content may have been written under this very name, so that more of it may follow.

    The same inode with other content was written in place; another inode was renamed over it. A name never
    seen before was renamed into place if the inode changed after its last write; and a text that is complete
    by its own word needs no waiting.
    """
    if before is not None:
        return (before.stamp.device, before.stamp.inode) == (look.stamp.device, look.stamp.inode)
    return look.stamp.ctime_ns <= look.stamp.mtime_ns and not look.terminated
