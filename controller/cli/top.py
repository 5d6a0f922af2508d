"""`wharf top`: who uses what right now, of how much; live on a terminal, else as one table.

It knows looks and their rhythm; what lies between two looks is worked out in `rates`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import click

from controller.cli import entry, exits, names, rates, session, slices, tables, trees, views

INTERVAL: Final = 2.0
"""Seconds between two looks."""
_BY: Final = ("owner", "workspace")
_SORTS: Final = ("cpu", "memory", "io")
_DISPENSABLE: Final = ("OOM", "SWAP", "WAITS cpu/mem/io", "PIDS", "WRITE/s", "READ/s")
"""Columns that a narrow terminal does without, the first of them first."""
_Row = Mapping[str, trees.Json]


@dataclass(frozen=True, slots=True)
class _Request:
    """What was asked for."""

    owners: tuple[str, ...]
    by: str
    sort: str
    form: str
    once: bool


@click.command(
    cls=entry.Command,
    examples=[
        ("wharf top", "who uses what, live; Ctrl-C ends it"),
        ("wharf top alice bob", "of two owners"),
        ("wharf top --by workspace --sort memory", "single workspaces, the largest first"),
        ("wharf top --once", "one table, over two seconds"),
        ("wharf top -o json", "the same for a script"),
    ],
)
@click.argument("owners", type=names.OwnerName(), nargs=-1, metavar="[OWNER…]")
@click.option("--by", type=click.Choice(_BY), default="owner", help="Whose use a row is.")
@click.option("--sort", type=click.Choice(_SORTS), default="cpu", help="What the largest row has most of.")
@click.option("--once", is_flag=True, help="Print one table and end, as it is without a terminal.")
@click.option("-o", "--output", "form", type=click.Choice(["table", "json"]), default="table", help="Format.")
@session.PASS_SESSION
def top(this: session.Session, /, **asked: str | bool | tuple[str, ...]) -> int:
    """Show who uses processors, memory, swap, processes and disks, and of how much.

    CPU is in processors: 1 is one of them, all the time. READ and WRITE are bytes a second, OOM counts
    processes that were killed for want of memory, WAITS are shares of the time in which something of theirs
    waited for processor, memory or disk. What the kernel does not tell is a dash. An owner's row is all of
    the owner's workspaces together, against the limits that the policy's `aggregate` gives them.

    It asks the controller; while none runs it reads the kernel's files itself, and says so.
    """
    request = _Request(**asked)  # type: ignore[arg-type] # click gives each its type
    view = views.open_view(this)
    first = view.usage().value
    slices.say_unseen(first)
    if trees.text(first, "unseen", default=""):
        return exits.ExitCode.UNREACHABLE
    known = {trees.text(item, "owner") for by in rates.LISTS.values() for item in trees.each(first, by)}
    missing = [owner for owner in request.owners if owner not in known]
    if missing:
        raise views.not_found("owner", missing)
    looks = _looks(view, first)
    if request.once or request.form == "json" or not _is_live():
        pair = next(looks)
        slices.say_unseen(pair[1])
        if trees.text(pair[1], "unseen", default=""):
            return exits.ExitCode.UNREACHABLE
        click.echo(_text(request, pair), nl=False)
        return exits.ExitCode.OK
    return _watch(request, looks)


def _is_live() -> bool:
    return sys.stdout.isatty() and tables.is_terminal_able()


def _looks(view: views.View, first: trees.Json) -> Iterator[tuple[trees.Json, trees.Json]]:
    """Two looks each time, the second of them new."""
    before = first
    while True:
        time.sleep(INTERVAL)
        now = view.usage().value
        yield before, now
        before = now


def _rows(request: _Request, looks: tuple[trees.Json, trees.Json]) -> Sequence[_Row]:
    return rates.ranked(rates.rows(request.by, *looks, request.owners), request.sort)


def _text(request: _Request, looks: tuple[trees.Json, trees.Json]) -> str:
    found = _rows(request, looks)
    if request.form == "json":
        told: trees.Json = {"at": trees.at(looks[1], "at"), "by": request.by, "items": list(found)}
        return tables.to_json(told) + "\n"
    if not found:
        session.say(f"no {request.by} uses anything in a slice")
    return tables.show(_kind(request.by), found, "table", header=True)


def _watch(request: _Request, looks: Iterator[tuple[trees.Json, trees.Json]]) -> int:
    from rich import console, live, text  # noqa: PLC0415 - only who watches waits for it

    terminal = console.Console()
    with live.Live(console=terminal, auto_refresh=False, screen=True) as screen:
        try:
            screen.update(text.Text("looking for two seconds …"), refresh=True)
            for pair in looks:
                lines = drawn(request.by, _rows(request, pair), terminal.width, terminal.height)
                unseen = trees.text(pair[1], "unseen", default="")
                shown = [f"the slices could not be looked at: {unseen}"] if unseen else lines
                screen.update(text.Text("\n".join(shown), no_wrap=True, overflow="crop"), refresh=True)
        except KeyboardInterrupt:  # how one ends such a view, as with top(1)
            return exits.ExitCode.OK
    return exits.ExitCode.OK


def drawn(by: str, found: Sequence[_Row], width: int, height: int) -> list[str]:
    """The table as lines that fit: without its less telling columns where it is narrow, and short of rows."""
    kind = _kind(by)
    room = max(1, height - 2)
    rest = len(found) - room
    for dropped in range(len(_DISPENSABLE) + 1):
        columns = [one for one in kind.columns if one.header not in _DISPENSABLE[:dropped]]
        headers, cells = tables.cells(tables.Kind(kind.name, kind.title, columns), found[:room], "table")
        lines = tables.render(headers, cells, header=True, colour=False)
        if max(map(len, lines)) <= width:
            break
    return [*lines, f"… and {rest} more"] if rest > 0 else lines


def _kind(by: str) -> tables.Kind:
    columns = [tables.Column(by.upper(), trees.name_of)]
    if by == "workspace":
        columns.append(tables.Column("OWNER", _owner))
    columns += [
        tables.Column("CPU", _of("cpus", slices.cpus)),
        tables.Column("MEMORY", _of("memory", slices.size)),
        tables.Column("SWAP", _of("swap", slices.size)),
        tables.Column("PIDS", _of("pids", _number)),
        tables.Column("READ/s", lambda row: slices.size(row.get("readPerSecond"))),
        tables.Column("WRITE/s", lambda row: slices.size(row.get("writtenPerSecond"))),
        tables.Column("OOM", lambda row: _number(row.get("oomKills"))),
        tables.Column("WAITS cpu/mem/io", _waits),
    ]
    return tables.Kind(by, f"{by}s", columns)


def _owner(row: trees.Object) -> str:
    """Whose it is, marked where it does not count in the owner's slice."""
    return trees.text(row, "owner") + ("" if row.get("inside") else " (outside)")


def _of(key: str, word: Callable[[trees.Json], str]) -> Callable[[trees.Object], str]:
    return lambda row: slices.of_limit(word(row.get(key)), row, key)


def _number(value: trees.Json) -> str:
    return slices.UNTOLD if value is None else str(value)


def _waits(row: trees.Object) -> str:
    shares = (trees.at(row, "pressure", resource) for resource in ("cpu", "memory", "io"))
    return "/".join(f"{one:.0%}" if isinstance(one, int | float) else slices.UNTOLD for one in shares)
