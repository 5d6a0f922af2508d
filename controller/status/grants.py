"""The public shape of what a workspace wants of the GPUs and has.

Refuses whatever a reader could not write down: absent values are absent keys.
"""

from typing import NotRequired, TypedDict

from controller.model.gpus import Device, Wish
from controller.model.gpustatus import WorkspaceGpus


class DeviceObject(TypedDict):
    """One device as the driver knows it; `memory` in bytes, `placement` in memory slices of its GPU.

    `instance` is the number of a MIG device's GPU instance, by which `nvidia-smi mig` knows it.
    """

    uuid: str
    index: NotRequired[str]
    model: NotRequired[str]
    memory: NotRequired[int]
    profile: NotRequired[str]
    parent: NotRequired[str]
    placement: NotRequired[list[int]]
    instance: NotRequired[int]
    divided: NotRequired[bool]


class WishObject(TypedDict):
    """What a workspace asks for."""

    mode: str
    count: NotRequired[int]
    migProfile: NotRequired[str]
    minMemory: NotRequired[int]
    model: NotRequired[str]
    uuids: NotRequired[list[str]]
    sharers: NotRequired[int]


class WorkspaceGpusObject(TypedDict):
    """What a workspace wants of the GPUs and has; `access` is whether its container can open its devices."""

    wanted: NotRequired[WishObject]
    devices: list[DeviceObject]
    waitingSince: NotRequired[str]
    access: NotRequired[str]
    simulated: NotRequired[bool]
    unseen: NotRequired[str]


def of_workspace(gpus: WorkspaceGpus) -> WorkspaceGpusObject:
    """What one workspace wants and has, but for its times."""
    known = {device.uuid: device for device in gpus.devices}
    told: WorkspaceGpusObject = {
        "devices": [device_object(known[uuid]) if uuid in known else {"uuid": uuid} for uuid in gpus.uuids]
    }
    if gpus.wish is not None:
        told["wanted"] = _wish(gpus.wish)
    if gpus.access is not None:
        told["access"] = str(gpus.access)
    if gpus.simulated:
        told["simulated"] = True
    if gpus.unseen is not None:
        told["unseen"] = gpus.unseen.message
    return told


def device_object(device: Device) -> DeviceObject:
    """One device."""
    told: DeviceObject = {"uuid": device.uuid}
    if device.index:
        told["index"] = device.index
    if device.model:
        told["model"] = device.model
    if device.memory:
        told["memory"] = device.memory
    if device.divided:
        told["divided"] = True
    if device.parent is not None:
        told["parent"] = device.parent
    _tell_of_part(told, device)
    return told


def _tell_of_part(told: DeviceObject, device: Device) -> None:
    """Add what only MIG instances have."""
    if device.profile is not None:
        told["profile"] = device.profile
    if device.placement is not None:
        told["placement"] = list(device.placement)
    if device.instance is not None:
        told["instance"] = device.instance


def _wish(wish: Wish) -> WishObject:
    if wish.all:
        return {"mode": "All"}
    told: WishObject = {"mode": "Shared" if wish.shared else "Exclusive", "count": wish.count}
    if wish.profile is not None:
        told["migProfile"] = wish.profile
    if wish.memory:
        told["minMemory"] = wish.memory
    if wish.model:
        told["model"] = wish.model
    if wish.uuids:
        told["uuids"] = list(wish.uuids)
    if wish.shared:
        told["sharers"] = wish.sharers
    return told
