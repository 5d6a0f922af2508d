"""One controller for one Engine, and for one tree of slices: lock files held for life, and who holds them.

It refuses to break a lock, to wait for one and to delete its file: the kernel frees it when its holder ends.
"""

import dataclasses
import errno
import fcntl
import os
import re
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import pydantic

from controller.api.conditions import Reason
from controller.model import errors

_READ_AT_MOST = 65536
_LOCKS = Path("/proc/locks")


@dataclasses.dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock, for the message to those who want it too.

    Attributes:
        epoch: 0 until it is known.
        config: path of its configuration file.
    """

    pid: int
    host: str
    epoch: int
    since: datetime
    config: str


_HOLDER = pydantic.TypeAdapter(Holder)


@dataclasses.dataclass(frozen=True, slots=True)
class Held:
    """The lock is ours until `release`, or until the process ends."""

    path: Path
    _descriptor: int

    def describe(self, holder: Holder) -> None:
        """Say anew who holds it, for example once the epoch is known."""
        _write(self._descriptor, holder)

    def release(self) -> None:
        """Give the lock up; once."""
        os.close(self._descriptor)


@dataclasses.dataclass(frozen=True, slots=True)
class HeldBy:
    """Somebody else has the lock.

    Attributes:
        holder: None while that one has not said who it is.
        what: the lock is of.
    """

    path: Path
    holder: Holder | None
    what: str = "this Engine"

    def __str__(self) -> str:
        """A sentence for those who wanted it."""
        holder = self.holder
        if holder is None:
            return f"another controller has {self.what} ({self.path}) and has not said which"
        return (
            f"another controller has {self.what}: process {holder.pid} on {holder.host} since "
            f"{holder.since:%Y-%m-%d %H:%M:%S} UTC, configuration {holder.config or 'default'} ({self.path})"
        )


Answer: TypeAlias = Held | HeldBy


class EngineLock:
    """The lock of one Engine, whatever the configuration of those who want it."""

    what = "this Engine"

    def __init__(self, lock_dir: Path, engine_id: str) -> None:
        self.path = lock_dir / f"wharfinger-{re.sub(r'[^A-Za-z0-9:._-]', '_', engine_id)}.lock"

    def acquire(self, holder: Holder) -> Answer:
        """Take the lock without waiting and write down who has it.

        Programs that are started later do not inherit it.

        Raises:
            errors.Terminal: the file cannot be opened or written.
        """
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise _unusable(self.path, error) from error
        if not try_lock(descriptor):
            answer = HeldBy(self.path, _read(descriptor), self.what)
            os.close(descriptor)
            return answer
        try:
            _write(descriptor, holder)
        except OSError as error:
            os.close(descriptor)
            raise _unusable(self.path, error) from error
        return Held(self.path, descriptor)

    def peek(self) -> HeldBy | None:
        """Who has the lock now, without touching it; None where nobody has.

        The kernel's list of locks names the file's inode (proc(5), locks).
        """
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return None
        try:
            inode = f":{os.fstat(descriptor).st_ino}"
            rows = [row.split() for row in _LOCKS.read_text(encoding="ascii").splitlines()]
            held = any("FLOCK" in row and any(cell.endswith(inode) for cell in row) for row in rows)
            return HeldBy(self.path, _read(descriptor), self.what) if held else None
        finally:
            os.close(descriptor)


class SlicesLock(EngineLock):
    """The lock of the slices below one root: all Engines of a host share its cgroups."""

    def __init__(self, lock_dir: Path, root: str) -> None:
        super().__init__(lock_dir, f"slices-{root}")
        self.what = f"the slices below {root}, so that this one needs another slices.root"


def try_lock(descriptor: int) -> bool:
    """Lock an open file or directory for its open description; False if another one has it locked."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno != errno.EWOULDBLOCK:
            raise
        return False
    return True


def _write(descriptor: int, holder: Holder) -> None:
    text = _HOLDER.dump_json(holder) + b"\n"
    os.pwrite(descriptor, text, 0)
    os.ftruncate(descriptor, len(text))


def _read(descriptor: int) -> Holder | None:
    try:
        return _HOLDER.validate_json(os.pread(descriptor, _READ_AT_MOST, 0))
    except pydantic.ValidationError:
        return None


def _unusable(path: Path, error: OSError) -> errors.Terminal:
    return errors.Terminal(
        Reason.LEDGER_UNAVAILABLE,
        f"{path}: {error.strerror}; its directory must exist and the file must be a regular one of this user",
    )
