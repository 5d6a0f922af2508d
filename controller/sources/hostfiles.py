"""Knows what can be read of a host's disks before a controller runs: directories, mount roots, clock, timers.

It refuses to judge, to change anything, and to run programs.
"""

import ctypes
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from controller.model.observed import Obstacle
from controller.model.preflight import Place, PruneJob
from controller.sources import mounts

_MOUNTS: Final = Path("/proc/self/mountinfo")
_STA_UNSYNC: Final = 0x40
"""Status bit of adjtimex(2): the clock is not synchronised."""
_TIMEX_BYTES: Final = 512
"""More than struct timex has on any machine."""
_TIMEX_STATUS: Final = 40
"""Offset of `status` in struct timex on 64-bit machines; see <linux/timex.h>."""
_LARGEST_SCRIPT: Final = 256 * 1024
_PRUNE: Final = re.compile(r"\bdocker\b[^#\n;|&]*\bprune\b")
_PROGRAM: Final = re.compile(r"(?<![\w.])/[\w./-]+")
_CRON: Final = ("etc/crontab", "etc/anacrontab", "etc/cron.*/*", "var/spool/cron/*", "var/spool/cron/*/*")
_UNITS: Final = ("etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system")


def look_at(path: Path) -> Place:
    """What a path is, and the file system that holds it or would hold it."""
    try:
        found = path.stat()
    except FileNotFoundError:
        found = None
    except OSError as error:
        return Place(str(path), exists=False, error=error.strerror or str(error))
    holder = path if found else next(above for above in path.parents if above.exists())
    space = os.statvfs(holder)
    return Place(
        path=str(path),
        exists=found is not None,
        is_directory=found is not None and stat.S_ISDIR(found.st_mode),
        uid=found.st_uid if found else 0,
        mode=stat.S_IMODE(found.st_mode) if found else 0,
        file_system=_file_system(holder.resolve()),
        free=space.f_bavail * space.f_frsize,
        used=(space.f_blocks - space.f_bfree) * space.f_frsize,
        size=space.f_blocks * space.f_frsize,
    )


def _file_system(path: Path) -> str:
    """Type of the file system that is mounted nearest above; see proc(5), mountinfo."""
    nearest, kind = "", ""
    for line in _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines():
        place, _, rest = line.partition(" - ")
        mounted = place.split()[4].encode().decode("unicode_escape")
        if len(mounted) >= len(nearest) and path.is_relative_to(mounted):
            nearest, kind = mounted, rest.split()[0]
    return kind


def check_root(root: str) -> tuple[Obstacle | None, Obstacle | None]:
    """What keeps any mount beneath a root from use, and what keeps one from a container with root in it."""
    return _obstacle(root, contained=False), _obstacle(root, contained=True)


def _obstacle(root: str, *, contained: bool) -> Obstacle | None:
    source = f"{root.rstrip('/')}/any"
    request = mounts.Request(source, create=True, required=True, contained=contained)
    return mounts.check_mount(request, (root,)).obstacle


def is_clock_synchronised() -> bool | None:
    """Whether the kernel says so (adjtimex(2)); None where it does not tell."""
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)
    try:
        answer = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    except (OSError, AttributeError):
        return None
    if answer < 0:
        return None
    status = int.from_bytes(buffer.raw[_TIMEX_STATUS : _TIMEX_STATUS + 4], "little")
    return not status & _STA_UNSYNC


def prune_jobs(root: Path) -> tuple[tuple[PruneJob, ...], tuple[str, ...]]:
    """Cron entries and systemd timers below `root` that call `docker … prune`, themselves or by a script.

    The second part names the files that could not be read.
    """
    unread: list[str] = []
    jobs: dict[tuple[str, int], PruneJob] = {}
    for file in sorted({*_cron_files(root), *_timed_services(root, unread)}):
        for job in _jobs(root, file, unread):
            jobs.setdefault((job.file, job.line), job)
    return tuple(jobs.values()), tuple(unread)


def _cron_files(root: Path) -> Iterator[Path]:
    for pattern in _CRON:
        yield from (file for file in root.glob(pattern) if file.is_file())


def _timed_services(root: Path, unread: list[str]) -> Iterator[Path]:
    """The services that timers start."""
    for directory in _UNITS:
        for timer in (root / directory).glob("*.timer"):
            lines = [text.partition("=") for _, text in _lines(timer, unread)]
            named = [value.strip() for key, _, value in lines if key.strip() == "Unit"]
            service = (named or [f"{timer.stem}.service"])[-1]
            yield from (file for place in _UNITS if (file := root / place / service).is_file())


def _jobs(root: Path, file: Path, unread: list[str]) -> Iterator[PruneJob]:
    """The calls in a file, and in the scripts that it names."""
    for number, text in _lines(file, unread):
        if _PRUNE.search(text):
            yield PruneJob(str(file), number, text)
            continue
        for script in _scripts(root, text):
            for below, call in _lines(script, unread):
                if _PRUNE.search(call):
                    yield PruneJob(str(script), below, f"{call} (called by {file}:{number})")


def _scripts(root: Path, text: str) -> Iterator[Path]:
    for named in _PROGRAM.findall(text):
        script = root / named.lstrip("/")
        if script.is_file() and script.stat().st_size <= _LARGEST_SCRIPT:
            with script.open("rb") as stream:
                if stream.read(2) == b"#!":
                    yield script


def _lines(file: Path, unread: list[str]) -> Iterable[tuple[int, str]]:
    """The lines that say something, numbered from 1."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        unread.append(str(file))
        return []
    stripped = ((number, line.strip()) for number, line in enumerate(text.splitlines(), start=1))
    return [(number, line) for number, line in stripped if line and not line.startswith("#")]
