"""The observer on a simulated Engine: how little it asks, and what it says when it gets no answer."""

import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from controller.api import labels
from controller.api.conditions import Reason
from controller.engine import calls, observer, transport
from controller.model import actions, errors, observed, outcomes
from tests.support import sim_engine

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RESYNC = timedelta(seconds=15)
INTERVAL = timedelta(minutes=5)
IMAGE = "lab/image:1"


class World:
    """A simulated Engine with an observer on it."""

    def __init__(self, count: int, *, started: timedelta = timedelta(hours=1)) -> None:
        self.clock = sim_engine.ManualClock(START - started)
        self.engine = sim_engine.SimEngine(self.clock)
        self.engine.add_image(IMAGE)
        for name in ("wharf", "wharf-open"):
            self.engine.add_network(name, {})
        self.client = calls.EngineClient(self.engine, timedelta(seconds=60))
        for number in range(count):
            self.add(f"w{number:04d}")
        self.clock.now = START
        self.observer = observer.Observer(
            self.client, INTERVAL, RESYNC, self.engine.read_limits, self.engine.listening
        )

    def add(self, name: str, network: str = "wharf") -> str:
        host = {"NetworkMode": network, "Init": True}
        body = {"Image": IMAGE, "Labels": {labels.WORKSPACE: name}, "HostConfig": host}
        container_id = self.client.create_container(labels.container_name(name), body)
        self.client.start(container_id)
        return container_id

    def look(self, *references: str, after: timedelta = RESYNC) -> observed.EngineView:
        seen = self.try_look(*references, after=after)
        assert isinstance(seen, observed.Seen), seen
        return seen.value

    def try_look(
        self, *references: str, after: timedelta = RESYNC
    ) -> observed.Seen[observed.EngineView] | observed.Unseen:
        self.engine.calls.clear()
        return self.observer.observe(frozenset(references), self.clock.advance(after))

    def id_of(self, name: str) -> str:
        return self.engine.get(name).id

    @property
    def asked(self) -> Counter[str]:
        return Counter(self.engine.calls)


def test_the_first_look_inspects_everything_once() -> None:
    world = World(20)
    view = world.look(IMAGE)
    assert len(view.containers) == 20
    assert world.asked == {
        "info": 1,
        "list_containers": 1,
        "inspect_container": 20,
        "inspect_image": 2,
        "inspect_network": 2,
    }


def test_200_unchanged_containers_cost_one_list_and_ten_inspects_a_pass() -> None:
    world = World(200)
    world.look(IMAGE)
    inspected: Counter[str] = Counter()
    about_itself = 0
    for _ in range(40):
        before = {key: item.inspected_at for key, item in world.look(IMAGE).containers.items()}
        about_itself += world.asked["info"]
        assert {**world.asked, "info": 0} == {"list_containers": 1, "inspect_container": 10, "info": 0}
        inspected.update(key for key, at in before.items() if at == world.clock.now)
    assert set(inspected.values()) == {2}
    assert (len(inspected), about_itself) == (200, 2)


def test_passes_in_quick_succession_inspect_no_more_than_their_share() -> None:
    world = World(200)
    world.look(IMAGE)
    total = 0
    for _ in range(30):
        world.look(IMAGE, after=timedelta(seconds=1))
        total += world.asked["inspect_container"]
    assert total == 20


def test_a_clock_that_steps_back_stops_no_container_from_being_inspected() -> None:
    world = World(20)
    world.look()
    world.look(after=timedelta(hours=-1))
    seen = set()
    for _ in range(21):
        view = world.look()
        seen |= {key for key, item in view.containers.items() if item.inspected_at == world.clock.now}
    assert seen == set(view.containers)


def test_an_unchanged_container_is_the_same_object() -> None:
    world = World(40)
    before = world.look().containers
    after = world.look().containers
    same = [key for key in before if before[key] is after[key]]
    assert len(same) == 38


def test_an_event_names_what_is_inspected() -> None:
    world = World(20)
    target = next(iter(world.look().containers))
    world.engine.by_hand("POST", f"/containers/{target}/update", body={"PidsLimit": 7})
    assert world.look(after=timedelta(0)).containers[target].configuration.limits.pids is None
    world.observer.note("container", "update", target)
    view = world.look(after=timedelta(0))
    assert world.asked["inspect_container"] == 1
    assert view.containers[target].configuration.limits.pids == 7
    kernel = view.containers[target].kernel_limits
    assert isinstance(kernel, observed.Limits)
    assert kernel.pids == 7


