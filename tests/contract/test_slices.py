"""Where an Engine puts a container that names the cgroup above its own, and what becomes of that one."""

import errno
from collections.abc import Iterator
from datetime import timedelta

import pytest

from controller.api.conditions import Reason
from controller.api.config import SliceDriver
from controller.model import actions, errors, observed, outcomes, slicenames
from controller.model.slices import ROOT
from tests.contract import backends
from tests.contract.backends import Backend, row
from tests.support import cgroups, sim_cgroups
from tests.support import dockerd as dockerd_support
from tests.support import engine_actions as act

MIB = 2**20
OWNERS = ("a-b.c@d", "tasks", "n" * 40)


def parent(backend: Backend, owner: str) -> str:
    return slicenames.parent(SliceDriver.CGROUPFS, backend.world.slices, owner)


def look(backend: Backend) -> observed.Container:
    seen = backend.observer().observe(frozenset(), backend.world.now())
    assert isinstance(seen, observed.Seen), seen
    (container,) = seen.value.containers.values()
    return container


@row("A7")
@pytest.mark.parametrize("owner", OWNERS)
def test_a_container_runs_in_the_slice_that_it_was_made_for_whatever_the_owner_is_called(
    backend: Backend, owner: str
) -> None:
    where = parent(backend, owner)
    assert isinstance(backend.executor.execute(act.create(cgroup_parent=where)), outcomes.Succeeded)
    created = look(backend)
    assert created.configuration.cgroup_parent == where
    assert created.configuration.other == ()
    assert isinstance(backend.executor.execute(act.start(created)), outcomes.Succeeded)
    assert backend.world.cgroup(look(backend).pid) == f"{where}/{created.id}"


@row("A7")
def test_without_a_word_a_container_is_where_the_engine_puts_its_own(backend: Backend) -> None:
    assert isinstance(backend.executor.execute(act.create()), outcomes.Succeeded)
    created = look(backend)
    assert created.configuration.cgroup_parent == ""
    backend.client.start(created.id)
    assert backend.world.cgroup(backend.pid(created.id)) == f"{sim_cgroups.OWN}/{created.id}"


@row("A7")
def test_a_slice_that_is_not_there_is_made_by_the_start_and_outlives_the_container(backend: Backend) -> None:
    where = parent(backend, "alice")
    box = backend.create("box", HostConfig={"CgroupParent": where})
    with pytest.raises(FileNotFoundError):
        backend.world.remove_cgroup(where)
    backend.client.start(box)
    with pytest.raises(OSError, match=rf"\[Errno {errno.EBUSY}\]"):
        backend.world.remove_cgroup(where)
    backend.client.stop(box, timedelta(seconds=1))
    backend.client.remove(box)
    backend.world.remove_cgroup(where)


@row("A7")
def test_an_update_leaves_a_container_in_its_slice(backend: Backend) -> None:
    where = parent(backend, "alice")
    box = backend.run("box", HostConfig={"CgroupParent": where})
    before = backend.pid(box)
    backend.client.update(box, {"Memory": 64 * MIB, "MemorySwap": 64 * MIB})
    assert backend.inspect(box)["HostConfig"]["CgroupParent"] == where
    assert backend.world.cgroup(before) == f"{where}/{box}"
    answer = backend.call("POST", f"/containers/{box}/restart", t="0")
    assert answer.status == 204, answer.message
    assert backend.world.cgroup(backend.pid(box)) == f"{where}/{box}"


@row("A7")
@pytest.mark.parametrize("backend", ["dockerd"], indirect=True)
@pytest.mark.parametrize(
    ("limits", "controller", "file", "narrow", "wide"),
    [
        ({"NanoCpus": 800_000_000}, "cpu", "cpu.cfs_quota_us", "50000", "-1"),
        ({"CpusetCpus": "1"}, "cpuset", "cpuset.cpus", "0", "0-1"),
    ],
)
def test_on_version_1_a_start_beyond_its_slice_is_refused_until_that_is_wider(
    backend: Backend, limits: dict[str, object], controller: str, file: str, narrow: str, wide: str
) -> None:
    where = parent(backend, "alice")
    backend.run("first", HostConfig={"CgroupParent": where})
    backend.call("POST", "/containers/first/kill")
    cgroups.write(controller, where, file, narrow)
    box = backend.create("box", HostConfig={"CgroupParent": where, **limits})
    with pytest.raises(errors.Retryable) as refused:
        backend.client.start(box)
    assert refused.value.reason is Reason.REFUSED_BY_ENGINE
    assert file in refused.value.message
    cgroups.write(controller, where, file, wide)
    assert backend.client.start(box)


@row("A7")
def test_an_engine_says_who_makes_its_cgroups(backend: Backend) -> None:
    seen = backend.observer().observe(frozenset(), backend.world.now())
    assert isinstance(seen, observed.Seen)
    assert (seen.value.cgroup_driver, seen.value.cgroup_version) == ("cgroupfs", 1)


@pytest.fixture(params=["sim", "dockerd_systemd"])
def by_systemd(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """An Engine whose cgroups systemd makes."""
    if request.param == "sim":
        world = backends.SimWorld()
        world.engine.cgroup_driver = "systemd"
        yield Backend(world)
        return
    engine: dockerd_support.Dockerd = request.getfixturevalue("engine_systemd")
    real = backends.RealWorld(engine)
    yield Backend(real, newer=True)
    real.carrier.close()


@row("A7")
@pytest.mark.parametrize("wrong", ["/wharf/alice", "wharf-alice", "/wharf.slice/alice"])
def test_with_systemd_a_parent_that_is_no_slice_is_refused_and_says_whose_fault_it_is(
    by_systemd: Backend, wrong: str
) -> None:
    outcome = by_systemd.executor.execute(act.create(cgroup_parent=wrong))
    assert isinstance(outcome, outcomes.Failed)
    assert outcome.message == 'cgroup-parent for systemd cgroup should be a valid slice named as "xxx.slice"'
    assert (outcome.reason, outcome.retryable) == (Reason.LIMIT_UNENFORCEABLE, False)


@row("A7")
@pytest.mark.parametrize("owner", [ROOT, "alice", "a-b", "x@y", "n" * 40])
def test_with_systemd_a_slice_is_taken_by_its_name(by_systemd: Backend, owner: str) -> None:
    named = slicenames.parent(SliceDriver.SYSTEMD, by_systemd.world.slices, owner)
    template = act.template(cgroup_parent=named)
    outcome = by_systemd.executor.execute(actions.CreateContainer("alice", "workspace-alice", template, {}))
    assert isinstance(outcome, outcomes.Succeeded), outcome
    assert by_systemd.inspect("workspace-alice")["HostConfig"]["CgroupParent"] == named
