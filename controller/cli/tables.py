"""How objects are printed: rows in columns, names, JSON or YAML.

It knows widths, headers and formats; which columns a kind of object has is told by the kind's command.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import click

from controller.cli import trees

FORMATS: Final = ("table", "wide", "json", "yaml", "name")
_GAP: Final = "   "
_COLOURS: Final[Mapping[str, str]] = {
    "True": "green",
    "False": "red",
    "Unknown": "yellow",
    "Warning": "yellow",
}
_COLOURED: Final = frozenset({"READY", "TYPE"})


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its header, the cell of an object, and whether only `-o wide` has it."""

    header: str
    cell: Callable[[trees.Object], str]
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """How objects of one kind are shown: `name` leads in `-o name` (`workspace/alice`), `title` is plural."""

    name: str
    title: str
    columns: Sequence[Column]


def cells(kind: Kind, items: Iterable[trees.Object], form: str) -> tuple[list[str], list[list[str]]]:
    """Headers and rows of the objects in the formats `table` and `wide`."""
    columns = [column for column in kind.columns if form == "wide" or not column.wide]
    rows = [[column.cell(item) for column in columns] for item in items]
    return [column.header for column in columns], rows


def render(headers: Sequence[str], rows: Sequence[Sequence[str]], *, header: bool, colour: bool) -> list[str]:
    """Lines of a table whose columns are as wide as their widest cell; the last is not padded."""
    widths = [max(len(row[index]) for row in (headers, *rows)) for index in range(len(headers))]
    lines = [_GAP.join(map(str.ljust, headers, widths)).rstrip()] if header else []
    for row in rows:
        padded = [text.ljust(width) for text, width in zip(row, widths, strict=True)]
        if colour:
            padded = [
                click.style(text, fg=_COLOURS.get(text.strip())) if name in _COLOURED else text
                for name, text in zip(headers, padded, strict=True)
            ]
        lines.append(_GAP.join(padded).rstrip())
    return lines


def show(kind: Kind, items: Sequence[trees.Object], form: str, *, header: bool) -> str:
    """The objects in one of FORMATS, ready to be printed; always ends with a line break unless empty."""
    match form:
        case "name":
            lines = [f"{kind.name}/{trees.name_of(item)}" for item in items]
        case "json":
            lines = [to_json(_listed(items))]
        case "yaml":
            lines = [to_yaml(_listed(items)).rstrip("\n")]
        case _:
            headers, rows = cells(kind, items, form)
            lines = render(headers, rows, header=header and bool(rows), colour=is_coloured())
    return "".join(f"{line}\n" for line in lines)


def _listed(items: Sequence[trees.Object]) -> trees.Json:
    return {"apiVersion": "wharfinger.dev/v1", "kind": "List", "items": list(items)}


def to_json(value: trees.Json) -> str:
    """Indented JSON without a line break at its end."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def to_yaml(value: trees.Json) -> str:
    """Block YAML in the order of the keys."""
    from controller.sources import positions  # noqa: PLC0415 - the YAML library takes its time to import

    return positions.dump(json.loads(json.dumps(value)))  # without shared parts, which would become aliases


def is_coloured() -> bool:
    """Whether stdout is a terminal whose user wants colour (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and is_terminal_able()


def is_terminal_able() -> bool:
    """Whether the terminal, if there is one, does more than to print lines."""
    return os.environ.get("TERM") != "dumb"
