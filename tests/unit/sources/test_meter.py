"""What is measured, in which turn and how often; and that what could not be measured is not nothing."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from controller.api.conditions import Reason
from controller.model import errors
from controller.model.sizes import Measured, Unmeasured, Wanted
from controller.sources import meter
from tests.support import builders, process

NOW = builders.NOW


class Engine:
    """Layers by container id; what is not there is gone, and a negative one does not answer."""

    def __init__(self, log: str, **layers: int) -> None:
        self.layers, self.log, self.asked = layers, log, list[str]()

    def __call__(self, container_id: str) -> tuple[int, str] | None:
        self.asked.append(container_id)
        size = self.layers.get(container_id)
        if size is not None and size < 0:
            raise errors.Retryable(Reason.ENGINE_UNAVAILABLE, "it does not answer")
        return None if size is None else (size, self.log)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def home(tmp_path: Path) -> str:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "file").write_bytes(b"x" * 100_000)
    (tmp_path / "c.log").write_bytes(b"x" * 4096)
    return str(tmp_path / "home")


def test_containers_come_before_homes_and_each_in_its_turn(clock: Clock, home: str) -> None:
    engine = Engine(str(Path(home).parent / "c.log"), a=10, b=20)
    measured = meter.Meter(engine, clock)
    wanted = {"alice": Wanted("a", home), "bob": Wanted("b", ""), "carol": Wanted("", home)}
    before = measured.observe(wanted, clock())
    assert before["alice"].layer == before["alice"].home == Unmeasured("not measured yet", NOW)
    assert before["bob"].home is None
    assert [measured.measure() for _ in range(4)] == [True, True, False, False]
    assert engine.asked == ["a", "b"]
    after = measured.observe(wanted, clock())
    assert after["alice"].layer == Measured(10, NOW)
    assert isinstance(after["alice"].log, Measured)
    assert isinstance(after["alice"].home, Measured)
    assert after["alice"].home.size >= 100_000
    assert after["carol"].home is after["alice"].home
    assert isinstance(after["carol"].layer, Unmeasured)


def test_a_container_is_measured_every_ten_minutes_and_a_home_every_six_hours(
    clock: Clock, home: str
) -> None:
    engine = Engine("", a=10)
    measured = meter.Meter(engine, clock)
    measured.observe({"alice": Wanted("a", home)}, clock())
    for _ in range(3):
        measured.measure()
    clock.now += meter.LAYERS_EVERY - timedelta(seconds=1)
    assert not measured.measure()
    clock.now += timedelta(seconds=1)
    assert measured.measure()
    Path(home, "more").write_bytes(b"x" * 1_000_000)
    first = measured.observe({"alice": Wanted("a", home)}, clock())["alice"].home
    measured.measure()
    assert measured.observe({"alice": Wanted("a", home)}, clock())["alice"].home == first
    clock.now = NOW + meter.HOMES_EVERY
    for _ in range(2):
        measured.measure()
    later = measured.observe({"alice": Wanted("a", home)}, clock())["alice"].home
    assert isinstance(later, Measured)
    assert isinstance(first, Measured)
    assert later.size > first.size


def test_a_clock_that_was_set_back_keeps_nothing_from_being_measured(clock: Clock) -> None:
    engine = Engine("", a=10)
    measured = meter.Meter(engine, clock)
    measured.observe({"alice": Wanted("a", "")}, clock())
    measured.measure()
    clock.now -= timedelta(days=1)
    assert measured.measure()


def test_what_cannot_be_measured_is_unknown_since_it_is(clock: Clock, tmp_path: Path) -> None:
    engine = Engine("", a=-1, b=5)
    measured = meter.Meter(engine, clock)
    wanted = {"alice": Wanted("a", str(tmp_path / "none")), "bob": Wanted("b", ""), "carol": Wanted("c", "")}
    measured.observe(wanted, clock())
    for _ in range(4):
        measured.measure()
    clock.now += meter.LAYERS_EVERY
    for _ in range(3):
        measured.measure()
    found = measured.observe(wanted, clock())
    assert found["alice"].layer == Unmeasured("it does not answer", NOW)
    assert found["alice"].home == Unmeasured(f"{tmp_path}/none: No such file or directory", NOW)
    assert found["bob"].log == Unmeasured("its log is kept in no file", NOW)
    assert found["carol"].layer == Unmeasured("the container is gone", NOW)


def test_what_nobody_wants_any_more_is_forgotten(clock: Clock, home: str) -> None:
    engine = Engine("", a=10)
    measured = meter.Meter(engine, clock)
    measured.observe({"alice": Wanted("a", home)}, clock())
    for _ in range(2):
        measured.measure()
    assert measured.observe({}, clock()) == {}
    again = measured.observe({"alice": Wanted("a", home)}, clock())["alice"]
    assert isinstance(again.layer, Unmeasured)
    assert isinstance(again.home, Unmeasured)


def test_the_thread_measures_by_itself_and_ends(clock: Clock) -> None:
    engine = Engine("", a=10)
    measured = meter.Meter(engine, clock)
    measured.observe({"alice": Wanted("a", "")}, clock())
    measured.start()
    wanted = {"alice": Wanted("a", "")}
    process.until(lambda: isinstance(measured.observe(wanted, NOW)["alice"].layer, Measured), "a measurement")
    measured.stop()
    process.until(lambda: not measured._thread.is_alive(), "the end of the thread")
