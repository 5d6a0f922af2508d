"""What of a look at the GPUs a plan of MIG instances may rest on."""

from dataclasses import replace

import pytest

from controller.model.gpus import Device, GpuView
from controller.model.mig import Divisible, Instance
from controller.planning import migview
from controller.planning.claimed import Claim

GIB = 2**30
WHOLE = Device("GPU-a", "NVIDIA H100 80GB HBM3", 80 * GIB, "0", divided=True)
PART = Device("MIG-1", WHOLE.model, 10 * GIB, "0:0", "GPU-a", "1g.10gb", (4, 1))
OTHER = Device("GPU-b", WHOLE.model, 80 * GIB, "10")


def view(*devices: Device, driver: str = "560.35.03", mismatch: str = "") -> GpuView:
    return GpuView({one.uuid: one for one in devices}, driver=driver, mismatch=mismatch)


def test_instances_are_free_where_nobody_has_them() -> None:
    assert migview.divisible(view(OTHER, PART, WHOLE), (), {}) == (
        Divisible(
            "GPU-a", WHOLE.model, divided=True, instances=(Instance("1g.10gb", 4, 1, None, ("MIG-1",)),)
        ),
        Divisible("GPU-b", WHOLE.model, divided=False),
    )


def test_gpus_stand_in_the_order_of_their_indexes() -> None:
    third = replace(OTHER, uuid="GPU-0", index="2")

    assert [gpu.uuid for gpu in migview.divisible(view(OTHER, third, WHOLE), (), {})] == [
        "GPU-a",
        "GPU-0",
        "GPU-b",
    ]


def test_who_has_an_instance_is_told() -> None:
    (gpu,) = migview.divisible(
        view(PART, WHOLE), [Claim("MIG-1", "workspace alice", "alice")], {"MIG-1": "cordoned"}
    )

    assert gpu.kept == ""
    assert [one.holder for one in gpu.instances] == ["workspace alice"]


def test_several_devices_in_the_same_slices_are_one_instance() -> None:
    parts = [
        Device(f"MIG-{number}", WHOLE.model, 40 * GIB, f"0:{number}", "GPU-a", "1c.3g.40gb", (0, 4))
        for number in range(3)
    ]

    (gpu,) = migview.divisible(view(WHOLE, *parts), [Claim("MIG-2", "workspace alice", "alice")], {})

    assert gpu.instances == (
        Instance("1c.3g.40gb", 0, 4, None, ("MIG-0", "MIG-1", "MIG-2"), "workspace alice"),
    )


@pytest.mark.parametrize(
    ("seen", "claims", "barred", "blind", "why"),
    [
        (view(OTHER), [Claim("GPU-b", "process 7 of bob")], {}, "", "process 7 of bob has the whole of it"),
        (view(OTHER), [], {"GPU-b": "cordoned: fan"}, "", "cordoned: fan"),
        (view(OTHER), [], {}, "the driver does not tell who uses it", "the driver does not tell who uses it"),
        (view(OTHER, mismatch="reboot first"), [], {}, "", "reboot first"),
        (view(OTHER, driver=""), [], {}, "", "no driver tells whether its MIG mode is on"),
        (
            view(WHOLE, replace(PART, placement=None)),
            [],
            {},
            "",
            "the driver does not tell where MIG-1 lies in it",
        ),
    ],
)
def test_nothing_is_taken_of_a_gpu_that(
    seen: GpuView, claims: list[Claim], barred: dict[str, str], blind: str, why: str
) -> None:
    (gpu,) = migview.divisible(seen, claims, barred, blind)

    assert gpu.kept == why


def test_an_instance_that_is_out_of_use_is_neither_given_nor_destroyed() -> None:
    (gpu,) = migview.divisible(view(PART, WHOLE), [], {"MIG-1": "cordoned: fan"})

    assert [one.holder for one in gpu.instances] == ["cordoned: fan"]
