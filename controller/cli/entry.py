"""How a command of `wharf` presents itself: examples first in its help, loaded only when it is called.

It knows no command; the table of them is in `main`.
"""

import difflib
import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import click
from click import shell_completion

CONTEXT: Final[dict[str, object]] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@dataclass(frozen=True, slots=True)
class Example:
    """One line to copy, and what it does."""

    command: str
    purpose: str


class Command(click.Command):
    """A command whose help begins with examples.

    The examples are given as (command line, purpose) pairs.
    """

    def __init__(self, *, examples: Sequence[tuple[str, str]], **attributes: Any) -> None:  # noqa: ANN401 - click's own keywords
        super().__init__(**attributes)
        self.examples = tuple(Example(*pair) for pair in examples)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples before the description."""
        write_examples(formatter, self.examples)
        super().format_help_text(ctx, formatter)


def write_examples(formatter: click.HelpFormatter, examples: Iterable[Example]) -> None:
    """Write one section with each example below the comment that says what it does."""
    with formatter.section("Examples"):
        for example in examples:
            formatter.write(f"{'':>{formatter.current_indent}}# {example.purpose}\n")
            formatter.write(f"{'':>{formatter.current_indent}}{example.command}\n")


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command is defined (`module:attribute`), its line in the overview, and its section there."""

    target: str
    summary: str
    section: str

    def load(self) -> click.Command:
        """The command; its module is imported now."""
        module, _, attribute = self.target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command


class ReaderGoneError(Exception):
    """Whoever read the output went away; click itself would end with 1 for it."""


class Group(click.Group):
    """The `wharf` command itself: a table of commands that are imported only when they are called."""

    def __init__(
        self,
        *,
        entries: Mapping[str, Entry],
        examples: Sequence[tuple[str, str]],
        **attributes: Any,  # noqa: ANN401 - click's own keywords
    ) -> None:
        super().__init__(**attributes)
        self.entries = entries
        self.examples = tuple(Example(*pair) for pair in examples)

    def invoke(self, ctx: click.Context) -> object:
        """Call the command.

        Raises:
            ReaderGoneError: nobody reads its output any more.
        """
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise ReaderGoneError from error

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All names, in the order of the table."""
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name, if there is one."""
        entry = self.entries.get(cmd_name)
        return None if entry is None else entry.load()

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a name that is none is answered with the nearest."""
        if args and args[0] not in self.entries and not args[0].startswith("-"):
            ctx.fail(f"no such command: {args[0]}{suggestion(args[0], self.entries)}")
        return super().resolve_command(ctx, args)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples before the description."""
        write_examples(formatter, self.examples)
        super().format_help_text(ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the overview from the table, section by section, without importing anything."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, entry in self.entries.items():
            sections.setdefault(entry.section, []).append((name, entry.summary))
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)


def suggestion(word: str, known: Iterable[str]) -> str:
    """`; did you mean X?` for the nearest known word, or nothing where none is near."""
    near = difflib.get_close_matches(word.lower(), list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


class Kind(click.ParamType[str]):
    """A kind of object: one of a table of names, each with its other spellings."""

    name = "kind"

    def __init__(self, kinds: Mapping[str, Sequence[str]]) -> None:
        self.kinds = kinds

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The kind's own name for any of its spellings."""
        word = value.lower()
        for kind, spellings in self.kinds.items():
            if word == kind or word in spellings:
                return kind
        spelled = [spelling for kind, others in self.kinds.items() for spelling in (kind, *others)]
        known = ", ".join(self.kinds)
        raise click.BadParameter(
            f"no such kind: {value}{suggestion(value, spelled)}; known are {known}", ctx=ctx, param=param
        )

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002
        """`KIND` in the usage line."""
        return "KIND"

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[shell_completion.CompletionItem]:
        """The kinds that begin as typed."""
        return [shell_completion.CompletionItem(kind) for kind in self.kinds if kind.startswith(incomplete)]
