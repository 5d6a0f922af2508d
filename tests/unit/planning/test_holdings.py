"""Who holds a GPU, by everything that may have one: a row for each kind of claimant."""

from dataclasses import replace
from typing import Any

import pytest

from controller.api import labels
from controller.api.conditions import Reason
from controller.engine.bystanders import NOT_ASKED
from controller.model.gpus import Attached, Device
from controller.model.memory import Replacement
from controller.model.observed import ContainerState
from controller.model.plan import Verdict
from controller.planning import devices
from controller.planning.devices import Names
from controller.planning.equipment import Equipment
from controller.planning.planner import Planner
from tests.support import stories
from tests.support.world import World

ALICE = {"workspace": "alice", "spec": {"gpu": {"mode": "Exclusive"}}, "gpus": ["GPU-1"]}
HOST = {"gpus": ["GPU-1", "GPU-2"]}
BOB = 'container "bob" (not ours)'

Event = dict[str, Any]


def equipment(*events: Event, monitors: tuple[str, ...] = ()) -> Equipment:
    """The GPUs of a host with two of them to which these happened; `monitors` only watch."""
    world = stories.tell([dict(HOST), *map(dict, events)])
    world.rules = replace(world.rules, gpu_monitors=monitors)
    planner = Planner(world.rules)
    world.plan(planner)
    assert planner.equipment is not None
    return planner.equipment


def held(*events: Event) -> list[str]:
    """Who holds what there."""
    return [f"{one.uuid} {one.holder} {one.hold}" for one in equipment(*events).holdings.claims]


@pytest.mark.parametrize("state", list(ContainerState))
def test_a_container_of_ours_holds_its_gpu_unless_it_has_stopped_for_long(state: ContainerState) -> None:
    given = {**ALICE, "container": "created"} if state is ContainerState.CREATED else ALICE
    changes = [] if state is ContainerState.CREATED else [{"container": "alice", "state": state.value}]
    if state is ContainerState.EXITED:
        changes = [{"container": "alice", "ended_ago": "15m"}]
    expected = [] if state is ContainerState.EXITED else ["GPU-1 workspace alice alone"]
    assert held(given, *changes) == expected


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param(
            [{"container": "alice", "ended_ago": "14m"}], ["GPU-1 workspace alice alone"], id="hold"
        ),
        pytest.param(
            [{"container": "alice", "ended_ago": "14m"}, {"spec lost": "alice"}], [], id="hold without a spec"
        ),
        pytest.param(
            [
                {"container": "alice", "ended_ago": "1h"},
                {
                    "backoff": "alice",
                    "verdict": "Start",
                    "reason": "ContainerExited",
                    "why": "OutcomeUnknown",
                },
            ],
            ["GPU-1 workspace alice alone"],
            id="a start without an answer",
        ),
        pytest.param(
            [
                {"container": "alice", "ended_ago": "1h"},
                {"backoff": "alice", "verdict": "Start", "reason": "ContainerExited"},
            ],
            [],
            id="a start that was refused",
        ),
        pytest.param(
            [{"container": "alice", "ended_ago": "1h"}, {"unknown": "workspace-alice"}],
            ["GPU-1 workspace alice alone"],
            id="not inspected",
        ),
        pytest.param(
            [{"container": "alice", "ended_ago": "1h"}, {"intent": "alice", "gpus": ["GPU-1"]}],
            ["GPU-1 workspace alice alone"],
            id="a chain under way",
        ),
        pytest.param(
            [{"container": "alice", "ended_ago": "1h"}, {"gpu process": 7, "device": "GPU-1", "in": "alice"}],
            ["GPU-1 workspace alice alone"],
            id="a surviving process",
        ),
        pytest.param(
            [{"gpu process": 7, "device": "GPU-2", "in": "alice"}],
            ["GPU-1 workspace alice alone", "GPU-2 workspace alice alone"],
            id="a process where none was granted",
        ),
        pytest.param(
            [{"gpu gone": "GPU-1"}], ["GPU-1 workspace alice alone"], id="a device that is not there any more"
        ),
        pytest.param(
            [{"spec gone": "alice"}, {"passes": 3}, {"wait": "1s"}],
            [],
            id="a kept container that has stopped",
        ),
        pytest.param(
            [{"edit": "alice", "spec": {"gpu": {"mode": "Shared"}}}],
            ["GPU-1 workspace alice share"],
            id="as its owner says by now",
        ),
    ],
)
def test_who_holds_the_gpu_of_a_workspace(events: list[Event], expected: list[str]) -> None:
    assert held(ALICE, *events) == expected


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], []),
        ([{"gpu process": 7, "device": "GPU-2", "in": "bob"}], [f"GPU-2 {BOB} alone"]),
    ],
)
def test_a_monitor_holds_only_what_a_process_of_it_uses(events: list[Event], expected: list[str]) -> None:
    watches = {"gpu container": "bob", "with": "all"}
    known = equipment(watches, *events, monitors=("bob",)).holdings.claims
    assert [f"{one.uuid} {one.holder} {one.hold}" for one in known] == expected


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"gpu container": "bob", "with": ["GPU-1"]}, [f"GPU-1 {BOB} alone"]),
        ({"gpu container": "bob", "with": ["nvidia.com/gpu=GPU-1"]}, [f"GPU-1 {BOB} alone"]),
        ({"gpu container": "bob", "with": ["1"]}, [f"GPU-2 {BOB} alone"]),
        ({"gpu container": "bob", "with": ["nvidia.com/gpu=gpu1"]}, [f"GPU-2 {BOB} alone"]),
        ({"gpu container": "bob", "with": "all"}, [f"GPU-1 {BOB} alone", f"GPU-2 {BOB} alone"]),
        ({"gpu container": "bob", "with": ["who knows"]}, [f"GPU-1 {BOB} alone", f"GPU-2 {BOB} alone"]),
        ({"gpu container": "bob", "with": ["vendor.example/gpu=0"]}, []),
        ({"gpu container": "bob", "nodes": ["/dev/nvidia1"]}, [f"GPU-2 {BOB} alone"]),
        ({"gpu container": "bob", "nodes": ["/dev/nvidia9"]}, [f"GPU-1 {BOB} alone", f"GPU-2 {BOB} alone"]),
        ({"gpu container": "bob", "visible": "0", "honours": True}, [f"GPU-1 {BOB} alone"]),
        ({"gpu container": "bob", "visible": "all"}, []),
        ({"gpu container": "bob", "visible": "void", "honours": True}, []),
        ({"gpu container": "bob", "with": ["GPU-1"], "stopped": True}, []),
        (
            {"gpu process": 7, "device": "GPU-1", "of": "dave", "command": "python3"},
            ["GPU-1 process 7 (python3) of dave alone"],
        ),
        ({"gpu process": 7, "device": "GPU-1"}, ["GPU-1 process 7 alone"]),
        (
            {"gpu process": 7, "device": "GPU-1", "in": "0123456789abcdef"},
            ["GPU-1 process 7 in container 0123456789ab alone"],
        ),
        (
            {"gpu process": 7, "device": "GPU-1", "graphics": True, "command": "Xorg", "of": "root"},
            ["GPU-1 process 7 (Xorg) of root alone"],
        ),
    ],
)
def test_who_else_may_hold_a_gpu(event: Event, expected: list[str]) -> None:
    assert held(event) == expected


