"""Knows how the layers of policy and spec are laid over each other, and where each value came from.

Refuses to know what a field means: absent inherits, null is a value, named things are merged by name.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from pydantic import BaseModel

from controller.api import fields


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer, weakest first in a stack: where it is from, and the model that says something.

    Attributes:
        lines: line in `file` by dotted path of a field, where known.
        prefix: dotted path of the model within its file.
    """

    origin: str
    model: BaseModel
    lines: Mapping[str, int]
    prefix: str


@dataclass(frozen=True, slots=True)
class Value:
    """One value and its origin in words, such as `policy class vm` or `alice.yaml:12`."""

    value: object
    origin: str


def fold(layers: tuple[Layer, ...]) -> dict[str, Value]:
    """Return the strongest value of every field that any layer sets, by dotted path below `spec`."""
    found: dict[str, Value] = {}
    for layer in layers:
        for path, value in _leaves(layer.model, ""):
            origin = _origin(layer, path)
            found[path] = Value(_together(found[path].value, value) if path in found else value, origin)
    return found


def beneath(values: Mapping[str, Value], layer: Layer) -> dict[str, Value]:
    """Return folded values with one more layer below all of them."""
    found = fold((layer,))
    for path, value in values.items():
        weaker = found.get(path)
        found[path] = value if weaker is None else replace(value, value=_together(weaker.value, value.value))
    return found


def _together(weaker: object, stronger: object) -> object:
    if isinstance(stronger, tuple):
        return _merge(weaker, stronger)
    if isinstance(stronger, Mapping):
        return _overlay(weaker, stronger)
    return stronger


def _leaves(model: BaseModel, prefix: str) -> Iterator[tuple[str, object]]:
    for name in type(model).model_fields:
        if name not in model.model_fields_set:
            continue
        value = getattr(model, name)
        path = f"{prefix}{_alias(model, name)}"
        if isinstance(value, BaseModel) and path != "image":
            yield from _leaves(value, f"{path}.")
        else:
            yield path, value


def _alias(model: BaseModel, name: str) -> str:
    return type(model).model_fields[name].alias or name


def _origin(layer: Layer, path: str) -> str:
    line = layer.lines.get(f"{layer.prefix}{path}")
    return f"{layer.origin}:{line}" if line else layer.origin


def _merge(weaker: object, stronger: tuple[object, ...]) -> tuple[object, ...]:
    """Merge lists of named things by name; a list of plain things replaces the weaker one."""
    if not isinstance(weaker, tuple) or not all(hasattr(item, "name") for item in (*weaker, *stronger)):
        return stronger
    merged = {getattr(item, "name"): item for item in weaker}  # noqa: B009 - the type is not known here
    for item in stronger:
        merged[getattr(item, "name")] = item  # noqa: B009 - likewise
    return tuple(merged.values())


def _overlay(weaker: object, stronger: Mapping[object, object]) -> Mapping[object, object]:
    return {**weaker, **stronger} if isinstance(weaker, Mapping) else stronger


def fill(model: BaseModel, replacements: Mapping[str, str]) -> BaseModel:
    """Return a copy of a class with its placeholders replaced in every string."""
    filled = _fill(model, replacements)
    assert isinstance(filled, BaseModel)
    return filled


def _fill(value: object, replacements: Mapping[str, str]) -> object:
    match value:
        case str() if type(value) is str:
            for placeholder in fields.PLACEHOLDERS:
                value = value.replace(placeholder, replacements.get(placeholder, placeholder))
            return value
        case tuple():
            return tuple(_fill(item, replacements) for item in value)
        case Mapping():
            return {key: _fill(item, replacements) for key, item in value.items()}
        case BaseModel():
            update = {name: _fill(getattr(value, name), replacements) for name in value.model_fields_set}
            return value.model_copy(update=update)
        case _:
            return value


def placeholders(value: object) -> frozenset[str]:
    """Return the placeholders that occur in any string of a class."""
    text = value.model_dump_json() if isinstance(value, BaseModel) else str(value)
    return frozenset(name for name in fields.PLACEHOLDERS if name in text)
