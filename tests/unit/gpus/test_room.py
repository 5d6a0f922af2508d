"""The view that is kept: when it is new, when it is too old, and who hears of a change."""

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from controller.api.conditions import Reason
from controller.api.config import StaticGpu
from controller.gpus import room
from controller.gpus.room import Room
from controller.gpus.static import Static
from controller.model.gpus import Access, AccessState, Ailment, Device, GpuView, Process, Trouble, Use
from controller.model.observed import NO_GPUS, Seen, Unseen
from tests.support.nvml.scenario import Event, Gpu, Scenario
from tests.unit.gpus.conftest import START, Lab

A = "GPU-a"
DEVICE = Device(A, "H100", 80 * 2**30)
VIEW = GpuView(devices={A: DEVICE}, use={A: Use(busy=0.5)}, driver="550")
GONE = Unseen(Reason.NOT_SEEN, "it hangs", START)


@dataclass
class Told:
    """A looker that says what it is told to say."""

    view: GpuView | Unseen = VIEW
    connected: bool = True
    is_absent: bool = False
    waits: list[float] = field(default_factory=list)
    closed: bool = False
    now: datetime = START
    changes: int = 0

    def absent(self) -> bool:
        return self.is_absent

    def look(self, wait: float) -> GpuView | Unseen:
        self.waits.append(wait)
        return replace(self.view, since=self.now) if isinstance(self.view, Unseen) else self.view

    def interrupt(self) -> None:
        self.close()

    def close(self) -> None:
        self.closed = True

    def change(self) -> None:
        self.changes += 1

    def room(self, canary: room.Canary | None = None) -> Room:
        return Room(self, lambda: self.now, self.change, lambda: None, canary)


@dataclass
class Canary:
    found: Mapping[str, Access] = field(default_factory=dict)
    watched: Mapping[str, int] = field(default_factory=dict)
    runs: bool = False

    def start(self) -> None:
        self.runs = True

    def stop(self) -> None:
        self.runs = False

    def watch(self, running: Mapping[str, int]) -> None:
        self.watched = running

    def access(self) -> Mapping[str, Access]:
        return self.found


def test_before_the_first_look_nothing_is_known() -> None:
    told = Told()
    unseen = told.room().observe({}, START)
    assert isinstance(unseen, Unseen)
    assert told.room().any


def test_a_host_without_gpus_needs_no_look() -> None:
    told = Told(is_absent=True, connected=False)
    kept = told.room()
    assert kept.observe({}, START + timedelta(days=1)) is NO_GPUS
    kept.look()
    assert (told.waits, told.changes, kept.any) == ([], 0, False)


def test_gpus_that_come_later_are_looked_at() -> None:
    told = Told(is_absent=True, connected=False)
    kept = told.room()
    told.is_absent = False
    kept.look()
    assert kept.observe({}, START) == Seen(VIEW, START)
    assert told.changes == 1


def test_the_first_look_is_at_once_and_the_next_ones_wait_for_something_to_happen() -> None:
    told = Told()
    kept = told.room()
    for _ in range(3):
        kept.look()
    assert told.waits == [0.0, room.EVERY, room.EVERY]
    assert kept.observe({}, START) == Seen(VIEW, START)


@pytest.mark.parametrize(
    ("after", "is_seen"), [(0, True), (30, True), (31, False), (3600, False), (-30, True), (-31, False)]
)
def test_a_view_that_is_too_old_or_of_another_time_is_none(after: int, is_seen: bool) -> None:
    kept = Told().room()
    kept.look()
    found = kept.observe({}, START + timedelta(seconds=after))
    assert isinstance(found, Seen) == is_seen
    if isinstance(found, Unseen):
        assert found.since == START


def test_what_is_said_of_a_view_that_is_too_old_stays_the_same() -> None:
    """Words that change with each pass would be news with each pass."""
    kept = Told().room()
    kept.look()
    one, other = (kept.observe({}, START + timedelta(seconds=seconds)) for seconds in (31, 46.5))
    assert isinstance(one, Unseen)
    assert one == other
    assert one.message == "the GPUs were looked at last at 12:00:00"


def test_who_is_unseen_has_been_so_since_the_first_time() -> None:
    told = Told()
    kept = told.room()
    kept.look()
    told.view = GONE
    for _ in range(3):
        told.now += timedelta(minutes=1)
        kept.look()
    assert kept.observe({}, told.now) == replace(GONE, since=START + timedelta(minutes=1))
    told.view = VIEW
    kept.look()
    assert isinstance(kept.observe({}, told.now), Seen)
    assert told.changes == 3


TROUBLE = Trouble(A, Ailment.LOST, "it fell off the bus", START)
REPORTED = Trouble(A, Ailment.XID, "XID 79", START, code=79, lasts=False)
USING = Process(A, 7, memory=1)


