"""Slices in the cgroups of this host: made, limited, read back, changed by hand, and removed."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controller.api.conditions import Reason
from controller.api.config import SliceDriver
from controller.model import slicenames, slices
from controller.model.actions import Expected, LimitCgroup, RemoveSlice, SetSlice
from controller.model.observed import Limits, Seen
from controller.model.outcomes import Failed, Outcome, Skipped, Succeeded
from controller.model.slices import ROOT, UNLIMITED, Question, SliceLimit, SliceLimits, SliceView
from controller.slices import disks, limits, strangers
from controller.slices.room import Room
from deploy.dev import cgroups as places
from tests.support import cgroups

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MIB = 2**20
CONTAINER, OTHER = "c" * 64, "d" * 64
FULL = SliceLimits(
    nano_cpus=1_500_000_000, cpuset="0", cpu_weight=300, memory=400 * MIB, swap=32 * MIB, pids=90
)
BY_HAND: dict[SliceLimit, dict[int, tuple[str, str, str]]] = {
    SliceLimit.CPUS: {1: ("cpu", "cpu.cfs_quota_us", "-1"), 2: ("cpu", "cpu.max", "max 100000")},
    SliceLimit.CPUSET: {1: ("cpuset", "cpuset.cpus", "0-1"), 2: ("cpuset", "cpuset.cpus", "\n")},
    SliceLimit.CPU_WEIGHT: {1: ("cpu", "cpu.shares", "1024"), 2: ("cpu", "cpu.weight", "100")},
    SliceLimit.MEMORY: {
        1: ("memory", "memory.limit_in_bytes", str(416 * MIB)),
        2: ("memory", "memory.max", str(416 * MIB)),
    },
    SliceLimit.SWAP: {
        1: ("memory", "memory.memsw.limit_in_bytes", "-1"),
        2: ("memory", "memory.swap.max", "max"),
    },
    SliceLimit.PIDS: {1: ("pids", "pids.max", "max"), 2: ("pids", "pids.max", "max")},
}
"""Controller, file and text that somebody writes, by version."""


class Host:
    """This host, with slices below a root that nobody else has. Each look is ten seconds after the last."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.room = Room()
        self.now = NOW
        self.running: dict[str, int] = {}

    def look(self) -> SliceView:
        self.now += timedelta(seconds=10)
        question = Question(SliceDriver.CGROUPFS, self.root, frozenset(), dict(self.running))
        found = self.room.observe(question, self.now)
        assert isinstance(found, Seen), found
        return found.value

    def name(self, owner: str) -> str:
        return slicenames.parent(SliceDriver.CGROUPFS, self.root, owner)

    def full(self) -> SliceLimits:
        """Return what this kernel can of many limits."""
        return slices.feasible(FULL, self.look())

    def set(self, owner: str, wanted: SliceLimits) -> Outcome:
        return self.room.execute(SetSlice(SliceDriver.CGROUPFS, owner, self.name(owner), wanted))

    def remove(self, owner: str) -> Outcome:
        return self.room.execute(RemoveSlice(SliceDriver.CGROUPFS, owner, self.name(owner)))

    def file(self, controller: str, owner: str, name: str) -> Path:
        return cgroups.folder(controller, self.name(owner)) / name

    @contextlib.contextmanager
    def inhabitant(self, path: str, script: str = "") -> Iterator[int]:
        """Run a program in the cgroup at that path, in all hierarchies; it says a line when it is there."""
        v2 = "memory" not in places.mounts()
        for place in {*places.mounts().values()}:
            folder = place
            for part in path.strip("/").split("/"):
                folder /= part
                folder.mkdir(exist_ok=True)
                for controller in (folder.parent / "cgroup.controllers").read_text().split() if v2 else ():
                    (folder.parent / "cgroup.subtree_control").write_text(f"+{controller}")
                for name in () if v2 else ("cpuset.cpus", "cpuset.mems"):
                    if (folder / name).exists() and not (folder / name).read_text().strip():
                        (folder / name).write_text((folder.parent / name).read_text())
        procs = [str(folder / "cgroup.procs") for folder in places.folders(path)]
        code = f"for path in {procs}: open(path, 'w').write('0')\n{script}\nprint(flush=True)\ninput()"
        with subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline()
            try:
                yield process.pid
            finally:
                process.kill()

    @contextlib.contextmanager
    def container(self, owner: str, script: str = "", container: str = CONTAINER) -> Iterator[int]:
        with self.inhabitant(f"{self.name(owner)}/{container}", script) as pid:
            self.running[container] = pid
            yield pid
        del self.running[container]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    root = cgroups.root_of(tmp_path)
    try:
        yield Host(root)
    finally:
        places.remove_empty(root)
        assert not places.folders(root)


