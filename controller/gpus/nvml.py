"""Asks the driver's library (NVML) what it says of the GPUs now; the only door to pynvml.

Refuses to judge: what the library does not tell is None, and an error is its code, by name. Any call may hang
in the kernel, for good; so this is used in the reader's process alone, never in the controller's own.
"""

import ctypes
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import pynvml

T = TypeVar("T")
Facts = dict[str, Any]

_PREFIX: Final = "NVML_ERROR_"
CODES: Final[dict[int, str]] = {
    value: name.removeprefix(_PREFIX)
    for name, value in sorted(vars(pynvml).items())
    if name.startswith(_PREFIX) and isinstance(value, int)
}
"""Names of the library's error codes, as in nvml.h, without NVML_ERROR_."""
UNTOLD: Final = frozenset(
    {"NOT_SUPPORTED", "FUNCTION_NOT_FOUND", "ARGUMENT_VERSION_MISMATCH", "DEPRECATED", "NO_DATA"}
)
"""Codes that say that this hardware, or this driver, never tells."""
GARBAGE: Final = "GARBAGE"
"""In place of a code: the answer is a text that is none."""
_EVENTS: Final = pynvml.nvmlEventTypeXidCriticalError | pynvml.nvmlEventTypeDoubleBitEccError
_MAPS: Final = Path("/proc/self/maps")
_MOST_EVENTS: Final = 256
"""Taken at a time: a device that fails for good may report without end."""
_ANY: Final = 0xFFFFFFFF
"""What the library writes for a process that is in no MIG instance."""
_UNCORRECTED: Final = pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED
_MODES: Final = (
    (
        "compute",
        pynvml.nvmlDeviceGetComputeRunningProcesses_v3,
        pynvml.nvmlDeviceGetComputeRunningProcesses_v2,
    ),
    (
        "graphics",
        pynvml.nvmlDeviceGetGraphicsRunningProcesses_v3,
        pynvml.nvmlDeviceGetGraphicsRunningProcesses_v2,
    ),
    (
        "mps",
        pynvml.nvmlDeviceGetMPSComputeRunningProcesses_v3,
        pynvml.nvmlDeviceGetMPSComputeRunningProcesses_v2,
    ),
)
"""Kinds of processes, and the calls that tell of them: the one of drivers from 510 on, and the one before."""


class Failed(Exception):  # noqa: N818 - what it says of a call
    """A call without which nothing can be told: its name, and the name of the code."""

    def __init__(self, call: str, code: str) -> None:
        super().__init__(f"{call}: {code}")
        self.call = call
        self.code = code


class _Device:
    """What is asked of one device: each answer goes into `facts`, each code but `UNTOLD` into `codes`."""

    def __init__(self, handle: object, facts: Facts) -> None:
        self.handle = handle
        self.facts = facts
        self.codes: dict[str, str] = {}

    def ask(self, key: str, call: Callable[..., T], *arguments: object) -> T | None:
        """Return an answer, or None where there is none."""
        try:
            return call(self.handle, *arguments)
        except pynvml.NVMLError as error:
            code = _name(error)
            if code not in UNTOLD:
                self.codes[key] = code
            return None
        except UnicodeDecodeError:
            self.codes[key] = GARBAGE
            return None

    def note(self, key: str, call: Callable[..., object], *arguments: object) -> None:
        """Put an answer among the facts; where there is none, what was known before stays."""
        answer = self.ask(key, call, *arguments)
        if answer is not None or key not in self.facts:
            self.facts[key] = answer


