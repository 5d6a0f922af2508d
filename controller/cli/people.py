"""All about one owner, for a person to read: who it is, what that owner may have and has, and why.

It refuses to be parsed: scripts use `wharf describe user NAME -o json`.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from controller.cli import slices, tables, trees
from controller.status import wording

_LABEL_WIDTH: Final = 12


def lines(user: trees.Json, now: datetime) -> Iterator[str]:
    """The lines of one owner."""
    yield from _facts(user)
    yield from section("What counts, weakest first", _texts(user, "layers"))
    yield from section("Exceptions", _exemptions(user, now))
    yield from section("Quotas", _quotas(user))
    yield from section("Limits on all workspaces together", _aggregate(user))
    if trees.at(user, "slice") is not None:
        yield from section("Slice", slices.lines(trees.at(user, "slice")))
    yield from section("Workspaces", _workspaces(user))


def _facts(user: trees.Json) -> Iterator[str]:
    account = trees.at(user, "account")
    words = (
        trees.NONE
        if account is None
        else "uid {}, gid {}, home {}".format(*(trees.text(account, key) for key in ("uid", "gid", "home")))
    )
    facts = {
        "Name": trees.text(user, "name"),
        "Account": words,
        "Group": f"{trees.text(user, 'group', 'name')}: {trees.text(user, 'group', 'why')}",
        "Member of": ", ".join(_texts(user, "group", "memberOf")) or trees.NONE,
    }
    for label, fact in facts.items():
        yield f"{label + ':':<{_LABEL_WIDTH}}{fact}"


def section(title: str, found: Iterable[str]) -> Iterator[str]:
    """A heading with its lines beneath it, or `<none>` beside it."""
    below = list(found)
    yield "" if below else f"\n{title}: {trees.NONE}"
    if below:
        yield f"{title}:"
        yield from (f"  {line}" for line in below)


def _texts(user: trees.Json, *path: str) -> list[str]:
    found = trees.at(user, *path)
    return [str(one) for one in found] if isinstance(found, list) else []


def _exemptions(user: trees.Json, now: datetime) -> Iterator[str]:
    for one in trees.each(user, "exemptions"):
        yield f"{trees.text(one, 'rule')} ({trees.text(one, 'state')}), {_term(one, now)}"
        yield f"  {trees.text(one, 'origin')}"
        reason, approver = (trees.text(one, key, default="") for key in ("reason", "approvedBy"))
        said = [reason] if reason else []
        said += [f"approved by {approver}"] if approver else []
        if said:
            yield f"  {'; '.join(said)}"


def _term(one: trees.Object, now: datetime) -> str:
    starts, expires = one.get("starts"), one.get("expires")
    parts = [f"from {starts}"] if isinstance(starts, str) else []
    if isinstance(expires, str):
        left = datetime.fromisoformat(expires) - now
        ends = f", {wording.duration(left)} from now" if left.total_seconds() > 0 else ""
        parts.append(f"until {expires}{ends}")
    return " ".join(parts) or "without an end"


def _quotas(user: trees.Json) -> list[str]:
    rows = [
        [trees.text(one, key) for key in ("name", "used", "cap", "origin")]
        for one in trees.each(user, "quotas")
    ]
    return tables.render(["LIMIT", "USED", "OF", "ORIGIN"], rows, header=True, colour=False) if rows else []


def _aggregate(user: trees.Json) -> list[str]:
    """With what is used of each, where that can be said."""
    of_them = trees.at(user, "slice")
    rows = [
        [path, slices.used(of_them, path), *(trees.text(one, key) for key in ("value", "origin"))]
        for one in trees.each(user, "aggregate")
        if (path := trees.text(one, "path"))
    ]
    columns = ["LIMIT", "USED", "OF", "ORIGIN"]
    return tables.render(columns, rows, header=True, colour=False) if rows else []


def _workspaces(user: trees.Json) -> list[str]:
    rows = [
        [trees.text(one, key) for key in ("name", "desiredState", "verdict", "reason")]
        for one in trees.each(user, "workspaces")
    ]
    columns = ["NAME", "DESIRED", "VERDICT", "REASON"]
    return tables.render(columns, rows, header=True, colour=False) if rows else []
