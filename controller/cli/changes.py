"""Commands about changes that wait or went wrong: to let them go, and to go back.

They know the requests and the words for their results; what may go, and when, is the controller's to say.
"""

from datetime import timedelta
from typing import Final

import click

from controller.changes import APPROVABLE
from controller.cli import control, entry, exits, names, session, trees, waiting

_DEFAULT_WAIT: Final = timedelta(seconds=90)


@click.command(
    cls=entry.Command,
    examples=[
        ("wharf approve alice", "let the change of one workspace go"),
        ("wharf approve --all", "let everything go that is held or parked; it is listed first"),
    ],
)
@click.argument("chosen", type=names.WorkspaceName(), nargs=-1, metavar="[NAME…]")
@click.option("--all", "everything", is_flag=True, help="All that is held or parked now.")
@session.PASS_SESSION
def approve(this: session.Session, chosen: tuple[str, ...], everything: bool) -> None:  # noqa: FBT001
    """Let a change go that is held by the budget, parked until its time, or pinned by a roll-back.

    An approval is for the change that is shown now and for no later one. It goes at the configured pace,
    before the changes that nobody approved. A change that failed needs `wharf restart NAME` instead.

    Exit code 5: nothing of a named workspace is held or parked.
    """
    if bool(chosen) == everything:
        raise click.UsageError("name workspaces, or say --all")
    client = this.controller()
    found = client.get("plan").value
    decisions = {trees.text(item, "workspace"): item for item in trees.each(found, "decisions")}
    if everything:
        chosen = tuple(name for name, item in decisions.items() if item.get("reason") in APPROVABLE)
    if not chosen:
        session.say("nothing is held or parked")
    for name in chosen if everything else ():
        session.say(_listed(decisions[name]))
    failures = [failure for name in chosen if (failure := _approve(client, name)) is not None]
    if failures:
        raise exits.Failure(failures[0].code, "\n".join(failure.message for failure in failures))


def _listed(decision: trees.Object) -> str:
    """`alice: Hold (BudgetExceeded): 9 of 20 …`."""
    name, verdict, reason = (trees.text(decision, key) for key in ("workspace", "verdict", "reason"))
    return f"{name}: {verdict} ({reason}): {trees.text(decision, 'message', default='')}"


def _approve(client: control.Client, name: str) -> exits.Failure | None:
    try:
        answer = client.post("workspaces", name, "approve").value
    except control.UnreachableError:
        raise
    except exits.Failure as failure:
        return failure
    already = " already" if trees.at(answer, "already") else ""
    click.echo(f"workspace/{name} approved{already}")
    return None


@click.command(
    cls=entry.Command,
    examples=[
        ("wharf rollback alice", "put the container back that alice had before the last change"),
        ("wharf get retained alice", "which containers are kept"),
    ],
)
@click.argument("name", type=names.WorkspaceName())
@click.option(
    "--timeout", type=waiting.Length(), default=_DEFAULT_WAIT, help="How long to wait; default 90s."
)
@click.option("--no-wait", "hasty", is_flag=True, help="Ask, and do not wait.")
@session.PASS_SESSION
def rollback(this: session.Session, name: str, timeout: timedelta, hasty: bool) -> None:  # noqa: FBT001
    """Put the newest kept container of a workspace back, in place of the one that it has.

    The one that makes way is kept in its turn. The container that comes back stays as it is until the spec
    is edited, or until `wharf approve NAME`.
    """
    client = this.controller()
    container = trees.text(client.post("workspaces", name, "rollback").value, "container")
    if hasty:
        click.echo(f"workspace/{name} rollback requested")
        return
    ending = waiting.wait(client, name, {}, timeout)
    failure = waiting.judge(ending)
    stopped = trees.text(ending.item, "status", "desiredState") == "Stopped"
    if failure is not None and not (stopped and ending.in_time):
        raise exits.Failure(failure.code, f"workspace/{name}: {failure.message}")
    click.echo(f"workspace/{name} rolled back to {container}")
    session.say(f"it stays so until its spec is edited, or `wharf approve {name}`")
