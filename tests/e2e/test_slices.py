"""What an owner's workspaces use together is held by the kernel, read back, and put right when it is changed.

On version 1 of the cgroups, which the Engine makes by itself; every figure is read from the kernel's files.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import pytest

from deploy.dev import cgroups as places
from tests.support import cgroups, process, sim_cgroups
from tests.support import dockerd as dockerd_support
from tests.support.fleet import Fleet, limits_of

MIB: Final = 2**20
CPU: Final = 10**9
WINDOW: Final = 1.0
"""Seconds over which use of processors is measured, several times."""
WINDOWS: Final = 3
PATIENCE: Final = 15.0
EXCEEDING, HELD = 1.3, 1.05
"""Processors; the host has two at least, the slice one."""
HOLDING: Final = "dd if=/dev/zero of=/dev/shm/held bs=1M count=200 2>/dev/null; exec sleep 600"
HUNGRY: Final = f"(while :; do :; done) & {HOLDING}"
"""Wants a processor, and more memory than it may have where two others are beside it."""
POLICY: Final[dict[str, Any]] = {
    "aggregate": {"cpus": "1", "memory": "400m", "pids": 150},
    "users": {"dan": {"aggregate": {"memory": "300m"}}},
    "classes": {
        "idle": {
            "image": "sample",
            "command": ["sleep", "600"],
            "security": {"runAs": "Image"},
            "resources": {"cpus": "0.5", "memory": "64m", "shm": "16m", "pids": 64},
            "lifecycle": {"stopGrace": "1s"},
        },
        "hungry": {
            "image": "sample",
            "command": ["sh", "-c", HUNGRY],
            "security": {"runAs": "Image"},
            "resources": {"cpus": "0.8", "memory": "256m", "shm": "250m", "pids": 64},
            "lifecycle": {"stopGrace": "0s"},
        },
        "holding": {
            "image": "sample",
            "command": ["sh", "-c", HOLDING],
            "security": {"runAs": "Image"},
            "resources": {"cpus": "0.5", "memory": "256m", "shm": "250m", "pids": 64},
            "lifecycle": {"stopGrace": "0s"},
        },
    },
    "defaultClass": "idle",
}


@dataclass(frozen=True)
class Harbour(Fleet):
    """A host whose owners have slices.

    Attributes:
        cpus, memory: what three hungry workspaces used together before there were any: processors, bytes.
        old: main process of the workspace `old`, which is from then.
    """

    cpus: float
    memory: int
    old: int

    def slice(self, owner: str) -> str:
        """The cgroup of an owner."""
        return f"/{self.site.slices}/{owner}"

    def has(self, owner: str) -> Mapping[str, str]:
        """The limits of an owner's slice, as the kernel tells them."""
        return {file: cgroups.read(where, self.slice(owner), file) for where, file in FILES}

    def cgroup(self, workspace: str) -> str:
        """The cgroup of a workspace's container."""
        return cgroups.path(self.container(workspace)["State"]["Pid"], "memory")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The controller changes nothing meanwhile."""
        assert self.site.wharf("pause", "--reason", "test").code == 0
        try:
            yield
        finally:
            assert self.site.wharf("resume").code == 0

    def goes(self, owner: str) -> None:
        """Returns once an owner has no slice."""
        self.controller.until(lambda: not places.folders(self.slice(owner)), f"the slice of {owner} is gone")

    def holds(self, workspace: str) -> None:
        """Returns once the one container of an owner, of class `holding`, is seen with its memory."""

        def seen() -> bool:
            return bool(self.controller.slices()[workspace].get("use", {}).get("memory", 0) >= 200 * MIB)

        self.controller.until(seen, f"{workspace} holds its memory")
        assert memory(self.cgroup(workspace)) >= 200 * MIB


FILES: Final = (("memory", "memory.limit_in_bytes"), ("cpu", "cpu.cfs_quota_us"), ("pids", "pids.max"))
RIGHT: Final = {"memory.limit_in_bytes": str(400 * MIB), "cpu.cfs_quota_us": "100000", "pids.max": "150"}


def memory(*members: str) -> int:
    """Bytes in use in some cgroups."""
    return sum(int(cgroups.read("memory", one, "memory.usage_in_bytes")) for one in members)


def throttled(cgroup: str) -> int:
    """How many times a cgroup had used up its quota."""
    return int(cgroups.read("cpu", cgroup, "cpu.stat").split("nr_throttled ")[1].split()[0])


def burnt(*members: str) -> float:
    """Processors that some cgroups had in one window."""

    def nanoseconds() -> int:
        return sum(int(cgroups.read("cpuacct", one, "cpuacct.usage")) for one in members)

    begin, before = time.monotonic(), nanoseconds()
    process.until(lambda: time.monotonic() - begin >= WINDOW, "the window is over", step=WINDOW)
    return (nanoseconds() - before) / CPU / (time.monotonic() - begin)


@pytest.fixture(scope="module")
def harbour(dockerd: dockerd_support.Dockerd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harbour]:
    site = process.Site(tmp_path_factory.mktemp("site"), dockerd.base_url, dockerd.free_subnet())
    site.policy(**POLICY)
    try:
        cpus, used, old = _without_slices(site, dockerd)
        site.configure(slices={"root": site.slices, "driver": "Auto"})
        yield Harbour(site, site.run().ready(), dockerd, cpus, used, old)
    finally:
        site.close()
        dockerd.remove_everything()
        dockerd.close_clients()


@contextmanager
def _before_all_others(cgroup: str) -> Iterator[None]:
    """What is in a cgroup gets the host's processors, whoever else wants them meanwhile."""
    before = cgroups.read("cpu", cgroup, "cpu.shares")
    cgroups.write("cpu", cgroup, "cpu.shares", "262144")
    try:
        yield
    finally:
        cgroups.write("cpu", cgroup, "cpu.shares", before)


