"""One file's text as a validated model, or as findings with line and column that say what was expected.

It translates the model's errors into places in the text, and refuses to repair, default or guess anything.
Which models there are is not known here: any pydantic model with camelCase aliases will do.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from typing import Final, Generic, TypeVar

import pydantic

from controller.model import paths
from controller.model.desired import Finding
from controller.sources import expectations, findings, positions
from controller.sources.findings import Position

ModelT = TypeVar("ModelT", bound=pydantic.BaseModel)

MAX_FINDINGS: Final = positions.MAX_FINDINGS
_MAX_PROBLEMS: Final = 200
"""So many errors are put in order; a file with more of them is no longer worth the time."""


@dataclasses.dataclass(frozen=True, slots=True)
class Parsed(Generic[ModelT]):
    """A valid document.

    Attributes:
        name: `metadata.name`, or None where the model has none.
        place: where the name stands.
        terminated: the file ends with the line `...`, so that it cannot be the head of a longer one.
        lines: line of each key, by its path as people write it.
    """

    file: str
    value: ModelT
    name: str | None
    place: Position
    terminated: bool
    lines: Mapping[str, int]


@dataclasses.dataclass(frozen=True, slots=True)
class Rejection:
    """What is wrong with a file: at least one finding, in the order of the text.

    `name` is `metadata.name` where that much could be read, so that others know whom the file is about.
    """

    file: str
    findings: tuple[Finding, ...]
    name: str | None = None


def parse_document(text: bytes, path: str, model: type[ModelT]) -> Parsed[ModelT] | Rejection:
    """The text of one file as `model`, or everything that is wrong with it.

    `path` names the file in the findings; nothing is opened. Never raises on any text.
    """
    document = positions.parse(text, path)
    if not isinstance(document, positions.Document):
        return Rejection(path, document)
    name = _name(document)
    wrong_kind = _check_kind(document, model)
    if wrong_kind:
        return Rejection(path, wrong_kind, name)
    try:
        value = model.model_validate(document.value)
    except pydantic.ValidationError as error:
        return Rejection(path, _translate(error, document, model), name)
    except (RecursionError, MemoryError):
        return Rejection(path, (findings.of_file(path, "the file is too complex to be checked"),), name)
    place = document.values.get(("metadata", "name"), findings.START)
    lines = {sys.intern(paths.render_path(key)): position.line for key, position in document.keys.items()}
    return Parsed(path, value, name, place, document.terminated, lines)


def _name(document: positions.Document) -> str | None:
    """`metadata.name` as far as it is text, whatever else is wrong."""
    value = document.value
    metadata = value.get("metadata") if isinstance(value, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else None


def _check_kind(document: positions.Document, model: type[pydantic.BaseModel]) -> tuple[Finding, ...]:
    """What is wrong with `apiVersion` and `kind`, before anything else is looked at."""
    if not isinstance(document.value, dict):
        message = "expected a mapping that begins with apiVersion and kind"
        return (findings.of_file(document.file, message),)
    wrong: list[Finding] = []
    for key in ("apiVersion", "kind"):
        expected = expectations.constant(model, key)
        if expected is None or document.value.get(key) == expected:
            continue
        if key in document.value:
            place = document.values[(key,)]
            message = f'expected "{expected}", found {expectations.describe(document.value[key])}'
        else:
            place, message = findings.START, f"missing key; expected `{key}: {expected}`"
        wrong.append(Finding(document.file, place.line, place.column, key, message))
    return tuple(wrong)


def _translate(
    error: pydantic.ValidationError, document: positions.Document, model: type[pydantic.BaseModel]
) -> tuple[Finding, ...]:
    """One finding for each place; of several errors about one place the deepest are kept."""
    details = error.errors(include_url=False, include_context=True)
    problems = [expectations.problem(detail, document.value) for detail in details[:_MAX_PROBLEMS]]
    inner = {problem.path[:length] for problem in problems for length in range(len(problem.path))}
    grouped: dict[tuple[Position, findings.Path], list[expectations.Problem]] = {}
    for problem in problems:
        if problem.is_kind_mismatch and problem.path in inner:
            continue
        place = _key_place(document, problem.path)
        if not problem.is_about_key:
            place = _value_place(document, problem.path, place)
        grouped.setdefault((place, problem.path), []).append(problem)
    found = []
    for place, path in sorted(grouped, key=_order)[:MAX_FINDINGS]:
        words = dict.fromkeys(expectations.message(problem, model) for problem in grouped[place, path])
        shown = paths.render_path(path)
        found.append(Finding(document.file, place.line, place.column, shown, "; or ".join(words)))
    return tuple(found)


def _order(place_and_path: tuple[Position, findings.Path]) -> Position:
    place, _ = place_and_path
    return place


def _key_place(document: positions.Document, path: findings.Path) -> Position:
    """Where the key of a path stands, or the list item, or what is nearest above it."""
    place = document.keys.get(path) or document.values.get(path)
    while place is None and path:
        path = path[:-1]
        place = document.keys.get(path) or document.values.get(path)
    return place or findings.START


def _value_place(document: positions.Document, path: findings.Path, key: Position) -> Position:
    """Where the value of a path stands if that is on the line of its key, else where the key stands."""
    value = document.values.get(path, key)
    return value if value.line == key.line else key
