"""Writes limits into the cgroup of one running container, past the Engine, and reads them back.

Refuses to take another process's cgroup for the container's, and to write a hard limit of memory below its
use.
"""

from dataclasses import replace
from typing import Final

from controller.api.conditions import Reason
from controller.model import errors
from controller.model.actions import LimitCgroup
from controller.model.observed import Limits
from controller.model.slices import FIELDS, HARD, SliceLimit, SliceLimits, differing
from controller.slices import cpusets, files, guards, reading, words, writing
from controller.slices.groups import Group
from controller.slices.kernel import Kernel
from controller.slices.refusals import NotNowError

_OF_A_CONTAINER: Final = frozenset(
    {
        SliceLimit.CPUS,
        SliceLimit.CPUSET,
        SliceLimit.MEMORY,
        SliceLimit.MEMORY_LOW,
        SliceLimit.SWAP,
        SliceLimit.PIDS,
    }
)
"""What the Engine would set by an update."""
_MUST: Final = HARD - {SliceLimit.SWAP} | {SliceLimit.MEMORY_HIGH}
"""What is not left out in silence. The Engine itself leaves out swap where the kernel counts none."""


def limit(action: LimitCgroup, group: Group, kernel: Kernel) -> bool:
    """Write what is not as it should be; return whether anything had to be.

    Args:
        action: what to write.
        group: of the container; without folders if its process is not there, or another's.
        kernel: what it can.

    Raises:
        NotNowError: the container is not as expected.
        OSError, ValueError: the kernel refuses it.
        errors.EffectError: it is not there afterwards, or the container uses more memory than it may have.
    """
    if not group.folders:
        raise NotNowError("the container is not as expected: its process is gone")
    own = _as_seen_from(group, kernel)
    found = files.read_limits(reading.read, group, own.terms)
    which, wanted = _wanted(action, found)
    lacking = files.lacking(reading.read, group)
    for one in sorted(which & lacking & _MUST):
        if getattr(wanted, FIELDS[one]) is not None:
            message = f"{one}: the container's cgroup has no file for it, so it cannot be limited"
            raise errors.Terminal(Reason.NOT_APPLIED, message)
    which -= lacking
    differs = which & frozenset(differing(wanted, found, own.view.grain))
    try:
        guards.memory(reading.read, group, wanted, found, differs)
    except NotNowError as error:  # where nobody makes slices, who decides does not know what is in use
        raise errors.Retryable(Reason.MEMORY_LOWERING, str(error)) from error
    writing.write_limits(group, wanted, differs, own.terms)
    changed = bool(differs) | _reserve_v1(group, action.limits)
    after = files.read_limits(reading.read, group, own.terms)
    left = tuple(one for one in differing(wanted, after, own.view.grain) if one in which)
    if left:
        raise errors.Retryable(Reason.NOT_APPLIED, words.difference(left, wanted, after))
    return changed


def _wanted(action: LimitCgroup, found: SliceLimits) -> tuple[frozenset[SliceLimit], SliceLimits]:
    """Return which limits are meant, and all of them as they are to be."""
    which, wanted = frozenset({SliceLimit.MEMORY_HIGH}), replace(found, memory_high=action.memory_high)
    if action.limits is None:
        return which, wanted
    limits = action.limits
    swap = None if limits.memory_swap is None else max(0, limits.memory_swap - (limits.memory or 0))
    return which | _OF_A_CONTAINER, replace(
        wanted,
        nano_cpus=limits.nano_cpus,
        cpuset=limits.cpuset,
        memory=limits.memory,
        memory_low=limits.memory_reservation or 0,
        swap=swap,
        pids=limits.pids,
    )


def _as_seen_from(group: Group, kernel: Kernel) -> Kernel:
    """In version 1 a container has the processors of its slice: there, those are all."""
    if group.version != 1 or "cpuset" not in group.folders:
        return kernel
    return replace(kernel, terms=replace(kernel.terms, processors=cpusets.all_of(group.folders["cpuset"])))


def _reserve_v1(group: Group, limits: Limits | None) -> bool:
    """Write what version 1 has in place of a guarantee, where one is wanted; whether it was not there."""
    if group.version != 1 or limits is None or limits.memory_reservation is None:
        return False
    return writing.write_reservation_v1(group, limits.memory_reservation)
