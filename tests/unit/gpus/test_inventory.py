"""What is seen of devices and of those who use them, through the reader and pynvml."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from controller.api.conditions import Reason
from controller.model.gpus import Device, Process, Use
from tests.support.nvml.scenario import CODES, GIB, Fault, Gpu, Mig, Scenario
from tests.support.nvml.scenario import Process as Using
from tests.unit.gpus.conftest import Lab

A = "GPU-0a11e7e5-0000-4000-8000-00000000000a"
B = "GPU-0a11e7e5-0000-4000-8000-00000000000b"
M = "MIG-5e01e7e5-0000-5000-8000-000000000001"
N = "MIG-5e01e7e5-0000-5000-8000-000000000002"
TWO = Scenario(gpus=(Gpu(A, used=GIB, busy=37, energy=12345), Gpu(B, name="L4", memory=24 * GIB, minor=1)))
DIVIDED = Scenario(
    gpus=(Gpu(A, mig=1, busy=None),),
    migs=(Mig(M, A, "3g.40gb", gi=1, start=4, size=4, used=GIB), Mig(N, A, "1g.10gb", gi=9, start=0, size=1)),
)


@pytest.fixture
def sleeper() -> Iterator[int]:
    """The pid of a process."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process.pid
        process.kill()


def test_whole_devices_and_what_they_do_are_seen(lab: Lab) -> None:
    view = lab.see(TWO)
    assert dict(view.devices) == {
        A: Device(A, "SIMULATED H100 80GB HBM3", 80 * GIB, "0", minor=0),
        B: Device(B, "SIMULATED L4", 24 * GIB, "1", minor=1),
    }
    assert dict(view.use) == {A: Use(0.37, GIB, 12.345), B: Use(0.0, 0, None)}
    assert (view.driver, view.library, view.mismatch) == ("550.54.15", "12.550.54.15", "")
    assert (view.processes, view.troubles, view.simulated) == ((), (), True)


def test_a_host_may_have_no_device(lab: Lab) -> None:
    view = lab.see(Scenario())
    assert (dict(view.devices), view.processes, view.simulated) == ({}, (), False)


def test_a_device_that_comes_or_goes_is_seen_at_the_next_look(lab: Lab) -> None:
    lab.see(TWO)
    assert set(lab.see(replace(TWO, gpus=TWO.gpus[:1])).devices) == {A}
    assert set(lab.see(TWO).devices) == {A, B}


def test_instances_are_seen_with_their_profiles_and_places(lab: Lab) -> None:
    view = lab.see(DIVIDED)
    assert view.devices[A].divided
    model, memory = "SIMULATED H100 80GB HBM3", 40 * GIB * 19 // 20
    assert view.devices[M] == Device(M, model, memory, "0:0", A, "3g.40gb", (4, 4), minor=0, instance=1)
    assert (view.devices[N].profile, view.devices[N].placement) == ("1g.10gb", (0, 1))
    assert view.devices[N].share == Fraction(1, 7)


def test_what_an_instance_computes_is_unknown_and_not_zero(lab: Lab) -> None:
    view = lab.see(DIVIDED)
    assert view.use[A].busy is None
    assert view.use[M] == Use(busy=None, memory=GIB, energy=None)


def test_a_profile_that_the_driver_does_not_name_is_computed_as_nvidia_does(lab: Lab) -> None:
    """Sizes in MiB are those that nvidia-smi shows of A100, A30, H100 and H200."""
    table = [
        ("1g.10gb", 81559, 9984),
        ("1g.20gb", 81559, 20096),
        ("3g.40gb", 81559, 40448),
        ("7g.80gb", 81559, 81038),
        ("1c.3g.40gb", 81559, 40448),
        ("1g.5gb", 40536, 4864),
        ("2g.10gb", 40536, 9856),
        ("2g.12gb", 24258, 11968),
        ("1g.18gb", 143771, 16384),
    ]
    gpus = tuple(Gpu(f"GPU-{i}", mig=1, memory=total << 20) for i, (_, total, _) in enumerate(table))
    migs = tuple(
        Mig(f"MIG-{i}", f"GPU-{i}", profile, 1, memory=size << 20, named=False)
        for i, (profile, _, size) in enumerate(table)
    )
    view = lab.see(Scenario(gpus=gpus, migs=migs))
    assert [view.devices[one.uuid].profile for one in migs] == [profile for profile, _, _ in table]


def test_an_instance_without_a_place_has_none(lab: Lab) -> None:
    assert lab.see(replace(DIVIDED, migs=(Mig(M, A, "3g.40gb", gi=1),))).devices[M].placement is None


def test_an_instance_that_is_being_made_or_removed_is_left_out(lab: Lab) -> None:
    view = lab.see(replace(DIVIDED, faults=(Fault("nvmlDeviceGetUUID", "NOT_FOUND", N),)))
    assert set(view.devices) == {A, M}
    assert view.troubles == ()


def test_an_instance_whose_memory_is_not_told_is_as_it_was(lab: Lab) -> None:
    before = lab.see(DIVIDED)
    view = lab.see(replace(DIVIDED, faults=(Fault("nvmlDeviceGetMemoryInfo", "UNKNOWN", N),)))
    assert view.devices == before.devices
    assert view.use[N] == Use()