def test_a_changed_limit_without_an_event_is_seen_within_the_interval() -> None:
    world = World(40)
    targets = list(world.look().containers)
    for target in targets:
        world.engine.by_hand("POST", f"/containers/{target}/update", body={"PidsLimit": 7})
    for _ in range(20):
        view = world.look()
    assert {item.configuration.limits.pids for item in view.containers.values()} == {7}


@pytest.mark.parametrize("action", ["exec_create: sh", "exec_start: sh", "exec_die", "top", "attach"])
def test_the_noise_of_health_checks_inspects_nothing(action: str) -> None:
    world = World(5)
    target = next(iter(world.look().containers))
    world.observer.note("container", action, target)
    world.look(after=timedelta(0))
    assert world.asked == {"list_containers": 1}


def test_every_change_that_the_list_shows_is_inspected_without_an_event() -> None:
    world = World(4)
    world.look()
    ended, renamed, sick, gone = (world.id_of(f"workspace-w000{number}") for number in range(4))
    world.engine.exit("workspace-w0000", 3)
    world.engine.by_hand("POST", f"/containers/{renamed}/rename", {"name": "workspace-other"})
    world.engine.set_health("workspace-w0002", "unhealthy")
    world.engine.by_hand("DELETE", f"/containers/{gone}", {"force": "1"})
    found = world.look(after=timedelta(0)).containers
    names = {item.name: item for item in found.values()}
    assert set(names) == {"workspace-w0000", "workspace-other", "workspace-w0002"}
    assert (names["workspace-w0000"].state, names["workspace-w0000"].exit_code) == ("exited", 3)
    assert names["workspace-w0002"].health is observed.Health.UNHEALTHY
    assert {ended, renamed, sick} == set(found)


def test_a_container_that_does_not_answer_is_unknown_and_hides_no_other() -> None:
    world = World(4)
    first = next(iter(world.engine.containers))
    world.engine.stuck.add(first)
    view = world.look()
    assert (len(view.containers), view.unknown) == (3, frozenset({"workspace-w0000"}))
    world.engine.stuck.clear()
    view = world.look(after=timedelta(0))
    assert (len(view.containers), view.unknown) == (4, frozenset())


def test_a_container_that_stops_answering_keeps_its_snapshot_and_is_asked_every_time() -> None:
    world = World(4)
    world.look()
    first = world.id_of("workspace-w0000")
    world.engine.stuck.add(first)
    world.engine.exit("workspace-w0000")
    for _ in range(2):
        view = world.look(after=timedelta(0))
        assert view.unknown == {"workspace-w0000"}
        assert view.containers[first].running
        assert world.asked["inspect_container"] == 1


def test_a_container_that_goes_between_list_and_inspect_is_absent() -> None:
    world = World(2)
    answer = transport.Answer(404, {"message": "No such container: x"})
    world.engine.faults.append(sim_engine.Fault("inspect_container", answer=answer))
    view = world.look()
    assert (len(view.containers), view.unknown) == (1, frozenset())


def test_an_inspect_counts_against_a_list_that_lies_after_a_full_disk() -> None:
    world = World(2)
    world.look()
    first = world.id_of("workspace-w0000")
    world.engine.disk_full = True
    world.engine.exit("workspace-w0000")
    world.observer.note("container", "die", first)
    for _ in range(3):
        view = world.look(after=timedelta(0))
        assert view.containers[first].state is observed.ContainerState.EXITED
        assert world.asked["inspect_container"] == 1
    world.engine.disk_full = False
    world.engine.checkpoint(world.engine.containers[first])
    world.look(after=timedelta(0))
    world.look(after=timedelta(0))
    assert world.asked == {"list_containers": 1}


def test_an_engine_that_is_away_is_unseen_since_the_first_failure() -> None:
    world = World(2)
    world.look()
    world.engine.down = True
    first, second = world.try_look(), world.try_look()
    assert isinstance(first, observed.Unseen)
    assert isinstance(second, observed.Unseen)
    assert (first.reason, second.since) == (Reason.ENGINE_UNAVAILABLE, first.since)
    world.engine.down = False
    world.look()
    assert (world.asked["info"], world.asked["inspect_container"]) == (1, 2)


def test_after_a_reconnect_nothing_old_counts() -> None:
    world = World(3)
    world.look()
    stuck = next(iter(world.engine.containers))
    world.observer.forget()
    world.engine.stuck.add(stuck)
    view = world.look()
    assert (stuck in view.containers, view.unknown) == (False, frozenset({"workspace-w0000"}))
    assert world.asked["inspect_container"] == 3


