"""Knows what of a look at the GPUs a plan of MIG instances may rest on: what is divided, held, or out of use.

Refuses to call anything free that could not be seen: nothing of such a GPU is changed or given.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from controller.model.gpus import Device, GpuView
from controller.model.mig import Divisible, Instance
from controller.planning.claimed import Claim


def divisible(
    gpus: GpuView, claims: Iterable[Claim], barred: Mapping[str, str], blind: str = ""
) -> tuple[Divisible, ...]:
    """Return the GPUs as they are divided now, in the order in which tools list them.

    Args:
        gpus: as seen.
        claims: of everybody who has or may have a device.
        barred: why a device gets no new claims, by UUID of a whole GPU or of an instance: cordons and fences.
        blind: why nobody knows who has what, or empty.
    """
    holders: dict[str, str] = {}
    for claim in claims:
        holders.setdefault(claim.uuid, claim.holder)
    parts: dict[str, list[Device]] = defaultdict(list)
    for device in gpus.devices.values():
        if device.parent is not None:
            parts[device.parent].append(device)
    wholes = sorted((one for one in gpus.devices.values() if one.parent is None), key=_order)
    return tuple(
        Divisible(
            one.uuid,
            one.model,
            one.divided,
            _instances(parts[one.uuid], {**barred, **holders}),
            blind or gpus.mismatch or _kept(one, parts[one.uuid], gpus.driver, holders, barred),
        )
        for one in wholes
    )


def _order(device: Device) -> tuple[bool, int, str]:
    return not device.index.isdecimal(), int(device.index) if device.index.isdecimal() else 0, device.uuid


def _kept(
    gpu: Device, parts: Iterable[Device], driver: str, holders: Mapping[str, str], barred: Mapping[str, str]
) -> str:
    """Return why nothing of a GPU may be changed or given, or nothing."""
    if gpu.uuid in holders:
        return f"{holders[gpu.uuid]} has the whole of it"
    if gpu.uuid in barred:
        return barred[gpu.uuid]
    if not driver:
        return "no driver tells whether its MIG mode is on"
    lost = [one.uuid for one in parts if one.placement is None]
    return f"the driver does not tell where {min(lost)} lies in it" if lost else ""


def _instances(parts: Iterable[Device], holders: Mapping[str, str]) -> tuple[Instance, ...]:
    """Return the instances by their slices. Several devices in the same ones are parts of one instance."""
    found: dict[tuple[int, int], list[Device]] = defaultdict(list)
    for one in parts:
        if one.placement is not None:
            found[one.placement].append(one)
    return tuple(_instance(place, found[place], holders) for place in sorted(found))


def _instance(place: tuple[int, int], inside: list[Device], holders: Mapping[str, str]) -> Instance:
    uuids = tuple(sorted(one.uuid for one in inside))
    holder = next((holders[uuid] for uuid in uuids if uuid in holders), None)
    return Instance(inside[0].profile or "", *place, uuids=uuids, holder=holder)
