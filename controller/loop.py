"""Knows the rhythm of passes: when the next one is made, and when a run has nothing left to do.

Refuses to know what a pass does.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from controller.api.conditions import Reason
from controller.model.plan import Verdict
from controller.model.status import PassReport
from controller.workqueue import WorkQueue

SHARE = 1 / 3
"""In the long run passes take at most this part of the time."""
BURST = 0.5
"""Seconds of passes that are made without a rest after a quiet time, so that a repair need not wait."""
PATIENCE = 1.0
"""Seconds that a pass under way has to end when the controller ends; the next one looks anew."""
LONGEST_REST = 1.0
"""Seconds after which a pass is made however long the one before was."""
SOON = frozenset(
    {
        Reason.IN_PROGRESS,
        Reason.CONFIRMING,
        Reason.DELETION_GRACE,
        Reason.CONTAINER_BUSY,
        Reason.NETWORK_PENDING,
        Reason.IMAGE_PENDING,
        Reason.SLICE_PENDING,
        Reason.SETTLING,
    }
)
"""Reasons to wait that go by themselves within seconds."""
FAILED = frozenset({Reason.BACKING_OFF, Reason.CRASH_LOOP, Reason.INTERNAL_ERROR})
CAUSES = ("startup", "request", "spec", "event", "gpus", "chain")
"""Keys that name the cause of a pass, the most telling first; anything else is a resync."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run that ends by itself ended: an exit code of the contract, and what is not as specified."""

    exit_code: int
    lines: tuple[str, ...]


class Allowance:
    """The time that passes may take: it grows with `SHARE` of the time to at most `BURST`, and is spent."""

    def __init__(self, now: float) -> None:
        self._left = BURST
        self._at = now

    def rest(self, seconds: float, now: float) -> float:
        """Spend the length of the pass that ends now; return the seconds until another one may begin."""
        earned = (now - self._at) * SHARE
        self._left = min(BURST, self._left + earned) - seconds
        self._at = now
        return min(max(0.0, -self._left / SHARE), LONGEST_REST)


class Rhythm:
    """Makes passes.

    `make_pass` makes one for a cause that waited so many seconds, and tells of it; None if it failed.
    """

    def __init__(
        self,
        make_pass: Callable[[str, float], PassReport | None],
        queue: WorkQueue,
        monotonic: Callable[[], float],
        resync: timedelta,
    ) -> None:
        self._make_pass = make_pass
        self._queue = queue
        self._monotonic = monotonic
        self._resync = resync.total_seconds()
        self._stopping = threading.Event()
        self._next_resync = monotonic() + self._resync
        self._allowance = Allowance(monotonic())

    def stop(self) -> None:
        """End `run`; from any thread or signal handler."""
        self._stopping.set()
        self._queue.add("stop")

    def run(self) -> None:
        """Make passes until stopped; one that an Engine keeps waiting is left behind after a moment."""
        failures: list[BaseException] = []
        thread = threading.Thread(target=self._run, args=(failures,), name="passes", daemon=True)
        thread.start()
        self._stopping.wait()
        thread.join(PATIENCE)
        if failures:
            raise failures[0]

    def _run(self, failures: list[BaseException]) -> None:
        self._queue.add("startup")
        try:
            while not self._stopping.is_set():
                self._once(self._next_resync - self._monotonic())
        except BaseException as failure:  # noqa: BLE001 - it is raised where the run was asked for
            failures.append(failure)
        finally:
            self._stopping.set()

    def run_once(self, timeout: timedelta) -> Ending:
        """Make passes until no workspace has an action that could be done now."""
        deadline = self._monotonic() + timeout.total_seconds()
        self._queue.add("startup")
        report = None
        while self._monotonic() < deadline and not self._stopping.is_set():
            wait = min(deadline, self._next_resync) - self._monotonic()
            report = self._once(wait) or report
            if report is not None and not _unfinished(report):
                return _ending(report)
        lines = _lines(report) if report is not None else ()
        text = f"not finished after {timeout.total_seconds():.0f} s"
        return Ending(1, (text, *lines))

    def _once(self, wait: float) -> PassReport | None:
        """Wait until a pass is due, make it, and rest."""
        taken = self._queue.take(max(0.0, wait))
        if self._stopping.is_set():
            return None
        if not taken.keys and self._monotonic() < self._next_resync:
            return None
        if not taken.keys or "resync" in taken.keys:
            self._next_resync = self._monotonic() + self._resync
        cause = next((cause for cause in CAUSES if cause in taken.keys), "resync")
        report = self._make_pass(cause, taken.waited)
        if report is None:
            self._stopping.wait(LONGEST_REST)
            return None
        if report.plan.next_look is not None:
            self._queue.add_after("due", (report.plan.next_look - report.at).total_seconds())
        self._stopping.wait(self._allowance.rest(report.seconds, self._monotonic()))
        return report


def _unfinished(report: PassReport) -> bool:
    settling = any(state == "settling" and count for (_, state), count in report.spec_files.items())
    if report.mode == "Observe":  # what is planned stays planned
        return settling
    acting = any(decision.actions for decision in report.plan.decisions.values())
    soon = any(d.verdict is Verdict.WAIT and d.reason in SOON for d in report.plan.decisions.values())
    return bool(settling or acting or soon or report.in_progress or report.plan.host_actions)


def _ending(report: PassReport) -> Ending:
    decisions = report.plan.decisions.values()
    if report.unseen or any(d.reason in FAILED for d in decisions):
        code = 1
    elif any(d.verdict is Verdict.HOLD for d in decisions):
        code = 5
    else:
        code = 0
    return Ending(code, _lines(report))


def _lines(report: PassReport) -> tuple[str, ...]:
    parts = tuple(f"{name}: {reason}: {message}" for name, reason, message in report.unseen)
    return parts + tuple(
        f"{d.workspace}: {d.verdict} ({d.reason}){': ' + d.message if d.message else ''}"
        for d in report.plan.decisions.values()
        if d.verdict is not Verdict.KEEP
    )
