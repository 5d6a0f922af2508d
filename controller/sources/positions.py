"""Strict YAML with the line and column of every key and value; knows nothing of what the keys mean.

The door to the YAML library for our own files; `foreign` has the one for those of other systems. It reads
parser events, so that anchors, aliases, tags, merge keys, further documents, deep nesting and node floods are
refused as they come and nothing is ever expanded or constructed.
Plain scalars are typed by JSON's syntax alone (YAML 1.2.2, section 10.2): `no`, `0123`, `1_000`, `22:22` and
dates stay strings.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Final, TypeAlias

import yaml

from controller.model import paths
from controller.model.desired import Finding
from controller.sources import findings
from controller.sources.findings import Path, Position

MAX_BYTES: Final = 64 * 1024
MAX_DEPTH: Final = 20
MAX_NODES: Final = 10_000
MAX_FINDINGS: Final = 20
_LONGEST_NUMBER: Final = 40
_SECOND_DOCUMENT: Final = "a second document starts here; one document a file"

Value: TypeAlias = "bool | int | float | str | list[Value] | dict[str, Value] | None"

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORDS: Final[Mapping[str, bool | None]] = {"null": None, "true": True, "false": False}


@dataclasses.dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: its plain value, where each part stands, and whether its end is certain.

    `keys` holds the place of each mapping key, `values` that of each value, both by path.
    `terminated` says that the file ends with the line `...`, so that it cannot be the head of a longer one.
    """

    file: str
    value: Value
    keys: Mapping[Path, Position]
    values: Mapping[Path, Position]
    terminated: bool


class _RefusedError(Exception):
    """Reading cannot go on; carries the finding that says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding


def parse(text: bytes, file: str) -> Document | tuple[Finding, ...]:
    """The document in `text`, or what is wrong with it (at least one, at most MAX_FINDINGS findings).

    `file` is only for the findings; nothing is opened. Never raises on any input.
    """
    builder = _Builder(file)
    try:
        _feed(builder, _decode(text, file))
        builder.finish()
    except _RefusedError as refused:
        return (*builder.findings, refused.finding)[:MAX_FINDINGS]
    if builder.findings:
        return tuple(builder.findings)
    return Document(file, builder.value, builder.keys, builder.values, ends_explicitly(text))


def _decode(text: bytes, file: str) -> str:
    if len(text) > MAX_BYTES:
        size = f"the file has {len(text)} bytes; at most {MAX_BYTES} (64 KiB) are read"
        raise _RefusedError(findings.of_file(file, size))
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError as error:
        place = _place(text[: error.start].decode("utf-8", "replace"))
        message = f"byte 0x{text[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise _RefusedError(Finding(file, place.line, place.column, "", message)) from error
    found = _FORBIDDEN.search(decoded)
    if found:
        place = _place(decoded[: found.start()])
        message = f"character U+{ord(found.group()):04X} is not allowed in a spec"
        raise _RefusedError(Finding(file, place.line, place.column, "", message))
    return decoded


def _place(before: str) -> Position:
    """The place right after the text `before`."""
    lines = re.split(r"\r\n|\r|\n", before)
    return Position(len(lines), len(lines[-1]) + 1)


def ends_explicitly(text: bytes) -> bool:
    """Whether the last line is `...`, the end of a document."""
    lines = text.splitlines()
    return bool(lines) and lines[-1] == b"..."


def _feed(builder: _Builder, text: str) -> None:
    """Every parser event of `text` to the builder; the library's errors become findings."""
    loader = yaml.CSafeLoader(text)
    try:
        while True:
            try:
                event = loader.get_event()
            except (yaml.YAMLError, UnicodeError, ValueError, RecursionError, MemoryError) as error:
                raise _RefusedError(_translate(error, builder.file)) from error
            if event is None or isinstance(event, yaml.StreamEndEvent):
                return
            builder.take(event)
    finally:
        loader.dispose()


def _translate(error: Exception, file: str) -> Finding:
    """A finding for an error of the YAML library; the last row keeps its words."""
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        if error.problem == "did not find expected <document start>":
            words = _SECOND_DOCUMENT
        else:
            words = "not YAML: " + " ".join(part for part in (error.context, error.problem) if part)
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        return Finding(file, line, column, "", words)
    if isinstance(error, RecursionError | MemoryError):
        return findings.of_file(file, "the file is too complex to be read")
    return findings.of_file(file, f"not YAML: {error}")


@dataclasses.dataclass(slots=True)
class _Frame:
    """One open mapping or list while its events come."""

    path: Path
    container: dict[str, Value] | list[Value]
    key: str | None = None