def test_a_moved_tag_is_seen_without_an_event() -> None:
    world = World(3)
    old = world.look(IMAGE).images[IMAGE]
    new = world.engine.add_image(IMAGE)
    view = world.look(IMAGE, after=timedelta(0))
    assert (old != new, view.images[IMAGE]) == (True, new)
    assert {item.image_id for item in view.containers.values()} == {old}


def test_a_container_that_denies_what_a_reference_means_has_it_asked_again_without_an_event() -> None:
    world = World(0)
    old = world.look(IMAGE).images[IMAGE]
    new = world.engine.add_image(IMAGE)
    assert world.look(IMAGE).images[IMAGE] == old
    world.add("later")
    assert world.look(IMAGE, after=timedelta(milliseconds=1)).images[IMAGE] == new
    assert world.look(IMAGE).images[IMAGE] == new
    assert world.asked["inspect_image"] == 0


def test_an_absent_image_is_asked_again_at_an_event_or_after_the_interval() -> None:
    world = World(1)
    assert world.look("late:1").images["late:1"] is None
    world.look("late:1")
    assert world.asked["inspect_image"] == 0
    image_id = world.engine.add_image("late:1")
    world.observer.note("image", "tag", image_id)
    assert world.look("late:1").images["late:1"] == image_id
    world.engine.remove_image("late:1")
    assert world.look("late:1").images["late:1"] == image_id
    assert world.look("late:1", after=INTERVAL).images["late:1"] is None


def test_a_removed_network_that_nobody_uses_is_seen_at_an_event_or_when_it_was_missed() -> None:
    world = World(0)
    assert set(world.look().networks) == {"wharf", "wharf-open"}
    world.engine.by_hand("DELETE", "/networks/wharf")
    assert "wharf" in world.look().networks
    world.observer.note("network", "connect", "x")
    assert "wharf" in world.look().networks
    world.observer.note("network", "destroy", "x")
    assert set(world.look().networks) == {"wharf-open"}
    world.engine.by_hand("DELETE", "/networks/wharf-open")
    assert set(world.look(after=2 * INTERVAL).networks) == {"wharf-open"}
    connect = actions.ConnectNetwork("w0000", "a" * 64, "workspace-w0000", "wharf-open")
    refused = outcomes.Failed(
        connect, 0.1, Reason.NETWORK_PENDING, "network wharf-open not found", retryable=True
    )
    world.observer.note_own(connect, refused)
    assert world.look(after=timedelta(0)).networks == {}
    assert world.asked["inspect_network"] == 2


def test_a_network_whose_containers_have_another_than_the_known_one_is_asked_for_in_time() -> None:
    world = World(0)
    old = world.look().networks["wharf"].id
    world.engine.by_hand("DELETE", "/networks/wharf")
    world.engine.add_network("wharf", {})
    world.add("w0000")
    assert world.look().networks["wharf"].id == old
    assert world.look(after=INTERVAL).networks["wharf"].id != old


def test_ports_of_a_young_container_are_read_at_every_pass_and_of_an_old_one_at_inspects() -> None:
    ports = {"now": frozenset[int]()}
    for started, expected in ((timedelta(seconds=30), frozenset({8888})), (timedelta(hours=1), frozenset())):
        world = World(40, started=started)
        world.observer = observer.Observer(
            world.client, INTERVAL, RESYNC, world.engine.read_limits, lambda _pid: ports["now"]
        )
        ports["now"] = frozenset()
        world.look()
        ports["now"] = frozenset({8888})
        newest = list(world.look(after=timedelta(seconds=1)).containers.values())[-1]
        assert newest.listening == expected


def test_what_the_kernel_does_not_tell_is_unseen() -> None:
    world = World(1)

    def refuse(_pid: int) -> observed.Limits:
        raise errors.Retryable(Reason.NOT_SEEN, "no such process")

    world.observer = observer.Observer(world.client, INTERVAL, RESYNC, refuse, world.engine.listening)
    (container,) = world.look().containers.values()
    assert isinstance(container.kernel_limits, observed.Unseen)
    assert container.listening == frozenset({8888})


def test_a_thousand_unchanged_containers_are_looked_at_in_little_time() -> None:
    world = World(1000)
    world.look(IMAGE)
    seconds = []
    for _ in range(3):
        begin = time.process_time()
        world.look(IMAGE, after=timedelta(0))
        seconds.append(time.process_time() - begin)
    assert world.asked == {"list_containers": 1}
    assert min(seconds) < 0.05


