"""Knows which write would kill, or be refused because of what is in use, and keeps it from being made.

Refuses to choose another value: who decided waits until less is in use.
"""

from collections.abc import Set as AbstractSet

from controller.api import quantities
from controller.model.slices import SliceLimit, SliceLimits
from controller.slices import use
from controller.slices.files import Read
from controller.slices.groups import Group
from controller.slices.refusals import NotNowError


def memory(
    read: Read, group: Group, wanted: SliceLimits, found: SliceLimits, which: AbstractSet[SliceLimit]
) -> None:
    """Raise `NotNowError` if a hard limit of memory is to be lowered below what is in use.

    Version 1 takes files back when it is told the limit, and refuses it where that is not enough. Where
    nothing runs, nothing can be killed.
    """
    if SliceLimit.MEMORY not in which or wanted.memory is None:
        return
    if found.memory is not None and found.memory <= wanted.memory:
        return
    used = use.read_memory(read, group)
    if used is not None and group.version == 1:
        used -= use.read_cache(read, group) or 0
    if used is not None and used >= wanted.memory and read(group.file("pids", "pids.current")) != "0":
        mebibytes = quantities.format_bytes(used >> 20 << 20)
        raise NotNowError(
            f"{mebibytes} of memory are in use, and the limit would be "
            f"{quantities.format_bytes(wanted.memory)}"
        )
