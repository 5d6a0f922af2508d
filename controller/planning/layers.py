"""Knows how the layers of policy and spec are laid over each other.

Refuses to know what a field means: absent inherits, null is a value, named things are merged by name.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from pydantic import BaseModel

from controller.api import fields
from controller.planning.origins import Origin, Value

_MERGED = (tuple, dict, MappingProxyType)
"""Types of lists and tables, as the models keep them."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: what says something, and where it stands.

    Attributes:
        rule: what part of the file it is, such as `class vm`.
        lines: line in `file` by dotted path of a field, where known.
        prefix: dotted path of the model within its file, with a dot at its end.
        only: names of the model's attributes that belong to the layer; empty: all.
    """

    file: str
    rule: str
    model: BaseModel
    lines: Mapping[str, int]
    prefix: str
    only: Collection[str] = field(default=())

    def values(self) -> dict[str, Value]:
        """Return what the layer sets, by dotted path below its model."""
        file, rule, lines, prefix = self.file, self.rule, self.lines, self.prefix
        return {
            path: Value(value, Origin(file, lines.get(prefix + path, 0), rule))
            for path, value in _leaves(self.model, "", self.only)
        }


def _leaves(model: BaseModel, prefix: str, only: Collection[str] = ()) -> Iterator[tuple[str, object]]:
    known = type(model).model_fields
    for name in model.model_fields_set:
        if only and name not in only:
            continue
        value = getattr(model, name)
        path = prefix + (known[name].alias or name)
        if isinstance(value, BaseModel) and path != "image":
            yield from _leaves(value, f"{path}.")
        else:
            yield path, value


def lay_over(values: dict[str, Value], stronger: Mapping[str, Value]) -> None:
    """Put a stronger layer on top of folded values, in place."""
    for path, found in stronger.items():
        weaker = values.get(path) if isinstance(found.value, _MERGED) else None
        values[path] = found if weaker is None else _together(weaker, found)


def lay_beneath(values: dict[str, Value], weaker: Mapping[str, Value]) -> None:
    """Put a weaker layer below folded values, in place."""
    for path, found in weaker.items():
        stronger = values.get(path)
        values[path] = found if stronger is None else _together(found, stronger)


def _together(weaker: Value, stronger: Value) -> Value:
    """Merge tables by key and lists of named things by name; all else replaces what is weaker."""
    kept = _named(weaker.value)
    own = _named(stronger.value)
    if kept is None or own is None or not kept.keys() - own.keys():
        return stronger
    if not own:
        return weaker
    merged = {**kept, **own}
    file, line, rule, besides = stronger.origin
    origin = Origin(file, line, rule, f"{besides}, with {weaker.origin}".removeprefix(", "))
    return Value(tuple(merged.values()) if isinstance(stronger.value, tuple) else merged, origin)


def _named(value: object) -> Mapping[object, object] | None:
    """Return a table as it is and a list of named things by their names; None for all else."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, tuple) and all(hasattr(item, "name") for item in value):
        return {getattr(item, "name"): item for item in value}  # noqa: B009 - the type is not known here
    return None


def placeholders(value: object) -> frozenset[str]:
    """Return the placeholders that occur in a value of a class."""
    text = str(value)
    return frozenset(name for name in fields.PLACEHOLDERS if name in text)


def fill(value: object, replacements: Mapping[str, str]) -> object:
    """Return a value of a class with the placeholders replaced in every string of it."""
    match value:
        case str() if type(value) is str:
            for placeholder, text in replacements.items():
                value = value.replace(placeholder, text)
            return value
        case tuple():
            return tuple(fill(item, replacements) for item in value)
        case Mapping():
            return {key: fill(item, replacements) for key, item in value.items()}
        case BaseModel():
            given = {name: getattr(value, name) for name in value.model_fields_set}
            update = {name: fill(found, replacements) for name, found in given.items()}
            return value.model_copy(update=update)
        case _:
            return value
