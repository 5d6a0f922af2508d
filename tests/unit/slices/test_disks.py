"""Which disk a path is on, from files as sysfs and proc have them."""

import os
from pathlib import Path

import pytest

from controller.slices import disks


class Disks:
    """A /sys and a /proc, and a directory that file systems are mounted in."""

    def __init__(self, root: Path) -> None:
        self.root, self.sys, self.proc = root, root / "sys", root / "proc"
        self.mounts: list[str] = []
        (self.proc / "self").mkdir(parents=True)
        (self.sys / "dev/block").mkdir(parents=True)
        self.mount("/", "8:1", "ext4", "/dev/sda1")
        self.mount("/dev", "0:6", "devtmpfs", "devtmpfs")

    def block(self, disk: str, number: str, partition: str = "") -> None:
        folder = self.sys / "devices" / disk / partition
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "dev").write_text(number + "\n")
        if partition:
            (folder / "partition").write_text("1\n")
        (self.sys / "dev/block" / number).symlink_to(folder)

    def mount(self, point: str, number: str, kind: str, source: str) -> None:
        point = point.replace(" ", "\\040")
        self.mounts.append(f"30 22 {number} / {point} rw shared:1 - {kind} {source} rw")
        (self.proc / "self/mountinfo").write_text("\n".join(self.mounts) + "\n")

    def of(self, path: Path | str) -> str:
        return disks.device_of(str(path), self.sys, self.proc)


@pytest.fixture
def host(tmp_path: Path) -> Disks:
    made = Disks(tmp_path)
    made.block("sda", "8:0")
    made.block("sda", "8:1", "sda1")
    made.block("dm-0", "253:0")
    return made


@pytest.mark.parametrize(
    ("number", "disk"), [("8:1", "8:0"), ("8:0", "8:0"), ("253:0", "253:0"), ("259:7", "259:7")]
)
def test_limits_are_of_the_whole_disk(host: Disks, number: str, disk: str) -> None:
    host.mount(f"{host.root}/a home", number, "ext4", "/dev/whatever")
    (host.root / "a home/alice").mkdir(parents=True)
    assert host.of(host.root / "a home/alice") == disk
    assert host.of(host.root / "a home") == disk
    assert host.of(host.root) == "8:0"


def test_links_are_followed(host: Disks) -> None:
    host.mount(f"{host.root}/data", "253:0", "xfs", "/dev/mapper/data")
    (host.root / "data/homes").mkdir(parents=True)
    (host.root / "data/up").symlink_to("..")
    (host.root / "home").symlink_to(host.root / "data/./homes")
    (host.root / "relative").symlink_to("data/homes")
    (host.root / "loop").symlink_to("loop")
    assert host.of(host.root / "home") == host.of(host.root / "relative") == "253:0"
    assert host.of(host.root / "data/up") == host.of(host.root / "data/..") == "8:0"
    for path, words in (("loop", "Too many levels"), ("none", "No such file")):
        with pytest.raises(disks.NoDeviceError, match=words):
            host.of(host.root / path)


def test_a_node_is_the_disk_that_it_stands_for(host: Disks, monkeypatch: pytest.MonkeyPatch) -> None:
    node = os.stat_result((0o060600, 1, 6, 1, 0, 0, 0, 0, 0, 0), {"st_rdev": os.makedev(8, 1)})
    monkeypatch.setattr(Path, "stat", lambda _: node)
    assert disks._node("/dev/sda1") == "8:1"
    monkeypatch.undo()
    with pytest.raises(disks.NoDeviceError, match="/dev/null is no disk"):
        host.of("/dev/null")


def test_a_file_system_that_may_not_answer_is_not_asked(host: Disks, monkeypatch: pytest.MonkeyPatch) -> None:
    host.mount(f"{host.root}/srv", "0:40", "nfs4", "server:/export")
    asked, link = [], Path.readlink

    def readlink(path: Path) -> Path:
        asked.append(str(path))
        return link(path)

    monkeypatch.setattr(Path, "readlink", readlink)
    with pytest.raises(disks.NoDeviceError, match="is on nfs4, which is on no disk of its own"):
        host.of(host.root / "srv/homes/alice")
    assert asked
    assert not [path for path in asked if path.startswith(f"{host.root}/srv")]


def test_btrfs_has_the_disk_that_it_was_mounted_from_if_there_is_one_alone(
    host: Disks, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.mount(f"{host.root}/home", "0:41", "btrfs", "/dev/sda1")
    monkeypatch.setattr(disks, "_node", lambda path: {"/dev/sda1": "8:1"}[path])
    devices = host.sys / "fs/btrfs/uuid/devices"
    (devices / "sda1").mkdir(parents=True)
    assert host.of(host.root / "home") == "8:0"
    (devices / "sdb1").mkdir()
    with pytest.raises(disks.NoDeviceError, match="is on btrfs over 2 disks"):
        host.of(host.root / "home")


def test_disks_above_others_are_known(host: Disks) -> None:
    for name, number in (("sda", "8:0"), ("dm-0", "253:0"), ("loop3", "7:3")):
        (host.sys / "block" / name).mkdir(parents=True)
        (host.sys / "block" / name / "dev").write_text(number + "\n")
    (host.sys / "block/sda/slaves").mkdir()
    (host.sys / "block/dm-0/slaves/sda").mkdir(parents=True)
    assert disks.stacked(host.sys) == {"253:0", "7:3"}
    assert disks.stacked(host.root / "nothing") == frozenset()
