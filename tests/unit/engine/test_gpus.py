"""GPUs in the Engine's words, there and back, and containers of others that may use one."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.api import labels
from controller.api.conditions import Reason
from controller.engine import bystanders, calls, gpus, observer, parsing, refusals, templates, transport
from controller.model import observed
from controller.model.gpus import VISIBLE_DEVICES, Attached, Attachment, Bystander, Driver
from tests.support import engine_actions as act
from tests.support import sim_engine
from tests.support.sim_engine import Fault

ONE, TWO = "GPU-0a11e7e5-0000-4000-8000-000000000001", "GPU-0a11e7e5-0000-4000-8000-000000000002"
BY_CDI = Attachment(Driver.CDI, (ONE, TWO), (f"nvidia.com/gpu={ONE}", f"nvidia.com/gpu={TWO}"))
BY_HOOK = Attachment(Driver.NVIDIA, (ONE, TWO), (ONE, TWO))
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def read_back(body: transport.Row) -> observed.Configuration:
    row = {"Config": {"Image": "x", "Env": body["Env"]}, "HostConfig": body["HostConfig"]}
    return parsing.parse_configuration(row)


def written(attachment: Attachment | None) -> transport.Row:
    env = ((VISIBLE_DEVICES, "void"),)
    return templates.render_container(act.create(env=env, gpus=attachment))


def test_by_cdi_a_container_names_its_devices_and_no_hook_adds_any() -> None:
    body = written(BY_CDI)
    (request,) = body["HostConfig"]["DeviceRequests"]
    assert request == {"Driver": "cdi", "DeviceIDs": list(BY_CDI.names)}
    assert body["Env"] == ["NVIDIA_VISIBLE_DEVICES=void"]
    seen = read_back(body)
    assert (seen.gpus, seen.other) == (Attached(BY_CDI.names, visible="void"), ())


def test_by_the_hook_a_container_names_its_devices_twice_and_never_a_count() -> None:
    body = written(BY_HOOK)
    (request,) = body["HostConfig"]["DeviceRequests"]
    assert request == {"Driver": "nvidia", "DeviceIDs": [ONE, TWO], "Capabilities": [["gpu"]]}
    assert body["Env"] == [f"NVIDIA_VISIBLE_DEVICES={ONE},{TWO}"]
    seen = read_back(body)
    assert (seen.gpus, seen.other) == (Attached((ONE, TWO), visible=f"{ONE},{TWO}"), ())


def test_without_gpus_nothing_is_asked_and_an_image_s_all_is_overwritten() -> None:
    body = written(None)
    assert "DeviceRequests" not in body["HostConfig"]
    assert body["Env"] == ["NVIDIA_VISIBLE_DEVICES=void"]


def requested(**request: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"DeviceRequests": [request]}


@pytest.mark.parametrize(
    ("host_config", "env", "expected"),
    [
        ({}, {}, Attached()),
        ({"DeviceRequests": None, "Devices": None}, {}, Attached()),
        ({}, {VISIBLE_DEVICES: "all"}, Attached(visible="all")),
        (requested(Driver="", Count=-1, DeviceIDs=None, Capabilities=[["gpu"]]), {}, Attached(all=True)),
        (requested(Driver="nvidia", Count=1), {}, Attached(all=True)),
        (requested(Driver="", DeviceIDs=["all"]), {}, Attached(all=True)),
        (requested(Driver="cdi", DeviceIDs=["nvidia.com/gpu=all"]), {}, Attached(all=True)),
        (
            requested(Driver="cdi", DeviceIDs=["b.example/gpu=1", "a=0"]),
            {},
            Attached(("a=0", "b.example/gpu=1")),
        ),
        (requested(Driver="fpga", Count=-1), {}, Attached()),
        ({"Devices": [{"PathOnHost": "/dev/nvidia1"}]}, {}, Attached(nodes=("/dev/nvidia1",))),
        ({"Devices": [{"PathOnHost": "/dev/char/195:3"}]}, {}, Attached(nodes=("/dev/nvidia3",))),
        ({"Devices": [{"PathOnHost": "/dev/nvidiactl"}, {"PathOnHost": "/dev/fuse"}]}, {}, Attached()),
        (
            {"Devices": [{"PathOnHost": "/dev"}, {"PathOnHost": "/dev/nvidia0"}]},
            {},
            Attached((), True, "", ("/dev/nvidia0",)),
        ),
        ({"Devices": [{"PathOnHost": "/dev"}]}, {}, Attached(all=True)),
        ({"Devices": [{"PathOnHost": "/dev/"}]}, {}, Attached(all=True)),
        ({"Devices": [{"PathOnHost": "//dev/./x/../nvidia1"}]}, {}, Attached(nodes=("/dev/nvidia1",))),
        ({"DeviceCgroupRules": ["c 195:3 rw", "c 10:200 rwm"]}, {}, Attached(nodes=("/dev/nvidia3",))),
        ({"DeviceCgroupRules": ["c 195:255 rwm", "c 195:* m", "b *:* rwm"]}, {}, Attached()),
        ({"DeviceCgroupRules": ["c 195:* rwm"]}, {}, Attached(all=True)),
        ({"DeviceCgroupRules": ["c *:0 r"]}, {}, Attached(all=True)),
        ({"DeviceCgroupRules": ["a 1:3 rwm"]}, {}, Attached(all=True)),
        ({"Runtime": "nvidia"}, {"CUDA_VERSION": "9.0"}, Attached(visible="all")),
        ({"Runtime": "nvidia"}, {"CUDA_VERSION": "9.0", VISIBLE_DEVICES: ""}, Attached()),
        ({"Runtime": "nvidia"}, {"CUDA_VERSION": "9.0", "NVIDIA_REQUIRE_CUDA": "cuda>=9"}, Attached()),
        ({"Runtime": "runc"}, {"CUDA_VERSION": "9.0"}, Attached()),
    ],
)
def test_what_a_container_was_made_with(
    host_config: dict[str, Any], env: dict[str, str], expected: Attached
) -> None:
    assert gpus.parse(host_config, env) == expected


@pytest.mark.parametrize(
    ("request_", "plain"),
    [
        ({"Driver": "cdi", "Count": 0, "DeviceIDs": ["a=1"], "Capabilities": None, "Options": {}}, True),
        (
            {"Driver": "nvidia", "Count": 0, "DeviceIDs": [ONE], "Capabilities": [["gpu"]], "Options": {}},
            True,
        ),
        ({"Driver": "", "DeviceIDs": ["0"], "Capabilities": [["gpu"]]}, True),
        ({"Driver": "nvidia", "DeviceIDs": [ONE], "Capabilities": [["gpu", "graphics"]]}, False),
        ({"Driver": "nvidia", "DeviceIDs": [ONE], "Capabilities": [["gpu"]], "Options": {"a": "b"}}, False),
        ({"Driver": "", "Count": 2, "Capabilities": [["gpu"]]}, False),
        ({"Driver": "fpga", "DeviceIDs": ["0"]}, False),
    ],
)
def test_only_requests_that_are_not_ours_are_named_among_the_rest(
    request_: dict[str, Any], plain: bool
) -> None:
    assert (parsing.parse_other({"DeviceRequests": [request_]}) == ()) is plain


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({}, None),
        ({"CDISpecDirs": None}, None),
        ({"CDISpecDirs": []}, None),
        ({"CDISpecDirs": ["/etc/cdi"]}, frozenset()),
        (
            {
                "CDISpecDirs": ["/etc/cdi"],
                "DiscoveredDevices": [
                    {"Source": "cdi", "ID": "nvidia.com/gpu=0"},
                    {"Source": "other", "ID": "x"},
                ],
            },
            frozenset({"nvidia.com/gpu=0"}),
        ),
    ],
)
def test_whether_the_engine_attaches_by_cdi(info: dict[str, Any], expected: frozenset[str] | None) -> None:
    assert gpus.parse_cdi(info) == expected


HOOK_FAILED = (
    "OCI runtime create failed: runc create failed: unable to start container process: error during "
    "container init: error running hook #0: error running hook: exit status 1, stdout: , stderr: "
    "Auto-detected mode as 'legacy'\nnvidia-container-cli: initialization error: nvml error: driver/library "
    "version mismatch: unknown"
)


@pytest.mark.parametrize(
    "text",
    [
        'could not select device driver "nvidia" with capabilities: [[gpu]]',
        'could not select device driver "cdi" with capabilities: []',
        f"CDI device injection failed: unresolvable CDI devices nvidia.com/gpu={ONE}",
        "failed to discover GPU vendor from CDI: no known GPU vendor found",
        "OCI runtime create failed: fork/exec /usr/bin/nvidia-cdi-hook: no such file or directory",
        HOOK_FAILED,
    ],
)
@pytest.mark.parametrize("status", [400, 500])
def test_an_engine_that_cannot_attach_is_told_from_one_that_refuses_the_program(
    text: str, status: int
) -> None:
    error = refusals.translate(transport.Answer(status, {"message": text}))
    assert (error.reason, error.message) == (Reason.GPU_NOT_ATTACHED, text)


class World:
    """A simulated Engine with an observer on it, and GPUs that matter or not."""

    def __init__(self) -> None:
        self.clock = sim_engine.ManualClock(START)
        self.engine = sim_engine.SimEngine(self.clock)
        self.engine.add_image("lab/image:1")
        self.client = calls.EngineClient(self.engine, timedelta(seconds=60))
        self.engine.runtimes.add("nvidia")
        self.matters = True
        self.observer = observer.Observer(
            self.client,
            timedelta(minutes=5),
            timedelta(seconds=15),
            self.engine.read_limits,
            self.engine.listening,
            gpus=lambda: self.matters,
        )

    def add(self, name: str, env: str = "", *, ours: bool = False, **host: Any) -> str:  # noqa: ANN401 - JSON
        body = {
            "Image": "lab/image:1",
            "HostConfig": host,
            "Env": [f"{VISIBLE_DEVICES}={env}"] if env else [],
        }
        if ours:
            body["Labels"] = {labels.WORKSPACE: name}
        return self.client.create_container(name, body)

    def look(self, after: timedelta = timedelta(seconds=15)) -> observed.EngineView:
        self.engine.calls.clear()
        seen = self.observer.observe(frozenset(), self.clock.advance(after))
        assert isinstance(seen, observed.Seen), seen
        return seen.value

    @property
    def inspected(self) -> int:
        return self.engine.calls.count("inspect_container")


def test_those_who_may_use_a_gpu_are_seen_and_asked_about_once() -> None:
    world = World()
    world.add("nobody", env="all")  # its runtime does not read it
    world.add("void", env="void", Runtime="nvidia")
    by_id = world.add("by-id", DeviceRequests=[{"Driver": "nvidia", "DeviceIDs": [ONE]}])
    node = world.add("node", Devices=[{"PathOnHost": "/dev/nvidia1"}])
    by_env = world.add("by-env", env="all", Runtime="nvidia")
    expected = {
        by_id: Bystander(by_id, "by-id", False, Attached((ONE,))),
        node: Bystander(node, "node", False, Attached(nodes=("/dev/nvidia1",))),
        by_env: Bystander(by_env, "by-env", False, Attached(visible="all"), honours=True),
    }
    assert world.look().bystanders == expected
    assert world.inspected == 5
    world.client.start(node)
    world.client.rename(node, "renamed")
    expected[node] = Bystander(node, "renamed", True, Attached(nodes=("/dev/nvidia1",)))
    assert world.look().bystanders == expected
    assert world.inspected == 0
    world.client.remove(by_env)
    del expected[by_env]
    assert world.look().bystanders == expected


def test_by_default_nvidia_s_runtime_gives_an_image_what_it_asks_for() -> None:
    world = World()
    asked = world.add("asked", env=ONE)
    row = world.client.inspect_container(asked)
    assert row is not None
    row["HostConfig"]["Runtime"] = ""
    assert gpus.reads_the_variable(row["HostConfig"], "nvidia-container-runtime")
    assert not gpus.reads_the_variable(row["HostConfig"], "runc")
    assert not gpus.reads_the_variable({"Runtime": "runc"}, "nvidia")


def test_a_request_for_no_device_leaves_it_to_the_image_and_its_word_to_the_hook() -> None:
    """As `docker run --gpus 0` on an Engine up to 28: the hook is called, and told of no devices."""
    none = {"Driver": "", "Count": 0, "DeviceIDs": None, "Capabilities": [["gpu"]]}
    assert gpus.reads_the_variable({"Runtime": "runc", "DeviceRequests": [none]}, "runc")
    for other in ({"Count": 1}, {"DeviceIDs": ["0"]}, {"Driver": "cdi"}, {"Driver": "fpga"}):
        assert not gpus.reads_the_variable({"Runtime": "runc", "DeviceRequests": [none | other]}, "runc")
    world = World()
    taken = world.add("zero", env="all", DeviceRequests=[none])
    assert world.look().bystanders == {taken: Bystander(taken, "zero", False, Attached(visible="all"), True)}


def test_where_there_are_no_gpus_others_cost_nothing() -> None:
    world = World()
    world.matters = False
    world.add("by-id", DeviceRequests=[{"Driver": "nvidia", "DeviceIDs": [ONE]}])
    assert world.look().bystanders is bystanders.NOT_ASKED
    assert world.inspected == 0
    world.matters = True
    assert len(world.look().bystanders) == 1  # type: ignore[arg-type]  # it is a mapping, or this fails


def test_of_the_rows_of_others_little_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand of them, as a host that builds software may have, take 54 MiB if whole, and 4 MiB so."""
    world = World()
    world.add("other")
    world.add("workspace-alice", ours=True)
    kept: list[transport.Row] = []
    look = bystanders.Bystanders.look

    def watched(self: bystanders.Bystanders, rows: list[transport.Row], *rest: Any) -> Any:  # noqa: ANN401 - as it is
        kept.extend(rows)
        return look(self, rows, *rest)

    monkeypatch.setattr(bystanders.Bystanders, "look", watched)
    world.look()
    assert [set(row) for row in kept] == [set(bystanders.FIELDS)]
    assert kept[0]["Names"] == ["/other"]