def _without_slices(site: process.Site, engine: dockerd_support.Dockerd) -> tuple[float, int, int]:
    """What three hungry workspaces of one owner use where nobody makes slices, and what stays from then."""
    site.configure(slices={"root": site.slices, "driver": "None"})
    fleet = Fleet(site, site.run().ready(), engine)
    names = [f"free-{number}" for number in range(3)]
    for name in names:
        site.spec(name, {"owner": "eve", "class": "hungry"})
    old = fleet.up("old")["State"]["Pid"]
    members = []
    for name in names:
        fleet.controller.runs(name)
        members.append(cgroups.path(fleet.container(name)["State"]["Pid"], "memory"))
    seen = [0.0]

    def exceed() -> bool:
        seen.append(burnt(*members))
        return max(seen) > EXCEEDING and memory(*members) > 400 * MIB

    with _before_all_others(sim_cgroups.OWN):
        process.until(exceed, "three of them exceed what a slice would hold them at", PATIENCE)
    used = memory(*members)
    fleet.controller.stop()
    for name in names:
        (site.specs / f"{name}.yaml").unlink()
        fleet.docker.remove_container(f"workspace-{name}", force=True)
    return max(seen), used, old


def test_three_containers_are_held_at_the_slice_of_their_owner_and_another_owner_keeps_what_is_reserved(
    harbour: Harbour,
) -> None:
    """Version 1 guarantees nothing by itself: what holds is that the first one's memory ends at its limit."""
    before = harbour.up("bob", {"class": "holding", "resources": {"memoryReservation": "200m"}})
    harbour.holds("bob")
    for number in range(3):
        harbour.site.spec(f"alice-{number}", {"owner": "alice", "class": "hungry"})
    for number in range(3):
        harbour.controller.runs(f"alice-{number}")
    alice = harbour.slice("alice")
    harbour.controller.until(lambda: memory(alice) > 390 * MIB, "they press against their limit")
    with harbour.paused(), _before_all_others(harbour.slice("")):
        harbour.controller.until(lambda: throttled(alice) > 0, "they want more than one processor")
        before_that = throttled(alice)
        windows = [burnt(alice) for _ in range(WINDOWS)]
        assert throttled(alice) > before_that
    assert harbour.cpus > EXCEEDING
    assert max(windows) < HELD
    most = int(cgroups.read("memory", alice, "memory.max_usage_in_bytes"))
    assert harbour.memory > 400 * MIB >= most
    assert int(cgroups.read("memory", alice, "memory.failcnt")) > 0
    bob = harbour.cgroup("bob")
    assert memory(bob) >= 200 * MIB
    assert "oom_kill 0" in cgroups.read("memory", bob, "memory.oom_control").splitlines()
    assert harbour.container("bob")["State"]["Pid"] == before["State"]["Pid"]
    for number in range(3):
        (harbour.site.specs / f"alice-{number}.yaml").unlink()


def test_a_container_from_before_there_were_slices_runs_on_outside_and_says_so(harbour: Harbour) -> None:
    harbour.controller.runs("old")
    condition = harbour.controller.condition("old", "LimitNotEnforced")
    assert (condition["status"], condition["reason"]) == ("True", "LimitNotEnforced")
    assert harbour.controller.status("old")["drift"] == []
    assert harbour.container("old")["State"]["Pid"] == harbour.old
    assert not cgroups.path(harbour.old, "memory").startswith(harbour.slice(""))


def test_whatever_owners_are_called_their_containers_are_in_their_slices_which_go_with_the_last_one(
    harbour: Harbour,
) -> None:
    owners = {f"called-{number}": owner for number, owner in enumerate(("a-b", "a.b", "x@y", "n" * 40))}
    for name, owner in owners.items():
        harbour.site.spec(name, {"owner": owner})
    for name, owner in owners.items():
        harbour.controller.runs(name)
        made = harbour.container(name)
        assert made["HostConfig"]["CgroupParent"] == harbour.slice(owner)
        for controller, _ in FILES:
            found = cgroups.path(made["State"]["Pid"], controller)
            assert found == f"{harbour.slice(owner)}/{made['Id']}"
        assert harbour.has(owner) == RIGHT
        (harbour.site.specs / f"{name}.yaml").unlink()
    for owner in owners.values():
        harbour.goes(owner)


