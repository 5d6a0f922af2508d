"""A workspace's secrets: from root's files below the secrets directory to the files that its container sees.

Values pass through and are never kept, logged or put into a message. It refuses sources that others than
root could have read or written, and everything that is not a plain file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import pathlib
import stat
from collections.abc import Iterable, Iterator
from typing import Final

from controller.api.conditions import Reason
from controller.model import errors
from controller.model.actions import WriteSecrets
from controller.model.observed import Obstacle
from controller.sources import descents

MAX_BYTES: Final = 1024 * 1024
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_WRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_UNFINISHED: Final = ".unfinished"


class _UnfitError(Exception):
    """A secret's file cannot be used; says which and the remedy, never what it holds."""


@dataclasses.dataclass(frozen=True, slots=True)
class Written:
    """The secrets are in place.

    `digest` is a SHA-256 (hex) over names and values, to tell a rotation; as it could confirm a guessed
    value, it is not for logs. `already` says that every file was there with the same content.
    """

    directory: str
    digest: str
    already: bool


def check_secrets(secrets_dir: str, items: Iterable[tuple[str, str]]) -> Obstacle | None:
    """Why these (name, file) secrets cannot be given to a workspace now, or None. Never raises OSError."""
    try:
        for _, file in items:
            _read(secrets_dir, file)
    except _UnfitError as unfit:
        return Obstacle(Reason.SECRET_UNAVAILABLE, str(unfit))
    return None


def are_stale(action: WriteSecrets, secrets_dir: str, runtime_dir: str) -> bool:
    """Whether writing would change what a running container sees; not if a source cannot be used now."""
    try:
        values = {name: _read(secrets_dir, file) for name, file in action.secrets}
        directory = os.open(directory_of(runtime_dir, action.workspace), _OPEN_DIRECTORY)
    except (_UnfitError, OSError):
        return False
    try:
        written = all(_is_written(directory, name, value, action) for name, value in values.items())
        return not written or {entry.name for entry in os.scandir(directory)} != values.keys()
    except OSError:
        return False
    finally:
        os.close(directory)


def write_secrets(action: WriteSecrets, secrets_dir: str, runtime_dir: str) -> Written:
    """Makes `<runtime_dir>/secrets/<workspace>/` hold exactly the secrets asked for, 0400, its user's.

    Each file is replaced by rename, so that a container bound to the directory sees either value and never
    half of one. All sources are read before anything is written. Raises Terminal(SecretUnavailable) where a
    source cannot be used, Retryable where the directory cannot be written.
    """
    try:
        values = {name: _read(secrets_dir, file) for name, file in action.secrets}
    except _UnfitError as unfit:
        raise errors.Terminal(Reason.SECRET_UNAVAILABLE, str(unfit)) from unfit
    try:
        with _target(runtime_dir, action.workspace) as directory:
            changed = [_write(directory, name, values[name], action) for name in sorted(values)]
            removed = _remove_others(directory, values)
    except OSError as error:
        message = f"the secrets of {action.workspace} could not be written: {error.strerror}"
        raise errors.Retryable(Reason.SECRET_UNAVAILABLE, message) from error
    return Written(
        directory_of(runtime_dir, action.workspace), _digest(values), not any(changed) and not removed
    )


