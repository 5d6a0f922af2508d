"""GPUs on the command line: rows, who uses one without a grant, all about one, and taking one out of use."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import cast

import pytest

from controller.api.conditions import Reason
from controller.cli import exits, gpus
from controller.cli.trees import Json
from controller.model.gpus import AccessState, Ailment, Cordon, Device, Fence, Trouble, Use, Wish
from controller.model.gpustatus import DeviceStatus, Foreign, GpuStatus, User, Waiter, WorkspaceGpus
from controller.model.observed import Unseen
from controller.status import gpus as shape
from controller.status import wording
from tests.support import controller_stand_in, reports, wharf_host

GIB = 1 << 30
MODEL = "SIMULATED A100 80GB"
A = Device("GPU-aa11", MODEL, 80 * GIB, "0")
B = Device("GPU-bb22", MODEL, 80 * GIB, "1", divided=True)
PART = Device("MIG-cc33", MODEL, 10 * GIB, "1:0", parent="GPU-bb22", profile="1g.10gb", placement=(0, 1))
FENCE = Fence("GPU-aa11", Ailment.XID, "XID 79", reports.NOW, reports.NOW, 79)
CORDON = Cordon("GPU-bb22", "its fan", reports.NOW, "root", drain=True)
HELD = DeviceStatus(
    A,
    holders=("workspace alice",),
    workspaces=("alice",),
    users=(
        User("GPU-aa11", "", user="zoe", pid=4711, command="python", memory=GIB, foreign=Foreign.HOST),
        User("GPU-aa11", "workspace alice", "alice", "alice", 5, "train", 2 * GIB),
    ),
    use=Use(0.57, 3 * GIB, 1000.0),
    troubles=(Trouble("GPU-aa11", Ailment.XID, "XID 79", reports.NOW, 79, lasts=False),),
    fence=FENCE,
    fence_ends=reports.NOW + timedelta(minutes=9),
)
STRANGE = User("MIG-cc33", 'container "jupyter" (not ours)', foreign=Foreign.CONTAINER)
STATUS = GpuStatus(
    devices=(
        HELD,
        DeviceStatus(B, cordon=CORDON),
        DeviceStatus(PART, holders=(STRANGE.who,), users=(STRANGE,), cordon=replace(CORDON, uuid="MIG-cc33")),
    ),
    waiting=(Waiter("bob", reports.NOW, "1st of 1 in the queue"),),
    driver="550.1",
    library="550.1",
    simulated=True,
)


def plain(status: GpuStatus) -> Json:
    return cast("Json", shape.gpus_object(status))


@pytest.fixture
def seen(world: controller_stand_in.World) -> controller_stand_in.World:
    world.answers["gpus"] = plain(STATUS)
    return world


def test_each_device_is_one_row(wharf: wharf_host.Wharf, seen: controller_stand_in.World) -> None:
    rows = [re.split(" {3,}", line) for line in wharf("get", "gpus").out.splitlines()]
    none, untold = "<none>", "N/A"
    assert rows == [
        [
            "UUID",
            "INDEX",
            "MODEL",
            "PROFILE",
            "MEMORY",
            "HOLDER",
            "UTIL",
            "USED",
            "PROCS",
            "FOREIGN",
            "STATE",
        ],
        ["GPU-aa11", "0", MODEL, none, "80GiB", "alice", "57%", "3.0GiB", "2", "1", "Fenced"],
        ["GPU-bb22", "1", MODEL, none, "80GiB", none, untold, untold, "0", "0", "Draining"],
        ["MIG-cc33", "1:0", MODEL, "1g.10gb", "10GiB", STRANGE.who, untold, untold, "0", "1", "Draining"],
    ]


def test_what_the_hardware_does_not_tell_is_not_0(
    wharf: wharf_host.Wharf, world: controller_stand_in.World
) -> None:
    world.answers["gpus"] = plain(replace(STATUS, devices=(DeviceStatus(A, users=None),)))
    result = wharf("get", "gpus", "--no-headers")
    assert "does not tell which processes" in result.err
    cells = result.out.split("   ")
    assert [cell.strip() for cell in cells if cell.strip() == "N/A"] == ["N/A"] * 4


def test_the_wide_format_says_why_a_device_is_out_of_use(
    wharf: wharf_host.Wharf, seen: controller_stand_in.World
) -> None:
    header, first, *_, last = wharf("get", "gpu", "-o", "wide").out.splitlines()
    assert header.split()[-2:] == ["PARENT", "WHY"]
    assert first.endswith("<none>     XID 79")
    assert last.endswith("GPU-bb22   its fan (root)")


def test_names_are_for_scripts_and_the_beginning_of_one_will_do(
    wharf: wharf_host.Wharf, seen: controller_stand_in.World
) -> None:
    assert wharf("get", "gpus", "-o", "name").out.split() == ["gpu/GPU-aa11", "gpu/GPU-bb22", "gpu/MIG-cc33"]
    found = json.loads(wharf("get", "gpu", "gpu/GPU-aa", "-o", "json").out)
    assert (found["uuid"], found["fence"]["endsAt"]) == ("GPU-aa11", "2026-11-22T12:09:00Z")


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("0", exits.ExitCode.ERROR, "0 is GPU-aa11 now"),
        ("GPU-", exits.ExitCode.ERROR, "GPU-aa11, GPU-bb22"),
        ("GPU-zz", exits.ExitCode.NOT_FOUND, "GPU-zz"),
    ],
)
def test_a_name_that_is_not_certain_is_refused(
    wharf: wharf_host.Wharf, seen: controller_stand_in.World, name: str, code: exits.ExitCode, words: str
) -> None:
    for verb in ("get", "describe"):
        result = wharf(verb, "gpu", name)
        assert (result.code, words in result.err) == (code, True), result


def test_use_without_a_grant_is_told_by_user(
    wharf: wharf_host.Wharf, seen: controller_stand_in.World
) -> None:
    header, strange, host = wharf("get", "gpus", "--foreign").out.splitlines()
    assert header.split() == ["KIND", "WHO", "USER", "PID", "COMMAND", "USED", "GPU", "INDEX", "MODEL"]
    assert strange.startswith('foreign container   container "jupyter" (not ours)   <none>')
    assert host.startswith("host process        <none>                           zoe")
    assert all(line.endswith(MODEL) for line in (strange, host))
    listed = json.loads(wharf("get", "gpus", "GPU-aa11", "--foreign", "-o", "json").out)
    assert [(one["user"], one["pid"], one["name"]) for one in listed["items"]] == [("zoe", 4711, "GPU-aa11")]


def test_no_use_without_a_grant_is_said(wharf: wharf_host.Wharf, world: controller_stand_in.World) -> None:
    world.answers["gpus"] = plain(GpuStatus(devices=(DeviceStatus(A),)))
    result = wharf("get", "gpus", "--foreign")
    assert (result.out, "nobody" in result.err, result.code) == ("", True, 0)
    assert wharf("get", "workspaces", "--foreign").code == exits.ExitCode.USAGE


def test_what_cannot_be_seen_is_said(wharf: wharf_host.Wharf, world: controller_stand_in.World) -> None:
    unseen = Unseen(Reason.NOT_SEEN, "the driver hangs", reports.NOW)
    world.answers["gpus"] = plain(GpuStatus(unseen=unseen))
    assert "the GPUs could not be looked at: NotSeen: the driver hangs" in wharf("get", "gpus").err
    result = wharf("describe", "gpu", "GPU-aa")
    assert (result.code, "the driver hangs" in result.err) == (exits.ExitCode.UNREACHABLE, True)
    with pytest.raises(exits.Failure):
        gpus.seen_inventory(plain(GpuStatus(unseen=unseen)))


def test_all_about_one_device(wharf: wharf_host.Wharf, seen: controller_stand_in.World) -> None:
    event = {"time": "2026-11-22T11:59:00Z", "reason": "GpuFenced", "message": "XID 79"}
    seen.answers["events"] = {"items": [{**event, "subject": "gpu/GPU-aa11"}, {**event, "subject": "bob"}]}
    lines = wharf("describe", "gpu", "GPU-aa").out.splitlines()
    assert lines[:13] == [
        "UUID:         GPU-aa11",
        "Model:        SIMULATED A100 80GB",
        "Index:        0 (it may be another one after each boot)",
        "Profile:      <none>",
        "Part of:      <none>",
        "Memory:       80GiB",
        "State:        Fenced",
        "Held by:      workspace alice",
        "Utilization:  57%",
        "Memory used:  3.0GiB",
        "Driver:       550.1",
        "Cordon:       <none>",
        "Fence:        XID 79, since 2026-11-22T12:00:00Z (5m ago); ends in 4m if nothing more happens",
    ]
    assert [line.split() for line in lines[14:18]] == [
        ["Used", "by:"],
        ["PID", "USER", "COMMAND", "USED", "WHO", "WITHOUT", "A", "GRANT"],
        ["4711", "zoe", "python", "1.0GiB", "<none>", "host", "process"],
        ["5", "alice", "train", "2.0GiB", "workspace", "alice"],
    ]
    assert "  bob, for 5m: 1st of 1 in the queue" in lines
    assert lines[-1] == "  6m ago GpuFenced: XID 79"


def test_a_fence_of_a_device_that_is_gone_does_not_end_by_the_clock(
    wharf: wharf_host.Wharf, world: controller_stand_in.World
) -> None:
    world.answers["gpus"] = plain(replace(STATUS, devices=(replace(HELD, there=False),)))
    (line,) = (line for line in wharf("describe", "gpu", "GPU-aa").out.splitlines() if "Fence:" in line)
    assert line.endswith("since 2026-11-22T12:00:00Z (5m ago); stays until the device is seen again")


def test_a_cordon_is_told_with_who_and_why(wharf: wharf_host.Wharf, seen: controller_stand_in.World) -> None:
    lines = wharf("describe", "gpu", "GPU-bb22").out.splitlines()
    assert (
        "Cordon:       its fan (root), 2026-11-22T12:00:00Z (5m ago), and those who have it shall leave"
        in lines
    )


def test_what_is_read_back_is_what_was_told() -> None:
    found = gpus.seen_inventory(plain(STATUS))
    assert [(one.device, one.holders, one.cordon) for one in found.devices] == [
        (one.device, one.holders, one.cordon) for one in STATUS.devices
    ]
    fence = found.devices[0].fence
    assert fence is not None
    assert (fence.ailment, fence.message, fence.since) == (FENCE.ailment, FENCE.message, FENCE.since)
    assert (found.driver, found.simulated) == ("550.1", True)


@pytest.mark.parametrize(
    ("order", "body", "answer", "said"),
    [
        (("cordon", ["--reason", "its fan"]), {"reason": "its fan"}, {}, "gpu/GPU-aa11 cordoned"),
        (
            ("drain", ["--reason", "its fan"]),
            {"reason": "its fan", "drain": True},
            {"workspaces": ["alice", "bob"]},
            "gpu/GPU-aa11 draining: alice, bob",
        ),
        (
            ("drain", ["--reason", "x"]),
            {"reason": "x", "drain": True},
            {"workspaces": []},
            "gpu/GPU-aa11 draining: no workspace has it",
        ),
        (("uncordon", []), {}, {"already": False}, "gpu/GPU-aa11 uncordoned"),
        (("uncordon", []), {}, {"already": True}, "gpu/GPU-aa11 uncordoned already"),
        (
            ("uncordon", []),
            {},
            {"already": False, "outOfUse": "it is out of use: it fell off the bus"},
            "gpu/GPU-aa11 uncordoned; nobody gets it yet: it is out of use: it fell off the bus",
        ),
    ],
)
def test_a_device_is_taken_out_of_use_and_put_back(
    wharf: wharf_host.Wharf,
    world: controller_stand_in.World,
    order: tuple[str, list[str]],
    body: object,
    answer: dict[str, object],
    said: str,
) -> None:
    verb, options = order
    asked = "uncordon" if verb == "uncordon" else "cordon"
    world.on_post[asked] = lambda name, _: (200, {"uuid": f"{name}11", **answer})
    result = wharf(verb, "gpu", "gpu/GPU-aa", *options)
    assert (result.out, result.code) == (f"{said}\n", 0)
    assert world.requested == [(asked, "GPU-aa", body)]


def test_a_cordon_needs_a_reason(wharf: wharf_host.Wharf, world: controller_stand_in.World) -> None:
    assert wharf("cordon", "gpu", "GPU-aa").code == exits.ExitCode.USAGE
    assert world.requested == []


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (None, "<none>"),
        (WorkspaceGpus(Wish(), ("GPU-aa11",), (A,)), "GPU-aa11 (SIMULATED A100 80GB, index 0)"),
        (WorkspaceGpus(Wish(), ("MIG-cc33",), (PART,)), f"MIG-cc33 ({MODEL}, 1g.10gb, index 1:0)"),
        (
            WorkspaceGpus(Wish(count=2), waiting_since=reports.NOW),
            "none; waits for 2, since 2026-11-22T12:00:00Z (5m ago)",
        ),
        (
            WorkspaceGpus(Wish(), ("MIG-cc33", "GPU-0"), (), access=AccessState.LOST),
            "MIG-cc33, GPU-0; its container cannot open them any more",
        ),
        (
            WorkspaceGpus(Wish(), unseen=Unseen(Reason.NOT_SEEN, "it hangs", reports.NOW)),
            "none; the GPUs could not be looked at: it hangs",
        ),
    ],
)
def test_a_workspace_says_what_it_has(
    wharf: wharf_host.Wharf, world: controller_stand_in.World, told: WorkspaceGpus | None, words: str
) -> None:
    item = wording.object_of(reports.status(gpus=told))
    world.workspaces["alice"] = cast("dict[str, object]", item)
    assert f"GPUs:         {words}" in wharf("describe", "workspace", "alice").out.splitlines()
