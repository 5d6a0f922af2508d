"""The public shape of the GPUs: which there are, and who holds and uses each.

Refuses whatever a reader could not write down: times are RFC 3339 in UTC, absent values are absent keys. What
the hardware does not tell is absent, too, and never 0.
"""

import re
from collections.abc import Mapping
from typing import Final, NotRequired, TypedDict, cast

from controller.model.gpus import Cordon, Fence, Trouble
from controller.model.gpustatus import DeviceStatus, Foreign, GpuStatus, User
from controller.status import grants, objects

_INDEX: Final = re.compile(r"[0-9]+(:[0-9]+)?")
FOREIGN_WORDS: Final[Mapping[str, str]] = {
    Foreign.HOST: "host process",
    Foreign.CONTAINER: "foreign container",
    Foreign.WORKSPACE: "other workspace",
    Foreign.UNASSIGNED: "workspace without a grant",
}


class UserObject(TypedDict):
    """One process that uses a device, or a container that may; `foreign` where it was not granted."""

    who: NotRequired[str]
    workspace: NotRequired[str]
    user: NotRequired[str]
    pid: NotRequired[int]
    command: NotRequired[str]
    memory: NotRequired[int]
    foreign: NotRequired[str]


class FenceObject(TypedDict):
    """Why a device is out of use by itself; `endsAt` is absent while the cause lasts."""

    ailment: str
    message: str
    since: str
    last: str
    code: NotRequired[int]
    endsAt: NotRequired[str]


class CordonObject(TypedDict):
    """Why a person took a device out of use."""

    reason: str
    at: str
    by: str
    drain: bool


class TroubleObject(TypedDict):
    """Something that is wrong with a device, or was reported of it."""

    ailment: str
    message: str
    at: str
    lasts: bool
    code: NotRequired[int]


class GpuObject(grants.DeviceObject, TypedDict):
    """One device, as `wharf get gpu UUID -o yaml` prints it.

    `utilization` is a share of 1, `memoryUsed` bytes, `energyUsed` joules. Where the driver does not tell
    which processes there are, `processes` is absent.
    """

    name: str
    state: str
    holders: list[str]
    workspaces: list[str]
    processes: NotRequired[list[UserObject]]
    utilization: NotRequired[float]
    memoryUsed: NotRequired[int]
    energyUsed: NotRequired[float]
    troubles: list[TroubleObject]
    cordon: NotRequired[CordonObject]
    fence: NotRequired[FenceObject]
    doubt: NotRequired[str]


class WaiterObject(TypedDict):
    """A workspace that waits for devices."""

    workspace: str
    since: str
    message: str


class GpusObject(TypedDict):
    """All devices, and who waits for any; `unseen` says why they could not be looked at."""

    items: list[GpuObject]
    queue: list[WaiterObject]
    simulated: bool
    driver: NotRequired[str]
    library: NotRequired[str]
    mismatch: NotRequired[str]
    unseen: NotRequired[str]


def gpus_object(status: GpuStatus) -> GpusObject:
    """All devices of the host."""
    told: GpusObject = {
        "items": [_gpu(one) for one in status.devices],
        "queue": [
            {"workspace": one.workspace, "since": objects.timestamp(one.since), "message": one.message}
            for one in status.waiting
        ],
        "simulated": status.simulated,
    }
    if status.driver:
        told["driver"] = status.driver
    if status.library:
        told["library"] = status.library
    if status.mismatch:
        told["mismatch"] = status.mismatch
    if status.unseen is not None:
        told["unseen"] = f"{status.unseen.reason}: {status.unseen.message}"
    return told


def find(name: str, known: Mapping[str, str]) -> str:
    """Return the UUID that a person means, of those that are `known` with their indexes.

    Raises:
        LookupError: there is no such device.
        ValueError: several begin so, or it is an index; the message says what to write.
    """
    if name in known:
        return name
    if _INDEX.fullmatch(name):
        now = next((uuid for uuid, index in known.items() if index == name), "")
        which = f"; {name} is {now} now" if now else ""
        raise ValueError(f"an index may mean another GPU after each boot: write the UUID{which}")
    found = sorted(uuid for uuid in known if name and uuid.lower().startswith(name.lower()))
    if len(found) > 1:
        raise ValueError(f"{name} is the beginning of {', '.join(found)}: write more of it")
    if not found:
        raise LookupError(f"there is no GPU {name}")
    return found[0]


def _gpu(one: DeviceStatus) -> GpuObject:
    told = cast("GpuObject", {"name": one.device.uuid, **grants.device_object(one.device)})
    told["state"] = str(one.state)
    told["holders"], told["workspaces"] = list(one.holders), list(one.workspaces)
    told["troubles"] = [_trouble(trouble) for trouble in one.troubles]
    if one.users is not None:
        told["processes"] = [_user(user) for user in one.users]
    if one.use.busy is not None:
        told["utilization"] = one.use.busy
    if one.use.memory is not None:
        told["memoryUsed"] = one.use.memory
    if one.use.energy is not None:
        told["energyUsed"] = one.use.energy
    if one.cordon is not None:
        told["cordon"] = _cordon(one.cordon)
    if one.fence is not None:
        told["fence"] = _fence(one.fence, one)
    if one.doubt:
        told["doubt"] = one.doubt
    return told


def _user(user: User) -> UserObject:
    told: UserObject = {}
    if user.who:
        told["who"] = user.who
    if user.workspace:
        told["workspace"] = user.workspace
    if user.user:
        told["user"] = user.user
    if user.pid is not None:
        told["pid"] = user.pid
    if user.command:
        told["command"] = user.command
    if user.memory is not None:
        told["memory"] = user.memory
    if user.foreign is not None:
        told["foreign"] = str(user.foreign)
    return told


def _cordon(cordon: Cordon) -> CordonObject:
    at = objects.timestamp(cordon.at)
    return {"reason": cordon.reason, "at": at, "by": cordon.by, "drain": cordon.drain}


def _fence(fence: Fence, one: DeviceStatus) -> FenceObject:
    told: FenceObject = {
        "ailment": str(fence.ailment),
        "message": fence.message,
        "since": objects.timestamp(fence.since),
        "last": objects.timestamp(fence.last),
    }
    if fence.code is not None:
        told["code"] = fence.code
    if one.fence_ends is not None:
        told["endsAt"] = objects.timestamp(one.fence_ends)
    return told


def _trouble(trouble: Trouble) -> TroubleObject:
    told: TroubleObject = {
        "ailment": str(trouble.ailment),
        "message": trouble.message,
        "at": objects.timestamp(trouble.at),
        "lasts": trouble.lasts,
    }
    if trouble.code is not None:
        told["code"] = trouble.code
    return told
