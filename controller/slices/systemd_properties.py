"""Limits of a slice in the words of systemd's properties.

Refuses to leave one unsaid: what was set before, by whomever, goes. Source: systemd.resource-control(5).
"""

from typing import Any, Final

from controller.model.slices import IoLimit, SliceLimits

Property = tuple[str, tuple[str, Any]]
"""Name, then signature and value, as D-Bus takes them."""
INFINITY: Final = 2**64 - 1
_ACCOUNTING: Final = ("CPUAccounting", "MemoryAccounting", "TasksAccounting", "IOAccounting")
_NANOS_IN_MICRO: Final = 1000
_IO: Final = {
    "IOReadBandwidthMax": "read",
    "IOWriteBandwidthMax": "write",
    "IOReadIOPSMax": "read_ops",
    "IOWriteIOPSMax": "write_ops",
}
"""By which field of `IoLimit` each is kept."""


def of(limits: SliceLimits) -> list[Property]:
    """Return all that is to be said to systemd so that a slice has these limits and no other ones.

    systemd rounds the quota of processors down to 10 µs of each 100 ms.
    """
    numbers = {
        "CPUQuotaPerSecUSec": None if limits.nano_cpus is None else limits.nano_cpus // _NANOS_IN_MICRO,
        "CPUWeight": limits.cpu_weight,
        "MemoryMax": limits.memory,
        "MemoryHigh": limits.memory_high,
        "MemoryLow": limits.memory_low,
        "MemorySwapMax": limits.swap,
        "TasksMax": limits.pids,
        "IOWeight": limits.io_weight,
    }
    said: list[Property] = [(name, ("b", True)) for name in _ACCOUNTING]
    said += [(name, ("t", INFINITY if value is None else value)) for name, value in numbers.items()]
    said.append(("AllowedCPUs", ("ay", _bits(limits.cpuset))))
    for name, field in _IO.items():
        said.append((name, ("a(st)", [])))  # an empty list forgets all devices; another one adds to them
        said.append((name, ("a(st)", _each(limits.io, field))))
    return said


def _each(limits: tuple[IoLimit, ...], field: str) -> list[tuple[str, int]]:
    return [(one.path, value) for one in limits if (value := getattr(one, field)) is not None]


def _bits(cpuset: str | None) -> bytes:
    """Return one bit for each processor, of the first byte the lowest first; none at all for all of them."""
    mask = 0
    for part in (cpuset or "").split(","):
        first, _, last = part.partition("-")
        if first:
            mask |= (1 << int(last or first) + 1) - (1 << int(first))
    return mask.to_bytes((mask.bit_length() + 7) // 8, "little")
