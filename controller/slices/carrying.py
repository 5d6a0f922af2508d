"""Carries out what is decided for slices and for cgroups of containers, and reads it back from the kernel.

Refuses to choose, to write a hard limit of memory below what is in use, and to call done what the kernel does
not have.
"""

import os
import time
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol, assert_never

from controller.api.conditions import Reason
from controller.api.config import SliceDriver
from controller.model import errors
from controller.model.actions import LimitCgroup, RemoveSlice, SetSlice, SliceAction
from controller.model.slices import ROOT, Question, SliceLimit, SliceLimits, differing
from controller.slices import (
    cgroupfs,
    containers,
    files,
    groups,
    guards,
    kernel,
    reading,
    refusals,
    words,
    writing,
)
from controller.slices.groups import Group, Hierarchies
from controller.slices.kernel import Kernel
from controller.slices.refusals import NotNowError

_SETTLES: Final = 2.0
"""Seconds within which the kernel has what systemd was told."""
_BETWEEN: Final = 0.02
_NOBODY: Final = "x"
"""Name of a root where none counts."""


class Systemd(Protocol):
    """The slices that systemd has; raises `errors.EffectError`."""

    def ensure(self, name: str, limits: SliceLimits) -> None:
        """Make or change one, so that it has these limits."""

    def remove(self, name: str) -> str:
        """Remove one, unless something is in it; return what, in words."""

    def path(self, name: str) -> str | None:
        """Return where it is; None where there is none."""


class Carrier:
    """Carries out one action after another, from any thread.

    Attributes of construction:
        proc, sys: where the kernel tells of processes and of disks.
        above: returns what is above the slices, by controller, as containers tell; empty if none did yet.
        systemd: returns who has the slices where systemd makes them.
    """

    def __init__(
        self,
        proc: Path,
        sys: Path,
        above: Callable[[], Mapping[str, str]],
        systemd: Callable[[], Systemd],
    ) -> None:
        self._proc = proc
        self._sys = sys
        self._above = above
        self._systemd = systemd

    def carry_out(self, action: SliceAction) -> bool:
        """Carry out one action; return whether anything had to be done.

        Raises:
            NotNowError: the object is not as the action expects.
            OSError, ValueError: the kernel refuses it, or says what no kernel says.
            errors.EffectError: it is not there afterwards, or systemd refuses it.
        """
        hierarchies = groups.find(self._proc)
        match action:
            case SetSlice():
                return self._set(action, hierarchies)
            case RemoveSlice():
                return self._remove(action, hierarchies)
            case LimitCgroup():
                table = reading.read(f"{self._proc}/{action.expected.pid}/cgroup") or ""
                group = hierarchies.of_container(table, action.container_id)
                question = Question(SliceDriver.CGROUPFS, _NOBODY)
                return containers.limit(action, group, self._examine(hierarchies, {}, group, question))
            case _:  # pragma: no cover - the type checker proves it
                assert_never(action)

    def writable(self) -> str:
        """Return why nothing can be written where slices are, empty if it can. Raises `errors.Retryable`."""
        for folder in groups.find(self._proc).below(self._above(), "").all():
            if not os.access(folder, os.W_OK):
                return f"{folder}: {refusals.READ_ONLY}"
        return ""

    def populated(self, path: str) -> bool:
        """Whether a process is in the cgroup at a path below systemd's own root, in any hierarchy."""
        hierarchies = groups.find(self._proc)
        above = self._above_of(SliceDriver.SYSTEMD, hierarchies)
        return any(map(cgroupfs.populated, hierarchies.everywhere(above, path)))

    def _set(self, action: SetSlice, hierarchies: Hierarchies) -> bool:
        above, path = self._above_of(action.driver, hierarchies), groups.path_of(action.driver, action.name)
        group = hierarchies.below(above, path)
        there = all(Path(folder).is_dir() for folder in group.all())
        if action.driver is SliceDriver.SYSTEMD:
            there = there and self._systemd().path(action.name) is not None
        else:
            group = cgroupfs.make(hierarchies.below(above, ""), path)
        question = Question(action.driver, _NOBODY, frozenset(one.path for one in action.limits.io))
        known = self._examine(hierarchies, above, group, question)
        found = files.read_limits(reading.read, group, known.terms)
        differs = frozenset(differing(action.limits, found, known.view.grain))
        guards.memory(reading.read, group, action.limits, found, differs)
        if there and not differs:
            return False
        if action.driver is SliceDriver.SYSTEMD:
            self._systemd().ensure(action.name, _for_systemd(action.limits, differs, known))
            _read_back(action, group, known, _SETTLES)
        else:
            writing.write_limits(group, action.limits, differs, known.terms)
            _read_back(action, group, known, 0.0)
        return True

    def _remove(self, action: RemoveSlice, hierarchies: Hierarchies) -> bool:
        above, path = self._above_of(action.driver, hierarchies), groups.path_of(action.driver, action.name)
        folders = list(hierarchies.everywhere(above, path))
        there = any(Path(folder).is_dir() for folder in folders)
        if action.driver is SliceDriver.SYSTEMD:
            there = there or self._systemd().path(action.name) is not None
            _unless_inside(action.name, self._systemd().remove(action.name))
        _unless_inside(action.name, cgroupfs.remove(folders, deep=action.owner != ROOT))
        return there

    def _above_of(self, driver: SliceDriver, hierarchies: Hierarchies) -> Mapping[str, str]:
        above = self._above()
        if above or driver is not SliceDriver.SYSTEMD:
            return above
        return hierarchies.of_systemd(reading.read(f"{self._proc}/1/cgroup") or "")

    def _examine(
        self, hierarchies: Hierarchies, above: Mapping[str, str], group: Group, question: Question
    ) -> Kernel:
        host = kernel.Host(hierarchies, above, (group,), self._sys, self._proc)
        return kernel.examine(host, question)


def _for_systemd(limits: SliceLimits, differs: AbstractSet[SliceLimit], known: Kernel) -> SliceLimits:
    """Return limits with a node of its disk in place of each path, and all processors in place of none.

    The kernel takes its processors from no slice that something is in, and systemd tells nobody.

    Raises:
        errors.Terminal: a path has none.
    """
    for why in known.view.no_device.values():
        raise errors.Terminal(Reason.SLICE_REFUSED, f"{SliceLimit.IO}: {why}")
    nodes = (replace(one, path=f"/dev/block/{known.view.devices[one.path]}") for one in limits.io)
    cpuset = known.terms.processors if SliceLimit.CPUSET in differs and not limits.cpuset else limits.cpuset
    return replace(limits, io=tuple(nodes), cpuset=cpuset)


def _unless_inside(name: str, inside: str) -> None:
    if inside:
        raise NotNowError(f"{name} is not empty: {inside}")


def _read_back(action: SetSlice, group: Group, known: Kernel, wait: float) -> None:
    """Raise `errors.Retryable` unless the kernel has all limits, `wait` seconds from now at the latest."""
    ends = time.monotonic() + wait
    while True:
        found = files.read_limits(reading.read, group, known.terms)
        differs = differing(action.limits, found, known.view.grain)
        if not differs:
            return
        if time.monotonic() >= ends:
            raise errors.Retryable(Reason.NOT_APPLIED, words.difference(differs, action.limits, found))
        time.sleep(_BETWEEN)
