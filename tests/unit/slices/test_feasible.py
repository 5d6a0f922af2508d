"""What a kernel can be asked for of an owner's limits, and when it has them."""

from dataclasses import replace

import pytest

from controller.model import slices
from controller.model.slices import IoLimit, SliceLimit, SliceLimits, SliceView

WANTED = SliceLimits(
    nano_cpus=10**9,
    cpuset="0-1",
    memory=400 << 20,
    memory_high=300 << 20,
    memory_low=100 << 20,
    swap=0,
    pids=100,
    io=(IoLimit("/home", read=10, write_ops=3), IoLimit("/scratch", read=20, write=5), IoLimit("/tmpfs", 1)),
)
VIEW = SliceView(devices={"/home": "8:0", "/scratch": "8:16"}, no_device={"/tmpfs": "it has none"})


def test_what_has_no_device_is_left_out() -> None:
    assert slices.feasible(WANTED, VIEW) == replace(WANTED, io=WANTED.io[:2])


def test_paths_on_one_device_are_limited_by_the_least_that_is_said_of_it() -> None:
    view = replace(VIEW, devices={"/scratch": "8:0", "/home": "8:0", "/a": "8:0"})
    merged = IoLimit("/a", read=10, write=5, write_ops=3)
    assert slices.feasible(WANTED, view).io == (merged,)
    assert slices.feasible(replace(WANTED, io=(merged,)), view).io == (merged,)


def test_what_the_kernel_cannot_or_need_not_is_left_out() -> None:
    view = replace(
        VIEW,
        cannot={SliceLimit.MEMORY_HIGH: "", SliceLimit.MEMORY_LOW: "", SliceLimit.IO: ""},
        held=frozenset({SliceLimit.SWAP}),
    )
    expected = replace(WANTED, memory_high=None, memory_low=0, swap=None, io=())
    assert slices.feasible(WANTED, view) == expected


def test_all_processors_of_the_host_are_no_cpuset() -> None:
    assert slices.feasible(WANTED, replace(VIEW, processors="0-1")).cpuset is None
    assert slices.feasible(WANTED, replace(VIEW, processors="0-3")).cpuset == "0-1"


@pytest.mark.parametrize(
    ("asked", "kept"), [(1, 1), (95, 95), (100, 100), (110, 100), (111, 111), (500, 496), (10000, 10000)]
)
def test_shares_of_io_are_asked_for_as_the_scheduler_keeps_them(asked: int, kept: int) -> None:
    limits = slices.feasible(SliceLimits(io_weight=asked), SliceView(io_weight_step=11))
    assert limits == SliceLimits(io_weight=kept)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({}, ()),
        ({"memory": (400 << 20) - 4095}, ()),
        ({"memory": (400 << 20) - 4096}, (SliceLimit.MEMORY,)),
        ({"memory": None}, (SliceLimit.MEMORY,)),
        ({"pids": 101}, (SliceLimit.PIDS,)),
        ({"swap": None, "cpuset": "0"}, (SliceLimit.CPUSET, SliceLimit.SWAP)),
        ({"io": ()}, (SliceLimit.IO,)),
    ],
)
def test_values_that_are_one_to_the_kernel_do_not_differ(
    found: dict[str, object], expected: tuple[SliceLimit, ...]
) -> None:
    assert slices.differing(WANTED, replace(WANTED, **found), {SliceLimit.MEMORY: 4096}) == expected  # type: ignore[arg-type]
