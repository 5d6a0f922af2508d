"""What the canary makes of a probe's answers, of probes that do not answer, and of the kernel's tables."""

import errno
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from controller.gpus import canary, canary_places
from controller.model.gpus import Access, AccessState

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FRESH = canary.Run(7, 1234)
NODES = [["nvidia0", 195, 0], ["nvidiactl", 195, 255]]
BOX, OTHER = "ab" * 32, "cd" * 32


def judged(run: canary.Run, outside: list[int], inside: list[int]) -> canary.Run:
    return canary.judge(run, {"nodes": NODES, "outside": outside, "inside": inside, "others": []}, NOW)


@pytest.mark.parametrize(
    ("outside", "inside", "state", "message"),
    [
        ([0, 0], [0, 0], AccessState.OK, ""),
        (
            [0, 0],
            [errno.EPERM, 0],
            AccessState.LOST,
            "/dev/nvidia0 cannot be opened: Operation not permitted",
        ),
        ([0, 0], [errno.EACCES, 0], AccessState.LOST, "/dev/nvidia0 cannot be opened: Permission denied"),
        (
            [errno.ENODEV, 0],
            [errno.ENODEV, 0],
            AccessState.UNKNOWN,
            "not even outside of the container: /dev/nvidia0 cannot be opened: No such device",
        ),
        ([errno.EIO, 0], [errno.EPERM, 0], AccessState.UNKNOWN, None),
        ([errno.EIO, 0], [errno.EPERM, errno.EPERM], AccessState.LOST, None),
        ([0, 0], [errno.EIO, 0], AccessState.UNKNOWN, "/dev/nvidia0 cannot be opened: Input/output error"),
    ],
)
def test_lost_is_what_opens_outside_and_not_inside_any_more(
    outside: list[int], inside: list[int], state: AccessState, message: str | None
) -> None:
    before = judged(FRESH, [0, 0], [0, 0])
    found = judged(before, outside, inside).access
    assert found is not None
    assert (found.state, found.at) == (state, NOW)
    assert message in {None, found.message}


def test_what_never_opened_was_not_given_unless_nothing_ever_opened() -> None:
    one = judged(FRESH, [0, 0], [errno.EPERM, 0])
    none = judged(FRESH, [0, 0], [errno.EPERM, errno.EPERM])
    assert one.access is not None
    assert none.access is not None
    assert (one.access.state, none.access.state) == (AccessState.UNKNOWN, AccessState.LOST)


def test_without_nodes_nothing_can_be_lost_and_a_failed_probe_is_no_loss() -> None:
    nothing: dict[str, list[Any]] = {"nodes": [], "outside": [], "inside": [], "others": []}
    assert canary.judge(FRESH, nothing, NOW).access is None
    failed = canary.judge(judged(FRESH, [0, 0], [0, 0]), {"error": "no such process"}, NOW)
    assert failed.access == Access(AccessState.UNKNOWN, NOW, "no such process")


def test_what_a_container_may_open_is_told_whether_it_has_a_node_of_it_or_not() -> None:
    answer = {"nodes": NODES, "outside": [0, 0], "inside": [0, 0], "others": ["nvidia3", "nvidia2"]}
    found = canary.judge(FRESH, answer, NOW).access
    assert found is not None
    assert found.opens == ("/dev/nvidia0", "/dev/nvidia2", "/dev/nvidia3")


class Tables:
    """A /proc and cgroups as they look to the canary: a process 7 of a container, and this one."""

    def __init__(self, folder: Path, process: str, mounts: str) -> None:
        self.proc = folder / "proc"
        self.cgroups = folder / "cgroups"
        for name, table in (("7", process), ("self", "5:devices:/\n0::/system.slice/w.service\n")):
            (self.proc / name).mkdir(parents=True)
            (self.proc / name / "cgroup").write_text(table)
        (self.proc / "self/mountinfo").write_text(mounts.replace("@", str(self.cgroups)))

    def write(self, path: str, text: str) -> None:
        file = self.cgroups / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def find(self, container_id: str = BOX) -> canary_places.Place:
        return canary_places.find(container_id, 7, self.proc)


V1 = """\
36 31 0:33 / @/devices rw - cgroup cgroup rw,devices
37 31 0:34 / @/freezer rw - cgroup cgroup rw,freezer
"""
V2 = "24 18 0:22 / @ rw - cgroup2 cgroup2 rw\n"
DEVICES = """\
Character devices:
  1 mem
195 nvidia
195 nvidiactl
511 nvidia-uvm

Block devices:
259 nvidia
"""


