"""The wording of the generated manual; it reads the commands' own help and runs none of them."""

from collections.abc import Iterator, Mapping
from typing import Final

import click

from controller.cli import entry, main, pages

_WIDTH: Final = 100
_PROGRAM: Final = "wharf"


def command_page() -> str:
    """Return the page of the command: its own help, and that of each of its commands."""
    top = click.Context(
        main.wharf,
        info_name=_PROGRAM,
        terminal_width=_WIDTH,
        max_content_width=_WIDTH,
        help_option_names=["-h", "--help"],
    )
    parts = [pages.HEADER, f"# The command\n\n{_help(main.wharf, top)}", *_commands(main.ENTRIES, top)]
    return "".join(parts)


def _commands(entries: Mapping[str, entry.Entry], above: click.Context) -> Iterator[str]:
    for name, one in entries.items():
        command = one.load()
        context = click.Context(command, info_name=name, parent=above)
        yield f"\n## {context.command_path}\n\n{one.summary}\n\n{_help(command, context)}"
        if isinstance(command, entry.Group):
            yield from _commands(command.entries, context)


def _help(command: click.Command, context: click.Context) -> str:
    return f"```text\n{command.get_help(context)}\n```\n"
