"""Which conditions hold for a workspace, and why, from its decision and its container.

Refuses to look at the state before: when a condition changed is the business of `summary`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from controller.api.conditions import ConditionStatus, ConditionType, Reason
from controller.model.desired import RejectedFile
from controller.model.gpus import Wish
from controller.model.gpustatus import WorkspaceGpus
from controller.model.observed import Container, ContainerState, Health, Unseen
from controller.model.plan import Decision, NotEnforced, Remedy, Verdict
from controller.model.status import ServiceAddress

_TRUE, _FALSE, _UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN

AT_WORK: Final = frozenset(
    {Verdict.CREATE, Verdict.START, Verdict.UPDATE, Verdict.REPLACE, Verdict.STOP, Verdict.REMOVE}
)
"""Verdicts with actions."""
_PARKED: Final = frozenset({Reason.CHANGE_PENDING, Reason.PACED})
"""Waits in which the controller is not at work: for a person, or for the workspace's turn."""
_MENDS_ITSELF: Final = frozenset({Reason.ENGINE_UNAVAILABLE, Reason.NOT_SEEN})
_PENDING: Final = frozenset(
    {
        Reason.CHANGE_PENDING,
        Reason.CONFIRMING,
        Reason.PACED,
        Reason.PINNED,
        Reason.BUDGET_EXCEEDED,
        Reason.REMOVALS_HELD,
        Reason.REPLACEMENT_FAILED,
    }
)
"""Reasons of decisions behind which there is a change that is not made."""
_NOTED: Final = {
    Reason.IMAGE_DEPRECATED: ConditionType.IMAGE_DEPRECATED,
    Reason.OVER_QUOTA: ConditionType.OVER_QUOTA,
    Reason.STORAGE_HIGH: ConditionType.OVER_SOFT_LIMIT,
    Reason.LIMIT_NOT_ENFORCED: ConditionType.LIMIT_NOT_ENFORCED,
}
"""Notes that are conditions as well; several of one reason are one condition."""
_WAITING: Final = frozenset({Reason.MEMORY_LOWERING, Reason.UPDATE_WAITS})
"""Notes of a change that is not made yet, while all else is as specified."""
_NEEDS_A_NEW_RUN: Final = frozenset({Remedy.REPLACE, Remedy.RESTART})
LACKS: Final = frozenset(
    {
        Reason.GPU_QUEUED,
        Reason.OWN_GPU_BUSY,
        Reason.GPU_CONTENDED,
        Reason.GPU_UNAVAILABLE,
        Reason.GPU_DRIVER_MISMATCH,
    }
)
"""Reasons of decisions about workspaces that cannot have their devices now."""
_WORDS_OF_STATE: Final = {
    ContainerState.CREATED: (Reason.FIRST_START, "the container has not run yet"),
    ContainerState.PAUSED: (Reason.CONTAINER_PAUSED, "somebody froze the container"),
    ContainerState.RESTARTING: (Reason.CONTAINER_BUSY, "the Engine is restarting the container"),
    ContainerState.REMOVING: (Reason.CONTAINER_BUSY, "the Engine is removing the container"),
    ContainerState.DEAD: (Reason.CONTAINER_BUSY, "the Engine could not remove the container"),
}


@dataclass(frozen=True, slots=True)
class Situation:
    """All that the conditions of one workspace follow from.

    Attributes:
        desired_running: what the spec and then a person's request say.
        requested: the request, not the spec, decides `desired_running`.
        services: all that are declared.
        engine: why the container could not be looked at, if so.
        gpus: what it wants of the GPUs and has.
    """

    decision: Decision
    container: Container | None
    desired_running: bool
    requested: bool
    services: tuple[ServiceAddress, ...]
    rejected: RejectedFile | None
    engine: Unseen | None
    gpus: WorkspaceGpus | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """One condition without its history."""

    type: ConditionType
    status: ConditionStatus
    reason: Reason
    message: str = ""