# what cannot be told


def test_a_library_that_cannot_be_begun_tells_nothing(lab: Lab) -> None:
    for code in sorted(CODES.keys() - {"LIB_RM_VERSION_MISMATCH", "LIBRARY_NOT_FOUND"}):
        unseen = lab.miss(replace(TWO, faults=(Fault("nvmlInitWithFlags", code),)))
        assert (unseen.reason, unseen.since) == (Reason.NOT_SEEN, lab.now)
        assert unseen.message == f"the driver's library says {code} (nvmlInit)"


@pytest.mark.parametrize(
    "call", ["nvmlDeviceGetCount", "nvmlSystemGetDriverVersion", "nvmlSystemGetNVMLVersion"]
)
def test_no_view_is_made_of_half_an_answer(lab: Lab, call: str) -> None:
    lab.see(TWO)
    assert lab.miss(replace(TWO, faults=(Fault(call, "UNKNOWN"),))).message.endswith(f"UNKNOWN ({call})")
    assert set(lab.see(TWO).devices) == {A, B}


UNTOLD = {"NOT_SUPPORTED", "FUNCTION_NOT_FOUND", "ARGUMENT_VERSION_MISMATCH", "NO_DATA"}


@pytest.mark.parametrize("call", ["HandleByIndex", "UUID", "MemoryInfo", "MigMode"])
def test_every_code_of_a_call_that_matters_is_a_trouble_of_its_device_alone(lab: Lab, call: str) -> None:
    before = lab.see(TWO)
    for code in sorted(CODES if call == "HandleByIndex" else CODES.keys() - UNTOLD):
        view = lab.see(replace(TWO, faults=(Fault(f"nvmlDeviceGet{call}", code, B),)))
        assert view.devices == before.devices
        assert view.use[A] == before.use[A]
        assert view.processes == ()
        assert [(one.uuid, one.lasts) for one in view.troubles] == [(B, True)], code
        assert code in view.troubles[0].message


def test_hardware_that_never_tells_its_memory_or_of_instances_works_without(lab: Lab) -> None:
    for code in sorted(UNTOLD):
        calls = ("nvmlDeviceGetMemoryInfo", "nvmlDeviceGetMigMode")
        view = lab.see(replace(TWO, faults=tuple(Fault(call, code, B) for call in calls)))
        assert (view.devices[B].memory, view.devices[B].divided, view.use[B].memory) == (0, False, None)
        assert view.troubles == ()


def test_every_code_of_a_call_that_matters_less_leaves_its_answer_unknown(lab: Lab) -> None:
    lab.see(TWO)
    for code in sorted(CODES):
        faults = tuple(
            Fault(f"nvmlDeviceGet{call}", code, A) for call in ("UtilizationRates", "TotalEnergyConsumption")
        )
        view = lab.see(replace(TWO, faults=faults))
        is_lost = code in {"GPU_IS_LOST", "RESET_REQUIRED", "INSUFFICIENT_POWER", "IRQ_ISSUE"}
        assert [one.uuid for one in view.troubles] == ([A] if is_lost else [])
        assert view.use[A] == (Use() if is_lost else Use(None, GIB, None))


@pytest.mark.parametrize("mode", ["Compute", "Graphics"])
def test_who_uses_the_devices_is_unknown_where_one_does_not_tell(lab: Lab, mode: str) -> None:
    used = replace(TWO, processes=(Using(A, os.getpid()),))
    for code in ("NOT_SUPPORTED", "NO_PERMISSION", "UNKNOWN", "INSUFFICIENT_SIZE", "TIMEOUT"):
        view = lab.see(replace(used, faults=(Fault(f"nvmlDeviceGet{mode}RunningProcesses", code, B),)))
        assert view.processes is None
        assert set(view.devices) == {A, B}
    found = lab.see(used).processes
    assert found is not None
    assert [one.pid for one in found] == [os.getpid()]


def test_an_older_driver_is_asked_by_its_own_calls(lab: Lab) -> None:
    """Before 510 it has no third version of them; of the clients of MPS it told nothing then."""
    calls = ("Compute", "Graphics", "MPSCompute")
    faults = tuple(Fault(f"nvmlDeviceGet{call}RunningProcesses_v3", "FUNCTION_NOT_FOUND") for call in calls)
    drawing = Using(A, os.getpid(), mode="graphics")
    found = lab.see(replace(TWO, processes=(Using(B, os.getpid()), drawing), faults=faults)).processes
    assert found is not None
    assert [(one.device, one.graphics) for one in found] == [(A, True), (B, False)]


def test_instances_are_asked_each_where_a_driver_does_not_tell_of_all_at_once(lab: Lab) -> None:
    used = replace(DIVIDED, processes=(Using(N, os.getpid()), Using(M, os.getpid())))
    denied = Fault("nvmlDeviceGetComputeRunningProcesses", "NO_PERMISSION", A)
    found = lab.see(replace(used, faults=(denied,))).processes
    assert found is not None
    assert [one.device for one in found] == [M, N]
    one_more = Fault("nvmlDeviceGetGraphicsRunningProcesses", "NO_PERMISSION", N)
    assert lab.see(replace(used, faults=(denied, one_more))).processes is None


