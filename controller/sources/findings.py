"""What is wrong in a file, where, and how that is written down; knows no format and reads no file."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""The way from the top of a document to a value: keys and list indices."""

_SIMPLE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclasses.dataclass(frozen=True, slots=True)
class Position:
    """A place in a file; line and column count from 1, columns in characters."""

    line: int
    column: int


START = Position(1, 1)


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that is wrong in one file, and what was expected there.

    `path` is the key's path as people write it (`spec.mounts[0].source`), empty for the file as a whole.
    """

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        """`file:line:col: path: message`, the form that editors and CI systems understand."""
        where = f"{self.file}:{self.line}:{self.column}: "
        return where + (f"{self.path}: {self.message}" if self.path else self.message)


def of_file(file: str, message: str) -> Finding:
    """A finding about a file as a whole."""
    return Finding(file, START.line, START.column, "", message)


def render_path(path: Iterable[str | int]) -> str:
    """A path as people write it: `spec.mounts[0].source`, `metadata.labels["a.b"]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _SIMPLE_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            shown = part.replace("\\", "\\\\").replace('"', '\\"')
            text += f'["{shown}"]'
    return text
