"""Commands about the command itself: its version, and completion for shells.

They read no configuration and ask no controller, so that they work and are quick on any machine.
"""

import click
from click import shell_completion

from controller import __version__
from controller.cli import entry, main


@click.command(cls=entry.Command, examples=[("wharf version", "print the version")])
def version() -> None:
    """Print the version of this command."""
    click.echo(f"wharfinger {__version__}")


@click.command(
    cls=entry.Command,
    examples=[
        ("source <(wharf completion bash)", "in this bash"),
        ("wharf completion bash > /etc/bash_completion.d/wharf", "in every bash of this host"),
        ("wharf completion zsh > ~/.zfunc/_wharf", "in zsh, with ~/.zfunc in fpath"),
        ("wharf completion fish > ~/.config/fish/completions/wharf.fish", "in fish"),
    ],
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of SHELL: bash, zsh or fish."""
    found = shell_completion.get_completion_class(shell)
    assert found is not None, "click knows the three shells"
    click.echo(found(main.wharf, {}, "wharf", "_WHARF_COMPLETE").source())
