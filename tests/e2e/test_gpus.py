"""GPUs of one host from the driver's library to the container, on both of the Engine's ways to give them.

The library is simulated and so are the nodes; what reads the one and opens the others is as it always is.
"""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from controller.api import labels
from controller.model.gpus import VISIBLE_DEVICES
from tests.support import gpus, process
from tests.support.fleet import Fleet, limits_of
from tests.support.nvml import library
from tests.support.nvml import scenario as nvml

SOON = 15.0
"""Seconds within which foreign use and lost access are to be found."""
GIVES_ALL = "gives-all:1"
ONE: process.Tree = {"gpu": {"mode": "Exclusive"}}
ONE_ENGINE = pytest.mark.parametrize("lab", ["dockerd_hook"], indirect=True)
"""Of what the Engine has no part in."""
POLICY: dict[str, Any] = {
    "dockerInDockerRuntime": "nvidia",
    "classes": {
        **process.POLICY["classes"],
        "leaky": {"image": "leaky", "security": {"runAs": "Image", "profile": "DockerInDocker"}},
    },
}


@dataclass(frozen=True)
class Lab(Fleet):
    """A host with three GPUs, the last of them divided in two.

    Attributes:
        cdi: devices are given by their CDI names, else by NVIDIA's hook.
    """

    engine: gpus.GpuDockerd
    driver: library.SimulatedNvml
    cdi: bool

    def tell(self, **changes: Any) -> None:  # noqa: ANN401 - fields of a scenario
        """What the driver says from now on, beside its devices."""
        self.driver.write(replace(devices(self.engine.gpus), **changes))

    def nodes(self, name: str) -> list[str]:
        """Names of the GPUs' nodes that a workspace has."""
        return sorted(path.name for path in (self.root(name) / "dev").glob("nvidia*"))

    def environment(self, name: str) -> list[str]:
        """Of a workspace's main process."""
        pid = self.container(name)["State"]["Pid"]
        return Path(f"/proc/{pid}/environ").read_text().split("\0")


def devices(there: tuple[gpus.Gpu, ...]) -> nvml.Scenario:
    return nvml.Scenario(
        gpus=tuple(
            nvml.Gpu(one.uuid, minor=one.minor, bus=f"0000:0{one.minor}:00.0", mig=1 if one.instances else 0)
            for one in there
        ),
        migs=tuple(
            nvml.Mig(uuid, one.uuid, "3g.40gb", gi=number)
            for one in there
            for number, uuid in enumerate(one.instances, 1)
        ),
    )