def test_a_process_of_a_foreign_container_is_that_containers() -> None:
    given = {"gpu container": "bob", "with": ["GPU-1"]}
    assert held(given, {"gpu process": 7, "device": "GPU-2", "in": "bob"}) == [
        f"GPU-1 {BOB} alone",
        f"GPU-2 {BOB} alone",
    ]


def test_a_process_in_an_instance_is_not_one_on_the_whole_gpu() -> None:
    """Some drivers name the GPU for a process that runs in one of its instances."""
    divided = {"instances": ["MIG-1"], "of": "GPU-1", "profile": "1g.10gb"}
    wish = {"mode": "Exclusive", "migProfile": "1g.10gb"}
    alice = {"workspace": "alice", "spec": {"gpu": wish}, "gpus": ["MIG-1"]}
    process = {"gpu process": 7, "device": "GPU-1", "in": "alice"}
    assert held(divided, alice, process) == ["MIG-1 workspace alice alone"]


def test_a_created_container_with_labels_like_ours_holds_and_any_other_does_not() -> None:
    copy = {"foreign": "elsewhere", "forged_from": "alice"}
    of_copy = 'GPU-1 container "elsewhere" (not ours) alone'
    assert of_copy in held({**ALICE, "container": "created"}, copy)
    world = stories.tell([dict(HOST), {**ALICE, "container": "created"}, copy])
    stranger = world.containers["f" * 64]
    unnamed = {name: value for name, value in stranger.labels.items() if name != labels.WORKSPACE}
    world.containers["f" * 64] = replace(stranger, labels=unnamed)
    planner = Planner(world.rules)
    world.plan(planner)
    assert planner.equipment is not None
    assert {one.workspace for one in planner.equipment.holdings.claims} == {"alice"}


@pytest.mark.parametrize(
    ("event", "why"),
    [
        ({"gpu users unseen": "containers"}, "it may use any GPU"),
        ({"gpu users unseen": "processes"}, "the driver does not tell"),
        ({"unknown": "workspace-carol"}, "the container workspace-carol cannot be inspected"),
        ({"unknown": "workspace-alice"}, ""),
    ],
)
def test_nothing_is_known_to_be_free_while_somebody_is_unseen(event: Event, why: str) -> None:
    blind = equipment(ALICE, event).holdings.blind
    assert why in blind
    assert bool(why) == bool(blind)


