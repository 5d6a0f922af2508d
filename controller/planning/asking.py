"""Knows when registries are asked whether a tag has moved, with `pull: Always`, and what waits for that.

Refuses to act on the answer: a pull moves the Engine's own tag, and a container of another image is drift.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from controller.api import references
from controller.api.conditions import Reason
from controller.api.workspace import PullPolicy
from controller.model.actions import PullImage
from controller.model.effective import Effective, Refusal
from controller.model.memory import Memory
from controller.model.observed import EngineView, Unseen
from controller.model.plan import Decision, HostFinding, Verdict
from controller.planning import backoff
from controller.planning.case import Blueprint, Case, Ours, should_run

EVERY = timedelta(minutes=10)
"""An answer counts this long, but for a restart that a person asked for after it."""
NEVER = datetime.min.replace(tzinfo=UTC)
LATELY = timedelta(minutes=1)
"""A start does not wait for a registry that failed to answer less than this ago."""
SUBJECT = "registry"
"""Leads the subject of a question, before its reference."""


def first(case: Case) -> Decision | None:
    """A start waits for the answer, but not for a registry that gave none for it, or a moment ago."""
    effective, memory = case.design.effective, case.memory
    if not _possible(effective, case.scene.view) or not _due(effective, memory, case.now):
        return None
    wait = memory.backoffs.get(_subject(effective.image))
    since = memory.restart_requests.get(case.name, case.now - LATELY)
    if wait is not None and wait.next_attempt - backoff.delay(wait.failures) >= since:
        return None
    message = f"its registry is asked first what {effective.image} is now"
    return case.decide(Verdict.WAIT, Reason.IMAGE_PENDING, message)


def upkeep(
    designs: Mapping[str, Blueprint | Refusal],
    index: Mapping[str, Ours],
    view: EngineView,
    memory: Memory,
    now: datetime,
) -> tuple[Decision, ...]:
    """Ask for those who wait for the answer; of the others for one at a time, the longest unasked one."""
    urgent: dict[str, bool] = {}
    for name, effective in _following(designs, memory):
        container = index[name].main if name in index else None
        if container is None or not _possible(effective, view) or not _due(effective, memory, now):
            continue
        waits = not container.running or name in memory.restart_requests
        urgent[effective.image] = urgent.get(effective.image, False) or waits
    waited_for = sorted(reference for reference, waits in urgent.items() if waits)
    others = sorted(urgent.keys() - set(waited_for), key=lambda one: (_last(one, memory), one))
    busy = any(intent.workspace.startswith(f"{SUBJECT}/") for intent in memory.open_intents)
    return tuple(_ask(reference) for reference in (*waited_for, *(() if busy else others[:1])))


def findings(designs: Mapping[str, Blueprint | Refusal], memory: Memory) -> tuple[HostFinding, ...]:
    """Say which registries do not answer."""
    asked = {effective.image for _, effective in _following(designs, memory)}
    silent = [
        (one, memory.backoffs[_subject(one)]) for one in sorted(asked) if _subject(one) in memory.backoffs
    ]
    return tuple(
        HostFinding(
            Reason.IMAGE_UNAVAILABLE,
            reference,
            f"{wait.message}; its registry is asked again, and until then the image that is here counts",
        )
        for reference, wait in silent
    )


def _following(designs: Mapping[str, Blueprint | Refusal], memory: Memory) -> Iterator[tuple[str, Effective]]:
    """Find the workspaces that shall run and follow a tag; a digest does not move."""
    for name, design in designs.items():
        if isinstance(design, Refusal) or design.effective.pull is not PullPolicy.ALWAYS:
            continue
        if name not in memory.pauses and should_run(design.effective, memory.suspensions.get(name)):
            yield name, design.effective


def _possible(effective: Effective, view: EngineView) -> bool:
    """Tell whether there is anything to ask; what is not here at all is pulled for the workspace itself."""
    follows = effective.pull is PullPolicy.ALWAYS and not references.read(effective.image).digest
    full = not isinstance(view.disk, Unseen) and view.disk.pressed
    return follows and view.images.get(effective.image) is not None and not full


def _due(effective: Effective, memory: Memory, now: datetime) -> bool:
    """Tell whether it is time to ask."""
    wait = memory.backoffs.get(_subject(effective.image))
    if wait is not None and now < wait.next_attempt <= now + backoff.LONGEST:
        return False
    return not answered(effective, memory, now)


def answered(effective: Effective, memory: Memory, now: datetime) -> bool:
    """Tell whether the last answer still counts; one of the future is one of a clock that was set back."""
    wanted, restart = now - EVERY, memory.restart_requests.get(effective.workspace)
    if restart is not None and restart <= now:
        wanted = max(wanted, restart)
    return wanted <= _last(effective.image, memory) <= now


def _last(reference: str, memory: Memory) -> datetime:
    return memory.asked.get(reference, NEVER)


def _subject(reference: str) -> str:
    return f"{SUBJECT}/{reference}"


def _ask(reference: str) -> Decision:
    subject = _subject(reference)
    return Decision(
        workspace=subject,
        verdict=Verdict.UPDATE,
        reason=Reason.IMAGE_ASKED,
        message="the tag may have moved",
        actions=(PullImage(subject, reference),),
        key=subject,
    )