@pytest.fixture(autouse=True)
def _no_memory() -> Iterator[None]:
    yield
    canary_places._mounts_of.cache_clear()  # noqa: SLF001 - what it read is gone


def test_in_version_1_only_the_devices_hierarchy_is_joined(tmp_path: Path) -> None:
    tables = Tables(tmp_path, f"5:devices:/docker/{BOX}\n6:freezer:/docker/{BOX}\n0::/\n", V1)
    tables.write(f"freezer/docker/{BOX}/freezer.state", "THAWED\n")
    tables.write(f"devices/docker/{BOX}/devices.list", "c 195:0 rwm\n")
    place = tables.find()
    assert place.procs == tables.cgroups / "devices/docker" / BOX / "cgroup.procs"
    assert place.home == tables.cgroups / "devices/cgroup.procs"
    assert place.read_rules() == "c 195:0 rwm\n"
    tables.write(f"freezer/docker/{BOX}/freezer.state", "FROZEN\n")
    with pytest.raises(canary_places.StandsStillError):
        tables.find()


def test_in_version_2_the_process_s_own_cgroup_is_joined(tmp_path: Path) -> None:
    """It may be below the container's: where there are cgroups below, nobody may be above them."""
    scope = f"system.slice/docker-{BOX}.scope/init"
    tables = Tables(tmp_path, f"0::/{scope}\n", V2)
    tables.write(f"{scope}/cgroup.events", "populated 1\nfrozen 0\n")
    place = tables.find()
    assert place.procs == tables.cgroups / scope / "cgroup.procs"
    assert place.home == tables.cgroups / "system.slice/w.service/cgroup.procs"
    assert place.read_rules() == ""
    tables.write(f"{scope}/cgroup.events", "populated 1\nfrozen 1\n")
    with pytest.raises(canary_places.StandsStillError):
        tables.find()


def test_a_process_that_is_another_s_or_gone_is_no_place(tmp_path: Path) -> None:
    tables = Tables(tmp_path, f"0::/system.slice/docker-{BOX}.scope\n", V2)
    with pytest.raises(canary_places.NoPlaceError, match="not the container's"):
        tables.find(OTHER)
    (tables.proc / "7/cgroup").unlink()
    with pytest.raises(canary_places.NoPlaceError, match="No such file"):
        tables.find()


def test_the_driver_s_numbers_are_the_kernel_s(tmp_path: Path) -> None:
    (tmp_path / "devices").write_text(DEVICES)
    assert canary_places.driver_numbers(tmp_path) == (195, 195, 511)
    assert canary_places.driver_numbers(tmp_path / "none") == ()


