"""Knows what of a look at the GPUs a plan of MIG instances may rest on: what is divided, held, or out of use.

Refuses to call anything free that could not be seen: nothing of such a GPU is changed or given.
"""

from collections import defaultdict
from collections.abc import Sequence

from controller.model.gpustatus import DeviceStatus, GpuStatus
from controller.model.mig import Divisible, Instance


def divisible(gpus: GpuStatus) -> tuple[Divisible, ...]:
    """Return the GPUs that are there as they are divided now, in the order in which tools list them."""
    parts: dict[str, list[DeviceStatus]] = defaultdict(list)
    for one in gpus.devices:
        if one.there and one.device.parent is not None:
            parts[one.device.parent].append(one)
    return tuple(
        Divisible(
            one.device.uuid,
            one.device.model,
            one.device.divided,
            _instances(parts[one.device.uuid]),
            gpus.mismatch or _kept(one, parts[one.device.uuid], gpus.driver),
        )
        for one in gpus.devices
        if one.there and one.device.parent is None
    )


def _kept(gpu: DeviceStatus, parts: Sequence[DeviceStatus], driver: str) -> str:
    """Return why nothing of a GPU may be changed or given, or nothing."""
    of_parts = {holder for part in parts for holder in part.holders}
    of_the_whole = [holder for holder in gpu.holders if holder not in of_parts]
    if of_the_whole:
        return f"{of_the_whole[0]} has the whole of it"
    barred = _barred(gpu)
    if barred or gpu.doubt:
        return barred or gpu.doubt
    if not driver:
        return "no driver tells whether its MIG mode is on"
    lost = [part.device.uuid for part in parts if part.device.placement is None]
    return f"the driver does not tell where {min(lost)} lies in it" if lost else ""


def _barred(one: DeviceStatus) -> str:
    """Return why a device is given to nobody, or nothing."""
    if one.fence is not None:
        return f"out of use: {one.fence.message}"
    return f"taken out of use by {one.cordon.by}: {one.cordon.reason}" if one.cordon is not None else ""


def _instances(parts: Sequence[DeviceStatus]) -> tuple[Instance, ...]:
    """Return the instances by their slices. Several devices in the same ones are parts of one instance."""
    found: dict[tuple[int, int], list[DeviceStatus]] = defaultdict(list)
    for one in parts:
        if one.device.placement is not None:
            found[one.device.placement].append(one)
    return tuple(_instance(place, found[place]) for place in sorted(found))


def _instance(place: tuple[int, int], inside: Sequence[DeviceStatus]) -> Instance:
    uuids = tuple(sorted(one.device.uuid for one in inside))
    holders = [holder for one in inside for holder in (*one.holders, _barred(one), one.doubt) if holder]
    profile = inside[0].device.profile or ""
    number = inside[0].device.instance
    return Instance(profile, *place, number, uuids, holders[0] if holders else None)
