"""`wharf gc`: images that nothing uses go, oldest first, until there is room on the Engine's disk.

It asks the controller and tells what came of it; which images may go, and when to stop, is not its to say.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Final

import click

from controller.api import quantities
from controller.cli import control, entry, exits, session, tables, trees, views, waiting
from controller.status import wording

_DEFAULT_WAIT: Final = timedelta(minutes=10)
_POLL_SECONDS: Final = 0.5
_ORDER: Final = ("Removed", "Remove", "Next", "Keep")


@click.command(
    cls=entry.Command,
    examples=[
        ("wharf gc --dry-run", "which images would go, which stay, and why"),
        ("wharf gc", "remove unused images until the disk is at disk.lowWatermark"),
        ("wharf gc -o json", "the same, told for a script"),
    ],
)
@click.option("--dry-run", "dry", is_flag=True, help="Remove nothing; works while no controller runs.")
@click.option("-o", "--output", "form", type=click.Choice(tables.FORMATS), default="table", help="Format.")
@click.option(
    "--timeout", type=waiting.Length(), default=_DEFAULT_WAIT, help="How long to wait; default 10m."
)
@session.PASS_SESSION
def gc(this: session.Session, dry: bool, form: str, timeout: timedelta) -> None:  # noqa: FBT001
    """Remove images that nothing uses, oldest first, until the Engine's disk is at disk.lowWatermark.

    An image stays if a container of anybody was made from it, if the catalog, a class or a spec in force
    names it, if a replacement is under way to it, if another image was built on it, or if it is younger than
    an hour. Containers, volumes and build caches are never touched, and nothing is forced.

    Next are those that would go if the ones before them do not make enough room: images share layers, so
    how much one of them frees is only known when it is gone.

    Exit code 5: the host is paused, the controller only observes, or the disk cannot be seen.
    """
    if dry:
        found = views.open_view(this).garbage()
        _show(found, trees.each(found.value, "items"), form)
        _say_disk(found.value)
        return
    client = this.controller()
    before = client.get("garbage")
    if not trees.at(client.post("collect").value, "needed"):
        _show(before, trees.each(before.value, "items"), form)
        _say_disk(before.value)
        return
    _await_end(client, timeout)
    after = client.get("garbage")
    left = {trees.text(item, "id") for item in trees.each(after.value, "items")}
    gone = [
        {**item, "action": "Removed", "reason": "nothing used it"}
        for item in trees.each(before.value, "items")
        if trees.text(item, "id") not in left
    ]
    _show(after, [*gone, *trees.each(after.value, "items")], form)
    _say_freed(before.value, after.value, len(gone))


def _await_end(client: control.Client, timeout: timedelta) -> None:
    """Return when no image is removed any more."""
    deadline = time.monotonic() + timeout.total_seconds()
    while trees.at(client.get("collection").value, "underWay"):
        if time.monotonic() >= deadline:
            waited = quantities.format_duration(timeout)
            message = f"images are still being removed after {waited}; see: wharf get events"
            raise exits.Failure(exits.ExitCode.TIMED_OUT, message)
        time.sleep(_POLL_SECONDS)


def _show(found: control.Answer, items: list[trees.Object] | tuple[trees.Object, ...], form: str) -> None:
    ordered = sorted(items, key=lambda item: _ORDER.index(trees.text(item, "action")))
    click.echo(tables.show(_kind(found.at), ordered, form, header=True), nl=False)


def _kind(now: datetime) -> tables.Kind:
    def age(item: trees.Object) -> str:
        return wording.age(datetime.fromisoformat(trees.text(item, "arrived")), now)

    columns = [
        tables.Column("ACTION", lambda item: trees.text(item, "action")),
        tables.Column("IMAGE", lambda item: trees.text(item, "name")),
        tables.Column("SIZE", lambda item: wording.size(_number(item, "size"))),
        tables.Column("AGE", age),
        tables.Column("ID", lambda item: trees.text(item, "id"), wide=True),
        tables.Column("WHY", lambda item: trees.text(item, "reason")),
    ]
    return tables.Kind("image", "images", columns)


def _number(item: trees.Json, *path: str) -> int:
    value = trees.at(item, *path)
    return value if isinstance(value, int) else 0


def _say_disk(found: trees.Json) -> None:
    low = _number(found, "lowWatermark")
    if trees.at(found, "disk") is None:
        unseen = trees.text(found, "unseen")
        session.say(f"{unseen}; so nobody can tell how full it is, and nothing is removed")
        return
    percent, path = _number(found, "disk", "percent"), trees.text(found, "disk", "path")
    enough = "" if any(item["action"] != "Keep" for item in trees.each(found, "items")) else _nothing(found)
    session.say(f"the disk of {path} is {percent} % full; images go down to {low} %{enough}")


def _nothing(found: trees.Json) -> str:
    spare = _number(found, "disk", "percent") <= _number(found, "lowWatermark")
    return ", so none goes" if spare else ", and none may go"


def _say_freed(before: trees.Json, after: trees.Json, count: int) -> None:
    freed = max(0, _number(before, "disk", "used") - _number(after, "disk", "used"))
    path, was, now = (
        trees.text(after, "disk", "path"),
        _number(before, "disk", "percent"),
        _number(after, "disk", "percent"),
    )
    images = "1 image" if count == 1 else f"{count} images"
    session.say(
        f"{images} removed, {wording.size(freed)} freed: the disk of {path} was {was} % full and is {now} %"
    )
    low = _number(after, "lowWatermark")
    if now > low:
        session.say(f"it is above disk.lowWatermark ({low} %), and {_next_step(after)}")


def _next_step(after: trees.Json) -> str:
    """What a person can do while there is not enough room."""
    if any(item["action"] == "Remove" for item in trees.each(after, "items")):
        return "not all that may go went; see: wharf get events, and run wharf gc again"
    return "no other image may go; see: wharf get retained, and du of what lies beside the images"
