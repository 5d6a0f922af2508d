"""Knows how a story is played on a real Engine, with the real controller behind the fault proxy.

It refuses to mend anything but what the plan killed: then it starts that again, as systemd would.
"""

import os
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.faults import workload
from tests.faults.workload import Ending, Story
from tests.support import dockerd as dockerd_support
from tests.support import herd, plans, process, proxy
from tests.support.plans import Deed

REQUEST_TIMEOUT = "4s"
PATIENCE = 90.0
"""Seconds for one step of the workload."""
LOOK = 0.5
"""Seconds between two looks: many stories are told at once."""


@dataclass(frozen=True)
class Stage:
    """An Engine that stories share, what it tells, and the subnet of its workspaces."""

    engine: dockerd_support.Dockerd
    chronicle: herd.Chronicle
    subnet: str


class _Rig:
    """One controller behind a proxy, with one story."""

    def __init__(self, story: Story, root: Path, engine: dockerd_support.Dockerd, subnet: str) -> None:
        self.story = story
        self.told: Counter[str] = Counter()
        self._engine, self._began = engine, time.time()
        self._engine_died = threading.Event()
        self._proxy = proxy.Proxy(engine.socket)
        hands = {Deed.KILL_CONTROLLER: self._kill_controller, Deed.KILL_ENGINE: self._kill_engine}
        self._proxy.follow(story.plan, hands)
        self._site = process.Site(root, self._proxy.url, subnet)
        docker = {"host": self._proxy.url, "requestTimeout": REQUEST_TIMEOUT}
        self._site.configure(docker=docker, resyncInterval="5s")
        self._site.policy(classes=workload.CLASSES)
        self._controller = self._site.run_apart()

    def _kill_controller(self) -> None:
        self._controller.kill()

    def _kill_engine(self) -> None:
        self.ask()
        self._engine.kill9()
        self._engine_died.set()

    def ask(self) -> None:
        """Keep what the Engine tells of its containers, which it forgets when it dies.

        What it makes between this and its death is not told: a plan kills it where nothing else is made.
        """
        events = self._engine.events(self._began, time.time())
        self.told.update(one["Action"] for one in events if one["Type"] == "container")

    def play(self) -> None:
        """Ask for each step, and wait until it is so."""
        for number, step in enumerate(self.story.steps, start=1):
            for role, spec in step.items():
                self._site.spec(self.story.workspace(role), spec)
            wanted = {name: (at, reason.value) for name, (at, reason) in self.story.wanted(number).items()}
            self._wait(wanted, f"step {number} of {self.story.name}")
        assert self._controller.stop()[0] == 0

    def _wait(self, wanted: dict[str, tuple[int, str]], what: str) -> None:
        def settled() -> bool:
            self._mend()
            return {name: self._found(name) for name in wanted} == wanted

        try:
            process.until(settled, what, PATIENCE, LOOK)
        except AssertionError as error:
            tail = "\n".join(self._controller.log.read_text().splitlines()[-25:])
            raise AssertionError(f"{error}; done: {self._proxy.strikes()}\n{tail}") from None

    def _mend(self) -> None:
        """Start again what was killed."""
        if self._engine_died.is_set():
            self._engine_died.clear()
            self._engine.start()
        code = self._controller.process.poll()
        if code is not None:
            assert code == -9, (
                f"the controller ended by itself with {code}: {self._controller.log.read_text()}"
            )
            self._controller = self._site.run_apart()

    def _found(self, name: str) -> tuple[int | None, str | None]:
        """Generation in force and reason of a workspace."""
        status = self._controller.workspace(name)["status"]
        return status.get("observedGeneration"), status["decision"].get("reason")

    def ending(self, made: int, removed: int) -> Ending:
        """What is left."""
        client = self._engine.client()
        rows = client.containers(all=True)
        client.close()
        return Ending(
            workload.standings(rows, self.story),
            made,
            removed,
            tuple(plans.missed(self.story.plan, self._proxy.strikes())),
            workload.of_workspaces(self._proxy.changes()),
        )

    def close(self) -> None:
        self._site.close()
        self._proxy.close()


def play(story: Story, root: Path, stage: Stage) -> Ending:
    """Tell a story to its end on an Engine that it shares with others and leaves alive.

    Raises:
        AssertionError: it comes to no end.
    """
    assert not story.kills_engine
    rig = _Rig(story, root, stage.engine, stage.subnet)
    try:
        rig.play()
        counts = [stage.chronicle.counts(name) for name in story.wanted(workload.STEPS)]
        made, removed = (sum(column) for column in zip(*counts, strict=True))
        return rig.ending(made, removed)
    finally:
        rig.close()


def play_alone(story: Story, root: Path) -> Ending:
    """Tell a story to its end on an Engine of its own; errors as in `play`."""
    engine = dockerd_support.Dockerd(dockerd_support.BASE / f"{os.getpid()}-{story.name}")
    try:
        engine.start()
        rig = _Rig(story, root, engine, engine.free_subnet())
        try:
            rig.play()
            rig.ask()
            return rig.ending(rig.told["create"], rig.told["destroy"])
        finally:
            rig.close()
    finally:
        engine.stop()
