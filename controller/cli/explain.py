"""`wharf explain`: the story of one workspace, from recorded evidence.

It refuses to guess: what it says was decided, done or seen, and has its time.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

import click

from controller.api import conditions
from controller.cli import entry, names, pages, session, tables, trees, views
from controller.status import wording

_WIDTH: Final = 98


@click.command(
    cls=entry.Command,
    examples=[
        ("wharf explain alice", "why it is as it is, what waits, and what happened"),
        ("wharf explain alice -o json", "the same for a script"),
    ],
)
@click.argument("name", type=names.WorkspaceName())
@click.option("-o", "--output", "form", type=click.Choice(["text", "json"]), default="text", help="Format.")
@session.PASS_SESSION
def explain(this: session.Session, name: str, form: str) -> None:
    """Tell why a workspace is as it is.

    First what is decided now, what that means, whether it is tried again and what to do; then what differs
    from the spec and since when, what is remembered of it (pauses, failures, holds, approvals, roll-backs),
    and what was decided, done and seen, oldest first. It works while no controller runs.
    """
    found = views.open_view(this).story(name)
    if form == "json":
        click.echo(tables.to_json(found.value))
        return
    click.echo("\n".join(_lines(found.value, found.at)))


def _lines(story: trees.Json, now: datetime) -> Iterator[str]:
    item = trees.at(story, "workspace")
    yield from _now(item, trees.text(story, "when", default=""))
    yield from _section("Differs from its spec", _drifts(item, now))
    yield from _section("Remembered", _remembered(story, now))
    yield from _section("What happened", _history(story, now))


def _now(item: trees.Json, when: str) -> Iterator[str]:
    decision = trees.at(item, "status", "decision")
    name, reason = trees.name_of(item), trees.text(decision, "reason")
    message = trees.text(decision, "message", default="")
    head = f"{name}: {trees.text(decision, 'verdict')} ({reason})"
    yield f"{head}: {message}" if message else head
    meaning = dict(pages.documented(conditions.Reason)).get(reason, "")
    yield from textwrap.wrap(meaning, _WIDTH, initial_indent="  ", subsequent_indent="  ")
    facts = {
        "when": when,
        "next attempt": trees.text(item, "status", "nextAttempt", default=""),
        "not ready": _not_ready(item),
    }
    for label, fact in facts.items():
        if fact:
            yield f"  {label}: {fact}"
    for note in trees.each(decision, "notes"):
        if trees.text(note, "message") == message:
            continue  # said in the first line
        yield f"  note {trees.text(note, 'reason')}: {trees.text(note, 'message')}"


def _not_ready(item: trees.Json) -> str:
    ready = trees.condition(item, "Ready")
    if ready.get("status") == "True":
        return ""
    return ": ".join(filter(None, (trees.text(ready, key, default="") for key in ("reason", "message"))))


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    found = list(lines)
    if found:
        yield f"\n{title}:"
        yield from (f"  {line}" for line in found)


def _drifts(item: trees.Json, now: datetime) -> Iterator[str]:
    for drift in trees.each(item, "status", "drift"):
        words = {key: trees.text(drift, key) for key in ("kind", "field", "observed", "desired", "remedy")}
        text = "{kind} {field} {observed} -> {desired} ({remedy})".format(**words)
        since = drift.get("since")
        yield f"{text}, for {_age(since, now)}" if isinstance(since, str) else text


def _remembered(story: trees.Json, now: datetime) -> Iterator[str]:
    for fact in trees.each(story, "remembered"):
        since = fact.get("at")
        age = f" {_age(since, now)} ago" if isinstance(since, str) else ""
        yield f"{trees.text(fact, 'what')}{age}: {trees.text(fact, 'message')}"


def _history(story: trees.Json, now: datetime) -> Iterator[str]:
    for happened in trees.each(story, "history"):
        count = happened.get("count")
        times = f" (x{count})" if isinstance(count, int) and count > 1 else ""
        mark = "!" if happened.get("kind") == "warning" else " "
        time = trees.text(happened, "time")
        message = trees.text(happened, "message", default="")
        reason = trees.text(happened, "reason")
        yield f"{mark} {time} ({_age(time, now)} ago) {reason}{times}: {message}".rstrip(": ")
        details = trees.at(happened, "details")
        yield from (f"      {line}" for line in details) if isinstance(details, list) else ()


def _age(moment: str, now: datetime) -> str:
    return wording.age(datetime.fromisoformat(moment), now)
