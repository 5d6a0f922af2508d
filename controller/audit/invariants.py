"""Knows all that must never happen, each as one function over evidence; refuses to keep anything in mind.

The ids are those of docs/explanation/invariants.md.
"""

from collections.abc import Iterator
from typing import Final

from controller.audit import causes, containers, disruptions, losses, records
from controller.audit.evidence import Evidence
from controller.audit.finding import Invariant, Violation, nothing

SAFETY: Final[tuple[Invariant, ...]] = (
    Invariant("S1", "What only one can have, only one has", containers.exclusive_units, nothing),
    Invariant("S2", "No data is lost", losses.no_data_lost, losses.removals_unknown, in_part=True),
    Invariant(
        "S3",
        "Nothing that runs is stopped without a cause",
        causes.no_stop_without_cause,
        causes.causes_unknown,
        in_part=True,
    ),
    Invariant("S4", "Unknown is not absent", causes.fresh_evidence, causes.looks_unknown),
    Invariant(
        "S5", "Only what is ours is touched", containers.only_ours, containers.claims_unknown, in_part=True
    ),
    Invariant(
        "S6",
        "A call meets the very run that was seen",
        containers.the_very_run,
        containers.runs_unknown,
    ),
    Invariant("S7", "At most one container of a workspace runs", containers.one_runs, nothing),
    Invariant(
        "S8",
        "What was made is looked at before it is started",
        containers.looked_before_start,
        containers.looks_before_starts_unknown,
    ),
    Invariant(
        "S9", "One controller for one Engine", records.single_writer, records.calls_unknown, in_part=True
    ),
    Invariant("S10", "The budget of disruptions", disruptions.within_budget, disruptions.budget_unknown),
    Invariant(
        "S11",
        "Nothing is done that was not written down before",
        records.written_before,
        records.authors_unknown,
        in_part=True,
    ),
    Invariant(
        "S12",
        "A rejected or half-written file is no wish",
        records.written_by_people,
        records.specs_unknown,
    ),
    Invariant(
        "S13", "Mounts lie beneath the allowed roots", containers.beneath_roots, containers.roots_unknown
    ),
    Invariant("S14", "No secret is told", records.no_secrets, records.secrets_unknown),
)
"""In the order of their numbers."""


def judge(evidence: Evidence) -> Iterator[Violation]:
    """Return every violation in what is fresh."""
    for invariant in SAFETY:
        yield from invariant.check(evidence)
