"""Slices as transient units of a real systemd: where they land, what comes back, and what keeps them.

Its cgroups have no controllers: limits are read back from systemd here, and from the kernel in tests/systemd.
"""

import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from controller.api.conditions import Reason
from controller.api.config import SliceDriver
from controller.model import errors, slicenames
from controller.model.actions import RemoveSlice, SetSlice
from controller.model.observed import Seen
from controller.model.outcomes import Skipped, Succeeded
from controller.model.slices import ROOT, UNLIMITED, IoLimit, Question, SliceLimits
from controller.slices import systemd_names, systemd_properties
from controller.slices.bus import Bus
from controller.slices.room import Room
from controller.slices.systemd import Driver
from deploy.dev import host, image, machine
from tests.support.machines import MachineDockerd

WHARF = "wharfs"
OWNERS = ("ann", "ann-b", "a.b@c", "_x", "memory.max", "m" * 40)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
DEADLINE = 20.0
LIMITS = SliceLimits(
    nano_cpus=1_500_000_000,
    cpuset="0-1",
    cpu_weight=50,
    memory=400 << 20,
    memory_high=300 << 20,
    memory_low=100 << 20,
    swap=0,
    pids=99,
    io_weight=7,
    io=(IoLimit("/dev/block/8:0", read=1 << 20, write_ops=30),),
)


def until(condition: Callable[[], object]) -> None:
    assert host.wait_until(lambda: bool(condition()), DEADLINE), "the deadline is over"


def name_of(owner: str) -> str:
    return slicenames.parent(SliceDriver.SYSTEMD, WHARF, owner)


class Units:
    """The machine's slices: our driver, and the machine's own word about what it did."""

    def __init__(self, on: machine.Machine) -> None:
        self.machine = on
        self.bus = Bus((on.bus,))
        self.driver = Driver(self.bus, self.populated)

    def folder(self, name: str) -> Path:
        return self.machine.cgroup / systemd_names.control_group(name).lstrip("/")

    def populated(self, group: str) -> bool:
        return "populated 1" in (self.machine.cgroup / group.lstrip("/") / "cgroup.events").read_text()

    def shown(self, name: str, *properties: str) -> dict[str, str]:
        asked = f"--property={','.join(properties)}"
        lines = self.machine.run(["systemctl", "show", asked, "--", name]).splitlines()
        return dict(line.split("=", 1) for line in lines if line)

    def kept(self, name: str) -> dict[str, Any]:
        """All that systemd was told of limits, as it has it now."""
        (path,) = self.bus.call("GetUnit", "s", (name,))
        names = dict(systemd_properties.of(UNLIMITED))
        return {one: self.bus.unit(path, one, "Slice") for one in names}

    def systemctl(self, *verb: str) -> None:
        self.machine.run(["systemctl", *verb])


