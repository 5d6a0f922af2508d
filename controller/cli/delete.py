"""`wharf delete`: a spec leaves the spec directory, and the container is kept for a while.

It removes one file as the caller; what becomes of the container is the controller's.
"""

import sys
import time
from datetime import timedelta
from typing import Final

import click

from controller.api import quantities
from controller.cli import control, entry, exits, names, session, specs, views, waiting

_DEFAULT_WAIT: Final = timedelta(minutes=2)
_POLL_SECONDS: Final = 0.5


@click.command(
    cls=entry.Command,
    examples=[
        ("wharf delete workspace alice", "asks first, then waits until it is gone"),
        ("wharf delete workspace alice --yes", "without a question, for scripts"),
    ],
)
@click.argument("kind", type=entry.Kind({"workspace": ("workspaces", "ws")}))
@click.argument("name", type=names.WorkspaceName())
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--timeout", type=waiting.Length(), default=_DEFAULT_WAIT, help="How long to wait; default 2m.")
@click.option("--no-wait", "hasty", is_flag=True, help="Remove the spec, and do not wait.")
@session.PASS_SESSION
def delete(this: session.Session, /, kind: str, name: str, timeout: timedelta, **flags: bool) -> None:
    """Remove the workspace NAME: its spec file now, its container after the deletion grace.

    The container is stopped and kept for a while (`wharf get retained`); data in mounts is never touched.
    With the spec put back the workspace returns.
    """
    file = specs.find(this.settings.spec_dir, name)
    if file is None:
        raise views.not_found(kind, [name])
    if not flags["yes"] and sys.stdin.isatty():
        click.confirm(f"Remove {kind}/{name} ({file})?", abort=True, err=True)
    specs.remove(file)
    _tell(this.controller(), name, hasty=flags["hasty"])
    if flags["hasty"]:
        click.echo(f"{kind}/{name} spec removed")
        return
    _await_end(this.controller(), name, timeout)
    click.echo(f"{kind}/{name} deleted")
    session.say("the container is kept, stopped (wharf get retained); data in mounts is untouched")


def _tell(client: control.Client, name: str, *, hasty: bool) -> None:
    """Say to the controller that the file did not vanish by accident."""
    try:
        client.post("workspaces", name, "delete")
    except exits.Failure as failure:
        if failure.code is exits.ExitCode.NOT_FOUND:
            return  # it is gone already
        if not hasty:
            raise exits.Failure(failure.code, f"the spec is removed, but {failure.message}") from failure
        session.say(
            f"{failure.message}; the removal counts in the budget like that of any file that vanishes"
        )


def _await_end(client: control.Client, name: str, timeout: timedelta) -> None:
    """Return when the controller knows no workspace of that name any more."""
    deadline = time.monotonic() + timeout.total_seconds()
    while time.monotonic() < deadline:
        try:
            client.get("workspaces", name)
        except control.UnreachableError as error:
            raise exits.Failure(error.code, f"the spec is removed, but {error.message}") from error
        except exits.Failure as failure:
            if failure.code is exits.ExitCode.NOT_FOUND:
                return
            raise
        time.sleep(_POLL_SECONDS)
    waited = quantities.format_duration(timeout)
    raise exits.Failure(
        exits.ExitCode.TIMED_OUT,
        f"the spec is removed; {name} is not gone after {waited}, see: wharf describe workspace {name}",
    )
