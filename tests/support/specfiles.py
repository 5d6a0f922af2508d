"""Knows how spec files are made in tests: small valid texts, and how editors and tools write them.

It refuses to judge what the controller makes of them.
"""

import datetime as dt
import os
import pathlib

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
"""A clock that is behind the files' own times: nothing counts as quiet because of its age."""

LATE = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)
"""A clock that is far ahead of the files' own times: all files are old."""


def workspace(name: str = "alice", body: str = "  class: vm\n") -> bytes:
    """The text of a valid workspace; `body` is what stands below `spec:`."""
    return (
        f"apiVersion: wharfinger.dev/v1\nkind: Workspace\nmetadata:\n  name: {name}\nspec:\n{body}".encode()
    )


def rename_into_place(path: pathlib.Path, text: bytes) -> None:
    """Writes as careful tools do: a file of another name, then a rename."""
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(text)
    new.replace(path)


def write_in_place(path: pathlib.Path, text: bytes) -> None:
    """Writes as careless tools do: into the file itself, which keeps its inode."""
    with path.open("r+b" if path.exists() else "wb") as file:
        file.truncate(0)
        file.write(text)


def age(path: pathlib.Path) -> None:
    """Makes a file's last write look older than its last change, as a rename or a copy of times does."""
    found = path.stat()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns - 10**9))
