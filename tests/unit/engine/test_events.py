"""The event reader: what it passes on, and which ends of a stream it takes for a loss."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from controller.engine import calls, events, transport
from tests.support import sim_engine

DEADLINE = 10.0


class World:
    def __init__(self, window: timedelta) -> None:
        self.engine = sim_engine.SimEngine(lambda: datetime.now(UTC))
        self.engine.add_image("lab/image:1")
        self.client = calls.EngineClient(self.engine, timedelta(seconds=5))
        self.noted: list[tuple[str, str, str]] = []
        self.reconnects = 0
        self.beats = 0
        self.reader = events.EventReader(
            lambda: self.client, lambda *event: self.noted.append(event), self.reconnect, self.beat, window
        )

    def reconnect(self) -> None:
        self.reconnects += 1

    def beat(self) -> None:
        self.beats += 1

    def create(self, name: str) -> str:
        return self.client.create_container(name, {"Image": "lab/image:1", "Labels": {"Action": "lie"}})

    def windows(self) -> int:
        return self.engine.calls.count("events")


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "the deadline is over"
        time.sleep(0.01)


@pytest.fixture
def world() -> Iterator[World]:
    made = World(timedelta(seconds=30))
    yield made
    made.reader.stop()


def test_the_first_stream_counts_as_a_reconnect_and_events_are_passed_on(world: World) -> None:
    world.reader.start()
    until(lambda: world.reconnects == 1)
    box = world.create("box")
    until(lambda: ("container", "create", box) in world.noted)
    assert world.reconnects == 1


def test_the_death_of_the_engine_is_a_loss(world: World) -> None:
    world.reader.start()
    until(lambda: world.reconnects == 1)
    world.engine.restart()
    until(lambda: world.reconnects == 2)
    box = world.create("box")
    until(lambda: ("container", "create", box) in world.noted)


def test_garbage_in_the_stream_is_a_loss_and_not_the_end(world: World) -> None:
    world.reader.start()
    until(lambda: world.reconnects == 1)
    world.engine.garbage_events = 1
    world.create("one")
    until(lambda: world.reconnects == 2)
    box = world.create("two")
    until(lambda: ("container", "create", box) in world.noted)


def test_an_engine_that_is_away_is_tried_again(world: World) -> None:
    world.engine.down = True
    world.reader.start()
    until(lambda: world.beats > 1)
    assert world.reconnects == 0
    world.engine.down = False
    until(lambda: world.reconnects == 1)


def test_a_window_that_ends_in_time_is_followed_without_a_gap_and_without_a_relist() -> None:
    world = World(timedelta(seconds=1.2))
    world.reader.start()
    names = [f"box-{number}" for number in range(40)]
    created = []
    for name in names:
        created.append(world.create(name))
        until(lambda: len(world.noted) >= len(created))
        threading.Event().wait(0.06)
    until(lambda: world.windows() >= 3)
    until(lambda: {actor for _, _, actor in world.noted} >= set(created))
    world.reader.stop()
    assert world.reconnects == 1


def test_only_well_formed_events_are_passed_on(world: World) -> None:
    odd: list[transport.Row] = [{}, {"Type": 1}, {"Type": "container", "Action": "die", "Actor": "x"}]
    for event in odd:
        world.reader._pass_on(event)
    assert world.noted == []
    world.reader._pass_on({"Type": "container", "Action": "die", "Actor": {"ID": "x"}})
    assert world.noted == [("container", "die", "x")]


def test_stop_ends_a_silent_stream_within_a_second(world: World) -> None:
    world.reader.start()
    until(lambda: world.reconnects == 1)
    begin = time.monotonic()
    world.reader.stop()
    assert time.monotonic() - begin < 1
    assert not world.reader._thread.is_alive()


def test_a_stream_that_the_engine_refuses_is_tried_again(world: World) -> None:
    answer = transport.Answer(500, {"message": "no"})
    world.engine.faults.append(sim_engine.Fault("events", answer=answer))
    world.reader.start()
    until(lambda: world.reconnects == 1)
    assert world.windows() == 2