def differences(host: Host, wanted: SliceLimits) -> tuple[SliceLimit, ...]:
    view = host.look()
    return slices.differing(wanted, view.slices["alice"].limits, view.grain)


def test_limits_are_set_once_and_what_is_changed_by_hand_is_seen_and_set_again(host: Host) -> None:
    view = host.look()
    assert not view.slices
    wanted = slices.feasible(FULL, view)
    made = host.set("alice", wanted)
    assert isinstance(made, Succeeded), made
    assert not made.already
    again = host.set("alice", wanted)
    assert isinstance(again, Succeeded)
    assert again.already
    assert host.look().slices["alice"].limits == wanted
    assert host.look().slices[ROOT].limits == UNLIMITED
    enforced = BY_HAND.keys() - view.cannot.keys()
    assert enforced >= {SliceLimit.CPUS, SliceLimit.MEMORY, SliceLimit.PIDS}
    for limit in sorted(enforced):
        controller, name, text = BY_HAND[limit][view.version]
        file = host.file(controller, "alice", name)
        before = file.read_text()
        file.write_text(text)
        both = {limit, SliceLimit.SWAP} if limit is SliceLimit.MEMORY and view.version == 1 else {limit}
        assert set(differences(host, wanted)) == both, name
        assert isinstance(host.set("alice", wanted), Succeeded)
        assert file.read_text() == before
        assert differences(host, wanted) == ()
    assert isinstance(host.set("alice", UNLIMITED), Succeeded)
    assert host.look().slices["alice"].limits == UNLIMITED


def test_memory_is_raised_and_lowered_together_with_swap(host: Host) -> None:
    for memory, swap in ((64, 0), (256, 64), (32, 300), (16, 0), (None, None), (128, None), (128, 8)):
        wanted = SliceLimits(
            memory=None if memory is None else memory * MIB, swap=None if swap is None else swap * MIB
        )
        assert isinstance(outcome := host.set("alice", wanted), Succeeded), outcome
        assert host.look().slices["alice"].limits == wanted


@pytest.mark.parametrize("asked", [SliceLimits(memory=100 * MIB + 1), SliceLimits(nano_cpus=123_456_789)])
def test_the_kernel_rounds_and_that_is_no_difference(host: Host, asked: SliceLimits) -> None:
    assert isinstance(outcome := host.set("alice", asked), Succeeded), outcome
    assert host.look().slices["alice"].limits != asked
    assert differences(host, asked) == ()
    again = host.set("alice", asked)
    assert isinstance(again, Succeeded)
    assert again.already


def test_each_owner_has_a_slice_of_its_own_however_they_are_called(host: Host) -> None:
    owners = ["a-b", "a.b", "x@y", "a" * 40, "memory.max", "_memory.max", "tasks", "cpu.x", "_a"]
    for number, owner in enumerate(owners, 1):
        assert isinstance(outcome := host.set(owner, SliceLimits(pids=number)), Succeeded), outcome
    found = host.look().slices
    assert found.keys() == {ROOT, *owners}
    assert [found[owner].limits.pids for owner in owners] == [*range(1, len(owners) + 1)]
    assert {found[owner].name for owner in owners} == {host.name(owner) for owner in owners}
    for owner in owners:
        assert isinstance(outcome := host.remove(owner), Succeeded), outcome
    assert host.look().slices.keys() == {ROOT}
    assert isinstance(host.remove(ROOT), Succeeded)
    assert not host.look().slices
    gone = host.remove(ROOT)
    assert isinstance(gone, Succeeded)
    assert gone.already


def test_a_slice_that_something_is_in_stays(host: Host) -> None:
    full = host.full()
    assert isinstance(host.set("alice", full), Succeeded)
    with host.container("alice", "held = bytearray(8 << 20)") as pid:
        view = host.look()
        assert view.slices["alice"].populated
        assert view.slices["alice"].strangers == ()
        assert view.containers[CONTAINER].owner == "alice"
        for found in (view.containers[CONTAINER].use, view.slices["alice"].use):
            assert (found.memory or 0) > 8 * MIB
            assert found.pids == 1
            assert found.cpu_seconds
            assert found.cache is not None
        assert view.containers[CONTAINER].use.oom_kills == 0
        kept = host.remove("alice")
        assert isinstance(kept, Skipped)
        assert "not empty: processes" in kept.message
        assert isinstance(host.remove(ROOT), Skipped)
        os.kill(pid, 0)
        assert host.look().slices["alice"].limits == full
    view = host.look()
    assert not view.slices["alice"].populated
    assert view.containers == {}
    assert isinstance(outcome := host.remove("alice"), Succeeded), outcome
    assert not places.folders(host.name("alice"))


def test_a_slice_that_was_removed_and_made_again_is_looked_at_anew(host: Host) -> None:
    full = host.full()
    assert isinstance(host.set("alice", full), Succeeded)
    assert host.look().slices["alice"].limits == full
    for folder in places.folders(host.name("alice")):
        folder.rmdir()
    assert host.look().slices.keys() == {ROOT}
    for folder in places.folders(host.root):
        (folder / "alice").mkdir()
    assert host.look().slices["alice"].limits.memory is None
    assert isinstance(host.set("alice", full), Succeeded)
    assert host.look().slices["alice"].limits == full


def test_what_is_no_container_of_ours_is_named_once_it_stayed(host: Host) -> None:
    full = host.full()
    assert isinstance(host.set("alice", full), Succeeded)
    inside = f"{host.name('alice')}/{OTHER}"
    with host.container("alice") as own, host.inhabitant(inside), contextlib.ExitStack() as stack:
        named = [f"container {OTHER[:12]}"]
        if host.look().version == 1:  # version 2 lets none in beside cgroups
            pid = stack.enter_context(host.inhabitant(host.name("alice")))
            named.append(f"process {pid} ({Path(f'/proc/{pid}/comm').read_text().strip()})")
            stack.enter_context(host.inhabitant(f"/{host.root}"))
            assert host.look().strangers == ()
        host.look()
        view = host.look()
        assert view.slices["alice"].strangers == tuple(named)
        assert len(view.strangers) == (view.version == 1)
        del host.running[CONTAINER]
        assert f"container {CONTAINER[:12]}" not in host.look().slices["alice"].strangers
        assert f"container {CONTAINER[:12]}" in host.look().slices["alice"].strangers
        host.running[CONTAINER] = own
    assert host.look().slices["alice"].strangers == ()
    assert timedelta(seconds=10) > strangers.PATIENCE


def test_a_limit_of_memory_is_not_written_below_what_is_in_use(host: Host) -> None:
    holds = "held = bytearray(b'x') * (64 << 20)"
    assert isinstance(host.set("alice", SliceLimits(memory=400 * MIB)), Succeeded)
    with host.container("alice", holds) as pid:
        skipped = host.set("alice", SliceLimits(memory=32 * MIB, pids=50))
        assert isinstance(skipped, Skipped), skipped
        assert skipped.message.endswith("of memory are in use, and the limit would be 32m")
        assert host.look().slices["alice"].limits == SliceLimits(memory=400 * MIB)
        own = host.room.execute(limit_of(pid, Limits(memory=32 * MIB)))
        assert isinstance(own, Failed), own
        assert own.reason is Reason.MEMORY_LOWERING
        os.kill(pid, 0)
    assert isinstance(outcome := host.set("alice", SliceLimits(memory=32 * MIB)), Succeeded), outcome


def test_an_empty_slice_is_lowered_whatever_is_left_in_it(host: Host, tmp_path: Path) -> None:
    assert isinstance(host.set("alice", SliceLimits(memory=400 * MIB)), Succeeded)
    with host.container("alice", f"open({str(tmp_path / 'file')!r}, 'wb').write(bytes(32 << 20))"):
        pass
    outcome = host.set("alice", SliceLimits(memory=16 * MIB))
    try:
        disks.device_of(str(tmp_path))
    except disks.NoDeviceError:  # what is in memory alone cannot be written back; version 2 takes the limit
        assert isinstance(outcome, Failed) is (host.look().version == 1), outcome
    else:
        assert isinstance(outcome, Succeeded), outcome
        assert host.look().slices["alice"].limits.memory == 16 * MIB


def limit_of(pid: int, wanted: Limits | None, container: str = CONTAINER) -> LimitCgroup:
    return LimitCgroup("alice", container, "workspace-alice", wanted, None, Expected(True, NOW, pid))


def test_a_container_is_limited_in_its_own_cgroup(host: Host) -> None:
    cpuset = None if SliceLimit.CPUSET in host.look().cannot else "0"
    wanted = Limits(500_000_000, cpuset, 64 * MIB, 16 * MIB, 96 * MIB, 40)
    with host.container("alice") as pid:
        done = host.room.execute(limit_of(pid, wanted))
        assert isinstance(done, Succeeded), done
        assert not done.already
        assert limits.read_limits(pid) == wanted
        again = host.room.execute(limit_of(pid, wanted))
        assert isinstance(again, Succeeded)
        assert again.already
        assert isinstance(host.room.execute(limit_of(pid, None)), Succeeded)
        assert limits.read_limits(pid) == wanted
        assert isinstance(host.room.execute(limit_of(pid, Limits())), Succeeded)
        free = limits.read_limits(pid)
        assert replace(free, cpuset=None, memory_reservation=None) == Limits()
        other = host.room.execute(limit_of(pid, wanted, OTHER))
        assert isinstance(other, Skipped), other
        assert limits.read_limits(pid) == free
    assert isinstance(host.room.execute(limit_of(pid, wanted)), Skipped)


def test_containers_without_processors_of_their_own_follow_their_slice(host: Host) -> None:
    there = SliceLimit.CPUSET not in host.look().cannot
    with host.container("alice") as pid:
        for cpuset in ("1", "0", None, "0", None) if there else ():
            outcome = host.set("alice", SliceLimits(cpuset=cpuset))
            assert isinstance(outcome, Succeeded), outcome
            assert host.look().slices["alice"].limits.cpuset == cpuset
            assert os.sched_getaffinity(pid) == ({int(cpuset)} if cpuset else os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("impossible", "words"),
    [
        (SliceLimits(cpuset="0-4000"), "cpuset: "),
        (SliceLimits(nano_cpus=10**6), "cpus: "),
    ],
)
def test_what_the_kernel_refuses_is_told_with_the_limit_and_the_reason(
    host: Host, impossible: SliceLimits, words: str
) -> None:
    failed = host.set("alice", impossible)
    assert isinstance(failed, Failed)
    assert failed.reason is Reason.SLICE_REFUSED
    assert failed.retryable
    assert failed.message.startswith(words)


def a_path_on_a_disk() -> str:
    for path in (__file__, "/dev/nvme0n1", "/dev/ubda"):
        with contextlib.suppress(disks.NoDeviceError):
            disks.device_of(path)
            return path
    raise AssertionError("this host has no disk")


def test_what_this_kernel_cannot_is_never_called_done(host: Host) -> None:
    cannot = host.look().cannot
    wishes: dict[SliceLimit, Callable[[], SliceLimits]] = {
        SliceLimit.MEMORY_HIGH: lambda: SliceLimits(memory_high=64 * MIB),
        SliceLimit.MEMORY_LOW: lambda: SliceLimits(memory_low=64 * MIB),
        SliceLimit.IO_WEIGHT: lambda: SliceLimits(io_weight=200),
        SliceLimit.IO: lambda: SliceLimits(io=(slices.IoLimit(a_path_on_a_disk(), read=MIB),)),
    }
    for limit, wish in wishes.items():
        outcome = host.set("alice", wish())
        if limit in cannot:
            assert isinstance(outcome, Failed), limit
            assert outcome.message.startswith(f"{limit}: "), limit
        else:
            assert isinstance(outcome, Succeeded), outcome
