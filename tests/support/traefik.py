"""Knows how Traefik's file provider reads a directory, and which server a request goes to by what it read.

It refuses, as the provider does, the whole directory for one document that it cannot take.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import jsonschema
import yaml

SCHEMA: Final = Path(__file__).with_name("traefik-dynamic.schema.json")
READ: Final = (".yaml", ".yml", ".toml")
"""Endings of files that the provider reads; it goes by all others."""
_MATCHER = re.compile(r"(Host|Path|PathPrefix)\(`([^`]*)`\)")
_WORDS: Final = {"&&": " and ", "||": " or "}

_VALIDATOR: Final = jsonschema.Draft7Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes: the server, and the path that it sees."""

    server: str
    path: str


@dataclass(frozen=True)
class Table:
    """All documents of a directory as one."""

    routers: Mapping[str, Any] = field(default_factory=dict)
    middlewares: Mapping[str, Any] = field(default_factory=dict)
    services: Mapping[str, Any] = field(default_factory=dict)

    def find(self, host: str, path: str) -> Target | None:
        """The router with the longest rule that matches, its prefix taken off."""
        ordered = sorted(self.routers.values(), key=lambda router: len(router["rule"]), reverse=True)
        router = next((one for one in ordered if matches(one["rule"], host, path)), None)
        if router is None:
            return None
        for name in router.get("middlewares", ()):
            path = _stripped(path, self.middlewares[name]["stripPrefix"]["prefixes"])
        (server,) = self.services[router["service"]]["loadBalancer"]["servers"]
        return Target(server["url"], path)


def check(text: str) -> Mapping[str, Any]:
    """One document, as the provider takes it; fails with what is wrong with it."""
    assert "{{" not in text, "the provider would take it for a template"
    found = yaml.safe_load(text)
    wrong = [f"{error.json_path}: {error.message}" for error in _VALIDATOR.iter_errors(found)]
    assert wrong == [], (wrong, text)
    taken: Mapping[str, Any] = found["http"]
    for router in taken["routers"].values():
        _check_rule(router["rule"])
        assert router["service"] in taken["services"]
        assert set(router.get("middlewares", ())) <= taken.get("middlewares", {}).keys()
    return taken


def table(documents: Mapping[str, str]) -> Table:
    """What the provider makes of documents, text by file name; of one name it would take the first only."""
    whole = Table({}, {}, {})
    for name in sorted(documents):
        for kind, entries in check(documents[name]).items():
            known = getattr(whole, kind)
            assert not known.keys() & entries.keys(), f"{name} says again what another document says"
            known.update(entries)
    return whole


def read(directory: Path) -> Table:
    """What the provider makes of a directory."""
    return table({path.name: path.read_text(encoding="utf-8") for path in _files(directory)})


def matches(rule: str, host: str, path: str) -> bool:
    """Whether a request is for the router with this rule: matchers, `&&`, `||` and parentheses."""

    def judge(found: re.Match[str]) -> str:
        kind, value = found.groups()
        seen = {"Host": host == value, "Path": path == value, "PathPrefix": path.startswith(value)}
        return str(seen[kind])

    return bool(eval(_in_python(_MATCHER.sub(judge, rule))))  # checked: nothing but words, see _check_rule


def _in_python(rule: str) -> str:
    return re.sub(r"&&|\|\|", lambda found: _WORDS[found[0]], rule)


def _check_rule(rule: str) -> None:
    assert re.fullmatch(r"[()&| ]*", _MATCHER.sub("", rule)), rule
    assert matches(rule, "none.example", "/") is False


def _stripped(path: str, prefixes: list[str]) -> str:
    for prefix in prefixes:
        if path.startswith(prefix):
            rest = path.removeprefix(prefix)
            return rest if rest.startswith("/") else f"/{rest}"
    return path


def _files(directory: Path) -> Iterator[Path]:
    yield from (path for path in sorted(directory.iterdir()) if path.suffix in READ)
