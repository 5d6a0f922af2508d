"""What is asked of the Engine, word for word, and of which container."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from controller.api.conditions import Reason
from controller.engine import calls, executor, observer, transport
from controller.model import actions, errors, observed, outcomes
from tests.support import engine_actions as act
from tests.support.sim_container import SimImage
from tests.support.sim_engine import Fault, SimEngine

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ASIDE = "workspace-alice.11111111"


class Heard(SimEngine):
    """An Engine that keeps what was asked of it."""

    def __init__(self) -> None:
        super().__init__(lambda: NOW)
        self.requests: list[transport.Request] = []

    def call(self, request: transport.Request) -> transport.Answer:
        self.requests.append(request)
        return super().call(request)

    def asked(self, operation: str) -> transport.Request:
        (only,) = [request for request in self.requests if request.operation == operation]
        return only


class World:
    def __init__(self) -> None:
        self.engine = Heard()
        self.engine.add_image(act.IMAGE)
        self.client = calls.EngineClient(self.engine, timedelta(seconds=60))
        self.executor = executor.EngineExecutor(
            self.client, self.engine.read_limits, self.engine.read_memory_use, act.owns
        )

    def do(self, action: actions.EngineAction) -> outcomes.Outcome:
        return self.executor.execute(action)

    def seen(self) -> dict[str, observed.Container]:
        """Containers by name."""
        looking = observer.Observer(
            self.client,
            timedelta(minutes=5),
            timedelta(seconds=15),
            self.engine.read_limits,
            self.engine.listening,
        )
        view = looking.observe(frozenset(), NOW)
        assert isinstance(view, observed.Seen)
        return {container.name: container for container in view.value.containers.values()}

    def running(self) -> observed.Container:
        self.do(act.create())
        self.do(act.start(self.seen()["workspace-alice"]))
        return self.seen()["workspace-alice"]


@pytest.fixture
def world() -> World:
    return World()


def test_a_removal_is_neither_by_force_nor_with_volumes(world: World) -> None:
    world.do(act.create())
    container = world.seen()["workspace-alice"]
    assert isinstance(world.do(act.remove(container)), outcomes.Succeeded)
    (request,) = [request for request in world.engine.requests if request.method == "DELETE"]
    assert request.path == f"/containers/{container.id}"
    assert request.query == {"force": "false", "v": "false"}


@pytest.mark.parametrize("seconds", [1, 5, 600])
def test_a_stop_gives_the_grace_of_its_action(world: World, seconds: int) -> None:
    container = world.running()
    assert isinstance(world.do(act.stop(container, seconds=seconds)), outcomes.Succeeded)
    request = world.engine.asked("stop")
    assert request.query == {"t": str(seconds)}
    assert request.timeout > seconds


def _run_changes(seen: actions.Expected) -> dict[str, actions.Expected]:
    """The run that was seen, with one thing other than it was."""
    before = None if seen.started_at is None else seen.started_at - timedelta(seconds=1)
    return {
        "running": replace(seen, running=not seen.running),
        "started_at": replace(seen, started_at=before or NOW),
        "pid": replace(seen, pid=seen.pid + 1),
    }


@pytest.mark.parametrize("what", ["running", "started_at", "pid"])
def test_another_run_than_the_one_seen_is_not_touched(world: World, what: str) -> None:
    container = world.running()
    limits = observed.Limits(memory=2**30)
    other = _run_changes(act.expected(container))[what]
    for action in (act.stop(container), act.remove(container), act.update(container, limits)):
        outcome = world.do(replace(action, expected=other))
        assert isinstance(outcome, outcomes.Skipped), outcome
        assert "the container changed" in outcome.message
    assert world.seen()["workspace-alice"] == replace(container, inspected_at=NOW)
    stopped = _stopped(world)
    other = _run_changes(act.expected(stopped))[what]
    for late in (act.start(stopped), act.remove(stopped)):
        assert isinstance(world.do(replace(late, expected=other)), outcomes.Skipped), late
    assert world.seen()["workspace-alice"].state is observed.ContainerState.EXITED


def _stopped(world: World) -> observed.Container:
    world.do(act.stop(world.seen()["workspace-alice"]))
    return world.seen()["workspace-alice"]


def test_what_has_the_name_by_now_is_not_touched(world: World) -> None:
    """Somebody renamed the container that was seen, and a new one that is just like it has its name."""
    world.do(act.create())
    seen = world.seen()["workspace-alice"]
    world.do(act.rename(seen, ASIDE))
    world.do(act.create(instance="22" * 16))
    assert isinstance(world.do(act.start(seen)), outcomes.Skipped)
    assert not world.seen()["workspace-alice"].running
    world.do(act.start(world.seen()["workspace-alice"]))
    running = world.seen()["workspace-alice"]
    late = replace(act.stop(seen), expected=act.expected(running))
    assert isinstance(world.do(late), outcomes.Succeeded)
    assert world.seen()["workspace-alice"].running


@pytest.mark.parametrize("status", [500, 503])
def test_an_internal_error_does_not_say_that_nothing_is_there(world: World, status: int) -> None:
    container = world.running()
    broken = transport.Answer(status, {"message": "something odd"})
    world.engine.faults.append(Fault("inspect_container", answer=broken))
    with pytest.raises(errors.Retryable) as caught:
        world.client.inspect_container(container.id)
    assert caught.value.reason is Reason.ENGINE_UNAVAILABLE
    world.engine.faults.append(Fault("inspect_container", answer=broken))
    outcome = world.do(act.remove(container))
    assert isinstance(outcome, outcomes.Failed)
    assert world.client.inspect_container("nobody") is None


def test_a_pull_that_fails_inside_its_stream_is_a_failure(world: World) -> None:
    world.engine.registry["lab/image:1"] = SimImage("")
    outcome = world.do(actions.PullImage("alice", "lab/image:1"))
    assert isinstance(outcome, outcomes.Failed)
    assert (outcome.reason, outcome.unknown) == (Reason.IMAGE_UNAVAILABLE, False)
    assert "unknown blob" in outcome.message
    assert world.engine.find_image("lab/image:1") is None
