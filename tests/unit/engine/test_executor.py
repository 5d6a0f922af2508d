"""What the executor answers when the Engine fails at the worst moment."""

from datetime import UTC, datetime, timedelta

import pytest

from controller.api.conditions import Reason
from controller.engine import calls, executor, observer, transport
from controller.model import actions, observed, outcomes
from tests.support import engine_actions as act
from tests.support import sim_engine
from tests.support.sim_engine import Fault

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class World:
    def __init__(self) -> None:
        self.engine = sim_engine.SimEngine(lambda: NOW)
        self.engine.add_image(act.IMAGE)
        self.client = calls.EngineClient(self.engine, timedelta(seconds=60))
        self.executor = self.reading(self.engine.read_limits)

    def reading(self, read_limits: executor.ReadLimits) -> executor.EngineExecutor:
        """An executor to whom this is the kernel."""
        return executor.EngineExecutor(self.client, read_limits, self.engine.read_memory_use, act.owns)

    def do(self, action: actions.EngineAction) -> outcomes.Outcome:
        return self.executor.execute(action)

    def only(self) -> observed.Container:
        looking = observer.Observer(
            self.client,
            timedelta(minutes=5),
            timedelta(seconds=15),
            self.engine.read_limits,
            self.engine.listening,
        )
        seen = looking.observe(frozenset(), NOW)
        assert isinstance(seen, observed.Seen)
        (container,) = seen.value.containers.values()
        return container


@pytest.fixture
def world() -> World:
    return World()


def failed(outcome: outcomes.Outcome) -> tuple[Reason, bool]:
    assert isinstance(outcome, outcomes.Failed), outcome
    return outcome.reason, outcome.unknown


@pytest.mark.parametrize("silence", [transport.Silence.TIMEOUT, transport.Silence.BROKEN])
def test_a_create_without_an_answer_is_unknown_and_not_repeated(
    world: World, silence: transport.Silence
) -> None:
    world.engine.faults.append(Fault("create_container", applied=True, silence=silence))
    assert failed(world.do(act.create())) == (Reason.OUTCOME_UNKNOWN, True)
    assert world.engine.calls == ["create_container"]
    assert world.only().name == "workspace-alice"
    again = world.do(act.create())
    assert isinstance(again, outcomes.Succeeded)
    assert again.already


def test_a_call_that_nobody_took_is_not_unknown(world: World) -> None:
    world.engine.down = True
    assert failed(world.do(act.create())) == (Reason.ENGINE_UNAVAILABLE, False)


def test_an_internal_error_is_unknown(world: World) -> None:
    answer = transport.Answer(500, {"message": "something odd"})
    world.engine.faults.append(Fault("create_container", answer=answer))
    assert failed(world.do(act.create())) == (Reason.OUTCOME_UNKNOWN, True)


def test_a_name_whose_holder_cannot_be_found_is_taken(world: World) -> None:
    text = 'Conflict. The container name "/workspace-alice" is already in use by container "99".'
    world.engine.faults.append(Fault("create_container", answer=transport.Answer(409, {"message": text})))
    assert failed(world.do(act.create())) == (Reason.NAME_TAKEN, False)


def test_another_instance_on_the_name_is_not_already_so(world: World) -> None:
    world.do(act.create(instance="11" * 16))
    assert failed(world.do(act.create(instance="22" * 16))) == (Reason.NAME_TAKEN, False)


def test_a_removal_that_somebody_else_began_is_success(world: World) -> None:
    world.do(act.create())
    container = world.only()
    world.engine.get("workspace-alice").removing = True
    outcome = world.do(act.remove(container))
    assert isinstance(outcome, outcomes.Succeeded)
    assert outcome.already


def test_a_container_that_is_marked_for_removal_is_busy(world: World) -> None:
    world.do(act.create())
    container = world.only()
    world.engine.get("workspace-alice").removing = True
    assert failed(world.do(act.start(container))) == (Reason.CONTAINER_BUSY, False)


def test_an_update_that_the_kernel_did_not_take_is_not_applied(world: World) -> None:
    world.do(act.create())
    world.do(act.start(world.only()))
    world.executor = world.reading(lambda _pid: observed.Limits())
    outcome = world.do(act.update(world.only(), observed.Limits(memory=2**30, memory_swap=2**30, pids=5)))
    assert failed(outcome) == (Reason.NOT_APPLIED, False)
    assert isinstance(outcome, outcomes.Failed)
    assert outcome.message == "not applied: memory, memory_swap, pids"


def test_limits_that_the_host_cannot_enforce_are_not_missed(world: World) -> None:
    world.do(act.create())
    world.do(act.start(world.only()))
    unable = {**world.engine.info(), "SwapLimit": False, "PidsLimit": False}
    world.engine.faults.append(Fault("info", answer=transport.Answer(200, unable)))
    limits = observed.Limits(memory=2**30, memory_swap=2**30, pids=5)
    kernel = observed.Limits(2 * 10**9, "0-1", 2**30)
    world.executor = world.reading(lambda _pid: kernel)
    container = act.update(world.only(), limits)
    assert isinstance(world.executor.execute(container), outcomes.Failed)
    world.engine.faults.append(Fault("info", answer=transport.Answer(200, unable)))
    fresh = world.reading(lambda _pid: kernel)
    assert isinstance(fresh.execute(container), outcomes.Succeeded)


MIB = 2**20