def test_one_who_does_not_answer_may_use_any_gpu_and_is_asked_again_after_a_minute() -> None:
    world = World()
    silent = world.add("silent")
    world.client.start(silent)
    world.engine.faults.append(
        Fault("inspect_container", answer=transport.Answer(500, {"message": "locked"}))
    )
    begin = START + timedelta(seconds=15)
    for _ in range(3):
        seen = world.look().bystanders
        assert isinstance(seen, observed.Unseen)
        assert (seen.since, seen.reason) == (begin, Reason.NOT_SEEN)
        assert "silent" in seen.message
    assert world.inspected == 0
    assert world.look(bystanders.SILENCE).bystanders == {}
    assert world.inspected == 1


def test_one_at_rest_that_does_not_answer_keeps_nobody_waiting_until_it_runs() -> None:
    """A container that cannot be inspected any more may be there for years."""
    world = World()
    broken = world.add("broken")
    refusal = transport.Answer(500, {"message": "no such layer"})
    world.engine.faults.append(Fault("inspect_container", answer=refusal))
    assert world.look().bystanders == {}
    assert world.inspected == 1
    world.client.start(broken)
    world.engine.faults.append(Fault("inspect_container", answer=refusal))
    assert isinstance(world.look(bystanders.SILENCE).bystanders, observed.Unseen)


