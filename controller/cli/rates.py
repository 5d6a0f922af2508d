"""What was used between two looks at the slices, a second: processors, IO, and how long things waited.

It refuses to guess: what was seen once, or counts from 0 again because its cgroup is new, has no rate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from controller.cli import trees

LISTS: Final = {"owner": "items", "workspace": "workspaces"}
"""Where a look at the slices has those who are told of."""
_COUNTED: Final = {
    "cpus": "cpuSeconds",
    "throttled": "throttledSeconds",
    "readPerSecond": "ioRead",
    "writtenPerSecond": "ioWritten",
}
_PRESSED: Final = ("cpu", "memory", "io")
_KEPT: Final = ("name", "owner", "group", "slice", "state", "inside", "limits", "workspaces")
_NOW: Final = ("memory", "swap", "pids", "oomKills")


def rows(by: str, then: trees.Json, now: trees.Json, chosen: Sequence[str]) -> list[dict[str, trees.Json]]:
    """One row for each owner or workspace of the second look; `chosen` are owners, none of them: all."""
    before = {trees.name_of(item): item for item in trees.each(then, LISTS[by])}
    length = _seconds(then, now)
    return [
        _row(item, before.get(trees.name_of(item)), length)
        for item in trees.each(now, LISTS[by])
        if (not chosen or item.get("owner") in chosen) and "use" in item
    ]


def _row(item: trees.Object, before: trees.Json, length: float) -> dict[str, trees.Json]:
    row: dict[str, trees.Json] = {key: item[key] for key in _KEPT if key in item}
    row |= {key: value for key in _NOW if (value := trees.at(item, "use", key)) is not None}
    for key, counter in _COUNTED.items():
        grown = _grown(trees.at(before, "use", counter), trees.at(item, "use", counter), length)
        if grown is not None:
            row[key] = grown
    pressure = dict(_pressure(item, before, length))
    if pressure:
        row["pressure"] = pressure
    return row


def _pressure(item: trees.Object, before: trees.Json, length: float) -> Iterator[tuple[str, float]]:
    """Shares of the time in which something waited, by resource."""
    for resource in _PRESSED:
        path = ("use", "pressure", f"{resource} some")
        share = _grown(trees.at(before, *path), trees.at(item, *path), length)
        if share is not None:
            yield resource, min(1.0, share)


def _grown(before: trees.Json, now: trees.Json, length: float) -> float | None:
    if not isinstance(before, int | float) or not isinstance(now, int | float) or length <= 0:
        return None
    return (now - before) / length if now >= before else None


def _seconds(then: trees.Json, now: trees.Json) -> float:
    at, since = trees.text(now, "at", default=""), trees.text(then, "at", default="")
    if not at or not since:
        return 0.0
    return (datetime.fromisoformat(at) - datetime.fromisoformat(since)).total_seconds()


def ranked(found: Sequence[Mapping[str, trees.Json]], by: str) -> list[Mapping[str, trees.Json]]:
    """Return the rows, the largest first; those of whom that is not known last, by name."""
    keys = {"cpu": ("cpus",), "memory": ("memory",), "io": ("readPerSecond", "writtenPerSecond")}[by]

    def place(row: Mapping[str, trees.Json]) -> tuple[float, str]:
        values = [value for key in keys if isinstance(value := row.get(key), int | float)]
        return (-sum(values) if values else 1.0, trees.text(row, "name"))

    return sorted(found, key=place)
