"""Who uses which GPU, and with what right."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from controller.api import labels
from controller.api.conditions import Reason
from controller.model.effective import Effective
from controller.model.gpus import (
    Access,
    AccessState,
    Ailment,
    Attached,
    Bystander,
    Cordon,
    Device,
    Fence,
    GpuView,
    Process,
    Wish,
)
from controller.model.gpustatus import (
    NO_GPUS,
    DeviceState,
    DeviceStatus,
    Foreign,
    GpuStatus,
    WorkspaceGpus,
)
from controller.model.memory import Adoption, Memory
from controller.model.observed import Container, EngineView, Observed, Seen, Unseen
from controller.model.plan import Decision, Plan, Verdict
from controller.planning import oversight, resolve
from controller.planning.claimed import Claim
from controller.planning.holdings import Holdings
from tests.support import builders, reports
from tests.support.world import World

NOW = builders.NOW
CLEAN = timedelta(minutes=10)
A, B = Device("GPU-a", "Card", 40, "0"), Device("GPU-b", "Card", 40, "1")
WHOLE = Device("GPU-m", "Card", 40, "2", divided=True)
SLICE = Device("MIG-x", "Card", 10, "2:0", parent="GPU-m", profile="1g.10gb")
DEVICES = {device.uuid: device for device in (B, A, SLICE, WHOLE)}
CORDON = Cordon("GPU-m", "its fan is loud", NOW, "root")
FENCE = Fence("GPU-a", Ailment.ECC, "memory errors", NOW, NOW, lasts=True)
UNSEEN = Unseen(Reason.NOT_SEEN, "the driver hangs", NOW)


def ours(name: str, *uuids: str) -> Container:
    made = reports.container(name)
    return replace(made, id=f"id of {name}", labels={labels.GPUS: ",".join(uuids)})


def look(
    *processes: Process,
    claims: tuple[Claim, ...] = (),
    containers: tuple[Container, ...] = (),
    strangers: tuple[Bystander, ...] = (),
    **remembered: Any,  # noqa: ANN401 - fields of one class
) -> GpuStatus:
    """What is told of the host; every container here was adopted, so it is ours."""
    engine = World().observed().engine
    assert isinstance(engine, Seen)
    view = replace(
        engine.value,
        containers={one.id: one for one in containers},
        bystanders={one.id: one for one in strangers},
    )
    adopted = {
        one.id: Adoption(one.id, one.name.removeprefix("workspace-"), NOW, "root") for one in containers
    }
    return oversee(
        Seen(GpuView(devices=DEVICES, processes=processes, simulated=True), NOW),
        Holdings(claims),
        builders.memory(adopted=adopted, **remembered),
        view,
    )


def oversee(
    gpus: Seen[GpuView] | Unseen, held: Holdings, memory: Memory, engine: EngineView | None = None
) -> GpuStatus:
    decision = Decision("bob", Verdict.WAIT, Reason.GPU_QUEUED, "1st of 1")
    sight = oversight.Sight(gpus, engine, held, memory, memory.gpu_waits, {"bob": decision}, CLEAN)
    return oversight.oversee(sight)


def on(status: GpuStatus, uuid: str) -> DeviceStatus:
    return next(one for one in status.devices if one.device.uuid == uuid)


@pytest.mark.parametrize(
    ("process", "who", "foreign"),
    [
        (Process("GPU-a", 1, container_id="id of alice"), "workspace alice", None),
        (Process("GPU-b", 1, container_id="id of alice"), "workspace alice", Foreign.WORKSPACE),
        (Process("GPU-m", 1, container_id="id of carol"), "workspace carol", None),
        (Process("MIG-x", 1, container_id="id of carol"), "workspace carol", None),
        (Process("MIG-x", 1, container_id="id of dave"), "workspace dave", Foreign.WORKSPACE),
        (Process("GPU-m", 1, container_id="id of dave"), "workspace dave", Foreign.UNASSIGNED),
        (Process("GPU-a", 1, container_id="other"), 'container "jupyter" (not ours)', Foreign.CONTAINER),
        (Process("GPU-a", 1, container_id="f" * 64), "container ffffffffffff (not ours)", Foreign.CONTAINER),
        (Process("GPU-a", 1, user="zoe"), "", Foreign.HOST),
    ],
)
def test_a_process_has_a_right_to_what_its_workspace_was_granted(
    process: Process, who: str, foreign: Foreign | None
) -> None:
    granted = {"alice": "GPU-a", "bob": "GPU-b", "carol": "MIG-x", "dave": ""}
    found = look(
        process,
        claims=tuple(Claim(uuid, f"workspace {name}", name) for name, uuid in granted.items() if uuid),
        containers=tuple(ours(name, *filter(None, [uuid])) for name, uuid in granted.items()),
        strangers=(Bystander("other", "jupyter", running=True, attached=Attached()),),
    )
    (user,) = on(found, process.device).users or ()
    assert (user.who, user.foreign, user.pid) == (who, foreign, 1)


def test_a_strange_container_is_seen_before_it_computes_and_once_when_it_does() -> None:
    claim = Claim("GPU-a", 'container "jupyter" (not ours)')
    stranger = Bystander("other", "jupyter", running=True, attached=Attached(names=("GPU-a",)))
    for processes in ((), (Process("GPU-a", 7, container_id="other"),)):
        found = look(*processes, claims=(claim,), strangers=(stranger,))
        (user,) = on(found, "GPU-a").users or ()
        assert (user.who, user.foreign) == (claim.holder, Foreign.CONTAINER)
        assert on(found, "GPU-a").state is DeviceState.FOREIGN


def test_each_user_of_what_was_not_granted_is_one_finding() -> None:
    found = look(
        Process("GPU-a", 1, user="zoe"),
        Process("GPU-a", 2, user="zoe"),
        Process("GPU-b", 3, user="zoe"),
        Process("GPU-b", 4, command="python"),
        Process("GPU-b", 5, container_id="id of dave"),
        containers=(ours("dave"),),
    )
    assert [(one.subject, one.message) for one in oversight.findings(found)] == [
        ("process 4 (python)", "outside of any container, use GPU-b"),
        ("processes of zoe", "outside of any container, use GPU-a, GPU-b"),
        ("workspace dave", "uses GPU-b, which it was not granted"),
    ]


def test_a_device_says_in_one_word_how_it_stands() -> None:
    plain = DeviceStatus(A)
    cases = {
        DeviceState.FREE: plain,
        DeviceState.UNKNOWN: replace(plain, doubt="a container cannot be inspected"),
        DeviceState.DIVIDED: DeviceStatus(WHOLE),
        DeviceState.HELD: replace(plain, holders=("workspace bob",), workspaces=("bob",)),
        DeviceState.FOREIGN: replace(plain, holders=("process 7",)),
        DeviceState.CORDONED: replace(plain, cordon=CORDON, holders=("process 7",)),
        DeviceState.DRAINING: replace(plain, cordon=replace(CORDON, drain=True)),
        DeviceState.FENCED: replace(plain, fence=FENCE, cordon=CORDON),
        DeviceState.GONE: replace(plain, there=False, fence=FENCE),
    }
    assert {state: told.state for state, told in cases.items()} == {state: state for state in DeviceState}


def test_devices_come_by_their_index_and_those_that_are_gone_last() -> None:
    found = look(claims=(Claim("GPU-0", "workspace bob", "bob"),), cordons={"GPU-m": CORDON})
    assert [one.device.uuid for one in found.devices] == ["GPU-a", "GPU-b", "GPU-m", "MIG-x", "GPU-0"]
    assert on(found, "MIG-x").cordon == CORDON
    assert (on(found, "GPU-0").state, on(found, "GPU-0").workspaces) == (DeviceState.GONE, ("bob",))
    assert not on(found, "MIG-x").allocatable
    assert on(found, "GPU-a").allocatable


def test_a_fence_says_when_it_ends() -> None:
    found = look(fences={"GPU-a": replace(FENCE, lasts=False), "GPU-m": replace(FENCE, uuid="GPU-m")})
    assert on(found, "GPU-a").fence_ends == NOW + CLEAN
    assert (on(found, "MIG-x").state, on(found, "MIG-x").fence_ends) == (DeviceState.FENCED, None)


def test_the_queue_has_who_waits_longest_first() -> None:
    waits = {"bob": NOW, "alice": NOW - CLEAN}
    found = look(gpu_waits=waits).waiting
    assert [(one.workspace, one.message) for one in found] == [("alice", ""), ("bob", "1st of 1")]


def test_processes_that_nobody_tells_of_are_not_none() -> None:
    view = Seen(GpuView(devices=DEVICES, processes=None), NOW)
    found = oversee(view, Holdings(blind="nobody tells"), builders.memory())
    assert {one.users for one in found.devices} == {None}
    assert on(found, "GPU-a").state is DeviceState.UNKNOWN


def test_what_cannot_be_seen_is_said() -> None:
    assert oversee(UNSEEN, Holdings(), builders.memory()) == GpuStatus(unseen=UNSEEN)


def observed(gpus: Seen[GpuView] | Unseen | None = None, *, engine: bool = True) -> Observed:
    found = World().observed()
    if gpus is not None:
        found = replace(found, gpus=gpus)
    return found if engine else replace(found, engine=UNSEEN)


def test_a_host_without_gpus_has_nothing_to_tell() -> None:
    found = oversight.overseen(None, observed(), builders.memory(), Plan({}), CLEAN)
    assert found is NO_GPUS


def test_fences_are_told_in_the_pass_that_begins_and_ends_them() -> None:
    view, memory = Seen(GpuView(devices=DEVICES), NOW), builders.memory(fences={"GPU-b": FENCE})
    plan = Plan({}, fences=(FENCE,), fences_ended=("GPU-b",))
    found = oversight.overseen(Holdings(), observed(view), memory, plan, CLEAN)
    assert [one.device.uuid for one in found.devices if one.fence] == ["GPU-a"]


def test_without_the_engine_nobody_can_tell_that_a_device_is_free() -> None:
    view = Seen(GpuView(devices=DEVICES), NOW)
    found = oversight.overseen(None, observed(view, engine=False), builders.memory(), Plan({}), CLEAN)
    assert on(found, "GPU-a").state is DeviceState.UNKNOWN


def resolved(name: str, **gpu: Any) -> Effective:  # noqa: ANN401 - as written
    spec = builders.accepted(name, gpu={"mode": "None", **gpu})
    found = resolve.resolve(spec, builders.standing(), builders.account(name))
    assert isinstance(found, Effective)
    return found


def test_what_a_workspace_wants_and_has() -> None:
    alice, status = ours("alice", "GPU-a", "GPU-gone"), GpuStatus(simulated=True)
    view = Seen(GpuView(devices=DEVICES, access={alice.id: Access(AccessState.LOST, NOW)}), NOW)
    found = oversight.of_workspace(resolved("alice", mode="Exclusive", count=2), alice, status, NOW, view)
    assert found == WorkspaceGpus(
        Wish(count=2), ("GPU-a", "GPU-gone"), (A,), NOW, AccessState.LOST, simulated=True
    )
    assert oversight.of_workspace(resolved("bob"), ours("bob"), status, None, UNSEEN) is None