def test_gpus_that_come_after_others_were_looked_at_are_not_given_before_others_are() -> None:
    """The Engine is looked at first, and where there are no GPUs then, nobody asks it who else has one."""
    wish = {"workspace": "alice", "spec": {"gpu": {"mode": "Exclusive"}}, "container": "none"}
    decisions = []
    for host in ([dict(HOST)], []):
        world = stories.tell([*host, dict(wish)])
        world.bystanders = NOT_ASKED
        decisions.append(world.plan(Planner(world.rules)).decisions["alice"])
    late, without = decisions
    assert (late.verdict, late.reason, late.message) == (Verdict.HOLD, Reason.NOT_SEEN, NOT_ASKED.message)
    assert without.reason not in {Reason.NOT_SEEN, None}
    assert NOT_ASKED.message not in without.message


@pytest.mark.parametrize(("ended_ago", "expected"), [("14m", ["GPU-1 workspace alice alone"]), ("16m", [])])
def test_a_container_that_may_have_to_come_back_does_not_hold_its_gpu_for_ever(
    ended_ago: str, expected: list[str]
) -> None:
    """Two of them could wait for each other, each for what the other had."""
    world = stories.tell([dict(HOST), dict(ALICE), {"container": "alice", "ended_ago": ended_ago}])
    before = world.main("alice")
    assert before is not None
    world.change(before.id, name=labels.retained_name("alice", before.labels[labels.INSTANCE]))
    world.remember(replacements={"alice": Replacement("alice", before.id, "hash", "image", world.now)})
    planner = Planner(world.rules)
    world.plan(planner)
    assert planner.equipment is not None
    assert [f"{one.uuid} {one.holder} {one.hold}" for one in planner.equipment.holdings.claims] == expected


def test_the_first_hold_to_end_is_when_it_is_worth_looking_again() -> None:
    world = stories.tell([dict(HOST), dict(ALICE), {"container": "alice", "ended_ago": "5m"}])
    ended = world.containers[next(iter(world.containers))].finished_at
    planner = Planner(world.rules)
    world.plan(planner)
    assert planner.equipment is not None
    assert planner.equipment.holdings.next_end is not None
    assert ended is not None
    assert (planner.equipment.holdings.next_end - ended).total_seconds() == 15 * 60


def test_a_host_without_gpus_and_wishes_has_nothing_worked_out() -> None:
    world = World()
    stories.tell_more(world, [{"workspace": "alice"}])
    planner = Planner(world.rules)
    world.plan(planner)
    assert planner.equipment is None


def test_names_of_parts_and_of_vendors_are_understood() -> None:
    known = {
        "GPU-1": Device("GPU-1", "H100", 1, index="0", minor=0, divided=True),
        "MIG-1": Device("MIG-1", "H100", 1, index="0:1", parent="GPU-1", profile="1g.10gb"),
        "x": Device("x", "Example", 1, cdi="vendor.example/gpu=0"),
    }
    names = Names(known)

    def meant(*given: str) -> set[str]:
        return set(names.meant(Attached(given), honours=False))

    assert meant("nvidia.com/gpu=mig0:1", "vendor.example/gpu=0") == {"MIG-1", "x"}
    assert meant("GPU-gone") == {"GPU-gone"}
    assert meant("k8s.device-plugin.nvidia.com/gpu=GPU-1", "nvidia.com/mig=MIG-1") == {"GPU-1", "MIG-1"}
    assert meant("runtime.nvidia.com/gpu=any") == set(known)
    assert meant("notnvidia.com/gpu=0", "vendor.example/gpu=1") == set()
    assert devices.cdi_name(known["x"]) == "vendor.example/gpu=0"
    assert devices.cdi_name(known["MIG-1"]) == "nvidia.com/gpu=MIG-1"


def test_the_beginning_of_a_uuid_means_all_that_begin_so_as_nvidia_s_hook_reads_it() -> None:
    first, second, part = "GPU-FEF8089b-1", "GPU-fef8ac4e-2", "MIG-fef8ffff-3"
    names = Names({uuid: Device(uuid, "H100", 1) for uuid in (first, second, part)})

    def meant(name: str) -> set[str]:
        by_request = names.meant(Attached((name,)), honours=False)
        assert by_request == names.meant(Attached(visible=name), honours=True)
        return set(by_request)

    assert meant("GPU-fef8089b") == {first}
    assert meant("GPU-fef8") == {first, second}
    assert meant(second) == {second}
    assert meant("MIG-fef8") == {part}
    assert meant("gpu-fef8ac4e-2") == {first, second, part}, "not as NVIDIA writes it: whatever it means"
    assert meant("GPU-0000") == {"GPU-0000"}
