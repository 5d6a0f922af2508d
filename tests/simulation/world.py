"""Knows one simulated host in virtual time, and chooses what goes on next: one step, one choice.

It refuses every other source of chance and time than its scenario: equal scenarios have equal traces.
"""

import hashlib
import heapq
import random
from collections import Counter, deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from greenlet import getcurrent

from controller import gate
from controller.api.conditions import Reason
from controller.api.config import SliceDriver
from controller.audit.evidence import Ask
from controller.audit.invariants import SAFETY
from controller.model import errors
from controller.model.memory import Memory
from controller.model.plan import Decision
from controller.model.status import Event, PassReport
from controller.planning.budget import Budget
from controller.planning.case import Rules
from tests.simulation import durable, judging, laws
from tests.simulation.board import Board
from tests.simulation.carrier import Call, Wire
from tests.simulation.engine import WatchedEngine
from tests.simulation.filesystem import POLICY, SPECS, FileSystem
from tests.simulation.laws import Law
from tests.simulation.process import Killed, Process, Task
from tests.simulation.scenario import LOCKLESS, Disturbance, Scenario
from tests.simulation.slice_host import SliceHost
from tests.support.sim_container import PATH, SimImage

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
KEY = hashlib.sha256(b"the simulated claim key").digest()
LONGEST_STEP = 0.03
"""Seconds that a step takes at most, if anything is under way."""
ENV = (PATH, "NVIDIA_VISIBLE_DEVICES=all")
"""Of images, as NVIDIA's have it: a runtime that reads it adds all devices where nothing else is said."""
SHOWN = 30
"""Lines of the trace that are kept for people."""


