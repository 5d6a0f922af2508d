"""The public shape of a plan: for each workspace what happens and why, who notices, for how long, and when.

Refuses to promise: a length of time is an estimate in words, and what waits says for what.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final, NotRequired, TypedDict, cast

from controller.api import quantities
from controller.api.conditions import Reason
from controller.model import actions
from controller.model.plan import Decision, Plan, Remedy, Verdict
from controller.model.status import WorkspaceStatus
from controller.status import objects, phrases

NEEDS_A_NEW_RUN: Final = frozenset({Remedy.REPLACE, Remedy.RESTART})
"""Remedies that stop what runs."""
_HELD: Final = frozenset({Reason.BUDGET_EXCEEDED, Reason.REMOVALS_HELD})
_ENDS: Final = frozenset({Reason.SPEC_STOPPED, Reason.SPEC_REMOVED, Reason.OVER_QUOTA})
"""Stops after which nothing is started."""
_WAITS_FOR: Final[Mapping[Reason, str]] = {
    Reason.CHANGE_PENDING: "parked until the workspace is stopped, or `wharf approve {name}`",
    Reason.PINNED: "parked until the spec is edited, or `wharf approve {name}`",
    Reason.BUDGET_EXCEEDED: "held by the budget until `wharf approve {name}`",
    Reason.REMOVALS_HELD: "held as an accident until `wharf approve {name}` or the file is back",
    Reason.REPLACEMENT_FAILED: "held until the spec or the image changes, or `wharf restart {name}`",
    Reason.PAUSED: "held until `wharf resume`",
    Reason.USER_AT_LIMIT: "held until the owner's quotas have room",
    Reason.QUOTA_EXCEEDED: "held until the owner's quotas have room",
    Reason.NAME_SERVICE_SILENT: "held until the name service answers",
    Reason.GROUP_UNSEEN: "held until the members of the group can be read",
    Reason.GPU_QUEUED: "when its turn for GPUs comes",
    Reason.OWN_GPU_BUSY: "when its own GPUs can be had, or `wharf approve {name}` for others",
    Reason.GPU_ACCESS_LOST: "at its next start, or `wharf approve {name}` for a restart now",
    Reason.GPU_DRIVER_MISMATCH: "when the driver and its library are of one version again",
    Reason.SLICE_PENDING: "when the slice of its owner has its limits",
    Reason.LIMIT_UNENFORCEABLE: "held until the kernel can, or the policy asks for less",
    Reason.MEMORY_PROMISED: "held until others stop",
    Reason.IN_PROGRESS: "under way",
}


class PlannedObject(objects.DecisionObject):
    """What is decided for one workspace, with what it means for its owner.

    `interruption` is an estimate in words, there only where something that runs is or would be stopped.
    """

    owner: NotRequired[str]
    cause: NotRequired[str]
    when: NotRequired[str]
    interruption: NotRequired[str]


class PlanObject(TypedDict):
    """A plan, as `wharf plan -o json` prints it."""

    decisions: list[PlannedObject]
    hostActions: list[str]
    upkeep: list[objects.DecisionObject]
    findings: list[dict[str, str]]


def plan_object(plan: Plan, statuses: Mapping[str, WorkspaceStatus] | None = None) -> PlanObject:
    """A whole plan, decisions by name; owners and their stop graces are read from the statuses."""
    known = statuses or {}
    return {
        "decisions": [_planned(plan.decisions[name], known.get(name)) for name in sorted(plan.decisions)],
        "hostActions": [phrases.describe(action) for action in plan.host_actions],
        "upkeep": [objects.decision_object(decision) for decision in plan.upkeep],
        "findings": [
            {"reason": str(found.reason), "subject": found.subject, "message": found.message}
            for found in plan.findings
        ],
    }


def _planned(decision: Decision, status: WorkspaceStatus | None) -> PlannedObject:
    described = cast("PlannedObject", objects.decision_object(decision))
    if status is not None and status.owner:
        described["owner"] = status.owner
    if decision.cause is not None:
        described["cause"] = str(decision.cause)
    when = when_in_words(decision)
    if when:
        described["when"] = when
    if would_disrupt(decision, status):
        described["interruption"] = _interruption(decision, status)
    return described


def when_in_words(decision: Decision) -> str:
    """When it happens: now, in its turn, or what it waits for; empty where nothing is to happen."""
    if decision.actions:
        return "now"
    if decision.reason is Reason.PACED:
        turn = f", not before {objects.timestamp(decision.retry_at)}" if decision.retry_at else ""
        return f"in its turn{turn}"
    known = _WAITS_FOR.get(decision.reason)
    if known is not None:
        return known.format(name=decision.workspace)
    if decision.verdict is Verdict.HOLD:
        return "held until a person acts"
    if decision.verdict is Verdict.WAIT:
        return f"not before {objects.timestamp(decision.retry_at)}" if decision.retry_at else "soon"
    return ""


def would_disrupt(decision: Decision, status: WorkspaceStatus | None) -> bool:
    """Whether something that runs is stopped by it, now or when its time comes."""
    if decision.disrupts:
        return True
    if status is None or status.container is None or not status.container.running:
        return False
    parked = decision.reason in _WAITS_FOR and any(d.remedy in NEEDS_A_NEW_RUN for d in decision.drifts)
    return parked or decision.reason in _HELD


def _interruption(decision: Decision, status: WorkspaceStatus | None) -> str:
    stop = next((f"at most {_words(grace)} to stop" for grace in _graces(decision, status)), "a stop")
    removed = decision.change.startswith("removed:") or decision.reason in _ENDS
    return f"{stop}; it stays stopped" if removed else f"{stop}, then some seconds to start"


def _graces(decision: Decision, status: WorkspaceStatus | None) -> Iterator[timedelta]:
    yield from (one.grace for one in decision.actions if isinstance(one, actions.StopContainer))
    for value in status.effective if status else ():
        if value.path == "lifecycle.stopGrace":
            yield quantities.parse_duration(value.value)


def _words(length: timedelta) -> str:
    return quantities.format_duration(length)
