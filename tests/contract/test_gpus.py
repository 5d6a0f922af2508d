"""How an Engine gives devices, by NVIDIA's hook and by CDI: what it keeps and refuses, and who can open what.

The GPUs are not real, and the hook and the runtime are stand-ins; the Engines, runc and the cgroups are real.
"""

from typing import Any

import pytest

from controller.model.gpus import VISIBLE_DEVICES
from tests.contract import gpu_backends
from tests.contract.backends import Backend, row
from tests.contract.gpu_backends import GpuBackend

MIB = 2**20
LEAKY: dict[str, Any] = {"Image": gpu_backends.GIVES_ALL, "HostConfig": {"Runtime": "nvidia"}}
UNKNOWN = "GPU-0a11e7e5-0000-4000-8000-00000000000f"


@row("GPU-given")
def test_a_container_opens_the_devices_that_it_asked_for_and_no_others(by_any: GpuBackend) -> None:
    box = by_any.run_with(by_any.request(by_any.gpus[1].uuid))
    assert by_any.opened(box) == [1]
    assert by_any.opened(by_any.run("without")) == []


@row("GPU-given")
def test_an_instance_opens_the_node_of_its_gpu(by_any: GpuBackend) -> None:
    first, _, divided = by_any.gpus
    box = by_any.run_with(by_any.request(divided.instances[1], first.uuid))
    assert by_any.opened(box) == [0, 2]


@row("GPU-given")
def test_inspect_repeats_a_request_with_all_its_fields(by_any: GpuBackend) -> None:
    asked = by_any.request(by_any.gpus[0].uuid)
    box = by_any.create_with(asked)
    whole = {"Count": 0, "Capabilities": None, "Options": None, **asked}
    assert by_any.inspect(box)["HostConfig"]["DeviceRequests"] == [whole]


@row("GPU-given")
def test_no_request_and_an_empty_list_of_them_stay_what_they_were(by_any: GpuBackend) -> None:
    empty = by_any.create_with()
    assert by_any.inspect(empty)["HostConfig"]["DeviceRequests"] == []
    assert by_any.inspect(by_any.create("without"))["HostConfig"]["DeviceRequests"] is None


@row("GPU-info")
def test_an_engine_with_cdi_says_where_its_descriptions_lie(by_cdi: GpuBackend) -> None:
    assert by_cdi.client.info()["CDISpecDirs"]


@row("GPU-info")
def test_an_engine_without_cdi_says_nothing_of_it_and_nothing_of_drivers(by_hook: GpuBackend) -> None:
    told = by_hook.client.info()
    assert "CDISpecDirs" not in told
    assert "nvidia" in told["Runtimes"]
    assert not any("Driver" in key and "nvidia" in str(value) for key, value in told.items())


@row("GPU-refused")
def test_a_device_that_is_not_there_is_refused_by_the_start_and_not_before(by_any: GpuBackend) -> None:
    box = by_any.create_with(by_any.request(UNKNOWN))
    said = by_any.refused(box)
    if by_any.cdi:
        assert said == f"CDI device injection failed: unresolvable CDI devices nvidia.com/gpu={UNKNOWN}"
    else:
        assert said.startswith("failed to create shim task: OCI runtime create failed: ")
        assert said.endswith(f"nvidia-container-cli: device error: {UNKNOWN}: unknown device: unknown")
    state = by_any.inspect(box)["State"]
    assert (state["Status"], state["ExitCode"]) == ("created", 128)


@row("GPU-refused")
def test_of_a_start_that_is_refused_for_a_device_no_event_is_told(by_any: GpuBackend) -> None:
    begin = by_any.facts().time
    box = by_any.create_with(by_any.request(UNKNOWN))
    by_any.refused(box)
    by_any.client.remove(box)
    told = [event["Action"] for event in by_any.events(begin) if event["Actor"]["ID"] == box]
    assert told == ["create", "destroy"]


@row("GPU-refused")
def test_a_device_that_is_back_is_given(by_any: GpuBackend) -> None:
    gone, *left = by_any.gpus
    by_any.gpu_world.set_gpus(left)
    box = by_any.create_with(by_any.request(gone.uuid))
    assert gone.uuid in by_any.refused(box)
    by_any.gpu_world.set_gpus(by_any.gpus)
    by_any.client.start(box)
    assert by_any.opened(box) == [0]


@row("GPU-refused")
def test_who_has_a_device_that_is_gone_keeps_it_until_its_next_start(by_any: GpuBackend) -> None:
    gone, *left = by_any.gpus
    box = by_any.run_with(by_any.request(gone.uuid), HostConfig={"Init": False})
    by_any.gpu_world.set_gpus(left)
    assert by_any.opened(box) == [0]
    answer = by_any.call("POST", f"/containers/{box}/restart", t="0")
    assert answer.status == 500
    assert answer.message.startswith(f"Cannot restart container {box}: ")
    state = by_any.inspect(box)["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 137)
    assert gone.uuid in state["Error"]


@row("GPU-refused")
@pytest.mark.parametrize("backend", ["sim", "dockerd"], indirect=True)
@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ({"Driver": "nvidia", "Capabilities": [["gpu"]]}, '"nvidia" with capabilities: [[gpu]]'),
        ({"Driver": "cdi"}, '"cdi" with capabilities: []'),
    ],
    ids=["nvidia", "cdi"],
)
def test_an_engine_without_the_driver_says_so_at_the_start(
    backend: Backend, asked: dict[str, object], shown: str
) -> None:
    box = backend.create("box", HostConfig={"DeviceRequests": [{"DeviceIDs": ["0"], **asked}]})
    answer = backend.call("POST", f"/containers/{box}/start")
    assert (answer.status, answer.message) == (500, f"could not select device driver {shown}")
    assert backend.status(box) == "created"