def test_every_limit_that_is_changed_by_hand_comes_back_and_is_drift(harbour: Harbour) -> None:
    before = harbour.up("carol")
    controller, mark = harbour.controller, harbour.controller.mark()
    counted = drift_of_slices(controller)
    for (where, file), value in zip(FILES, (300 * MIB, 50_000, 20), strict=True):
        cgroups.write(where, harbour.slice("carol"), file, str(value))
    controller.until(lambda: harbour.has("carol") == RIGHT, "all limits are right again")
    for field in ("memory", "cpus", "pids"):
        controller.said("drift_detected", mark, workspace="carol", field=field, **{"drift.kind": "slice"})
    controller.until(
        lambda: controller.metric("workspace_drift", workspace="carol", kind="slice") == 0, "no drift is left"
    )
    assert drift_of_slices(controller) > counted
    assert harbour.container("carol")["State"]["Pid"] == before["State"]["Pid"]


def drift_of_slices(controller: process.Controller) -> float:
    """How many differences of slices were counted so far."""
    return sum(
        value
        for (name, labels), value in controller.metrics().items()
        if name == "drift_detected_total" and dict(labels)["kind"] == "slice"
    )


def test_a_slice_that_was_removed_by_hand_is_made_again_before_anything_starts_in_it(
    harbour: Harbour,
) -> None:
    before = harbour.up("dora")
    with harbour.paused():
        harbour.docker.kill(before["Id"])
        process.until(lambda: not harbour.container("dora")["State"]["Running"], "its container has ended")
        cgroups.remove(harbour.slice("dora"))
        seen = harbour.controller.slices
        harbour.controller.until(lambda: seen()["dora"]["state"] == "Pending", "a look found it gone")
        mark = harbour.controller.mark()
    harbour.controller.said("decision", mark, workspace="dora", reason="SlicePending")
    harbour.controller.runs("dora")
    after = harbour.container("dora")
    assert after["Id"] == before["Id"]
    assert harbour.has("dora") == RIGHT
    assert cgroups.path(after["State"]["Pid"], "memory") == f"{harbour.slice('dora')}/{after['Id']}"


def test_limits_of_a_running_workspace_follow_its_spec_without_a_restart(harbour: Harbour) -> None:
    pid = harbour.up("emil")["State"]["Pid"]
    assert limits_of(pid) == {"memory": 64 * MIB, "cpu": 500, "pids": 64}
    harbour.site.spec("emil", {"resources": {"cpus": "0.25", "memory": "48m", "pids": 32}})
    right = {"memory": 48 * MIB, "cpu": 250, "pids": 32}
    harbour.controller.until(lambda: limits_of(pid) == right, "the kernel has what the spec says")
    harbour.controller.runs("emil")
    assert harbour.container("emil")["State"]["Pid"] == pid


def lowering(harbour: Harbour, name: str) -> list[str]:
    """What a workspace's decision says of limits of memory that wait."""
    notes = harbour.controller.status(name)["decision"].get("notes", [])
    return [str(one["message"]) for one in notes if one["reason"] == "MemoryLowering"]


def test_less_memory_than_is_in_use_follows_when_it_is_free_and_kills_nothing(harbour: Harbour) -> None:
    """Of a container and of its owner's slice at once."""
    before = harbour.up("dan", {"class": "holding"})
    pid = before["State"]["Pid"]
    harbour.holds("dan")
    smaller = {"users": {"dan": {"aggregate": {"memory": "150m"}}}}
    harbour.site.policy(**{**POLICY, **smaller})
    harbour.site.spec("dan", {"class": "holding", "resources": {"memory": "128m"}})
    harbour.controller.until(
        lambda: (
            [one for one in lowering(harbour, "dan") if "128m" in one]
            and [one for one in lowering(harbour, "dan") if "150m" in one]
        ),
        "it is told of both",
    )
    assert limits_of(pid)["memory"] == 256 * MIB
    assert harbour.has("dan")["memory.limit_in_bytes"] == str(300 * MIB)
    (harbour.root("dan") / "dev/shm/held").unlink()
    harbour.controller.until(lambda: limits_of(pid)["memory"] == 128 * MIB, "the container's limit follows")
    harbour.controller.until(
        lambda: harbour.has("dan")["memory.limit_in_bytes"] == str(150 * MIB), "the slice's limit follows"
    )
    harbour.controller.until(lambda: not lowering(harbour, "dan"), "nothing waits any more")
    assert harbour.container("dan")["State"]["Pid"] == pid