class _Builder:
    """Builds the value from events without recursion, collecting what is wrong."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.value: Value = None
        self.keys: dict[Path, Position] = {}
        self.values: dict[Path, Position] = {}
        self.findings: list[Finding] = []
        self._frames: list[_Frame] = []
        self._nodes = 0
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        """Adds one event; raises _RefusedError where going on makes no sense."""
        if isinstance(event, yaml.DocumentStartEvent):
            self._take_document(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._frames.pop()
        elif isinstance(event, yaml.NodeEvent):
            self._take_node(event)

    def finish(self) -> None:
        """Refuses a file that held no document at all."""
        if not self._documents:
            raise _RefusedError(findings.of_file(self.file, "the file is empty"))

    def _take_document(self, event: yaml.DocumentStartEvent) -> None:
        self._documents += 1
        place = _position(event)
        if self._documents > 1:
            raise self._refusal(place, (), _SECOND_DOCUMENT)
        if event.version is not None or event.tags:
            raise self._refusal(place, (), "YAML directives are not allowed")

    def _take_node(self, event: yaml.NodeEvent) -> None:
        place = _position(event)
        frame = self._frames[-1] if self._frames else None
        self._count(place)
        if frame is not None and isinstance(frame.container, dict) and frame.key is None:
            self._take_key(frame, event, place)
            return
        path = _child_path(frame)
        self._check_extras(event, place, path)
        self.values[path] = place
        if isinstance(event, yaml.ScalarEvent):
            self._attach(frame, self._scalar(event, place, path))
            return
        if len(self._frames) >= MAX_DEPTH:
            raise self._refusal(place, path[:3], f"nested deeper than {MAX_DEPTH} levels")
        container: dict[str, Value] | list[Value] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._attach(frame, container)
        self._frames.append(_Frame(path, container))

    def _attach(self, frame: _Frame | None, value: Value) -> None:
        """Puts a value where the frame expects its next one; without a frame it is the document."""
        if frame is None:
            self.value = value
        elif isinstance(frame.container, list):
            frame.container.append(value)
        else:
            frame.container[frame.key or ""] = value
            frame.key = None

    def _count(self, place: Position) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._refusal(place, (), f"more than {MAX_NODES} values in one file")

    def _take_key(self, frame: _Frame, event: yaml.NodeEvent, place: Position) -> None:
        if not isinstance(event, yaml.ScalarEvent):
            what = "an alias (*)" if isinstance(event, yaml.AliasEvent) else "a mapping or list"
            raise self._refusal(place, frame.path, f"{what} cannot be a key; expected a name")
        key = event.value
        path = (*frame.path, key)
        self._check_extras(event, place, path)
        if event.implicit[0] and key == "<<":
            self._note(place, path, "merge keys (<<) are not allowed; write the keys out")
        elif not key:
            self._note(place, path, "an empty key; expected a name before the colon")
        elif _FORBIDDEN.search(key):
            self._note(place, path, "control characters are not allowed in a key")
        elif path in self.keys:
            first = self.keys[path]
            message = f"duplicate key; first given at line {first.line}, column {first.column}"
            self._note(place, path, message)
        self.keys.setdefault(path, place)
        frame.key = key

    def _check_extras(self, event: yaml.NodeEvent, place: Position, path: Path) -> None:
        if isinstance(event, yaml.AliasEvent):
            raise self._refusal(
                place, path, f"aliases (*{event.anchor}) are not allowed; write the value out"
            )
        if event.anchor is not None:
            self._note(place, path, f"anchors (&{event.anchor}) are not allowed")
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._note(place, path, f"tags ({tag}) are not allowed")

    def _scalar(self, event: yaml.ScalarEvent, place: Position, path: Path) -> Value:
        text: str = event.value
        if not event.implicit[0]:
            if _FORBIDDEN.search(text):
                self._note(place, path, "control characters are not allowed in a value")
            return text
        if text in _WORDS:
            return _WORDS[text]
        if not text:
            message = "no value; write null for none, or remove the key" if path else "the file is empty"
            self._note(place, path, message)
            return None
        return self._number(text, place, path)

    def _number(self, text: str, place: Position, path: Path) -> int | float | str:
        if not _FLOAT.fullmatch(text):
            return text
        whole = _INTEGER.fullmatch(text) is not None
        if len(text) > _LONGEST_NUMBER or not (whole or math.isfinite(float(text))):
            self._note(place, path, "the number is too large; quote it if it is text")
            return 0
        return int(text) if whole else float(text)

    def _note(self, place: Position, path: Path, message: str) -> None:
        finding = self._finding(place, path, message)
        self.findings.append(finding)
        if len(self.findings) >= MAX_FINDINGS:
            raise _RefusedError(finding)

    def _refusal(self, place: Position, path: Path, message: str) -> _RefusedError:
        return _RefusedError(self._finding(place, path, message))

    def _finding(self, place: Position, path: Path, message: str) -> Finding:
        return Finding(self.file, place.line, place.column, paths.render_path(path), message)


def _position(event: yaml.Event) -> Position:
    mark = event.start_mark
    return Position(mark.line + 1, mark.column + 1) if mark else findings.START


def _child_path(frame: _Frame | None) -> Path:
    if frame is None:
        return ()
    if isinstance(frame.container, list):
        return (*frame.path, len(frame.container))
    return (*frame.path, frame.key or "")


class _Dumper(yaml.CSafeDumper):
    """Writes what `parse` reads back: quotes the texts that are numbers here and not to the library."""


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "'" if _FLOAT.fullmatch(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def dump(value: object) -> str:
    """Plain values (mappings, lists, text, numbers, null) as block YAML, keys in their order."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False
    )
    return text