def remove_secrets(runtime_dir: str, workspace: str) -> None:
    """Removes a workspace's secrets and their directory; nothing there is success. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(directory_of(runtime_dir, workspace), _OPEN_DIRECTORY)
        try:
            _remove_others(descriptor, ())
        finally:
            os.close(descriptor)
        pathlib.Path(directory_of(runtime_dir, workspace)).rmdir()


def directory_of(runtime_dir: str, workspace: str) -> str:
    """The directory that is bound at /run/secrets."""
    return f"{runtime_dir}/secrets/{workspace}"


def _read(secrets_dir: str, file: str) -> bytes:
    try:
        parts = descents.components(file)
        with descents.open_parent(secrets_dir, parts[:-1]) as parent:
            descriptor = os.open(parts[-1], _READ, dir_fd=parent)
    except (descents.UnsafeError, descents.MissingError) as unfit:
        raise _UnfitError(f"secret file {file}: {unfit}") from unfit
    except OSError as error:
        raise _UnfitError(f"secret file {secrets_dir}/{file} cannot be opened: {error.strerror}") from error
    try:
        _require_private(os.fstat(descriptor), f"{secrets_dir}/{file}")
        return _content(descriptor)
    except OSError as error:
        raise _UnfitError(f"secret file {secrets_dir}/{file} cannot be read: {error.strerror}") from error
    finally:
        os.close(descriptor)


def _require_private(found: os.stat_result, path: str) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise _UnfitError(f"secret file {path} is not a regular file")
    if found.st_uid not in {0, os.geteuid()}:
        raise _UnfitError(f"secret file {path} belongs to uid {found.st_uid}; run: chown root {path}")
    if found.st_mode & _OTHERS:
        mode = stat.S_IMODE(found.st_mode)
        raise _UnfitError(f"secret file {path} is open to others (mode {mode:04o}); run: chmod 0600 {path}")
    if found.st_nlink > 1:
        raise _UnfitError(f"secret file {path} has a second name (hard link)")
    if found.st_size > MAX_BYTES:
        raise _UnfitError(f"secret file {path} is larger than {MAX_BYTES} bytes")


def _content(descriptor: int) -> bytes:
    content = b""
    while len(content) <= MAX_BYTES and (chunk := os.read(descriptor, MAX_BYTES + 1)):
        content += chunk
    return content


@contextlib.contextmanager
def _target(runtime_dir: str, workspace: str) -> Iterator[int]:
    """The workspace's directory, made where it is missing: root's, so that nobody else can add to it."""
    base = pathlib.Path(runtime_dir)
    base.mkdir(mode=0o755, parents=True, exist_ok=True)
    with descents.open_parent(runtime_dir, ()) as above:
        _make(above, "secrets")
        secrets = os.open("secrets", _OPEN_DIRECTORY, dir_fd=above)
    try:
        _make(secrets, workspace)
        directory = os.open(workspace, _OPEN_DIRECTORY, dir_fd=secrets)
    finally:
        os.close(secrets)
    try:
        yield directory
    finally:
        os.close(directory)


def _make(parent: int, name: str) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o711, dir_fd=parent)
    descriptor = os.open(name, _OPEN_DIRECTORY, dir_fd=parent)
    try:
        os.fchown(descriptor, os.geteuid(), os.getegid())
        os.fchmod(descriptor, 0o711)
    finally:
        os.close(descriptor)


def _write(directory: int, name: str, value: bytes, action: WriteSecrets) -> bool:
    """Puts one file in place; False where it is there already, the same in every respect."""
    if _is_written(directory, name, value, action):
        return False
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_UNFINISHED, dir_fd=directory)
    descriptor = os.open(_UNFINISHED, _WRITE, 0o400, dir_fd=directory)
    try:
        rest = value
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fchmod(descriptor, 0o400)
        os.fchown(descriptor, action.uid, action.gid)
    finally:
        os.close(descriptor)
    os.rename(_UNFINISHED, name, src_dir_fd=directory, dst_dir_fd=directory)
    return True


def _is_written(directory: int, name: str, value: bytes, action: WriteSecrets) -> bool:
    try:
        descriptor = os.open(name, _READ, dir_fd=directory)
    except OSError:
        return False
    try:
        found = os.fstat(descriptor)
        is_ours = stat.S_ISREG(found.st_mode) and (found.st_uid, found.st_gid) == (action.uid, action.gid)
        return is_ours and stat.S_IMODE(found.st_mode) == 0o400 and _content(descriptor) == value  # noqa: PLR2004
    finally:
        os.close(descriptor)


def _remove_others(directory: int, wanted: Iterable[str]) -> bool:
    """Removes every file that is not wanted; True if there was one."""
    stale = sorted(set(os.listdir(directory)) - set(wanted))
    for name in stale:
        os.unlink(name, dir_fd=directory)
    return bool(stale)


def _digest(values: dict[str, bytes]) -> str:
    total = hashlib.sha256()
    for name in sorted(values):
        total.update(hashlib.sha256(name.encode()).digest() + hashlib.sha256(values[name]).digest())
    return total.hexdigest()
