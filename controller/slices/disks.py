"""Knows which disk a path is on, by the number that the kernel limits IO by, and how disks share themselves.

Refuses to ask a file system that may not answer: the table of mounts tells on which one a path is. Refuses
to limit one disk of several for a file system that lies on all of them. Sources: proc_pid_mountinfo(5),
sysfs(5), and the kernel's admin-guide on cgroup-v2 (IO) and on the BFQ scheduler.
"""

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from controller.slices import reading

SYS: Final = Path("/sys")
_NODES: Final = "/dev"
_MOST_LINKS: Final = 40
_NO_DISK: Final = "0"
"""Major number of file systems that show themselves under a number of their own."""
_OWN: Final = frozenset({"overlay", "tmpfs", "devtmpfs", "ramfs", "rootfs", "zfs"})
"""Kinds of file systems that no other host answers for, though they are on no device of their own."""
_ESCAPES: Final = {"\\040": " ", "\\011": "\t", "\\012": "\n", "\\134": "\\"}


class NoDeviceError(Exception):
    """The message says why a path has no disk that can be limited."""


@dataclass(frozen=True, slots=True)
class _Mount:
    number: str
    kind: str
    source: str

    @property
    def local(self) -> bool:
        """Whether it is answered by this host: on a disk, or one of the kernel's own."""
        on_disk = not self.number.startswith(f"{_NO_DISK}:") or self.source.startswith(_NODES)
        return on_disk or self.kind in _OWN


def device_of(path: str, sys: Path = SYS, proc: Path = Path("/proc")) -> str:
    """Return the number of the whole disk that a path is on, such as `8:0`.

    Raises:
        NoDeviceError: there is none, or several.
    """
    if path.startswith(f"{_NODES}/"):
        return _whole(_node(path), sys)
    mount = _mount_of(path, proc)
    if mount.number.startswith(f"{_NO_DISK}:"):
        return _whole(_source(path, mount, sys), sys)
    return _whole(mount.number, sys)


def sharing_by_bfq(sys: Path = SYS) -> bool:
    """Whether a disk of this host has the scheduler BFQ, which shares it by weight."""
    return any("[bfq]" in (reading.read(f"{disk}/queue/scheduler") or "") for disk in _disks(sys))


def stacked(sys: Path = SYS) -> frozenset[str]:
    """Return the numbers of the devices whose bytes are counted a second time on a disk below."""
    above = (disk for disk in _disks(sys) if disk.name.startswith("loop") or any(disk.glob("slaves/*")))
    return frozenset(reading.read(f"{disk}/dev") or "" for disk in above)


def _disks(sys: Path) -> Iterator[Path]:
    return (sys / "block").glob("*")


def _node(path: str) -> str:
    """Return the number of a node below /dev, which is this host's own."""
    try:
        status = Path(path).stat()
    except OSError as error:
        raise NoDeviceError(f"{path}: {error.strerror}") from error
    if not stat.S_ISBLK(status.st_mode):
        raise NoDeviceError(f"{path} is no disk")
    return f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"


def _source(path: str, mount: _Mount, sys: Path) -> str:
    """Return the device of a file system that shows itself under a number of its own, as btrfs does."""
    if not mount.source.startswith(f"{_NODES}/"):
        raise NoDeviceError(f"{path} is on {mount.kind}, which is on no disk of its own")
    name = Path(os.path.realpath(mount.source)).name
    if mount.kind == "btrfs" and (count := _disks_of_btrfs(name, sys)) > 1:
        raise NoDeviceError(f"{path} is on btrfs over {count} disks")
    return _node(mount.source)


def _mount_of(path: str, proc: Path) -> _Mount:
    """Return the mount that a path is on: links are followed, but none into what may not answer."""
    mounts = _mounts(proc)
    here, links = "/", 0
    parts = path.split("/")
    while parts:
        part = parts.pop(0)
        if part in {"", "."}:
            continue
        then = str(Path(here).parent) if part == ".." else f"{here.rstrip('/')}/{part}"
        if part == ".." or then in mounts or not _at(here, mounts).local:
            here = then
            continue
        target = _link(path, then)
        if target is None:
            here = then
            continue
        links += 1
        if links > _MOST_LINKS:
            raise NoDeviceError(f"{path}: {os.strerror(errno.ELOOP)}")
        here = "/" if target.startswith("/") else here
        parts[:0] = target.split("/")
    return _at(here, mounts)


def _link(path: str, here: str) -> str | None:
    """Return where a link leads; None if it is none."""
    try:
        return str(Path(here).readlink())
    except OSError as error:
        if error.errno == errno.EINVAL:
            return None
        raise NoDeviceError(f"{path}: {error.strerror}") from error


def _at(here: str, mounts: Mapping[str, _Mount]) -> _Mount:
    while here not in mounts and here != "/":
        here = here.rpartition("/")[0] or "/"
    if here not in mounts:
        raise NoDeviceError("no file system is mounted where the controller runs")
    return mounts[here]


def _mounts(proc: Path) -> dict[str, _Mount]:
    """Return what is mounted, by where; of several at one place the last one is seen."""
    found = {}
    try:
        lines = (proc / "self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise NoDeviceError(f"table of mounts: {error.strerror}") from error
    for line in lines:
        left, _, right = line.partition(" - ")
        number, _, point = left.split(" ")[2:5]
        for written, meant in _ESCAPES.items():
            point = point.replace(written, meant)
        kind, source = right.split(" ")[:2]
        found[point] = _Mount(number, kind, source)
    return found


def _disks_of_btrfs(name: str, sys: Path) -> int:
    for devices in (sys / "fs" / "btrfs").glob("*/devices"):
        names = [one.name for one in devices.iterdir()]
        if name in names:
            return len(names)
    return 1


def _whole(number: str, sys: Path) -> str:
    """Return the disk of a partition; limits are of whole disks."""
    folder = sys / "dev" / "block" / number
    if (folder / "partition").exists():
        parent = reading.read(f"{folder.resolve().parent}/dev")
        if parent:
            return parent
    return number
