"""Knows what a running container may have now beside what it uses, and within the slice that it is in.

Refuses to lower memory below what is in use: the kernel would kill for it.
"""

from dataclasses import dataclass, replace

from controller.model.observed import Container, Limits
from controller.model.slices import UNLIMITED, SliceLimits, Use
from controller.model.slicestatus import SlicesStatus
from controller.planning import aggregates, lowering
from controller.planning.case import Within

MEMORY_HIGH = "memory_high"
"""Names a difference in the limit above which a container's memory is reclaimed; none is wanted for long."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What a running container may have now.

    Attributes:
        high: above this its memory is reclaimed, bytes; None is unlimited.
        lowering: why its memory is not lowered yet, or empty.
        soon: limits that wait for something else than the next start.
    """

    limits: Limits
    high: int | None = None
    lowering: str = ""
    soon: frozenset[str] = frozenset()


def reach(now: Limits, have: Limits, container: Container, status: SlicesStatus, version: int) -> Reach:
    """Return what it may have of `now`; `have` is what the kernel gives it, by this version of the cgroups.

    Where nobody can see what is in use, version 1 is asked all the same: it refuses what would kill.
    """
    seen, limit = status.uses.get(container.id), now.memory
    use = Use() if seen is None else seen.use
    blind = use.memory is None and version <= lowering.FIRST_VERSION
    if limit is None or blind or not lowering.is_in_the_way(limit, have.memory, use, version):
        return Reach(now)
    kept = replace(now, memory=have.memory, memory_swap=have.memory_swap)
    high = lowering.below(limit) if version > lowering.FIRST_VERSION and seen is not None else None
    return Reach(kept, high, lowering.words(limit, use, version), frozenset({"memory", "memory_swap"}))


def within(now: Limits, container: Container, own: Within, owner: str, status: SlicesStatus) -> Limits:
    """Return limits within the slice as it shall be and as it is; only version 1 asks for that.

    When the slice gets less, what is in it goes first; when it gets more, the slice does.
    """
    if status.version != lowering.FIRST_VERSION or container.configuration.cgroup_parent != own.parent:
        return now
    return aggregates.confined(aggregates.confined(now, own.limits), _found(owner, status))


def _found(owner: str, status: SlicesStatus) -> SliceLimits:
    slice_ = status.owners.get(owner)
    return UNLIMITED if slice_ is None or slice_.found is None else slice_.found.limits


def observed_high(container: Container, status: SlicesStatus) -> int | None:
    """Return above what a container's memory is reclaimed, None for nothing or where nobody can see it."""
    seen = status.uses.get(container.id)
    return None if seen is None else seen.memory_high
