"""Knows which cgroups the simulated Engine's containers are in, and that a start makes those above them.

It refuses to know limits: who simulates slices puts a tree of its own in this one's place.
"""

import errno
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from controller.engine.transport import Answer

if TYPE_CHECKING:
    from tests.support.sim_container import SimContainer
    from tests.support.sim_engine import SimEngine

OWN: Final = "/docker"
"""Where containers are for which nothing was said."""


class Cgroups(Protocol):
    """What the starts and ends of containers do to the host's cgroups."""

    def enter(self, parent: str, container_id: str) -> None:
        """A container begins to run: what it is to be in is made, without limits, if it is not there."""

    def leave(self, parent: str, container_id: str) -> None:
        """It ends; what it was in stays."""


@dataclass
class Tree:
    """Cgroups without limits.

    Attributes:
        members: ids of those that run, by the cgroup that they were made for.
    """

    members: dict[str, set[str]] = field(default_factory=dict)

    def enter(self, parent: str, container_id: str) -> None:
        """See `Cgroups`."""
        self.members.setdefault(parent, set()).add(container_id)

    def leave(self, parent: str, container_id: str) -> None:
        """See `Cgroups`."""
        self.members[parent].discard(container_id)

    def remove(self, parent: str) -> None:
        """As rmdir(2) does it.

        Raises:
            OSError: something runs in it, or it is not there.
        """
        if parent not in self.members or self.members[parent]:
            number = errno.EBUSY if parent in self.members else errno.ENOENT
            raise OSError(number, os.strerror(number), parent)
        del self.members[parent]


def parent(container: "SimContainer") -> str:
    """Return what a container was made for."""
    return container.host_config.get("CgroupParent") or OWN


def refuse(engine: "SimEngine", host: dict[str, Any]) -> Answer | None:
    """What a create says of a parent that systemd cannot have; the other driver takes any."""
    named = host.get("CgroupParent") or ""
    fits = named.endswith(".slice") and named != ".slice"
    if engine.cgroup_driver != "systemd" or not named or fits:
        return None
    text = 'cgroup-parent for systemd cgroup should be a valid slice named as "xxx.slice"'
    return Answer(400, {"message": text})
