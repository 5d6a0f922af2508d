"""Knows how many may be disrupted within how long: the pace for all, and a share for each cause.

Refuses to count what somebody asked for.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from controller.audit import tracing
from controller.audit.evidence import Deed, Evidence
from controller.audit.finding import Violation
from controller.model.memory import Cause

MINUTE: Final = timedelta(minutes=1)
WINDOW: Final = timedelta(minutes=10)
FREE: Final = 2
"""The share of workspaces that one cause may disrupt is never less than this many."""


def within_budget(evidence: Evidence) -> Iterator[Violation]:
    """S10: disruptions that nobody asked for keep the pace, and each cause its share of ten minutes.

    The share is of all workspaces that have a container, which is never less than of those that ran.
    """
    judged: set[int] = set()
    for deed in tracing.fresh_deeds(evidence):
        if deed.cause is None or not deed.disrupts or deed.intent in judged:
            continue
        judged.add(deed.intent)
        recent = _recent(evidence, deed)
        yield from _too_fast(evidence, deed, recent)
        if deed.cause != Cause.APPROVED:
            yield from _too_many(evidence, deed, recent)


def _recent(evidence: Evidence, last: Deed) -> tuple[Deed, ...]:
    """Return one deed of each disrupting intent of the ten minutes up to this one, itself included."""
    found: dict[int, Deed] = {}
    for deed in reversed(evidence.deeds):
        counts = deed.disrupts and deed.cause is not None and deed.intent <= last.intent
        if counts and timedelta(0) <= last.at - deed.at < WINDOW:
            found[deed.intent] = deed
    return tuple(found.values())


def _too_fast(evidence: Evidence, last: Deed, recent: tuple[Deed, ...]) -> Iterator[Violation]:
    done = sum(1 for deed in recent if last.at - deed.at < MINUTE)
    if evidence.per_minute is not None and done > evidence.per_minute:
        message = f"{done} disruptions within a minute; the pace is {evidence.per_minute}"
        yield Violation("S10", last.at, last.workspace, message)


def _too_many(evidence: Evidence, last: Deed, recent: tuple[Deed, ...]) -> Iterator[Violation]:
    if evidence.percent is None:
        return
    done = {deed.workspace for deed in recent if deed.cause == last.cause}
    there = {standing.workspace for standing in evidence.standings if standing.owned}
    share = max(FREE, len(there | done) * evidence.percent // 100)
    if len(done) > share:
        message = f"{len(done)} workspaces were disrupted for {last.cause} within ten minutes; {share} may be"
        yield Violation("S10", last.at, last.workspace, message)


def budget_unknown(evidence: Evidence) -> str:
    """Say that the budget is not known."""
    known = evidence.per_minute is not None and evidence.percent is not None
    return "" if known else "no configuration tells what the budget is"
