import threading

from controller.workqueue import WorkQueue


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_key_is_taken_once_however_often_it_was_added() -> None:
    added: list[str] = []
    queue = WorkQueue(Clock(), lambda: added.append("x"))
    for _ in range(3):
        queue.add("spec")
    queue.add("event")
    assert queue.depth() == 2
    assert len(added) == 2
    assert queue.take(0).keys == {"spec", "event"}
    assert queue.take(0).keys == frozenset()


def test_a_delayed_key_is_not_due_before_its_time() -> None:
    clock = Clock()
    queue = WorkQueue(clock)
    queue.add_after("due", 10)
    clock.now += 9
    assert queue.take(0).keys == frozenset()
    clock.now += 1.5
    taken = queue.take(0)
    assert taken.keys == {"due"}
    assert taken.waited == 0.5


def test_the_earlier_of_two_times_counts() -> None:
    clock = Clock()
    queue = WorkQueue(clock)
    queue.add_after("due", 1)
    queue.add_after("due", 10)
    clock.now += 1
    assert queue.take(0).keys == {"due"}


def test_a_later_wish_does_not_delay_an_earlier_one_and_an_earlier_one_comes_first() -> None:
    clock = Clock()
    queue = WorkQueue(clock)
    queue.add_after("due", 10)
    queue.add("due")
    assert queue.take(0).keys == {"due"}


def test_a_waiting_taker_is_woken_by_an_add() -> None:
    import time

    queue = WorkQueue(time.monotonic)
    threading.Timer(0.05, queue.add, ("event",)).start()
    began = time.monotonic()
    assert queue.take(30).keys == {"event"}
    assert time.monotonic() - began < 10
