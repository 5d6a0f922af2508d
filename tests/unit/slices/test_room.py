"""A look at slices, and what is done to them, on files as both versions have them."""

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controller.api.conditions import Reason
from controller.api.config import SliceDriver
from controller.model import errors, slicenames
from controller.model.actions import Expected, LimitCgroup, RemoveSlice, SetSlice
from controller.model.observed import Limits, Seen, Unseen
from controller.model.outcomes import Failed, Outcome, Skipped, Succeeded
from controller.model.slices import (
    ROOT,
    UNLIMITED,
    IoLimit,
    Question,
    SliceLimit,
    SliceLimits,
    SliceView,
    Use,
)
from controller.slices import reading
from controller.slices.room import Room
from tests.support.cgroup_trees import Tree

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MIB = 2**20
ID = "a" * 64


class Units:
    """A systemd that does as it is told, to the files of a tree or to none."""

    def __init__(self, apply: Callable[[str, SliceLimits], None] = lambda _name, _limits: None) -> None:
        self.apply = apply
        self.there: dict[str, SliceLimits] = {}
        self.inside = ""
        self.away = False

    def ensure(self, name: str, limits: SliceLimits) -> None:
        self.there[name] = limits
        self.apply(name, limits)

    def remove(self, name: str) -> str:
        if not self.inside:
            self.there.pop(name, None)
        return self.inside

    def path(self, name: str) -> str | None:
        if self.away:
            raise errors.Retryable(Reason.SLICE_REFUSED, "no systemd is on the bus")
        return f"/{name}" if name in self.there else None


