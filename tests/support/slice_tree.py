"""Knows the slices of a simulated host as kernel and systemd have them: limits, what runs in them, memory.

It refuses to be kinder than they are: version 1 refuses a limit below what is in use, version 2 kills for it,
and the end of a unit ends all that is in it.
"""

import errno
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from controller.api.config import SliceDriver
from controller.model import slicenames
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
from tests.support.sim_container import SimContainer
from tests.support.sim_engine import SimEngine

MIB: Final = 1 << 20
LEAST: Final = 2 * MIB
"""What a program has in memory at least."""
PAGE: Final = 4096
ALL_PROCESSORS: Final = "0-1"


@dataclass
class Group:
    """One slice.

    Attributes:
        limits: as the kernel enforces them.
        unit: as systemd wrote them last, and writes them again when it thinks that it must.
        strangers: what is in it and in no container.
    """

    limits: SliceLimits = UNLIMITED
    unit: SliceLimits = UNLIMITED
    strangers: list[str] = field(default_factory=list)


class SliceTree:
    """The slices of one host.

    `kill` ends a container's main process for want of memory, or because its slice was ended.

    Attributes:
        groups: by name, as a container's parent is called; those of both drivers.
        cannot: why a limit has no effect here; such a one cannot be written.
        devices: by path, of those that have one.
        high: above what memory of a container is reclaimed, by its id; written past the Engine.
        on_enter: is told of each container before it is in its slice.
    """

    def __init__(
        self,
        engine: SimEngine,
        driver: SliceDriver,
        version: int,
        kill: Callable[[SimContainer], None],
        cannot: Mapping[SliceLimit, str] = MappingProxyType({}),
    ) -> None:
        self.engine, self.version, self.cannot = engine, version, dict(cannot)
        self.root = "wharf"
        self.groups: dict[str, Group] = {}
        self.devices = {"/srv/data": "8:0"}
        self.high: dict[str, int] = {}
        self.on_enter: Callable[[SimContainer, str], None] = lambda _container, _parent: None
        self._kill = kill
        self.use_driver(driver)
        engine.cgroups = self

    def use_driver(self, driver: SliceDriver) -> None:
        """From now on the Engine's cgroups are made by this one."""
        self.driver = driver
        self.engine.cgroup_driver = "systemd" if driver is SliceDriver.SYSTEMD else "cgroupfs"

    # see sim_cgroups.Cgroups

    def enter(self, parent: str, container_id: str) -> None:
        """A container begins to run; the runtime makes what is above it, without limits."""
        self.on_enter(self.engine.containers[container_id], parent)
        self.make(parent)
        self.high.pop(container_id, None)

    def leave(self, parent: str, container_id: str) -> None:
        """It ends; its slice stays."""
        del parent
        self.high.pop(container_id, None)

    # who is where

    def name(self, owner: str) -> str:
        """What an owner's slice is called."""
        return slicenames.parent(self.driver, self.root, owner)

    def owner(self, name: str) -> str | None:
        """Whose slice has a name, by the driver of now."""
        return slicenames.owner_of(self.driver, self.root, name)

    def members(self, name: str) -> list[SimContainer]:
        """The containers that run in a slice or below it."""
        whole = name == self.name(ROOT)
        return [
            one
            for one in self.engine.containers.values()
            if one.running
            and ((parent := _parent(one)) == name or (whole and self.owner(parent) is not None))
        ]

    def populated(self, name: str) -> bool:
        """Whether any process is in a slice or below it."""
        below = self.groups if name == self.name(ROOT) else (name,)
        strangers = any(self.groups[one].strangers for one in below if self._is_ours(one))
        return strangers or bool(self.members(name))

    def _is_ours(self, name: str) -> bool:
        return name in self.groups and self.owner(name) is not None

    # memory

    def memory(self, name: str) -> int:
        """Bytes that all in a slice have in memory."""
        return sum(one.memory_use for one in self.members(name))

    def take(self, container: SimContainer, wanted: int) -> int:
        """A program wants to have so much in memory; it gets what its limits leave, and this is returned."""
        room = [container.kernel.memory, self.high.get(container.id)]
        group = self.groups.get(_parent(container))
        if group is not None:
            others = self.memory(_parent(container)) - container.memory_use
            room += [
                limit - others
                for limit in (group.limits.memory, group.limits.memory_high)
                if limit is not None
            ]
        container.memory_use = max(LEAST, min((wanted, *(one for one in room if one is not None))))
        return container.memory_use

    # what is done to slices

    def make(self, name: str) -> Group:
        """Make a slice, and that above it, if it is not there."""
        if self.owner(name) is not None:
            self.groups.setdefault(self.name(ROOT), Group())
        return self.groups.setdefault(name, Group())

    def write(self, name: str, limit: SliceLimit, value: Any) -> None:  # noqa: ANN401 - of the limit's type
        """Write one limit into its file.

        Raises:
            OSError: the kernel does not take it.
        """
        if name not in self.groups:
            raise OSError(errno.ENOENT, "No such file or directory", name)
        group, normal = self.groups[name], getattr(UNLIMITED, FIELDS[limit])
        if limit in self.cannot and value != normal:
            raise OSError(errno.EINVAL, self.cannot[limit], name)
        if limit is SliceLimit.MEMORY and isinstance(value, int) and self.memory(name) > value:
            if self.version == 1:
                raise OSError(errno.EBUSY, "Device or resource busy", name)
            for member in self.members(name):
                self._kill(member)
        if self.version == 1:
            self._hold_children(name, limit, value)
        group.limits = replace(group.limits, **{FIELDS[limit]: value})
        for member in self.members(name):
            self.confine(member)

    def _hold_children(self, name: str, limit: SliceLimit, value: Any) -> None:  # noqa: ANN401 - likewise
        """Version 1 refuses a slice less than what a container in it was given."""
        for member in self.members(name):
            quota, own = member.kernel.nano_cpus or 0, member.host_config.get("CpusetCpus")
            if limit is SliceLimit.CPUS and value is not None and quota > value:
                raise OSError(errno.EINVAL, "Invalid argument", name)
            if limit is SliceLimit.CPUSET and value is not None and own and own != value:
                raise OSError(errno.EBUSY, "Device or resource busy", name)

    def confine(self, container: SimContainer) -> None:
        """On version 1 a container without processors of its own shows those of its slice."""
        group = self.groups.get(_parent(container))
        if self.version == 1 and group is not None and not container.host_config.get("CpusetCpus"):
            container.kernel = replace(container.kernel, cpuset=group.limits.cpuset or ALL_PROCESSORS)

    def set_unit(self, name: str, limits: SliceLimits) -> None:
        """Have systemd give a slice its properties.

        Raises:
            OSError: the kernel does not take one of them.
        """
        self.make(name)
        for limit in FIELDS:
            self.write(name, limit, getattr(limits, FIELDS[limit]))
        self.groups[name].unit = limits

    def remove(self, name: str) -> None:
        """Remove an empty slice, as rmdir(2) does.

        Raises:
            OSError: something is in it.
        """
        below = [one for one in self.groups if one != name and self._is_ours(one)]
        if self.populated(name) or (name == self.name(ROOT) and below):
            raise OSError(errno.EBUSY, "Device or resource busy", name)
        self.groups.pop(name, None)

    def stop(self, name: str) -> None:
        """End a unit, as systemd does: with all that is in it."""
        for member in self.members(name):
            self._kill(member)
        gone = [one for one in self.groups if self._is_ours(one)] if name == self.name(ROOT) else [name]
        for one in gone:
            self.groups.pop(one, None)

    def vanish(self) -> None:
        """The host starts anew: no slice outlives it."""
        self.groups.clear()
        self.high.clear()

    # what a look finds

    def view(self, paths: Iterable[str], running: Mapping[str, int]) -> SliceView:
        """Return all slices, and the containers that were asked for and run as was said."""
        asked = sorted(paths)
        found = (self.engine.containers.get(one) for one in running)
        containers = [one for one in found if one is not None and one.pid == running[one.id]]
        return SliceView(
            driver=self.driver,
            version=self.version,
            cannot=dict(self.cannot),
            no_device={path: "it is on no disk" for path in asked if path not in self.devices},
            devices={path: self.devices[path] for path in asked if path in self.devices},
            processors=ALL_PROCESSORS,
            grain={
                SliceLimit.MEMORY: PAGE,
                SliceLimit.MEMORY_HIGH: PAGE,
                SliceLimit.MEMORY_LOW: PAGE,
                SliceLimit.SWAP: PAGE,
            },
            slices={
                owner: Slice(
                    owner,
                    name,
                    group.limits,
                    Use(memory=self.memory(name), pids=len(self.members(name))),
                    self.populated(name),
                    tuple(group.strangers),
                )
                for name, group in self.groups.items()
                if (owner := self.owner(name)) is not None
            },
            containers={
                one.id: ContainerUse(
                    Use(memory=one.memory_use), self.owner(_parent(one)), self.high.get(one.id)
                )
                for one in containers
            },
        )


def _parent(container: SimContainer) -> str:
    return str(container.host_config.get("CgroupParent") or "")
