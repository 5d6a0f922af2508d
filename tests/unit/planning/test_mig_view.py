"""What of a look at the GPUs a plan of MIG instances may rest on."""

from dataclasses import replace

import pytest

from controller.model.gpus import Ailment, Cordon, Device, Fence
from controller.model.gpustatus import DeviceStatus, GpuStatus
from controller.model.mig import Divisible, Instance
from controller.planning import migview
from tests.support import builders

GIB = 2**30
WHOLE = Device("GPU-a", "NVIDIA H100 80GB HBM3", 80 * GIB, "0", divided=True)
PART = Device("MIG-1", WHOLE.model, 10 * GIB, "0:0", "GPU-a", "1g.10gb", (4, 1), instance=9)
OTHER = Device("GPU-b", WHOLE.model, 80 * GIB, "1")
BOB = ("process 7 of bob",)
CORDON = Cordon("GPU-b", "its fan rattles", builders.NOW, "root")
FENCE = Fence("GPU-b", Ailment.XID, "XID 79: fallen off the bus", builders.NOW, builders.NOW, 79)


def seen(*told: Device | DeviceStatus, driver: str = "560.35.03", mismatch: str = "") -> GpuStatus:
    devices = tuple(one if isinstance(one, DeviceStatus) else DeviceStatus(one) for one in told)
    return GpuStatus(devices=devices, driver=driver, mismatch=mismatch)


def test_instances_are_free_where_nobody_has_them() -> None:
    assert migview.divisible(seen(WHOLE, PART, OTHER)) == (
        Divisible("GPU-a", WHOLE.model, divided=True, instances=(Instance("1g.10gb", 4, 1, 9, ("MIG-1",)),)),
        Divisible("GPU-b", WHOLE.model, divided=False),
    )


@pytest.mark.parametrize(
    ("told", "holder"),
    [
        (DeviceStatus(PART, holders=("workspace alice",)), "workspace alice"),
        (DeviceStatus(PART, cordon=CORDON), "taken out of use by root: its fan rattles"),
        (DeviceStatus(PART, fence=FENCE), "out of use: XID 79: fallen off the bus"),
        (DeviceStatus(PART, doubt="nobody tells"), "nobody tells"),
    ],
)
def test_an_instance_that_cannot_be_given_is_held(told: DeviceStatus, holder: str) -> None:
    (gpu,) = migview.divisible(seen(DeviceStatus(WHOLE, holders=told.holders), told))

    assert gpu.kept == ""
    assert [one.holder for one in gpu.instances] == [holder]


def test_several_devices_in_the_same_slices_are_one_instance() -> None:
    parts = [
        Device(f"MIG-{number}", WHOLE.model, 13 * GIB, f"0:{number}", "GPU-a", "1c.3g.40gb", (0, 4))
        for number in range(2)
    ]
    last = DeviceStatus(replace(PART, uuid="MIG-2", profile="1c.3g.40gb", placement=(0, 4)), holders=BOB)

    (gpu,) = migview.divisible(seen(WHOLE, *parts, last))

    assert gpu.instances == (Instance("1c.3g.40gb", 0, 4, None, ("MIG-0", "MIG-1", "MIG-2"), BOB[0]),)


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (seen(DeviceStatus(OTHER, holders=BOB)), "process 7 of bob has the whole of it"),
        (
            seen(DeviceStatus(WHOLE, holders=("workspace alice", *BOB)), DeviceStatus(PART, holders=BOB)),
            "workspace alice has the whole of it",
        ),
        (seen(DeviceStatus(OTHER, cordon=CORDON)), "taken out of use by root: its fan rattles"),
        (seen(DeviceStatus(OTHER, fence=FENCE)), "out of use: XID 79: fallen off the bus"),
        (seen(DeviceStatus(OTHER, doubt="nobody tells who uses it")), "nobody tells who uses it"),
        (seen(OTHER, mismatch="reboot first"), "reboot first"),
        (seen(OTHER, driver=""), "no driver tells whether its MIG mode is on"),
        (seen(WHOLE, replace(PART, placement=None)), "the driver does not tell where MIG-1 lies in it"),
    ],
)
def test_nothing_is_taken_of_a_gpu_that_is_not_known_to_be_free(status: GpuStatus, why: str) -> None:
    (gpu,) = migview.divisible(status)

    assert gpu.kept == why


def test_what_is_gone_is_no_gpu() -> None:
    assert migview.divisible(seen(DeviceStatus(OTHER, there=False), DeviceStatus(PART, there=False))) == ()
