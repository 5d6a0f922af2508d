"""The spec directory as its files say now: which specs are valid, settling, rejected or no specs at all.

Each look is a full scan; nothing is remembered that the next scan could not find again. It refuses to take
a directory that is missing, unreadable or replaced for an empty one, and to prefer one of two files with one
name. What was accepted before is the ledger's to know.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import pathlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from controller.api.conditions import Reason
from controller.api.workspace import Workspace
from controller.model.desired import Finding, RejectedFile, SpecFile, SpecScan
from controller.model.observed import Seen, Unseen
from controller.sources import files, findings, loader, readings, settling

_Track: TypeAlias = settling.Track[Workspace]
_JUDGE = files.document(Workspace)


@dataclasses.dataclass(frozen=True, slots=True)
class Memory:
    """All that is kept between two scans.

    Attributes:
        identity: device and inode of the directory.
        tracks: how each file has read so far, by its name.
        unseen_since: first look since which the directory could not be read.
    """

    identity: tuple[int, int] | None = None
    tracks: Mapping[str, _Track] = dataclasses.field(default_factory=dict)
    unseen_since: dt.datetime | None = None


@dataclasses.dataclass(slots=True)
class _Harvest:
    """What one scan found; `kept` are the tracks of files that could not be used this time."""

    tracks: dict[str, _Track] = dataclasses.field(default_factory=dict)
    kept: dict[str, _Track] = dataclasses.field(default_factory=dict)
    unreadable: list[RejectedFile] = dataclasses.field(default_factory=list)
    ignored: list[tuple[str, str]] = dataclasses.field(default_factory=list)

    def add_unusable(self, name: str, why: readings.NotReadable, before: _Track | None) -> None:
        """Notes a file that is no plain file, or that could not be read."""
        if before is not None:
            self.kept[name] = before
        if why.is_foreign:
            self.ignored.append((name, why.message))
            return
        known = before.name if before else None
        finding = findings.of_file(name, f"the file {why.message}")
        self.unreadable.append(RejectedFile(name, known, Reason.SPEC_REJECTED, (finding,)))


class SpecDirectory:
    """Looks at one directory of `Workspace` files.

    `path` is followed if it is a link; nothing below it is. `settle` is the time between two equal readings.
    """

    def __init__(self, path: str, settle: dt.timedelta) -> None:
        self.path = path
        self.memory = Memory()
        self._settle = settle

    def observe(self, now: dt.datetime) -> Seen[SpecScan] | Unseen:
        """One full scan.

        `Unseen(SpecsUnreadable)` where the directory is missing, cannot be read, or is another one than at
        the last look; that one look is spent on saying so, and later scans carry the new identity. Never
        raises OSError.
        """
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            return self._unseen(f"{self.path} cannot be opened: {error.strerror}", now)
        try:
            return self._scan(descriptor, now)
        except OSError as error:
            return self._unseen(f"{self.path} cannot be read: {error.strerror}", now)
        finally:
            os.close(descriptor)

    def _scan(self, descriptor: int, now: dt.datetime) -> Seen[SpecScan] | Unseen:
        identity = _identity(os.fstat(descriptor))
        before = self.memory.identity
        if before is not None and before != identity:
            self.memory = dataclasses.replace(self.memory, identity=identity)
            change = f"device {before[0]}, inode {before[1]} became device {identity[0]}, inode {identity[1]}"
            return self._unseen(f"{self.path} was replaced by another directory: {change}", now)
        harvest = self._gather(descriptor, now)
        if _identity(pathlib.Path(self.path).stat()) != identity:
            return self._unseen(f"{self.path} was replaced while it was read", now)
        self.memory = Memory(identity, harvest.kept | harvest.tracks)
        return Seen(_tell(identity, harvest), now)

    def _gather(self, descriptor: int, now: dt.datetime) -> _Harvest:
        """One look at every file; raises OSError where the directory itself cannot be read."""
        harvest = _Harvest()
        for name in sorted(os.listdir(descriptor)):
            if not readings.is_spec_name(name):
                if not readings.is_leftover(name):
                    harvest.ignored.append(
                        (readings.shown(name), "its name is not like name.yaml in lower case")
                    )
                continue
            before = self.memory.tracks.get(name)
            track = files.observe(files.Place(descriptor, name, name), before, _JUDGE, now, self._settle)
            if isinstance(track, settling.Track):
                harvest.tracks[name] = track
            elif track is not None:
                harvest.add_unusable(name, track, before)
        return harvest

    def _unseen(self, message: str, now: dt.datetime) -> Unseen:
        since = self.memory.unseen_since or now
        self.memory = dataclasses.replace(self.memory, unseen_since=since)
        return Unseen(Reason.SPECS_UNREADABLE, message, since)


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _tell(identity: tuple[int, int], harvest: _Harvest) -> SpecScan:
    """The scan in the words of the model; valid files that share a name are rejected together."""
    rejected = list(harvest.unreadable)
    claims: dict[str, list[SpecFile]] = defaultdict(list)
    places: dict[str, findings.Position] = {}
    waiting: dict[str, dt.datetime] = {}
    for name, track in harvest.tracks.items():
        match track.verdict:
            case None:
                waiting[name] = track.due
            case loader.Rejection() as bad:
                rejected.append(
                    RejectedFile(name, bad.name or track.name, Reason.SPEC_REJECTED, bad.findings)
                )
            case loader.Parsed() as good:
                spec = SpecFile(name, good.value, track.digest, good.terminated, track.since, good.lines)
                claims[good.value.metadata.name].append(spec)
                places[name] = good.place
    valid = {name: specs[0] for name, specs in claims.items() if len(specs) == 1}
    for name, specs in claims.items():
        if len(specs) > 1:
            rejected.extend(_conflict(spec, name, specs, places[spec.file]) for spec in specs)
    return SpecScan(
        identity,
        valid,
        tuple(rejected),
        tuple(waiting),
        tuple(harvest.ignored),
        min(waiting.values(), default=None),
    )


def _conflict(spec: SpecFile, name: str, specs: Iterable[SpecFile], place: findings.Position) -> RejectedFile:
    others = ", ".join(other.file for other in specs if other is not spec)
    message = f'the name "{name}" is also claimed by {others}; remove one of the files'
    finding = Finding(spec.file, place.line, place.column, "metadata.name", message)
    return RejectedFile(spec.file, name, Reason.SPEC_CONFLICT, (finding,))
