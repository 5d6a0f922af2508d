"""`wharf audit`: whether what must never happen did, as far as this host can tell, and what it cannot tell.

It prints findings; they are gathered and judged elsewhere, and nothing is changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import click

from controller.api import meta
from controller.cli import entry, exits, session, tables, trees, views, waiting
from controller.model.errors import EffectError

if TYPE_CHECKING:
    from controller.audit import evidence as evidences
    from controller.audit import finding

_DAY: Final = timedelta(days=1)
_COLOURS: Final = {"holds": "green", "partly": "yellow", "unknown": "yellow", "VIOLATED": "red"}


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What is found about one invariant."""

    invariant: finding.Invariant
    violations: tuple[finding.Violation, ...]
    lacks: str

    @property
    def result(self) -> str:
        """`holds` is said only where nothing was hidden."""
        if self.violations:
            return "VIOLATED"
        if not self.lacks:
            return "holds"
        return "partly" if self.invariant.in_part else "unknown"


@click.command(
    cls=entry.Command,
    examples=[
        ("wharf audit", "what was done in the last day, against all that must never happen"),
        ("wharf audit --since 7d", "the last week"),
        ("wharf audit -o json", "for a script or a monitor"),
    ],
)
@click.option("--since", type=waiting.Length(), default=_DAY, help="How far to look back; default 1d.")
@click.option("-o", "--output", "form", type=click.Choice(("table", "json")), default="table", help="Format.")
@session.PASS_SESSION
def audit(this: session.Session, since: timedelta, form: str) -> int:
    """Judge what was done on this host by the promises of docs/explanation/invariants.md.

    Read are the intent journal, the containers and events that the Engine has, the policy, the configuration
    and the secrets; nothing is changed, and a controller may run meanwhile. Budget, retention and mount roots
    are those in force now.

    A promise holds, is VIOLATED, holds partly (what could be judged violates nothing, and the note says what
    could not), or is unknown. The Engine keeps few events, and does not tell who asked it for something.
    Exit code 1 if anything is violated.
    """
    from controller import manager, traces  # noqa: PLC0415 - help comes without them
    from controller.audit import host  # noqa: PLC0415

    now = manager.clock()
    try:
        found = traces.gather(this.settings, now - since, now)
    except EffectError as error:
        raise views.failure(error) from error
    if found is None:
        raise exits.Failure(
            exits.ExitCode.NOT_FOUND, f"no controller was ever at work with {this.settings.state_dir}"
        )
    verdicts = _judge(host.evidence(found))
    if form == "json":
        click.echo(tables.to_json(_object(verdicts, now - since, now)))
    else:
        click.echo("".join(f"{line}\n" for line in _lines(verdicts)), nl=False)
        session.say(_summary(verdicts))
    violated = any(verdict.violations for verdict in verdicts)
    return exits.ExitCode.ERROR if violated else exits.ExitCode.OK


def _judge(evidence: evidences.Evidence) -> tuple[_Verdict, ...]:
    from controller.audit import invariants  # noqa: PLC0415 - help comes without it

    return tuple(_Verdict(one, tuple(one.check(evidence)), one.lacks(evidence)) for one in invariants.SAFETY)


def _lines(verdicts: Sequence[_Verdict]) -> Iterator[str]:
    rows = [(one.invariant.id, one.result, one.invariant.title, one.lacks) for one in verdicts]
    lines = tables.render(("ID", "RESULT", "PROMISE", "NOT KNOWN"), rows, header=True, colour=False)
    coloured = tables.is_coloured()
    for line, result in zip(lines, ("", *(one.result for one in verdicts)), strict=True):
        painted = click.style(result, fg=_COLOURS.get(result))
        yield line.replace(result, painted, 1) if coloured and result else line
    for verdict in verdicts:
        for found in verdict.violations:
            yield f"{found.invariant} {found.at:%Y-%m-%d %H:%M:%S} {found.subject}: {found.message}"


def _summary(verdicts: Sequence[_Verdict]) -> str:
    results = [verdict.result for verdict in verdicts]
    return ", ".join(f"{results.count(result)} {result}" for result in _COLOURS if result in results)


def _object(verdicts: Sequence[_Verdict], since: datetime, at: datetime) -> trees.Object:
    return {
        "apiVersion": meta.API_VERSION,
        "kind": "Audit",
        "since": since.isoformat(),
        "at": at.isoformat(),
        "invariants": [
            {
                "id": one.invariant.id,
                "promise": one.invariant.title,
                "result": one.result.lower(),
                "notKnown": one.lacks,
            }
            for one in verdicts
        ],
        "violations": [
            {
                "invariant": found.invariant,
                "time": found.at.isoformat(),
                "subject": found.subject,
                "message": found.message,
            }
            for one in verdicts
            for found in one.violations
        ],
    }
