"""Knows the slices of a world of plain values: what they have, what runs in them, and what a kernel refuses.

It refuses what would kill: a limit of memory below what is in use, and the end of a slice in which anything
runs, are mistakes of the plan and fail the test.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from controller.api.config import SliceDriver
from controller.model import actions, slicenames
from controller.model.observed import Container, Limits
from controller.model.slices import (
    FIELDS,
    ROOT,
    UNLIMITED,
    ContainerUse,
    Slice,
    SliceLimit,
    SliceLimits,
    SliceView,
    Use,
)
from tests.support import builders

BELOW = "write error: the container has more than its slice may have"


@dataclass
class Slices:
    """All slices of one host; a host without a driver has none."""

    driver: SliceDriver = SliceDriver.NONE
    root: str = "wharf"
    version: int = 2
    cannot: dict[SliceLimit, str] = field(default_factory=dict)
    no_device: dict[str, str] = field(default_factory=dict)
    limits: dict[str, SliceLimits] = field(default_factory=dict)
    """Of the slices that are there, by owner."""
    strangers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)
    """Bytes of memory that a container uses while it runs, by id; 1 MiB where nobody says."""
    high: dict[str, int] = field(default_factory=dict)
    """What was written to memory.high of a container, by id."""

    elsewhere: set[str] = field(default_factory=set)
    """Ids of containers that the kernel has in no slice, whatever the Engine says."""

    def view(self, containers: Mapping[str, Container]) -> SliceView:
        """What a look finds."""
        if self.driver is SliceDriver.NONE:
            return SliceView()
        inside = self._inside(containers.values())
        found = {owner: self._slice(owner, limits, inside) for owner, limits in self.limits.items()}
        return SliceView(
            driver=self.driver,
            version=self.version,
            cannot=dict(self.cannot),
            no_device=dict(self.no_device),
            processors=f"0-{builders.HOST_CPUS - 1}",
            grain={SliceLimit.MEMORY: 4096, SliceLimit.CPUS: 10_000},
            slices=found,
            containers={
                c.id: ContainerUse(
                    Use(memory=self._used(c)),
                    None if c.id in self.elsewhere else self.owner(c),
                    self.high.get(c.id),
                )
                for c in containers.values()
                if c.running
            },
        )

    def _slice(self, owner: str, limits: SliceLimits, inside: Mapping[str, list[Container]]) -> Slice:
        there = [c for one in inside.values() for c in one] if owner == ROOT else inside.get(owner, [])
        strangers = self.strangers.get(owner, ())
        return Slice(
            owner=owner,
            name=slicenames.parent(self.driver, self.root, owner),
            limits=limits,
            use=Use(memory=sum(map(self._used, there))),
            populated=bool(there or strangers),
            strangers=strangers,
        )

    def _used(self, container: Container) -> int:
        return self.used.get(container.id, 1 << 20)

    def owner(self, container: Container) -> str | None:
        """Whose slice a container is in."""
        return slicenames.owner_of(self.driver, self.root, container.configuration.cgroup_parent)

    def _inside(self, containers: Iterable[Container]) -> dict[str, list[Container]]:
        found: dict[str, list[Container]] = {}
        for container in containers:
            owner = self.owner(container)
            if container.running and owner is not None:
                found.setdefault(owner, []).append(container)
        return found

    def enter(self, container: Container) -> None:
        """A container starts: what it is in is made, without limits."""
        owner = self.owner(container)
        if owner is not None:
            self.limits.setdefault(ROOT, UNLIMITED)
            self.limits.setdefault(owner, UNLIMITED)
            self.high.pop(container.id, None)

    def refusal(self, container: Container, limits: Limits) -> str:
        """Why a container cannot run with these limits in its slice, or nothing."""
        owner, parent = self.owner(container), container.configuration.cgroup_parent
        if self.driver is SliceDriver.SYSTEMD and parent and not parent.endswith(".slice"):
            return 'cgroup-parent for systemd cgroup should be a valid slice named as "xxx.slice"'
        slice_ = self.limits.get(owner, UNLIMITED) if owner is not None else UNLIMITED
        return BELOW if self.version == 1 and _exceed(limits, slice_) else ""

    def lower(self, container: Container, limits: Limits) -> None:
        """A running container gets these limits: by version 2 the kernel kills for less than it uses."""
        have = _kernel(container).memory
        lowered = limits.memory is not None and (have is None or limits.memory < have)
        if self.driver is not SliceDriver.NONE and lowered and limits.memory is not None:
            assert self._used(container) < limits.memory, f"{container.name} is killed"

    def set(self, action: actions.SetSlice, containers: Mapping[str, Container]) -> str:
        """Set one; return why the kernel refuses, or nothing."""
        inside = self._inside(containers.values()).get(action.owner, [])
        used = sum(map(self._used, inside))
        have = self.limits.get(action.owner, UNLIMITED)
        limit = action.limits.memory
        lowered = limit is not None and (have.memory is None or limit < have.memory)
        assert not (lowered and limit is not None and inside and used >= limit), f"{action} kills"
        assert action.driver is self.driver
        assert action.name == slicenames.parent(self.driver, self.root, action.owner)
        for limit_, default in ((one, getattr(UNLIMITED, FIELDS[one])) for one in self.cannot):
            assert getattr(action.limits, FIELDS[limit_]) == default, f"{limit_} is not to be asked for"
        if self.version == 1 and any(_exceed(_kernel(c), action.limits) for c in inside):
            return BELOW
        self.limits.setdefault(ROOT, UNLIMITED)
        self.limits[action.owner] = action.limits
        return ""

    def remove(self, action: actions.RemoveSlice, containers: Mapping[str, Container]) -> None:
        """Remove one in which nothing runs."""
        inside = self._inside(containers.values())
        there = any(inside.values()) if action.owner == ROOT else action.owner in inside
        assert not there, f"{action} kills"
        assert not self.strangers.get(action.owner)
        self.limits.pop(action.owner, None)

    def by_hand(self, owner: str, **limits: object) -> None:
        """Somebody changes limits of a slice."""
        self.limits[owner] = replace(self.limits.get(owner, UNLIMITED), **limits)  # type: ignore[arg-type]


def _kernel(container: Container) -> Limits:
    found = container.kernel_limits
    return found if isinstance(found, Limits) else container.configuration.limits


def _exceed(limits: Limits, slice_: SliceLimits) -> bool:
    if slice_.nano_cpus is not None and (limits.nano_cpus or 0) > slice_.nano_cpus:
        return True
    return (
        slice_.cpuset is not None
        and limits.cpuset is not None
        and not _processors(limits.cpuset) <= _processors(slice_.cpuset)
    )


def _processors(cpuset: str) -> set[int]:
    parts = (part.partition("-")[::2] for part in cpuset.split(","))
    return {one for low, high in parts for one in range(int(low), int(high or low) + 1)}
