"""Knows what must never be missing from the records, and never be in them: epochs, intents, specs, secrets.

Refuses to ask whether a deed was right; that is in `causes`.
"""

from collections.abc import Iterator
from datetime import datetime

from controller.audit import tracing
from controller.audit.evidence import Evidence, Happening
from controller.audit.finding import Violation


def single_writer(evidence: Evidence) -> Iterator[Violation]:
    """S9: nothing is asked for by a controller whose epoch is over, and none begins a chain.

    What the Engine carries out late for a controller that died is no violation: it was asked for
    (`asked_at`, or, where nobody can tell, the opening of its intent) before the next epoch began
    (`epoch_began`, or, where nobody can tell, the first intent of a later epoch).
    """
    for happening in tracing.by_controller(evidence):
        if happening.epoch in {None, evidence.epoch} or evidence.epoch is None:
            continue
        began, asked = _end_of_epoch(evidence, happening), _asked_at(evidence, happening)
        if began is None or asked is None or asked > began:
            message = f"{happening.what} of {happening.name} was asked for by epoch {happening.epoch}"
            yield Violation("S9", happening.at, happening.workspace, message)
    for index in range(max(1, evidence.fresh_deeds), len(evidence.deeds)):
        before, deed = evidence.deeds[index - 1], evidence.deeds[index]
        if deed.epoch < before.epoch:
            message = f"epoch {deed.epoch} began intent {deed.intent} after epoch {before.epoch} had begun"
            yield Violation("S9", deed.at, deed.workspace, message)


def calls_unknown(evidence: Evidence) -> str:
    """Say that only the journal tells who was at work."""
    return "" if evidence.epoch is not None else "the Engine does not tell which controller asked it"


def _end_of_epoch(evidence: Evidence, happening: Happening) -> datetime | None:
    if evidence.epoch_began is not None:
        return evidence.epoch_began
    later = (deed.at for deed in evidence.deeds if deed.epoch > (happening.epoch or 0))
    return next(later, None)


def _asked_at(evidence: Evidence, happening: Happening) -> datetime | None:
    if happening.asked_at is not None:
        return happening.asked_at
    deeds = tracing.chain(evidence, happening.intent)
    return deeds[0].at if deeds else None


def written_before(evidence: Evidence) -> Iterator[Violation]:
    """S11: whatever a controller does stands in an intent that was written before, and was open then.

    A call whose answer never came is given up with its intent, and the Engine may carry it out later: it
    counts when it was asked for.
    """
    for happening in tracing.by_controller(evidence):
        deeds = tracing.chain(evidence, happening.intent)
        what = f"{happening.what} of {happening.name} ({happening.container_id[:12]})"
        if not deeds:
            yield Violation("S11", happening.at, happening.workspace, f"{what} has no intent")
        elif tracing.deed(deeds, happening) is None:
            message = f"{what} is not what intent {happening.intent} is for"
            yield Violation("S11", happening.at, happening.workspace, message)
        elif _was_over(deeds[0].resolved_at, happening.asked_at):
            message = f"{what} was asked for after intent {happening.intent} had been resolved"
            yield Violation("S11", happening.at, happening.workspace, message)


def _was_over(resolved: datetime | None, asked: datetime | None) -> bool:
    return resolved is not None and asked is not None and asked > resolved


def authors_unknown(evidence: Evidence) -> str:
    """Say that something happened to containers of ours of which nobody knows who did it."""
    unknown = sum(
        1
        for happening in evidence.happenings[evidence.fresh_happenings :]
        if happening.by is None and happening.workspace
    )
    if not unknown:
        return ""
    return f"the Engine does not tell who asked for {unknown} of the things that happened without an intent"


def written_by_people(evidence: Evidence) -> Iterator[Violation]:
    """S12: a spec in force is one that a person wrote, to its last byte."""
    written = evidence.spec_digests
    if written is None:
        return
    for workspace, digest in evidence.accepted.items():
        if digest not in written.get(workspace, frozenset()):
            message = f"the spec in force ({digest[:19]}) was never written completely"
            yield Violation("S12", evidence.at, workspace, message)


def specs_unknown(evidence: Evidence) -> str:
    """Say that nobody kept what people wrote."""
    return "" if evidence.spec_digests is not None else "nobody keeps what people wrote into the files"


def no_secrets(evidence: Evidence) -> Iterator[Violation]:
    """S14: no secret stands in anything that is told."""
    for index in range(evidence.fresh_texts, len(evidence.texts)):
        text = evidence.texts[index]
        for number, canary in enumerate(evidence.canaries):
            if canary in text:
                message = f"secret {number} stands in text {index}, after {text.index(canary)} characters"
                yield Violation("S14", evidence.at, "texts", message)


def secrets_unknown(evidence: Evidence) -> str:
    """Say that there is no secret to look for, or nothing to look into."""
    if not evidence.canaries:
        return "no secret is known to look for"
    return "" if evidence.texts else "nothing that was told is at hand"
