"""`wharf mig plan`: what it is asked, what it prints, and how it ends."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import cast

import pytest

from controller.api.conditions import Reason
from controller.cli import trees
from controller.model.gpus import Device
from controller.model.gpustatus import DeviceStatus, GpuStatus
from controller.model.observed import Unseen
from controller.status import gpus as shape
from tests.support import controller_stand_in, wharf_host

GIB = 2**30
H100 = "NVIDIA H100 80GB HBM3"


def part(number: int, profile: str, start: int, size: int, *holders: str) -> DeviceStatus:
    place = (start, size)
    uuid, index = f"MIG-{number}", f"0:{number}"
    device = Device(uuid, H100, 10 * GIB, index, "GPU-a", profile, place, instance=7 + number)
    return DeviceStatus(device, holders=holders)


WHOLE = DeviceStatus(Device("GPU-a", H100, 80 * GIB, "0", divided=True), holders=("workspace alice",))
HOST = GpuStatus(
    devices=(
        WHOLE,
        part(0, "1g.10gb", 0, 1, "workspace alice"),
        part(1, "1g.10gb", 4, 1),
        part(2, "1g.10gb", 6, 1),
    ),
    driver="560.35.03",
)


@pytest.fixture
def seen(world: controller_stand_in.World) -> Callable[[GpuStatus], None]:
    """What the controller tells of the GPUs: those of HOST, or what it is called with."""

    def see(status: GpuStatus) -> None:
        world.answers["gpus"] = cast("trees.Json", shape.gpus_object(status))

    see(HOST)
    return see


def test_changes_are_told_in_words_and_as_commands(
    wharf: wharf_host.Wharf, seen: Callable[[GpuStatus], None]
) -> None:
    told = wharf("mig", "plan", "--for", "1x2g.20gb, 2x1g.10gb")

    assert told.code == 2
    assert told.out.splitlines() == [
        "use the free 1g.10gb at slice 4 of GPU-a",
        "use the free 1g.10gb at slice 6 of GPU-a",
        "create a 2g.20gb at slice 2 of GPU-a",
        "",
        "nvidia-smi mig -i GPU-a -cgi 2g.20gb:2 -C",
    ]
    assert told.err.splitlines() == [
        "wharf: 1 to create; nothing was changed",
        "wharf: new instances have new UUIDs: make the CDI specs anew afterwards",
    ]


def test_what_is_there_needs_no_change(wharf: wharf_host.Wharf, seen: Callable[[GpuStatus], None]) -> None:
    told = wharf("mig", "plan", "--for", "1g.10gb")

    assert (told.code, told.out) == (0, "use the free 1g.10gb at slice 4 of GPU-a\n")
    assert told.err == "wharf: all of it is there and free; nothing is to be changed\n"


def test_what_cannot_be_had_is_told_with_what_blocks(
    wharf: wharf_host.Wharf, seen: Callable[[GpuStatus], None]
) -> None:
    told = wharf("mig", "plan", "--for", "4g.40gb")
    held = "1g.10gb at slice 0 (workspace alice)"

    assert told.code == 1
    assert told.out.splitlines() == [
        "4g.40gb: 1 asked for, and none can be had even if nothing else is asked for",
        f"4g.40gb: GPU-a: no room beside {held}; the largest that fits is 3g.40gb",
    ]
    assert told.err == "wharf: it cannot be had; nothing was changed\n"


def test_a_script_gets_the_same_as_json(wharf: wharf_host.Wharf, seen: Callable[[GpuStatus], None]) -> None:
    told = wharf("mig", "plan", "--for", "3g.40gb,1g.10gb+me", "-o", "json")

    found = json.loads(told.out)
    assert (told.code, found["kind"], found["possible"], found["reasons"]) == (2, "MigPlan", True, {})
    assert found["wanted"] == {"3g.40gb": 1, "1g.10gb+me": 1}
    assert [change["action"] for change in found["changes"]] == ["Destroy", "Destroy", "Create", "Create"]
    assert found["changes"][0] == {
        "action": "Destroy",
        "gpu": "GPU-a",
        "profile": "1g.10gb",
        "start": 4,
        "uuids": ["MIG-1"],
    }
    assert found["commands"][0] == "nvidia-smi mig -i GPU-a -dci -gi 8"
    assert found["commands"][-1] == "nvidia-smi mig -i GPU-a -cgi 1g.10gb+me:1,3g.40gb:4 -C"


def test_reasons_are_in_the_json(wharf: wharf_host.Wharf, seen: Callable[[GpuStatus], None]) -> None:
    found = json.loads(wharf("mig", "plan", "--for", "9g.10gb", "-o", "json").out)

    assert (found["possible"], found["changes"], list(found["reasons"])) == (False, [], ["9g.10gb"])


@pytest.mark.parametrize(
    "said", ["", "3g", "0x3g.40gb", "100x1g.10gb", "2*1g.10gb", "1g.10gb,", "-1x1g.10gb"]
)
def test_what_is_no_request_is_refused(
    wharf: wharf_host.Wharf, seen: Callable[[GpuStatus], None], said: str
) -> None:
    told = wharf("mig", "plan", "--for", said)

    assert told.code == 64
    assert "write 1 to 99, x, and a profile, such as 2x3g.40gb" in told.err


def test_parts_of_an_instance_are_not_planned(
    wharf: wharf_host.Wharf, seen: Callable[[GpuStatus], None]
) -> None:
    told = wharf("mig", "plan", "--for", "2x1c.3g.40gb")

    assert told.code == 64
    assert "ask for 3g.40gb" in told.err


def test_nothing_is_planned_of_gpus_that_could_not_be_looked_at(
    wharf: wharf_host.Wharf, seen: Callable[[GpuStatus], None]
) -> None:
    why = Unseen(Reason.NOT_SEEN, "the driver does not answer", datetime(2026, 1, 1, tzinfo=UTC))
    seen(GpuStatus(unseen=why))

    told = wharf("mig", "plan", "--for", "1g.10gb")

    assert (told.code, told.out, told.err) == (
        7,
        "",
        "wharf: the GPUs could not be looked at: NotSeen: the driver does not answer\n",
    )
