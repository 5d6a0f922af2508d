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
                Path(folder).mkdir(mode=_MODE)
            if group.version == 1:
                _prepare_v1(controller, folder)
    return group


def hand_on(group: Group) -> None:
    """Let the cgroups below this one have its controllers; in version 1 they have."""
    if group.version == 1:
        return
    folder = group.folders[CONTROLLERS[0]]
    offered = (reading.read(f"{folder}/cgroup.controllers") or "").split()
    switch = f"{folder}/cgroup.subtree_control"
    handed_on = (reading.read(switch) or "").split()
    for controller in CONTROLLERS:
        name = kernel.NAMES_V2.get(controller, controller)
        if name in offered and name not in handed_on:
            reading.write(switch, f"+{name}")


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
    """Whether a process is in a cgroup or below it; one that is not there has none."""
    if reading.read(f"{folder}/cgroup.procs"):
        return True
    return any(populated(child) for child in children(folder))


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
    for child in children(folder):
        _remove_below(child)
        _rmdir(child)


def _rmdir(folder: str) -> None:
    try:
        Path(folder).rmdir()
    except OSError as error:
        if error.errno not in GONE:
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
