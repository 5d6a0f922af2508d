"""Commands that ask the controller for something and change no spec: start, stop, restart, pause, resume.

They know the requests and the words for their results; what is done, and when, is the controller's.
"""

from datetime import timedelta
from typing import Final

import click

from controller.cli import entry, exits, names, session, trees, waiting

_DEFAULT_WAIT: Final = timedelta(seconds=90)
_DONE: Final = {"start": "started", "stop": "stopped", "restart": "restarted"}

_TIMEOUT: Final = click.option(
    "--timeout", type=waiting.Length(), default=_DEFAULT_WAIT, help="How long to wait for each; default 90s."
)
_NO_WAIT: Final = click.option("--no-wait", "hasty", is_flag=True, help="Ask, and do not wait.")
_NAMES: Final = click.argument("chosen", type=names.WorkspaceName(), nargs=-1, required=True, metavar="NAME…")


@click.command(
    cls=entry.Command,
    examples=[
        ("wharf start alice", "after `wharf stop alice`"),
        ("wharf start alice bob --no-wait", "two at once"),
    ],
)
@_NAMES
@_TIMEOUT
@_NO_WAIT
@session.PASS_SESSION
def start(this: session.Session, chosen: tuple[str, ...], timeout: timedelta, hasty: bool) -> None:  # noqa: FBT001
    """Start workspaces, whatever their specs say.

    The spec is not changed; the last word wins: it holds until `wharf stop`, or until spec.desiredState is
    edited.
    """
    _ask(this, "start", chosen, None if hasty else timeout)


@click.command(
    cls=entry.Command,
    examples=[("wharf stop alice", "it stays stopped until `wharf start alice`")],
)
@_NAMES
@_TIMEOUT
@_NO_WAIT
@session.PASS_SESSION
def stop(this: session.Session, chosen: tuple[str, ...], timeout: timedelta, hasty: bool) -> None:  # noqa: FBT001
    """Stop workspaces, whatever their specs say; containers and data stay.

    The spec is not changed; the last word wins: it holds until `wharf start`, or until spec.desiredState is
    edited.
    """
    _ask(this, "stop", chosen, None if hasty else timeout)


@click.command(
    cls=entry.Command,
    examples=[("wharf restart alice", "stop and start; a change that waits for this is made")],
)
@_NAMES
@_TIMEOUT
@_NO_WAIT
@session.PASS_SESSION
def restart(this: session.Session, chosen: tuple[str, ...], timeout: timedelta, hasty: bool) -> None:  # noqa: FBT001
    """Stop workspaces and start them again.

    A change that needs a new container and waits for its time is made now. A template that failed is tried
    again.
    """
    _ask(this, "restart", chosen, None if hasty else timeout)


def _ask(this: session.Session, verb: str, chosen: tuple[str, ...], timeout: timedelta | None) -> None:
    """Ask for all of them first, then wait for each; the first failure is the command's."""
    client = this.controller()
    for name in chosen:
        client.post("workspaces", name, verb)
    failures: list[exits.Failure] = []
    for name in chosen:
        if timeout is None:
            click.echo(f"workspace/{name} {verb} requested")
            continue
        ending = waiting.wait(client, name, {}, timeout)
        failure = waiting.judge(ending)
        if failure is None or (verb == "stop" and _is_stopped(ending.item)):
            click.echo(f"workspace/{name} {_DONE[verb]}")
        else:
            failures.append(exits.Failure(failure.code, f"workspace/{name}: {failure.message}"))
    if failures:
        raise exits.Failure(failures[0].code, "\n".join(failure.message for failure in failures))


def _is_stopped(item: trees.Object) -> bool:
    state = trees.at(item, "status", "container", "state")
    return trees.text(item, "status", "desiredState") == "Stopped" and state in {
        None,
        "created",
        "exited",
        "dead",
    }


@click.command(
    cls=entry.Command,
    examples=[
        ('wharf pause --reason "moving the storage"', "nothing on this host is changed any more"),
        ('wharf pause alice --reason "demo at noon"', "one workspace is left as it is"),
    ],
)
@click.argument("name", type=names.WorkspaceName(), required=False)
@click.option("--reason", required=True, help="Why; it is shown wherever the pause is seen.")
@session.PASS_SESSION
def pause(this: session.Session, name: str | None, reason: str) -> None:
    """Let the controller change nothing by itself: on the whole host, or of one workspace.

    It survives restarts of the controller and holds until `wharf resume`. Workspaces go on running.
    """
    this.controller().post("pause", body={"workspace": name, "reason": reason})
    click.echo(f"{_subject(name)} paused")


@click.command(
    cls=entry.Command,
    examples=[
        ("wharf resume", "end the pause of the host"),
        ("wharf resume alice", "end that of one workspace"),
    ],
)
@click.argument("name", type=names.WorkspaceName(), required=False)
@session.PASS_SESSION
def resume(this: session.Session, name: str | None) -> None:
    """End a pause: of the whole host, or of one workspace."""
    this.controller().post("resume", body={"workspace": name})
    click.echo(f"{_subject(name)} resumed")


def _subject(name: str | None) -> str:
    return "host" if name is None else f"workspace/{name}"
