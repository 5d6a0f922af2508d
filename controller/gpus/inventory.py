"""Makes devices, uses and counters of what the reader tells, and refuses lists that cannot be true.

Refuses to guess: a number that cannot be is unknown, and so is a list with one such entry in it, because with
a library and a driver of different versions garbage comes without an error. What cannot be reached at the
moment is known from the look before.
"""

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from controller.model.gpus import Device, GpuView, Use

Facts = Mapping[str, Any]

_UUID: Final = re.compile(r"(GPU|MIG)-[!-+\--~]{1,90}")
_PROFILE: Final = re.compile(r" MIG ((?:\dc\.)?\dg\.\d+gb\S*)$")
_ESSENTIAL: Final = ("handle", "uuid", "memory", "mig", "instances")
"""Calls without whose answers a device cannot be granted."""
_UNREACHABLE: Final = frozenset({"GPU_IS_LOST", "RESET_REQUIRED", "INSUFFICIENT_POWER", "IRQ_ISSUE"})
"""Codes that say so of the device, whatever was asked."""
_MOST_MEMORY: Final = 2**50
_MOST_COUNT: Final = 2**48
_MOST_DEVICES: Final = 1024
_EIGHTHS: Final = 8
"""Parts of a GPU's memory that MIG deals in."""
_MIB: Final = 2**20


class GarbageError(Exception):
    """The library's answer cannot be true; the text says why."""


@dataclass(frozen=True, slots=True)
class Using:
    """A process on a device, as the library tells of it; `memory` in bytes, None where it does not tell."""

    device: str
    pid: int
    memory: int | None
    graphics: bool


@dataclass(frozen=True, slots=True)
class Counters:
    """What the library tells of a whole GPU's health; None: it does not.

    Attributes:
        ecc: errors that could not be corrected, since the driver was loaded.
        retiring: pages wait for a reset to be retired.
        remapping: rows wait for a reset to be remapped.
        failed: a row could not be remapped.
    """

    ecc: int | None = None
    retiring: bool | None = None
    remapping: bool | None = None
    failed: bool | None = None


@dataclass(slots=True)
class Reading:
    """One answer of the reader.

    Attributes:
        lost: why a device cannot be reached, by its UUID; one that never told it is not known at all.
        processes: None where it cannot be told of every device within reach who uses it.
        blind: why not.
        counters: by UUID of whole GPUs within reach.
    """

    driver: str
    library: str
    devices: dict[str, Device] = field(default_factory=dict)
    use: dict[str, Use] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    processes: tuple[Using, ...] | None = ()
    blind: str = ""
    counters: dict[str, Counters] = field(default_factory=dict)


def read(answer: Facts, before: GpuView, pid_max: int) -> Reading:
    """Return what an answer means; processes above `pid_max` cannot be.

    Raises:
        GarbageError: it cannot be true.
    """
    reading = Reading(answer["driver"], answer["library"])
    if len(answer["gpus"]) > _MOST_DEVICES:
        raise GarbageError(f"{len(answer['gpus'])} devices")
    found: dict[tuple[str, int], Using] = {}
    for gpu in answer["gpus"]:
        why = _why_lost(gpu)
        if why:
            _keep(reading, gpu, why, before)
            continue
        device = _device(gpu)
        _enter(reading, device, _use(gpu, device.memory))
        parts = dict(_instances(gpu, device, before))
        for instance, use in parts.values():
            _enter(reading, instance, use)
        reading.counters[device.uuid] = _counters(gpu)
        uuids = {part: instance.uuid for part, (instance, _) in parts.items()}
        try:
            for using in _processes(gpu, device, uuids, pid_max):
                _merge(found, using)
        except GarbageError as garbage:
            reading.blind = reading.blind or str(garbage)
    reading.processes = None if reading.blind else tuple(found.values())
    return reading


def _why_lost(gpu: Facts) -> str:
    for key, code in gpu["codes"].items():
        if key in _ESSENTIAL or code in _UNREACHABLE:
            return f"{key}: {code}"
    return "" if gpu["uuid"] else "uuid: NOT_SUPPORTED"


def _keep(reading: Reading, gpu: Facts, why: str, before: GpuView) -> None:
    """A device that cannot be reached is still there, as it was."""
    uuid = gpu.get("uuid") or _at_index(str(gpu["index"]), before)
    if uuid is None:
        return
    reading.lost[uuid] = why
    for device in before.devices.values():
        if device.whole == uuid:
            _enter(reading, device, Use())


def _at_index(index: str, before: GpuView) -> str | None:
    """The UUID of a GPU that tells it no more: an index means the same until the driver is loaded anew."""
    return next((one.uuid for one in before.devices.values() if one.index == index and not one.parent), None)


def _enter(reading: Reading, device: Device, use: Use) -> None:
    if device.uuid in reading.devices:
        raise GarbageError(f"two devices with the UUID {device.uuid}")
    reading.devices[device.uuid] = device
    reading.use[device.uuid] = use


def _device(gpu: Facts) -> Device:
    return Device(
        uuid=_uuid(gpu["uuid"]),
        model=gpu["name"] or "",
        memory=_memory(gpu["memory"], gpu["uuid"]),
        index=str(gpu["index"]),
        divided=bool(gpu["mig"]),
        minor=gpu["minor"],
    )