def claims(situation: Situation) -> Iterator[Claim]:
    """The conditions to show, each type at most once; Ready is the first."""
    yield _ready(situation)
    yield from _progress(situation.decision)
    yield _spec_accepted(situation.rejected)
    yield _container_running(situation)
    if situation.gpus is not None and situation.gpus.wish is not None:
        yield _gpus_allocated(situation, situation.gpus, situation.gpus.wish)
    yield _change_pending(situation.decision)
    yield from _noted(situation.decision)
    if situation.decision.not_enforced:
        yield _not_enforced(situation.decision.not_enforced)


def _noted(decision: Decision) -> Iterator[Claim]:
    said: dict[Reason, list[str]] = {}
    for note in decision.notes:
        if note.reason in _NOTED:
            said.setdefault(note.reason, []).append(note.message)
    for reason, messages in said.items():
        yield Claim(_NOTED[reason], _TRUE, reason, "; ".join(messages))


def _not_enforced(gaps: tuple[NotEnforced, ...]) -> Claim:
    """All of them; the reason is that of the first which is not merely missing in this version."""
    reasons = (gap.reason for gap in gaps if gap.reason is not Reason.NOT_ENFORCED)
    message = "; ".join(f"{gap.path}: {gap.message}" for gap in gaps)
    return Claim(ConditionType.NOT_ENFORCED, _TRUE, next(reasons, Reason.NOT_ENFORCED), message)


def _ready(situation: Situation) -> Claim:
    if situation.engine is not None:
        return _ready_is(_UNKNOWN, situation.engine.reason, situation.engine.message)
    if not situation.desired_running:
        return _ready_when_stopped(situation)
    container, decision = situation.container, situation.decision
    if container is not None and container.state is ContainerState.RUNNING:
        return _ready_when_running(situation, container)
    if container is not None and decision.reason is Reason.AS_SPECIFIED:
        reason, message = _why_not_running(situation, container)
        return _ready_is(_FALSE, reason, message)
    return _ready_is(_FALSE, decision.reason, decision.message)


def _ready_when_stopped(situation: Situation) -> Claim:
    if situation.container is not None and situation.container.running:
        return _ready_is(_FALSE, _unless_settled(situation.decision, Reason.SPEC_STOPPED), "it still runs")
    if situation.requested:
        return _ready_is(_FALSE, Reason.STOPPED_BY_REQUEST, "stopped by `wharf stop`")
    return _ready_is(_TRUE, Reason.STOPPED)


def _unless_settled(decision: Decision, otherwise: Reason) -> Reason:
    return otherwise if decision.verdict is Verdict.KEEP else decision.reason


def _ready_when_running(situation: Situation, container: Container) -> Claim:
    if container.health is Health.UNHEALTHY:
        return _ready_is(_FALSE, Reason.UNHEALTHY, "the image's health check fails")
    if container.health is Health.STARTING:
        return _ready_is(_FALSE, Reason.STARTING, "the image's health check has not passed yet")
    if situation.services:
        if isinstance(container.listening, Unseen):
            return _ready_is(_UNKNOWN, container.listening.reason, container.listening.message)
        silent = [one for one in situation.services if one.container_port not in container.listening]
        if silent:
            names = ", ".join(f"{one.service} (port {one.container_port})" for one in silent)
            return _ready_is(_FALSE, Reason.NOT_YET_LISTENING, f"nothing listens for {names}")
    return _ready_is(_TRUE, situation.decision.reason, situation.decision.message)


def _ready_is(status: ConditionStatus, reason: Reason, message: str = "") -> Claim:
    return Claim(ConditionType.READY, status, reason, message)


def _progress(decision: Decision) -> Iterator[Claim]:
    waits = decision.verdict is Verdict.WAIT and decision.reason not in _PARKED
    if decision.verdict in AT_WORK or waits:
        yield Claim(ConditionType.RECONCILING, _TRUE, decision.reason, decision.message)
    elif decision.verdict is Verdict.HOLD and decision.reason not in _MENDS_ITSELF:
        yield Claim(ConditionType.STALLED, _TRUE, decision.reason, decision.message)


