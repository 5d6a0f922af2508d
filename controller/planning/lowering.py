"""Knows how far limits of a slice can be lowered now: nothing is killed for it, and the kernel takes it.

Refuses to give a limit up: what has to wait is said, and follows as soon as it can.
"""

from collections.abc import Iterable
from dataclasses import replace

from controller.api import quantities
from controller.model.observed import Limits
from controller.model.slices import Slice, SliceLimits, Use
from controller.planning import aggregates

_PAGE, _MIB = 4096, 2**20
_PART = 64
"""Memory is reclaimed this part below a limit that it is to be brought below."""
FIRST_VERSION = 1
"""Of the cgroups: it refuses a limit of memory below what is in use, and has nothing that reclaims first."""


def reachable(wanted: SliceLimits, found: Slice, version: int) -> tuple[SliceLimits, str]:
    """Return what memory a slice can have now beside all else, and in words what of that waits."""
    now, told = _memory(wanted, found, version)
    return (_swap(now, found) if version == FIRST_VERSION else now), told


def _memory(wanted: SliceLimits, found: Slice, version: int) -> tuple[SliceLimits, str]:
    limit, have = wanted.memory, found.limits.memory
    if limit is None or not found.populated or not is_in_the_way(limit, have, found.use, version):
        return wanted, ""
    told = words(limit, found.use, version)
    if version == FIRST_VERSION:
        return replace(wanted, memory=have), told
    high = below(limit)
    high = high if wanted.memory_high is None else min(high, wanted.memory_high)
    return replace(wanted, memory=have, memory_high=high), told


def is_in_the_way(limit: int, have: int | None, use: Use, version: int) -> bool:
    """Tell whether a hard limit of memory is lowered and below what is in use, which nobody may know."""
    used = _used(use, version)
    return (have is None or limit < have) and (used is None or used >= limit)


def _used(use: Use, version: int) -> int | None:
    """Return what memory stands in the way: version 1 takes files back when the limit is written."""
    if use.memory is None or version != FIRST_VERSION:
        return use.memory
    return use.memory - (use.cache or 0)


def below(limit: int) -> int:
    """Return above what memory is reclaimed until a limit can be set: use hovers where it is reclaimed."""
    whole = _MIB if limit >= _PART * _MIB else _PAGE
    return (limit - limit // _PART) // whole * whole


def words(limit: int, use: Use, version: int) -> str:
    """Say that memory is not lowered yet."""
    shown, used = quantities.format_bytes(limit), _used(use, version)
    if used is None:
        return f"memory is to be {shown} and what is in use cannot be seen; it is set at the next start"
    above = "" if version == FIRST_VERSION else "the kernel reclaims what it can, and "
    return (
        f"memory is to be {shown} and {_size(used)} is in use; {above}the limit follows when less is in use"
    )


def _size(amount: int) -> str:
    """Return an amount that changes all the time in whole MiB, so that what is said of it does not."""
    return quantities.format_bytes(amount // _MIB * _MIB)


def _swap(now: SliceLimits, found: Slice) -> SliceLimits:
    """Version 1 counts memory and swap together, and refuses a sum below what is in use."""
    memory, swap, have, use = now.memory, now.swap, found.limits.swap, found.use
    if memory is None or swap is None or (have is not None and have <= swap) or not found.populated:
        return now
    used = (_used(use, FIRST_VERSION) or 0) + (use.swap or 0)
    return replace(now, swap=have) if used >= memory + swap else now


def around(now: SliceLimits, found: Slice, inside: Iterable[Limits]) -> SliceLimits:
    """Return limits that leave a slice as many processors as containers in it have, by version 1.

    `inside` are the limits of those that run. They are changed first; until then the slice has too much.
    """
    have = found.limits
    less = now.nano_cpus is not None and (have.nano_cpus is None or have.nano_cpus > now.nano_cpus)
    fewer = now.cpuset is not None and have.cpuset != now.cpuset
    if not (less or fewer):
        return now
    quotas = [0]
    for limits in inside:
        quotas.append(limits.nano_cpus or 0)
        if now.cpuset is not None and limits.cpuset is not None and _exceeds(limits.cpuset, now.cpuset):
            now = replace(now, cpuset=have.cpuset)
    if now.nano_cpus is not None and less:
        now = replace(now, nano_cpus=max(now.nano_cpus, *quotas))
    return now


def _exceeds(own: str, whole: str) -> bool:
    return not aggregates.processors(own) <= aggregates.processors(whole)
