"""Knows which disk a path is on, by the number that the kernel limits IO by, and how disks share themselves.

Refuses to limit one disk of several for a file system that lies on all of them. Sources: sysfs(5), and the
kernel's admin-guide on cgroup-v2 (IO) and on the BFQ scheduler.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from controller.slices import reading

SYS: Final = Path("/sys")
_OCTAL_SPACE: Final = "\\040"


class NoDeviceError(Exception):
    """The message says why a path has no disk that can be limited."""


def device_of(path: str, sys: Path = SYS, proc: Path = Path("/proc")) -> str:
    """Return the number of the whole disk that a path is on, such as `8:0`.

    Raises:
        NoDeviceError: there is none, or several.
    """
    try:
        status = Path(path).stat()
    except OSError as error:
        raise NoDeviceError(f"{path}: {error.strerror}") from error
    number = status.st_rdev if stat.S_ISBLK(status.st_mode) else status.st_dev
    if os.major(number) == 0:
        number = _source(path, f"0:{os.minor(number)}", sys, proc)
    return _whole(number, sys)


def sharing_by_bfq(sys: Path = SYS) -> bool:
    """Whether a disk of this host has the scheduler BFQ, which shares it by weight."""
    return any("[bfq]" in (reading.read(f"{disk}/queue/scheduler") or "") for disk in _disks(sys))


def stacked(sys: Path = SYS) -> frozenset[str]:
    """Return the numbers of the devices whose bytes are counted a second time on a disk below."""
    above = (disk for disk in _disks(sys) if disk.name.startswith("loop") or any(disk.glob("slaves/*")))
    return frozenset(reading.read(f"{disk}/dev") or "" for disk in above)


def _disks(sys: Path) -> Iterator[Path]:
    return (sys / "block").glob("*")


def _source(path: str, number: str, sys: Path, proc: Path) -> int:
    """Return the device of a file system that shows itself under a number of its own, as btrfs does."""
    kind, source = _mount_of(path, number, proc)
    try:
        found = Path(source).stat().st_rdev if source.startswith("/dev/") else 0
    except OSError:
        found = 0
    if not found:
        raise NoDeviceError(f"{path} is on {kind or 'a file system'}, which is on no disk of its own")
    if kind == "btrfs" and (count := _disks_of_btrfs(Path(os.path.realpath(source)).name, sys)) > 1:
        raise NoDeviceError(f"{path} is on btrfs over {count} disks")
    return found


def _mount_of(path: str, number: str, proc: Path) -> tuple[str, str]:
    """Return kind and source of the mount that a path is on."""
    best, found, real = -1, ("", ""), os.path.realpath(path)
    for line in (proc / "self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        left, _, right = line.partition(" - ")
        point = left.split(" ")[4].replace(_OCTAL_SPACE, " ")
        inside = point in ("/", real) or real.startswith(point + "/")
        exact = len(point) + (1 << 20 if left.split(" ")[2] == number else 0)
        if inside and exact >= best:
            kind, source = right.split(" ")[:2]
            best, found = exact, (kind, source)
    return found


def _disks_of_btrfs(name: str, sys: Path) -> int:
    for devices in (sys / "fs" / "btrfs").glob("*/devices"):
        names = [one.name for one in devices.iterdir()]
        if name in names:
            return len(names)
    return 1


def _whole(number: int, sys: Path) -> str:
    """Return the disk of a partition; limits are of whole disks."""
    folder = sys / "dev" / "block" / f"{os.major(number)}:{os.minor(number)}"
    if (folder / "partition").exists():
        parent = reading.read(f"{folder.resolve().parent}/dev")
        if parent:
            return parent
    return f"{os.major(number)}:{os.minor(number)}"
