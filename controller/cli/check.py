"""`wharf check`: whether this host is fit for a controller, line by line, with the remedy.

It prints findings; they are gathered and judged elsewhere, and nothing is changed.
"""

import click

from controller.cli import entry, exits, session, tables

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command(
    cls=entry.Command,
    examples=[
        ("wharf check", "before the first `wharf run`, after an upgrade, or when something is odd"),
        ("wharf --config config/controller.yaml check", "with another configuration"),
    ],
)
@session.PASS_SESSION
def check(this: session.Session) -> int:
    """Look whether this host is fit: Engine, directories, disks, clock, ports, and jobs that prune.

    Each line is ok, warn or fail, with what was found and the remedy. Nothing is changed, and a controller
    may run meanwhile. Exit code 1 if anything fails; warnings alone are 0.
    """
    from controller import manager, preflight  # noqa: PLC0415 - help comes without it
    from controller.status import checks  # noqa: PLC0415
    from controller.status import preflight as judgement  # noqa: PLC0415

    facts = preflight.gather(this.settings, manager.LOCK_DIR, manager.clock())
    found = judgement.judge(facts)
    for one in found:
        text = str(one)
        coloured = click.style(one.level, fg=_COLOURS[one.level]) + text.removeprefix(one.level)
        click.echo(coloured if tables.is_coloured() else text)
    levels = [one.level for one in found]
    failed, warned = levels.count(checks.Level.FAIL), levels.count(checks.Level.WARN)
    session.say(f"{failed} failed, {warned} to know of, {levels.count(checks.Level.OK)} ok")
    return exits.ExitCode.ERROR if failed else exits.ExitCode.OK
