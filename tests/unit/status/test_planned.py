"""Whom a plan interrupts, for how long, and when: said only where it is so."""

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.api.conditions import DriftKind, Reason
from controller.model import actions
from controller.model.memory import Cause
from controller.model.observed import ContainerState
from controller.model.plan import Decision, Drift, Plan, Remedy, Verdict
from controller.model.status import EffectiveValue, WorkspaceStatus
from controller.status import planned, summary
from tests.support import reports

GRACE = (EffectiveValue("lifecycle.stopGrace", "90s", "policy class vm"),)
REPLACE = Drift(DriftKind.IMAGE, "image", "a", "b", Remedy.REPLACE)
LIVE = Drift(DriftKind.RESOURCES, "memory", "1g", "2g", Remedy.LIVE)
STOP = actions.StopContainer(
    "alice",
    reports.ID,
    "workspace-alice",
    timedelta(seconds=5),
    actions.Expected(running=True, started_at=None, pid=1),
)


def status(decision: Decision, state: ContainerState = ContainerState.RUNNING) -> WorkspaceStatus:
    container = reports.container(state=state)
    return summary.summarize(
        None, reports.spec(owner="al"), decision, container, summary.Facts(effective=GRACE), reports.NOW
    )


def shown(decision: Decision, state: ContainerState = ContainerState.RUNNING) -> planned.PlannedObject:
    whole = planned.plan_object(Plan({"alice": decision}), {"alice": status(decision, state)})
    return whole["decisions"][0]


def test_a_replacement_now_names_owner_grace_and_cause() -> None:
    decision = Decision(
        "alice",
        Verdict.REPLACE,
        Reason.SPEC_CHANGED,
        "",
        (REPLACE,),
        (STOP,),
        disrupts=True,
        cause=Cause.EDITED,
    )
    item = shown(decision)
    assert (item["owner"], item["cause"], item["when"]) == ("al", "Edited", "now")
    assert item["interruption"] == "at most 5s to stop, then some seconds to start"


def test_a_parked_change_would_interrupt_when_its_time_comes() -> None:
    parked = Decision("alice", Verdict.WAIT, Reason.CHANGE_PENDING, "", (REPLACE,))
    assert shown(parked)["interruption"] == "at most 1m30s to stop, then some seconds to start"
    assert "interruption" not in shown(parked, ContainerState.EXITED)
    assert "interruption" not in shown(replace(parked, drifts=(LIVE,)))


def test_a_removal_ends_in_a_stop() -> None:
    held = Decision("alice", Verdict.HOLD, Reason.REMOVALS_HELD, change="removed:uid")
    assert shown(held)["interruption"] == "at most 1m30s to stop; it stays stopped"


@pytest.mark.parametrize(
    ("verdict", "reason", "retry", "words"),
    [
        (Verdict.WAIT, Reason.PACED, 30, "in its turn, not before 2026-11-22T12:00:30Z"),
        (Verdict.WAIT, Reason.BACKING_OFF, 30, "not before 2026-11-22T12:00:30Z"),
        (Verdict.WAIT, Reason.NETWORK_PENDING, None, "soon"),
        (Verdict.WAIT, Reason.SLICE_PENDING, None, "when the slice of its owner has its limits"),
        (Verdict.HOLD, Reason.MEMORY_PROMISED, None, "held until others stop"),
        (Verdict.HOLD, Reason.BUDGET_EXCEEDED, None, "held by the budget until `wharf approve alice`"),
        (Verdict.HOLD, Reason.MOUNT_MISSING, None, "held until a person acts"),
        (Verdict.HOLD, Reason.NAME_SERVICE_SILENT, None, "held until the name service answers"),
        (Verdict.HOLD, Reason.GROUP_UNSEEN, None, "held until the members of the group can be read"),
        (Verdict.KEEP, Reason.PINNED, None, "parked until the spec is edited, or `wharf approve alice`"),
        (Verdict.KEEP, Reason.AS_SPECIFIED, None, ""),
    ],
)
def test_it_says_when(verdict: Verdict, reason: Reason, retry: float | None, words: str) -> None:
    retry_at = None if retry is None else reports.later(retry)
    assert planned.when_in_words(Decision("alice", verdict, reason, retry_at=retry_at)) == words


def test_without_a_status_nothing_is_made_up() -> None:
    kept = Decision("alice", Verdict.KEEP, Reason.AS_SPECIFIED)
    (item,) = planned.plan_object(Plan({"alice": kept}))["decisions"]
    assert not {"owner", "cause", "when", "interruption"} & item.keys()
