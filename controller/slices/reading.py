"""Reads the kernel's small files, again and again at little cost: each stays open from one look to the next.

Refuses to take a file that is not there for an empty one, and to keep open what a look did not ask for.
Opening costs ten times what reading does, and a look reads thousands of files. A kept file of a cgroup that
was removed says so at the next read, whatever has its name by then.
"""

import contextlib
import errno
import os
import resource
from collections.abc import Mapping
from typing import Final

_PAGE: Final = 4096
"""Most files that are read here are shorter, bytes."""
GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENODEV, errno.ESRCH})
"""How the kernel says that a file, its cgroup or its process is not there, or not any more."""
_ENOUGH: Final = 65536
"""Descriptors for a thousand slices and as many containers."""
_SPARED: Final = 512
"""So many descriptors are left to the rest of the program."""


class Reader:
    """Files that were read in the last look are still open; `begin` and `end` enclose a look. One thread.

    A process may open few files by habit and many by right: where it may, it takes the right.
    """

    def __init__(self) -> None:
        self._kept: dict[str, int] = {}
        self._before: dict[str, int] = {}
        self._most = 0

    def begin(self) -> None:
        """A look begins."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and soft < min(hard, _ENOUGH):
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, _ENOUGH), hard))
                soft = min(hard, _ENOUGH)
        self._most = soft - _SPARED
        self._before, self._kept = self._kept, {}

    def end(self) -> None:
        """The look is over: what it did not read is closed."""
        for descriptor in self._before.values():
            os.close(descriptor)
        self._before = {}

    def close(self) -> None:
        """Close all; it may be used again."""
        self.end()
        self._before, self._kept = self._kept, {}
        self.end()

    def files(self) -> tuple[str, ...]:
        """Return which are kept open."""
        return tuple(self._kept)

    def read(self, path: str) -> str | None:
        """Return what a file says, without space around it; None if it is not there.

        Raises:
            OSError: it is there and cannot be read.
        """
        descriptor = self._before.pop(path, None)
        if descriptor is None:
            descriptor = self._kept.get(path)
        else:
            self._kept[path] = descriptor
        if descriptor is None:
            return self._open(path)
        try:
            return _text(descriptor)
        except OSError:
            os.close(self._kept.pop(path))
            return self._open(path)

    def _open(self, path: str) -> str | None:
        if len(self._kept) + len(self._before) >= self._most:
            return read(path)
        descriptor = None
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            text = _text(descriptor)
        except OSError as error:
            if descriptor is not None:
                os.close(descriptor)
            if error.errno in GONE:
                return None
            raise
        self._kept[path] = descriptor
        return text


def read(path: str) -> str | None:
    """Return what a file says at this moment, without space around it; None if it is not there.

    Raises:
        OSError: it is there and cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return _text(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in GONE:
            return None
        raise


def _text(descriptor: int) -> str:
    found = os.pread(descriptor, _PAGE, 0)
    while found and len(found) % _PAGE == 0:
        more = os.pread(descriptor, _PAGE, len(found))
        if not more:
            break
        found += more
    return found.decode(errors="replace").strip()


def write(path: str, text: str) -> None:
    """Write one value into a file that exists.

    Raises:
        OSError: the kernel refuses it; it names the file.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error
    finally:
        os.close(descriptor)


def number(text: str | None) -> int | None:
    """Return a file's number; None for a file that is not there, or is no number."""
    return int(text) if text is not None and text.isdecimal() else None


def entry(text: str | None, name: str) -> int | None:
    """Return the number of one line `name number` of a long file; None where there is no such line."""
    _, found, rest = f"\n{text or ''}".partition(f"\n{name} ")
    return int(rest.split("\n", 1)[0]) if found else None


def table(text: str | None) -> Mapping[str, int]:
    """Return a file of lines `name number`, by name; other lines are left out."""
    words = (line.split() for line in (text or "").splitlines())
    return {line[0]: int(line[1]) for line in words if len(line) == 2 and line[1].isdecimal()}  # noqa: PLR2004
