import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from controller.api.conditions import Reason
from controller.api.config import SliceDriver
from controller.model import actions
from controller.model.actions import Action
from controller.model.outcomes import Failed, Outcome, Skipped, Succeeded
from controller.model.plan import Decision, Verdict
from controller.model.slices import SliceLimits
from controller.workers import Finished, Workers


class Executor:
    """Does actions as a test says: at once, or when a gate opens."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.slow: set[str] = set()
        self.done: list[Action] = []
        self.answers: dict[type, Outcome | Exception] = {}

    def __call__(self, action: Action) -> Outcome:
        if getattr(action, "workspace", getattr(action, "name", "")) in self.slow:
            assert self.gate.wait(30)
        answer = self.answers.get(type(action), Succeeded(action, 0.0))
        if isinstance(answer, Exception):
            raise answer
        self.done.append(action)
        return answer


class Crew:
    """Workers with what a test wants to know of them."""

    def __init__(self, size: int = 2) -> None:
        self.executor = Executor()
        self.woken = threading.Semaphore(0)
        self.defects: list[str] = []
        self.workers = Workers(
            self.executor,
            lambda decision, _: self.defects.append(decision.workspace),
            self.woken.release,
            lambda: datetime.now(UTC),
            size,
        )

    def submit(self, name: str, *chain: Action) -> None:
        decision = Decision(name, Verdict.START, Reason.FIRST_START, actions=chain)
        self.workers.submit(decision, chain, 1)

    def wait(self, count: int = 1) -> list[Finished]:
        for _ in range(count):
            assert self.woken.acquire(timeout=30)
        return list(self.workers.collect())


@pytest.fixture
def crew() -> Iterator[Crew]:
    made = Crew()
    yield made
    made.executor.gate.set()
    made.workers.close()


def start(name: str = "alice") -> Action:
    return actions.StartContainer(
        name, "c" * 64, f"workspace-{name}", actions.Expected(running=False, started_at=None, pid=0)
    )


def limit(owner: str) -> Action:
    return actions.SetSlice(SliceDriver.SYSTEMD, owner, "slow.slice", SliceLimits(pids=100))


def stop(name: str = "alice") -> Action:
    expected = actions.Expected(running=True, started_at=None, pid=1)
    return actions.StopContainer(name, "c" * 64, f"workspace-{name}", timedelta(seconds=5), expected)


def pull(name: str = "alice") -> Action:
    return actions.PullImage(name, "a:1")


def test_a_chain_runs_in_order_and_is_collected_once(crew: Crew) -> None:
    crew.submit("alice", pull(), start())
    (finished,) = crew.wait()
    assert [type(action) for action in crew.executor.done] == [actions.PullImage, actions.StartContainer]
    assert [type(outcome) for outcome in finished.report.outcomes] == [Succeeded, Succeeded]
    assert not crew.workers.busy()
    assert not crew.workers.collect()


@pytest.mark.parametrize(
    "answer",
    [
        Skipped(stop(), 0.0, "it changed"),
        Failed(stop(), 0.0, Reason.OUTCOME_UNKNOWN, "no answer", retryable=True, unknown=True),
    ],
)
def test_a_chain_ends_at_the_first_action_that_does_not_succeed(crew: Crew, answer: Outcome) -> None:
    crew.executor.answers[actions.StopContainer] = answer
    crew.submit("alice", stop(), start())
    (finished,) = crew.wait()
    assert finished.report.outcomes == (answer,)
    assert not [action for action in crew.executor.done if isinstance(action, actions.StartContainer)]


def test_a_defect_ends_its_own_chain_and_no_other(crew: Crew) -> None:
    crew.executor.answers[actions.StopContainer] = ZeroDivisionError()
    crew.submit("alice", stop())
    crew.submit("bob", start("bob"))
    finished = crew.wait(2)
    outcomes = {one.report.decision.workspace: one.report.outcomes[0] for one in finished}
    assert isinstance(outcomes["alice"], Failed)
    assert outcomes["alice"].reason is Reason.INTERNAL_ERROR
    assert isinstance(outcomes["bob"], Succeeded)
    assert crew.defects == ["alice"]


def test_a_workspace_is_busy_until_its_chain_is_collected(crew: Crew) -> None:
    crew.executor.slow = {"alice"}
    crew.submit("alice", start())
    assert crew.workers.busy() == {"alice"}
    assert crew.workers.ages()["alice"] >= 0
    with pytest.raises(AssertionError, match="alice has a chain under way"):
        crew.submit("alice", start())
    crew.executor.gate.set()
    assert crew.woken.acquire(timeout=30)
    assert crew.workers.busy() == {"alice"}
    crew.workers.collect()
    assert crew.workers.busy() == frozenset()


def test_slow_pulls_stops_and_slices_keep_no_start_waiting() -> None:
    crew = Crew(size=1)
    crew.executor.slow = {"slow-pull", "slow-stop", "slow.slice"}
    crew.submit("slow-pull", pull("slow-pull"))
    crew.submit("slow-stop", stop("slow-stop"))
    for owner in ("alice", "bob", "carol"):
        crew.submit(f"slice/{owner}", limit(owner))
    crew.submit("quick", start("quick"))
    finished = crew.wait()
    assert [one.report.decision.workspace for one in finished] == ["quick"]
    crew.executor.gate.set()
    crew.workers.close()


def test_closing_does_not_wait_for_ever_for_a_chain_that_hangs() -> None:
    crew = Crew()
    crew.executor.slow = {"alice"}
    crew.submit("alice", start())
    began = time.monotonic()
    crew.workers.close()
    assert time.monotonic() - began < 15
    crew.executor.gate.set()
