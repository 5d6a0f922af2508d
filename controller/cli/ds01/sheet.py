"""Where a DS01 limits file keeps what, and how its layers overlay each other; it knows no limit's meaning."""

from collections.abc import Iterator, Mapping
from typing import Final

from controller.api import fields
from controller.cli import logins
from controller.cli.ds01 import keys
from controller.cli.ds01.notes import Kind, Report
from controller.sources.foreign import Node

Entries = Mapping[str, Node]
"""The limits of one layer, or of several laid over each other, by key; nested ones as `aggregate.KEY`."""

AGGREGATE: Final = "aggregate."
_NESTED: Final = ("aggregate", "policies")
_NOT_LIMITS: Final = frozenset({"members", "reason", "approved_by", "description"})


def section(node: Node | None, report: Report) -> Mapping[str, Node]:
    """The values of a section; none where it is absent or holds only comments."""
    if node is None:
        return {}
    if node.value is None:
        report.say(Kind.DROPPED, node, "it holds nothing")
        return {}
    if isinstance(node.value, Mapping):
        if not node.value:
            report.take(node)
        return node.value
    report.refuse(node, f"a mapping is expected, found {_found(node)}")
    return {}


def entries(node: Node | None, report: Report) -> Entries:
    """The limits of one layer."""
    found: dict[str, Node] = {}
    for key, child in section(node, report).items():
        if key in _NESTED and not child.children() and isinstance(child.value, Mapping):
            report.say(Kind.DROPPED, child, "it holds nothing")
        elif key in _NESTED:
            found |= {f"{key}.{name}": value for name, value in section(child, report).items()}
        elif key not in _NOT_LIMITS:
            found[key] = child
    return found


def over(weaker: Entries, stronger: Entries) -> Entries:
    """Lay one layer over another: key by key, but an aggregate replaces the weaker one whole."""
    if any(key.startswith(AGGREGATE) for key in stronger):
        weaker = without_aggregate(weaker)
    return {**weaker, **stronger}


def without_aggregate(layer: Entries) -> Entries:
    """A layer without its aggregate."""
    return {key: node for key, node in layer.items() if not key.startswith(AGGREGATE)}


def texts(node: Node | None, report: Report) -> Iterator[Node]:
    """The items of a list of texts; null is an empty list."""
    if node is None:
        return
    if not isinstance(node.value, tuple):
        if node.value is None:
            report.say(Kind.DROPPED, node, "it holds nothing")
        else:
            report.refuse(node, f"a list is expected, found {_found(node)}")
        return
    if not node.value:
        report.take(node)
    for item in node.value:
        if item.children() or not item.text:
            report.refuse(item, f"a name is expected, found {_found(item)}")
        else:
            yield item


def login(node: Node, report: Report) -> str | None:
    """The login name that a value is; anything else is refused."""
    if node.children() or not logins.is_login(node.text):
        report.refuse(node, f"a login name is expected, found {_found(node)}")
        return None
    report.take(node)
    return node.text


def generation(root: Node) -> tuple[keys.Generation, tuple[Node, ...]]:
    """Which format a file has, and the keys that say so; the current one where no key tells."""
    found = {
        one: tuple(node for node in _keys(root) if _is_sign(node, keys.SIGNS[one])) for one in keys.Generation
    }
    newest_first = sorted(keys.Generation, key=list(keys.Generation).index, reverse=True)
    best = max(newest_first, key=lambda one: len({node.key for node in found[one]}))
    return best, found[best]


def _is_sign(node: Node, signs: frozenset[str]) -> bool:
    if node.path == ("policies", "max_containers_per_user"):
        return "gpus" in signs
    return node.key in signs


def _keys(node: Node) -> Iterator[Node]:
    """Everything with a key, but for names of groups and users."""
    is_named = len(node.path) == 2 and node.path[0] in {"groups", "user_overrides"}  # noqa: PLR2004 - a name's depth
    if node.path and isinstance(node.path[-1], str) and not is_named:
        yield node
    for child in node.children():
        yield from _keys(child)


def _found(node: Node) -> str:
    value = node.value
    return fields.found(
        {} if isinstance(value, Mapping) else list(value) if isinstance(value, tuple) else value
    )
