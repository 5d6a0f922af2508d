"""`wharf logs`: what a workspace's container printed.

It passes bytes on as the Engine gives them, and keeps none.
"""

import sys

import click

from controller.cli import entry, exits, names, session, trees, views
from controller.model.errors import EffectError


@click.command(
    cls=entry.Command,
    examples=[
        ("wharf logs alice", "all that is kept of the container's output"),
        ("wharf logs alice -f --tail 20", "the last lines, and what comes until Ctrl-C"),
    ],
)
@click.argument("name", type=names.WorkspaceName())
@click.option("-f", "--follow", is_flag=True, help="Go on with what is printed from now.")
@click.option("--tail", type=click.IntRange(min=0), help="Only so many of the last lines.")
@session.PASS_SESSION
def logs(this: session.Session, name: str, follow: bool, tail: int | None) -> None:  # noqa: FBT001
    """Print the log of the workspace's container, stdout and stderr together as they were written.

    It is read from the Engine, which the caller must be allowed to ask.
    """
    item = views.find(views.open_view(this).workspaces(), name)
    container = trees.at(item, "status", "container", "id")
    if not isinstance(container, str):
        raise exits.Failure(exits.ExitCode.NOT_FOUND, f"workspace/{name} has no container")
    from controller.engine import client  # noqa: PLC0415 - the Engine's library takes its time to import

    host = this.settings.config.docker.host
    try:
        for piece in client.read_log(host, container, follow=follow, tail=tail):
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
    except EffectError as error:
        raise views.failure(error) from error
