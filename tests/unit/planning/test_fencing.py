"""When a GPU is taken out of use by itself, and when it is of use again."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.api.conditions import Reason
from controller.model.gpus import Ailment, Device, Fence, GpuView, Trouble
from controller.model.observed import Seen, Unseen
from controller.planning import fencing
from tests.support.builders import NOW

CLEAN = timedelta(minutes=10)
MINUTE = timedelta(minutes=1)
DEVICES = {uuid: Device(uuid, "A100", 2**36) for uuid in ("GPU-1", "GPU-2")}
UNSEEN = Unseen(Reason.NOT_SEEN, "the driver hangs", NOW)


def trouble(
    ailment: Ailment = Ailment.XID, code: int | None = None, at: datetime = NOW, uuid: str = "GPU-1"
) -> Trouble:
    lasts = ailment is not Ailment.XID
    return Trouble(uuid, ailment, f"{ailment} {code}", at, code, lasts)


def look(*troubles: Trouble, at: datetime = NOW, known: Mapping[str, Fence] | None = None) -> fencing.Fencing:
    view = Seen(GpuView(devices=DEVICES, troubles=troubles), at)
    return fencing.fencing(view, known or {}, CLEAN, at)


def begun(*troubles: Trouble) -> Mapping[str, Fence]:
    return look(*troubles).fences


@pytest.mark.parametrize("code", sorted(fencing.APPLICATION_FAULTS))
def test_what_a_program_did_wrong_never_fences(code: int) -> None:
    assert look(trouble(code=code)) is fencing.NOTHING


@pytest.mark.parametrize("code", [48, 62, 63, 64, 74, 79, 94, 95, 119, None])
def test_other_faults_fence(code: int | None) -> None:
    found = look(trouble(code=code))
    fence = Fence("GPU-1", Ailment.XID, f"xid {code}", NOW, NOW, code)
    assert found == fencing.Fencing({"GPU-1": fence}, (fence,))


@pytest.mark.parametrize("ailment", [Ailment.LOST, Ailment.ECC, Ailment.REMAP])
def test_what_lasts_fences_as_long_as_it_lasts_and_is_written_down_once(ailment: Ailment) -> None:
    known = begun(trouble(ailment))
    later = NOW + 100 * CLEAN
    assert look(trouble(ailment), at=later, known=known) == fencing.Fencing(known)
    assert fencing.until(known["GPU-1"], CLEAN) is None


def test_a_fence_ends_when_the_device_was_clean_for_long_enough() -> None:
    known = begun(trouble(Ailment.ECC))
    gone = NOW + timedelta(hours=1)
    found = look(at=gone, known=known)
    assert found.changed == (replace(known["GPU-1"], last=gone, lasts=False),)
    assert fencing.until(found.fences["GPU-1"], CLEAN) == gone + CLEAN
    assert look(at=gone + CLEAN - MINUTE, known=found.fences) == fencing.Fencing(found.fences)
    assert look(at=gone + CLEAN, known=found.fences) == fencing.Fencing({}, (), ("GPU-1",))


def test_another_fault_meanwhile_begins_the_clean_time_anew() -> None:
    known = begun(trouble(code=79))
    again = look(trouble(code=48, at=NOW + 9 * MINUTE), at=NOW + 9 * MINUTE, known=known)
    assert again.fences == {
        "GPU-1": Fence("GPU-1", Ailment.XID, "xid 48", NOW, NOW + 9 * MINUTE, 48),
    }
    assert not look(at=NOW + 10 * MINUTE, known=again.fences).ended
    assert look(at=NOW + 19 * MINUTE, known=again.fences).ended == ("GPU-1",)


def test_the_same_report_seen_again_changes_nothing() -> None:
    known = begun(trouble(code=79))
    assert look(trouble(code=79), at=NOW + MINUTE, known=known) == fencing.Fencing(known)


def test_a_fault_of_a_program_does_not_prolong_a_fence() -> None:
    known = begun(trouble(code=79))
    assert look(trouble(code=31, at=NOW + CLEAN), at=NOW + CLEAN, known=known).ended == ("GPU-1",)


def test_a_lasting_trouble_that_makes_way_for_another_keeps_the_beginning() -> None:
    known = begun(trouble(Ailment.ECC))
    at = NOW + MINUTE
    (fence,) = look(trouble(Ailment.LOST, at=at), at=at, known=known).changed
    assert (fence.ailment, fence.since, fence.last, fence.lasts) == (Ailment.LOST, NOW, at, True)


def test_each_device_has_its_own() -> None:
    found = look(trouble(code=79), trouble(Ailment.LOST, uuid="GPU-2"))
    assert {uuid: fence.ailment for uuid, fence in found.fences.items()} == {
        "GPU-1": Ailment.XID,
        "GPU-2": Ailment.LOST,
    }


def test_what_cannot_be_seen_is_not_well() -> None:
    known = begun(trouble(code=79))
    assert fencing.fencing(UNSEEN, known, CLEAN, NOW + 100 * CLEAN) == fencing.Fencing(known)
    elsewhere = Seen(GpuView(devices={"GPU-2": DEVICES["GPU-2"]}), NOW)
    assert fencing.fencing(elsewhere, known, CLEAN, NOW + 100 * CLEAN) == fencing.Fencing(known)


def test_a_clock_that_was_set_back_prolongs_no_fence_for_ever() -> None:
    known = {"GPU-1": Fence("GPU-1", Ailment.XID, "", NOW, NOW + timedelta(days=365), 79)}
    found = look(known=known)
    assert found.fences["GPU-1"].last == NOW
    assert look(at=NOW + CLEAN, known=found.fences).ended == ("GPU-1",)


TROUBLES = st.lists(
    st.builds(
        trouble,
        st.sampled_from(Ailment),
        st.sampled_from([None, 13, 48, 79]),
        st.integers(-30, 30).map(lambda minutes: NOW + minutes * MINUTE),
        st.sampled_from(sorted(DEVICES)),
    ),
    max_size=4,
)


@given(st.lists(TROUBLES, max_size=6))
def test_whatever_is_reported_a_sick_device_is_fenced_and_a_second_look_writes_nothing(
    looks: list[list[Trouble]],
) -> None:
    known: Mapping[str, Fence] = {}
    for number, troubles in enumerate(looks):
        at = NOW + number * MINUTE
        found = look(*troubles, at=at, known=known)
        assert {one.uuid for one in troubles if one.lasts} <= found.fences.keys()
        assert look(*reversed(troubles), at=at, known=known) == found
        again = look(*troubles, at=at, known=found.fences)
        assert (again.fences, again.changed, again.ended) == (found.fences, (), ())
        known = found.fences
    end = look(at=NOW + timedelta(days=1), known=known).fences
    assert look(at=NOW + timedelta(days=1) + CLEAN, known=end).fences == {}
