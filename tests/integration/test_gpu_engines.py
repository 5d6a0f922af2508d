"""The set-up's own promises of the Engines with simulated GPUs."""

from pathlib import Path
from typing import Any

import docker
import pytest

from controller.slices import limits
from deploy.dev import host, image, userland
from tests.support import gpus


def run_sample(engine: gpus.GpuDockerd, request: dict[str, Any], **more: Any) -> str:  # noqa: ANN401 - JSON
    client: Any = engine.client()
    config = client.create_host_config(device_requests=[request], init=True, **more)
    command = ["/bin/sleep", "600"]
    made = client.create_container(image.name_of("1"), command, host_config=config)
    client.start(made["Id"])
    return str(made["Id"])


def by_cdi(*uuids: str) -> dict[str, Any]:
    return {"Driver": "cdi", "DeviceIDs": [f"nvidia.com/gpu={uuid}" for uuid in uuids]}


def by_hook(*uuids: str) -> dict[str, Any]:
    return {"Driver": "nvidia", "DeviceIDs": list(uuids), "Capabilities": [["gpu"]]}


def tried(engine: gpus.GpuDockerd, container: str, script: str) -> str:
    """What a shell in the container complains of."""
    client: Any = engine.client()
    made = client.exec_create(container, ["/bin/sh", "-c", script])
    return str(client.exec_start(made["Id"]).decode())


def check_nodes(engine: gpus.GpuDockerd, container: str) -> None:
    """The container was given the second GPU and an instance of the third."""
    first, second, divided = engine.gpus
    assert tried(engine, container, f": <{second.path} && : <{divided.path}") == ""
    assert "no such file" in tried(engine, container, f": <{first.path}")
    own_node = "mknod /tmp/own c {} {} && : </tmp/own".format(*first.number)
    assert "Operation not permitted" in tried(engine, container, own_node)


def test_by_cdi_a_container_opens_the_gpus_that_it_was_given_and_no_others(
    engine_cdi: gpus.GpuDockerd,
) -> None:
    _, second, divided = engine_cdi.gpus
    check_nodes(engine_cdi, run_sample(engine_cdi, by_cdi(second.uuid, divided.instances[1])))


def test_by_the_hook_a_container_opens_the_gpus_that_it_was_given_and_no_others(
    engine_hook: gpus.GpuDockerd,
) -> None:
    _, second, divided = engine_hook.gpus
    check_nodes(engine_hook, run_sample(engine_hook, by_hook(second.uuid, divided.instances[1])))


def test_a_gpu_that_is_gone_can_be_given_to_nobody_and_is_kept_by_who_has_it(
    engine_cdi: gpus.GpuDockerd, engine_hook: gpus.GpuDockerd
) -> None:
    for engine, asked in ((engine_cdi, by_cdi), (engine_hook, by_hook)):
        gone, left = engine.gpus[:2]
        holder = run_sample(engine, asked(gone.uuid))
        engine.set_gpus([left])
        with pytest.raises(docker.errors.APIError, match=gone.uuid):
            run_sample(engine, asked(gone.uuid))
        assert tried(engine, holder, f": <{gone.path}") == ""
        run_sample(engine, asked(left.uuid))


def test_an_engine_of_the_other_userland_shows_the_host_no_mounts_and_leaves_none(
    engine_cdi: gpus.GpuDockerd, tmp_path: Path
) -> None:
    (tmp_path / "seen").touch()
    container = run_sample(engine_cdi, by_cdi(engine_cdi.gpus[0].uuid), binds=[f"{tmp_path}:/mnt"])
    assert tried(engine_cdi, container, "ls /mnt") == "seen\n"
    assert host.mounts_below(engine_cdi.directory) == []
    assert host.mounts_below(userland.PLACE) == []


def test_an_engine_of_the_other_userland_finds_its_containers_again(engine_cdi: gpus.GpuDockerd) -> None:
    """A dockerd that comes back shares the mounts of the one that died."""
    container = run_sample(engine_cdi, by_cdi(engine_cdi.gpus[0].uuid))
    client: Any = engine_cdi.client()
    before = client.inspect_container(container)["State"]
    engine_cdi.restart()
    after = client.inspect_container(container)["State"]
    assert (after["Pid"], after["StartedAt"]) == (before["Pid"], before["StartedAt"])
    assert tried(engine_cdi, container, f": <{engine_cdi.gpus[0].path}") == ""
    client.restart(container, timeout=0)
    assert tried(engine_cdi, container, f": <{engine_cdi.gpus[0].path}") == ""


def test_limits_hold_on_the_other_userland_as_on_the_hosts(
    engine_cdi: gpus.GpuDockerd, engine_hook: gpus.GpuDockerd
) -> None:
    seen = []
    for engine, asked in ((engine_cdi, by_cdi), (engine_hook, by_hook)):
        given = {"mem_limit": 64 << 20, "nano_cpus": 500_000_000, "pids_limit": 99}
        container = run_sample(engine, asked(engine.gpus[0].uuid), **given)
        client: Any = engine.client()
        seen.append(limits.read_limits(client.inspect_container(container)["State"]["Pid"]))
    assert seen[0] == seen[1]
    assert (seen[0].memory, seen[0].nano_cpus, seen[0].pids) == (64 << 20, 500_000_000, 99)
