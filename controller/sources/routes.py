"""The directory of the site's proxy: our documents there, written and removed whole or not at all.

It touches only files named `wharf-*.yaml`, and refuses to know what is in them and to make the directory.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from controller.api.conditions import Reason
from controller.model import errors
from controller.model.actions import RemoveRoute, WriteRoute
from controller.model.observed import Unseen

PREFIX, SUFFIX = "wharf-", ".yaml"
"""Between them is the name of a workspace."""
LARGEST: Final = 1024 * 1024
"""A file of more bytes is none of ours, whatever its name; it counts as an empty one."""
_UNFINISHED: Final = ".unfinished"
"""Ends the name of a file that is being written: the proxy reads only .yaml, .yml and .toml."""
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_WRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Directory:
    """Looks at one directory; a file that is as before is not read again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, tuple[tuple[int, ...], str]] = {}
        self._unseen: Unseen | None = None

    def observe(self, now: datetime) -> dict[str, str] | Unseen:
        """Return the text of each of our documents by file name; what is no document of ours is empty.

        A document that was left unfinished counts as an empty one, so that it is written anew or removed.
        """
        try:
            with _opened(self._path) as directory:
                found = self._look(directory)
        except OSError as error:
            since = self._unseen.since if self._unseen else now
            message = f"{self._path} cannot be read: {error.strerror}"
            self._unseen = Unseen(Reason.PROXY_UNAVAILABLE, message, since)
            return self._unseen
        self._unseen = None
        return found

    def _look(self, directory: int) -> dict[str, str]:
        names = os.listdir(directory)
        known = {name: self._document(directory, name) for name in names if _is_ours(name)}
        self._known = {name: found for name, found in known.items() if found is not None}
        unfinished = {finished for name in names if _is_ours(finished := _finished(name))}
        return dict.fromkeys(unfinished, "") | {name: text for name, (_, text) in self._known.items()}

    def _document(self, directory: int, name: str) -> tuple[tuple[int, ...], str] | None:
        """Its stamp and text; None if it went meanwhile."""
        with contextlib.suppress(FileNotFoundError):
            found = os.stat(name, dir_fd=directory, follow_symlinks=False)
            stamp = (found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_mode)
            known = self._known.get(name)
            if known is not None and known[0] == stamp:
                return known
            return stamp, _read(directory, name) or ""
        return None


def write_route(action: WriteRoute, path: Path) -> bool:
    """Put a document in place, mode 0644, by rename; True if it was there. Raises Retryable."""
    with _effect(path, action.file), _opened(path) as directory:
        unfinished = f".{action.file}{_UNFINISHED}"
        already = _read(directory, action.file) == action.text
        with contextlib.suppress(FileNotFoundError):
            os.unlink(unfinished, dir_fd=directory)
        if already:
            return True
        descriptor = os.open(unfinished, _WRITE, 0o644, dir_fd=directory)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(action.text.encode())
            stream.flush()
            os.fchmod(descriptor, 0o644)
            os.fsync(descriptor)
        os.rename(unfinished, action.file, src_dir_fd=directory, dst_dir_fd=directory)
        os.fsync(directory)
        return False


def remove_route(action: RemoveRoute, path: Path) -> bool:
    """Remove a document; True if it was gone. Raises Retryable."""
    with _effect(path, action.file), _opened(path) as directory:
        gone = True
        for name in (f".{action.file}{_UNFINISHED}", action.file):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=directory)
                gone = False
        os.fsync(directory)
        return gone


@contextlib.contextmanager
def _effect(path: Path, file: str) -> Iterator[None]:
    assert _is_ours(file), f"{file} is not ours"
    try:
        yield
    except OSError as error:
        message = f"{path}/{file} cannot be changed: {error.strerror}"
        raise errors.Retryable(Reason.PROXY_UNAVAILABLE, message) from error


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, _DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _read(directory: int, name: str) -> str | None:
    """Its text, or None where that cannot be had: it is not there, no plain file, too large or no text."""
    try:
        descriptor = os.open(name, _READ, dir_fd=directory)
    except OSError:
        return None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST:
            return None
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            return stream.read(LARGEST).decode()
    except (OSError, UnicodeDecodeError):
        return None
    finally:
        os.close(descriptor)


def _is_ours(name: str) -> bool:
    return name.startswith(PREFIX) and name.endswith(SUFFIX) and "/" not in name


def _finished(name: str) -> str:
    """Name that an unfinished document will have; empty if it is none."""
    return name[1:].removesuffix(_UNFINISHED) if name.startswith(".") and name.endswith(_UNFINISHED) else ""
