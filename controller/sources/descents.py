"""Walks down a path one component at a time, holding each directory open, so that no link can lead elsewhere.

It knows who may write where; it refuses to follow a symbolic link, to take `..`, and to decide what a path
is for.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

_WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH
_DIRECTORY: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class UnsafeError(Exception):
    """A directory on the way is none, or others than root can change it; says which, and the cure."""


class MissingError(Exception):
    """A component of the path does not exist; carries its full path and how many components were found."""

    def __init__(self, path: str, depth: int) -> None:
        super().__init__(f"{path} does not exist")
        self.path = path
        self.depth = depth


def components(path: str) -> tuple[str, ...]:
    """The names in a relative path; raises UnsafeError for an empty one, `.` and `..`."""
    parts = tuple(path.split("/"))
    if any(part in {"", ".", ".."} for part in parts):
        raise UnsafeError(f"{path} is not a plain path; write it without '..', '.' and '//'")
    return parts


@contextmanager
def open_parent(base: str, parts: Sequence[str]) -> Iterator[int]:
    """A descriptor (O_PATH) of the directory reached from `base` through `parts`, each safe, `base` included.

    Raises MissingError, UnsafeError, and OSError for what else the kernel says. `base` itself may be reached
    through links: whoever configures it vouches for what lies above it.
    """
    path = base
    try:
        descriptor = os.open(base, _DIRECTORY)
    except FileNotFoundError as error:
        raise MissingError(base, 0) from error
    except NotADirectoryError as error:
        raise UnsafeError(f"{base} is not a directory; links are not followed") from error
    try:
        _require_safe(descriptor, path)
        for depth, part in enumerate(parts):
            path = f"{path.rstrip('/')}/{part}"
            following = _step(descriptor, part, path, depth)
            os.close(descriptor)
            descriptor = following
            _require_safe(descriptor, path)
        yield descriptor
    finally:
        os.close(descriptor)


def _step(descriptor: int, part: str, path: str, depth: int) -> int:
    try:
        return os.open(part, _DIRECTORY, dir_fd=descriptor)
    except FileNotFoundError as error:
        raise MissingError(path, depth + 1) from error
    except NotADirectoryError as error:
        raise UnsafeError(f"{path} is a link or a file; only plain directories are followed") from error


def _require_safe(descriptor: int, path: str) -> None:
    """Raises UnsafeError unless the directory is root's (or our own) and writable by its owner alone."""
    found = os.fstat(descriptor)
    if found.st_uid not in {0, os.geteuid()}:
        raise UnsafeError(
            f"{path} belongs to uid {found.st_uid}, who could put a link in its place; run: chown root {path}"
        )
    if found.st_mode & _WRITABLE_BY_OTHERS:
        mode = stat.S_IMODE(found.st_mode)
        raise UnsafeError(f"{path} is writable by others (mode {mode:04o}); run: chmod go-w {path}")
