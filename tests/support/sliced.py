"""Knows how to build reports of passes that saw slices, small and whole."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from controller.api.config import SliceDriver
from controller.model.observed import Unseen
from controller.model.slices import ContainerUse, Slice, SliceLimits, Use
from controller.model.slicestatus import OwnerSlice, SlicesStatus
from controller.model.status import PassReport, WorkspaceStatus
from tests.support import reports

MEBI = 1 << 20
LIMITS = SliceLimits(nano_cpus=10**9, memory=400 * MEBI, pids=100)
USE = Use(
    cpu_seconds=12.5,
    throttled_seconds=1.25,
    memory=300 * MEBI,
    cache=100 * MEBI,
    swap=MEBI,
    pids=7,
    io_read=1000,
    io_written=2000,
    oom_kills=2,
    pressure={"cpu some": 3.5, "memory full": 0.5},
)
NOTHING_KNOWN = Use()


def container_id(name: str) -> str:
    """Of the one container of a workspace."""
    return name.encode().hex().ljust(64, "0")


def running(name: str, owner: str = "alice") -> WorkspaceStatus:
    """The status of a workspace that runs."""
    status = reports.status(name)
    return replace(status, owner=owner, container=reports.container(name, id=container_id(name)))


def owned(owner: str = "alice", use: Use = USE, limits: SliceLimits = LIMITS, **changes: Any) -> OwnerSlice:  # noqa: ANN401 - fields of one class
    """A slice that is as it should be."""
    name = f"/wharf/{owner}"
    found = Slice(owner, name, limits, use, populated=True)
    built = OwnerSlice(owner, name, active=True, wanted=limits, now=limits, found=found)
    return replace(built, **changes)


def report(
    statuses: Iterable[WorkspaceStatus] = (),
    slices: Iterable[OwnerSlice] = (),
    uses: dict[str, ContainerUse] | None = None,
    unseen: Unseen | None = None,
    **fields: Any,  # noqa: ANN401 - of one class
) -> PassReport:
    """A pass that saw these slices; `uses` is by workspace."""
    told = SlicesStatus(
        driver=SliceDriver.CGROUPFS,
        version=1,
        unseen=unseen,
        owners={one.owner: one for one in slices},
        uses={container_id(name): use for name, use in (uses or {}).items()},
    )
    return reports.report(statuses, slices=told, **fields)
