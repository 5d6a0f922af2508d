"""Knows values with where they came from, and how both read; refuses to know which value wins.

One text names file, line and rule: `policy.yaml:14 (class vm)`, `alice.yaml:12`, `default`.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final, NamedTuple

from controller.api import quantities, workspace
from controller.model.status import EffectiveValue

DEFAULT: Final = "default"
"""The rule of what holds where nobody says anything."""
WORKSPACE: Final = "workspace"
"""The rule of what a workspace's own file says."""

_FORMATS: Final[Mapping[str, Callable[[int], str]]] = {
    **dict.fromkeys(("resources.cpus", "cpus"), quantities.format_cpus),
    **dict.fromkeys(
        (
            *(f"resources.{name}" for name in ("memory", "memoryReservation", "swap", "shm")),
            *("storage.home", "storage.layer", "gpu.minMemory", "memory", "memoryHigh", "shm"),
        ),
        quantities.format_bytes,
    ),
}


class Origin(NamedTuple):
    """Where a value came from.

    Attributes:
        file: its name, empty for a default.
        line: from 1; 0 where it is not known.
        rule: the part of the policy, such as `class vm`, or one of the two above.
        besides: what else made the value what it is, such as `was 64g by policy.yaml:14 (class vm)`.
    """

    file: str
    line: int
    rule: str
    besides: str = ""

    def __str__(self) -> str:
        """The one text."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        if self.rule == DEFAULT:
            text = DEFAULT
        elif self.rule == WORKSPACE:
            text = place
        else:
            text = f"{place} ({self.rule})"
        return f"{text}, {self.besides}" if self.besides else text


class Value(NamedTuple):
    """One value and its origin; None is a value (unlimited or never)."""

    value: object
    origin: Origin


def by_default(value: object) -> Value:
    """Return what holds where nobody says anything."""
    return Value(value, Origin("", 0, DEFAULT))


def in_words(values: Mapping[str, Value]) -> tuple[EffectiveValue, ...]:
    """Return every value in words with its origin, by path."""
    return tuple(
        EffectiveValue(path, word(path, value), str(origin), origin.file, origin.line, origin.rule)
        for path, (value, origin) in sorted(values.items())
    )


def word(path: str, value: object) -> str:
    """Return a value as people write it; `path` tells bytes from counts."""
    match value:
        case None:
            return "null"
        case timedelta():
            return quantities.format_duration(value)
        case int() if path in _FORMATS:
            return _FORMATS[path](value)
        case tuple():
            return ", ".join(str(getattr(item, "name", item)) for item in value)
        case workspace.ImageRef():
            return value.alias or value.reference or value.name or ""
        case Mapping():
            return ", ".join(sorted(str(key) for key in value))
        case _:
            return str(value)
