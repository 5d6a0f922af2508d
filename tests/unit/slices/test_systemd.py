"""Slices in systemd's words: places, properties, what its errors mean, and how long it is waited for."""

from typing import Any

import pytest

from controller.api.conditions import Reason
from controller.api.config import SliceDriver
from controller.model import errors, slicenames
from controller.model.slices import UNLIMITED, IoLimit, SliceLimits
from controller.slices import systemd_names, systemd_properties, systemd_refusals
from controller.slices.bus import Bus, Refused, Unanswered
from controller.slices.systemd import Driver

SYSTEMD = "org.freedesktop.systemd1."
BUS = "org.freedesktop.DBus.Error."
MANY = SliceLimits(
    nano_cpus=1_500_000_000,
    cpuset="0-1,9",
    cpu_weight=50,
    memory=400 << 20,
    memory_high=300 << 20,
    memory_low=100 << 20,
    swap=0,
    pids=99,
    io_weight=7,
    io=(IoLimit("/dev/block/8:0", read=5, write_ops=3), IoLimit("/dev/block/8:16", read=6)),
)


def test_every_limit_is_said() -> None:
    said = systemd_properties.of(MANY)
    last = dict(said)
    assert {name: value for name, (_, value) in last.items()} == {
        "CPUAccounting": True,
        "MemoryAccounting": True,
        "TasksAccounting": True,
        "IOAccounting": True,
        "CPUQuotaPerSecUSec": 1_500_000,
        "AllowedCPUs": b"\x03\x02",
        "CPUWeight": 50,
        "MemoryMax": 400 << 20,
        "MemoryHigh": 300 << 20,
        "MemoryLow": 100 << 20,
        "MemorySwapMax": 0,
        "TasksMax": 99,
        "IOWeight": 7,
        "IOReadBandwidthMax": [("/dev/block/8:0", 5), ("/dev/block/8:16", 6)],
        "IOWriteBandwidthMax": [],
        "IOReadIOPSMax": [],
        "IOWriteIOPSMax": [("/dev/block/8:0", 3)],
    }
    assert said.index(("IOReadBandwidthMax", ("a(st)", []))) < said.index(
        ("IOReadBandwidthMax", last["IOReadBandwidthMax"])
    ), "what was set before is forgotten first"


def test_no_limits_take_back_whatever_was_set() -> None:
    assert [name for name, _ in systemd_properties.of(UNLIMITED)] == [
        name for name, _ in systemd_properties.of(MANY)
    ]
    values = {name: value for name, (_, value) in systemd_properties.of(UNLIMITED)}
    numbers = {value for value in values.values() if isinstance(value, int)}
    assert numbers == {True, systemd_properties.INFINITY, 100, 0}
    assert [values["AllowedCPUs"], values["IOReadBandwidthMax"]] == [b"", []]
    assert values["MemoryLow"] == 0


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("wharf.slice", "/wharf.slice"),
        ("wharf-ann.slice", "/wharf.slice/wharf-ann.slice"),
        (r"wharf-a\x2db.slice", r"/wharf.slice/wharf-a\x2db.slice"),
        ("memory-ann.slice", "/_memory.slice/memory-ann.slice"),
        ("tasks-ann.slice", "/tasks.slice/tasks-ann.slice"),
    ],
)
def test_a_slice_lies_in_the_one_above(name: str, place: str) -> None:
    assert systemd_names.control_group(name) == place


@pytest.mark.parametrize("owner", ["ann", "ann-b", "a.b@c", "_x", "m" * 40])
def test_an_owners_slice_lies_directly_in_the_root(owner: str) -> None:
    name = slicenames.parent(SliceDriver.SYSTEMD, "wharf", owner)
    assert systemd_names.control_group(name) == f"/wharf.slice/{name}"