def holding(world: World, use: int, limit: int | None) -> observed.Container:
    """A container that runs, with so much memory in use under such a limit."""
    limits = observed.Limits(memory=limit, memory_swap=limit)
    assert isinstance(world.do(act.create(limits=limits)), outcomes.Succeeded)
    assert isinstance(world.do(act.start(world.only())), outcomes.Succeeded)
    world.engine.get("workspace-alice").memory_use = use
    return world.only()


@pytest.mark.parametrize(("use", "before"), [(64, 256), (65, 256), (64, None)])
def test_memory_is_not_limited_to_less_than_is_in_use(world: World, use: int, before: int | None) -> None:
    container = holding(world, use * MIB, before * MIB if before else None)
    least = observed.Limits(memory=64 * MIB, memory_swap=64 * MIB)
    outcome = world.do(act.update(container, least))
    assert failed(outcome) == (Reason.MEMORY_LOWERING, False)
    assert isinstance(outcome, outcomes.Failed)
    assert outcome.retryable
    assert (f"{use}m of memory are in use" in outcome.message, "64m" in outcome.message) == (True, True)
    assert "update" not in world.engine.calls


@pytest.mark.parametrize(
    ("use", "before", "after"), [(63, 256, 64), (64, 64, 64), (64, 64, 128), (0, 64, None)]
)
def test_a_limit_of_memory_that_takes_nothing_from_anybody_is_set(
    world: World, use: int, before: int, after: int | None
) -> None:
    container = holding(world, use * MIB, before * MIB)
    size = after * MIB if after else None
    outcome = world.do(act.update(container, observed.Limits(memory=size, memory_swap=size, pids=5)))
    assert isinstance(outcome, outcomes.Succeeded), outcome
    assert world.engine.read_limits(container.pid).pids == 5


def test_memory_whose_use_is_not_known_is_not_limited_to_less(world: World) -> None:
    container = holding(world, 0, 256 * MIB)
    world.executor = executor.EngineExecutor(
        world.client, world.engine.read_limits, lambda _pid: None, act.owns
    )
    least = observed.Limits(memory=64 * MIB, memory_swap=64 * MIB)
    assert failed(world.do(act.update(container, least))) == (Reason.NOT_SEEN, False)
    assert "update" not in world.engine.calls


def test_of_what_does_not_run_memory_is_limited_as_it_is_asked_for(world: World) -> None:
    container = holding(world, 128 * MIB, 256 * MIB)
    world.engine.exit("workspace-alice")
    least = observed.Limits(memory=64 * MIB, memory_swap=64 * MIB)
    assert container.running
    assert isinstance(world.do(act.update(world.only(), least)), outcomes.Succeeded)


def test_use_that_grew_since_it_was_compared_is_told_in_the_same_way(world: World) -> None:
    container = holding(world, 0, 256 * MIB)

    def grows(pid: int) -> int | None:
        before = world.engine.read_memory_use(pid)
        world.engine.get("workspace-alice").memory_use = 100 * MIB
        return before

    world.executor = executor.EngineExecutor(world.client, world.engine.read_limits, grows, act.owns)
    least = observed.Limits(memory=64 * MIB, memory_swap=64 * MIB)
    outcome = world.do(act.update(container, least))
    assert failed(outcome) == (Reason.MEMORY_LOWERING, False)
    assert isinstance(outcome, outcomes.Failed)
    assert "unable to set memory limit" in outcome.message
    assert world.engine.read_limits(container.pid).memory == 256 * MIB


def test_a_stop_of_a_container_that_ended_by_itself_is_already_so(world: World) -> None:
    world.do(act.create())
    world.do(act.start(world.only()))
    container = world.only()
    world.engine.exit(container.name)
    outcome = world.do(act.stop(container))
    assert isinstance(outcome, outcomes.Succeeded)
    assert outcome.already


def test_a_pull_tells_its_progress_and_whether_anything_was_new(world: World) -> None:
    world.engine.registry["lab/image:1"] = world.engine.images[act.IMAGE]
    told: list[str] = []
    pulling = executor.EngineExecutor(
        world.client,
        world.engine.read_limits,
        world.engine.read_memory_use,
        act.owns,
        lambda name, row: told.append(f"{name} {row['status']}"),
    )
    first, second = (pulling.execute(actions.PullImage("alice", "lab/image:1")) for _ in range(2))
    assert isinstance(first, outcomes.Succeeded)
    assert isinstance(second, outcomes.Succeeded)
    assert (first.already, second.already) == (False, True)
    assert told[0] == "lab/image:1 Pulling from lab/image"


def test_a_defect_of_ours_is_not_hidden(world: World) -> None:
    with pytest.raises(AssertionError):
        world.do("no action")  # type: ignore[arg-type]


def test_a_list_that_lags_hides_no_other_one_that_runs(world: World) -> None:
    world.do(act.create())
    world.do(act.rename(world.only(), "workspace-alice.11111111"))
    old = world.only()
    world.do(act.create(instance="22" * 16))
    world.engine.disk_full = True
    world.client.start(old.id)
    created = world.engine.get("workspace-alice")
    never_ran = actions.Expected(running=False, started_at=None, pid=0)
    start = actions.StartContainer("alice", created.id, created.name, never_ran)
    outcome = world.do(start)
    assert isinstance(outcome, outcomes.Skipped), outcome
    assert "another container of the workspace runs" in outcome.message
    world.client.stop(old.id, timedelta(seconds=1))
    world.engine.disk_full = False
    assert isinstance(world.do(start), outcomes.Succeeded)
