"""`wharf run`: the controller itself, for ever or once.

It passes flags on and words the end of `--once`; everything else is the manager's.
"""

from datetime import timedelta
from typing import Final

import click

from controller.cli import entry, session, waiting

_DEFAULT_TIMEOUT: Final = timedelta(seconds=60)


@click.command(
    cls=entry.Command,
    examples=[
        ("wharf run", "be the controller until Ctrl-C; workspaces go on running"),
        ("wharf --config config/controller.yaml run", "with another configuration"),
        ("wharf run --mode Observe", "plan and report, change nothing"),
        ("wharf run --once", "do what can be done now, then end"),
    ],
)
@click.option("--once", is_flag=True, help="End when no workspace has an action that could be done now.")
@click.option("--mode", type=click.Choice(["Enforce", "Observe"]), help="Instead of the configured mode.")
@click.option("--timeout", type=waiting.Length(), help="For --once: give up after this long; default 60s.")
@session.PASS_SESSION
def run(this: session.Session, once: bool, mode: str | None, timeout: timedelta | None) -> int:  # noqa: FBT001
    """Keep each workspace's container as its spec says.

    One controller runs for one Engine. When it ends, the workspaces stay as they are.

    \b
    Exit codes of --once:
      0  everything is as specified, or waits for its time
      5  a workspace is held until a person acts
      1  something failed, or the time was over
    Workspaces that wait or are held are named on stderr.
    """  # noqa: D301 - \b is click's mark for lines to be kept
    if timeout is not None and not once:
        raise click.UsageError("--timeout belongs to --once")
    if mode is not None:
        this.override("mode", mode)
    chosen = this.settings
    from controller import manager  # noqa: PLC0415 - help and usage errors come without it

    if not once:
        return manager.run(chosen)
    result = manager.run_once(chosen, timeout or _DEFAULT_TIMEOUT)
    for line in result.lines:
        session.say(line)
    return result.exit_code
