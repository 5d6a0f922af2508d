"""Which disk a path is on, from files as sysfs and proc have them."""

import os
from pathlib import Path

import pytest

from controller.slices import disks


class Disks:
    """A /sys and a /proc for a path whose file system has this number of a device."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.sys, self.proc = root, root / "sys", root / "proc"
        self.numbers: dict[str, tuple[int, int]] = {}
        (self.proc / "self").mkdir(parents=True)
        (self.sys / "dev/block").mkdir(parents=True)
        real = Path.stat

        def stat(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
            told = self.numbers.get(str(path))
            if told is None:
                return real(path, follow_symlinks=follow_symlinks)
            device, node = told
            mode = 0o060600 if node else 0o100600
            return os.stat_result((mode, 1, device, 1, 0, 0, 0, 0, 0, 0), {"st_rdev": node})

        monkeypatch.setattr(Path, "stat", stat)

    def block(self, disk: str, number: str, partition: str = "", of: str = "") -> None:
        folder = self.sys / "devices" / disk / partition
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "dev").write_text(number + "\n")
        if partition:
            (folder / "partition").write_text("1\n")
        (self.sys / "dev/block" / number).symlink_to(folder)

    def put(self, name: str, device: int, node: int = 0) -> str:
        path = self.root / name
        path.touch()
        self.numbers[str(path)] = (device, node)
        return str(path)

    def of(self, path: str) -> str:
        return disks.device_of(path, self.sys, self.proc)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disks:
    made = Disks(tmp_path, monkeypatch)
    made.block("sda", "8:0")
    made.block("sda", "8:1", "sda1")
    made.block("dm-0", "253:0")
    return made


@pytest.mark.parametrize(
    ("device", "disk"),
    [((8, 1), "8:0"), ((8, 0), "8:0"), ((253, 0), "253:0"), ((259, 7), "259:7")],
)
def test_limits_are_of_the_whole_disk(host: Disks, device: tuple[int, int], disk: str) -> None:
    assert host.of(host.put("home", os.makedev(*device))) == disk


def test_a_node_is_the_disk_that_it_stands_for(host: Disks) -> None:
    assert host.of(host.put("node", os.makedev(0, 6), os.makedev(8, 1))) == "8:0"


def mounted(host: Disks, number: str, kind: str, source: str) -> None:
    lines = [
        "22 27 8:1 / / rw - ext4 /dev/sda1 rw",
        f"30 22 {number} / {host.root} rw shared:1 - {kind} {source} rw",
        f"31 22 0:99 / {host.root}/home/below rw - tmpfs tmpfs rw",
    ]
    (host.proc / "self/mountinfo").write_text("\n".join(lines) + "\n")


def test_what_is_on_no_disk_says_on_what_it_is(host: Disks) -> None:
    mounted(host, "0:40", "nfs4", "server:/export")
    with pytest.raises(disks.NoDeviceError, match="is on nfs4, which is on no disk of its own"):
        host.of(host.put("home", os.makedev(0, 40)))


def test_btrfs_has_the_disk_that_it_was_mounted_from_if_there_is_one_alone(host: Disks) -> None:
    mounted(host, "0:41", "btrfs", "/dev/sda1")
    home = host.put("home", os.makedev(0, 42))
    host.numbers["/dev/sda1"] = (os.makedev(0, 6), os.makedev(8, 1))
    devices = host.sys / "fs/btrfs/uuid/devices"
    (devices / "sda1").mkdir(parents=True)
    assert host.of(home) == "8:0"
    (devices / "sdb1").mkdir()
    with pytest.raises(disks.NoDeviceError, match="is on btrfs over 2 disks"):
        host.of(home)


def test_a_path_that_is_not_there_has_none(host: Disks) -> None:
    with pytest.raises(disks.NoDeviceError, match="No such file"):
        host.of("/no/such/path")


def test_disks_above_others_are_known(host: Disks) -> None:
    for name, number in (("sda", "8:0"), ("dm-0", "253:0"), ("loop3", "7:3")):
        (host.sys / "block" / name).mkdir(parents=True)
        (host.sys / "block" / name / "dev").write_text(number + "\n")
    (host.sys / "block/sda/slaves").mkdir()
    (host.sys / "block/dm-0/slaves/sda").mkdir(parents=True)
    assert disks.stacked(host.sys) == {"253:0", "7:3"}
    assert disks.stacked(host.root / "nothing") == frozenset()
