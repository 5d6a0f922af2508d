"""What has to be said about a translation: which values were used, what was left out and why, what is wrong.

It knows no key; it sees to it that no value is silent.
"""

import enum
from collections.abc import Iterator
from dataclasses import dataclass

from controller.model import paths
from controller.model.desired import Finding
from controller.sources import findings
from controller.sources.foreign import Node


class Kind(enum.Enum):
    """Why something is said; the value is the heading that it stands under."""

    AMBIGUOUS = "ambiguous, so look at it"
    UNKNOWN = "not known as DS01's, not carried over"
    DROPPED = "not carried over"
    MEANINGLESS = "without any effect in DS01"
    CHANGED = "carried over in another shape"


@dataclass(frozen=True, slots=True)
class Note:
    """One thing to say about one value, or about everything below it."""

    kind: Kind
    node: Node
    message: str


class Report:
    """Collects what is to be said; the same thing about the same place is said once."""

    def __init__(self) -> None:
        self.errors: dict[Finding, None] = {}
        self._notes: dict[tuple[Kind, str, findings.Path, str], Note] = {}
        self._settled: set[tuple[str, findings.Path]] = set()

    def take(self, node: Node) -> None:
        """The value of `node` is in the policy."""
        self._settled.add((node.file, node.path))

    def say(self, kind: Kind, node: Node, message: str) -> None:
        """Say something about the value of `node`; everything below it is settled with that."""
        self.remark(kind, node, message)
        self.take(node)

    def remark(self, kind: Kind, node: Node, message: str) -> None:
        """Say something at `node`, which settles no value."""
        self._notes.setdefault((kind, node.file, node.path, message), Note(kind, node, message))

    def refuse(self, node: Node, message: str) -> None:
        """The value of `node` cannot be translated; a person must mend it."""
        self.errors.setdefault(node.finding(message))
        self.take(node)

    def is_settled(self, node: Node) -> bool:
        """Whether the value, or something that it is part of, was taken, refused or spoken of."""
        lengths = range(len(node.path) + 1)
        return any((node.file, node.path[:length]) in self._settled for length in lengths)

    @property
    def notes(self) -> tuple[Note, ...]:
        """All notes, in the order in which they were made."""
        return tuple(self._notes.values())

    def lines(self) -> Iterator[str]:
        """All notes as text, by kind; those that say the same of keys with one name share a line."""
        for kind in Kind:
            found = [note for note in self._notes.values() if note.kind is kind]
            if found:
                yield f"{kind.value}:"
                yield from (f"  {line}" for line in _lines(found))


def _lines(notes: list[Note]) -> Iterator[str]:
    together: dict[tuple[str, str], list[Node]] = {}
    for note in notes:
        together.setdefault((note.node.file, note.message), []).append(note.node)
    for (file, message), nodes in together.items():
        nodes.sort(key=lambda node: node.place)
        first = nodes[0]
        what = paths.render_path(first.path or ("all",)) if len(nodes) == 1 else ", ".join(_places(nodes))
        yield f"{file}:{first.place.line}: {what}: {message}"


def _places(nodes: list[Node]) -> Iterator[str]:
    """Each key once, with the lines where it stands."""
    by_name: dict[str, list[int]] = {}
    for node in nodes:
        name = next((part for part in reversed(node.path) if isinstance(part, str)), "")
        by_name.setdefault(name, []).append(node.place.line)
    for name, lines in by_name.items():
        numbers = ", ".join(map(str, dict.fromkeys(lines)))
        yield f"{name} (line{'s' * (len(set(lines)) > 1)} {numbers})"