def words(limits: SliceLimits) -> dict[str, Any]:
    """What systemd should have after it was told these limits: masks of processors are padded."""
    found = {name: value for name, (_, value) in systemd_properties.of(limits)}
    mask = found["AllowedCPUs"]
    return {**found, "AllowedCPUs": mask.ljust(-len(mask) // 8 * -8, b"\0")}


@pytest.fixture
def units(systemd_machine: machine.Machine) -> Iterator[Units]:
    found = Units(systemd_machine)
    try:
        yield found
    finally:
        found.bus.close()
        found.systemctl("stop", f"{WHARF}*.slice")
        found.systemctl("reset-failed")
        until(lambda: not found.folder(name_of(ROOT)).exists())


@pytest.fixture
def sleeper(units: Units) -> Iterator[Callable[[str, str], None]]:
    """Runs a program as a scope of its own in a slice."""
    started = []

    def start(scope: str, owner: str) -> None:
        argv = ["systemd-run", "--quiet", "--scope", f"--unit={scope}", f"--slice={name_of(owner)}"]
        process = subprocess.Popen(units.machine.command([*argv, "sleep", "60"]))
        started.append(process)
        until(lambda: units.shown(scope, "ActiveState") == {"ActiveState": "active"})

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_each_owners_slice_lands_where_its_name_says_has_its_limits_and_goes(units: Units) -> None:
    for owner in OWNERS:
        units.driver.ensure(name_of(owner), LIMITS)
        assert units.driver.path(name_of(owner)) == systemd_names.control_group(name_of(owner))
        assert units.kept(name_of(owner)) == words(LIMITS)
    folders = {one.name for one in units.folder(name_of(ROOT)).iterdir() if one.is_dir()}
    assert folders == {name_of(owner) for owner in OWNERS}
    for owner in OWNERS:
        assert units.driver.remove(name_of(owner)) == ""
        assert not units.folder(name_of(owner)).exists()
        assert units.driver.path(name_of(owner)) is None
        assert units.driver.remove(name_of(owner)) == "", "that it is gone is no failure"


def test_what_is_changed_by_hand_comes_back_and_reading_the_units_anew_changes_nothing(units: Units) -> None:
    name = name_of("ann")
    units.driver.ensure(name, LIMITS)
    by_hand = (
        "MemoryMax=1G",
        "CPUQuota=20%",
        "TasksMax=7",
        "AllowedCPUs=0",
        "IOReadBandwidthMax=/dev/null 9",
    )
    units.systemctl("set-property", "--runtime", name, *by_hand)
    assert units.kept(name) != words(LIMITS)
    units.driver.ensure(name, LIMITS)
    assert units.kept(name) == words(LIMITS)
    units.systemctl("daemon-reload")
    assert units.kept(name) == words(LIMITS)
    units.driver.ensure(name, UNLIMITED)
    units.systemctl("daemon-reload")
    assert units.kept(name) == words(UNLIMITED)


def test_one_that_was_stopped_by_hand_is_made_again(units: Units) -> None:
    name = name_of("ann")
    units.driver.ensure(name, LIMITS)
    units.systemctl("stop", name)
    until(lambda: not units.folder(name).exists())
    units.driver.ensure(name, LIMITS)
    assert units.folder(name).is_dir()
    assert units.kept(name) == words(LIMITS)


def test_one_that_a_failed_unit_keeps_in_memory_is_made_again(units: Units) -> None:
    name = name_of("ann")
    units.driver.ensure(name, LIMITS)
    units.machine.run(["systemd-run", "--quiet", f"--slice={name}", "--unit=slicefails", "false"])
    until(lambda: units.shown("slicefails", "ActiveState") == {"ActiveState": "failed"})
    assert units.driver.remove(name) == "", "what has ended is not in it"
    units.driver.ensure(name, LIMITS)
    assert units.folder(name).is_dir()
    assert units.kept(name) == words(LIMITS)


def test_one_that_went_after_the_units_were_read_anew_is_there_for_the_next_container(
    units: Units, sleeper: Callable[[str, str], None]
) -> None:
    """With transient units systemd would look for their files for good, and start nothing there."""
    units.driver.ensure(name_of(ROOT), SliceLimits(memory_low=1 << 20))
    units.driver.ensure(name_of("ann"), LIMITS)
    units.systemctl("daemon-reload")
    for owner in ("ann", ROOT):
        assert units.driver.remove(name_of(owner)) == ""
    sleeper("slicenext.scope", "ann")
    assert units.kept(name_of("ann")) == words(UNLIMITED), "nor has it the limits of the last one"


def test_names_of_transient_units_that_systemd_looks_for_in_vain_are_made_usable_again(units: Units) -> None:
    names = ("wharfslost.slice", "wharfslost-ann.slice")  # of this test alone, since it spoils them
    for name in names:
        units.bus.call("StartTransientUnit", "ssa(sv)a(sa(sv))", (name, "fail", [], []))
    units.systemctl("daemon-reload")
    units.systemctl("stop", names[0])  # and what is in it
    for name in names:
        assert units.shown(name, "LoadState") == {"LoadState": "not-found"}
    units.driver.ensure(names[1], LIMITS)
    assert units.kept(names[1]) == words(LIMITS)
    assert units.driver.remove(names[1]) == ""


def test_one_that_something_is_in_stays_and_all_in_it_runs_on(
    units: Units, sleeper: Callable[[str, str], None]
) -> None:
    name = name_of("ann")
    for scope in ("slicea", "sliceb", "slicec", "sliced"):
        sleeper(f"{scope}.scope", "ann")
    inside = units.driver.remove(name)
    assert inside == "slicea.scope, sliceb.scope, slicec.scope and 1 more"
    assert units.driver.remove(name_of(ROOT)) == name
    assert units.shown("slicea.scope", "ActiveState") == {"ActiveState": "active"}


def test_one_that_a_process_of_nobodys_is_in_stays(units: Units) -> None:
    name = name_of("ann")
    units.driver.ensure(name, LIMITS)
    with subprocess.Popen(["sleep", "60"]) as stranger:
        (units.folder(name) / "cgroup.procs").write_text(str(stranger.pid))
        assert units.driver.remove(name) == "processes"
        assert units.shown(name, "ActiveState") == {"ActiveState": "active"}
        stranger.kill()
    assert units.driver.remove(name) == ""


def test_one_that_somebody_masked_is_refused_until_that_is_undone(units: Units) -> None:
    name = name_of("ann")
    units.systemctl("mask", "--runtime", name)
    try:
        with pytest.raises(errors.Terminal, match="somebody masked it") as caught:
            units.driver.ensure(name, LIMITS)
        assert caught.value.reason is Reason.SLICE_REFUSED
    finally:
        units.systemctl("unmask", "--runtime", name)
    units.driver.ensure(name, LIMITS)
    assert units.kept(name) == words(LIMITS)


def test_a_value_that_systemd_does_not_take_is_told_in_its_own_words(units: Units) -> None:
    with pytest.raises(errors.Terminal, match="out of range"):
        units.driver.ensure(name_of("ann"), SliceLimits(cpu_weight=20_000))


def proc_of(engine: MachineDockerd, folder: Path, pids: list[int]) -> Path:
    """A proc file system as a controller in the machine would see it, with the machine's cgroups alone."""
    below = engine.machine.cgroup
    mount = f"30 20 0:26 /{below.name} {below} rw - cgroup2 cgroup2 rw\n"
    (folder / "self").mkdir(parents=True)
    (folder / "self/mountinfo").write_text(mount)
    for name in ("meminfo", "1", *map(str, pids)):
        (folder / name).symlink_to(engine.machine.proc / name)
    return folder


def test_a_container_makes_a_slice_that_is_ours_from_then_on(
    units: Units, engine_systemd: MachineDockerd, tmp_path: Path
) -> None:
    client, name = engine_systemd.client(), name_of("ann-b")
    settings = client.create_host_config(cgroup_parent=name, init=True)
    created = client.create_container(image.name_of("1"), ["sleep", "60"], host_config=settings)
    client.start(created["Id"])
    pid = int(client.inspect_container(created["Id"])["State"]["Pid"])
    room = Room(proc=proc_of(engine_systemd, tmp_path / "proc", [pid]), units=units.driver)
    question = Question(SliceDriver.SYSTEMD, WHARF, running={created["Id"]: pid})

    seen = room.observe(question, NOW)
    assert isinstance(seen, Seen)
    assert {owner: one.populated for owner, one in seen.value.slices.items()} == {ROOT: True, "ann-b": True}
    assert seen.value.containers[created["Id"]].owner == "ann-b"

    units.driver.ensure(name, LIMITS)
    assert units.kept(name) == words(LIMITS)
    scope = f"docker-{created['Id']}.scope"
    units.systemctl("set-property", "--runtime", scope, "MemoryMax=1G")
    units.systemctl("daemon-reload")
    assert units.kept(name) == words(LIMITS)

    remove = RemoveSlice(SliceDriver.SYSTEMD, "ann-b", name)
    kept = room.execute(remove)
    assert isinstance(kept, Skipped)
    assert scope in kept.message
    assert client.inspect_container(created["Id"])["State"]["Running"]

    client.stop(created["Id"], timeout=1)
    until(lambda: isinstance(room.execute(remove), Succeeded))
    assert not units.folder(name).exists()
    client.start(created["Id"])
    assert units.kept(name) == words(UNLIMITED), "the next one of that name has nothing of the last one's"


def test_the_room_makes_and_removes_slices_with_systemd(
    units: Units, engine_systemd: MachineDockerd, tmp_path: Path
) -> None:
    room = Room(proc=proc_of(engine_systemd, tmp_path / "proc", []), units=units.driver)
    question = Question(SliceDriver.SYSTEMD, WHARF)
    name = name_of("a.b@c")
    for already in (False, True):
        made = room.execute(SetSlice(SliceDriver.SYSTEMD, "a.b@c", name, UNLIMITED))
        assert isinstance(made, Succeeded), made
        assert made.already == already
    seen = room.observe(question, NOW)
    assert isinstance(seen, Seen)
    assert (seen.value.version, {*seen.value.slices}) == (2, {ROOT, "a.b@c"})
    for already in (False, True):
        gone = room.execute(RemoveSlice(SliceDriver.SYSTEMD, "a.b@c", name))
        assert isinstance(gone, Succeeded), gone
        assert gone.already == already
