"""Whether a mount's source may be given to the Engine, and making it where the spec says so.

The Engine takes paths, not descriptors, and follows links: so every directory above a source, up to and
including the mount root, must be such that only root can change it. It refuses to choose roots or owners;
both are arguments.
"""

from __future__ import annotations

import dataclasses
import os
import stat
from collections.abc import Iterable
from typing import Final

from controller.api.conditions import Reason
from controller.model import errors
from controller.model.actions import PrepareMount
from controller.model.observed import MountCheck, Obstacle
from controller.sources import descents

ENGINES: Final = ("/run/docker.sock", "/var/run/docker.sock", "/run/containerd", "/var/run/containerd")
"""Whoever reaches one of these is root on the host."""
_UNSAFE_FLAGS = (("nosuid", os.ST_NOSUID), ("nodev", os.ST_NODEV))


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """One mount as a spec asks for it.

    Attributes:
        source: absolute path on the host.
        create: a missing source is to be made.
        required: without its source the workspace cannot start.
        contained: the source's file system must be mounted `nosuid,nodev`, because root runs in the
            container.
    """

    source: str
    create: bool
    required: bool
    contained: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """A source that may be used: its device and inode, to tell later whether it is still the same."""

    device: int
    inode: int


@dataclasses.dataclass(frozen=True, slots=True)
class Missing:
    """A source that does not exist, below directories that are safe as far as they exist."""

    path: str


def closed(paths: Iterable[str] = ()) -> tuple[str, ...]:
    """Paths that no container may see: these and those of Engines, as written and as they really lie."""
    return tuple(
        dict.fromkeys(
            way for path in (*ENGINES, *paths) for way in (os.path.normpath(path), os.path.realpath(path))
        )
    )


def check_mount(request: Request, roots: Iterable[str], closed_paths: Iterable[str] = ENGINES) -> MountCheck:
    """What a source is: usable, to be made, left out (not required), or an obstacle with its remedy."""
    found = inspect_source(request, roots, closed_paths)
    if isinstance(found, Obstacle):
        return MountCheck(usable=False, obstacle=found)
    if isinstance(found, Found):
        return MountCheck(usable=True)
    if request.create:
        return MountCheck(usable=False, to_create=True)
    if not request.required:
        return MountCheck(usable=False)
    message = f"{found.path} does not exist; make it, mount its file system, or set create: true"
    return MountCheck(usable=False, obstacle=Obstacle(Reason.MOUNT_MISSING, message))


def inspect_source(
    request: Request, roots: Iterable[str], closed_paths: Iterable[str] = ENGINES
) -> Found | Missing | Obstacle:
    """The source as it is now, reached without following any link. Never raises OSError.

    None of the closed paths may be the source, lie in it or hold it, whatever the roots are and wherever
    they lead.
    """
    closed_paths = tuple(closed_paths)
    shown = _shown(request.source, closed_paths) or _shown(os.path.realpath(request.source), closed_paths)
    if shown is not None:
        return shown
    known = tuple(roots)
    root = find_root(request.source, known)
    if root is None:
        among = (
            f"beneath one of {', '.join(known)}" if known else "beneath a mount root, and the policy has none"
        )
        return Obstacle(Reason.MOUNT_OUTSIDE_ROOTS, f"{request.source} does not lie {among} (mountRoots)")
    try:
        return _inspect(request, root)
    except descents.MissingError as missing:
        if missing.depth:
            return Missing(missing.path)
        return Obstacle(Reason.MOUNT_MISSING, f"the mount root {missing.path} does not exist; mount it")
    except descents.UnsafeError as unsafe:
        return Obstacle(Reason.MOUNT_UNSAFE, str(unsafe))
    except OSError as error:
        return Obstacle(Reason.MOUNT_MISSING, f"{request.source} cannot be looked at: {error.strerror}")


def _shown(source: str, closed_paths: Iterable[str]) -> Obstacle | None:
    """An obstacle where a source would show a container what none may see."""
    for path in closed_paths:
        how = "is" if source == path else "holds" if _is_beneath(path, source) else "lies in"
        if how != "lies in" or _is_beneath(source, path):
            message = (
                f"{source} {how} {path}, through which a container could take over the host; name another "
                "directory"
            )
            return Obstacle(Reason.MOUNT_FORBIDDEN, message)
    return None


