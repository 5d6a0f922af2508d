"""How often registries are asked while time goes by, and what comes of their answers."""

from collections import Counter
from datetime import timedelta

import pytest

from controller.api.conditions import Reason
from controller.model import actions
from controller.model.plan import Verdict
from tests.support import builders
from tests.support.world import World

TICK = timedelta(seconds=15)
HOUR = 240
"""Ticks."""


def live(world: World, ticks: int, *, silent: bool = False) -> int:
    """Let time go by, pass after pass; how many pulls were tried."""
    tried = 0

    def fails(action: actions.Action) -> bool:
        nonlocal tried
        tried += isinstance(action, actions.PullImage)
        return silent and isinstance(action, actions.PullImage)

    for _ in range(ticks):
        world.now += TICK
        world.execute(world.plan(), fails)
    return tried


def following(*names: str, changes: str = "Immediate", pull: str = "Always") -> World:
    """Workspaces that run and follow one tag."""
    world = World()
    world.refusal = Reason.IMAGE_UNAVAILABLE
    for name in names:
        world.add(builders.accepted(name, pull=pull, lifecycle={"changes": changes}))
    return world


def test_a_registry_is_asked_every_ten_minutes_however_many_follow() -> None:
    assert live(following("alice", "bob", "carol"), HOUR) == 6


def test_nobody_is_asked_where_nobody_follows() -> None:
    assert live(following("alice", pull="IfNotPresent"), HOUR) == 0


def test_a_silent_registry_is_asked_less_and_less_often_and_nobody_is_disturbed() -> None:
    world = following("alice", "bob")
    before = dict(world.containers)
    assert live(world, HOUR, silent=True) <= 60 / 5 + 6
    assert world.containers == before
    assert [found.reason for found in world.plan().findings] == [Reason.IMAGE_UNAVAILABLE]
    live(world, HOUR // 6)
    assert world.plan().findings == ()


@pytest.mark.parametrize(
    ("pull", "changes", "image", "verdict"),
    [
        ("Always", "Immediate", "sample:2", Verdict.KEEP),
        ("Always", "WhenIdle", builders.IMAGE, Verdict.WAIT),
        ("IfNotPresent", "Immediate", builders.IMAGE, Verdict.KEEP),
        ("Never", "Immediate", builders.IMAGE, Verdict.KEEP),
    ],
)
def test_a_tag_that_moved_at_its_registry_is_a_change_where_pull_is_always(
    pull: str, changes: str, image: str, verdict: Verdict
) -> None:
    world = following("alice", changes=changes, pull=pull)
    world.registry[builders.IMAGE] = "sample:2"
    live(world, HOUR)
    main = world.main("alice")
    assert main is not None
    assert main.running
    assert main.image_id == builders.image_id(image)
    assert world.plan().decisions["alice"].verdict is verdict


@pytest.mark.parametrize("silent", [False, True])
def test_a_restart_asks_once_and_comes_about_whether_it_is_answered_or_not(silent: bool) -> None:
    world = following("alice")
    live(world, 1)
    began = {c.id: c.started_at for c in world.containers.values()}
    world.now += TICK
    world.remember(restart_requests={"alice": world.now})
    asked = Counter(type(action) for action in world.done)[actions.PullImage]
    assert live(world, 4, silent=silent) >= 1
    assert Counter(type(action) for action in world.done)[actions.PullImage] == asked + (not silent)
    assert "alice" not in world.memory.restart_requests
    main = world.main("alice")
    assert main is not None
    assert main.running
    assert main.started_at != began[main.id]
