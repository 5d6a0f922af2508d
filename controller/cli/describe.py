"""`wharf describe`: all that is known of one workspace, of one user or of one GPU.

Its text is for people and refuses to be parsed: scripts use `-o json`.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final, TypeAlias, cast

import click

from controller.cli import addresses, entry, gpus, names, people, session, slices, tables, trees, views
from controller.status import events as subjects
from controller.status import objects, wording

_LABEL_WIDTH: Final = 14
_EVENTS: Final = 20
_ID_LENGTH: Final = 12
_WIDTH: Final = 98
_VALUE_WIDTH: Final = 24
_GAP: Final = "   "
KINDS: Final = {"workspace": ("workspaces", "ws"), "user": ("users", "owner"), "gpu": ("gpus",)}


@click.command(
    cls=entry.Command,
    examples=[
        ("wharf describe workspace alice", "spec, effective values, conditions, drift, decision, events"),
        ("wharf describe user alice", "group, grants, quotas with their use, and where each is said"),
        ("wharf describe gpu GPU-8f2e4a0c", "who holds and uses it, its faults, who waits"),
        ("wharf describe user alice -o json", "the same for a script"),
    ],
)
@click.argument("kind", type=entry.Kind(KINDS))
@click.argument("chosen", type=names.WorkspaceName(), nargs=-1, required=True, metavar="NAME…")
@click.option(
    "-o", "--output", "form", type=click.Choice(["text", "json", "yaml"]), default="text", help="Format."
)
@session.PASS_SESSION
def describe(this: session.Session, /, kind: str, chosen: tuple[str, ...], form: str) -> None:
    """Show all about the workspaces, the users or the GPUs that are named.

    The KIND is workspace (ws), user or gpu. Of a workspace each effective value comes with its origin, and
    the lines to connect are the last. Of a user it is told what that owner may have, how much of it is used,
    and where each is said. A GPU is named by its UUID or the beginning of it. It works while no controller
    runs.
    """
    view = views.open_view(this)
    found = _workspaces(this, view, chosen) if kind == "workspace" else _OTHERS[kind](view, chosen)
    for position, (item, lines) in enumerate(found):
        if form == "text":
            click.echo("\n".join(([""] if position else []) + list(lines)))
        else:
            click.echo(tables.to_json(item) if form == "json" else f"---\n{tables.to_yaml(item)}".rstrip())


_Described: TypeAlias = tuple[trees.Json, Iterable[str]]


def _workspaces(this: session.Session, view: views.View, chosen: Iterable[str]) -> Iterator[_Described]:
    found, host = view.workspaces(), addresses.host_of(this.settings)
    for name in chosen:
        item = views.find(found, name)
        events = view.events(name, _EVENTS)
        yield item, _lines(item, found.at, trees.each(events.value, "items"), host)


def _users(view: views.View, chosen: Iterable[str]) -> Iterator[_Described]:
    for name in chosen:
        found = view.user(name)
        yield found.value, people.lines(found.value, found.at)


def _gpus(view: views.View, chosen: Iterable[str]) -> Iterator[_Described]:
    found = view.gpus()
    gpus.say_unseen(found.value)
    for name in chosen:
        item = gpus.find(found.value, name)
        events = view.events(subjects.subject_of_gpu(trees.name_of(item)), _EVENTS)
        yield item, gpus.lines(item, found.value, trees.each(events.value, "items"), found.at)


_OTHERS: Final = {"user": _users, "gpu": _gpus}


def _lines(item: trees.Object, now: datetime, events: Sequence[trees.Object], host: str) -> Iterator[str]:
    yield from _facts(item, now)
    yield from people.section("Spec", tables.to_yaml(trees.at(item, "spec")).splitlines())
    yield from people.section("Effective values", _effective(item))
    yield from people.section("Conditions", _conditions(item, now))
    yield from people.section("Drift", _drift(item, now))
    yield from people.section("Last decision", _decision(item))
    yield from people.section("Events", _events(events, now))
    yield from people.section("Connect", addresses.connect_lines(item, host))


def _facts(item: trees.Object, now: datetime) -> Iterator[str]:
    workspace = cast("objects.WorkspaceObject", item)
    generation, observed = (
        trees.text(item, "metadata", "generation"),
        trees.text(item, "status", "observedGeneration"),
    )
    facts = {
        "Name": trees.name_of(item),
        "Owner": trees.text(item, "status", "owner"),
        "Class": trees.text(item, "spec", "class"),
        "File": trees.text(item, "status", "file"),
        "Generation": generation if generation == observed else f"{generation} (acted on: {observed})",
        "UID": trees.text(item, "metadata", "uid"),
        "Created": _moment(trees.text(item, "metadata", "creationTimestamp"), now),
        "State": wording.state(workspace),
        "Ready": f"{wording.ready(workspace)} ({wording.reason(workspace)})",
        "Container": _container(item, now),
        "Image": trees.text(item, "status", "container", "image"),
        "Digest": trees.text(item, "status", "container", "imageDigest"),
        "GPUs": gpus.of_workspace(item, now),
        "Slice": slices.of_workspace(item),
        "Storage": _storage(item, now),
        "Next attempt": trees.text(item, "status", "nextAttempt"),
    }
    for label, fact in facts.items():
        yield f"{label + ':':<{_LABEL_WIDTH}}{fact}"


def _storage(item: trees.Object, now: datetime) -> str:
    """`layer 1.2GiB (5m ago), log 3.0MiB (5m ago), home unknown: not measured yet`."""
    parts = (_size(item, what, now) for what in ("layer", "log", "home"))
    return ", ".join(filter(None, parts)) or trees.NONE


def _size(item: trees.Object, what: str, now: datetime) -> str:
    found = trees.at(item, "status", "storage", what)
    size, at = trees.at(found, "bytes"), trees.at(found, "measuredAt")
    if isinstance(size, int) and isinstance(at, str):
        return f"{what} {wording.size(size)} ({wording.age(datetime.fromisoformat(at), now)} ago)"
    unknown = trees.text(found, "unknown", default="")
    return f"{what} unknown: {unknown}" if unknown else ""


def _container(item: trees.Object, now: datetime) -> str:
    container = trees.at(item, "status", "container")
    if container is None:
        return trees.NONE
    identity = trees.text(container, "id")[:_ID_LENGTH]
    started = trees.at(container, "startedAt")
    since = f", started {_moment(started, now)}" if isinstance(started, str) else ""
    code = trees.at(container, "exitCode")
    ended = "" if code is None else f", exit code {code}"
    privileged = ", privileged: root on the host" if trees.at(container, "privileged") else ""
    return f"{trees.text(container, 'name')} ({identity}){privileged}{since}{ended}"


def _moment(moment: str, now: datetime) -> str:
    """A time with its age, both for people."""
    return f"{moment} ({wording.age(datetime.fromisoformat(moment), now)} ago)"


def _effective(item: trees.Object) -> Iterator[str]:
    """Fields with values and origins in columns; what is too long for its column goes on in the next line."""
    rows = [
        (trees.text(value, "path"), trees.text(value, "value", default='""'), trees.text(value, "origin"))
        for value in trees.each(item, "status", "effective")
    ]
    if not rows:
        return
    rows.insert(0, ("FIELD", "VALUE", "ORIGIN"))
    field = max(len(path) for path, _, _ in rows)
    value = max(len(text) for _, text, _ in rows if len(text) <= _VALUE_WIDTH)
    for path, text, origin in rows:
        beside = f"{path:<{field}}{_GAP}{text:<{value}}{_GAP}"
        if len(text) > value:
            yield beside.rstrip()
            beside = ""
        first, comma, rest = origin.partition(", ")
        if len(beside) + len(origin) <= _WIDTH:
            first, comma, rest = origin, "", ""
        yield f"{beside:<{field + value + 2 * len(_GAP)}}{first}{comma.rstrip()}"
        if rest:
            yield f"{'':<{field + value + 2 * len(_GAP)}}{rest}"


def _conditions(item: trees.Object, now: datetime) -> list[str]:
    rows = [
        [
            trees.text(condition, "type"),
            trees.text(condition, "status"),
            trees.text(condition, "reason"),
            wording.age(datetime.fromisoformat(trees.text(condition, "lastTransitionTime")), now),
            trees.text(condition, "message", default=""),
        ]
        for condition in trees.each(item, "status", "conditions")
    ]
    return _table(["TYPE", "STATUS", "REASON", "AGE", "MESSAGE"], rows)


def _drift(item: trees.Object, now: datetime) -> Iterator[str]:
    for drift in trees.each(item, "status", "drift"):
        since = drift.get("since")
        age = f", for {wording.age(datetime.fromisoformat(since), now)}" if isinstance(since, str) else ""
        change = f"{trees.text(drift, 'observed')} -> {trees.text(drift, 'desired')}"
        remedy = f"remedy: {trees.text(drift, 'remedy')}{age}"
        yield f"{trees.text(drift, 'kind')} {trees.text(drift, 'field')} {change} ({remedy})"


def _decision(item: trees.Object) -> Iterator[str]:
    decision = trees.at(item, "status", "decision")
    verdict, reason = trees.text(decision, "verdict"), trees.text(decision, "reason")
    message = trees.text(decision, "message", default="")
    yield f"{verdict} ({reason}){': ' + message if message else ''}"
    for gap in trees.each(decision, "notEnforced"):
        yield f"not enforced: {trees.text(gap, 'path')}: {trees.text(gap, 'message')}"
    for note in trees.each(decision, "notes"):
        yield f"note: {trees.text(note, 'reason')}: {trees.text(note, 'message')}"
    actions = trees.at(decision, "actions")
    if isinstance(actions, Sequence) and not isinstance(actions, str):
        yield from (f"- {action}" for action in actions)
    findings = trees.at(item, "status", "findings")
    if isinstance(findings, Sequence) and not isinstance(findings, str):
        yield from (f"finding: {finding}" for finding in findings)


def _events(events: Sequence[trees.Object], now: datetime) -> list[str]:
    rows = [
        [
            wording.age(datetime.fromisoformat(trees.text(event, "time")), now),
            trees.text(event, "type"),
            trees.text(event, "reason"),
            trees.text(event, "count"),
            trees.text(event, "message", default=""),
        ]
        for event in events
    ]
    return _table(["LAST", "TYPE", "REASON", "COUNT", "MESSAGE"], rows)


def _table(headers: list[str], rows: list[list[str]]) -> list[str]:
    return tables.render(headers, rows, header=True, colour=False) if rows else []
