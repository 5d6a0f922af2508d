"""Makes, limits and removes slices as units of systemd's that have no file, until the next boot.

Refuses unit files and daemon-reload, for whatever reason, and to stop a slice that something is in: systemd
stops all of that, too. Sources: org.freedesktop.systemd1(5), systemd.resource-control(5).

A transient unit is the last resort: systemd writes a file for it, and once it has read its units anew, it
looks for that file even after the slice was removed. Then no container can be started there ("not found")
until a unit of that name is transient again, or all units are read once more.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from controller.api.conditions import Reason
from controller.model import errors
from controller.model.slices import UNLIMITED, SliceLimit, SliceLimits
from controller.slices import systemd_names
from controller.slices import systemd_properties as properties
from controller.slices import systemd_refusals as refusals
from controller.slices.bus import DEADLINE, MANAGER, Bus, Refused, Unanswered

CANNOT_V1: Final[Mapping[SliceLimit, str]] = {
    SliceLimit.CPUSET: "systemd sets processors (AllowedCPUs) on version 2 of the cgroups alone",
    SliceLimit.SWAP: "systemd limits swap (MemorySwapMax) on version 2 of the cgroups alone",
}
"""What version 1 of the cgroups has and systemd leaves alone; after 257 there is no version 1 at all."""
_BETWEEN_LOOKS: Final = 0.005
_SHOWN: Final = 3
"""So many of what is in a slice are named."""
_AT_REST: Final = frozenset({"inactive", "failed"})
_KEEP_OTHER_JOBS: Final = "fail"
"""Mode of a job: who starts or stops the same at the moment is not disturbed, and we are refused."""
_FOR_THIS_BOOT: Final = True


@dataclass(frozen=True, slots=True)
class _Unit:
    path: str
    state: str
    busy: bool

    @property
    def at_rest(self) -> bool:
        return self.state in _AT_REST and not self.busy


class Driver:
    """The slices that one systemd has, from any thread. All methods raise `errors.EffectError`."""

    def __init__(self, bus: Bus, populated: Callable[[str], bool], deadline: float = DEADLINE) -> None:
        """Ask `populated` whether a process lives in, or below, a cgroup of systemd's own hierarchy.

        Args:
            bus: the way to systemd.
            populated: takes a path below systemd's root, as `path` returns it.
            deadline: seconds for what a call began to come to its end.
        """
        self._bus = bus
        self._populated = populated
        self._deadline = deadline

    def path(self, name: str) -> str | None:
        """Return where systemd has this slice, below its root of the cgroups; None where it has none."""
        with _translated(name):
            unit = self._find(name)
            if unit is None:
                return None
            return self._group(unit) or None

    def ensure(self, name: str, limits: SliceLimits) -> None:
        """Make or change the slice, so that it has these limits; the kernel was told when this returns."""
        with _translated(name):
            unit = self._find(name)
            if unit is None or unit.state != "active":
                self._start(name)
            self._set(name, limits)
            self._await(name, _is_active)

    def remove(self, name: str) -> str:
        """Remove the slice, unless something is in it; return what, in words: empty when it is gone."""
        with _translated(name):
            unit = self._find(name)
            if unit is None or unit.at_rest:
                return ""
            inside = self._inside(unit)
            if inside:
                return inside
            if self._bus.unit(unit.path, "DropInPaths") and not self._bus.unit(unit.path, "Transient"):
                # else the next one of this name begins with the limits of this one
                self._set(name, UNLIMITED)
            self._bus.call("StopUnit", "ss", (name, _KEEP_OTHER_JOBS))
            self._await(name, lambda found: found is None or found.at_rest)
            return ""

    def _start(self, name: str) -> None:
        try:
            self._bus.call("StartUnit", "ss", (name, _KEEP_OTHER_JOBS))
        except Refused as error:
            if error.name != refusals.NO_SUCH_UNIT:
                raise
            for level in systemd_names.levels(name):
                if not _is_active(self._find(level)):
                    self._bus.call(
                        "StartTransientUnit", "ssa(sv)a(sa(sv))", (level, _KEEP_OTHER_JOBS, [], [])
                    )
                    self._await(level, _is_active)
        self._await(name, _is_active)

    def _set(self, name: str, limits: SliceLimits) -> None:
        self._bus.call("SetUnitProperties", "sba(sv)", (name, _FOR_THIS_BOOT, properties.of(limits)))

    def _inside(self, unit: _Unit) -> str:
        """Return what is in a slice and would be stopped with it, or keeps it from going."""
        names = sorted(self._bus.unit(unit.path, "RequiredBy"))
        busy = [name for name in names if (one := self._find(name)) is not None and not one.at_rest]
        if busy:
            more = f" and {len(busy) - _SHOWN} more" if len(busy) > _SHOWN else ""
            return ", ".join(busy[:_SHOWN]) + more
        group = self._group(unit)
        return "processes" if group and self._populated(group) else ""

    def _group(self, unit: _Unit) -> str:
        """Return where it is below systemd's root, which in a container is not that of the cgroups."""
        root = str(self._bus.unit(MANAGER, "ControlGroup", "Manager"))
        return str(self._bus.unit(unit.path, "ControlGroup", "Slice")).removeprefix(root)

    def _find(self, name: str) -> _Unit | None:
        """Return the unit as systemd has it in memory; one that it would have to load first is none."""
        try:
            (path,) = self._bus.call("GetUnit", "s", (name,))
        except Refused as error:
            if error.name != refusals.NO_SUCH_UNIT:
                raise
            return None
        job, _ = self._bus.unit(path, "Job")
        return _Unit(path, str(self._bus.unit(path, "ActiveState")), bool(job))

    def _await(self, name: str, reached: Callable[[_Unit | None], bool]) -> None:
        """Wait until the job has ended so. systemd tells the kernel before it answers the next question."""
        ends = time.monotonic() + self._deadline
        while not reached(unit := self._find(name)):
            if time.monotonic() > ends:
                state = "gone" if unit is None else unit.state
                message = f"{name} is still {state} after {self._deadline:g} s"
                raise errors.Retryable(Reason.OUTCOME_UNKNOWN, message)
            time.sleep(_BETWEEN_LOOKS)


def _is_active(unit: _Unit | None) -> bool:
    return unit is not None and unit.state == "active" and not unit.busy


@contextlib.contextmanager
def _translated(name: str) -> Iterator[None]:
    try:
        yield
    except (Refused, Unanswered) as error:
        raise refusals.translate(name, error) from error
