"""A real NVIDIA GPU: `make test-gpu`. Nothing is skipped: without one every test fails and says so."""

import csv
import ctypes
import os
import pwd
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pynvml
import pytest

from controller.gpus import nvml
from controller.gpus.looker import Looker
from controller.gpus.processes import Processes
from controller.model.gpus import GpuView

pytestmark = pytest.mark.gpu

MIB = 2**20
HELD = 256 * MIB
DEADLINE = 30.0
"""Seconds for a program to begin to work on the GPU, and for that to be seen."""
FIRST_NAMESPACE = 0xEFFFFFFC
"""Number of the host's own namespace of processes; see <linux/proc_ns.h>."""

PROGRAM = f"""
import ctypes, sys
cuda = ctypes.CDLL("libcuda.so.1")
def must(code): assert code == 0, code
device, context, memory = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_uint64()
must(cuda.cuInit(0))
must(cuda.cuDeviceGet(ctypes.byref(device), 0))
must(cuda.cuCtxCreate_v2(ctypes.byref(context), 0, device))
must(cuda.cuMemAlloc_v2(ctypes.byref(memory), ctypes.c_size_t({HELD})))
print("ready", flush=True)
while True:
    for _ in range(64):
        must(cuda.cuMemsetD8_v2(memory, ctypes.c_ubyte(1), ctypes.c_size_t({HELD})))
    must(cuda.cuCtxSynchronize())
"""
"""Holds memory of a GPU and keeps it busy, with the driver's own library."""


@dataclass
class Host:
    """The GPUs as the product sees them."""

    looker: Looker

    def see(self) -> GpuView:
        found = self.looker.look(0.0)
        assert isinstance(found, GpuView), f"no NVIDIA GPU can be seen here: {found.message}"
        assert found.devices, "no NVIDIA GPU here"
        assert not found.simulated, "this is the simulated library: unset LD_LIBRARY_PATH"
        return found


@pytest.fixture
def host() -> Iterator[Host]:
    processes = Processes(lambda uid: pwd.getpwuid(uid).pw_name)
    looker = Looker(processes, lambda: datetime.now(UTC))
    yield Host(looker)
    looker.close()


@pytest.fixture
def worker(host: Host) -> Iterator[int]:
    """The pid of a program that works on the first GPU."""
    host.see()
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", "no CUDA program runs here"
        yield process.pid
        process.kill()


def nvidia_smi(*fields: str) -> list[list[str]]:
    command = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    return [[field.strip() for field in row] for row in csv.reader(told.splitlines())]


def test_the_inventory_is_what_nvidia_smi_shows(host: Host) -> None:
    view = host.see()
    whole = [device for device in view.devices.values() if device.parent is None]
    rows = nvidia_smi("index", "uuid", "name", "memory.total", "driver_version", "mig.mode.current")
    assert [[one.index, one.uuid, one.model] for one in whole] == [row[:3] for row in rows]
    assert [one.divided for one in whole] == [row[5] == "Enabled" for row in rows]
    for device, row in zip(whole, rows, strict=True):
        if row[3].isdecimal():
            assert device.memory // MIB == int(row[3])
    assert {view.driver} == {row[4] for row in rows}
    assert view.library.endswith(view.driver)
    assert not view.mismatch
    for device in whole:
        assert device.minor is None or Path(f"/dev/nvidia{device.minor}").exists()


def test_what_is_idle_and_healthy_is_seen_as_such(host: Host) -> None:
    view = host.see()
    for uuid, use in view.use.items():
        assert use.busy is None or 0 <= use.busy <= 1
        assert use.memory is None or 0 <= use.memory <= view.devices[uuid].memory
    assert [one for one in view.troubles if one.lasts] == []


def test_work_is_seen_as_utilisation_memory_and_energy(host: Host, worker: int) -> None:
    deadline = time.monotonic() + DEADLINE
    first = next(iter(host.see().devices))
    before = host.see().use[first]
    while True:
        use = host.see().use[first]
        is_busy = use.busy is None or use.busy > 0
        is_warm = use.energy is None or before.energy is None or use.energy > before.energy
        if is_busy and is_warm and (use.memory is None or use.memory >= HELD):
            return
        assert time.monotonic() < deadline, use
        time.sleep(0.2)


def test_a_program_is_seen_with_its_pid_user_name_and_memory(host: Host, worker: int) -> None:
    """In a container the driver may tell numbers that only the host knows: it is seen as somebody else's."""
    view = host.see()
    assert view.processes is not None, "the driver does not tell who uses it"
    is_host = os.stat("/proc/self/ns/pid").st_ino == FIRST_NAMESPACE  # noqa: PTH116 - of what it leads to
    own = [one for one in view.processes if one.pid == worker]
    if is_host or own:
        (found,) = own
        assert found.user == pwd.getpwuid(os.getuid()).pw_name
        assert found.command == Path(sys.executable).name[:15]
        assert not found.graphics
        assert found.memory is None or found.memory >= HELD
    else:
        assert view.processes, "a program works on a GPU and nobody is seen there"


def test_events_can_be_waited_for(host: Host) -> None:
    host.see()
    library = nvml.Library()
    library.look()
    began = time.monotonic()
    assert library.wait(0.5) == []
    assert 0.4 < time.monotonic() - began < DEADLINE
    assert library._events is not None, "the driver lets nobody hear of its events"


def test_the_codes_of_errors_are_those_that_are_known(host: Host) -> None:
    host.see()
    pynvml.nvmlInit()
    count = pynvml.nvmlDeviceGetCount()
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    cases: list[tuple[Callable[[], object], set[str]]] = [
        (lambda: pynvml.nvmlDeviceGetHandleByIndex(count), {"INVALID_ARGUMENT"}),
        (lambda: pynvml.nvmlDeviceGetHandleByUUID(b"GPU-0"), {"NOT_FOUND", "INVALID_ARGUMENT"}),
        (
            lambda: pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, 99),
            {"NOT_FOUND", "NOT_SUPPORTED", "INVALID_ARGUMENT"},
        ),
        (
            lambda: pynvml.nvmlDeviceGetGpuInstanceById(handle, ctypes.c_uint(99)),
            {"NOT_FOUND", "NOT_SUPPORTED", "INVALID_ARGUMENT", "NO_PERMISSION"},
        ),
    ]
    for call, codes in cases:
        with pytest.raises(pynvml.NVMLError) as raised:
            call()
        assert nvml.CODES[raised.value.value] in codes
    pynvml.nvmlShutdown()
