"""Whatever people do to containers in whatever order, the simulated Engine is what the real one is."""

from collections import Counter

import pytest

from tests.contract import backends, gpu_backends, histories, sides
from tests.contract.backends import Backend, row
from tests.support.dockerd import Dockerd
from tests.support.gpus import USUAL, GpuDockerd

MUST_HAPPEN = {
    ("create", 400): 3,
    ("create", 409): 2,
    ("start", 204): 15,
    ("start", 304): 5,
    ("start", 400): 2,
    ("start", 404): 5,
    ("start", 409): 1,
    ("start", 500): 1,
    ("stop", 204): 3,
    ("stop", 304): 3,
    ("restart", 204): 3,
    ("kill", 204): 3,
    ("kill", 409): 1,
    ("pause", 204): 5,
    ("pause", 409): 3,
    ("unpause", 204): 1,
    ("unpause", 500): 3,
    ("rename", 204): 5,
    ("rename", 409): 1,
    ("update", 200): 5,
    ("update", 400): 3,
    ("update", 409): 1,
    ("connect", 200): 8,
    ("connect", 403): 1,
    ("disconnect", 200): 2,
    ("disconnect", 500): 2,
    ("DELETE", 204): 8,
    ("DELETE", 409): 3,
}
"""Calls and answers, and how often at least; a run without them has not shown anything."""


DEVICES = {("start", 204): 8, ("start", 500): 8}
"""The same for histories with devices."""


def play(daemon: Dockerd, seeds: range, steps: int) -> Counter[tuple[str, int]]:
    port = backends.free_port()
    outcomes: Counter[tuple[str, int]] = Counter()
    for seed in seeds:
        world = backends.RealWorld(daemon)
        both = sides.Sides(Backend(backends.SimWorld()), Backend(world))
        histories.History(both, seed, port).play(steps)
        outcomes += both.outcomes
        world.carrier.close()
        daemon.remove_everything()
        daemon.close_clients()
    return outcomes


@row("SIDE-random")
def test_a_few_random_histories_are_the_same_on_both_engines(engine: Dockerd) -> None:
    outcomes = play(engine, range(10), steps=40)
    assert {call: outcomes[call] for call, least in MUST_HAPPEN.items() if outcomes[call] < least} == {}


@pytest.mark.full
@row("SIDE-random")
def test_many_random_histories_are_the_same_on_both_engines(engine: Dockerd) -> None:
    play(engine, range(1000, 1150), steps=60)


def play_with_devices(engine: GpuDockerd, seeds: range, steps: int) -> Counter[tuple[str, int]]:
    port = backends.free_port()
    outcomes: Counter[tuple[str, int]] = Counter()
    for seed in seeds:
        model, real = gpu_backends.SimGpuWorld(cdi=False), gpu_backends.RealGpuWorld(engine)
        engine.set_gpus(USUAL)
        both = sides.Sides(Backend(model), Backend(real))
        histories.DeviceHistory(both, seed, port, (model, real)).play(steps)
        outcomes += both.outcomes
        real.carrier.close()
        engine.remove_everything()
        engine.close_clients()
    return outcomes


@row("SIDE-random")
def test_a_few_random_histories_with_devices_are_the_same_on_both_engines(engine_hook: GpuDockerd) -> None:
    outcomes = play_with_devices(engine_hook, range(4), steps=40)
    assert {call: outcomes[call] for call, least in DEVICES.items() if outcomes[call] < least} == {}


@pytest.mark.full
@row("SIDE-random")
def test_many_random_histories_with_devices_are_the_same_on_both_engines(engine_hook: GpuDockerd) -> None:
    play_with_devices(engine_hook, range(2000, 2050), steps=60)


def test_events_may_come_in_any_order_only_where_the_engine_has_them_race() -> None:
    assert sides.in_order(["kill", "die", "disconnect", "stop"], ["kill", "stop", "die", "disconnect"])
    assert not sides.in_order(["kill", "die", "disconnect", "stop"], ["kill", "disconnect", "die", "stop"])
    assert not sides.in_order(["start", "die"], ["die", "start"])
    assert not sides.in_order(["die", "start", "die", "stop"], ["die", "stop", "start", "die"])


def test_a_thaw_that_ends_a_process_need_not_be_told() -> None:
    kill, thaw, tie, die = ("kill", ()), ("unpause", ()), ("connect", ()), ("die", ())
    assert sides.certain([kill, thaw, die]) == [kill, die]
    assert sides.certain([thaw, tie, die]) == [tie, die]
    assert sides.certain([die, thaw, kill]) == [die, thaw, kill]
