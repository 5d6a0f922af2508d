"""What a model expected at a place, in a person's words; knows pydantic's error types and reads no file."""

from __future__ import annotations

import dataclasses
import difflib
import json
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import pydantic
from pydantic_core import ErrorDetails

from controller.sources.findings import Path
from controller.sources.positions import Value

_QUOTES: Final = "(with the quotes)"


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """One error of a model, at a path of the text.

    Attributes:
        is_about_key: the key is wrong and not its value. is_kind_mismatch: it says "expected a list" or the
            like; beside a deeper error that says little, because it comes from another member of a union.
    """

    path: Path
    detail: ErrorDetails
    is_about_key: bool
    is_kind_mismatch: bool


def problem(detail: ErrorDetails, value: Value) -> Problem:
    """The error `detail` as a path in `value`; its words are put together only on demand."""
    kind = detail["type"]
    is_about_key = kind == "extra_forbidden" or detail["loc"][-1:] == ("[key]",)
    path = _path(detail["loc"], value, kind)
    return Problem(path, detail, is_about_key, kind.endswith(("_type", "_parsing")))


def message(problem: Problem, model: type[pydantic.BaseModel]) -> str:
    """A sentence that says what to write there; for an unknown key, the nearest known one."""
    word = _WORDING.get(problem.detail["type"])
    text = word(problem.detail, problem.path, model) if word else _plain(problem.detail)
    key = problem.path[-1] if problem.path else None
    if isinstance(key, str) and _QUOTES in text:  # the whole line to write: A: "1"
        text = text.replace('write "', f'write {key}: "', 1)
    return text


def constant(model: type[pydantic.BaseModel], key: str) -> str | None:
    """The only value that `model` accepts for a key (by its written name), or None if there are several."""
    for name, field in model.model_fields.items():
        if key in (field.alias, name):
            arguments = typing.get_args(field.annotation)
            is_literal = typing.get_origin(field.annotation) is typing.Literal
            return str(arguments[0]) if is_literal and len(arguments) == 1 else None
    return None


def describe(value: object) -> str:
    """A value's kind as a person who writes YAML would say it."""
    match value:
        case None:
            return "null"
        case bool() | int() | float():
            return json.dumps(value)
        case str():
            return json.dumps(value[:80], ensure_ascii=False)
        case list() | tuple():
            return "a list"
        case _:
            return "a mapping"


def _path(location: tuple[int | str, ...], value: Value, kind: str) -> Path:
    """The parts of a location that exist in the text; a model adds names of union members, which do not."""
    path: list[str | int] = []
    node: Value = value
    for part in location:
        if (isinstance(node, dict) and isinstance(part, str) and part in node) or (
            isinstance(node, list) and isinstance(part, int) and 0 <= part < len(node)
        ):
            path.append(part)
            node = node[part]  # type: ignore[index]  # checked above
    if kind == "missing":
        path.append(location[-1])
    return tuple(path)


def _plain(detail: ErrorDetails) -> str:
    """The model's own sentence, without the library's prefix."""
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return message.replace("Input should be", "this must be")


def _unknown_key(_detail: ErrorDetails, path: Path, model: type[pydantic.BaseModel]) -> str:
    known = sorted(_keys_at(model, path[:-1]))
    key = str(path[-1]) if path else ""
    folded = {name.replace("_", "").replace("-", "").lower(): name for name in known}
    plain = key.replace("_", "").replace("-", "").lower()
    near = difflib.get_close_matches(plain, folded, n=1, cutoff=0.6)
    if near:
        return f'unknown key; did you mean "{folded[near[0]]}"?'
    return f"unknown key; known here: {', '.join(known)}" if known else "unknown key"


def _missing_key(_detail: ErrorDetails, _path: Path, _model: type[pydantic.BaseModel]) -> str:
    return "missing key; a value is required here"


