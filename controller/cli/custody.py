"""Commands about whose containers are whose: to make a foreign one ours, and to let go of a kept one.

They show what they are about and ask first; neither touches a container itself.
"""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from typing import Final

import click

from controller.api import quantities
from controller.cli import control, entry, exits, names, session, trees, waiting
from controller.status import wording

_DEFAULT_WAIT: Final = timedelta(minutes=2)
_POLL_SECONDS: Final = 1.0
_ID_LENGTH: Final = 12


@click.command(
    cls=entry.Command,
    examples=[
        ("wharf adopt alice", "make the container workspace-alice ours; shows it and asks"),
        ("wharf adopt alice bob --yes", "without a question, for scripts"),
    ],
)
@click.argument("chosen", type=names.WorkspaceName(), nargs=-1, required=True, metavar="NAME…")
@click.option("--yes", is_flag=True, help="Do not ask.")
@session.PASS_SESSION
def adopt(this: session.Session, chosen: tuple[str, ...], yes: bool) -> None:  # noqa: FBT001
    """Make containers ours whose claim cannot be verified, or that never had one.

    NAME is a workspace's, whose container is workspace-NAME, or a container's. What is recorded is the full
    id that is shown; the container itself is left as it is. From the next pass on it is kept as its spec
    says, so a difference that needs a new container is a change like any other.
    """
    client = this.controller()
    found = {name: client.get("adoptable", name).value for name in chosen}
    for item in found.values():
        _show(item)
    new = {name: item for name, item in found.items() if not trees.at(item, "owned")}
    if new and not yes:
        _ask(f"Make {'it' if len(new) == 1 else 'them'} ours?")
    for name, item in found.items():
        subject = f"workspace/{trees.text(item, 'workspace')}"
        if name not in new:
            click.echo(f"{subject} adopted already")
            continue
        client.post("adopt", body={"name": name, "id": trees.text(item, "id")})
        click.echo(f"{subject} adopted")


def _ask(question: str) -> None:
    """Go on only with a person's yes; without a terminal nobody can give it."""
    _require_person()
    click.confirm(question, abort=True, err=True)


def _have_typed(name: str) -> None:
    """Go on only when a person has typed the name."""
    _require_person()
    if click.prompt(f"Type {name} to remove what is listed", err=True) != name:
        raise exits.Failure(exits.ExitCode.INTERRUPTED, "that is another name; nothing is removed")


def _require_person() -> None:
    if not sys.stdin.isatty():
        raise exits.Failure(exits.ExitCode.REFUSED, "nobody is there to be asked; say --yes")


def _show(item: trees.Json) -> None:
    state = "running" if trees.at(item, "running") else "not running"
    session.say(f"{trees.text(item, 'name')} ({trees.text(item, 'id')}), {state}")
    session.say(f"  workspace {trees.text(item, 'workspace')}")
    session.say(f"  image     {trees.text(item, 'image')}")
    session.say(f"  created   {trees.text(item, 'created')}")
    labels = trees.at(item, "labels")
    for label, value in labels.items() if isinstance(labels, dict) else ():
        session.say(f"  label     {label}={value}")


@click.command(
    cls=entry.Command,
    examples=[
        ("wharf get retained", "which containers are kept, and how large they are"),
        ("wharf forget alice", "remove all kept containers of one workspace; asks first"),
        ("wharf forget workspace-alice.0123abcd --yes", "remove one, without a question"),
    ],
)
@click.argument("name", type=names.WorkspaceName())
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--timeout", type=waiting.Length(), default=_DEFAULT_WAIT, help="How long to wait; default 2m.")
@click.option("--no-wait", "hasty", is_flag=True, help="Ask the controller, and do not wait.")
@session.PASS_SESSION
def forget(this: session.Session, /, name: str, timeout: timedelta, **flags: bool) -> None:
    """Remove kept containers: all of the workspace NAME, or the one that is called so.

    What is only in such a container is lost; volumes and mounts are not touched.
    """
    client = this.controller()
    kept = _kept(client)
    chosen = [item for item in kept if name in {item.get("workspace"), item.get("name"), item.get("id")}]
    if not chosen:
        raise exits.Failure(exits.ExitCode.NOT_FOUND, f"no container of {name} is kept")
    for item in chosen:
        session.say(f"{_line(item)}")
    if not flags["yes"]:
        _have_typed(name)
    for item in chosen:
        client.post("retained", trees.text(item, "id"), "forget")
    if not flags["hasty"]:
        _await_end(client, frozenset(trees.text(item, "id") for item in chosen), timeout)
    done = "removal requested" if flags["hasty"] else "removed"
    for item in chosen:
        click.echo(f"retained/{trees.text(item, 'name')} {done}")


def _kept(client: control.Client) -> tuple[trees.Object, ...]:
    return trees.each(client.get("retained").value, "items")


def _line(item: trees.Object) -> str:
    size = item.get("size")
    held = f", {wording.size(size)} of its own" if isinstance(size, int) else ""
    return f"{trees.text(item, 'name')} ({trees.text(item, 'id')[:_ID_LENGTH]}){held}"


def _await_end(client: control.Client, ids: frozenset[str], timeout: timedelta) -> None:
    """Return when none of these containers is kept any more."""
    deadline = time.monotonic() + timeout.total_seconds()
    while time.monotonic() < deadline:
        left = [item for item in _kept(client) if item.get("id") in ids]
        if not left:
            return
        time.sleep(_POLL_SECONDS)
    waited = quantities.format_duration(timeout)
    raise exits.Failure(exits.ExitCode.TIMED_OUT, f"not all are gone after {waited}; see: wharf get events")
