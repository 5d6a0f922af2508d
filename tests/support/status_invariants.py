"""Knows what must hold of every status, whatever led to it. Refuses to know how statuses are made."""

from collections.abc import Iterator

from controller.api.conditions import ConditionStatus, ConditionType, Reason
from controller.model.plan import Verdict
from controller.model.status import WorkspaceStatus

_ALWAYS = (
    ConditionType.READY,
    ConditionType.SPEC_ACCEPTED,
    ConditionType.CONTAINER_RUNNING,
    ConditionType.CHANGE_PENDING,
)
_ONLY_WHILE_TRUE = (ConditionType.RECONCILING, ConditionType.STALLED, ConditionType.NOT_ENFORCED)


def violations(prior: WorkspaceStatus | None, status: WorkspaceStatus) -> list[str]:
    """What is wrong with a status, by itself and as a successor of the one before; empty: nothing."""
    return [
        *_of_presence(status),
        *_of_conditions(status),
        *_of_readiness(status),
        *(_of_history(prior, status) if prior else ()),
    ]


def _of_presence(status: WorkspaceStatus) -> Iterator[str]:
    for kind in _ALWAYS:
        if kind not in status.conditions:
            yield f"{kind} is missing"
    for kind in _ONLY_WHILE_TRUE:
        if kind in status.conditions and status.conditions[kind].status is not ConditionStatus.TRUE:
            yield f"{kind} is there and not true"
    wants_gpus = status.gpus is not None and status.gpus.wish is not None
    if wants_gpus is not (ConditionType.GPUS_ALLOCATED in status.conditions):
        yield "GPUsAllocated is there without a wish for GPUs, or is not there with one"
    if {ConditionType.RECONCILING, ConditionType.STALLED} <= status.conditions.keys():
        yield "Reconciling and Stalled at once"


def _of_conditions(status: WorkspaceStatus) -> Iterator[str]:
    for kind, condition in status.conditions.items():
        if condition.type is not kind:
            yield f"{condition.type} is kept under {kind}"
        if condition.observed_generation != status.observed_generation:
            yield f"{kind} is of generation {condition.observed_generation}"
    if {drift.kind for drift in status.decision.drifts} - status.drift_since.keys():
        yield "a drift without its time"


def _of_readiness(status: WorkspaceStatus) -> Iterator[str]:
    ready = status.conditions[ConditionType.READY]
    running = status.conditions[ConditionType.CONTAINER_RUNNING].status
    if ready.status is ConditionStatus.TRUE:
        if status.desired_running and running is not ConditionStatus.TRUE:
            yield "Ready, should run, and does not"
        if not status.desired_running and (
            running is ConditionStatus.TRUE or ready.reason is not Reason.STOPPED
        ):
            yield "Ready, should not run, and does or does not say Stopped"
    if status.next_attempt is not None and status.decision.verdict not in {Verdict.WAIT, Verdict.HOLD}:
        yield "a next attempt where nothing waits"


def _of_history(prior: WorkspaceStatus, status: WorkspaceStatus) -> Iterator[str]:
    if prior.uid != status.uid:
        return
    if status.created_at != prior.created_at:
        yield "the time of creation moved"
    for kind, condition in status.conditions.items():
        before = prior.conditions.get(kind)
        if before is None:
            continue
        moved = condition.last_transition != before.last_transition
        if before.status is condition.status and moved:
            yield f"{kind} kept its status and changed its time"
        if condition.last_transition < before.last_transition:
            yield f"{kind} went back in time"
