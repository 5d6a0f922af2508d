"""Knows a file system in memory that stands in for `os` where specs and policy are read.

It refuses to parse anything: what its files mean is for the real readers, which run on it unchanged.
"""

import contextlib
import itertools
import os
import pathlib
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from unittest import mock

from controller.sources import directory, files, readings

ROOT = "/simulated"
SPECS = f"{ROOT}/specs"
POLICY = f"{ROOT}/policy.yaml"
CATALOG = f"{ROOT}/images.yaml"
_FIRST_DESCRIPTOR = 1 << 20
_BEFORE_THE_RENAME = 1_000_000
"""Nanoseconds between the last write of a file and its renaming into place."""


@dataclass
class File:
    """A regular file; times in nanoseconds since the epoch."""

    inode: int
    text: bytes
    mtime_ns: int
    ctime_ns: int

    def stat(self) -> Any:  # noqa: ANN401 - as much of `os.stat_result` as is read
        return SimpleNamespace(
            st_dev=1,
            st_ino=self.inode,
            st_size=len(self.text),
            st_mtime_ns=self.mtime_ns,
            st_ctime_ns=self.ctime_ns,
            st_mode=stat.S_IFREG | 0o644,
            st_nlink=1,
        )


@dataclass
class Folder:
    """A directory."""

    inode: int
    files: dict[str, File] = field(default_factory=dict)

    def stat(self) -> Any:  # noqa: ANN401 - likewise
        return SimpleNamespace(st_dev=1, st_ino=self.inode, st_mode=stat.S_IFDIR | 0o755)


class FileSystem:
    """Two folders: one of specs, and the one above it that holds the policy.

    Attributes:
        unreadable: every look at the folder of specs fails.
    """

    def __init__(self) -> None:
        self.unreadable = False
        self._inodes = itertools.count(100)
        self.top = Folder(next(self._inodes))
        self.specs: Folder | None = Folder(next(self._inodes))
        self._open: dict[int, Folder | File] = {}
        self._descriptors = itertools.count(_FIRST_DESCRIPTOR)

    # what people do

    def rename_into_place(self, path: str, text: bytes, now_ns: int) -> None:
        """As careful tools write: another inode under the same name."""
        self._folder(path).files[os.path.basename(path)] = File(  # noqa: PTH119 - names, not files
            next(self._inodes), text, now_ns - _BEFORE_THE_RENAME, now_ns
        )

    def write_in_place(self, path: str, text: bytes, now_ns: int) -> None:
        """As careless tools write: the same inode with other bytes."""
        folder, name = self._folder(path), os.path.basename(path)  # noqa: PTH119 - likewise
        before = folder.files.get(name)
        inode = before.inode if before else next(self._inodes)
        folder.files[name] = File(inode, text, now_ns, now_ns)

    def remove(self, path: str) -> None:
        self._folder(path).files.pop(os.path.basename(path), None)  # noqa: PTH119 - likewise

    def replace_specs(self, *, with_files: bool) -> None:
        """Another directory has the name, with the same files or with none."""
        before = self.specs.files if self.specs else {}
        self.specs = Folder(next(self._inodes), dict(before) if with_files else {})

    def names(self) -> list[str]:
        """Files of specs, sorted."""
        return sorted(self.specs.files) if self.specs else []

    def _folder(self, path: str) -> Folder:
        if not path.startswith(SPECS + "/"):
            return self.top
        if self.specs is None:
            self.specs = Folder(next(self._inodes))
        return self.specs

    # what readers see

    @contextlib.contextmanager
    def mounted(self) -> Iterator[None]:
        """Let the readers of specs and policy see this file system below `ROOT`, and the host's elsewhere."""
        door = _Door(self)
        with (
            mock.patch.object(directory, "os", door),
            mock.patch.object(directory, "pathlib", SimpleNamespace(Path=door.find)),
            mock.patch.object(files, "os", door),
            mock.patch.object(readings, "os", door),
        ):
            yield

    def open(self, path: str, folder: Folder | None) -> int:
        found: Folder | File | None
        if folder is not None:
            found = folder.files.get(path)
        elif path == SPECS:
            found = self.specs
            if self.unreadable and found is not None:
                raise OSError(5, "Input/output error")
        else:
            found = self.top
        if found is None:
            raise FileNotFoundError(2, "No such file or directory")
        descriptor = next(self._descriptors)
        self._open[descriptor] = found
        return descriptor

    def held(self, descriptor: int) -> Folder | File:
        return self._open[descriptor]

    def close(self, descriptor: int) -> None:
        del self._open[descriptor]


class _Door:
    """`os`, but for what lies below `ROOT`."""

    def __init__(self, tree: FileSystem) -> None:
        self._tree = tree
        self._offsets: dict[int, int] = {}

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - everything else of `os`
        return getattr(os, name)

    def open(self, path: str, flags: int, dir_fd: int | None = None) -> int:
        if dir_fd is not None and dir_fd >= _FIRST_DESCRIPTOR:
            folder = self._tree.held(dir_fd)
            assert isinstance(folder, Folder)
            return self._tree.open(path, folder)
        if dir_fd is None and path.startswith(ROOT):
            return self._tree.open(path, None)
        return os.open(path, flags, dir_fd=dir_fd)

    def close(self, descriptor: int) -> None:
        if descriptor < _FIRST_DESCRIPTOR:
            os.close(descriptor)
            return
        self._offsets.pop(descriptor, None)
        self._tree.close(descriptor)

    def fstat(self, descriptor: int) -> Any:  # noqa: ANN401 - as `os.fstat`
        if descriptor < _FIRST_DESCRIPTOR:
            return os.fstat(descriptor)
        return self._tree.held(descriptor).stat()

    def stat(self, name: str, *, dir_fd: int, follow_symlinks: bool) -> Any:  # noqa: ANN401 - as `os.stat`
        if dir_fd < _FIRST_DESCRIPTOR:
            return os.stat(name, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
        folder = self._tree.held(dir_fd)
        assert isinstance(folder, Folder)
        if name not in folder.files:
            raise FileNotFoundError(2, "No such file or directory")
        return folder.files[name].stat()

    def listdir(self, descriptor: int) -> list[str]:
        if descriptor < _FIRST_DESCRIPTOR:
            return os.listdir(descriptor)
        folder = self._tree.held(descriptor)
        assert isinstance(folder, Folder)
        return list(folder.files)

    def read(self, descriptor: int, size: int) -> bytes:
        if descriptor < _FIRST_DESCRIPTOR:
            return os.read(descriptor, size)
        file, offset = self._tree.held(descriptor), self._offsets.get(descriptor, 0)
        assert isinstance(file, File)
        self._offsets[descriptor] = offset + size
        return file.text[offset : offset + size]

    def find(self, path: str) -> Any:  # noqa: ANN401 - as much of a path as is asked
        if not path.startswith(ROOT):
            return pathlib.Path(path)
        if self._tree.specs is None:
            raise FileNotFoundError(2, "No such file or directory")
        return self._tree.specs