def test_one_entry_that_cannot_be_makes_a_list_unknown(lab: Lab) -> None:
    good = Using(A, os.getpid())
    garbage = {
        "no process": Using(B, 0),
        "minus one": Using(B, 2**32 - 1),
        "beyond the largest": Using(B, 2**22 + 1),
        "more memory than there is": Using(B, 1184, memory=25 * GIB),
        "swapped": Using(B, 3 * GIB, memory=1184),
    }
    for name, one in garbage.items():
        assert lab.see(replace(TWO, processes=(good, one))).processes is None, name
        assert lab.see(replace(TWO, processes=(good,))).processes is not None


def test_devices_that_cannot_be_are_not_seen(lab: Lab) -> None:
    garbage = {
        "twice": (Gpu(A), Gpu(B, told=A)),
        "a space": (Gpu(A, told="GPU-with a space"),),
        "a comma": (Gpu(A, told="GPU-one,two"),),
        "an index": (Gpu(A, told="0"),),
        "no memory": (Gpu(A, memory=0),),
        "too much memory": (Gpu(A, memory=2**60),),
    }
    for name, gpus in garbage.items():
        assert "no answer that can be true" in lab.miss(Scenario(gpus=gpus)).message, name
    assert set(lab.see(TWO).devices) == {A, B}


def test_a_name_that_is_no_text_is_unknown(lab: Lab) -> None:
    lab.nvml.write(TWO)
    lab.nvml.scenario.write_bytes(TWO.text().encode().replace(b"SIMULATED L4", b"\xff\xfe"))
    assert [one.model for one in lab.see().devices.values()] == ["SIMULATED H100 80GB HBM3", ""]


def test_a_uuid_that_is_no_text_is_a_trouble_of_its_device(lab: Lab) -> None:
    before = lab.see(TWO)
    lab.nvml.scenario.write_bytes(TWO.text().encode().replace(B.encode(), b"\xff"))
    view = lab.see()
    assert view.devices == before.devices
    assert [(one.uuid, one.message) for one in view.troubles] == [
        (B, "the driver cannot reach it (uuid: GARBAGE)")
    ]


def test_a_defect_of_the_reader_is_told(lab: Lab) -> None:
    lab.nvml.scenario.write_bytes(TWO.text().encode().replace(b"550.54.15", b"\xff"))
    assert "UnicodeDecodeError" in lab.miss().message


def test_a_count_that_is_too_large_invents_no_device(lab: Lab) -> None:
    assert set(lab.see(replace(TWO, count=3)).devices) == {A, B}


def test_an_instance_larger_than_its_gpu_cannot_be(lab: Lab) -> None:
    lab.miss(replace(DIVIDED, migs=(Mig(M, A, "1g.10gb", 1, memory=81 * GIB),)))


@pytest.mark.parametrize("busy", [101, 2**32 - 1])
def test_a_utilisation_that_cannot_be_is_unknown(lab: Lab, busy: int) -> None:
    assert lab.see(Scenario(gpus=(Gpu(A, busy=busy),))).use[A].busy is None


def test_memory_in_use_that_cannot_be_is_unknown(lab: Lab) -> None:
    assert lab.see(Scenario(gpus=(Gpu(A, used=81 * GIB),))).use[A].memory is None


# who uses them


def test_a_process_is_seen_with_its_user_and_name(lab: Lab, sleeper: int) -> None:
    view = lab.see(replace(TWO, processes=(Using(A, sleeper, GIB), Using(B, sleeper, None))))
    assert view.processes == (
        Process(A, sleeper, GIB, user="root", command="sleep"),
        Process(B, sleeper, None, user="root", command="sleep"),
    )


def test_a_process_of_an_instance_is_seen_on_it(lab: Lab, sleeper: int) -> None:
    used = replace(DIVIDED, processes=(Using(N, sleeper), Using(A, os.getpid())))
    found = lab.see(used).processes
    assert found is not None
    assert [(one.device, one.pid) for one in found] == [(A, os.getpid()), (N, sleeper)]


@pytest.mark.parametrize(
    ("modes", "graphics"),
    [(("graphics",), True), (("compute",), False), (("graphics", "compute"), False), (("mps",), False)],
)
def test_a_process_that_only_draws_is_told_from_one_that_computes(
    lab: Lab, modes: tuple[str, ...], graphics: bool
) -> None:
    used = tuple(Using(A, os.getpid(), number * GIB, mode) for number, mode in enumerate(modes, 1))
    found = lab.see(replace(TWO, processes=used)).processes
    assert found is not None
    assert [(one.graphics, one.memory) for one in found] == [(graphics, len(modes) * GIB)]


def test_a_process_that_the_kernel_does_not_show_is_one_all_the_same(lab: Lab) -> None:
    gone = int(Path("/proc/sys/kernel/pid_max").read_text()) - 1
    assert lab.see(replace(TWO, processes=(Using(A, gone),))).processes == (Process(A, gone, 2**20),)