REFUSALS = {
    f"{SYSTEMD}NoSuchUnit": (Reason.CHANGED_MEANWHILE, False),
    f"{SYSTEMD}UnitExists": (Reason.CHANGED_MEANWHILE, False),
    f"{SYSTEMD}TransactionIsDestructive": (Reason.SLICE_REFUSED, False),
    f"{SYSTEMD}TransactionJobsConflicting": (Reason.SLICE_REFUSED, False),
    f"{SYSTEMD}ShuttingDown": (Reason.SLICE_REFUSED, False),
    f"{SYSTEMD}UnitMasked": (Reason.SLICE_REFUSED, True),
    f"{SYSTEMD}BadUnitSetting": (Reason.SLICE_REFUSED, True),
    f"{SYSTEMD}LoadFailed": (Reason.SLICE_REFUSED, True),
    f"{BUS}AccessDenied": (Reason.SLICE_REFUSED, True),
    f"{BUS}AuthFailed": (Reason.SLICE_REFUSED, True),
    f"{BUS}InteractiveAuthorizationRequired": (Reason.SLICE_REFUSED, True),
    f"{BUS}InvalidArgs": (Reason.SLICE_REFUSED, True),
    f"{BUS}PropertyReadOnly": (Reason.SLICE_REFUSED, True),
    f"{BUS}UnknownMethod": (Reason.SLICE_REFUSED, True),
    f"{BUS}ServiceUnknown": (Reason.SLICE_REFUSED, False),
    f"{BUS}NameHasNoOwner": (Reason.SLICE_REFUSED, False),
    f"{BUS}LimitsExceeded": (Reason.SLICE_REFUSED, False),
    f"{BUS}NoReply": (Reason.OUTCOME_UNKNOWN, False),
    f"{BUS}Timeout": (Reason.OUTCOME_UNKNOWN, False),
    f"{BUS}TimedOut": (Reason.OUTCOME_UNKNOWN, False),
    f"{BUS}Disconnected": (Reason.OUTCOME_UNKNOWN, False),
    "some.Other": (Reason.SLICE_REFUSED, False),
}


def test_what_each_refusal_means() -> None:
    assert {row.name for row in systemd_refusals.TABLE} | {"some.Other"} == set(REFUSALS)
    for name, (reason, terminal) in REFUSALS.items():
        error = systemd_refusals.translate("wharf-a.slice", Refused(name, "its own words"))
        assert (error.reason, isinstance(error, errors.Terminal)) == (reason, terminal), name
        for part in ("wharf-a.slice", "its own words", name):
            assert part in error.message


@pytest.mark.parametrize(("taken", "reason"), [(True, Reason.OUTCOME_UNKNOWN), (False, Reason.SLICE_REFUSED)])
def test_silence_leaves_the_outcome_open_unless_nobody_heard(taken: bool, reason: Reason) -> None:
    error = systemd_refusals.translate("wharf-a.slice", Unanswered("no answer", taken=taken))
    assert isinstance(error, errors.Retryable)
    assert error.reason is reason


class Stuck(Bus):
    """A systemd that takes every call and never comes to an end with one."""

    def call(self, method: str, signature: str = "", body: tuple[Any, ...] = ()) -> tuple[Any, ...]:
        del signature, body
        return ("/unit",) if method == "GetUnit" else ()

    def unit(self, path: str, name: str, interface: str = "Unit") -> Any:  # noqa: ANN401 - as it is there
        del path, interface
        return {"Job": (7, "/job/7"), "ActiveState": "activating", "RequiredBy": []}.get(name, "")


def test_a_job_that_does_not_end_leaves_the_outcome_open() -> None:
    driver = Driver(Stuck(), bool, deadline=0.02)
    for trial in (lambda: driver.ensure("wharf-a.slice", UNLIMITED), lambda: driver.remove("wharf-a.slice")):
        with pytest.raises(errors.Retryable, match=r"wharf-a\.slice is still activating") as caught:
            trial()
        assert caught.value.reason is Reason.OUTCOME_UNKNOWN


class Nested(Stuck):
    """A systemd in a container that sees the host's cgroups: its own root is below theirs."""

    def unit(self, path: str, name: str, interface: str = "Unit") -> Any:  # noqa: ANN401 - as it is there
        groups = {"Manager": "/docker/4f1a", "Slice": "/docker/4f1a/wharf.slice/wharf-a.slice"}
        return groups[interface] if name == "ControlGroup" else super().unit(path, name, interface)


def test_a_slice_is_looked_for_below_systemds_own_root() -> None:
    asked: list[str] = []

    def populated(group: str) -> bool:
        asked.append(group)
        return True

    driver = Driver(Nested(), populated)
    assert driver.path("wharf-a.slice") == "/wharf.slice/wharf-a.slice"
    assert driver.remove("wharf-a.slice") == "processes"
    assert asked == ["/wharf.slice/wharf-a.slice"]
