"""Knows which deed stands behind a happening, and what came before it; refuses to judge either.

Everything is searched by its number, or from the end, where what is fresh lies, so that the length of a
history costs little.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from controller.audit.evidence import Deed, Evidence, Happening

CONTROLLER: Final = "controller"
KINDS: Final[Mapping[str, frozenset[str]]] = {
    "create": frozenset({"CreateContainer"}),
    "start": frozenset({"StartContainer"}),
    "stop": frozenset({"StopContainer"}),
    "die": frozenset({"StopContainer"}),
    "destroy": frozenset({"RemoveContainer"}),
    "rename": frozenset({"RenameContainer"}),
    "update": frozenset({"UpdateLimits", "ClearRestartPolicy"}),
    "unpause": frozenset({"UnpauseContainer"}),
}
"""The actions that make something happen; what is not here the controller has no word for."""


def by_controller(evidence: Evidence, *what: str) -> Iterator[Happening]:
    """Return the fresh happenings that a controller asked for, of the kinds `what` (none given: of all)."""
    happenings = evidence.happenings
    for index in range(evidence.fresh_happenings, len(happenings)):
        happening = happenings[index]
        if happening.by == CONTROLLER and (not what or happening.what in what):
            yield happening


def fresh_deeds(evidence: Evidence) -> Iterator[Deed]:
    """Return the deeds that were not judged yet."""
    deeds = evidence.deeds
    for index in range(evidence.fresh_deeds, len(deeds)):
        yield deeds[index]


def chain(evidence: Evidence, intent: int | None) -> tuple[Deed, ...]:
    """Return the deeds of an intent, in order; empty if there is none."""
    if intent is None:
        return ()
    deeds = evidence.deeds
    begin = end = bisect_left(deeds, intent, key=_number)
    while end < len(deeds) and deeds[end].intent == intent:
        end += 1
    return tuple(deeds[begin:end])


def _number(one: Deed) -> int:
    return one.intent


def deed(deeds: Sequence[Deed], happening: Happening) -> Deed | None:
    """Return that of a chain's deeds which asks for this happening, on this very container."""
    kinds = KINDS.get(happening.what, frozenset())
    for one in deeds:
        if one.kind in kinds and _names(one, happening):
            return one
    return None


def _names(one: Deed, happening: Happening) -> bool:
    """A container that is being made has no id yet."""
    if happening.what == "create":
        return one.facts.get("name") == happening.name
    return one.facts.get("container_id") == happening.container_id


def decided_at(happening: Happening, deeds: Sequence[Deed]) -> datetime:
    """Return when the look began on which it was decided; if that is not known, when it was begun or seen."""
    if happening.seen_at is not None:
        return happening.seen_at
    return deeds[0].at if deeds else happening.at


def latest(evidence: Evidence, what: str, container_id: str) -> Happening | None:
    """Return the last happening of one kind to one container."""
    for happening in reversed(evidence.happenings):
        if happening.what == what and happening.container_id == container_id:
            return happening
    return None


def moment(value: object) -> datetime | None:
    """Return a time as the journal has it, or None for what is none."""
    return datetime.fromisoformat(value) if isinstance(value, str) and value else None


def unheard(evidence: Evidence, kinds: frozenset[str]) -> bool:
    """Tell whether some of what people say is not kept."""
    return evidence.asks is None or evidence.asks_since is not None or bool(kinds & evidence.unheard)


def heard(evidence: Evidence, kinds: frozenset[str], subject: str, until: datetime) -> bool | None:
    """Tell whether one of these was said of a subject, or of all; None where nobody can tell."""
    for ask in reversed(evidence.asks or ()):
        if ask.what in kinds and ask.subject in {subject, ""} and ask.at <= until:
            return True
    return None if unheard(evidence, kinds) else False
