import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from controller.api.conditions import Reason
from controller.loop import BURST, LONGEST_REST, SHARE, Allowance, Rhythm
from controller.model import actions
from controller.model.plan import Decision, Plan, Verdict
from controller.model.status import PassReport
from controller.workqueue import WorkQueue

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def report(*decisions: Decision, **fields: object) -> PassReport:
    plan = Plan({decision.workspace: decision for decision in decisions})
    made = PassReport(
        pass_id=1, at=NOW, seconds=0.0, cause="resync", mode="Enforce", plan=plan, statuses={}, complete=True
    )
    return replace(made, **fields)  # type: ignore[arg-type]  # fields of one class


def decision(verdict: Verdict, reason: Reason, *chain: actions.Action) -> Decision:
    return Decision("alice", verdict, reason, "why", actions=chain)


KEPT = decision(Verdict.KEEP, Reason.AS_SPECIFIED)
STARTED = decision(
    Verdict.START,
    Reason.FIRST_START,
    actions.StartContainer("alice", "c" * 64, "workspace-alice", actions.Expected(False, None, 0)),  # noqa: FBT003
)


class Stage:
    """A rhythm whose passes are written beforehand; each pass takes a second of its clock."""

    def __init__(self, *passes: PassReport) -> None:
        self.now = 0.0
        self.causes: list[str] = []
        self.passes = list(passes)
        self.queue = WorkQueue(lambda: self.now)
        self.rhythm = Rhythm(self.make_pass, self.queue, lambda: self.now, timedelta(seconds=15))
        self.after: Callable[[], None] = lambda: self.queue.add("event")

    def make_pass(self, cause: str, waited: float) -> PassReport:
        assert waited >= 0
        self.now += 1
        self.causes.append(cause)
        made = self.passes.pop(0) if len(self.passes) > 1 else self.passes[0]
        self.after()
        return made


def test_once_ends_when_everything_is_as_specified() -> None:
    stage = Stage(report(STARTED), report(decision(Verdict.WAIT, Reason.IN_PROGRESS)), report(KEPT))
    ending = stage.rhythm.run_once(timedelta(seconds=60))
    assert ending.exit_code == 0
    assert ending.lines == ()
    assert stage.causes == ["startup", "event", "event"]


@pytest.mark.parametrize(
    ("verdict", "reason", "code"),
    [
        (Verdict.WAIT, Reason.CHANGE_PENDING, 0),
        (Verdict.HOLD, Reason.NAME_TAKEN, 5),
        (Verdict.WAIT, Reason.CRASH_LOOP, 1),
        (Verdict.WAIT, Reason.BACKING_OFF, 1),
    ],
)
def test_once_says_what_is_parked_held_or_failed(verdict: Verdict, reason: Reason, code: int) -> None:
    ending = Stage(report(decision(verdict, reason))).rhythm.run_once(timedelta(seconds=60))
    assert ending.exit_code == code
    assert ending.lines == (f"alice: {verdict} ({reason}): why",)


def test_once_gives_up_when_its_time_is_over() -> None:
    stage = Stage(report(STARTED))
    ending = stage.rhythm.run_once(timedelta(seconds=5))
    assert ending.exit_code == 1
    assert ending.lines[0] == "not finished after 5 s"
    assert len(stage.causes) == 5


def test_once_fails_when_a_part_of_the_world_cannot_be_seen() -> None:
    blind = report(KEPT, unseen=(("engine", Reason.ENGINE_UNAVAILABLE, "it is away"),), complete=False)
    ending = Stage(blind).rhythm.run_once(timedelta(seconds=60))
    assert ending.exit_code == 1
    assert ending.lines == ("engine: EngineUnavailable: it is away",)


def test_once_waits_for_files_that_are_read_twice() -> None:
    settling = report(KEPT, spec_files={("Workspace", "settling"): 1})
    stage = Stage(settling, report(KEPT))
    assert stage.rhythm.run_once(timedelta(seconds=60)).exit_code == 0
    assert len(stage.causes) == 2


def test_what_is_due_later_is_looked_at_then() -> None:
    soon = replace(report(KEPT).plan, next_look=NOW + timedelta(milliseconds=200))
    passes = [report(KEPT, plan=soon), report(KEPT)]
    looks: list[tuple[str, float]] = []
    queue = WorkQueue(time.monotonic)

    def make_pass(cause: str, _waited: float) -> PassReport:
        looks.append((cause, time.monotonic()))
        if len(looks) == 2:
            rhythm.stop()
        return passes[len(looks) - 1]

    rhythm = Rhythm(make_pass, queue, time.monotonic, timedelta(minutes=5))
    rhythm.run()
    (first, at), (second, later) = looks
    assert (first, second) == ("startup", "resync")
    assert 0.2 <= later - at < 30


def test_stopping_ends_the_passes() -> None:
    stage = Stage(report(STARTED))
    stage.after = stage.rhythm.stop
    stage.rhythm.run()
    assert stage.causes == ["startup"]


def test_a_pass_that_fails_is_made_again_and_is_no_success() -> None:
    passes = [None, report(KEPT)]
    queue = WorkQueue(time.monotonic)

    def make_pass(_cause: str, _waited: float) -> PassReport | None:
        queue.add("event")
        return passes.pop(0)

    rhythm = Rhythm(make_pass, queue, time.monotonic, timedelta(minutes=5))
    assert rhythm.run_once(timedelta(seconds=60)).exit_code == 0
    assert not passes


def test_a_few_passes_after_a_quiet_time_need_no_rest() -> None:
    allowance, now = Allowance(0.0), 0.0
    for _ in range(10):
        now += 0.04
        assert allowance.rest(0.04, now) == 0.0


def test_in_the_long_run_passes_take_their_share_and_no_more() -> None:
    allowance, now, busy = Allowance(0.0), 0.0, 0.0
    for _ in range(500):
        now, busy = now + 0.1, busy + 0.1
        now += allowance.rest(0.1, now)
    assert busy <= now * SHARE + BURST + 0.1
    assert busy >= now * SHARE * 0.9


def test_no_rest_is_longer_than_the_longest() -> None:
    allowance = Allowance(0.0)
    assert allowance.rest(60.0, 60.0) == LONGEST_REST
    assert allowance.rest(0.01, 1e6) == 0.0
