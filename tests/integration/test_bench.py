"""The bench itself, on a tiny fleet: what it says of a pass, and that its floor is the same work."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.engine import templates
from controller.model import observed
from tests.bench import __main__ as bench
from tests.bench import figures, fleet, floor
from tests.support import engine_actions


@pytest.fixture
def out() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "bench.json"


def test_a_tiny_fleet_is_measured_on_a_recorded_engine(out: Path) -> None:
    assert bench.main(["calls", "--quick", "--output", str(out)]) == 0
    found = json.loads(out.read_text())["figures"]
    lists, others = found
    assert lists["value"] == 1.0
    assert 0 < others["value"] < 2  # a tenth of an inspect for each of ten, and a network now and then


def test_a_few_slices_are_looked_at(out: Path) -> None:
    assert bench.main(["slices", "--quick", "--output", str(out)]) == 0
    found = json.loads(out.read_text())["figures"]
    assert len(found) == 3
    assert all(one["value"] > 0 for one in found)


def test_the_floor_asks_for_what_the_controller_asks_for() -> None:
    create = engine_actions.create(
        env=(("NVIDIA_VISIBLE_DEVICES", "void"),),
        limits=observed.Limits(5 * 10**8, None, fleet.MEMORY, None, fleet.MEMORY, 64),
    )
    ours, bare = templates.render_container(create), floor.body("floor-0000", 15000, Path("/srv"))
    assert bare.keys() == ours.keys()
    assert bare["HostConfig"].keys() == ours["HostConfig"].keys()


@pytest.mark.parametrize(
    ("summary", "value", "verdict"), [("median", 3, "ok"), ("p95", 9, "missed"), ("max", 9, "missed")]
)
def test_a_figure_is_judged_by_its_summary(summary: str, value: float, verdict: str) -> None:
    figure = figures.Figure("1", "something", "s", (1, 2, 3, 4, 9), summary, 5)
    assert (figure.value, figure.verdict) == (value, verdict)


def test_the_95th_percentile_of_twenty_is_the_nineteenth() -> None:
    assert figures.percentile(range(1, 21), 0.95) == 19
