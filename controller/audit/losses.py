"""Knows what may be removed for good, and when.

Refuses to take the journal's word for what people said.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, get_args

from controller.api.conditions import Reason
from controller.audit import tracing
from controller.audit.evidence import Evidence, Happening
from controller.audit.finding import Violation
from controller.model.actions import Action

WORDS: Final = frozenset(word.__name__ for word in get_args(Action))
"""All that a controller can do: no removal of a volume, no prune, no forced removal and no exec among it."""


def no_data_lost(evidence: Evidence) -> Iterator[Violation]:
    """S2: a container that ever ran is removed only when a person said `forget`, or with nothing in it.

    The second only when its time was over. And no action is one for which the vocabulary has no word.
    """
    for deed in tracing.fresh_deeds(evidence):
        if deed.kind not in WORDS:
            yield Violation("S2", deed.at, deed.workspace, f"{deed.kind} is no action of a controller")
    for happening in _removals(evidence):
        reason = _reason(evidence, happening)
        if tracing.heard(evidence, frozenset({"forget"}), happening.container_id, happening.at) is True:
            continue
        if (
            reason == Reason.RETENTION_OVER
            and not happening.bytes_held
            and not _too_soon(evidence, happening)
        ):
            continue
        if reason == Reason.FORGET_REQUESTED and tracing.unheard(evidence, frozenset({"forget"})):
            continue
        soon = ", before its time was over" if _too_soon(evidence, happening) else ""
        held = "" if happening.bytes_held is None else f", with {happening.bytes_held} bytes in its layer"
        message = f"{happening.name} ({happening.container_id[:12]}) was removed ({reason}){held}{soon}"
        yield Violation("S2", happening.at, happening.workspace, message)


def _too_soon(evidence: Evidence, happening: Happening) -> bool:
    """Tell whether it was kept for less long than it must be, since it was last put aside."""
    kept: datetime | None = None
    for deed in evidence.deeds:
        if deed.facts.get("container_id") == happening.container_id and deed.intent != happening.intent:
            if deed.kind == "ForgetRetained":
                kept = None
            elif deed.kind == "RetainContainer" and kept is None:
                kept = deed.at
    return kept is not None and evidence.retain is not None and happening.at - kept < evidence.retain


def removals_unknown(evidence: Evidence) -> str:
    """Say of which removals nobody can tell any more what was lost with them, or who wanted them."""
    blind = sum(1 for happening in _removals(evidence) if not _is_clear(evidence, happening))
    return f"of {blind} removals nobody can tell what went, or who asked for it" if blind else ""


def _is_clear(evidence: Evidence, happening: Happening) -> bool:
    asked = tracing.heard(evidence, frozenset({"forget"}), happening.container_id, happening.at)
    return happening.bytes_held is not None or asked is True


def _removals(evidence: Evidence) -> Iterator[Happening]:
    return (one for one in tracing.by_controller(evidence, "destroy") if one.ever_ran)


def _reason(evidence: Evidence, happening: Happening) -> str:
    deeds = tracing.chain(evidence, happening.intent)
    return deeds[0].reason if deeds else "for no reason that stands anywhere"