def test_those_who_run_are_asked_about_first_and_of_those_at_rest_a_few_in_each_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bystanders, "RESTING_A_PASS", 2)
    world = World()
    for number in range(5):
        world.add(f"resting-{number}")
    running = [
        world.add(f"running-{number}", Devices=[{"PathOnHost": "/dev/nvidia1"}]) for number in range(3)
    ]
    for container in running:
        world.client.start(container)
    assert world.look().bystanders.keys() == set(running)  # type: ignore[union-attr]  # or this fails
    assert world.inspected == 3 + 2
    world.look()
    assert world.inspected == 2
    world.look()
    assert world.inspected == 1


def test_a_clock_that_is_set_back_makes_nobody_wait_for_it() -> None:
    world = World()
    world.client.start(world.add("silent"))
    rows = list(world.client.list_containers())
    looking = bystanders.Bystanders(world.client, lambda: True)
    world.engine.faults.append(
        Fault("inspect_container", answer=transport.Answer(500, {"message": "locked"}))
    )
    assert isinstance(looking.look(rows, "runc", time.monotonic() + 60, START), observed.Unseen)
    assert looking.look(rows, "runc", time.monotonic() + 60, START - timedelta(hours=1)) == {}


def test_those_for_whom_no_time_was_left_are_asked_about_in_the_next_pass() -> None:
    world = World()
    world.client.start(world.add("late"))
    rows = list(world.client.list_containers())
    looking = bystanders.Bystanders(world.client, lambda: True)
    assert isinstance(looking.look(rows, "runc", time.monotonic() - 1, START), observed.Unseen)
    assert looking.look(rows, "runc", time.monotonic() + 60, START) == {}


def test_after_a_lost_connection_everybody_is_asked_about_anew() -> None:
    world = World()
    world.add("known")
    world.look()
    world.observer.forget()
    world.look()
    assert world.inspected == 1
