"""Knows when something is tried again: restarts of what exits, and repetitions of what failed.

Refuses to count by itself: counts are in the ledger, so that a new controller waits as long as the old one.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from controller.api.conditions import Reason
from controller.model.memory import BackOff, Restarts
from controller.model.observed import Container
from controller.model.plan import Decision, Verdict
from controller.planning.case import Case

FIRST = timedelta(seconds=10)
LONGEST = timedelta(minutes=5)
RAN_WELL = timedelta(minutes=10)
"""A container that ran this long is not in a crash loop: counting begins anew."""


def delay(failures: int) -> timedelta:
    """Return the wait before the next try: nothing, then 10 s, doubling up to 5 min."""
    if failures <= 0:
        return timedelta(0)
    doublings = min(failures - 1, 10)
    return min(FIRST * (1 << doublings), LONGEST)


def next_restart(restarts: Restarts | None, container: Container, now: datetime) -> tuple[int, datetime]:
    """Return how often an exited container will have been started again, and when that is due.

    The first time is due at once, at the moment when it ended; so is an end that the clock, set back, has
    not reached yet. A start that was recorded and never came about, because the controller or the Engine
    died before it, is still the same one.
    """
    ended = container.finished_at or container.created
    began = container.started_at or ended
    counted = restarts is not None and restarts.container_id == container.id
    before = restarts.count if restarts is not None and counted and ended - began < RAN_WELL else 0
    if restarts is not None and before and began < restarts.last_start:
        before -= 1
    return before + 1, now if ended > now else ended + delay(before)


def after_failure(before: BackOff | None, reason: Reason, message: str, key: str, now: datetime) -> BackOff:
    """Return the back-off after one more failure of what `key` names."""
    failures = before.failures + 1 if before is not None and before.key == key else 1
    return BackOff(failures, now + delay(failures), reason, message, key)


def hold_back(case: Case, decision: Decision) -> Decision:
    """Take the actions of a workspace's decision that failed a moment ago."""
    return held_back(decision, case.memory.backoffs.get(case.name), case.now)


def held_back(decision: Decision, wait: BackOff | None, now: datetime) -> Decision:
    """Take the actions of a decision that failed a moment ago; its reason stays that of the failure.

    A stop is tried again soon, however often it failed, and a wait that a clock set back made long is over.
    """
    if not decision.actions or wait is None or wait.key != decision.key:
        return decision
    due = wait.next_attempt
    if decision.verdict is Verdict.STOP:
        due += min(FIRST, delay(wait.failures)) - delay(wait.failures)
    if not now < due <= now + LONGEST:
        return decision
    message = f"{wait.message} ({_times(wait.failures)}; again at {due:%H:%M:%S})"
    reason = wait.reason if wait.reason in NAMED else Reason.BACKING_OFF
    return replace(
        decision,
        verdict=Verdict.WAIT if reason is Reason.BACKING_OFF else Verdict.HOLD,
        reason=reason,
        message=message,
        actions=(),
        retry_at=due,
        disrupts=False,
    )


def _times(failures: int) -> str:
    return "tried once" if failures == 1 else f"tried {failures} times"


NAMED = frozenset(
    {
        Reason.IMAGE_UNAVAILABLE,
        Reason.PORT_TAKEN,
        Reason.MOUNT_MISSING,
        Reason.MOUNT_UNSAFE,
        Reason.MOUNT_OUTSIDE_ROOTS,
        Reason.SECRET_UNAVAILABLE,
        Reason.NAME_TAKEN,
        Reason.NETWORK_UNUSABLE,
        Reason.PROXY_UNAVAILABLE,
        Reason.GPU_NOT_ATTACHED,
    }
)
"""Failures that a person can mend: the workspace is held with them rather than with a back-off."""
