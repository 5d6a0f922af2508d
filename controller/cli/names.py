"""Names of workspaces and GPUs on the command line: completed from what a running controller knows.

It refuses to check them: whether there is such a thing is found out by the command.
"""

import os
from pathlib import Path

import click
from click import shell_completion

from controller.cli import exits, session, trees


class WorkspaceName(click.ParamType[str]):
    """The name of a workspace."""

    name = "name"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002
        """The name without a leading `workspace/`, as `-o name` prints it."""
        return value.removeprefix("workspace/")

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002 - click's signature
        incomplete: str,
    ) -> list[shell_completion.CompletionItem]:
        """The names that begin as typed; none where no controller answers."""
        return _known(ctx, "workspaces", incomplete)


class GpuName(click.ParamType[str]):
    """The UUID of a GPU or a MIG instance, or the beginning of it."""

    name = "uuid"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002
        """The name without a leading `gpu/`, as `-o name` prints it."""
        return value.removeprefix("gpu/")

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002 - click's signature
        incomplete: str,
    ) -> list[shell_completion.CompletionItem]:
        """The UUIDs that begin as typed; none where no controller answers."""
        return _known(ctx, "gpus", incomplete)


def _known(ctx: click.Context, kind: str, incomplete: str) -> list[shell_completion.CompletionItem]:
    config_file = ctx.find_root().params.get("config_file")
    this = session.Session(config_file if isinstance(config_file, Path) else None, dict(os.environ))
    try:
        found = this.controller().get(kind).value
    except exits.Failure:
        return []
    known = (trees.name_of(item) for item in trees.each(found, "items"))
    return [shell_completion.CompletionItem(name) for name in known if name.startswith(incomplete)]
