"""Knows how many running workspaces may be disrupted now: a pace for all, and a breaker for each cause.

Refuses to count what a person asked for, and to forget: what was held stays held until it is approved or is
no longer wanted, and counts come from the intent journal, so that a restart refills nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from controller.api.conditions import Reason
from controller.model.memory import Cause, Held, Memory
from controller.model.plan import Decision, Verdict

WINDOW = timedelta(minutes=10)
"""The breaker counts the disruptions of this long."""
MINUTE = timedelta(minutes=1)
BROKEN = tuple(cause for cause in Cause if cause is not Cause.APPROVED)
"""The causes that have a breaker."""
FREE = 2
"""The share of running workspaces that may be disrupted is never less than this many."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What the configuration allows.

    Attributes:
        per_minute: disruptions a minute, whatever their cause; 0 for none.
        percent: share of the running workspaces that one cause may disrupt in ten minutes.
    """

    per_minute: int
    percent: int

    def share(self, running: int) -> int:
        """Return how many of `running` workspaces one cause may disrupt in ten minutes."""
        return max(FREE, running * self.percent // 100)


@dataclass(frozen=True, slots=True)
class Rationing:
    """Decisions within the budget, and what the breaker holds from now on."""

    decisions: Mapping[str, Decision]
    held: tuple[Held, ...]


def ration(
    decisions: Mapping[str, Decision],
    running: frozenset[str],
    memory: Memory,
    budget: Budget,
    now: datetime,
) -> Rationing:
    """Hold and delay automatic disruptions; `running` are the workspaces whose container runs now."""
    wanted = {n: d for n, d in decisions.items() if d.actions and d.disrupts and d.cause is not None}
    if not wanted:
        return Rationing(decisions, ())
    rationed = dict(decisions)
    held: list[Held] = []
    admitted = [name for name, decision in wanted.items() if decision.cause is Cause.APPROVED]
    for cause in BROKEN:
        of_cause = {n: d for n, d in wanted.items() if d.cause is cause}
        passed, kept = _break(of_cause, cause, running, memory, budget, now)
        admitted += passed
        held += [hold for hold in kept if hold != memory.held.get(hold.workspace)]
        message = _held_text(len(kept), len(running), cause)
        for hold in kept:
            rationed[hold.workspace] = _without_actions(
                wanted[hold.workspace], Verdict.HOLD, Reason.BUDGET_EXCEEDED, message, None
            )
    rationed |= _pace({name: wanted[name] for name in admitted}, memory, budget, now)
    return Rationing(rationed, tuple(held))


def _break(  # noqa: PLR0913 - a breaker reads this much
    wanted: Mapping[str, Decision],
    cause: Cause,
    running: frozenset[str],
    memory: Memory,
    budget: Budget,
    now: datetime,
) -> tuple[list[str], list[Held]]:
    """Return which of one cause's workspaces may go on, and which are held.

    A share of workspaces is counted: one that is disrupted again, as after a crash, is counted once. What a
    clock that was set back put far into the future counts no more than what is as long ago.
    """
    done = {d.workspace for d in memory.disruptions if d.cause is cause and abs(now - d.at) < WINDOW}
    before = {n: h for n, h in memory.held.items() if n in wanted and h.change == wanted[n].change}
    fresh = wanted.keys() - before.keys()
    again, new = sorted(fresh & done), sorted(fresh - done)
    room = max(0, budget.share(len(running | done)) - len(done))
    kept = [Held(name, cause, wanted[name].change, now) for name in new[room:]]
    return [*again, *new[:room]], [*before.values(), *kept]


def _pace(
    admitted: Mapping[str, Decision],
    memory: Memory,
    budget: Budget,
    now: datetime,
) -> dict[str, Decision]:
    """Let as many go as this minute allows; the rest waits its turn, approved ones first, then by name."""
    recent = sorted(disruption.at for disruption in memory.disruptions if abs(now - disruption.at) < MINUTE)
    free = max(0, budget.per_minute - len(recent))
    queue = sorted(admitted, key=lambda name: (admitted[name].cause is not Cause.APPROVED, name))
    due = recent[0] + MINUTE if recent else now + MINUTE
    waiting = {}
    for place, name in enumerate(queue[free:], start=1):
        message = f"{_pace_text(budget)}; place {place} in the queue"
        retry_at = due if budget.per_minute else None
        waiting[name] = _without_actions(admitted[name], Verdict.WAIT, Reason.PACED, message, retry_at)
    return waiting


def _without_actions(
    decision: Decision, verdict: Verdict, reason: Reason, message: str, retry_at: datetime | None
) -> Decision:
    text = f"{message} ({decision.reason}: {decision.message})" if decision.message else message
    return replace(decision, verdict=verdict, reason=reason, message=text, actions=(), retry_at=retry_at)


def _held_text(count: int, running: int, cause: Cause) -> str:
    return (
        f"{count} of {running} running workspaces would be stopped for one cause ({cause}); "
        "`wharf approve NAME` or `wharf approve --all` lets them go"
    )


def _pace_text(budget: Budget) -> str:
    if budget.per_minute == 0:
        return "safety.maxDisruptionsPerMinute is 0: nothing that runs is disrupted"
    return f"at most {budget.per_minute} a minute"
