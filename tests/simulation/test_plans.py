from pathlib import Path

import pytest

from tests.simulation import runs, scenario, shrinking

KEPT = sorted(shrinking.PLANS.glob("*.yaml"))


def test_there_are_plans() -> None:
    assert KEPT


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_what_was_violated_once_is_not_violated_any_more(path: Path) -> None:
    kept, _ = scenario.load(path)
    assert runs.run(kept).violated is None


def test_a_plan_file_is_the_run_that_was_kept(tmp_path: Path) -> None:
    drawn = runs.scenario_of(7)
    drawn.store(tmp_path / "plan.yaml", "a story", "S3")
    assert scenario.load(tmp_path / "plan.yaml") == (drawn, "S3")