@pytest.fixture(scope="module", params=["dockerd_hook", "dockerd_cdi"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    engine: gpus.GpuDockerd = request.getfixturevalue(request.param)
    client: Any = engine.client()
    made = client.create_container("wharf-sample:1")
    client.commit(made["Id"], *GIVES_ALL.split(":"), changes=[f"ENV {VISIBLE_DEVICES}=all"])
    client.remove_container(made["Id"])
    driver = library.simulated(tmp_path_factory.mktemp("driver"), devices(engine.gpus))
    site = process.Site(tmp_path_factory.mktemp("site"), engine.base_url, engine.free_subnet())
    site.configure(gpus={"source": "Nvml"})
    site.policy(**POLICY)
    site.catalog(leaky={"reference": GIVES_ALL})
    try:
        yield Lab(
            site, site.run(**driver.environment).ready(), engine, driver, request.param == "dockerd_cdi"
        )
    finally:
        site.close()
        engine.remove_everything()
        engine.close_clients()


def test_an_image_that_says_all_sees_no_device_without_a_gpu_in_its_spec(lab: Lab) -> None:
    """Not even under NVIDIA's runtime, which gives what the environment says, asked or not."""
    lab.up("leaky", {"class": "leaky"})
    container = lab.container("leaky")
    assert container["HostConfig"]["Runtime"] == "nvidia"
    assert f"{VISIBLE_DEVICES}=void" in lab.environment("leaky")
    assert lab.nodes("leaky") == []


def granted(lab: Lab, name: str) -> gpus.Gpu:
    """The whole GPU that a workspace was granted, as its label says."""
    uuid = lab.container(name)["Config"]["Labels"][labels.GPUS]
    return next(one for one in lab.engine.gpus if one.uuid == uuid)


def test_a_workspace_gets_the_node_of_its_gpu_and_no_other(lab: Lab) -> None:
    lab.up("alice", ONE)
    mine = granted(lab, "alice")
    (request,) = lab.container("alice")["HostConfig"]["DeviceRequests"]
    expected = ("cdi", f"{gpus.KIND}={mine.uuid}") if lab.cdi else ("nvidia", mine.uuid)
    assert (request["Driver"], *request["DeviceIDs"]) == expected
    assert lab.nodes("alice") == [f"nvidia{mine.minor}"]


@ONE_ENGINE
def test_access_that_is_lost_is_told_soon_and_disturbs_nobody(lab: Lab) -> None:
    before = lab.up("bob", ONE)
    pid, mine = before["State"]["Pid"], granted(lab, "bob")
    gpus.take_access(pid, mine)
    decision = lab.controller.decided("bob", "GpuAccessLost", SOON)
    assert f"{mine.path} cannot be opened" in decision["message"]
    assert lab.container("bob")["State"]["Pid"] == pid


def foreign_use(lab: Lab, uuid: str) -> list[dict[str, Any]]:
    """Who uses a device without a grant, once somebody does."""

    def find() -> list[dict[str, Any]]:
        users = lab.controller.gpus()[uuid]["processes"]
        return [one for one in users if "foreign" in one]

    return lab.controller.until(find, f"somebody uses {uuid} without a grant", SOON)


def test_a_container_that_somebody_starts_with_a_workspace_s_gpu_is_told_and_who_has_it_runs_on(
    lab: Lab,
) -> None:
    before = lab.up("alice", ONE)
    mine = granted(lab, "alice")
    request = before["HostConfig"]["DeviceRequests"][0]
    config = lab.docker.create_host_config(device_requests=[request], init=True)
    made = lab.docker.create_container("wharf-sample:1", name="by-hand", host_config=config)
    lab.docker.start(made["Id"])
    (user,) = foreign_use(lab, mine.uuid)
    assert (user["foreign"], user["who"]) == ("unmanaged_container", 'container "by-hand" (not ours)')
    assert lab.container("alice")["State"]["Pid"] == before["State"]["Pid"]
    lab.docker.remove_container(made["Id"], force=True)


@ONE_ENGINE
def test_a_plain_process_of_the_host_is_told_with_its_user(lab: Lab) -> None:
    instance = lab.engine.gpus[2].instances[0]
    with subprocess.Popen(["sleep", "600"]) as plain:
        lab.tell(processes=(nvml.Process(instance, plain.pid, memory=64 << 20),))
        (user,) = foreign_use(lab, instance)
        listed = lab.site.wharf("get", "gpus", "--foreign")
        plain.kill()
    expected = {"foreign": "host", "pid": plain.pid, "command": "sleep", "user": "root", "memory": 64 << 20}
    assert user == expected
    assert listed.code == 0, listed
    (row,) = [line for line in listed.out.splitlines() if str(plain.pid) in line]
    assert "root" in row
    assert "SIMULATED" in row
    lab.tell()


@ONE_ENGINE
def test_limits_follow_the_spec_while_the_hook_s_gpu_stays(lab: Lab) -> None:
    """An update by the Engine would take the GPU away: they are written into the container's own cgroup."""
    before = lab.up("alice", ONE)
    pid, mine = before["State"]["Pid"], granted(lab, "alice")
    lab.site.spec("alice", {**ONE, "resources": {"cpus": "0.25", "memory": "48m", "pids": 32}})
    right = {"memory": 48 << 20, "cpu": 250, "pids": 32}
    lab.controller.until(lambda: limits_of(pid) == right, "the kernel has what the spec says")
    after = lab.container("alice")
    assert (after["State"]["Pid"], after["HostConfig"]["PidsLimit"]) == (pid, 64)
    assert gpus.has_access(pid, mine)
