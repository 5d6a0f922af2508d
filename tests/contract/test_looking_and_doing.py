"""The engine room itself on both Engines: what it does is what it then sees."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.api import labels
from controller.api.conditions import Reason
from controller.model import actions, errors, observed, outcomes, template
from tests.contract import backends
from tests.contract.backends import Backend, row
from tests.support import engine_actions as act

MIB = 2**20
GIB = 2**30


def look(backend: Backend, *references: str) -> observed.EngineView:
    seen = backend.observer().observe(frozenset(references), backend.world.now())
    assert isinstance(seen, observed.Seen), seen
    return seen.value


def only(backend: Backend) -> observed.Container:
    (container,) = look(backend).containers.values()
    return container


def do(backend: Backend, action: actions.EngineAction, *, already: bool = False) -> None:
    outcome = backend.executor.execute(action)
    assert isinstance(outcome, outcomes.Succeeded), outcome
    assert (outcome.action, outcome.already) == (action, already)


def fail(backend: Backend, action: actions.EngineAction) -> outcomes.Failed:
    outcome = backend.executor.execute(action)
    assert isinstance(outcome, outcomes.Failed), outcome
    return outcome


def skip(backend: Backend, action: actions.EngineAction) -> str:
    outcome = backend.executor.execute(action)
    assert isinstance(outcome, outcomes.Skipped), outcome
    return outcome.message


def running(backend: Backend, **changes: Any) -> observed.Container:  # noqa: ANN401 - fields of a template
    do(backend, act.create(**changes))
    do(backend, act.start(only(backend)))
    return only(backend)


@row("RIG-template")
def test_what_a_template_says_is_what_is_seen(backend: Backend, tmp_path: Path) -> None:
    port = observed.PublishedPort(8888, "127.0.0.1", backends.free_port())
    limits = observed.Limits(500_000_000, "0", 256 * MIB, 64 * MIB, 512 * MIB, 100)
    ensure = actions.EnsureNetwork("wharf", backend.world.subnet, inter_container=False)
    do(backend, ensure)
    bind = observed.Bind("/home/alice", str(tmp_path), read_only=True)
    changes = {
        "env": (("TZ", "Europe/Berlin"), ("EMPTY", "")),
        "user": "1234:1234",
        "binds": (bind,),
        "ports": (port,),
        "network": "wharf",
        "shm": 32 * MIB,
        "limits": limits,
    }
    container = running(backend, **changes)
    made = container.configuration
    assert (made.image, made.hostname, made.command) == (act.IMAGE, "alice", act.SLEEP)
    assert made.env.items() >= {"TZ": "Europe/Berlin", "EMPTY": ""}.items()
    assert (made.user, made.init, made.shm) == ("1234:1234", True, 32 * MIB)
    assert (made.binds, made.ports, made.limits) == ((bind,), (port,), limits)
    assert (made.networks, made.network_mode) == (frozenset({"wharf"}), "wharf")
    assert (made.restart_policy, made.gpus.names, made.other) == ("no", (), ())
    assert container.kernel_limits == limits
    assert container.address.rpartition(".")[0] == backend.world.subnet.rpartition(".")[0]
    assert container.labels[labels.WORKSPACE] == "alice"


@row("AP5")
def test_every_action_twice_is_already_so_the_second_time(backend: Backend) -> None:
    create = act.create()
    do(backend, create)
    do(backend, create, already=True)
    do(backend, act.start(only(backend)))
    do(backend, act.start(only(backend)), already=True)
    container = only(backend)
    do(backend, act.unpause(container), already=True)
    do(backend, act.rename(container, "workspace-alice.1"))
    do(backend, act.rename(container, "workspace-alice.1"), already=True)
    do(backend, act.stop(container))
    do(backend, act.stop(container), already=True)
    stopped = only(backend)
    do(backend, act.remove(stopped))
    do(backend, act.remove(stopped), already=True)
    assert look(backend).containers == {}


@row("RIG-network")
def test_a_network_is_made_once_and_seen(backend: Backend) -> None:
    ensure = actions.EnsureNetwork("wharf", backend.world.subnet, inter_container=False)
    do(backend, ensure)
    do(backend, ensure, already=True)
    network = look(backend).networks["wharf"]
    assert (network.driver, network.subnet) == ("bridge", backend.world.subnet)
    assert network.inter_container is False
    assert set(look(backend).networks) == {"wharf"}


@row("AP2")
def test_a_foreign_container_on_the_name_is_left_alone(backend: Backend) -> None:
    box = backend.create("workspace-alice")
    failed = fail(backend, act.create())
    assert (failed.reason, failed.unknown) == (Reason.NAME_TAKEN, False)
    assert only(backend).id == box


@row("AP2")
def test_a_rename_to_a_taken_name_fails(backend: Backend) -> None:
    do(backend, act.create())
    container = only(backend)
    backend.create("taken")
    assert fail(backend, act.rename(container, "taken")).reason is Reason.NAME_TAKEN
    assert only(backend).name == "workspace-alice"


@row("AP13")
def test_a_container_of_another_run_is_not_stopped(backend: Backend) -> None:
    before = running(backend)
    backend.client.stop(before.id, timedelta(seconds=5))
    backend.client.start(before.id)
    outcome = backend.executor.execute(act.stop(before))
    assert isinstance(outcome, outcomes.Skipped), outcome
    after = only(backend)
    assert after.running
    assert after.started_at != before.started_at


@row("AP13")
def test_a_container_that_was_started_meanwhile_is_not_removed(backend: Backend) -> None:
    do(backend, act.create())
    before = only(backend)
    backend.client.start(before.id)
    outcome = backend.executor.execute(act.remove(before))
    assert isinstance(outcome, outcomes.Skipped), outcome
    assert only(backend).running


@row("AP5")
def test_a_container_that_is_gone_is_not_started(backend: Backend) -> None:
    do(backend, act.create())
    container = only(backend)
    backend.client.remove(container.id)
    assert isinstance(backend.executor.execute(act.start(container)), outcomes.Skipped)


LIMITS = [
    observed.Limits(),
    observed.Limits(10**9, "0", GIB, 512 * MIB, GIB, 50),
    observed.Limits(10**9, "0", GIB, 512 * MIB, None, None),
    observed.Limits(None, None, 128 * MIB, None, 128 * MIB, 20),
    observed.Limits(500_000_000, None, None, 64 * MIB, None, None),
    observed.Limits(),
]


@row("RIG-update")
def test_memory_that_is_in_use_is_not_taken_away_by_a_lower_limit(backend: Backend) -> None:
    """Version 1 of the cgroups refuses it; version 2 would kill, so that nobody asks for it."""
    script = "dd if=/dev/zero of=/dev/shm/held bs=1M count=48 && exec sleep 600"
    limits = observed.Limits(memory=128 * MIB, memory_swap=128 * MIB)
    container = running(backend, command=("/bin/sh", "-c", script), limits=limits)
    backend.world.hold_memory(container.id, 48 * MIB)
    least = observed.Limits(memory=32 * MIB, memory_swap=32 * MIB)
    refused = fail(backend, act.update(container, least))
    assert (refused.reason, refused.retryable, "32m" in refused.message) == (
        Reason.MEMORY_LOWERING,
        True,
        True,
    )
    if backend.facts().cgroup_version == 1:
        with pytest.raises(errors.Retryable) as caught:
            backend.client.update(container.id, {"Memory": 32 * MIB, "MemorySwap": 32 * MIB})
        assert caught.value.reason is Reason.MEMORY_LOWERING
    assert only(backend).pid == container.pid
    assert backend.world.read_limits(container.pid).memory == 128 * MIB


@row("RIG-update")
def test_limits_are_changed_in_any_order_and_read_back_from_the_kernel(backend: Backend) -> None:
    container = running(backend)
    facts = backend.facts()
    for wanted in LIMITS:
        do(backend, act.update(container, wanted))
        kernel = only(backend).kernel_limits
        assert isinstance(kernel, observed.Limits)
        assert kernel.memory == (facts.memory // 4096 * 4096 if wanted.memory is None else wanted.memory)
        assert kernel.pids == wanted.pids
        assert kernel.nano_cpus == (facts.cpus * 10**9 if wanted.nano_cpus is None else wanted.nano_cpus)
        assert kernel.cpuset == (wanted.cpuset or f"0-{facts.cpus - 1}")
        if wanted.memory_swap is not None:
            assert kernel.memory_swap == wanted.memory_swap
        if wanted.memory_reservation is None:
            assert (kernel.memory_reservation or 0) <= template.LEAST_RESERVATION
        else:
            assert kernel.memory_reservation == wanted.memory_reservation
    assert only(backend).pid == container.pid


@row("RIG-update")
def test_limits_of_a_stopped_container_are_read_back_from_the_engine(backend: Backend) -> None:
    do(backend, act.create())
    wanted = observed.Limits(10**9, "0", GIB, None, GIB, 50)
    do(backend, act.update(only(backend), wanted))
    assert only(backend).configuration.limits == wanted


@row("RIG-update")
def test_a_quota_that_was_set_by_hand_is_changed_in_its_own_way(backend: Backend) -> None:
    do(backend, act.create())
    container = only(backend)
    backend.client.update(container.id, {"CpuQuota": 150_000, "CpuPeriod": 100_000})
    assert only(backend).configuration.limits.nano_cpus == 1_500_000_000
    do(backend, act.update(only(backend), observed.Limits(nano_cpus=500_000_000)))
    assert only(backend).configuration.limits.nano_cpus == 500_000_000


@row("RIG-update")
def test_impossible_limits_are_refused_for_good(backend: Backend) -> None:
    container = running(backend)
    failed = fail(backend, act.update(container, observed.Limits(nano_cpus=1000 * 10**9)))
    assert (failed.reason, failed.retryable, failed.unknown) == (Reason.REFUSED_BY_ENGINE, False, False)


@row("AP16")
@pytest.mark.parametrize("case", ["program", "port", "mount", "network"])
def test_a_start_that_fails_has_a_reason(backend: Backend, tmp_path: Path, case: str) -> None:
    source = tmp_path / "home"
    source.mkdir()
    port = backends.free_port()
    changes: dict[str, dict[str, Any]] = {
        "program": {"command": ("/nope",), "init": False},
        "port": {"ports": (observed.PublishedPort(8888, "127.0.0.1", port),)},
        "mount": {"binds": (observed.Bind("/home", str(source), read_only=False),)},
        "network": {"network": "wharf"},
    }
    reasons = {
        "program": Reason.REFUSED_BY_ENGINE,
        "port": Reason.PORT_TAKEN,
        "mount": Reason.MOUNT_MISSING,
        "network": Reason.NETWORK_PENDING,
    }
    do(backend, act.create(**changes[case]))
    container = only(backend)
    backend.world.break_source(source)
    with backend.taken(port):
        failed = fail(backend, act.start(container))
    assert (failed.reason, failed.unknown) == (reasons[case], False)
    assert only(backend).state is observed.ContainerState.CREATED


@row("AP17")
def test_an_image_that_cannot_be_had_is_a_failure_that_may_pass(backend: Backend) -> None:
    failed = fail(backend, actions.PullImage("alice", "127.0.0.1:9/lab/nothing:1"))
    assert (failed.reason, failed.retryable, failed.unknown) == (Reason.IMAGE_UNAVAILABLE, True, False)
    failed = fail(backend, act.create(image="lab/nothing:1"))
    assert (failed.reason, failed.retryable) == (Reason.IMAGE_UNAVAILABLE, True)


@row("RIG-image")
def test_references_are_looked_up_and_absent_is_none(backend: Backend) -> None:
    view = look(backend, backends.IMAGE, "lab/nothing:1")
    image_id = view.images[backends.IMAGE]
    assert image_id is not None
    assert view.images["lab/nothing:1"] is None
    details = view.image_details[image_id]
    assert (details.command[0], details.health_check, "PATH" in details.env) == ("/bin/httpd", False, True)


@row("RIG-view")
def test_only_containers_of_ours_by_label_or_name_are_looked_at(backend: Backend) -> None:
    backend.create("somebody-else")
    ours = backend.create("any", Labels={labels.WORKSPACE: "bob"})
    named = backend.create("workspace-carol")
    assert set(look(backend).containers) == {ours, named}


@row("RIG-view")
def test_listening_ports_are_those_inside_the_container(backend: Backend) -> None:
    do(backend, act.create(command=("/bin/httpd", "-f", "-p", "7001", "-h", "/srv")))
    do(backend, act.start(only(backend)))
    backends.until(lambda: only(backend).listening == frozenset({7001}))


@row("RIG-view")
def test_what_does_not_run_has_neither_kernel_limits_nor_ports(backend: Backend) -> None:
    do(backend, act.create())
    container = only(backend)
    assert isinstance(container.kernel_limits, observed.Unseen)
    assert isinstance(container.listening, observed.Unseen)
    assert (container.started_at, container.exit_code, container.pid) == (None, None, 0)


@row("RS2")
def test_a_restart_policy_set_by_hand_is_cleared(backend: Backend) -> None:
    container = running(backend)
    backend.client.update(container.id, {"RestartPolicy": {"Name": "always"}})
    assert only(backend).configuration.restart_policy == "always"
    do(backend, actions.ClearRestartPolicy("alice", container.id, container.name))
    after = only(backend)
    assert (after.configuration.restart_policy, after.pid) == ("no", container.pid)


@row("RIG-network")
def test_a_container_is_attached_to_its_network_again(backend: Backend) -> None:
    do(backend, actions.EnsureNetwork("wharf", backend.world.subnet, inter_container=False))
    container = running(backend)
    connect = actions.ConnectNetwork("alice", container.id, container.name, "wharf")
    do(backend, connect)
    do(backend, connect, already=True)
    assert only(backend).configuration.networks == {"bridge", "wharf"}


@row("AP5")
def test_a_frozen_container_is_seen_and_thawed(backend: Backend) -> None:
    container = running(backend)
    backend.call("POST", f"/containers/{container.id}/pause")
    frozen = only(backend)
    assert (frozen.state, frozen.running) == (observed.ContainerState.PAUSED, True)
    do(backend, act.unpause(frozen))
    assert only(backend).state is observed.ContainerState.RUNNING


@row("CT2")
def test_a_start_needs_the_name_and_the_run_that_were_seen(backend: Backend) -> None:
    do(backend, act.create())
    seen = only(backend)
    do(backend, act.rename(seen, "workspace-alice.11111111"))
    assert "another name" in skip(backend, act.start(seen))
    do(backend, act.rename(only(backend), "workspace-alice"))
    do(backend, act.start(seen))
    do(backend, act.stop(only(backend), seconds=1))
    assert "changed" in skip(backend, act.start(seen))


@row("CT2")
def test_a_start_beside_another_one_of_the_workspace_is_not_made(backend: Backend) -> None:
    before = running(backend)
    do(backend, act.rename(before, "workspace-alice.11111111"))
    do(backend, act.create(instance="22" * 16))
    created = next(c for c in look(backend).containers.values() if not c.running)
    assert "another container of the workspace runs" in skip(backend, act.start(created))
    old = next(c for c in look(backend).containers.values() if c.running)
    do(backend, act.stop(old, seconds=1))
    do(backend, act.start(created))


@row("CT2")
def test_a_running_copy_keeps_nothing_from_its_start(backend: Backend) -> None:
    do(backend, act.create("alice"))
    do(backend, actions.CreateContainer("alice", "copy", act.template(), act.create().labels))
    first, copy = sorted(look(backend).containers.values(), key=lambda c: c.name, reverse=True)
    do(backend, actions.StartContainer("other", copy.id, copy.name, act.expected(copy)))
    do(backend, act.start(first))
