"""Knows the table of resolutions: who asks for what under which policy, what comes of it, and why.

A file of `rows/` is one topic: `title`, `about`, a `policy` (and a `catalog`), and `rows` that they answer. A
row `says` something of `who`, and may have `asks` (the spec), `name` (of the workspace), `at` (the time),
`account` (null: nobody knows one), `members` and `unread` (of groups, as they were read). What comes of it is
`gets`, value and origin by path (`quotas.` and `aggregate.` are the owner's), `made`, attributes of what is
resolved, and `lacks`, paths; or it is `held`. To add rows, write them with any values, let
`pytest tests/policies --update-golden` write what comes of each, and read that.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import yaml

from controller.api.images import ImageCatalog
from controller.api.policy import ResourcePolicy
from controller.api.workspace import Workspace
from controller.model.desired import AcceptedPolicy
from controller.model.effective import Effective, Refusal
from controller.model.observed import Account
from controller.planning import origins, resolve
from controller.planning.standing import Standing
from controller.sources import loader
from tests.support import builders

ROOT = Path(__file__).resolve().parents[2]
ROWS = Path(__file__).parent / "rows"
NO_CATALOG = "apiVersion: wharfinger.dev/v1\nkind: ImageCatalog\nmetadata: {name: lab}\nspec: {}\n"
SPEC = "apiVersion: wharfinger.dev/v1\nkind: Workspace\nmetadata: {{name: {}}}\nspec: {}\n"
IMAGE = "sample:1"
NO_IMAGE = ("image", None)
NOW = "2026-11-22T12:00:00Z"
PARTS = ("gets", "made", "lacks", "held")
"""What comes of a row."""
ModelT = TypeVar("ModelT", ResourcePolicy, ImageCatalog, Workspace)


@dataclass(frozen=True)
class Row:
    """One row of a topic, as written."""

    file: Path
    number: int
    policy: str
    catalog: str
    written: Mapping[str, Any]

    @property
    def workspace(self) -> str:
        """Name of the workspace."""
        return self.written.get("name") or re.sub(r"[^a-z0-9]+", "-", self.written["who"].lower())

    @property
    def asks(self) -> dict[str, Any]:
        """The spec; the image of the tests where the row names none, and no image where it names null."""
        who = self.written["who"]
        asked = {**({} if who == self.workspace else {"owner": who}), **self.written.get("asks", {})}
        return {key: value for key, value in {"image": IMAGE, **asked}.items() if (key, value) != NO_IMAGE}

    def outcome(self) -> dict[str, Any]:
        """What comes of it, in the form in which it is written: `held`, or what the row asks about."""
        row, who = self.written, self.written["who"]
        spec = _parsed(
            SPEC.format(self.workspace, json.dumps(self.asks)), f"{self.workspace}.yaml", Workspace
        )
        account = row.get("account", {"uid": 1001, "gid": 1001, "home": f"/home/{who}"})
        standing = Standing(self._accepted(), datetime.fromisoformat(row.get("at", NOW)))
        accepted = builders.in_force(spec.value, lines=spec.lines, file=spec.file)
        found = resolve.resolve(accepted, standing, Account(who, **account) if account else None)
        if isinstance(found, Refusal):
            return {"held": {"reason": str(found.reason), "message": found.message}}
        return self._told(found, standing)

    def _told(self, found: Effective, standing: Standing) -> dict[str, Any]:
        got = {one.path: f"{one.value} <- {one.origin}" for one in found.values}
        profile = standing.profile(found.owner)
        assert not isinstance(profile, Refusal), "who gets something belongs somewhere"
        for part, folded in (("quotas", profile.caps), ("aggregate", profile.aggregate)):
            for path, value in folded.items():
                got[f"{part}.{path}"] = f"{origins.word(path, value.value)} <- {value.origin}"
        asked = {
            "gets": {path: got[path] for path in self.written.get("gets", {})},
            "made": {path: _made(found, path) for path in self.written.get("made", {})},
            "lacks": [path for path in self.written.get("lacks", ()) if path not in got],
        }
        return {part: values for part, values in asked.items() if part in self.written} or asked

    def _accepted(self) -> AcceptedPolicy:
        policy = _parsed(self.policy, "policy.yaml", ResourcePolicy)
        catalog = _parsed(self.catalog, "images.yaml", ImageCatalog)
        return AcceptedPolicy(
            policy.value,
            catalog.value,
            "digest",
            members={name: frozenset(found) for name, found in self.written.get("members", {}).items()},
            unread_groups=frozenset(self.written.get("unread", ())),
            lines=policy.lines,
            catalog_lines=catalog.lines,
        )


def _parsed(text: str, file: str, model: type[ModelT]) -> loader.Parsed[ModelT]:
    found = loader.parse_document(text.encode(), file, model)
    assert isinstance(found, loader.Parsed), [str(finding) for finding in found.findings]
    return found


def _made(found: object, path: str) -> str:
    """An attribute by its path, in which a number is the place in a list; pairs read as `NAME=value`."""
    for part in path.split("."):
        found = found[int(part)] if isinstance(found, tuple) else getattr(found, part)
    if isinstance(found, tuple):
        return ", ".join("=".join(pair) for pair in found)
    return str(found)


def read(file: Path) -> dict[str, Any]:
    """One topic."""
    found: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return found


def files() -> list[Path]:
    """The topics, in order."""
    return sorted(ROWS.glob("*.yaml"))


def rows() -> Iterator[Row]:
    """Every row."""
    for file in files():
        topic = read(file)
        for number, written in enumerate(topic["rows"]):
            yield Row(file, number, topic["policy"], topic.get("catalog", NO_CATALOG), written)
