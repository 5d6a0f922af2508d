import pytest

from controller.api.conditions import Reason
from controller.model.plan import Decision, Verdict
from controller.planning import classify
from controller.planning.case import Case
from controller.planning.planner import Planner
from tests.support import builders
from tests.support.world import World


def test_a_defect_of_ours_holds_its_own_workspace_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World().add(builders.accepted("alice"), None).add(builders.accepted("bob"), None)
    decide = classify.classify

    def poisoned(case: Case) -> Decision:
        if case.name == "alice":
            raise ZeroDivisionError("what nobody thought of")
        return decide(case)

    monkeypatch.setattr(classify, "classify", poisoned)
    plan = Planner(builders.RULES).plan(world.desired(), world.observed(), world.recall(), world.now)
    assert plan.decisions["alice"].verdict is Verdict.HOLD
    assert plan.decisions["alice"].reason is Reason.INTERNAL_ERROR
    assert "what nobody thought of" in plan.decisions["alice"].message
    assert plan.decisions["bob"].verdict is Verdict.CREATE