@pytest.mark.parametrize(
    ("before", "after", "counts"),
    [
        (VIEW, replace(VIEW, use={A: Use(busy=0.9)}), False),
        (VIEW, replace(VIEW, devices={}), True),
        (VIEW, replace(VIEW, devices={A: replace(DEVICE, divided=True)}), True),
        (VIEW, replace(VIEW, mismatch="differ"), True),
        (VIEW, replace(VIEW, driver="560"), True),
        (VIEW, replace(VIEW, processes=None), True),
        (VIEW, replace(VIEW, processes=(USING,)), True),
        (replace(VIEW, processes=(USING,)), replace(VIEW, processes=(replace(USING, memory=2),)), False),
        (replace(VIEW, processes=(USING,)), replace(VIEW, processes=(replace(USING, pid=8),)), True),
        (VIEW, replace(VIEW, troubles=(TROUBLE,)), True),
        (
            replace(VIEW, troubles=(REPORTED,)),
            replace(VIEW, troubles=(REPORTED, replace(REPORTED, at=START + timedelta(seconds=1)))),
            True,
        ),
        (replace(VIEW, troubles=(REPORTED,)), replace(VIEW, troubles=(REPORTED,)), False),
        (VIEW, GONE, True),
        (GONE, replace(GONE, message="another"), True),
        (GONE, GONE, False),
    ],
)
def test_only_what_counts_for_a_decision_makes_a_pass(
    before: GpuView | Unseen, after: GpuView | Unseen, counts: bool
) -> None:
    told = Told(before)
    kept = told.room()
    kept.look()
    told.changes, told.view = 0, after
    kept.look()
    assert told.changes == counts


def test_looks_that_fail_become_rare_and_cheap_ones_follow_each_other() -> None:
    told = Told(GONE)
    kept = told.room()
    rests = []
    for _ in range(7):
        kept.look()
        rests.append(kept._rest())
    assert rests == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0, 60.0]
    told.view = VIEW
    kept.look()
    assert kept._rest() == 0.0
    told.connected = False
    kept.look()
    assert 0.0 < kept._rest() < room.FRESH.total_seconds()


def test_the_canary_hears_who_runs_and_what_it_found_is_in_the_view() -> None:
    canary = Canary({"c": Access(AccessState.LOST, START)})
    kept = Told().room(canary)
    kept.look()
    found = kept.observe({"c": 7}, START)
    assert isinstance(found, Seen)
    assert (found.value.access, canary.watched) == (canary.found, {"c": 7})
    kept.stop()
    assert not canary.runs


# with a thread


def eventually(check: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(1000):
        if check():
            return
        waiting.wait(0.01)
    raise AssertionError("it did not come")


def test_a_device_that_reports_without_end_is_not_looked_at_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "SOONEST", 0.3)
    looks: list[float] = []

    class Restless(Told):
        def look(self, wait: float) -> GpuView | Unseen:
            looks.append(time.monotonic())
            return super().look(wait)

    kept = Restless().room()
    kept.start()
    eventually(lambda: len(looks) >= 3)
    kept.stop()
    assert min(later - one for one, later in itertools.pairwise(looks)) >= 0.25


def test_the_room_looks_by_itself_and_says_when_something_happened(lab: Lab) -> None:
    """An XID is heard of long before the next look is due."""
    one = Scenario(gpus=(Gpu(A),))
    lab.nvml.write(one)
    changes, beats = threading.Semaphore(0), threading.Semaphore(0)
    canary = Canary()
    kept = Room(lab.looker(), lambda: lab.now, changes.release, beats.release, canary)
    kept.start()
    try:
        kept.wait(10)
        assert changes.acquire(timeout=10)
        assert isinstance(kept.observe({}, START), Seen)
        eventually(lambda: beats.acquire(blocking=False))
        lab.nvml.write(replace(one, events=(Event(A, 79),)))
        assert changes.acquire(timeout=room.EVERY - 1)
        found = kept.observe({}, START)
        assert isinstance(found, Seen)
        assert [trouble.code for trouble in found.value.troubles] == [79]
        assert canary.runs
    finally:
        kept.stop()
    eventually(lambda: not kept._thread.is_alive())
    assert not lab.lookers[-1].connected
    assert not changes.acquire(blocking=False), "the end is no change"


def test_a_room_that_never_began_leaves_no_reader_behind(lab: Lab) -> None:
    lab.nvml.write(Scenario(gpus=(Gpu(A),)))
    kept = Room(lab.looker(), lambda: lab.now, lambda: None, lambda: None)
    kept.look()
    assert lab.lookers[-1].connected
    kept.stop()
    assert not lab.lookers[-1].connected


# an inventory that is written down


def test_the_devices_of_the_configuration_are_seen_as_they_are_written() -> None:
    text = {"uuid": "npu-0", "cdi": "vendor.example/npu=0", "product": "N1", "memory": "32Gi"}
    inventory = (StaticGpu.model_validate(text),)
    canary = Canary({"c": Access(AccessState.OK, START)})
    kept = Static(inventory, canary)
    kept.start()
    kept.look()
    kept.wait(1)
    found = kept.observe({"c": 7}, START)
    assert isinstance(found, Seen)
    device = Device("npu-0", "N1", 32 * 2**30, "0", cdi="vendor.example/npu=0")
    assert found == Seen(GpuView({"npu-0": device}, access=canary.found), START)
    assert (kept.any, canary.runs, canary.watched) == (True, True, {"c": 7})
    kept.stop()
    assert not canary.runs


def test_an_empty_inventory_is_none() -> None:
    kept = Static(())
    assert kept.observe({}, START) is NO_GPUS
    assert not kept.any
