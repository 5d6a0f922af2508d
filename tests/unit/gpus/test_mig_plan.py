"""A plan of MIG instances on what the driver's library told: from its answers to commands for nvidia-smi."""

from controller.model.gpustatus import DeviceStatus, GpuStatus
from controller.model.mig import Layout
from controller.planning import mig, migview, migwords
from tests.support.nvml.scenario import Gpu, Mig, Scenario
from tests.unit.gpus.conftest import Lab

A, B = "GPU-0a11e7e5-0000-4000-8000-000000000000", "GPU-0a11e7e5-0000-4000-8000-000000000001"
HELD, FREE = "MIG-5e01e7e5-0000-5000-8000-000000000020", "MIG-5e01e7e5-0000-5000-8000-000000000021"
HOST = Scenario(
    gpus=(Gpu(A, mig=1, busy=None), Gpu(B, mig=0)),
    migs=(
        Mig(HELD, A, "1g.10gb", gi=7, start=0, size=1),
        Mig(FREE, A, "2g.20gb", gi=5, start=4, size=2),
    ),
)


def test_what_the_library_told_is_enough_for_commands(lab: Lab) -> None:
    view = lab.see(HOST)
    devices = tuple(
        DeviceStatus(device, holders=("workspace alice",) if device.uuid == HELD else ())
        for device in view.devices.values()
    )

    found = mig.plan({"3g.40gb": 1}, migview.divisible(GpuStatus(devices=devices, driver=view.driver)))

    assert isinstance(found, Layout)
    assert migwords.commands(found) == (
        f"nvidia-smi mig -i {A} -dci -gi 5",
        f"nvidia-smi mig -i {A} -dgi -gi 5",
        f"nvidia-smi mig -i {A} -cgi 3g.40gb:4 -C",
    )
