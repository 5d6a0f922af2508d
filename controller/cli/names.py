"""Names of workspaces, GPUs and owners on the command line: completed from what a running controller knows.

It refuses to check them: whether there is such a thing is found out by the command.
"""

import os
from pathlib import Path

import click
from click import shell_completion

from controller.cli import exits, session, trees


class _Name(click.ParamType[str]):
    """The name of one thing of a kind.

    Attributes:
        listed: the kind as `wharf get` calls it.
        prefix: what `-o name` prints before the name.
    """

    listed: str
    prefix: str

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002
        """The name without its kind, as `-o name` prints that."""
        return value.removeprefix(self.prefix)

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002 - click's signature
        incomplete: str,
    ) -> list[shell_completion.CompletionItem]:
        """The names that begin as typed; none where no controller answers."""
        return _known(ctx, self.listed, incomplete)


class WorkspaceName(_Name):
    """The name of a workspace."""

    name = "name"
    listed = "workspaces"
    prefix = "workspace/"


class GpuName(_Name):
    """The UUID of a GPU or a MIG instance, or the beginning of it."""

    name = "uuid"
    listed = "gpus"
    prefix = "gpu/"


class OwnerName(_Name):
    """The login name of somebody who has a slice."""

    name = "owner"
    listed = "slices"
    prefix = "slice/"


def _known(ctx: click.Context, kind: str, incomplete: str) -> list[shell_completion.CompletionItem]:
    config_file = ctx.find_root().params.get("config_file")
    this = session.Session(config_file if isinstance(config_file, Path) else None, dict(os.environ))
    try:
        found = this.controller().get(kind).value
    except exits.Failure:
        return []
    known = (trees.name_of(item) for item in trees.each(found, "items"))
    return [shell_completion.CompletionItem(name) for name in known if name.startswith(incomplete)]
