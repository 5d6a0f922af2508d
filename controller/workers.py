"""Knows the chains that are under way: one for each workspace at the most, in bounded pools.

Refuses to choose: it executes the actions of a decision one after another, until one does not succeed.
Pulls, stops and slices have pools of their own: each may take long and must not keep starts waiting.
"""

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from controller.api.conditions import Reason
from controller.model import actions
from controller.model.actions import Action
from controller.model.outcomes import Failed, Outcome, Succeeded
from controller.model.plan import Decision
from controller.model.status import ChainReport

PATIENCE = 1.0
"""Seconds that chains under way have to end when the controller ends; the next one finds what they left."""

SLICES = (actions.SetSlice, actions.RemoveSlice)
"""Who carries these out may be silent for seconds: systemd."""

Execute = Callable[[Action], Outcome]
Report = Callable[[Decision, BaseException], None]


@dataclass(frozen=True, slots=True)
class Finished:
    """A chain that has ended: its intent, and what came of it."""

    intent_id: int
    report: ChainReport


class Workers:
    """Runs chains. `wake` is called from a worker's thread whenever one has ended.

    Attributes of construction:
        execute: does one action; it raises only for defects of its own.
        on_defect: is told of such a defect, with its traceback.
        size: chains at a time, pulls and stops not counted.
    """

    def __init__(
        self,
        execute: Execute,
        on_defect: Report,
        wake: Callable[[], None],
        clock: Callable[[], datetime],
        size: int,
    ) -> None:
        self._execute = execute
        self._on_defect = on_defect
        self._wake = wake
        self._clock = clock
        self._chains = self._hire(size, "chain")
        self._pulls = self._hire(max(2, size // 2), "pull")
        self._stops = self._hire(max(8, size), "stop")
        self._slices = self._hire(2, "slice")
        self._lock = threading.Lock()
        self._busy: dict[str, Decision] = {}
        self._since: dict[str, datetime] = {}
        self._finished: deque[Finished] = deque()

    def submit(self, decision: Decision, rest: tuple[Action, ...], intent_id: int) -> None:
        """Run `rest` of a decision's actions; its subject is a workspace or a part of the host."""
        subject = decision.workspace
        with self._lock:
            assert subject not in self._busy, f"{subject} has a chain under way"
            self._busy[subject] = decision
            self._since[subject] = self._clock()
        self._pool(rest).submit(lambda: self._run(decision, rest, intent_id))

    def busy(self) -> frozenset[str]:
        """Return the subjects whose chain has not been collected yet."""
        with self._lock:
            return frozenset(self._busy)

    def ages(self) -> dict[str, float]:
        """Return for how many seconds each chain has been under way or waiting for a worker."""
        now = self._clock()
        with self._lock:
            return {subject: (now - since).total_seconds() for subject, since in self._since.items()}

    def collect(self) -> tuple[Finished, ...]:
        """Return the chains that have ended since the last call; their subjects are free again."""
        with self._lock:
            ended = tuple(self._finished)
            self._finished.clear()
            for chain in ended:
                del self._busy[chain.report.decision.workspace]
                del self._since[chain.report.decision.workspace]
            return ended

    def close(self) -> None:
        """Start no other chain, and give those under way a moment to end."""
        deadline = time.monotonic() + PATIENCE
        pools = (self._chains, self._pulls, self._stops, self._slices)
        for pool in pools:
            pool.close()
        for pool in pools:
            pool.join(deadline)

    def _hire(self, size: int, name: str) -> "_Pool":
        return _Pool(size, name)

    def _pool(self, rest: tuple[Action, ...]) -> "_Pool":
        if any(isinstance(action, actions.PullImage) for action in rest):
            return self._pulls
        if any(isinstance(action, actions.StopContainer) for action in rest):
            return self._stops
        if rest and all(isinstance(action, SLICES) for action in rest):
            return self._slices
        return self._chains

    def _run(self, decision: Decision, rest: tuple[Action, ...], intent_id: int) -> None:
        began = self._clock()
        done: list[Outcome] = []
        for action in rest:
            done.append(self._one(decision, action))
            if not isinstance(done[-1], Succeeded):
                break
        report = ChainReport(decision, tuple(done), began, self._clock())
        with self._lock:
            self._finished.append(Finished(intent_id, report))
        self._wake()

    def _one(self, decision: Decision, action: Action) -> Outcome:
        try:
            return self._execute(action)
        except Exception as defect:  # noqa: BLE001 - the one guard of a chain: our own defect ends it alone
            self._on_defect(decision, defect)
            message = f"{type(defect).__name__} in the controller; see its log"
            return Failed(action, 0.0, Reason.INTERNAL_ERROR, message, retryable=True)


class _Pool:
    """Threads that the end of the process does not wait for, as it would for those of the standard pool."""

    def __init__(self, size: int, name: str) -> None:
        self._size = size
        self._name = name
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def submit(self, task: Callable[[], None]) -> None:
        """Do it as soon as a thread is free."""
        if len(self._threads) < self._size:
            name = f"{self._name}-{len(self._threads)}"
            self._threads.append(threading.Thread(target=self._work, name=name, daemon=True))
            self._threads[-1].start()
        self._tasks.put(task)

    def close(self) -> None:
        """Forget what has not begun, and let each thread end after what it does now."""
        while not self._tasks.empty():
            with contextlib.suppress(queue.Empty):
                self._tasks.get_nowait()
        for _ in self._threads:
            self._tasks.put(None)

    def join(self, deadline: float) -> None:
        """Wait until all threads have ended, or for the deadline by the monotonic clock."""
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()
