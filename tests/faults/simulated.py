"""Knows how a story is played on the simulated Engine, in virtual time.

It refuses to disturb anything that the plan does not name.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from unittest import mock

from controller.model.observed import Account
from tests.faults import workload
from tests.faults.workload import Ending, Story
from tests.simulation import faults, filesystem, planned
from tests.simulation.host import SimHost
from tests.simulation.scenario import SAFETY, Scenario
from tests.simulation.world import World
from tests.support import plans, process
from tests.support.plans import Deed
from tests.support.sim_container import SimImage

PATIENCE = 600.0
"""Virtual seconds for one step of the workload."""
DOWN = 3.0
"""Virtual seconds until what was killed is started again."""


def _nobody(_: SimHost, names: Iterable[str], now: datetime) -> Mapping[str, Account | None]:
    """No owner has an account, as on the real host: what is made is the same to the last byte."""
    del now
    return dict.fromkeys(names)


class _Rig:
    """One simulated host with one story."""

    def __init__(self, story: Story, seed: int) -> None:
        scenario = Scenario(
            seed=seed,
            mode=SAFETY,
            steps=0,
            workspaces=0,
            workers=2,
            per_minute=1000,
            percent=100,
            grace=1,
            disturbances=(),
        )
        self.story = story
        self.world = World(scenario, lambda _world, _disturbance: None)
        hands = {Deed.KILL_CONTROLLER: self._kill_controller, Deed.KILL_ENGINE: self._kill_engine}
        self.wire = planned.PlannedWire(self.world.engine, self.world.monotonic, story.plan, hands)
        self.world.wire = self.wire
        self.world.engine.add_image(workload.IMAGE)
        self.world.engine.registry[story.image] = SimImage("sha256:" + "a" * 64)

    def _kill_controller(self) -> None:
        assert self.world.process is not None
        self.world.kill(self.world.process)
        self.world.after(DOWN, self.world.boot_controller, "boot")

    def _kill_engine(self) -> None:
        self.world.engine.down = True
        self.wire.cut()
        self.world.engine.pending.clear()
        self.world.after(DOWN, lambda: faults.rise(self.world, kills=False), "the Engine is back")

    def play(self) -> None:
        """Ask for each step, and wait until it is so."""
        world, story = self.world, self.story
        policy = {"kind": "ResourcePolicy", "apiVersion": process.API, "metadata": {"name": "lab"}}
        fields = {**process.POLICY, "classes": workload.CLASSES, "mountRoots": ["/srv/data"]}
        with world.files.mounted(), mock.patch.object(SimHost, "accounts", _nobody):
            text = process.text_of({**policy, "spec": fields}).encode()
            world.put_file(filesystem.POLICY, text, how="rename")
            world.boot_controller()
            for number, step in enumerate(story.steps, start=1):
                for role, spec in step.items():
                    name = story.workspace(role)
                    text = process.text_of(process.document(name, spec)).encode()
                    world.write_spec(f"{name}.yaml", name, text, how="rename")
                self._wait(number)

    def _wait(self, number: int) -> None:
        deadline, wanted = self.world.monotonic() + PATIENCE, self.story.wanted(number)
        while (found := self._found()) != wanted:
            late = self.world.monotonic() > deadline
            assert not late, f"step {number}: {found}\n" + "\n".join(self.world.lines)
            self.world.step()

    def _found(self) -> dict[str, tuple[int, object]]:
        """Generation in force and reason of each workspace; nothing while the controller is at work."""
        running = self.world.process
        if running is None or running.report is None or running.passing or running.crew.busy():
            return {}
        return {
            name: (status.observed_generation, status.decision.reason)
            for name, status in running.report.statuses.items()
        }

    def ending(self) -> Ending:
        """What is left."""
        happened = [one.what for one in self.world.engine.happenings]
        return Ending(
            workload.standings(self.world.engine.rows(), self.story),
            happened.count("create"),
            happened.count("destroy"),
            tuple(plans.missed(self.story.plan, self.wire.struck)),
            workload.of_workspaces(self.wire.requests),
        )

    def close(self) -> None:
        if self.world.process is not None:
            self.world.process.kill()
        self.world.disk.close()


def play(story: Story, seed: int = 1) -> Ending:
    """Tell a story to its end; the seed settles the order of what goes on at the same time.

    Raises:
        AssertionError: it comes to no end.
        judging.ViolatedError: an invariant does not hold on the way.
        planned.InexpressibleError: the plan is not for this rig.
    """
    rig = _Rig(story, seed)
    try:
        rig.play()
        return rig.ending()
    finally:
        rig.close()