class World:
    """One run of one scenario. `disturb` carries disturbances out; it is given by the catalogue of them.

    Attributes:
        processes: controllers that live, in the order in which they began.
        controllers: how many there are to be: one, or two where the lock is taken away.
        counts: effective disturbances and other things worth counting, by kind.
        lines: the last lines of the trace.
        strikes: what strikes the next commits, in order: `fail`, `kill before`, `kill after`.
        ledger_full: every commit fails.
        armed: what strikes the next call that is as wanted: a name, what is wanted, what is done.
        losing, doubling: so many of the next events are lost, or come twice.
        stepped, furthest: how far the wall clock is set from the true time, and was at most.
        leapt_at: true time at which the wall clock was last set.
        board: the GPUs of the host; None: it has none. `slices`: likewise of who makes them.
        laws: each policy that was ever written, by the digest of its file; `in_force`: which one is, since
            when in true time.
        law, catalog: what the two files say, once whoever writes them has written them; no catalog at first.
        enforced: which limits the policy in force enforced at once, since when.
        watched: changes of files are told. `vanished`: the directory of specs is gone, or is another one.
        routes: documents in the directory of the proxy, text by file name.
        writers: files that are half written now.
    """

    def __init__(self, scenario: Scenario, disturb: Callable[["World", Disturbance], str | None]) -> None:
        self.scenario = scenario
        self._disturb = disturb
        self._chance = random.Random(f"order/{scenario.seed}")
        self._agenda = deque(scenario.disturbances)
        self.microseconds = 0
        self.asleep = timedelta(0)
        self.stepped = self.furthest = timedelta(0)
        self.boot = "boot 1"
        self.hub = getcurrent()
        self.files = FileSystem()
        self.engine = WatchedEngine(self.wall, self.true_time, KEY)
        self.board = Board(scenario.gpus, self.engine, self.true_time) if scenario.gpus else None
        self.slices = SliceHost(self, scenario.slices) if scenario.slices else None
        self.wire = Wire(self.engine, self.monotonic)
        self.deeds = durable.Deeds(self.true_time)
        self.disk = durable.begin()
        self.routes: dict[str, str] = {}
        self.runnable: list[Task] = []
        self.lockless = scenario.mode == LOCKLESS
        self.controllers = 2 if self.lockless else 1
        self.processes: list[Process] = []
        self.holder: Process | None = None
        self.rules = Rules(
            runtime_secrets=judging.SECRETS,
            subnet="172.28.0.0/16",
            deletion_grace=timedelta(seconds=scenario.grace),
            budget=Budget(scenario.per_minute, scenario.percent),
            retain=timedelta(hours=1),
            proxied=True,
            gpus_clean_after=timedelta(seconds=20),
            slice_driver=SliceDriver.AUTO if self.slices is not None else SliceDriver.NONE,
        )
        self.strikes: deque[str] = deque()
        self.ledger_full = False
        self.watched = True
        self.vanished = False
        self.writers = 0
        self.armed: deque[tuple[str, Callable[[Call], bool], Callable[[Call], str]]] = deque(maxlen=4)
        self.losing = self.doubling = 0
        self.leapt_at: datetime | None = None
        self.law = laws.at_first(scenario.seed, gpus=self.board is not None, slices=self.slices is not None)
        self.laws, self.in_force = dict[str, Law](), list[tuple[datetime, Law]]()
        self.catalog = b""
        self.enforced: list[tuple[datetime, frozenset[str]]] = []
        self.asks: list[Ask] = []
        self.written: dict[str, frozenset[str]] = {}
        self.counts: Counter[str] = Counter()
        self.number = 0
        self.lines: deque[str] = deque(maxlen=SHOWN)
        self.trace = hashlib.sha256()
        self.epoch_began: datetime | None = None
        self.on_report: Callable[[PassReport], None] = lambda _: None
        self._timers: list[tuple[float, int, Callable[[], str | None], str]] = []
        self._timer_numbers = 0
        self._nonces = 0
        self._judge = judging.Judge(judging.WITHOUT_LOCK if self.lockless else SAFETY)
        for tag in ("sample:1", "sample:2"):
            self.engine.add_image(tag, SimImage(f"sha256:{self.engine.new_id()}", env=ENV))
            self.engine.registry[tag] = self.engine.images[tag]
        self.engine.registry["far:1"] = SimImage("sha256:" + "f" * 64)

    # time

    def monotonic(self) -> float:
        """Seconds awake since the beginning."""
        return self.microseconds / 1_000_000

    def boottime(self) -> float:
        """Seconds since the beginning, asleep or awake."""
        return self.monotonic() + self.asleep.total_seconds()

    def true_time(self) -> datetime:
        """The time that no clock of the host knows: it never steps."""
        return BEGIN + timedelta(microseconds=self.microseconds) + self.asleep

    def wall(self) -> datetime:
        """The host's clock."""
        return self.true_time() + self.stepped

    def nanoseconds(self) -> int:
        return int((self.wall() - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)) * 1000

    def after(self, seconds: float, do: Callable[[], str | None], what: str) -> None:
        """Have something done later."""
        self._timer_numbers += 1
        heapq.heappush(self._timers, (self.monotonic() + seconds, self._timer_numbers, do, what))

    def nonce(self) -> bytes:
        self._nonces += 1
        return hashlib.sha256(f"{self.scenario.seed}/{self._nonces}".encode()).digest()

    # the controller

    @property
    def process(self) -> Process | None:
        """The controller that people talk to: that which is there for longest."""
        return self.processes[0] if self.processes else None

    def boot_controller(self) -> None:
        """Start a controller where one is missing."""
        while len(self.processes) < self.controllers:
            self.processes.append(Process(self, durable.TornDatabase(self.disk, self._strike), KEY))

    def kill(self, process: Process) -> None:
        """Kill a controller; it is for others to start the next."""
        process.kill()
        if process in self.processes:
            self.processes.remove(process)

    def bereave(self) -> None:
        """One of two controllers dies for good, by lot: whoever is left is alone."""
        self.controllers = 1
        while len(self.processes) > 1:
            self.kill(self._chance.choice(self.processes))

    def take_lock(self, process: Process) -> None:
        if self.lockless:
            return
        if self.holder is not None:
            raise gate.Occupied("another controller has this Engine")
        self.holder, self.epoch_began = process, self.true_time()

    def free_lock(self, process: Process) -> None:
        if self.holder is process:
            self.holder = None

    def _strike(self, moment: str) -> None:
        if moment == durable.BEFORE and self.ledger_full:
            raise errors.Retryable(Reason.LEDGER_UNAVAILABLE, "database or disk is full")
        if not self.strikes:
            return
        strike = self.strikes[0]
        if strike == "fail" and moment == durable.BEFORE:
            self.strikes.popleft()
            self.counts["commit failed"] += 1
            raise errors.Retryable(Reason.LEDGER_UNAVAILABLE, "disk I/O error")
        if moment.startswith(strike.removeprefix("kill ")):
            self.strikes.popleft()
            self.counts[f"killed {moment}"] += 1
            raise Killed

    def on_defect(self, decision: Decision, defect: BaseException) -> None:
        if isinstance(defect, judging.ViolatedError):
            raise defect  # it was seen amid an action
        raise judging.ViolatedError(
            "defect", f"{decision.workspace}: {type(defect).__name__}: {defect}"
        ) from defect

    def record_events(self, ledger: durable.WitnessedLedger, told: tuple[Event, ...]) -> None:
        """Write events down, as the manager does."""
        try:
            with ledger.batch():
                for event in told:
                    ledger.record_event(event)
        except errors.EffectError:
            self.counts["events not recorded"] += 1

    def memory(self) -> Memory | None:
        """What the living controller's ledger remembers."""
        return self.process.ledger.recall(b"", self.wall()) if self.process else None

    # steps

    def resume(self, task: Task, result: Any = None) -> None:  # noqa: ANN401 - what it waits for
        """Let a task go on until it waits again."""
        task.switch(result)
        if task.dead:
            task.process.tasks.discard(task)

    def run(self) -> None:
        """Make all steps.

        Raises:
            judging.ViolatedError: an invariant does not hold.
        """
        with self.files.mounted():
            while self.number < self.scenario.steps:
                self.step()

    def calm(self) -> None:
        """Nothing more is to go wrong, and what was to end later ends now."""
        self._agenda.clear()
        self.armed.clear()
        self.strikes.clear()
        self.losing = self.doubling = 0
        self.wire.settle()
        timers, self._timers = sorted(self._timers, key=lambda timer: timer[:2]), []
        for _, _, do, _ in timers:
            self._outside(do)

    def step(self) -> None:
        """Let one thing happen, and judge."""
        self.number += 1
        choice, pace = self._chance.random(), self._chance.random()
        if self._agenda and self._agenda[0].at <= self.number:
            done = self._next_disturbance()
        else:
            self.microseconds += int(pace * LONGEST_STEP * 1_000_000)
            done = self._choose(choice)
        for process in [one for one in self.processes if one.doomed]:
            self.kill(process)
            self.after(1.0, self.boot_controller, "boot")
            done += " [killed]"
        line = f"{self.number} {self.microseconds} {done}"
        self.trace.update(line.encode() + b"\n")
        self.lines.append(line)
        self._judge.look(self)

    def _next_disturbance(self) -> str:
        disturbance = self._agenda.popleft()
        done = self._outside(lambda: self._disturb(self, disturbance))
        if done is None:
            return f"{disturbance.kind}: nothing"
        self.counts[disturbance.kind] += 1
        return f"{disturbance.kind}: {done}"

    def _outside(self, do: Callable[[], str | None]) -> str | None:
        """Do what somebody outside does; the controller may be killed while it answers."""
        try:
            return do()
        except Killed:
            assert self.process is not None
            self.process.doomed = True
            return "killed while a person waited"

    def _choose(self, choice: float) -> str:
        if self._timers and self._timers[0][0] <= self.monotonic():
            _, _, do, what = heapq.heappop(self._timers)
            return self._outside(do) or what
        options = self._options()
        if not options:
            return self._wait()
        chosen = options[int(choice * len(options))]
        if isinstance(chosen, Call):
            struck = self._strike_call(chosen)
            if struck:
                return struck
            name = chosen.request.operation
            return f"{name} {self.wire.advance(chosen)}"
        if isinstance(chosen, Task):
            self.runnable.remove(chosen)
            self.resume(chosen)
            return f"{chosen.name} goes on"
        if isinstance(chosen, Process):
            chosen.begin_pass()
            return "pass"
        return self._deliver()

    def _options(self) -> list[Call | Task | Process | None]:
        """What can go on now; None is the next event."""
        options: list[Call | Task | Process | None] = [*self.wire.ready(), *self.runnable]
        if self.engine.pending and not self.engine.down:
            options.append(None)
        options += [process for process in self.processes if process.is_due()]
        return options

    def _strike_call(self, call: Call) -> str:
        """Have an armed fault strike this call, if one wants it."""
        for fault in self.armed:
            name, want, strike = fault
            if call.resume is not None and want(call):
                self.armed.remove(fault)
                self.counts[name] += 1
                return f"{name}: {strike(call)}"
        return ""

    def _wait(self) -> str:
        """Nothing can happen now: let time pass until something can."""
        times = [call.due for call in self.wire.calls] + [timer[0] for timer in self._timers[:1]]
        times += [process.next_due() for process in self.processes if not process.passing]
        due = min(times, default=self.monotonic() + 1.0)
        self.microseconds = max(self.microseconds, int(due * 1_000_000) + 1)
        return "time passes"

    def _deliver(self) -> str:
        kind, action, actor_id = self.engine.pending.popleft()
        if self.losing:
            self.losing -= 1
            return f"event {kind} {action} is lost"
        if self.doubling:
            self.doubling -= 1
            self.engine.pending.append((kind, action, actor_id))
        self.notify(kind, action, actor_id)
        return f"event {kind} {action}"

    def notify(self, kind: str, action: str, actor_id: str) -> None:
        """Bring an event to all controllers, as their readers do."""
        for process in self.processes:
            if process.observer.note(kind, action, actor_id):
                process.queue.add("event")

    def reconnect(self) -> None:
        """The stream of events ended and was opened anew."""
        self.engine.pending.clear()
        for process in self.processes:
            process.observer.forget()
            process.queue.add("event")

    def files_changed(self) -> None:
        if self.watched:
            for process in self.processes:
                process.queue.add("spec")

    # files

    def write_spec(self, file: str, workspace: str, text: bytes, *, how: str) -> None:
        """A person writes a spec completely: `rename` into place or `write` over what is there."""
        digest = hashlib.sha256(text).hexdigest()
        self.written[workspace] = self.written.get(workspace, frozenset()) | {digest}
        self.asks.append(Ask(self.true_time(), "edit", workspace))
        self.put_file(f"{SPECS}/{file}", text, how=how)

    def put_policy(self) -> None:
        """An admin writes what the law says."""
        text = self.law.text()
        self.laws[hashlib.sha256(text).hexdigest()] = self.law
        self.put_file(POLICY, text, how="rename")

    def put_file(self, path: str, text: bytes, *, how: str) -> None:
        write = self.files.rename_into_place if how == "rename" else self.files.write_in_place
        write(path, text, self.nanoseconds())
        self.files_changed()

    def remove_file(self, path: str) -> None:
        self.files.remove(path)
        self.files_changed()