def test_what_we_changed_ourselves_is_looked_at_without_an_event() -> None:
    world = World(200)
    world.look(IMAGE)
    changed = world.id_of("workspace-w0100")
    no_restart = actions.ClearRestartPolicy("w0100", changed, "workspace-w0100")
    for action in (no_restart, actions.EnsureNetwork("wharf", None, inter_container=False)):
        world.observer.note_own(action, outcomes.Succeeded(action, 0.1))
    view = world.look(IMAGE, after=timedelta(milliseconds=1))
    assert view.containers[changed].inspected_at == world.clock()
    assert world.asked == {"list_containers": 1, "inspect_container": 1, "inspect_network": 2}


def test_a_cgroup_that_we_limited_past_the_engine_is_looked_at_although_no_event_tells_of_it() -> None:
    world = World(200)
    world.look(IMAGE)
    changed = world.id_of("workspace-w0100")
    run = actions.Expected(running=True, started_at=world.clock(), pid=7)
    limit = actions.LimitCgroup("w0100", changed, "workspace-w0100", observed.Limits(), None, run)
    world.observer.note_own(limit, outcomes.Succeeded(limit, 0.1))
    view = world.look(IMAGE, after=timedelta(milliseconds=1))
    assert view.containers[changed].inspected_at == world.clock()
    assert world.asked == {"list_containers": 1, "inspect_container": 1}


def test_an_image_that_was_pulled_is_there_without_an_event() -> None:
    world = World(1)
    assert world.look("lab/new:1").images["lab/new:1"] is None
    world.engine.add_image("lab/new:1")
    pull = actions.PullImage("w0", "lab/new:1")
    world.observer.note_own(pull, outcomes.Succeeded(pull, 0.1))
    assert world.look("lab/new:1", after=timedelta(milliseconds=1)).images["lab/new:1"] is not None


@pytest.mark.parametrize(
    ("kind", "action", "worth_a_pass"),
    [
        ("container", "die", True),
        ("container", "exec_create: test", False),
        ("container", "exec_die", False),
        ("network", "destroy", True),
        ("image", "untag", True),
        ("volume", "create", False),
    ],
)
def test_events_of_health_checks_are_not_worth_a_pass(kind: str, action: str, worth_a_pass: bool) -> None:
    assert World(0).observer.note(kind, action, "a" * 64) is worth_a_pass


def test_a_young_container_that_answers_on_its_published_port_is_not_asked_again() -> None:
    world = World(0)
    port = {"PortBindings": {"8888/tcp": [{"HostIp": "", "HostPort": "9000"}]}}
    body = {
        "Image": IMAGE,
        "Labels": {labels.WORKSPACE: "young"},
        "HostConfig": {"NetworkMode": "wharf", **port},
    }
    young = world.client.create_container("workspace-young", body)
    world.client.start(young)
    asked: list[int] = []

    def read(pid: int) -> frozenset[int]:
        asked.append(pid)
        return frozenset({8888} if len(asked) > 2 else ())

    world.observer = observer.Observer(world.client, INTERVAL, RESYNC, world.engine.read_limits, read)
    heard = [world.look(after=timedelta(seconds=1)).containers[young].listening for _ in range(6)]
    assert heard[-1] == frozenset({8888})
    assert len(asked) == 3


def test_a_container_that_does_not_answer_has_the_name_that_the_list_shows() -> None:
    world = World(1)
    assert [c.name for c in world.look().containers.values()] == ["workspace-w0000"]
    found = world.id_of("workspace-w0000")
    world.client.rename(found, "workspace-other")
    world.engine.stuck.add(found)
    view = world.look()
    assert [c.name for c in view.containers.values()] == ["workspace-other"]
    assert view.unknown == {"workspace-other"}


def test_a_runtime_that_the_engine_got_meanwhile_is_seen_within_an_interval() -> None:
    world = World(1)
    assert world.look().runtimes == {"runc", "io.containerd.runc.v2"}
    world.engine.runtimes.add("sysbox-runc")
    world.look()
    assert world.asked["info"] == 0
    assert "sysbox-runc" in world.look(after=INTERVAL).runtimes
    assert world.asked["info"] == 1


def test_a_clock_that_was_set_back_does_not_keep_what_the_engine_said_of_itself() -> None:
    world = World(1)
    world.look()
    world.look(after=-timedelta(days=1))
    assert world.asked["info"] == 1