class Library:
    """The driver's library, open until the process ends.

    Raises, from construction and from `look`:
        Failed: nothing can be told.
    """

    def __init__(self) -> None:
        _must("nvmlInit", pynvml.nvmlInit)
        self._file = _loaded_file()
        self._identity = _identity(self._file)
        self._events: Any = None
        self._heard: dict[int | None, str] = {}  # UUID by address of the handle, of devices that report
        self._known: dict[int, Facts] = {}  # whom an index means, for as long as this process lives

    @property
    def replaced(self) -> bool:
        """Whether the library's file is another one now, as after an upgrade: the old one was loaded."""
        return _identity(self._file) != self._identity

    def wait(self, seconds: float) -> list[Facts]:
        """Wait until a device reports something, but not longer; return all that was reported.

        Where that cannot be heard of, it is only waited.
        """
        deadline, found = time.monotonic() + seconds, list[Facts]()
        try:
            while self._events is not None and len(found) < _MOST_EVENTS:
                left = 0.0 if found else max(0.0, deadline - time.monotonic())
                data = pynvml.nvmlEventSetWait_v2(self._events, int(left * 1000))
                uuid = self._heard.get(_address(data.device), "")
                found.append({"uuid": uuid, "type": data.eventType, "data": data.eventData})
        except pynvml.NVMLError as error:
            if _name(error) != "TIMEOUT":
                self._stop_hearing()
        if not found:
            time.sleep(max(0.0, deadline - time.monotonic()))
        return found

    def look(self) -> Facts:
        """Return all that can be told now."""
        count = _must("nvmlDeviceGetCount", pynvml.nvmlDeviceGetCount)
        answer = {
            "driver": _must("nvmlSystemGetDriverVersion", pynvml.nvmlSystemGetDriverVersion),
            "library": _must("nvmlSystemGetNVMLVersion", pynvml.nvmlSystemGetNVMLVersion),
            "gpus": [self._gpu(index) for index in range(count)],
        }
        self._hear()
        return answer

    def _gpu(self, index: int) -> Facts:
        known = self._known.setdefault(index, {"index": index})
        try:
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        except pynvml.NVMLError as error:
            return known | {"codes": {"handle": _name(error)}}
        device = _Device(handle, known)
        device.note("uuid", pynvml.nvmlDeviceGetUUID)
        device.note("name", pynvml.nvmlDeviceGetName)
        device.note("minor", pynvml.nvmlDeviceGetMinorNumber)
        device.facts = known | _now(device)
        device.facts["instances"] = list(_instances(device)) if device.facts["mig"] else []
        return device.facts | {"codes": device.codes}

    # events

    def _hear(self) -> None:
        """Let every device report that does not yet."""
        with_handles: list[tuple[Any, str]] = []
        for index, facts in self._known.items():
            if facts.get("uuid") and facts["uuid"] not in self._heard.values():
                try:
                    with_handles.append((pynvml.nvmlDeviceGetHandleByIndex(index), facts["uuid"]))
                except pynvml.NVMLError:
                    continue
        for handle, uuid in with_handles:
            self._register(handle, uuid)

    def _register(self, handle: Any, uuid: str) -> None:  # noqa: ANN401 - pynvml's handles have no type
        try:
            if self._events is None:
                self._events = pynvml.nvmlEventSetCreate()
            types = _EVENTS & pynvml.nvmlDeviceGetSupportedEventTypes(handle)
            if types:
                pynvml.nvmlDeviceRegisterEvents(handle, types, self._events)
        except pynvml.NVMLError:
            return
        self._heard[_address(handle)] = uuid

    def _stop_hearing(self) -> None:
        events, self._events = self._events, None
        self._heard.clear()
        try:
            pynvml.nvmlEventSetFree(events)
        except pynvml.NVMLError:
            return


def _now(device: _Device) -> Facts:
    """What changes all the time."""
    memory = device.ask("memory", pynvml.nvmlDeviceGetMemoryInfo)
    rates = device.ask("busy", pynvml.nvmlDeviceGetUtilizationRates)
    mode = device.ask("mig", pynvml.nvmlDeviceGetMigMode)
    remapped = device.ask("remapping", pynvml.nvmlDeviceGetRemappedRows)
    volatile = (_UNCORRECTED, pynvml.NVML_VOLATILE_ECC)
    return {
        "memory": None if memory is None else memory.total,
        "used": None if memory is None else memory.used,
        "busy": None if rates is None else rates.gpu,
        "energy": device.ask("energy", pynvml.nvmlDeviceGetTotalEnergyConsumption),
        "mig": None if mode is None else mode[0] == 1,
        "processes": _processes(device),
        "ecc": device.ask("ecc", pynvml.nvmlDeviceGetTotalEccErrors, *volatile),
        "retiring": device.ask("retiring", pynvml.nvmlDeviceGetRetiredPagesPendingStatus),
        "remapping": None if remapped is None else remapped[2],
        "remapfailed": None if remapped is None else remapped[3],
    }