class Host:
    def __init__(self, tree: Tree, driver: SliceDriver, units: Units | None = None) -> None:
        self.tree = tree
        self.driver = driver
        self.units = units
        self.room = Room(tree.proc, tree.sys, units)
        self.running: dict[str, int] = {}
        self.paths: frozenset[str] = frozenset()

    def name(self, owner: str) -> str:
        return slicenames.parent(self.driver, "wharf", owner)

    def path(self, owner: str) -> str:
        if self.driver is SliceDriver.CGROUPFS or owner == ROOT:
            return f"{self.tree.above}/{self.name(owner).lstrip('/')}"
        return f"{self.tree.above}/wharf.slice/{self.name(owner)}"

    def locate(self) -> None:
        """Let a container of somebody else's be seen, which tells where slices are."""
        self.container("zoe", 99, "9" * 64)
        self.look(NOW - 60 * SECOND)

    def container(self, owner: str, pid: int = 7, container: str = ID, **files: str) -> str:
        leaf = f"docker-{container}.scope" if self.driver is SliceDriver.SYSTEMD else container
        self.tree.run(pid, f"{self.path(owner)}/{leaf}", **files)
        self.running[container] = pid
        return f"{self.path(owner)}/{leaf}"

    def observe(self, now: datetime = NOW) -> Seen[SliceView] | Unseen:
        return self.room.observe(Question(self.driver, "wharf", self.paths, dict(self.running)), now)

    def look(self, now: datetime = NOW) -> SliceView:
        found = self.observe(now)
        assert isinstance(found, Seen), found
        return found.value

    def set(self, owner: str, limits: SliceLimits) -> Outcome:
        return self.room.execute(SetSlice(self.driver, owner, self.name(owner), limits))

    def remove(self, owner: str) -> Outcome:
        return self.room.execute(RemoveSlice(self.driver, owner, self.name(owner)))

    def limit(self, limits: Limits | None, high: int | None = None, pid: int = 7, of: str = ID) -> Outcome:
        return self.room.execute(LimitCgroup("alice", of, "w", limits, high, Expected(True, NOW, pid)))


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing follows later where there is no kernel."""
    monkeypatch.setattr("controller.slices.carrying._SETTLES", 0.05)


@pytest.fixture(params=[(1, "Cgroupfs"), (2, "Cgroupfs"), (1, "Systemd"), (2, "Systemd")])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Host:
    version, driver = request.param
    return Host(Tree(tmp_path, version, "/above"), SliceDriver(driver), Units())


def v2(tmp_path: Path, driver: SliceDriver = SliceDriver.CGROUPFS, units: Units | None = None) -> Host:
    return Host(Tree(tmp_path, 2), driver, units)


def test_what_is_there_is_found_where_containers_say_that_it_is(host: Host) -> None:
    for owner in (ROOT, "alice", "a-b"):
        host.tree.add(host.path(owner))
    host.container("alice", memory_usage_in_bytes="1", memory_current="1")
    host.container("nobody", 8, "b" * 64)
    host.tree.run(9, f"/elsewhere/{'c' * 64}")
    host.running["c" * 64] = 9
    host.running["d" * 64] = 10
    view = host.look()
    assert view.driver is host.driver
    assert view.version == host.tree.version
    assert view.slices.keys() == {ROOT, "alice", "a-b", "nobody"}
    assert view.slices["alice"].name == host.name("alice")
    assert view.slices["alice"].limits == UNLIMITED
    owned = {one: found.owner for one, found in view.containers.items()}
    assert owned == {ID: "alice", "b" * 64: "nobody", "c" * 64: None}
    assert view.containers[ID].use.memory == 1


def test_without_containers_slices_are_looked_for_below_the_mount(tmp_path: Path) -> None:
    host = v2(tmp_path)
    host.tree.add("/wharf/alice")
    assert host.look().slices.keys() == {ROOT, "alice"}


def test_systemd_s_own_process_tells_what_is_above_its_slices(tmp_path: Path) -> None:
    for number, version in enumerate((1, 2)):
        tree = Tree(tmp_path / str(number), version, "/machine")
        tree.write(tree.proc / "1/cgroup", tree.table("/machine/init.scope"))
        host = Host(tree, SliceDriver.SYSTEMD, Units())
        tree.add(host.path("alice"))
        assert host.look().slices.keys() == {ROOT, "alice"}
        kept = host.remove("alice")
        assert isinstance(kept, Skipped), "files are in the way where there is no kernel"
        assert "/machine/wharf.slice/wharf-alice.slice" in kept.message


def test_use_is_told_as_the_kernel_counts_it(host: Host) -> None:
    host.container("zoe")
    host.tree.add(host.path("alice"))
    host.tree.write(host.tree.file(host.path("alice"), "pids.current"), "3")
    host.tree.disk("dm-0", "253:0", "none")
    host.tree.write(host.tree.sys / "block/dm-0/slaves/sda", "")
    found = host.look().slices["alice"]
    expected = Use(2.5, 1.5, 8192000, 12288, 1024000, 3, 1000, 2000, None)
    if host.tree.version == 2:
        pressure = {"cpu some": 3.0, "cpu full": 1.0, "memory some": 0.5, "io some": 0.25}
        expected = replace(expected, oom_kills=2, pressure=pressure)
    assert found.use == expected
    assert found.populated


def test_what_the_kernel_does_not_tell_is_not_nothing(tmp_path: Path) -> None:
    host = v2(tmp_path)
    host.tree.add("/wharf/alice", {"memory.current": "5"})
    found = host.look().slices["alice"]
    assert found.use == Use(memory=5)
    assert not found.populated
    host.tree.write(host.tree.file("/wharf/alice/x/y", "cgroup.procs"), "4")
    assert host.look(NOW + SECOND).slices["alice"].populated


def test_a_slice_with_a_process_in_one_hierarchy_alone_is_not_empty(tmp_path: Path) -> None:
    host = Host(Tree(tmp_path, 1), SliceDriver.CGROUPFS)
    host.tree.add("/wharf/alice")
    assert not host.look().slices["alice"].populated
    host.tree.write(host.tree.groups / "blkio/wharf/alice/x/cgroup.procs", "7")
    assert host.look(NOW + SECOND).slices["alice"].populated
    kept = host.remove("alice")
    assert isinstance(kept, Skipped)
    assert kept.message.endswith("is not empty: processes")


def test_a_container_with_cgroups_of_its_own_counts_as_a_whole(tmp_path: Path) -> None:
    host = v2(tmp_path)
    path = host.container("alice", memory_high="max")
    host.tree.write(host.tree.file(path, "memory.current"), "77")
    host.tree.write(host.tree.file(path, "memory.high"), "99")
    host.tree.run(7, f"{path}/init.scope")
    found = host.look().containers[ID]
    assert (found.use.memory, found.owner, found.memory_high) == (77, "alice", 99)


def test_a_young_look_is_given_again_unless_something_was_done_or_something_else_is_asked(host: Host) -> None:
    host.tree.add(host.path("alice"))
    first = host.observe()
    assert host.observe(NOW + SECOND / 2) is first
    assert host.observe(NOW + SECOND) is not first
    second = host.observe(NOW + SECOND)
    host.limit(None)
    third = host.observe(NOW + SECOND)
    assert third is not second
    host.paths = frozenset({"/nowhere"})
    assert host.look(NOW + SECOND).no_device.keys() == {"/nowhere"}
    assert host.observe(NOW) is not third


def test_a_host_on_which_nobody_makes_slices_has_none(tmp_path: Path) -> None:
    host = Host(Tree(tmp_path, 2), SliceDriver.NONE)
    assert host.look() == SliceView()


def test_what_cannot_be_read_is_unseen_since_then_and_found_again(tmp_path: Path) -> None:
    host = v2(tmp_path)
    host.tree.add("/wharf/alice")
    host.look()
    host.tree.write(host.tree.file("/wharf/alice", "cpu.max"), "a 5")
    host.tree.write(host.tree.file("/wharf/alice", "cpuset.cpus"), "??")
    unseen = host.observe(NOW + SECOND)
    assert isinstance(unseen, Unseen)
    assert unseen.reason is Reason.NOT_SEEN
    assert "not understood" in unseen.message
    later = host.observe(NOW + 5 * SECOND)
    assert isinstance(later, Unseen)
    assert later.since == NOW + SECOND
    host.tree.write(host.tree.file("/wharf/alice", "cpuset.cpus"), "1-2")
    assert host.look(NOW + 6 * SECOND).slices["alice"].limits.cpuset == "1-2"


def test_another_root_has_other_owners(tmp_path: Path) -> None:
    host = v2(tmp_path)
    host.container("alice")
    assert host.look().containers[ID].owner == "alice"
    other = host.room.observe(Question(host.driver, "labs", frozenset(), dict(host.running)), NOW)
    assert isinstance(other, Seen)
    assert other.value.containers[ID].owner is None
    assert host.look().containers[ID].owner == "alice"


def test_a_slice_of_threads_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = v2(tmp_path)
    host.tree.add("/wharf/alice")
    read = reading.read

    def refuse(path: str) -> str | None:
        if path.endswith("/alice/cgroup.procs"):
            raise OSError(errno.EOPNOTSUPP, "Operation not supported", path)
        return read(path)

    monkeypatch.setattr(reading, "read", refuse)
    host.look()
    found = host.look(NOW + 5 * SECOND).slices["alice"]
    assert found.strangers == ("processes that cannot be listed",)


def test_a_kernel_that_leaves_out_ends_of_lines_is_understood(tmp_path: Path) -> None:
    host = v2(tmp_path)
    host.tree.add("/wharf/alice")
    host.tree.write(host.tree.file("/wharf/alice", "io.stat"), "7:0 7:1 8:0 rbytes=1 wbytes=2\n8:16")
    found = host.look().slices["alice"].use
    assert (found.io_read, found.io_written) == (1, 2)


def test_without_cgroups_nothing_is_seen_or_done(tmp_path: Path) -> None:
    host = v2(tmp_path)
    host.tree.write(host.tree.proc / "self/mountinfo", "22 27 0:21 / /proc rw - proc proc rw")
    unseen = host.observe()
    assert isinstance(unseen, Unseen)
    assert "no cgroups are mounted" in unseen.message
    failed = host.set("alice", UNLIMITED)
    assert isinstance(failed, Failed)
    assert failed.retryable


def test_all_limits_of_version_2_are_set_and_only_those_that_differ(tmp_path: Path) -> None:
    host = v2(tmp_path)
    host.tree.add("/wharf/alice")
    full = SliceLimits(1_500_000_000, "0,2-3", 50, 400 * MIB, 300 * MIB, 100 * MIB, 0, 90)
    done = host.set("alice", full)
    assert isinstance(done, Succeeded), done
    assert not done.already
    said = {
        "cpu.max": "150000 100000",
        "cpuset.cpus": "0,2-3",
        "cpu.weight": "50",
        "memory.max": str(400 * MIB),
        "memory.high": str(300 * MIB),
        "memory.low": str(100 * MIB),
        "memory.swap.max": "0",
        "pids.max": "90",
    }
    assert {name: host.tree.file("/wharf/alice", name).read_text() for name in said} == said
    assert host.look().slices["alice"].limits == full
    again = host.set("alice", full)
    assert isinstance(again, Succeeded)
    assert again.already
    assert isinstance(host.set("alice", UNLIMITED), Succeeded)
    assert host.look(NOW + SECOND).slices["alice"].limits == UNLIMITED
    assert host.tree.file("/wharf/alice", "cpu.max").read_text() == "max 100000"
    assert host.tree.file("/wharf/alice", "cpuset.cpus").read_text() == "0-3"


def test_a_controller_that_is_not_handed_on_keeps_no_other_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, write = v2(tmp_path), reading.write
    refused, asked = {"+io"}, []

    def refuse(path: str, text: str) -> None:
        asked.append(text)
        if text in refused:
            raise OSError(errno.EBUSY, "Device or resource busy", path)
        write(path, text)

    monkeypatch.setattr(reading, "write", refuse)
    host.tree.add("/wharf/alice")
    assert isinstance(done := host.set("alice", SliceLimits(pids=5)), Succeeded), done
    assert {"+cpu", "+cpuset", "+memory", "+pids", "+io"} <= {*asked}
    refused.add("+cpu")
    failed = host.set("alice", SliceLimits(pids=6))
    assert isinstance(failed, Skipped | Failed)
    assert asked[-1] == "+io"


def test_controllers_are_handed_on_from_above(tmp_path: Path) -> None:
    host = v2(tmp_path)
    host.tree.add("/wharf/alice")
    host.tree.file("/", "cgroup.subtree_control").write_text("cpuset cpu io pids")
    host.tree.file("/wharf", "cgroup.controllers").write_text("memory")
    host.tree.file("/wharf", "cgroup.subtree_control").write_text("")
    host.set("alice", SliceLimits(pids=5))
    assert host.tree.file("/", "cgroup.subtree_control").read_text() == "+memory"
    assert host.tree.file("/wharf", "cgroup.subtree_control").read_text() == "+memory"


def test_memory_in_use_is_not_cut_off_where_something_runs(host: Host) -> None:
    host.locate()
    host.tree.add(host.path("alice"))
    skipped = host.set("alice", SliceLimits(memory=MIB))
    assert not isinstance(skipped, Skipped), "nothing runs"
    host.tree.write(host.tree.file(host.path("alice"), "pids.current"), "1")
    for name in ("memory.limit_in_bytes", "memory.max"):
        if host.tree.file(host.path("alice"), name).exists():
            host.tree.write(host.tree.file(host.path("alice"), name), str(64 * MIB))
    skipped = host.set("alice", SliceLimits(memory=MIB))
    assert isinstance(skipped, Skipped), skipped
    assert skipped.message == "7m of memory are in use, and the limit would be 1m"
    name = "memory.usage_in_bytes" if host.tree.version == 1 else "memory.current"
    host.tree.write(host.tree.file(host.path("alice"), name), str(MIB + 12287))
    assert isinstance(host.set("alice", SliceLimits(memory=MIB)), Skipped) is (host.tree.version == 2)


def test_a_container_of_version_2_is_limited_by_hand(tmp_path: Path) -> None:
    host = v2(tmp_path)
    path = host.container("alice")
    wanted = Limits(500_000_000, "0", 64 * MIB, 16 * MIB, 96 * MIB, 40)
    assert isinstance(done := host.limit(wanted, 60 * MIB), Succeeded), done
    names = (
        "cpu.max",
        "cpuset.cpus",
        "memory.max",
        "memory.low",
        "memory.swap.max",
        "memory.high",
        "pids.max",
    )
    said = [host.tree.file(path, name).read_text() for name in names]
    numbers = (64 * MIB, 16 * MIB, 32 * MIB, 60 * MIB, 40)
    assert said == ["50000 100000", "0", *map(str, numbers)]
    again = host.limit(wanted, 60 * MIB)
    assert isinstance(again, Succeeded)
    assert again.already
    assert isinstance(host.limit(None), Succeeded)
    assert host.tree.file(path, "memory.high").read_text() == "max"
    assert host.tree.file(path, "memory.max").read_text() == str(64 * MIB)
    lower = host.limit(Limits(memory=MIB))
    assert isinstance(lower, Failed)
    assert lower.reason is Reason.MEMORY_LOWERING
    assert lower.retryable
    assert host.tree.file(path, "memory.max").read_text() == str(64 * MIB)
    for gone in (host.limit(wanted, of="b" * 64), host.limit(wanted, pid=8)):
        assert isinstance(gone, Skipped)
        assert "not as expected" in gone.message


def test_where_swap_is_not_counted_the_rest_of_a_container_is_limited(tmp_path: Path) -> None:
    host = Host(Tree(tmp_path, 1), SliceDriver.CGROUPFS)
    host.tree.add(host.path("alice"))
    path = host.container("alice")
    host.tree.file(path, "memory.memsw.limit_in_bytes").unlink()
    done = host.limit(Limits(memory=64 * MIB, memory_swap=128 * MIB, pids=10))
    assert isinstance(done, Succeeded), done
    assert host.tree.file(path, "memory.limit_in_bytes").read_text() == str(64 * MIB)


def test_a_hard_limit_that_a_container_s_cgroup_has_no_file_for_is_never_called_done(tmp_path: Path) -> None:
    host = v2(tmp_path)
    path = host.container("alice")
    host.tree.file(path, "memory.max").unlink()
    failed = host.limit(Limits(memory=64 * MIB))
    assert isinstance(failed, Failed)
    assert not failed.retryable
    assert failed.message.startswith("memory: ")
    assert isinstance(host.limit(Limits(pids=5)), Succeeded)


def test_version_1_has_no_reclaim_to_ask_for(tmp_path: Path) -> None:
    host = Host(Tree(tmp_path, 1), SliceDriver.CGROUPFS)
    host.container("alice")
    failed = host.limit(None, MIB)
    assert isinstance(failed, Failed)
    assert not failed.retryable


def test_what_systemd_was_told_must_be_in_the_kernel(tmp_path: Path) -> None:
    units = Units()
    host = v2(tmp_path, SliceDriver.SYSTEMD, units)
    host.tree.add(host.path("alice"))
    units.apply = lambda _, limits: host.tree.write(
        host.tree.file(host.path("alice"), "pids.max"), str(limits.pids)
    )
    done = host.set("alice", SliceLimits(pids=5))
    assert isinstance(done, Succeeded), done
    again = host.set("alice", SliceLimits(pids=5))
    assert isinstance(again, Succeeded)
    assert again.already
    failed = host.set("alice", SliceLimits(pids=5, memory=400 * MIB, nano_cpus=10**9))
    assert isinstance(failed, Failed)
    assert failed.reason is Reason.NOT_APPLIED
    assert failed.message == (
        "cpus: the kernel has unlimited in place of 1; memory: the kernel has unlimited in place of 400m"
    )


def test_systemd_is_told_nodes_of_disks_and_all_processors_in_place_of_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    units = Units()
    host = v2(tmp_path, SliceDriver.SYSTEMD, units)
    host.tree.add(host.path("alice"))
    host.tree.write(host.tree.file(host.path("alice"), "cpuset.cpus"), "1")
    monkeypatch.setattr("controller.slices.disks.device_of", lambda *_: "8:0")
    host.set("alice", SliceLimits(io=(IoLimit("/home", read=5),)))
    told = units.there[host.name("alice")]
    assert told == SliceLimits(cpuset="0-3", io=(IoLimit("/dev/block/8:0", read=5),))
    monkeypatch.undo()
    failed = host.set("alice", SliceLimits(io=(IoLimit("/no/such/path", read=5),)))
    assert isinstance(failed, Failed)
    assert failed.message.startswith("io: /no/such/path: ")
    assert not failed.retryable


def test_what_systemd_finds_in_a_slice_stays(tmp_path: Path) -> None:
    units = Units()
    host = v2(tmp_path, SliceDriver.SYSTEMD, units)
    units.there[host.name("alice")] = UNLIMITED
    units.inside = "docker-1.scope"
    skipped = host.remove("alice")
    assert isinstance(skipped, Skipped)
    assert skipped.message == "wharf-alice.slice is not empty: docker-1.scope"
    units.inside = ""
    done = host.remove("alice")
    assert isinstance(done, Succeeded)
    assert not done.already
    again = host.remove("alice")
    assert isinstance(again, Succeeded)
    assert again.already


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.Retryable(Reason.CHANGED_MEANWHILE, "gone"), Skipped),
        (errors.Retryable(Reason.OUTCOME_UNKNOWN, "late"), Failed),
        (errors.Terminal(Reason.SLICE_REFUSED, "never"), Failed),
    ],
)
def test_errors_of_systemd_become_outcomes(
    tmp_path: Path, error: errors.EffectError, kind: type[Skipped | Failed]
) -> None:
    def refuse(_name: str, _limits: SliceLimits) -> None:
        raise error

    host = v2(tmp_path, SliceDriver.SYSTEMD, Units(refuse))
    host.tree.add(host.path("alice"))
    outcome = host.set("alice", SliceLimits(pids=5))
    assert isinstance(outcome, kind)
    assert outcome.message == error.message
    if isinstance(outcome, Failed):
        assert outcome.retryable is isinstance(error, errors.Retryable)
        assert outcome.unknown is (error.reason is Reason.OUTCOME_UNKNOWN)


def test_strangers_are_named_once_they_stayed(host: Host) -> None:
    host.container("alice")
    other = f"{host.path('alice')}/docker-{'b' * 64}.scope"
    host.tree.run(8, other)
    host.tree.write(host.tree.file(other, "cgroup.procs"), "8")
    host.tree.add(f"{host.path('alice')}/empty")
    host.tree.write(host.tree.file(host.path("alice"), "cgroup.procs"), "8\n9")
    if host.driver is SliceDriver.SYSTEMD:
        host.tree.write(host.tree.file(f"{host.path(ROOT)}/foo.service", "cgroup.procs"), "9")
    assert host.look().slices["alice"].strangers == ()
    view = host.look(NOW + 5 * SECOND)
    assert view.slices["alice"].strangers == (f"container {'b' * 12}", "process 8 (python)", "process 9 (?)")
    assert view.slices[ROOT].strangers == ()
    assert view.strangers == (("cgroup foo.service",) if host.driver is SliceDriver.SYSTEMD else ())


def test_the_message_for_a_limit_that_is_not_held_names_what_was_found(tmp_path: Path) -> None:
    host = Host(Tree(tmp_path, 1), SliceDriver.CGROUPFS)
    failed = host.set("alice", SliceLimits(memory_high=MIB))
    assert isinstance(failed, Failed)
    assert failed.message == f"{SliceLimit.MEMORY_HIGH}: the kernel has unlimited in place of 1m"


def test_whether_limits_can_be_written_is_told_without_a_try(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = Question(host.driver, "wharf")
    assert host.room.writable(question) == ""
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    assert "ProtectControlGroups" in host.room.writable(question)
    if isinstance(host.units, Units):
        host.units.away = True
        assert ("no systemd" in host.room.writable(question)) is (host.driver is SliceDriver.SYSTEMD)
    (host.tree.proc / "self/mountinfo").unlink()
    assert "mountinfo" in Room(host.tree.proc, host.tree.sys, Units()).writable(question)
    assert host.room.writable(Question(SliceDriver.NONE, "wharf")) == ""