def _choice(detail: ErrorDetails, _path: Path, _model: type[pydantic.BaseModel]) -> str:
    expected = str(detail.get("ctx", {}).get("expected", ""))
    given = detail["input"]
    words = [word.strip("' ") for word in expected.replace(" or ", ",").split(",")]
    folded = {word.lower(): word for word in words}
    near = difflib.get_close_matches(given.lower(), folded, n=1) if isinstance(given, str) else []
    hint = f'; did you mean "{folded[near[0]]}"?' if near else ""
    choices = " or ".join(words) if len(words) == 1 else f"one of {', '.join(words)}"
    return f"expected {choices}, found {describe(given)}{hint}"


def _text(detail: ErrorDetails, _path: Path, _model: type[pydantic.BaseModel]) -> str:
    given = detail["input"]
    hint = f'; write "{json.dumps(given)}" (with the quotes)' if isinstance(given, bool | int | float) else ""
    return f"expected text, found {describe(given)}{hint}"


def _truth(detail: ErrorDetails, _path: Path, _model: type[pydantic.BaseModel]) -> str:
    given = detail["input"]
    yes, no = ("yes", "on", "true", "y"), ("no", "off", "false", "n")
    word = given.lower() if isinstance(given, str) else ""
    hint = "; write true" if word in yes else "; write false" if word in no else ""
    return f"expected true or false, found {describe(given)}{hint}"


def _whole_number(detail: ErrorDetails, _path: Path, _model: type[pydantic.BaseModel]) -> str:
    given = detail["input"]
    is_digits = isinstance(given, str) and given.isascii() and given.isdigit()
    hint = f"; write {given} without quotes" if is_digits else ""
    return f"expected a whole number, found {describe(given)}{hint}"


def _mapping(detail: ErrorDetails, _path: Path, _model: type[pydantic.BaseModel]) -> str:
    return f"expected a mapping (key: value), found {describe(detail['input'])}"


def _list(detail: ErrorDetails, _path: Path, _model: type[pydantic.BaseModel]) -> str:
    return f"expected a list, found {describe(detail['input'])}"


_WORDING: Final[Mapping[str, Callable[[ErrorDetails, Path, type[pydantic.BaseModel]], str]]] = {
    "extra_forbidden": _unknown_key,
    "missing": _missing_key,
    "enum": _choice,
    "literal_error": _choice,
    "string_type": _text,
    "bool_type": _truth,
    "bool_parsing": _truth,
    "int_type": _whole_number,
    "int_parsing": _whole_number,
    "int_from_float": _whole_number,
    "model_type": _mapping,
    "model_attributes_type": _mapping,
    "dict_type": _mapping,
    "mapping_type": _mapping,
    "list_type": _list,
    "tuple_type": _list,
}


def _keys_at(model: type[pydantic.BaseModel], path: Path) -> set[str]:
    """The keys that a model knows at a path, those of all members of a union together."""
    places: list[object] = [model]
    for part in path:
        places = [found for place in places for found in _inside(place, part)]
    return {
        field.alias or name
        for place in places
        if isinstance(place, type) and issubclass(place, pydantic.BaseModel)
        for name, field in place.model_fields.items()
    }


def _inside(place: object, part: str | int) -> Iterator[object]:
    """The types that may stand under one key or index of a type, unions and annotations taken apart."""
    if isinstance(place, type) and issubclass(place, pydantic.BaseModel):
        for name, field in place.model_fields.items():
            if part in (field.alias, name):
                yield from _members(field.annotation)
        return
    arguments = typing.get_args(place)
    if arguments:
        items = [argument for argument in arguments if argument is not Ellipsis]
        yield from _members(items[-1])


def _members(annotation: object) -> Iterator[object]:
    """The alternatives of an annotation."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        yield from _members(typing.get_args(annotation)[0])
    elif origin in (typing.Union, types.UnionType):
        for member in typing.get_args(annotation):
            yield from _members(member)
    else:
        yield annotation