def _is_beneath(path: str, directory: str) -> bool:
    return path.startswith(directory.rstrip("/") + "/")


def find_root(source: str, roots: Iterable[str]) -> str | None:
    """The longest root that `source` lies beneath (not: is), or None."""
    fitting = [root for root in roots if _is_beneath(source, root)]
    return max(fitting, key=len, default=None)


def prepare_mount(action: PrepareMount, closed_paths: Iterable[str] = ENGINES) -> bool:
    """Checks a source once more and makes what is missing of it; True where nothing had to be made.

    The last directory gets the action's owner and mode 0700; those above it are root's, 0755. Raises
    Terminal where the source is closed, outside the roots, unsafe, or missing and not to be made; Retryable
    for what else the kernel says.
    """
    request = Request(action.source, action.create, required=True, contained=action.nosuid)
    found = inspect_source(request, action.roots, closed_paths)
    if isinstance(found, Missing) and action.create:
        _create(action)
        found = inspect_source(request, action.roots, closed_paths)
        if isinstance(found, Found):
            return False
    if isinstance(found, Missing):
        raise errors.Terminal(Reason.MOUNT_MISSING, f"{found.path} does not exist")
    if isinstance(found, Obstacle):
        raise errors.Terminal(found.reason, found.message)
    return True


def _create(action: PrepareMount) -> None:
    root = find_root(action.source, action.roots) or "/"
    try:
        parts = descents.components(action.source.removeprefix(root.rstrip("/") + "/"))
        for depth in range(len(parts) - 1):
            with descents.open_parent(root, parts[:depth]) as parent:
                _make(parent, parts[depth], 0o755, None)
        with descents.open_parent(root, parts[:-1]) as parent:
            _make(parent, parts[-1], 0o700, (action.uid, action.gid))
    except (descents.UnsafeError, descents.MissingError) as changed:
        message = f"{action.source} changed while it was made: {changed}"
        raise errors.Retryable(Reason.MOUNT_MISSING, message) from changed
    except OSError as error:
        message = f"{action.source} could not be made: {error.strerror}"
        raise errors.Retryable(Reason.MOUNT_MISSING, message) from error


def _inspect(request: Request, root: str) -> Found | Missing | Obstacle:
    parts = descents.components(request.source.removeprefix(root.rstrip("/") + "/"))
    with descents.open_parent(root, parts[:-1]) as parent:
        if request.contained and (flaw := _missing_flags(parent, root)):
            return flaw
        try:
            descriptor = os.open(parts[-1], os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        except FileNotFoundError:
            return Missing(request.source)
    try:
        found = os.fstat(descriptor)
        if not (stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode)):
            kind = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "neither a directory nor a file"
            return Obstacle(Reason.MOUNT_UNSAFE, f"{request.source} is {kind}; name a plain directory")
        if request.contained and (flaw := _missing_flags(descriptor, request.source)):
            return flaw
        return Found(found.st_dev, found.st_ino)
    finally:
        os.close(descriptor)


def _missing_flags(descriptor: int, path: str) -> Obstacle | None:
    """An obstacle where the file system lacks `nosuid` or `nodev`."""
    flags = os.fstatvfs(descriptor).f_flag
    lacking = [name for name, bit in _UNSAFE_FLAGS if not flags & bit]
    if not lacking:
        return None
    message = (
        f"root can run in this container, and the file system of {path} is mounted without "
        f"{', '.join(lacking)}; remount it with nosuid,nodev, or set allowSuidMounts: true in the policy"
    )
    return Obstacle(Reason.MOUNT_UNSAFE, message)


def _make(parent: int, name: str, mode: int, owner: tuple[int, int] | None) -> bool:
    """Makes one directory with exactly this mode and owner; False where there is something of that name.

    It is made under a name of its own and renamed when it is complete, so that a crash leaves none
    half-owned.
    """
    if _exists(parent, name):
        return False
    unfinished = f".{name}.wharf-new"
    if not _exists(parent, unfinished):
        os.mkdir(unfinished, 0o700, dir_fd=parent)
    descriptor = os.open(
        unfinished, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent
    )
    try:
        if owner is not None:
            os.fchown(descriptor, *owner)
        os.fchmod(descriptor, mode)
        os.rename(unfinished, name, src_dir_fd=parent, dst_dir_fd=parent)
    finally:
        os.close(descriptor)
    return True


def _exists(parent: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
