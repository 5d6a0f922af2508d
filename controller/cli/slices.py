"""How slices are shown, and what of them other commands need; it reads what a view of the host has.

It calls nothing 0 that the kernel does not tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Final

from controller.cli import session, tables, trees
from controller.status import wording

UNTOLD: Final = "-"
"""Shown where the kernel does not tell, or two looks are needed and there was one."""
_UNLIMITED: Final = "-"


def say_unseen(found: trees.Json) -> None:
    """Say on stderr what keeps the rows from being the whole truth."""
    unseen = trees.text(found, "unseen", default="")
    if unseen:
        session.say(f"the slices could not be looked at: {unseen}")
    elif trees.text(found, "driver") == "None":
        session.say("nobody makes slices here: slices.driver is None, or the Engine did not tell its driver")


def kind(_: datetime) -> tables.Kind:
    """The columns of `wharf get slices`."""
    columns = [
        tables.Column("OWNER", trees.name_of),
        tables.Column("GROUP", lambda item: trees.text(item, "group")),
        tables.Column("SLICE", lambda item: trees.text(item, "slice")),
        tables.Column("CPUS", lambda item: of_limit(cpus(item.get("cpus")), item, "cpus")),
        tables.Column("MEMORY", lambda item: of_limit(_size(item, "memory"), item, "memory")),
        tables.Column("SWAP", lambda item: of_limit(_size(item, "swap"), item, "swap")),
        tables.Column("PIDS", lambda item: of_limit(_count(item, "pids"), item, "pids")),
        tables.Column("WORKSPACES", lambda item: str(len(_texts(item, "workspaces")))),
        tables.Column("STATE", state),
        tables.Column("HIGH", lambda item: _limit(item, "memoryHigh"), wide=True),
        tables.Column("LOW", lambda item: _limit(item, "memoryLow"), wide=True),
        tables.Column("OOM", lambda item: _count(item, "oomKills"), wide=True),
        tables.Column("WHY", _why, wide=True),
    ]
    return tables.Kind("slice", "slices", columns)


def state(item: trees.Object) -> str:
    """`AsSpecified`, or `Differs:memory,pids`."""
    word = trees.text(item, "state")
    limits = ",".join(trees.text(one, "limit") for one in trees.each(item, "differences"))
    return f"{word}:{limits}" if limits and word == "Differs" else word


def of_limit(used: str, item: trees.Json, key: str) -> str:
    """What is used and of how much: `300MiB/400MiB`; the use alone where nobody limits it."""
    limit = _limit(item, key)
    return used if limit == _UNLIMITED else f"{used}/{limit}"


def cpus(value: trees.Json) -> str:
    """Processors, to two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, int | float) else UNTOLD


def size(value: trees.Json) -> str:
    """Bytes, or that nobody tells."""
    return wording.size(int(value)) if isinstance(value, int | float) else UNTOLD


def lines(item: trees.Json) -> Iterator[str]:
    """One owner's slice, for a person: where it is, how it stands, what keeps it from being enforced."""
    message = trees.text(item, "message", default="")
    stands = f"{trees.text(item, 'slice')}: {trees.text(item, 'state')}"
    yield f"{stands}: {message}" if message else stands
    for one in trees.each(item, "differences"):
        yield f"{trees.text(one, 'limit')} {trees.text(one, 'observed')} -> {trees.text(one, 'desired')}"
    yield from (f"not enforced: {text}" for text in _texts(item, "notEnforced"))
    yield from (f"not ours: {text}" for text in _texts(item, "strangers"))
    inside = ", ".join(_texts(item, "workspaces"))
    yield f"in it: {inside or 'nothing'}"


def used(item: trees.Json, key: str) -> str:
    """What an owner uses of the limit that the policy calls so: `300MiB`."""
    shown: dict[str, Callable[[], str]] = {
        "cpus": lambda: cpus(trees.at(item, "cpus")),
        "memory": lambda: _size(item, "memory"),
        "memoryHigh": lambda: _size(item, "memory"),
        "memoryLow": lambda: _size(item, "memory"),
        "swap": lambda: _size(item, "swap"),
        "pids": lambda: _count(item, "pids"),
    }
    return shown[key]() if key in shown else UNTOLD


def of_workspace(item: trees.Json) -> str:
    """Where a workspace is and what it uses: `/wharf/alice (inside), memory 300MiB, 7 processes`."""
    found = trees.at(item, "status", "slice")
    if found is None:
        return trees.NONE
    inside = trees.at(found, "inside")
    where = (
        "" if inside is None else " (inside)" if inside else " (OUTSIDE: no limit of the owner's holds it)"
    )
    parts = [f"{trees.text(found, 'name')}{where}"]
    parts += [f"memory {_size(found, 'memory')}"] if trees.at(found, "use", "memory") is not None else []
    parts += [f"{_count(found, 'pids')} processes"] if trees.at(found, "use", "pids") is not None else []
    return ", ".join(parts)


def _size(item: trees.Json, key: str) -> str:
    return size(trees.at(item, "use", key))


def _count(item: trees.Json, key: str) -> str:
    return trees.text(item, "use", key, default=UNTOLD)


def _limit(item: trees.Json, key: str) -> str:
    value = trees.at(item, "limits", key)
    if value is None:
        return _UNLIMITED
    if key == "cpus":
        return cpus(value)
    return size(value) if key != "pids" else str(value)


def _why(item: trees.Object) -> str:
    message = trees.text(item, "message", default="")
    parts = [message, *_texts(item, "notEnforced"), *_texts(item, "strangers")]
    return "; ".join(filter(None, parts)) or trees.NONE


def _texts(item: trees.Json, key: str) -> list[str]:
    found = trees.at(item, key)
    return [str(one) for one in found] if isinstance(found, Sequence) and not isinstance(found, str) else []
