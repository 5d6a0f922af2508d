"""Another system's YAML, read as such systems read it (YAML 1.1), with the place of every key and value.

It knows no system's keys. Anchors, merge keys and repeated keys mean what they meant there; what would build
objects, be without end or too large is refused. Our own files go through `positions`, which is strict.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias, cast

import yaml

from controller.model import paths
from controller.model.desired import Finding
from controller.sources import findings
from controller.sources.findings import Path, Position

MAX_BYTES: Final = 2**20
MAX_DEPTH: Final = 20
MAX_NODES: Final = 100_000

Scalar: TypeAlias = "bool | int | float | str | None"

_TAG: Final = "tag:yaml.org,2002:"
_MERGE: Final = _TAG + "merge"
_TYPED: Final = frozenset(_TAG + kind for kind in ("null", "bool", "int", "float"))
_KNOWN: Final = _TYPED | {_TAG + kind for kind in ("str", "timestamp", "value", "map", "seq")}


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """One value: where it stands, its path from the top, and what it is.

    Attributes:
        place: of the key where the value has one, else of the value.
        text: a scalar as it was written, without quotes; empty for mappings and lists.
        value: a scalar, the items of a list, or the values of a mapping by their keys as written.
    """

    file: str
    place: Position
    path: Path
    text: str
    value: Scalar | tuple[Node, ...] | Mapping[str, Node]

    @property
    def key(self) -> str:
        """The last part of the path, as text."""
        return str(self.path[-1]) if self.path else ""

    def children(self) -> tuple[Node, ...]:
        """The items of a list, or the values of a mapping, in the order of the file."""
        if isinstance(self.value, tuple):
            return self.value
        return tuple(self.value.values()) if isinstance(self.value, Mapping) else ()

    def leaves(self) -> Iterator[Node]:
        """Every scalar, empty mapping and empty list in it, in the order of the file."""
        if not self.children():
            yield self
        for child in self.children():
            yield from child.leaves()

    def finding(self, message: str) -> Finding:
        """A finding about this value."""
        shown = paths.render_path(self.path)
        return Finding(self.file, self.place.line, self.place.column, shown, message)


@dataclasses.dataclass(frozen=True, slots=True)
class Tree:
    """A whole file; `repeats` are the keys that were given twice: the last one counts, as it did there."""

    root: Node
    repeats: tuple[Node, ...]


class _RefusedError(Exception):
    """Reading cannot go on; carries the finding that says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding


def parse(text: bytes, file: str) -> Tree | Finding:
    """The one document in `text`, or why it cannot be read; an empty file is null. Never raises on any text.

    `file` is only for the places; nothing is opened.
    """
    if len(text) > MAX_BYTES:
        return findings.of_file(file, f"the file has {len(text)} bytes; at most {MAX_BYTES} (1 MiB) are read")
    loader: Any = None
    try:
        loader = yaml.CSafeLoader(text)
        builder = _Builder(file, loader)
        node = loader.get_single_node()
        root = Node(file, findings.START, (), "", None)
        if node is not None:
            root = builder.build(node, (), findings.START)
        return Tree(root, tuple(builder.repeats))
    except _RefusedError as refused:
        return refused.finding
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError, MemoryError) as error:
        return _translate(error, file)
    finally:
        if loader is not None:
            loader.dispose()


def _translate(error: Exception, file: str) -> Finding:
    """A finding for an error of the YAML library or of Python; the last row keeps its words."""
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        words = " ".join(part for part in (error.context, error.problem) if part)
        line, column = (mark.line + 1, mark.column + 1) if mark else findings.START
        return Finding(file, line, column, "", f"not YAML: {words}")
    if isinstance(error, RecursionError | MemoryError):
        return findings.of_file(file, "the file is too complex to be read")
    return findings.of_file(file, f"not YAML: {error}")


class _Builder:
    """Builds our nodes from the library's, counting them, because an alias can repeat what is large."""

    def __init__(self, file: str, loader: Any) -> None:  # noqa: ANN401 - the library has no types here
        self.repeats: list[Node] = []
        self._file = file
        self._loader = loader
        self._count = 0
        self._widths: dict[int, int] = {}

    def build(self, node: yaml.Node, path: Path, place: Position) -> Node:
        self._count += 1
        if self._count > MAX_NODES:
            raise self._refusal(place, path, f"more than {MAX_NODES} values in one file")
        if len(path) > MAX_DEPTH:
            raise self._refusal(place, path[:3], f"nested deeper than {MAX_DEPTH} levels")
        if node.tag not in _KNOWN:
            raise self._refusal(place, path, f"the tag {node.tag} is not read; write plain values")
        match node:
            case yaml.MappingNode():
                return Node(self._file, place, path, "", self._mapping(node, path))
            case yaml.SequenceNode():
                items = (
                    self.build(item, (*path, index), _position(item)) for index, item in enumerate(node.value)
                )
                return Node(self._file, place, path, "", tuple(items))
            case _:
                return Node(self._file, place, path, str(node.value), self._scalar(node))

    def _mapping(self, node: yaml.MappingNode, path: Path) -> Mapping[str, Node]:
        if self._width(node) > MAX_NODES:
            raise self._refusal(_position(node), path, f"more than {MAX_NODES} values in one file")
        written = collections.Counter(str(key.value) for key, _ in node.value)
        self._loader.flatten_mapping(node)  # merge keys
        found: dict[str, Node] = {}
        for key, value in node.value:
            place = _position(key)
            if not isinstance(key, yaml.ScalarNode):
                raise self._refusal(place, path, "a mapping or list cannot be a key; expected a name")
            name = str(key.value)
            if name in found and written[name] > 1:
                self.repeats.append(found[name])
            found[name] = self.build(value, (*path, name), place)
        return found

    def _width(self, node: yaml.Node) -> int:
        """How many keys a mapping will have, those included that merge keys repeat."""
        known = self._widths.get(id(node))
        if known is None:
            self._widths[id(node)] = 0  # should it merge itself
            known = self._widths[id(node)] = sum(
                sum(map(self._width, value.value if isinstance(value, yaml.SequenceNode) else (value,)))
                if key.tag == _MERGE
                else 1
                for key, value in (node.value if isinstance(node, yaml.MappingNode) else ())
            )
        return known

    def _scalar(self, node: yaml.Node) -> Scalar:
        if node.tag in _TYPED:
            return cast("Scalar", self._loader.construct_object(node))
        return str(node.value)

    def _refusal(self, place: Position, path: Path, message: str) -> _RefusedError:
        finding = Finding(self._file, place.line, place.column, paths.render_path(path), message)
        return _RefusedError(finding)


def _position(node: yaml.Node) -> Position:
    mark = node.start_mark
    return Position(mark.line + 1, mark.column + 1) if mark else findings.START
