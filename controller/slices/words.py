"""Says limits for people. Refuses to explain."""

from collections.abc import Iterator

from controller.api import quantities
from controller.model.slices import FIELDS, IoLimit, SliceLimit, SliceLimits

_BYTES = frozenset({SliceLimit.MEMORY, SliceLimit.MEMORY_HIGH, SliceLimit.MEMORY_LOW, SliceLimit.SWAP})


def difference(which: tuple[SliceLimit, ...], wanted: SliceLimits, found: SliceLimits) -> str:
    """Return what is not as wanted, such as `memory: the kernel has 512m in place of 400m`."""
    return "; ".join(
        f"{limit}: the kernel has {_said(limit, found)} in place of {_said(limit, wanted)}" for limit in which
    )


def _said(limit: SliceLimit, limits: SliceLimits) -> str:
    value = getattr(limits, FIELDS[limit])
    if value is None or value == ():
        return "unlimited"
    if limit is SliceLimit.CPUS:
        return quantities.format_cpus(value)
    if limit is SliceLimit.IO:
        return ", ".join(sorted(_io(value)))
    return quantities.format_bytes(value) if limit in _BYTES else str(value)


def _io(limits: tuple[IoLimit, ...]) -> Iterator[str]:
    """Yield each limit of a device, such as `write 10485760 of /home`."""
    for one in limits:
        for name in ("read", "write", "read_ops", "write_ops"):
            if (value := getattr(one, name)) is not None:
                yield f"{name.replace('_ops', ' requests')} {value} of {one.path}"
