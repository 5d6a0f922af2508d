"""Places in a file and paths in a document, to say what is wrong there; knows no format, reads no file."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from controller.model.desired import Finding

Path: TypeAlias = tuple[str | int, ...]
"""The way from the top of a document to a value: keys and list indices."""


class Position(NamedTuple):
    """A place in a file; line and column count from 1, columns in characters."""

    line: int
    column: int


START = Position(1, 1)


def of_file(file: str, message: str) -> Finding:
    """A finding about a file as a whole; it stands at the first character, where editors can go."""
    return Finding(file, START.line, START.column, "", message)