def _spec_accepted(rejected: RejectedFile | None) -> Claim:
    if rejected is None:
        return Claim(ConditionType.SPEC_ACCEPTED, _TRUE, Reason.ACCEPTED)
    message = str(rejected.findings[0]) if rejected.findings else rejected.file
    if len(rejected.findings) > 1:
        message += f" (and {len(rejected.findings) - 1} more)"
    return Claim(ConditionType.SPEC_ACCEPTED, _FALSE, rejected.reason, message)


def _container_running(situation: Situation) -> Claim:
    kind, container = ConditionType.CONTAINER_RUNNING, situation.container
    if situation.engine is not None:
        return Claim(kind, _UNKNOWN, situation.engine.reason, situation.engine.message)
    if container is None:
        return Claim(kind, _FALSE, Reason.CONTAINER_MISSING, "there is no container")
    if container.state is ContainerState.RUNNING:
        return Claim(kind, _TRUE, Reason.AS_SPECIFIED if situation.desired_running else Reason.SPEC_STOPPED)
    return Claim(kind, _FALSE, *_why_not_running(situation, container))


def _gpus_allocated(situation: Situation, gpus: WorkspaceGpus, wish: Wish) -> Claim:
    """Granted is what its container was made with, while it runs, never ran yet, or is about to run."""
    kind, container, decision = ConditionType.GPUS_ALLOCATED, situation.container, situation.decision
    if situation.engine is not None:
        return Claim(kind, _UNKNOWN, situation.engine.reason, situation.engine.message)
    as_wished = bool(gpus.uuids) if wish.all else len(gpus.uuids) == wish.count
    comes = situation.desired_running and decision.verdict is not Verdict.HOLD
    never_ran = situation.desired_running and container is not None and container.started_at is None
    lives = container is not None and (container.running or never_ran or comes)
    if lives and as_wished and decision.reason not in LACKS:
        return Claim(kind, _TRUE, Reason.GPUS_GRANTED, ", ".join(gpus.uuids))
    if gpus.unseen is not None and situation.desired_running:
        return Claim(kind, _UNKNOWN, gpus.unseen.reason, gpus.unseen.message)
    if not situation.desired_running:
        reason = Reason.STOPPED_BY_REQUEST if situation.requested else Reason.STOPPED
        return Claim(kind, _FALSE, reason, "it needs none while it is stopped")
    return Claim(kind, _FALSE, decision.reason, decision.message)


def _why_not_running(situation: Situation, container: Container) -> tuple[Reason, str]:
    words = _WORDS_OF_STATE.get(container.state)
    if words is not None:
        return words
    if not situation.desired_running:
        return (Reason.STOPPED_BY_REQUEST if situation.requested else Reason.STOPPED), ""
    cause = " for lack of memory" if container.oom_killed else ""
    return Reason.CONTAINER_EXITED, f"the container exited with code {container.exit_code}{cause}"


def _change_pending(decision: Decision) -> Claim:
    """Where all is as specified but for what waits, a note says that; what only the Engine lacks is none."""
    if decision.reason is Reason.AS_SPECIFIED:
        waiting = [note for note in decision.notes if note.reason in _WAITING]
        if decision.verdict in AT_WORK or not waiting:
            return Claim(ConditionType.CHANGE_PENDING, _FALSE, Reason.AS_SPECIFIED)
        message = "; ".join(note.message for note in waiting)
        return Claim(ConditionType.CHANGE_PENDING, _TRUE, waiting[0].reason, message)
    parked = decision.verdict not in AT_WORK and any(
        drift.remedy in _NEEDS_A_NEW_RUN for drift in decision.drifts
    )
    if parked or decision.reason in _PENDING:
        return Claim(ConditionType.CHANGE_PENDING, _TRUE, decision.reason, decision.message)
    return Claim(ConditionType.CHANGE_PENDING, _FALSE, Reason.AS_SPECIFIED)
