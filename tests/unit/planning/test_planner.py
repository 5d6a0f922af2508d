from dataclasses import replace
from typing import Any

import pytest

from controller.api.conditions import Reason
from controller.model.observed import Seen
from controller.model.plan import Decision, Verdict
from controller.planning import classify, resolve, template
from controller.planning.case import Case
from controller.planning.planner import Planner
from tests.support import builders, stories
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


@pytest.mark.parametrize("where", [(resolve, "resolve"), (template, "render")])
def test_a_defect_before_the_decision_holds_its_own_workspace_too(
    where: tuple[object, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World().add(builders.accepted("alice"), None).add(builders.accepted("bob"), None)
    right = getattr(*where)

    def poisoned(subject: Any, *arguments: Any) -> Any:  # noqa: ANN401 - of either
        if getattr(subject, "name", "") == "alice" or getattr(subject, "workspace", "") == "alice":
            raise ZeroDivisionError("what nobody thought of")
        return right(subject, *arguments)

    monkeypatch.setattr(*where, poisoned)
    plan = Planner(builders.RULES).plan(world.desired(), world.observed(), world.recall(), world.now)
    assert plan.decisions["alice"].reason is Reason.INTERNAL_ERROR
    assert "what nobody thought of" in plan.decisions["alice"].message
    assert plan.decisions["bob"].verdict is Verdict.CREATE


def test_another_default_of_the_engine_is_compared_anew() -> None:
    """What a planner remembers rests on all that it was worked out from."""
    world = stories.tell(
        [{"workspace": "alice"}, {"container": "alice", "hash": "v2:other", "runtime": "crun"}]
    )
    before = world.observed()
    assert isinstance(before.engine, Seen)
    view = replace(before.engine.value, default_runtime="crun")
    after = replace(before, engine=replace(before.engine, value=view))
    planner = Planner(builders.RULES)
    planner.plan(world.desired(), before, world.recall(), world.now)
    said = [
        one.plan(world.desired(), after, world.recall(), world.now).decisions["alice"].drifts
        for one in (planner, Planner(builders.RULES))
    ]
    assert said[0] == said[1]
