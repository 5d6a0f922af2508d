"""Knows what an invariant is, and what is said where it was violated; refuses to judge anything itself."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from controller.audit.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must never happen, and did.

    Attributes:
        invariant: its id, such as `S3`.
        at: when it happened; for what is true now, when it was looked at.
        subject: workspace, container or file that it is about.
        message: a sentence for people with the specifics.
    """

    invariant: str
    at: datetime
    subject: str
    message: str


Check: TypeAlias = Callable[[Evidence], Iterator[Violation]]


@dataclass(frozen=True, slots=True)
class Invariant:
    """One promise.

    Attributes:
        id: as in docs/explanation/invariants.md.
        title: what is promised, in a few words.
        check: the violations in what is fresh of the evidence; keeps no state. What the evidence cannot tell
            is no violation.
        lacks: what the evidence cannot tell, so that a violation may be there that `check` does not see;
            empty if nothing is wanting.
        in_part: what it lacks hides some of what there is to judge, and not all of it.
    """

    id: str
    title: str
    check: Check
    lacks: Callable[[Evidence], str]
    in_part: bool = False


def nothing(_evidence: Evidence) -> str:
    """Say of an invariant that whatever evidence there is tells enough."""
    return ""