def _instances(
    gpu: Facts, whole: Device, before: GpuView
) -> Iterator[tuple[tuple[int, int], tuple[Device, Use]]]:
    """Its instances by the numbers of their parts; one that comes or goes meanwhile is left out."""
    for facts in gpu["instances"]:
        if facts["uuid"] is None or facts["gi"] is None or facts["ci"] is None:
            continue
        uuid, profile = _uuid(facts["uuid"]), _profile(facts, whole.memory)
        if profile is None or facts["memory"] is None:
            if uuid in before.devices:
                yield (facts["gi"], facts["ci"]), (before.devices[uuid], Use())
            continue
        instance = Device(
            uuid=uuid,
            model=whole.model,
            memory=_memory(facts["memory"], uuid),
            index=f"{whole.index}:{facts['index']}",
            parent=whole.uuid,
            profile=profile,
            placement=_placement(facts["placement"]),
            minor=whole.minor,
            instance=facts["gi"],
        )
        if instance.memory > whole.memory:
            raise GarbageError(f"{uuid} has more memory than the GPU that it is a part of")
        yield (facts["gi"], facts["ci"]), (instance, Use(memory=_used(facts["used"], instance.memory)))


def _profile(instance: Facts, total: int) -> str | None:
    """The name of a profile: as the driver says it, else as NVIDIA's own tools compute it."""
    named = _PROFILE.search(instance["name"] or "")
    if named:
        return named[1]
    slices, compute, size = instance["slices"], instance["compute"], instance["size"]
    if not slices or not compute or not size or not total:
        return None
    share = math.ceil(size / total * _EIGHTHS) / _EIGHTHS
    memory = round(share * math.ceil(total / 2**30))
    part = "" if compute == slices else f"{compute}c."
    return f"{part}{slices}g.{memory}gb"


def _placement(told: list[int] | None) -> tuple[int, int] | None:
    if told is None or not 0 <= told[0] < _EIGHTHS or not 0 < told[1] <= _EIGHTHS:
        return None
    return told[0], told[1]


def _uuid(told: str) -> str:
    if not _UUID.fullmatch(told):
        raise GarbageError(f"a UUID {told!r}")
    return told


def _memory(told: int | None, uuid: str) -> int:
    """Bytes; 0 where the hardware does not tell, as some that share the host's memory."""
    if told is None:
        return 0
    if not 0 < told < _MOST_MEMORY:
        raise GarbageError(f"{uuid} has {told} bytes of memory")
    return told


def _used(told: int | None, total: int) -> int | None:
    return told if told is not None and 0 <= told <= (total or _MOST_MEMORY) else None


def _use(gpu: Facts, total: int) -> Use:
    busy, energy = gpu["busy"], gpu["energy"]
    return Use(
        busy=busy / 100 if busy is not None and 0 <= busy <= 100 else None,  # noqa: PLR2004 - percent
        memory=_used(gpu["used"], total),
        energy=energy / 1000 if energy is not None else None,
    )


def _counters(gpu: Facts) -> Counters:
    ecc = gpu["ecc"]
    return Counters(
        ecc=ecc if ecc is not None and 0 <= ecc < _MOST_COUNT else None,
        retiring=_flag(gpu["retiring"]),
        remapping=_flag(gpu["remapping"]),
        failed=_flag(gpu["remapfailed"]),
    )


def _flag(told: int | None) -> bool | None:
    return bool(told) if told in {0, 1} else None


def _processes(
    gpu: Facts, whole: Device, parts: Mapping[tuple[int, int], str], pid_max: int
) -> Iterator[Using]:
    """Who uses a GPU or an instance of it; all of them, or GarbageError.

    Of all instances a driver may tell only to who is privileged; then each is asked of its own.
    """
    lists = [instance["processes"] for instance in gpu["instances"]]
    if gpu["processes"] is None and (None in lists or not gpu["mig"]):
        codes = [gpu["codes"][mode] for mode in ("compute", "graphics") if mode in gpu["codes"]]
        raise GarbageError(f"{whole.uuid} does not tell who uses it ({', '.join(codes) or 'NOT_SUPPORTED'})")
    told = [one for one in (gpu["processes"], *lists) if one is not None]
    for mode, pid, memory, gi, ci in itertools.chain.from_iterable(told):
        if not 0 < pid <= pid_max:
            raise GarbageError(f"a process {pid} on {whole.uuid}")
        if memory is not None and memory > (whole.memory or _MOST_MEMORY):
            raise GarbageError(f"process {pid} has {memory // _MIB} MiB of {whole.uuid}, more than there is")
        yield Using(parts.get((gi, ci), whole.uuid), pid, memory, mode == "graphics")


def _merge(found: dict[tuple[str, int], Using], using: Using) -> None:
    """A process may be told of twice: as one that computes, and as one that draws."""
    key = using.device, using.pid
    other = found.get(key)
    if other is None:
        found[key] = using
        return
    told = [one.memory for one in (other, using) if one.memory is not None]
    both = other.graphics and using.graphics
    found[key] = Using(*key, max(told, default=None), both)
