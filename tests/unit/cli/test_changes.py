"""Approvals and roll-backs: what is asked of the controller and what is said."""

import pytest

from controller.api.conditions import Reason
from controller.model.plan import Decision, Plan, Verdict
from controller.status import planned, wording
from tests.support import controller_stand_in, reports, wharf_host

HELD = Decision("alice", Verdict.HOLD, Reason.BUDGET_EXCEEDED, "9 of 20", change="v1:a")
PARKED = Decision("bob", Verdict.WAIT, Reason.CHANGE_PENDING, "image changed", change="v1:b")
KEEP = reports.decision("carol")


@pytest.fixture
def busy(world: controller_stand_in.World) -> controller_stand_in.World:
    """Two changes that wait, and one workspace without any."""
    decided = {one.workspace: one for one in (HELD, PARKED, KEEP)}
    world.workspaces = {name: wording.object_of(reports.status(name, one)) for name, one in decided.items()}
    world.answers["plan"] = planned.plan_object(Plan(decided))
    world.on_post["approve"] = lambda name, body: (200, {"accepted": True, "already": False})
    return world


def test_the_named_are_approved(wharf: wharf_host.Wharf, busy: controller_stand_in.World) -> None:
    done = wharf("approve", "alice")
    assert (done.code, done.out, done.err) == (0, "workspace/alice approved\n", "")
    assert busy.requested == [("approve", "alice", {})]


def test_all_that_waits_is_listed_and_approved_and_nothing_else(
    wharf: wharf_host.Wharf, busy: controller_stand_in.World
) -> None:
    done = wharf("approve", "--all")
    assert (done.code, done.out) == (0, "workspace/alice approved\nworkspace/bob approved\n")
    assert "alice: Hold (BudgetExceeded): 9 of 20" in done.err
    assert "bob: Wait (ChangePending): image changed" in done.err
    assert [asked[1] for asked in busy.requested] == ["alice", "bob"]


def test_one_that_was_approved_before_is_said_so(
    wharf: wharf_host.Wharf, busy: controller_stand_in.World
) -> None:
    busy.on_post["approve"] = lambda name, body: (200, {"accepted": True, "already": True})
    assert wharf("approve", "alice").out == "workspace/alice approved already\n"


def test_a_refusal_is_5_and_the_others_are_approved(
    wharf: wharf_host.Wharf, busy: controller_stand_in.World
) -> None:
    def answer(name: str, body: controller_stand_in.Body) -> controller_stand_in.Reply:
        if name == "carol":
            return 409, {"error": {"reason": "AsSpecified", "message": "nothing of carol is held"}}
        return 200, {"accepted": True}

    busy.on_post["approve"] = answer
    done = wharf("approve", "carol", "alice")
    assert (done.code, done.out) == (5, "workspace/alice approved\n")
    assert "nothing of carol is held" in done.err


@pytest.mark.parametrize("line", [["approve"], ["approve", "alice", "--all"]])
def test_names_or_all(wharf: wharf_host.Wharf, line: list[str]) -> None:
    assert wharf(*line).code == 64


def test_without_anything_to_approve_all_is_done(
    wharf: wharf_host.Wharf, world: controller_stand_in.World
) -> None:
    world.answers["plan"] = planned.plan_object(Plan({"carol": KEEP}))
    done = wharf("approve", "--all")
    assert (done.code, done.out, done.err) == (0, "", "wharf: nothing is held or parked\n")


@pytest.mark.parametrize("line", [["approve", "alice"], ["rollback", "alice"], ["forget", "alice"]])
def test_without_a_controller_it_is_7(wharf: wharf_host.Wharf, line: list[str]) -> None:
    assert wharf(*line).code == 7


def test_a_roll_back_is_awaited_and_says_what_it_means(
    wharf: wharf_host.Wharf, busy: controller_stand_in.World
) -> None:
    busy.on_post["rollback"] = lambda name, body: (200, {"container": "workspace-alice.0123abcd"})
    pinned = reports.decision("alice", Verdict.KEEP, Reason.PINNED)
    busy.workspaces["alice"] = wording.object_of(reports.status("alice", pinned))
    done = wharf("rollback", "alice")
    assert (done.code, done.out) == (0, "workspace/alice rolled back to workspace-alice.0123abcd\n")
    assert "wharf approve alice" in done.err
    assert [asked[0] for asked in busy.requested] == ["rollback", "wait"]


def test_a_roll_back_that_is_held_is_5(wharf: wharf_host.Wharf, busy: controller_stand_in.World) -> None:
    busy.on_post["rollback"] = lambda name, body: (200, {"container": "workspace-alice.0123abcd"})
    paused = reports.decision("alice", Verdict.HOLD, Reason.PAUSED, message="demo")
    busy.workspaces["alice"] = wording.object_of(reports.status("alice", paused))
    done = wharf("rollback", "alice")
    assert (done.code, done.out) == (5, "")
    assert "Paused: demo" in done.err


def test_a_roll_back_may_only_be_asked_for(wharf: wharf_host.Wharf, busy: controller_stand_in.World) -> None:
    assert wharf("rollback", "alice", "--no-wait").out == "workspace/alice rollback requested\n"
    assert [asked[0] for asked in busy.requested] == ["rollback"]
