"""`wharf apply`: a spec goes to the spec directory, and what came of it is told.

It writes one file as the caller and decides nothing; the controller reads the file like any other.
"""

from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, Final

import click

from controller.cli import addresses, control, entry, exits, session, specs, waiting

_DEFAULT_WAIT: Final = timedelta(seconds=60)


@click.command(
    cls=entry.Command,
    examples=[
        ("wharf apply -f alice.yaml", "make or change a workspace, wait until it is ready"),
        ("generate-spec | wharf apply -f -", "from another program"),
        ("wharf apply -f alice.yaml --no-wait", "only write the file"),
    ],
)
@click.option("-f", "--file", "source", type=click.File("rb"), required=True, help="The spec; - is stdin.")
@click.option(
    "--timeout", type=waiting.Length(), default=_DEFAULT_WAIT, help="How long to wait; default 60s."
)
@click.option("--no-wait", "hasty", is_flag=True, help="Write the file, and do not wait.")
@session.PASS_SESSION
def apply(this: session.Session, source: BinaryIO, timeout: timedelta, hasty: bool) -> None:  # noqa: FBT001
    """Write a workspace's spec to the spec directory and wait for the result.

    A spec that is not valid is not written. The file that declares the workspace already is replaced,
    whatever its name; else NAME.yaml is made. It appears whole or not at all, written by you: without the
    right to write there, the exit code is 4.

    Printed are `workspace/NAME created`, `configured` or `unchanged` and the lines to connect. If the
    workspace is held, the exit code is 5; failed, 1; not ready in time, 6; and 7 if the file is written but
    no controller runs.
    """
    title = "stdin" if source.name == "<stdin>" else source.name
    spec = specs.parse(source.read(), title)
    click.echo(f"workspace/{spec.name} {_place(this.settings.spec_dir, spec)}")
    if not hasty:
        _follow(this, spec, timeout)


def _place(directory: Path, spec: specs.SpecText) -> str:
    """Write the spec where it belongs and tell in one word what that changed."""
    file = specs.find(directory, spec.name)
    if file is None:
        new = directory / f"{spec.name}.yaml"
        if new.exists():
            raise exits.Failure(
                exits.ExitCode.REFUSED, f"{new}: declares another workspace; nothing was written"
            )
        specs.write(new, spec.text)
        return "created"
    if file.read_bytes() == spec.text:
        return "unchanged"
    specs.write(file, spec.text)
    return "configured"


def _follow(this: session.Session, spec: specs.SpecText, timeout: timedelta) -> None:
    """Wait for what the controller makes of the content, and say it."""
    try:
        ending = waiting.wait(this.controller(), spec.name, {"digest": spec.digest}, timeout)
    except control.UnreachableError as error:
        raise exits.Failure(error.code, f"the file is written, but {error.message}") from error
    failure = waiting.judge(ending)
    if failure is not None:
        raise exits.Failure(failure.code, f"workspace/{spec.name}: {failure.message}")
    if waits := waiting.notice(ending.item):
        session.say(f"workspace/{spec.name}: {waits}")
    for line in addresses.connect_lines(ending.item, addresses.host_of(this.settings)):
        click.echo(line)