def test_a_process_is_told_from_a_later_one_with_its_number(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    fields = " ".join(str(number) for number in range(4, 53))
    (tmp_path / "7/stat").write_text(f"7 (a) b (c)) S {fields}\n")
    assert canary_places.began(7, tmp_path) == 22
    assert canary_places.began(8, tmp_path) is None


STUB = """
import json, sys, time
for target in json.load(sys.stdin)["targets"]:
    {word}
    found = {{"nodes": [["nvidia0", 195, 0]], "outside": [0], "inside": [0], "others": []}}
    print(json.dumps({{"id": target["id"], **found}}), flush=True)
"""


class Yard:
    """A canary with another probe, and two processes that are taken for containers'."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.places: dict[str, Any] = {}
        monkeypatch.setattr(canary_places, "find", self._find)
        self.changes = 0
        self.canary = canary.Canary(folder, lambda: NOW, self._changed, probe=folder / "stub.py")
        self.canary.watch({BOX: os.getpid(), OTHER: os.getpid()})

    def _changed(self) -> None:
        self.changes += 1

    def _find(self, container_id: str, _pid: int) -> canary_places.Place:
        rules = self.folder / container_id[:2]
        rules.touch()
        return canary_places.Place(Path("/dev/null"), Path("/dev/null"), rules)

    def probe(self, word: str) -> None:
        (self.folder / "stub.py").write_text(STUB.format(word=word))

    def look(self, moment: float) -> dict[str, Access]:
        self.canary.look(moment)
        return dict(self.canary.access())


@pytest.fixture
def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Yard:
    return Yard(tmp_path, monkeypatch)


def test_a_round_comes_every_ten_seconds_or_when_the_rules_change(yard: Yard) -> None:
    log = yard.folder / "log"
    yard.probe(f"open({str(log)!r}, 'a').write(target['id'][:2])")
    assert {one.state for one in yard.look(100.0).values()} == {AccessState.OK}
    assert log.read_text() == "abcd"
    yard.look(109.0)
    assert log.read_text() == "abcd"
    (yard.folder / "cd").write_text("other rules")
    yard.look(109.0)
    assert log.read_text() == "abcdcd"
    yard.look(110.0)
    assert log.read_text() == "abcdcdab"
    assert yard.changes == 1
    yard.canary.watch({})
    assert yard.look(111.0) == {}
    assert sorted(path.name for path in yard.folder.iterdir()) == ["ab", "cd", "log", "stub.py"]


def test_a_probe_that_hangs_is_left_behind_and_keeps_nobody_else_from_being_tried(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canary, "DEADLINE", 0.3)
    left: list[subprocess.Popen[bytes]] = []
    kill = subprocess.Popen.kill

    def heed_nothing(child: subprocess.Popen[bytes]) -> None:
        """As one that the driver holds."""
        left.append(child)

    monkeypatch.setattr(subprocess.Popen, "kill", heed_nothing)
    yard.probe(f"time.sleep(600) if target['id'] == {BOX!r} else None")
    seen = yard.look(100.0)
    assert {key: one.state for key, one in seen.items()} == {BOX: AccessState.UNKNOWN}
    assert "did not answer within" in seen[BOX].message
    seen = yard.look(102.0)
    assert (seen[BOX].state, seen[OTHER].state) == (AccessState.UNKNOWN, AccessState.OK)
    seen = yard.look(110.0)
    assert (seen[BOX].state, seen[OTHER].state) == (AccessState.UNKNOWN, AccessState.OK)
    (hung,) = left
    kill(hung)
    hung.wait()
    yard.probe("pass")
    assert {one.state for one in yard.look(120.0).values()} == {AccessState.OK}


def test_a_probe_that_fails_says_why_and_what_it_said_before_counts(yard: Yard) -> None:
    yard.probe(f"assert target['id'] != {OTHER!r}, 'no such luck'")
    seen = yard.look(100.0)
    assert seen[BOX].state is AccessState.OK
    assert (seen[OTHER].state, seen[OTHER].message) == (
        AccessState.UNKNOWN,
        "the probe failed: AssertionError: no such luck",
    )


def test_no_more_than_a_few_probes_are_left_hanging(yard: Yard) -> None:
    hanging = [subprocess.Popen(["/bin/sleep", "600"]) for _ in range(canary.MOST_HUNG)]
    yard.canary._hung = {str(number): child for number, child in enumerate(hanging)}  # noqa: SLF001 - as it left them
    yard.probe("pass")
    try:
        seen = yard.look(100.0)
        assert {one.message for one in seen.values()} == {"4 probes hang in the driver"}
        hanging[0].kill()
        hanging[0].wait()
        assert {one.state for one in yard.look(110.0).values()} == {AccessState.OK}
    finally:
        for child in hanging:
            child.kill()
            child.wait()


def test_one_that_never_answers_does_not_stand_before_the_others(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill = subprocess.Popen.kill

    def at_once(child: subprocess.Popen[bytes]) -> None:
        kill(child)
        child.wait()

    monkeypatch.setattr(subprocess.Popen, "kill", at_once)
    yard.probe("pass")
    yard.look(100.0)
    monkeypatch.setattr(canary, "DEADLINE", 0.3)
    log = yard.folder / "log"
    yard.probe(
        f"open({str(log)!r}, 'a').write(target['id'][:2]); time.sleep(600 * (target['id'] == {BOX!r}))"
    )
    for moment, tried in ((110.0, "ab"), (112.0, "abcd"), (122.0, "abcdcdab")):
        seen = yard.look(moment)
        assert (seen[BOX].state, seen[OTHER].state) == (AccessState.UNKNOWN, AccessState.OK)
        assert log.read_text() == tried
    assert yard.changes == 2, "of the others nothing is unknown for its sake"
    yard.probe("pass")
    assert {one.state for one in yard.look(132.0).values()} == {AccessState.OK}


def test_rules_that_change_during_a_trial_are_a_reason_for_another_one(yard: Yard) -> None:
    log = yard.folder / "log"
    yard.probe(f"open({str(yard.folder)!r} + '/' + target['id'][:2], 'a').write('taken')")
    yard.look(100.0)
    yard.probe(f"open({str(log)!r}, 'a').write(target['id'][:2])")
    yard.look(102.0)
    assert log.read_text() == "abcd"
    yard.look(104.0)
    assert log.read_text() == "abcd"


def test_a_defect_ends_one_trial_and_what_was_found_before_does_not_count_for_ever(yard: Yard) -> None:
    yard.probe("pass")
    assert {one.state for one in yard.look(100.0).values()} == {AccessState.OK}
    yard.probe("print('no answer', flush=True)")
    yard.canary.try_once(110.0)
    for one in yard.canary.access().values():
        assert (one.state, one.message.partition(":")[0]) == (AccessState.UNKNOWN, "the trial failed")
    yard.probe("pass")
    yard.canary.try_once(120.0)
    assert {one.state for one in yard.canary.access().values()} == {AccessState.OK}


def test_without_a_place_for_nodes_nothing_is_known(yard: Yard, tmp_path: Path) -> None:
    lost = canary.Canary(tmp_path / "gone", lambda: NOW)
    lost.watch({BOX: os.getpid()})
    lost.look(0.0)
    assert lost.access()[BOX].message.startswith("no probe can be sent: ")
    assert yard.changes == 0


def test_the_probe_answers_for_each_container_even_where_it_cannot_look(tmp_path: Path) -> None:
    procs = tmp_path / "procs"
    way = {"procs": str(procs), "home": str(procs)}
    targets = [
        {"id": "a", "nodes": [["nvidia0", 1, 3], ["nvidia1", 1, 5]], "pid": 0, **way},
        {"id": "b", "nodes": None, "pid": 4194305, **way},
    ]
    dev = tmp_path / "dev"
    (dev / "nvidia-caps").mkdir(parents=True)
    for number, minor in enumerate((3, 7, 8)):
        os.mknod(dev / f"nvidia{number}", stat.S_IFCHR | 0o600, os.makedev(1, minor))
    own = {"dev": str(dev), "directory": str(tmp_path / "own")}
    order = json.dumps({**own, "drivers": [1], "targets": targets})
    told = subprocess.run(
        [sys.executable, "-I", "-S", str(canary.PROBE)],
        input=order,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stderr == ""
    first, second = told.stdout.splitlines()
    assert '"outside": [0, 0], "inside": [0, 0], "others": ["nvidia1", "nvidia2"]' in first
    assert second == '{"id": "b", "error": "/proc/4194305/root: No such file or directory"}'
    assert procs.read_text().isdecimal()
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["1-5"]


@contextmanager
def rooted(root: Path) -> Iterator[int]:
    """Yield the pid of a process that has its root there."""
    code = "import os, sys; os.chroot(sys.argv[1]); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-I", "-S", "-c", code, str(root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.communicate()


def test_what_a_container_makes_in_its_dev_harms_nobody(tmp_path: Path) -> None:
    """Names that no text can hold, what is no device, and a GPU's numbers under another name."""
    host, box = tmp_path / "host", tmp_path / "box/dev"
    for folder, names in ((host, ("nvidia0", "nvidia1")), (box, ("nvidia0", "nvidia-mine"))):
        folder.mkdir(parents=True)
        for name, minor in zip(names, (3, 5), strict=True):
            os.mknod(folder / name, stat.S_IFCHR | 0o600, os.makedev(1, minor))
    for bad in (
        b"nvidia\xff",
        b"nvidia\n1",
        b"nvidia \x1b[1m",
        "nvidi\u00e4".encode(),
        "nvidia\u0661".encode(),
    ):
        os.mknod(os.fsencode(box) + b"/" + bad, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    os.mkfifo(box / "nvidia2")
    (box / "nvidia3").symlink_to("/dev/null")
    (box / "nvidia-caps").symlink_to("/proc")
    with rooted(box.parent) as pid:
        target = {
            "id": "a",
            "nodes": None,
            "pid": pid,
            "procs": str(tmp_path / "p"),
            "home": str(tmp_path / "p"),
        }
        order = {"dev": str(host), "directory": str(tmp_path / "own"), "drivers": [1], "targets": [target]}
        told = subprocess.run(
            [sys.executable, "-I", "-S", str(canary.PROBE)],
            input=json.dumps(order),
            capture_output=True,
            text=True,
            check=True,
        )
    answer = json.loads(told.stdout)
    assert answer["nodes"] == [["nvidia-mine", 1, 5], ["nvidia0", 1, 3]]
    found = canary.judge(FRESH, answer, NOW).access
    assert found is not None
    assert found.opens == ("/dev/nvidia0", "/dev/nvidia1")
