"""Knows for what reasons something that runs may be stopped, and on what evidence anything may be ended.

Refuses to take the journal's word for what people said: that stands in the evidence by itself.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final

from controller.api import labels
from controller.api.conditions import Reason
from controller.audit import tracing
from controller.audit.evidence import Deed, Evidence, Happening
from controller.audit.finding import Violation
from controller.model.memory import Cause

OLD: Final = timedelta(seconds=30)
"""Nothing that runs is stopped, and nothing removed, on evidence older than this."""

_CHANGES: Final = frozenset({"edit", "tag", "approve", "rollback", "restart", "remove", "delete"})
_ASKED: Final[Mapping[str, frozenset[str]]] = {
    Reason.RESTART_REQUESTED: frozenset({"restart"}),
    Reason.ROLLBACK_REQUESTED: frozenset({"rollback"}),
    Reason.GPU_ACCESS_LOST: frozenset({"approve"}),
    Reason.SPEC_REMOVED: frozenset({"remove", "delete"}),
    Reason.REPLACEMENT_UNDER_WAY: _CHANGES,
    Reason.ROLLING_BACK: _CHANGES,
}
"""What somebody must have said before something is stopped for a reason; the others depend on the cause."""


def no_stop_without_cause(evidence: Evidence) -> Iterator[Violation]:
    """S3: what runs is stopped by a controller only for what somebody said, or what became of that.

    These are: a person's stop, restart or roll-back, or approval where it lost its GPUs; a spec, class,
    policy or catalog that was edited, or an image reference that means another image now; a quota, if the
    policy says that it holds at once; a spec that is gone; the end of a replacement, for which its
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
        if kinds and tracing.heard(evidence, kinds, happening.workspace, happening.at) is None:
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
    if tracing.heard(evidence, kinds, happening.workspace, happening.at) is False:
        return f"for {deed.reason}, and nobody said any of: {', '.join(sorted(kinds))}"
    if deed.reason == Reason.SPEC_REMOVED and _within_grace(evidence, deed):
        return "within the grace after its file was taken away"
    if kinds == {"stop"} and _taken_back(evidence, happening):
        return "although the last word was `start`"
    return _pretended(evidence, happening, deed)


def _pretended(evidence: Evidence, happening: Happening, deed: Deed) -> str:
    """Say what the reason rests on that was never so, or nothing."""
    if deed.reason == Reason.OVER_QUOTA and not _is_enforced(evidence, deed):
        return "for a quota that the policy did not enforce at once"
    if deed.reason == Reason.REPLACEMENT_UNDER_WAY and not _put_aside(evidence, happening):
        return "for a replacement that does not replace it"
    if deed.reason == Reason.ROLLING_BACK and not _rolls_back(evidence, happening.workspace):
        return "for a roll-back that was never begun"
    return ""


def _is_enforced(evidence: Evidence, deed: Deed) -> bool:
    """Tell whether the policy in force, when it was decided, let any limit stop what runs."""
    if evidence.enforced is None:
        return True
    before = (limits for since, limits in reversed(evidence.enforced) if since <= deed.at)
    return bool(next(before, frozenset()))


def _within_grace(evidence: Evidence, deed: Deed) -> bool:
    """Tell whether every time that somebody took the file away was too short before."""
    kinds, grace = _ASKED[Reason.SPEC_REMOVED], evidence.deletion_grace
    return grace is not None and tracing.heard(evidence, kinds, deed.workspace, deed.at - grace) is False


def _said(deed: Deed) -> frozenset[str] | None:
    """Return what somebody must have said for this reason; None if it is no reason to stop anything."""
    if deed.reason in {Reason.SPEC_STOPPED, Reason.SPEC_CHANGED, Reason.OVER_QUOTA}:
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
