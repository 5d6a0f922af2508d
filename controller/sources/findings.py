"""Places in a file and paths in a document, to say what is wrong there; knows no format, reads no file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from controller.model.desired import Finding

Path: TypeAlias = tuple[str | int, ...]
"""The way from the top of a document to a value: keys and list indices."""

_SIMPLE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class Position(NamedTuple):
    """A place in a file; line and column count from 1, columns in characters."""

    line: int
    column: int


START = Position(1, 1)


def of_file(file: str, message: str) -> Finding:
    """A finding about a file as a whole; it stands at the first character, where editors can go."""
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
