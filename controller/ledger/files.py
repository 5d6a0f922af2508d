"""The state directory beside the ledger's tables: its lock, the claim key, the names of its files.

It refuses to use a key that others can read, to replace one, and to delete anything that it did not write.
"""

import contextlib
import os
import stat
from pathlib import Path
from typing import Final

from controller.api.conditions import Reason
from controller.ledger import lock
from controller.model import errors

KEY_LENGTH: Final = 32
"""Bytes of the claim key."""


def take_directory(path: Path) -> int:
    """Make the state directory if it is missing, and lock it for its one writer; return the open descriptor.

    Raises:
        errors.Retryable: it cannot be made or opened.
        errors.InUse: another controller uses it.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        locked = lock.try_lock(descriptor)
    except OSError as error:
        raise errors.Retryable(Reason.LEDGER_UNAVAILABLE, f"{path}: {error.strerror}") from error
    if not locked:
        os.close(descriptor)
        raise errors.InUse(
            Reason.LEDGER_UNAVAILABLE,
            f"another controller uses {path}; end it, or give this one a stateDir of its own",
        )
    return descriptor


def claim_key(path: Path) -> tuple[bytes, bool]:
    """Return the key at `path`, and whether it was made just now, durably and at once as a whole.

    Raises:
        errors.Retryable: it cannot be read or made.
        errors.Terminal: it is no key, or others than its owner may read it.
    """
    try:
        made = not path.exists()
        if made:
            _make_key(path)
        return read_claim_key(path), made
    except OSError as error:
        raise errors.Retryable(Reason.LEDGER_UNAVAILABLE, f"{path}: {error.strerror}") from error


def read_claim_key(path: Path) -> bytes:
    """Return the key at `path`.

    Raises:
        OSError: it cannot be read.
        errors.Terminal: it is no key, or others than its owner may read it.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        found = os.fstat(descriptor)
        key = os.read(descriptor, KEY_LENGTH + 1)
    finally:
        os.close(descriptor)
    if stat.S_IMODE(found.st_mode) & 0o077 or found.st_uid not in {0, os.geteuid()}:
        raise errors.Terminal(
            Reason.LEDGER_UNAVAILABLE,
            f"others may read {path}, which signs what is ours: chown root {path} && chmod 600 {path}; "
            "if somebody may have read it, remove it and adopt the containers anew",
        )
    if len(key) != KEY_LENGTH:
        raise errors.Terminal(
            Reason.LEDGER_UNAVAILABLE,
            f"{path} does not hold {KEY_LENGTH} bytes: put it back from a backup, or remove it and adopt the "
            "containers anew",
        )
    return key


def _make_key(path: Path) -> None:
    unfinished = path.with_name(path.name + ".part")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, os.urandom(KEY_LENGTH))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    unfinished.rename(path)
    sync_directory(path.parent)


def set_aside(path: Path) -> Path:
    """Rename a database and its companions to the first free `PATH.corrupt-<n>`; return that name.

    Raises:
        errors.Retryable: they cannot be renamed.
    """
    number = 1
    while (aside := path.with_name(f"{path.name}.corrupt-{number}")).exists():
        number += 1
    try:
        for companion in ("-wal", "-shm", ""):
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + companion).rename(aside.with_name(aside.name + companion))
        sync_directory(path.parent)
    except OSError as error:
        message = f"{path} is damaged and cannot be set aside: {error.strerror}"
        raise errors.Retryable(Reason.LEDGER_UNAVAILABLE, message) from error
    return aside


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
