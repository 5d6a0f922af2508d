"""Knows values with where they came from, and how both read; refuses to know which value wins.

One text names file, line and rule: `policy.yaml:14 (class vm)`, `alice.yaml:12`, `default`.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final, NamedTuple

from controller.api import presets, quantities, workspace
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
            *(
                "storage.home",
                "storage.layer",
                "gpu.minMemory",
                "memory",
                "memoryHigh",
                "memoryLow",
                "swap",
                "shm",
            ),
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


class Wording:
    """Values in words, made once for all workspaces that have the very same ones."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = values
        self._words: dict[str, EffectiveValue] = {}

    def words(self, values: Mapping[str, Value]) -> tuple[EffectiveValue, ...]:
        """Return every value in words with its origin, by path."""
        return tuple(self._one(path, value) for path, value in sorted(values.items()))

    def _one(self, path: str, value: Value) -> EffectiveValue:
        if self._values.get(path) is not value:
            return worded(path, value)
        found = self._words.get(path)
        if found is None:
            found = self._words[path] = worded(path, value)
        return found


class Words:
    """The words of one workspace's values: made when somebody asks first, and then all that is kept."""

    __slots__ = ("_made", "_values", "_wording")

    def __init__(self, values: Mapping[str, Value], wording: Wording) -> None:
        self._values: Mapping[str, Value] | None = values
        self._wording = wording
        self._made: tuple[EffectiveValue, ...] = ()

    def __call__(self) -> tuple[EffectiveValue, ...]:
        """Return every value in words with its origin, by path; any thread may ask."""
        values = self._values
        if values is not None:
            self._made = self._wording.words(values)
            self._values = None  # after the line above: another thread that sees None finds the words
        return self._made


def in_words(values: Mapping[str, Value]) -> tuple[EffectiveValue, ...]:
    """Return every value in words with its origin, by path."""
    return tuple(worded(path, value) for path, value in sorted(values.items()))


def worded(path: str, value: Value) -> EffectiveValue:
    """Return one value in words with its origin."""
    origin = value.origin
    return EffectiveValue(path, word(path, value.value), str(origin), origin.file, origin.line, origin.rule)


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
            return ", ".join(map(_item, value))
        case workspace.ImageRef():
            return value.alias or value.reference or value.name or ""
        case Mapping():
            return ", ".join(sorted(str(key) for key in value))
        case _:
            return str(value)


def _item(item: object) -> str:
    """Return one of a list: by its name, or a device with what is said of it."""
    if not isinstance(item, presets.IoLimit):
        return str(getattr(item, "name", item))
    said = item.model_dump(mode="json", by_alias=True, exclude_none=True)
    return " ".join((item.path, *(f"{name} {value}" for name, value in said.items() if name != "path")))
