"""Reads one file below an open directory, safely: no links, no devices, nothing large, nothing that blocks.

It says what the file is and holds; it refuses to say what that means.
"""

from __future__ import annotations

import dataclasses
import os
import re
import stat
from typing import Final, NamedTuple

from controller.sources import positions

_SPEC_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*\.ya?ml")
_LEFTOVER = re.compile(r".*~|\..*\.sw[a-z]|\.#.*|#.*#|4913|.*\.(?:swp|swo|tmp|bak)", re.DOTALL)
_OPEN_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


class Stamp(NamedTuple):
    """What the kernel says of a file without reading it; times in nanoseconds since the epoch."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """A regular file as it was read. `text` is None where it is larger than a spec may be."""

    stamp: Stamp
    text: bytes | None


@dataclasses.dataclass(frozen=True, slots=True)
class NotReadable:
    """Why a file cannot be a spec (`is_foreign`: it is not a plain file at all), in words."""

    message: str
    is_foreign: bool


def is_spec_name(name: str) -> bool:
    """Whether a file of this name is looked into."""
    return _SPEC_NAME.fullmatch(name) is not None


def is_leftover(name: str) -> bool:
    """Whether a name is one that editors leave behind while they save."""
    return _LEFTOVER.fullmatch(name) is not None


def shown(name: str) -> str:
    r"""A file name fit for messages; bytes that are not UTF-8 appear as `\xNN`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def look(directory: int, name: str) -> Stamp | NotReadable | None:
    """A file's stamp without opening it, None where there is no such file."""
    try:
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        return NotReadable(f"cannot be looked at: {error.strerror}", is_foreign=False)
    return _stamp(found)


def read(directory: int, name: str, limit: int = positions.MAX_BYTES) -> Reading | NotReadable | None:
    """A file's content with the stamp that it had before and after, None where there is no such file.

    Of a file of more than `limit` bytes nothing is read.

    A file that changed while it was read gets an impossible stamp, so that no second reading equals it.
    """
    try:
        descriptor = os.open(name, _OPEN_FLAGS, dir_fd=directory)
    except FileNotFoundError:
        return None
    except OSError as error:
        return NotReadable(f"cannot be opened: {error.strerror}", is_foreign=False)
    try:
        return _read_open(descriptor, limit)
    except OSError as error:
        return NotReadable(f"cannot be read: {error.strerror}", is_foreign=False)
    finally:
        os.close(descriptor)


def _read_open(descriptor: int, limit: int) -> Reading | NotReadable:
    before = _stamp(os.fstat(descriptor))
    if isinstance(before, NotReadable):
        return before
    if before.size > limit:
        return Reading(before, None)
    text = b""
    while len(text) <= before.size and (chunk := os.read(descriptor, limit + 1)):
        text += chunk
    is_same = _stamp(os.fstat(descriptor)) == before and len(text) == before.size
    return Reading(before if is_same else before._replace(size=-1), text)


def _stamp(found: os.stat_result) -> Stamp | NotReadable:
    if not stat.S_ISREG(found.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "not a regular file"
        return NotReadable(f"it is {kind}", is_foreign=True)
    if found.st_nlink > 1:
        return NotReadable("it has a second name (hard link)", is_foreign=True)
    return Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
