"""Knows what the policy's `aggregate` asks of an owner's slice, and how limits of slices read.

Refuses to know a kernel: what it cannot is left out elsewhere.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final, cast

from controller.api import presets, quantities
from controller.model.observed import Limits
from controller.model.slices import FIELDS, UNLIMITED, USUAL_WEIGHT, IoLimit, SliceLimit, SliceLimits
from controller.planning.origins import Origin, Value, word

_WEIGHTS: Final = frozenset({SliceLimit.CPU_WEIGHT, SliceLimit.IO_WEIGHT})
_FORMATS: Final[Mapping[SliceLimit, Callable[[int], str]]] = {
    SliceLimit.CPUS: quantities.format_cpus,
    **dict.fromkeys(
        (SliceLimit.MEMORY, SliceLimit.MEMORY_HIGH, SliceLimit.MEMORY_LOW, SliceLimit.SWAP),
        quantities.format_bytes,
    ),
}


def settle(aggregate: dict[str, Value]) -> None:
    """Lower what layers together put above `memory`, in place: each of them alone was right."""
    hard, high = aggregate.get(SliceLimit.MEMORY), aggregate.get(SliceLimit.MEMORY_HIGH)
    if hard is None or high is None or not isinstance(hard.value, int) or not isinstance(high.value, int):
        return
    if high.value > hard.value:
        file, line, rule, _ = hard.origin
        was = f"at most memory, was {word(SliceLimit.MEMORY_HIGH, high.value)} by {high.origin}"
        aggregate[SliceLimit.MEMORY_HIGH] = Value(hard.value, Origin(file, line, rule, was))


def limits_of(aggregate: Mapping[str, Value]) -> SliceLimits:
    """Return folded values of an aggregate as limits; `UNLIMITED` itself where there are none."""

    def number(limit: SliceLimit, otherwise: int | None = None) -> int | None:
        found = aggregate.get(limit)
        return otherwise if found is None or found.value is None else cast("int", found.value)

    cpuset, io = aggregate.get(SliceLimit.CPUSET), aggregate.get(SliceLimit.IO)
    limits = SliceLimits(
        nano_cpus=number(SliceLimit.CPUS),
        cpuset=None if cpuset is None else cast("str | None", cpuset.value),
        cpu_weight=number(SliceLimit.CPU_WEIGHT) or USUAL_WEIGHT,
        memory=number(SliceLimit.MEMORY),
        memory_high=number(SliceLimit.MEMORY_HIGH),
        memory_low=number(SliceLimit.MEMORY_LOW) or 0,
        swap=number(SliceLimit.SWAP),
        pids=number(SliceLimit.PIDS),
        io_weight=number(SliceLimit.IO_WEIGHT) or USUAL_WEIGHT,
        io=() if io is None else _devices(cast("tuple[presets.IoLimit, ...] | None", io.value)),
    )
    return UNLIMITED if limits == UNLIMITED else limits


def _devices(said: tuple[presets.IoLimit, ...] | None) -> tuple[IoLimit, ...]:
    found = (IoLimit(one.path, one.read, one.write, one.read_ops, one.write_ops) for one in said or ())
    return tuple(sorted(found, key=lambda one: one.path))


def asked_for(limits: SliceLimits) -> tuple[SliceLimit, ...]:
    """Return which limits are not as nobody limits them."""
    if limits is UNLIMITED:
        return ()
    return tuple(limit for limit, name in FIELDS.items() if getattr(limits, name) != getattr(UNLIMITED, name))


def text(limit: SliceLimit, limits: SliceLimits) -> str:
    """Return one of the limits as people write it."""
    value = getattr(limits, FIELDS[limit])
    if limit is SliceLimit.IO:
        return ", ".join(map(_device, limits.io)) or "unlimited"
    if value is None:
        return "unlimited"
    return _FORMATS[limit](value) if limit in _FORMATS else str(value)


def _device(one: IoLimit) -> str:
    rates = (("read", one.read), ("write", one.write))
    counts = (("readOps", one.read_ops), ("writeOps", one.write_ops))
    said = [f"{name} {quantities.format_bytes(rate)}" for name, rate in rates if rate is not None]
    said += [f"{name} {count}" for name, count in counts if count is not None]
    return f"{one.path} {' '.join(said)}"


def words(limits: SliceLimits, which: Iterable[SliceLimit]) -> str:
    """Return some of the limits in one line: `cpus 1, memory 400m`."""
    return ", ".join(f"{limit} {text(limit, limits)}" for limit in which)


def of_container(limits: Limits) -> str:
    """Return the processors that a container has, where anybody said: `2 cpus, cpuset 0-3`."""
    cpus = f"{quantities.format_cpus(limits.nano_cpus)} cpus" if limits.nano_cpus is not None else ""
    return ", ".join(filter(None, (cpus, f"cpuset {limits.cpuset}" if limits.cpuset is not None else "")))


def confined(limits: Limits, slice_: SliceLimits) -> Limits:
    """Return a container's limits within those of its slice, as version 1 of the cgroups wants them.

    There no child may have a larger quota, or other processors, than its parent; and "unlimited" is written
    as all that the host has.
    """
    cpus, cpuset = limits.nano_cpus, limits.cpuset
    if slice_.nano_cpus is not None:
        cpus = slice_.nano_cpus if cpus is None else min(cpus, slice_.nano_cpus)
    if slice_.cpuset is not None:
        cpuset = _common(cpuset, slice_.cpuset)
    if cpus == limits.nano_cpus and cpuset == limits.cpuset:
        return limits
    return replace(limits, nano_cpus=cpus, cpuset=cpuset)


def _common(own: str | None, whole: str) -> str:
    """Return the processors that are in both; those of the slice where there are none."""
    both = processors(whole) if own is None else processors(own) & processors(whole)
    return _listed(sorted(both)) if both else whole


def _listed(members: list[int]) -> str:
    """Return a canonical list of these processors."""
    firsts = [one for one in members if one - 1 not in members]
    lasts = [one for one in members if one + 1 not in members]
    ranges = zip(firsts, lasts, strict=True)
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def processors(cpuset: str) -> frozenset[int]:
    """Return the members of a canonical list such as `0-3,8`."""
    ends = (part.partition("-")[::2] for part in cpuset.split(","))
    return frozenset(one for low, high in ends for one in range(int(low), int(high or low) + 1))