@row("GPU-refused")
def test_the_driver_wants_to_hear_that_it_is_a_gpu(by_hook: GpuBackend) -> None:
    box = by_hook.create_with({"Driver": "nvidia", "DeviceIDs": ["0"]})
    assert by_hook.refused(box) == 'could not select device driver "nvidia" with capabilities: []'


@row("GPU-refused")
def test_devices_and_a_number_of_them_are_refused_in_one_request(by_any: GpuBackend) -> None:
    box = by_any.create_with({**by_any.request(by_any.gpus[0].uuid), "Count": 1})
    said = by_any.refused(box)
    assert said == (
        "unexpected count in CDI device request"
        if by_any.cdi
        else "cannot set both Count and DeviceIDs on device request"
    )


@row("GP7")
def test_a_number_of_devices_are_the_same_ones_each_time(by_hook: GpuBackend) -> None:
    any_two = {"Driver": "nvidia", "Count": 2, "Capabilities": [["gpu"]]}
    assert by_hook.opened(by_hook.run_with(any_two)) == [0, 1]
    twice = by_hook.run("twice", HostConfig={"DeviceRequests": [any_two]})
    assert (by_hook.opened(twice), by_hook.visible(twice)) == ([0, 1], "0,1")


@row("GPU-given")
def test_of_two_requests_to_the_driver_only_the_last_counts(by_hook: GpuBackend) -> None:
    first, second, _ = by_hook.gpus
    box = by_hook.run_with(by_hook.request(first.uuid), by_hook.request(second.uuid))
    assert (by_hook.opened(box), by_hook.visible(box)) == ([1], second.uuid)


@row("GPU-given")
def test_two_requests_by_cdi_add_up(by_cdi: GpuBackend) -> None:
    first, second, _ = by_cdi.gpus
    box = by_cdi.run_with(by_cdi.request(first.uuid), by_cdi.request(second.uuid))
    assert by_cdi.opened(box) == [0, 1]


@row("GP8")
@pytest.mark.parametrize("given", ["void", "all"])
def test_a_request_overwrites_what_the_environment_says_of_devices(by_any: GpuBackend, given: str) -> None:
    """The process sees another value than inspect: for CDI that of the description."""
    uuid = by_any.gpus[0].uuid
    box = by_any.run_with(by_any.request(uuid), Env=[f"{VISIBLE_DEVICES}={given}"])
    assert f"{VISIBLE_DEVICES}={given}" in by_any.inspect(box)["Config"]["Env"]
    assert by_any.visible(box) == ("void" if by_any.cdi else uuid)
    assert by_any.opened(box) == [0]


@row("GP8")
def test_an_image_that_says_all_gets_all_under_nvidia_s_runtime_unasked(
    by_any: GpuBackend,
) -> None:
    by_any.gpu_world.load_image_that_gives_all()
    assert by_any.opened(by_any.run_with(**LEAKY)) == [0, 1, 2]
    assert by_any.opened(by_any.run("plain", Image=gpu_backends.GIVES_ALL)) == []


@row("GP8")
def test_void_in_the_container_s_environment_keeps_all_from_an_image_that_says_all(
    by_any: GpuBackend,
) -> None:
    by_any.gpu_world.load_image_that_gives_all()
    box = by_any.run_with(Env=[f"{VISIBLE_DEVICES}=void"], **LEAKY)
    assert (by_any.opened(box), by_any.visible(box)) == ([], "void")


@row("GP8")
def test_under_nvidia_s_runtime_a_request_is_all_that_counts(by_any: GpuBackend) -> None:
    by_any.gpu_world.load_image_that_gives_all()
    box = by_any.run_with(by_any.request(by_any.gpus[1].uuid), **LEAKY)
    assert by_any.opened(box) == [1]


@row("AP21")
def test_an_update_takes_no_device_away(by_any: GpuBackend) -> None:
    """Older versions of runc wrote all rules anew, and did not know of the hook's."""
    box = by_any.run_with(by_any.request(by_any.gpus[0].uuid), HostConfig={"Memory": 64 * MIB})
    by_any.client.update(box, {"Memory": 32 * MIB, "MemorySwap": 64 * MIB, "NanoCpus": 10**9})
    assert by_any.world.read_limits(by_any.pid(box)).memory == 32 * MIB
    assert by_any.opened(box) == [0]


@row("GP1")
def test_access_that_was_taken_comes_back_with_a_restart_and_not_with_an_update(by_any: GpuBackend) -> None:
    """Whether the Engine gave the rule or NVIDIA's hook did; inspect shows nothing of it."""
    first, second, _ = by_any.gpus
    box = by_any.run_with(by_any.request(first.uuid, second.uuid), HostConfig={"Init": False})
    before = by_any.inspect(box)
    by_any.gpu_world.take_access(by_any.pid(box), first)
    assert by_any.opened(box) == [1]
    assert by_any.inspect(box) == before
    by_any.client.update(box, {"NanoCpus": 10**9})
    assert by_any.opened(box) == [1]
    assert by_any.call("POST", f"/containers/{box}/restart", t="0").status == 204
    assert by_any.opened(box) == [0, 1]
