"""What ails the devices: reported once, or so at each look."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from controller.gpus import health
from controller.model.gpus import Ailment, Trouble
from tests.support.nvml.scenario import Event, Fault, Gpu, Hang, Mig, Process, Scenario
from tests.unit.gpus.conftest import START, Lab

A, B, M = "GPU-a", "GPU-b", "MIG-a"
TWO = Scenario(gpus=(Gpu(A), Gpu(B, minor=1)))
DOUBLE_BIT = 2
"""Type of such an event in nvml.h."""


def test_what_a_device_reports_is_seen_once_with_its_number_whoever_is_to_blame(lab: Lab) -> None:
    lab.see(TWO)
    reported = replace(TWO, events=(Event(B, 79), Event(A, 31)))
    troubles = lab.see(reported, wait=5).troubles
    assert [(one.uuid, one.ailment, one.code, one.lasts, one.at) for one in troubles] == [
        (B, Ailment.XID, 79, False, START),
        (A, Ailment.XID, 31, False, START),
    ]
    lab.later(seconds=30)
    assert lab.see().troubles == troubles
    lab.later(seconds=90)
    assert lab.see().troubles == ()


def test_however_often_a_device_reports_the_same_it_is_one_trouble_of_the_latest_time(lab: Lab) -> None:
    lab.see(TWO)
    log: tuple[Event, ...] = ()
    for code in (74, 73, 72):
        lab.later(seconds=1)
        log += (*[Event(A, 31)] * 20, Event(B, 79), *[Event(A, code)] * 20)
        troubles = lab.see(replace(TWO, events=log), wait=5).troubles
    found = {(one.uuid, one.code, (one.at - START).total_seconds()) for one in troubles}
    assert found == {(A, 31, 3), (B, 79, 3), (A, 74, 1), (A, 73, 2), (A, 72, 3)}
    assert len(troubles) == len(found)


def test_what_was_reported_before_anybody_listened_is_not_heard(lab: Lab) -> None:
    assert lab.see(replace(TWO, events=(Event(B, 79),))).troubles == ()
    (trouble,) = lab.see(replace(TWO, events=(Event(B, 79), Event(B, 48))), wait=5).troubles
    assert trouble.code == 48


def test_an_error_of_memory_is_reported_as_one(lab: Lab) -> None:
    lab.see(TWO)
    (trouble,) = lab.see(replace(TWO, events=(Event(A, 0, DOUBLE_BIT),)), wait=5).troubles
    assert (trouble.ailment, trouble.code, trouble.lasts) == (Ailment.ECC, None, False)


def test_a_device_that_came_later_is_heard_too(lab: Lab) -> None:
    lab.see(replace(TWO, gpus=TWO.gpus[:1]))
    lab.see(TWO)
    (trouble,) = lab.see(replace(TWO, events=(Event(B, 79),)), wait=5).troubles
    assert trouble.uuid == B


@pytest.mark.parametrize("call", ["nvmlEventSetCreate", "nvmlDeviceRegisterEvents", "nvmlEventSetWait"])
def test_where_events_cannot_be_had_the_rest_is_seen(lab: Lab, call: str) -> None:
    lab.see(TWO)
    faulty = replace(TWO, faults=(Fault(call, "UNKNOWN"),))
    for _ in range(2):
        view = lab.see(replace(faulty, events=(Event(A, 79),)))
        assert set(view.devices) == {A, B}
    again = replace(TWO, events=(Event(A, 79), Event(A, 48)))
    lab.see(replace(again, events=again.events[:1]))
    assert 48 in {one.code for one in lab.see(again, wait=5).troubles}


def test_errors_that_came_between_two_looks_are_reported_and_earlier_ones_are_not(lab: Lab) -> None:
    def count(number: int) -> tuple[Trouble, ...]:
        return lab.see(replace(TWO, gpus=(Gpu(A, ecc=number), Gpu(B, ecc=None)))).troubles

    assert count(5) == ()
    (trouble,) = count(7)
    assert (trouble.uuid, trouble.ailment, trouble.lasts) == (A, Ailment.ECC, False)
    assert trouble.message == "2 errors of memory that could not be corrected"
    assert count(7) == (trouble,)
    lab.now += health.REPORTED_FOR
    assert count(7) == ()
    assert count(0) == ()  # the driver was loaded anew


@pytest.mark.parametrize(
    ("gpu", "ailment", "words"),
    [
        (Gpu(A, remapping=1), Ailment.REMAP, "rows of memory wait for a reset to be remapped"),
        (Gpu(A, remapfailed=1), Ailment.REMAP, "a row of memory could not be remapped"),
        (Gpu(A, retiring=1), Ailment.ECC, "pages of memory wait for a reset to be retired"),
    ],
)
def test_what_waits_for_a_reset_lasts_until_it_is_over(
    lab: Lab, gpu: Gpu, ailment: Ailment, words: str
) -> None:
    assert lab.see(replace(TWO, gpus=(Gpu(A), Gpu(B)))).troubles == ()
    for _ in range(2):
        assert lab.see(replace(TWO, gpus=(gpu,))).troubles == (Trouble(A, ailment, words, START),)
        lab.later(minutes=10)
    assert lab.see(TWO).troubles == ()


def test_a_flag_that_cannot_be_says_nothing(lab: Lab) -> None:
    assert lab.see(replace(TWO, gpus=(Gpu(A, remapping=2, retiring=4294967295),))).troubles == ()


def test_a_lost_device_is_still_there_with_its_instances_and_users(lab: Lab) -> None:
    ended = int(Path("/proc/sys/kernel/pid_max").read_text()) - 1
    used = Scenario(
        gpus=(Gpu(A, mig=1, busy=None), Gpu(B)),
        migs=(Mig(M, A, "1g.10gb", gi=7),),
        processes=(Process(M, os.getpid()), Process(M, ended)),
    )
    before = lab.see(used)
    lab.later(minutes=1)
    lost = replace(used, faults=(Fault("*", "GPU_IS_LOST", A),))
    for _ in range(2):
        view = lab.see(lost)
        assert view.devices == before.devices
        assert view.processes is not None
        assert [(one.device, one.pid) for one in view.processes] == [(M, os.getpid())]
        words = "the driver cannot reach it (handle: GPU_IS_LOST)"
        assert view.troubles == (Trouble(A, Ailment.LOST, words, START.replace(minute=1)),)
        lab.later(minutes=1)
    back = lab.see(used)
    assert (back.devices, back.troubles) == (before.devices, ())


def test_a_lost_device_is_known_to_the_next_reader_too(lab: Lab) -> None:
    before = lab.see(TWO)
    lab.lookers[-1]._patience = 0.2
    lab.miss(replace(TWO, hangs=(Hang("*"),)))
    lab.lookers[-1]._patience = 10.0
    view = lab.see(replace(TWO, faults=(Fault("*", "GPU_IS_LOST", B),)))
    assert view.devices == before.devices
    assert [(one.uuid, one.ailment) for one in view.troubles] == [(B, Ailment.LOST)]


def test_a_device_that_never_told_who_it_is_is_none(lab: Lab) -> None:
    view = lab.see(replace(TWO, faults=(Fault("*", "GPU_IS_LOST", B),)))
    assert (set(view.devices), view.troubles) == ({A}, ())
