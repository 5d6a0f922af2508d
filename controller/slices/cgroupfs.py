"""Makes and removes cgroups as folders, in all hierarchies that the kernel has.

Refuses to remove one that something is in: the kernel does, and nothing is moved out of it.
"""

import contextlib
import errno
import os
from pathlib import Path
from typing import Final

from controller.api.conditions import Reason
from controller.model import errors
from controller.slices import cpusets, kernel, reading
from controller.slices.groups import CONTROLLERS, Group
from controller.slices.reading import GONE

_STAYS: Final = frozenset({errno.EBUSY, errno.ENOTEMPTY})
_MODE: Final = 0o755
"""Whatever our umask: those who watch the host may look."""
_WISHED: Final = "io"
"""A controller of whose limits none is hard."""


def make(top: Group, path: str) -> Group:
    """Make the cgroup at a path below `top`, those between them first. One that is there is left as it is.

    Raises:
        OSError: the kernel refuses it.
        errors.Retryable: version 2 hands a controller on to nobody there.
    """
    group = top
    for name in filter(None, path.split("/")):
        hand_on(group)
        group = Group(group.version, {of: f"{folder}/{name}" for of, folder in group.folders.items()})
        for controller, folder in group.folders.items():
            with contextlib.suppress(FileExistsError):
                Path(folder).mkdir()
                Path(folder).chmod(_MODE)
            if group.version == 1:
                _prepare_v1(controller, folder)
    return group


def hand_on(group: Group) -> None:
    """Let the cgroups below this one have its controllers; in version 1 they have.

    Raises:
        OSError: one is refused, when all others are handed on. That of IO alone is a wish.
    """
    if group.version == 1:
        return
    folder = group.folders[CONTROLLERS[0]]
    offered = (reading.read(f"{folder}/cgroup.controllers") or "").split()
    switch = f"{folder}/cgroup.subtree_control"
    handed_on = (reading.read(switch) or "").split()
    refused = None
    for controller in CONTROLLERS:
        name = kernel.NAMES_V2.get(controller, controller)
        if name in offered and name not in handed_on:
            try:
                reading.write(switch, f"+{name}")
            except OSError as error:
                refused = refused or (None if name == _WISHED else error)
    if refused is not None:
        raise refused


def remove(folders: list[str], *, deep: bool) -> str:
    """Remove a cgroup from all hierarchies; return what keeps it, in words: empty when it is gone.

    Args:
        folders: where it is, or was.
        deep: with what is below, which nothing is in either.

    Raises:
        OSError: the kernel refuses it for another reason.
    """
    for folder in folders:
        if populated(folder):
            return "processes"
    for folder in folders:
        try:
            if deep:
                _remove_below(folder)
            _rmdir(folder)
        except OSError as error:
            if error.errno not in _STAYS:
                raise
            return f"something in {folder}"
    return ""


def populated(folder: str) -> bool:
    """Whether a process is in a cgroup or below it; one that is not there has none.

    Version 2 says so itself. Where a list cannot be read, something may be on it.
    """
    told = reading.table(reading.read(f"{folder}/cgroup.events")).get("populated")
    if told is not None:
        return told > 0
    left = [folder]
    while left:
        here = left.pop()
        try:
            if reading.read(f"{here}/cgroup.procs"):
                return True
            left += children(here)
        except OSError:
            return True
    return False


def children(folder: str) -> list[str]:
    """Return the folders right below one; none if it is not there."""
    try:
        with os.scandir(folder) as entries:
            return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError as error:
        if error.errno in GONE:
            return []
        raise


def _remove_below(folder: str) -> None:
    found = [folder]
    for here in found:
        found += children(here)
    for here in reversed(found[1:]):
        _rmdir(here)


def _rmdir(folder: str) -> None:
    """Remove a folder. On what is mounted read-only the kernel refuses that also of what is not there."""
    try:
        Path(folder).rmdir()
    except OSError as error:
        if error.errno not in GONE and Path(folder).exists():
            raise


def _prepare_v1(controller: str, folder: str) -> None:
    if controller == "cpuset":
        cpusets.fill(folder)
    if controller == "memory" and reading.read(f"{folder}/memory.use_hierarchy") == "0":
        try:
            reading.write(f"{folder}/memory.use_hierarchy", "1")
        except OSError as error:
            message = f"{folder} counts no memory of cgroups below it; remove it while nothing runs in it"
            raise errors.Retryable(Reason.SLICE_REFUSED, message) from error
