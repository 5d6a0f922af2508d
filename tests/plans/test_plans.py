"""Every golden case: what happened to a host, and the plan that must come of it, word for word."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.model.plan import Plan, Verdict
from controller.planning.planner import Planner
from controller.status import wording
from tests.support import stories

CASES = Path(__file__).parent / "cases"
PLAN = "plan: |"
WITHOUT_ACTIONS = {Verdict.KEEP, Verdict.WAIT, Verdict.HOLD}


def cases() -> list[Path]:
    return sorted(CASES.rglob("*.yaml"))


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def plan_of(path: Path) -> Plan:
    return stories.tell(read(path)["happened"]).plan()


def render(plan: Plan) -> str:
    """The plan as people read it, what happens to kept containers, and what the breaker takes."""
    upkeep = wording.render(Plan({decision.workspace: decision for decision in plan.upkeep}))
    held = "".join(f"held: {one.workspace} ({one.cause})\n" for one in plan.held)
    return wording.render(plan) + upkeep + held


def write(path: Path, rendered: str) -> None:
    head, _, _ = path.read_text(encoding="utf-8").partition(PLAN)
    body = "".join(f"  {line}\n" for line in rendered.splitlines())
    path.write_text(f"{head}{PLAN}\n{body}", encoding="utf-8")


def test_there_are_enough_cases() -> None:
    assert len(cases()) >= 200


@pytest.mark.parametrize("path", cases(), ids=lambda path: str(path.relative_to(CASES)))
def test_the_plan_is_as_recorded(path: Path, update_golden: bool) -> None:
    plan = plan_of(path)
    rendered = render(plan)
    if update_golden:
        write(path, rendered)
    assert read(path)["plan"] == rendered
    for decision in (*plan.decisions.values(), *plan.upkeep):
        assert (decision.verdict in WITHOUT_ACTIONS) == (not decision.actions)
        assert decision.reason


@pytest.mark.parametrize("path", cases(), ids=lambda path: str(path.relative_to(CASES)))
def test_a_planner_that_remembers_decides_the_same(path: Path) -> None:
    world = stories.tell(read(path)["happened"])
    planner = Planner(world.rules)
    first = world.plan(planner)
    assert world.plan(planner) == first == world.plan()


def test_a_word_that_is_not_known_is_refused() -> None:
    with pytest.raises(AssertionError, match="knows no colour"):
        stories.tell([{"workspace": "alice", "colour": "red"}])
