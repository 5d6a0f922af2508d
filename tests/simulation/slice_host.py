"""Knows the slices of a simulated host, who did what to them, and what is wrong with looking at them now.

It refuses to tell anybody but the judge who did it: what a controller sees of them is for `slice_room`.
"""

import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from controller.api.config import SliceDriver
from controller.model.slices import SliceLimit
from tests.simulation import judging, slice_verdicts
from tests.simulation.acts import OWNERS
from tests.simulation.slice_verdicts import Started
from tests.support.sim_container import SimContainer
from tests.support.slice_tree import LEAST, SliceTree

if TYPE_CHECKING:
    from tests.simulation.world import World

FLAT: Final = "version 1 of the cgroups has none for a slice"


@dataclass(frozen=True, slots=True)
class Build:
    """What makes slices on a host, by which version of the cgroups, and what its kernel cannot."""

    driver: SliceDriver
    version: int
    cannot: Mapping[SliceLimit, str] = field(default_factory=dict)


_OF_VERSION_1: Final = dict.fromkeys(
    (SliceLimit.MEMORY_HIGH, SliceLimit.MEMORY_LOW, SliceLimit.IO, SliceLimit.IO_WEIGHT), FLAT
)
BUILDS: Final = (
    Build(SliceDriver.SYSTEMD, 2),
    Build(SliceDriver.CGROUPFS, 2),
    Build(SliceDriver.CGROUPFS, 1, _OF_VERSION_1),
    Build(
        SliceDriver.SYSTEMD,
        1,
        _OF_VERSION_1 | dict.fromkeys((SliceLimit.SWAP, SliceLimit.CPUSET), "systemd has none on version 1"),
    ),
    Build(SliceDriver.CGROUPFS, 2, {SliceLimit.SWAP: "the kernel accounts no swap"}),
)
"""Kinds of hosts with slices; a scenario names one by its number, from 1."""


class SliceHost:
    """The slices of one host.

    Attributes:
        touched: when somebody else than a controller changed a slice last, in true time, by its name.
        started: starts by controllers that are not judged yet.
        unseen: why nobody can look at slices now, or empty. `mute`: why none can be set, or empty.
        slow: seconds that each moment of a setting takes.
        strikes: what befalls the next settings: `refused`, `lost`.
        kills: after how many moments of an action on a slice a controller is killed, in order.
        by_hand: what is done to slices now is no controller's deed.
    """

    def __init__(self, world: "World", number: int) -> None:
        build = BUILDS[number - 1]
        self._world = world
        self.tree = SliceTree(world.engine, build.driver, build.version, self._end, build.cannot)
        self.tree.on_enter = self._note
        world.engine.cgroup_version = build.version
        world.engine.on_limits = self._settle
        self.touched: dict[str, datetime] = {}
        self.started: list[Started] = []
        self.unseen = self.mute = ""
        self.slow = 0.0
        self.strikes: deque[str] = deque()
        self.kills: deque[int] = deque()
        self.by_hand = False
        self._latest: dict[str, Started] = {}

    def touch(self, *names: str) -> None:
        """Somebody changed these slices."""
        now = self._world.true_time()
        self.touched |= dict.fromkeys(names, now)

    def lose(self, name: str) -> None:
        """What was just set is taken back in part, if that is to be."""
        if self.strikes and self.strikes[0] == "lost":
            self.strikes.popleft()
            limit = random.Random(len(self.touched)).choice((SliceLimit.PIDS, SliceLimit.CPUS))
            self._world.counts["a limit was lost"] += 1
            self.tree.write(name, limit, None)
            self.touch(name)

    def refusal(self) -> str:
        """Why the next setting fails, or empty."""
        if self.strikes and self.strikes[0] == "refused":
            self.strikes.popleft()
            return "Device or resource busy"
        return self.mute

    def heal(self) -> None:
        """Nothing is wrong any more; strangers leave, and programs give their memory back."""
        self.unseen, self.mute, self.slow = "", "", 0.0
        self.strikes.clear()
        self.kills.clear()
        for group in self.tree.groups.values():
            group.strangers.clear()
        for container in self._world.engine.containers.values():
            if container.running:
                self.tree.take(container, LEAST)

    # what is witnessed

    def _note(self, container: SimContainer, parent: str) -> None:
        engine = self._world.engine
        workspace = engine.owner(container)
        if not workspace:
            return
        group = self.tree.groups.get(parent)
        started = Started(
            self._world.true_time(),
            container.name,
            OWNERS.get(workspace, workspace),
            parent,
            engine.asker,
            group.limits if group is not None else None,
        )
        self._latest[container.id] = started
        if engine.asker.by == "controller":
            self.started.append(started)

    def _end(self, container: SimContainer) -> None:
        """A container is ended with its slice, or for memory that a limit took."""
        latest = self._latest.get(container.id)
        ours = latest is not None and latest.by.by == "controller" and not latest.by.late
        if ours and not self.by_hand and not self._world.lockless:
            raise judging.ViolatedError(
                slice_verdicts.ID, f"{container.name} runs and is ended by what is done to its slice"
            )
        container.oom_killed = True
        self._world.engine.die(container, 137, heard=not self._world.engine.down)

    def _settle(self, container: SimContainer) -> None:
        """A container was given limits, or begins to run: its program takes some memory."""
        self.tree.confine(container)
        if not container.memory_use:
            self.tree.take(container, LEAST * (1 + int(container.id[:2], 16) % 4))
