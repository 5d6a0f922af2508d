"""Knows the chains that are under way: one for each workspace at the most, in bounded pools.

Refuses to choose: it executes the actions of a decision one after another, until one does not succeed.
Pulls and stops have pools of their own, because each may take minutes and must not keep starts waiting.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from controller.api.conditions import Reason
from controller.model import actions
from controller.model.actions import Action
from controller.model.outcomes import Failed, Outcome, Succeeded
from controller.model.plan import Decision
from controller.model.status import ChainReport

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
        self._chains = ThreadPoolExecutor(size, "chain")
        self._pulls = ThreadPoolExecutor(max(2, size // 2), "pull")
        self._stops = ThreadPoolExecutor(max(8, size), "stop")
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
        self._pool(rest).submit(self._run, decision, rest, intent_id)

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
        """Let running chains end and start no other."""
        for pool in (self._chains, self._pulls, self._stops):
            pool.shutdown(wait=True, cancel_futures=True)

    def _pool(self, rest: tuple[Action, ...]) -> ThreadPoolExecutor:
        if any(isinstance(action, actions.PullImage) for action in rest):
            return self._pulls
        if any(isinstance(action, actions.StopContainer) for action in rest):
            return self._stops
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