def _processes(device: _Device) -> list[list[object]] | None:
    """Those of a GPU and of all its instances, or of one instance; None unless all of them can be told."""
    found: list[list[object]] = []
    for mode, *calls in _MODES:
        answer = device.ask(mode, _first_known, calls)
        if answer is None and mode == "mps":  # its clients; they are among the others, too, where it is old
            device.codes.pop(mode, None)
        elif answer is None:
            return None
        found += [[mode, one.pid, one.usedGpuMemory, *_part(one)] for one in answer or ()]
    return found


def _first_known(handle: object, calls: list[Callable[[object], list[Any]]]) -> list[Any]:
    """The answer of the first call that the driver has."""
    try:
        return calls[0](handle)
    except pynvml.NVMLError as error:
        if _name(error) != "FUNCTION_NOT_FOUND":
            raise
    return calls[1](handle)


def _part(process: Any) -> tuple[int | None, int | None]:  # noqa: ANN401 - pynvml's structures have no type
    """Numbers of the MIG instance that a process is in."""
    both = process.gpuInstanceId, process.computeInstanceId
    return (None, None) if _ANY in both else both


def _instances(gpu: _Device) -> Iterator[Facts]:
    """The MIG instances of a GPU."""
    most = gpu.ask("instances", pynvml.nvmlDeviceGetMaxMigDeviceCount)
    for index in range(most or 0):
        try:
            handle = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu.handle, index)
        except pynvml.NVMLError as error:
            if _name(error) not in {"NOT_FOUND", "INVALID_ARGUMENT"}:
                gpu.codes["instances"] = _name(error)
            continue
        yield _instance(gpu, handle, index)


def _instance(gpu: _Device, handle: object, index: int) -> Facts:
    one = _Device(handle, {"index": index})
    one.note("uuid", pynvml.nvmlDeviceGetUUID)
    one.note("name", pynvml.nvmlDeviceGetName)
    one.note("gi", pynvml.nvmlDeviceGetGpuInstanceId)
    one.note("ci", pynvml.nvmlDeviceGetComputeInstanceId)
    memory = one.ask("memory", pynvml.nvmlDeviceGetMemoryInfo)
    sizes = one.ask("sizes", pynvml.nvmlDeviceGetAttributes)
    placement = gpu.ask("placement", _placement, one.facts["gi"])
    gpu.codes.pop("placement", None)  # only the planning of instances needs it
    return one.facts | {
        "memory": None if memory is None else memory.total,
        "used": None if memory is None else memory.used,
        "slices": None if sizes is None else sizes.gpuInstanceSliceCount,
        "compute": None if sizes is None else sizes.computeInstanceSliceCount,
        "size": None if sizes is None else sizes.memorySizeMB << 20,
        "placement": placement,
        "processes": _processes(one),
        "codes": one.codes,
    }


def _placement(gpu: object, instance: int) -> tuple[int, int]:
    info = pynvml.nvmlGpuInstanceGetInfo(pynvml.nvmlDeviceGetGpuInstanceById(gpu, ctypes.c_uint(instance)))
    return info.placement.start, info.placement.size


def _must(name: str, call: Callable[[], T]) -> T:
    try:
        return call()
    except pynvml.NVMLError as error:
        raise Failed(name, _name(error)) from error


def _name(error: Any) -> str:  # noqa: ANN401 - pynvml's errors have no type
    return CODES.get(error.value, str(error.value))


def _address(handle: Any) -> int | None:  # noqa: ANN401 - pynvml's handles have no type
    return ctypes.cast(handle, ctypes.c_void_p).value


def _loaded_file() -> str:
    """Path of the library that this process has loaded."""
    found = re.search(r"(/\S*libnvidia-ml\S*)$", _MAPS.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else ""


def _identity(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - it may be no path at all
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns
