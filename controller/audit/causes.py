"""Knows for what reasons something that runs or that ran may be stopped or removed, and how often.

Refuses to take the journal's word for what people said: that stands in the evidence by itself.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final, get_args

from controller.api import labels
from controller.api.conditions import Reason
from controller.audit import tracing
from controller.audit.evidence import Deed, Evidence, Happening
from controller.audit.finding import Violation
from controller.model.actions import Action
from controller.model.memory import Cause

OLD: Final = timedelta(seconds=30)
"""Nothing that runs is stopped, and nothing removed, on evidence older than this."""
MINUTE: Final = timedelta(minutes=1)
WINDOW: Final = timedelta(minutes=10)
FREE: Final = 2
"""The share of workspaces that one cause may disrupt is never less than this many."""

WORDS: Final = frozenset(word.__name__ for word in get_args(Action))
"""All that a controller can do: no removal of a volume, no prune, no forced removal and no exec among it."""

_CHANGES: Final = frozenset({"edit", "tag", "approve", "rollback", "restart", "remove", "delete"})
_ASKED: Final[Mapping[str, frozenset[str]]] = {
    Reason.RESTART_REQUESTED: frozenset({"restart"}),
    Reason.ROLLBACK_REQUESTED: frozenset({"rollback"}),
    Reason.SPEC_REMOVED: frozenset({"remove", "delete"}),
    Reason.REPLACEMENT_UNDER_WAY: _CHANGES,
    Reason.ROLLING_BACK: _CHANGES,
}
"""What somebody must have said before something is stopped for a reason; the others depend on the cause."""


def no_data_lost(evidence: Evidence) -> Iterator[Violation]:
    """S2: a container that ever ran is removed only when a person said `forget`, or with nothing in it.

    The second only when its time was over. And no action is one for which the vocabulary has no word.
    """
    for deed in tracing.fresh_deeds(evidence):
        if deed.kind not in WORDS:
            yield Violation("S2", deed.at, deed.workspace, f"{deed.kind} is no action of a controller")
    for happening in _removals(evidence):
        reason = _reason(evidence, happening)
        if _heard(evidence, frozenset({"forget"}), happening.container_id, happening.at) is True:
            continue
        if reason == Reason.RETENTION_OVER and not happening.bytes_held:
            continue
        if reason == Reason.FORGET_REQUESTED and _unheard(evidence, frozenset({"forget"})):
            continue
        held = "" if happening.bytes_held is None else f", with {happening.bytes_held} bytes in its layer"
        message = f"{happening.name} ({happening.container_id[:12]}) was removed ({reason}){held}"
        yield Violation("S2", happening.at, happening.workspace, message)


def removals_unknown(evidence: Evidence) -> str:
    """Say of which removals nobody can tell any more what was lost with them, or who wanted them."""
    blind = sum(1 for happening in _removals(evidence) if not _is_clear(evidence, happening))
    return f"of {blind} removals nobody can tell what went, or who asked for it" if blind else ""


def _is_clear(evidence: Evidence, happening: Happening) -> bool:
    asked = _heard(evidence, frozenset({"forget"}), happening.container_id, happening.at)
    return happening.bytes_held is not None or asked is True


def _removals(evidence: Evidence) -> Iterator[Happening]:
    return (one for one in tracing.by_controller(evidence, "destroy") if one.ever_ran)


def no_stop_without_cause(evidence: Evidence) -> Iterator[Violation]:
    """S3: what runs is stopped by a controller only for what somebody said, or what became of that.

    These are: a person's stop, restart or roll-back; a spec, class, policy or catalog that was edited, or an
    image reference that means another image now; a spec that is gone; the end of a replacement, for which its
    predecessor stops; and a replacement that failed. Whether an edit came long before is not asked: a change
    may wait for days.
    """
    for happening in tracing.by_controller(evidence, "stop"):
        why = _unfounded(evidence, happening, tracing.chain(evidence, happening.intent))
        if why:
            yield Violation("S3", happening.at, happening.workspace, f"{happening.name} was stopped {why}")


def causes_unknown(evidence: Evidence) -> str:
    """Say of which stops nobody keeps what people said."""
    blind = 0
    for happening in tracing.by_controller(evidence, "stop"):
        deeds = tracing.chain(evidence, happening.intent)
        kinds = _said(deeds[0]) if deeds else None
        if kinds and _heard(evidence, kinds, happening.workspace, happening.at) is None:
            blind += 1
    return f"of {blind} stops only the journal itself tells what people said" if blind else ""


def _unfounded(evidence: Evidence, happening: Happening, deeds: tuple[Deed, ...]) -> str:
    """Say what is wrong with the reason of a stop, or nothing."""
    if not deeds:
        return "for no reason that stands anywhere"
    deed = deeds[0]
    kinds = _said(deed)
    if kinds is None:
        return f"for {deed.reason}, which is no reason to stop anything"
    if _heard(evidence, kinds, happening.workspace, happening.at) is False:
        return f"for {deed.reason}, and nobody said any of: {', '.join(sorted(kinds))}"
    if kinds == {"stop"} and _taken_back(evidence, happening):
        return "although the last word was `start`"
    if deed.reason == Reason.REPLACEMENT_UNDER_WAY and not _put_aside(evidence, happening):
        return "for a replacement that does not replace it"
    if deed.reason == Reason.ROLLING_BACK and not _rolls_back(evidence, happening.workspace):
        return "for a roll-back that was never begun"
    return ""


def _said(deed: Deed) -> frozenset[str] | None:
    """Return what somebody must have said for this reason; None if it is no reason to stop anything."""
    if deed.reason in {Reason.SPEC_STOPPED, Reason.SPEC_CHANGED}:
        return _by_cause(deed)
    return _ASKED.get(deed.reason)


def _by_cause(deed: Deed) -> frozenset[str]:
    match deed.cause:
        case None:
            return frozenset({"stop"})
        case Cause.APPROVED:
            return frozenset({"approve"})
        case Cause.IMAGE_MOVED:
            return frozenset({"tag"})
        case _:
            return frozenset({"edit", "tag"})


def _put_aside(evidence: Evidence, happening: Happening) -> bool:
    if happening.name != labels.container_name(happening.workspace):
        return True
    container = happening.container_id
    return any(d.kind == "RetainContainer" and d.facts["container_id"] == container for d in evidence.deeds)


def _rolls_back(evidence: Evidence, workspace: str) -> bool:
    return any(deed.kind == "BeginRollback" and deed.workspace == workspace for deed in evidence.deeds)


def _taken_back(evidence: Evidence, happening: Happening) -> bool:
    """Tell whether a person said `start` after every `stop`, before the look on which it was stopped."""
    if happening.seen_at is None:
        return False
    for ask in reversed(evidence.asks or ()):
        if ask.subject != happening.workspace or ask.at > happening.at:
            continue
        if ask.what == "stop":
            return False
        if ask.what == "start" and ask.at < happening.seen_at:
            return True
    return False


def fresh_evidence(evidence: Evidence) -> Iterator[Violation]:
    """S4: a stop or a removal was decided on a look that was at most 30 s old then."""
    for happening in tracing.by_controller(evidence, "stop", "destroy"):
        deeds = tracing.chain(evidence, happening.intent)
        if happening.seen_at is None or not deeds:
            continue
        age = deeds[0].at - happening.seen_at
        if age > OLD:
            message = f"{happening.what} of {happening.name} was decided on a look of {age} before"
            yield Violation("S4", happening.at, happening.workspace, message)


def looks_unknown(evidence: Evidence) -> str:
    """Say that it is not known when the looks began that stops and removals rest on."""
    if all(one.seen_at is not None for one in tracing.by_controller(evidence, "stop", "destroy")):
        return ""
    return "the journal does not tell when the look began that a stop or a removal rests on"


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


def _reason(evidence: Evidence, happening: Happening) -> str:
    deeds = tracing.chain(evidence, happening.intent)
    return deeds[0].reason if deeds else "for no reason that stands anywhere"


def _unheard(evidence: Evidence, kinds: frozenset[str]) -> bool:
    """Tell whether some of what people say is not kept."""
    return evidence.asks is None or evidence.asks_since is not None or bool(kinds & evidence.unheard)


def _heard(evidence: Evidence, kinds: frozenset[str], subject: str, until: datetime) -> bool | None:
    """Tell whether one of these was said of a subject, or of all; None where nobody can tell."""
    for ask in reversed(evidence.asks or ()):
        if ask.what in kinds and ask.subject in {subject, ""} and ask.at <= until:
            return True
    return None if _unheard(evidence, kinds) else False
