"""Knows one controller process: the real reconciler, planner, executor, observer and ledger, put together.

It refuses to choose when anything goes on: passes and chains are greenlets that the scheduler resumes.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from greenlet import GreenletExit, getcurrent, greenlet

from controller import gate, loop, workers
from controller.api.presets import Enforcement
from controller.engine import calls, executor, inquiries, observer
from controller.engine.transport import Request
from controller.ledger import database
from controller.model import actions, outcomes
from controller.model.actions import Action
from controller.model.desired import AcceptedPolicy
from controller.model.observed import AccountSeen, Unseen
from controller.model.plan import Decision
from controller.model.status import PassReport
from controller.planning import inventory
from controller.planning.case import Blueprint
from controller.planning.planner import Planner
from controller.reconciler import Reconciler, Setup
from controller.service import Facts, Service
from controller.sources import directory, policies
from controller.status import events as event_texts
from controller.surroundings import Surroundings
from controller.workqueue import WorkQueue
from tests.simulation import durable, filesystem, gpu_verdicts, slice_verdicts
from tests.simulation.carrier import READS, Call, Carrier
from tests.simulation.engine import MEANT, Asker
from tests.simulation.gpu_room import GpuRoom
from tests.simulation.gpu_verdicts import Sight
from tests.simulation.host import SimHost
from tests.simulation.judging import ViolatedError
from tests.simulation.laws import Law
from tests.simulation.slice_room import SliceRoom
from tests.simulation.slice_verdicts import SliceSight

if TYPE_CHECKING:
    from tests.simulation.world import World

SETTLE = timedelta(milliseconds=500)
RESYNC = timedelta(seconds=15)
INSPECT = timedelta(minutes=5)


class Killed(BaseException):
    """The controller is killed here."""


class Task(greenlet):
    """One flow of control of a controller; `asker` stands on its calls.

    Attributes:
        inspected: true time at which the Engine read a container for it last, by id.
    """

    def __init__(self, process: "Process", work: Callable[[], None], asker: Asker, name: str) -> None:
        super().__init__(self._work)
        self.process, self.asker, self.name = process, asker, name
        self.inspected: dict[str, datetime | None] = {}
        self._task = work

    def _work(self, *_: object) -> None:
        try:
            self._task()
        except Killed:
            self.process.doomed = True
        except gate.Occupied:
            self.process.doomed = self.process.refused = True
        except database.Conflict:
            if not self.process.world.lockless:
                raise
            self.process.doomed = True  # another one wrote what it was about to write: it ends as of a defect


def _container(request: Request) -> str:
    """The container that a call is for, as its path has it; empty if it is for none."""
    parts = request.path.split("/")
    return parts[2] if len(parts) > 2 and parts[1] == "containers" else ""  # noqa: PLR2004 - /containers/id


class _Hands(workers._Pool):
    """A pool whose threads are tasks."""

    def __init__(self, process: "Process", size: int, name: str) -> None:
        super().__init__(size, name)
        self._process = process
        self._idle = size
        self._queue: deque[tuple[Callable[[], None], Asker]] = deque()

    def submit(self, task: Callable[[], None]) -> None:
        self._queue.append((task, self._process.next_asker))
        self._begin()

    def _begin(self) -> None:
        if self._idle and self._queue:
            task, asker = self._queue.popleft()
            self._idle -= 1
            self._process.begin(lambda: self._do(task), asker, self._name)

    def _do(self, task: Callable[[], None]) -> None:
        task()
        self._idle += 1
        self._begin()


class _Crew(workers.Workers):
    """The real crew with other hands."""

    def __init__(self, process: "Process", size: int) -> None:
        self._process = process
        super().__init__(
            process.execute,
            process.world.on_defect,
            lambda: process.queue.add("chain"),
            process.world.wall,
            size,
        )

    def _hire(self, size: int, name: str) -> workers._Pool:
        return _Hands(self._process, size, name)

    def submit(self, decision: Decision, rest: tuple[Action, ...], intent_id: int) -> None:
        process = self._process
        starts = any(isinstance(action, actions.StartContainer) for action in rest)
        sight = process.sight() if starts and process.world.board is not None else None
        slices = process.look_at_slices(decision)
        process.next_asker = Asker(
            "controller", process.epoch, intent_id, process.seen_at, sight=sight, slices=slices
        )
        super().submit(decision, rest, intent_id)


class _Policies(policies.Policies):
    """The real ones; the world notes what the one in force enforces."""

    def __init__(self, world: "World", *arguments: Any) -> None:  # noqa: ANN401 - those of the real ones
        super().__init__(*arguments)
        self._world = world
        self.law: Law | None = None

    def observe(self, accounts: Mapping[str, AccountSeen], now: datetime) -> AcceptedPolicy | Unseen:
        found, known = super().observe(accounts, now), self._world.enforced
        if isinstance(found, AcceptedPolicy):
            enforce = found.policy.spec.enforce.items()
            limits = frozenset(limit.value for limit, when in enforce if when is Enforcement.NOW)
            if not known or known[-1][1] != limits:
                known.append((self._world.true_time(), limits))
            law, laws = self._world.laws.get(self._policy.digest), self._world.in_force
            if law is not None and (not laws or laws[-1][1] != law):
                laws.append((self._world.true_time(), law))
            self.law = law
        return found


class Process:
    """One controller: everything in it is lost with it.

    Attributes:
        seen_at: true time of the latest list of containers that a pass rests on.
        stepped: how far the wall clock was set from the true time then.
        pass_began: true time at which the latest pass began, `wall_began`: the host's clock then.
        waits: who waited for GPUs then, since when; `failures`: how often the ledger had failed then.
        doomed: it dies at the end of this step.
        refused: another controller has the Engine.
    """

    def __init__(self, world: "World", disk: durable.TornDatabase, key: bytes) -> None:
        self.world, self.disk = world, disk
        self.alive, self.doomed, self.refused = True, False, False
        self.tasks: set[Task] = set()
        self.next_asker = Asker("controller")
        self.seen_at = world.true_time()
        self.stepped = world.stepped
        self.pass_began, self.wall_began = world.true_time(), world.wall()
        self.waits: Mapping[str, datetime] = {}
        self.failures = 0
        self.epoch: int | None = None
        self.passing = False
        self.rests_until = 0.0
        self._next_resync = 0.0
        self._before: PassReport | None = None
        self.report: PassReport | None = None
        self._allowance = loop.Allowance(world.monotonic())
        self.queue = WorkQueue(world.monotonic)
        self.queue.add("startup")
        self.ledger = durable.WitnessedLedger(
            disk, key, world.deeds, self._pause, lambda now: now - self.stepped
        )
        client = calls.EngineClient(Carrier(world.wire, self._park, self._asker, self), timedelta(seconds=60))
        engine = world.engine
        self.room = GpuRoom(world)
        self.slices = SliceRoom(world)
        self.observer = observer.Observer(
            client,
            INSPECT,
            RESYNC,
            engine.read_limits,
            engine.listening,
            read_disk=engine.read_disk,
            gpus=lambda: world.board is not None,
        )
        self._executor = executor.EngineExecutor(
            client,
            engine.read_limits,
            engine.read_memory_use,
            lambda found, marks: inventory.is_ours(self.ledger.recall(b"", world.wall()), found, marks),
        )
        self._host = SimHost(engine, world.routes)
        self._client = client
        self.crew = _Crew(self, world.scenario.workers)
        self.policies = _Policies(
            world,
            filesystem.POLICY,
            filesystem.CATALOG,
            SETTLE,
            self.ledger.remembered_source,
            self.ledger.remember_source,
        )
        around = Surroundings(
            specs=directory.SpecDirectory(filesystem.SPECS, SETTLE),
            policies=self.policies,
            engine=gate.Gate(self.observer, lambda: str(client.info()["ID"]), self._enter),
            host=self._host,
            ledger=self.ledger,
            crew=self.crew,
            gpus=self.room,
            slices=self.slices,
        )
        setup = Setup("Enforce", world.rules, world.boot)
        self.planner = Planner(world.rules)
        self._reconciler = Reconciler(around, self.planner, world.nonce, world.boottime, setup)
        self.service = Service(
            self.ledger,
            inquiries.Inquiries(calls.EngineClient(engine, timedelta(seconds=60))),
            world.wall,
            lambda: self.queue.add("request"),
            Facts("Enforce", "unix:///simulated", Path(filesystem.SPECS), timedelta(minutes=1)),
        )

    def sight(self) -> Sight:
        """What the latest pass knew of the GPUs."""
        leapt = self.world.leapt_at is not None or self.world.asleep
        designs = self.planner.designs
        wishes = {
            name: design.effective.gpu
            for name, design in designs.items()
            if isinstance(design, Blueprint) and design.effective.gpu is not None
        }
        after = None if leapt else self.world.rules.gpus_clean_after
        return Sight(self.pass_began, self.room.seen, self.room.seen_at, wishes, after)

    def look_at_slices(self, decision: Decision) -> SliceSight | None:
        """What the latest pass knew of the slices; what is decided on it is judged."""
        host = self.world.slices
        if host is None:
            return None
        times = self.wall_began, self.world.wall()
        sight = SliceSight(self.slices.seen, self.slices.seen_at, self.policies.law, times)
        for message in slice_verdicts.judged_decision(decision, sight, host.tree, self.world.engine.find):
            raise ViolatedError(slice_verdicts.ID, f"{decision.workspace}: {message}")
        return sight

    # passes

    def is_due(self) -> bool:
        """Whether a pass can begin now."""
        now = self.world.monotonic()
        if self.passing or not self.alive or now < self.rests_until:
            return False
        return now >= self._next_resync or any(due <= now for due in self.queue._due.values())

    def next_due(self) -> float:
        """Monotonic time of the next pass, if nothing comes between."""
        due = min([self._next_resync, *self.queue._due.values()])
        return max(due, self.rests_until)

    def begin_pass(self) -> None:
        """Take what is due, as the product's rhythm does, and begin a pass."""
        taken, now = self.queue.take(0.0), self.world.monotonic()
        if not taken.keys or "resync" in taken.keys:
            self._next_resync = now + RESYNC.total_seconds()
        cause = next((cause for cause in loop.CAUSES if cause in taken.keys), "resync")
        self.passing, self.stepped = True, self.world.stepped
        self.pass_began, self.wall_began = self.world.true_time(), self.world.wall()
        self.waits = self.ledger._durable.memory.gpu_waits
        self.failures = self.world.counts["commit failed"]
        asker = Asker("controller", self.epoch)
        self._run(Task(self, lambda: self._pass(cause), asker, "pass"))

    def _pass(self, cause: str) -> None:
        report = self._reconciler.run_pass(self.world.wall(), cause)
        self._tell(report)
        if report.plan.next_look is not None:
            self.queue.add_after("due", (report.plan.next_look - report.at).total_seconds())
        now = self.world.monotonic()
        self.rests_until = now + self._allowance.rest(report.seconds, now)
        self.passing = False

    def _tell(self, report: PassReport) -> None:
        if self.world.board is not None:
            gpu_verdicts.look_at_queue(report, self.planner.designs, self.waits, self.world.engine)
            if self.failures == self.world.counts["commit failed"] and not self.world.ledger_full:
                self.room.note()
        self.service.publish(report)
        self.report = report
        told = event_texts.derive(self._before, report)
        self._before = report
        if told:
            self.world.record_events(self.ledger, told)
        self.world.on_report(report)

    # doing

    def execute(self, action: Action) -> outcomes.Outcome:
        """Do one action, as the manager has it done."""
        if isinstance(action, actions.EngineAction):
            outcome = self._executor.execute(action)
            self.observer.note_own(action, outcome)
            return outcome
        if isinstance(action, actions.HostAction):
            return self._host.execute(action)
        if isinstance(action, actions.SliceAction):
            outcome = self.slices.execute(action, self._linger, self._die)
            if isinstance(action, actions.LimitCgroup):
                self.observer.note_own(action, outcome)
            return outcome
        return self.ledger.execute(action, self.world.wall())

    def _die(self) -> None:
        """The controller is killed here."""
        self.world.counts["killed at a slice"] += 1
        raise Killed

    def _enter(self, engine_id: str) -> None:
        self.world.take_lock(self)
        self.epoch = self.ledger.next_epoch(engine_id, self.world.wall())

    # tasks

    def begin(self, work: Callable[[], None], asker: Asker, name: str) -> None:
        """Have some work begun when the scheduler says so."""
        task = Task(self, work, asker, name)
        self.tasks.add(task)
        self.world.runnable.append(task)

    def _run(self, task: Task) -> None:
        self.tasks.add(task)
        self.world.resume(task)

    def _asker(self, request: Request) -> Asker:
        task = getcurrent()
        assert isinstance(task, Task)
        if request.method == READS:
            return task.asker
        asked_at = self.world.true_time()
        return replace(
            task.asker,
            epoch=self.epoch,
            asked_at=asked_at,
            compared_at=task.inspected.get(_container(request)),
            what=MEANT.get(request.operation, ""),
        )

    def _park(self, call: Call) -> Any:  # noqa: ANN401 - what the Engine answers
        task = getcurrent()
        assert isinstance(task, Task)
        call.resume = lambda result: self.world.resume(task, result)
        result = self.world.hub.switch()
        if call.request.operation == "inspect_container":
            task.inspected[_container(call.request)] = call.applied_at
        elif call.request.operation == "list_containers" and task.name == "pass" and call.applied_at:
            self.seen_at = call.applied_at
        return result

    def _pause(self) -> None:
        """Let others go first, unless a person waits."""
        task = getcurrent()
        if isinstance(task, Task):
            self.world.runnable.append(task)
            self.world.hub.switch()

    def _linger(self, seconds: float) -> None:
        """Let others go first, for so long at least."""
        task = getcurrent()
        assert isinstance(task, Task)
        if not seconds:
            self._pause()
            return

        def wake() -> None:
            if self.alive:
                self.world.runnable.append(task)

        self.world.after(seconds, wake, "a slice is waited for")
        self.world.hub.switch()

    def kill(self) -> None:
        """End at once, as by `kill -9`: no line of it runs any more, and what the Engine has it keeps."""
        self.alive = False
        self.world.runnable = [task for task in self.world.runnable if task.process is not self]
        self.world.wire.abandon(self)
        for task in sorted(self.tasks, key=lambda task: task.name):
            if not task.dead:
                task.throw(GreenletExit)
        self.tasks.clear()
        self.world.free_lock(self)
