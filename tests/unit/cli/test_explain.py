"""The story of a workspace as people read it."""

import json

import pytest

from controller.api.conditions import DriftKind, Reason
from controller.ledger import journal
from controller.model.memory import Approval, BackOff, Cause, FailedTemplate, Held, Memory, Pause, Pin
from controller.model.plan import Decision, Drift, Remedy, Verdict
from controller.model.status import Event
from controller.status import story
from tests.support import controller_stand_in, reports, wharf_host

DRIFT = Drift(DriftKind.ENV, "API_TOKEN", "old-value", "new-value", Remedy.REPLACE)
HELD = Decision(
    "alice", Verdict.HOLD, Reason.BUDGET_EXCEEDED, "9 of 20 running workspaces", (DRIFT,), change="v1:a"
)
MEMORY = Memory(
    1,
    b"",
    b"",
    host_pause=Pause("storage", reports.NOW, "root"),
    held={"alice": Held("alice", Cause.EDITED, "v1:a", reports.NOW)},
    approvals={
        "alice": Approval("alice", "v1:0", reports.NOW, "root"),
        "bob": Approval("bob", "", reports.NOW, "x"),
    },
    pins={"alice": Pin("alice", reports.ID, 3, reports.NOW, "root")},
    failed={"alice": FailedTemplate("alice", "v1:9", "sha256:1", "no such program", reports.NOW)},
    backoffs={"alice": BackOff(3, reports.later(30), Reason.REFUSED_BY_ENGINE, "no disk", "k")},
)
CHAIN = journal.Entry(
    id=1,
    workspace="alice",
    opened_at=reports.later(30),
    epoch=1,
    verdict="Start",
    reason="ContainerExited",
    message="it exited",
    disrupts=False,
    container_id=None,
    actions=({"action": "StartContainer"},),
    resolved_at=reports.later(31),
    abandoned=False,
    outcomes=(
        {
            "result": "Failed",
            "action": "StartContainer",
            "seconds": 0.5,
            "reason": "PortTaken",
            "message": "22",
        },
    ),
)
EVENTS = (
    Event(reports.NOW, "alice", Reason.ACCEPTED, "alice.yaml is in force", warning=False),
    Event(reports.later(60), "alice", Reason.CRASH_LOOP, "exited", warning=True, count=3),
)


@pytest.fixture
def told(world: controller_stand_in.World) -> controller_stand_in.World:
    found = story.story_object(reports.status("alice", HELD), MEMORY, (CHAIN,), EVENTS)
    world.answers["workspaces/alice/story"] = found
    return world


def test_it_begins_with_what_is_so_and_what_to_do(
    wharf: wharf_host.Wharf, told: controller_stand_in.World
) -> None:
    done = wharf("explain", "alice")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == "alice: Hold (BudgetExceeded): 9 of 20 running workspaces"
    assert "maxDisruptionsPercent" in lines[1]
    assert "  when: held by the budget until `wharf approve alice`" in lines


def test_what_is_remembered_has_its_age(wharf: wharf_host.Wharf, told: controller_stand_in.World) -> None:
    out = wharf("explain", "alice").out
    assert "paused 5m ago: by root: storage" in out
    assert "held 5m ago: by the budget, cause Edited" in out
    assert "pinned 5m ago" in out
    assert "no such program" in out
    assert "3 in a row, tried again at 2026-11-22T12:00:30Z: RefusedByEngine: no disk" in out
    assert "by x" not in out


def test_what_happened_is_in_order_with_its_outcomes(
    wharf: wharf_host.Wharf, told: controller_stand_in.World
) -> None:
    lines = [line.strip() for line in wharf("explain", "alice").out.splitlines()]
    history = lines[lines.index("What happened:") + 1 :]
    assert history == [
        "2026-11-22T12:00:00Z (5m ago) Accepted: alice.yaml is in force",
        "2026-11-22T12:00:30Z (4m30s ago) Start (ContainerExited): it exited",
        "StartContainer: Failed in 0.5 s: PortTaken: 22",
        "! 2026-11-22T12:01:00Z (4m ago) CrashLoop (x3): exited",
    ]


def test_secrets_stay_hidden(wharf: wharf_host.Wharf, told: controller_stand_in.World) -> None:
    for form in ("text", "json"):
        out = wharf("explain", "alice", "-o", form).out
        assert "API_TOKEN" in out
        assert "-value" not in out
    assert json.loads(out)["history"][1]["kind"] == "decision"


def test_an_unknown_workspace_is_3(wharf: wharf_host.Wharf, told: controller_stand_in.World) -> None:
    assert wharf("explain", "dave").code == 3
