"""How an Engine takes limits: what it refuses, what it ignores, and where a change can be seen."""

from datetime import timedelta
from typing import Any

import pytest

from controller.api.conditions import Reason
from controller.model import errors
from tests.contract.backends import Backend, row

MIB = 2**20


def update(backend: Backend, box: str, **body: Any) -> tuple[int, str]:  # noqa: ANN401 - JSON
    answer = backend.call("POST", f"/containers/{box}/update", body)
    return answer.status, answer.message if answer.status != 200 else ""


def host_config(backend: Backend, box: str) -> dict[str, Any]:
    return dict(backend.inspect(box)["HostConfig"])


@row("RIG-update")
def test_minus_one_is_no_memory_limit_for_an_update(backend: Backend) -> None:
    box = backend.run("box")
    assert update(backend, box, Memory=-1) == (400, "Minimum memory limit allowed is 6MB")


@row("RIG-update")
@pytest.mark.parametrize(
    "zero", [{"Memory": 0}, {"NanoCpus": 0}, {"CpusetCpus": ""}, {"MemoryReservation": 0}]
)
def test_zero_is_a_success_without_a_change(backend: Backend, zero: dict[str, Any]) -> None:
    limits = {
        "Memory": 256 * MIB,
        "MemorySwap": 256 * MIB,
        "MemoryReservation": 64 * MIB,
        "NanoCpus": 500_000_000,
        "CpusetCpus": "0",
    }
    box = backend.run("box", HostConfig=limits)
    kernel = backend.world.read_limits(backend.pid(box))
    assert update(backend, box, **zero) == (200, "")
    assert host_config(backend, box).items() >= limits.items()
    assert backend.world.read_limits(backend.pid(box)) == kernel


@row("RIG-update")
def test_memory_above_the_swap_limit_needs_both(backend: Backend) -> None:
    box = backend.run("box", HostConfig={"Memory": 256 * MIB, "MemorySwap": 256 * MIB})
    status, message = update(backend, box, Memory=512 * MIB)
    assert status == 409
    assert "Memory limit should be smaller than already set memoryswap limit" in message
    assert update(backend, box, Memory=512 * MIB, MemorySwap=512 * MIB) == (200, "")
    assert backend.world.read_limits(backend.pid(box)).memory == 512 * MIB


@row("RIG-update")
def test_the_first_memory_limit_needs_swap_too(backend: Backend) -> None:
    box = backend.run("box")
    assert update(backend, box, Memory=512 * MIB)[0] == 409
    assert update(backend, box, Memory=512 * MIB, MemorySwap=1024 * MIB) == (200, "")
    kernel = backend.world.read_limits(backend.pid(box))
    assert (kernel.memory, kernel.memory_swap) == (512 * MIB, 1024 * MIB)


@row("RIG-update")
def test_more_memory_with_unlimited_swap_fails_in_the_runtime(backend: Backend) -> None:
    box = backend.run("box", HostConfig={"Memory": 256 * MIB, "MemorySwap": 256 * MIB})
    status, message = update(backend, box, Memory=512 * MIB, MemorySwap=-1)
    assert (status, "failed to write" in message) == (500, True)
    assert backend.world.read_limits(backend.pid(box)).memory == 256 * MIB


@row("RIG-update")
def test_pids_can_be_unlimited_again(backend: Backend) -> None:
    box = backend.run("box", HostConfig={"PidsLimit": 50})
    assert backend.world.read_limits(backend.pid(box)).pids == 50
    assert update(backend, box, PidsLimit=0) == (200, "")
    assert backend.world.read_limits(backend.pid(box)).pids is None


@row("RIG-update")
def test_more_cpus_than_there_are_is_refused(backend: Backend) -> None:
    box = backend.run("box")
    status, message = update(backend, box, NanoCpus=1000 * 10**9)
    assert (status, message.startswith("Range of CPUs is from 0.01 to ")) == (400, True)


@row("RIG-update")
def test_a_cpu_that_is_not_there_is_refused(backend: Backend) -> None:
    box = backend.run("box")
    status, message = update(backend, box, CpusetCpus="999")
    assert (status, message.startswith("Requested CPUs are not available")) == (400, True)


@row("RIG-update")
def test_the_two_ways_of_a_cpu_quota_exclude_each_other(backend: Backend) -> None:
    nano = backend.run("nano", HostConfig={"NanoCpus": 500_000_000})
    quota = backend.run("quota", HostConfig={"CpuQuota": 50_000})
    assert update(backend, nano, CpuQuota=50_000)[0] == 409
    assert update(backend, quota, NanoCpus=500_000_000)[0] == 409
    assert backend.world.read_limits(backend.pid(quota)).nano_cpus == 500_000_000


@row("RIG-update")
def test_less_memory_and_swap_together_reach_the_kernel(backend: Backend) -> None:
    box = backend.run("box", HostConfig={"Memory": 512 * MIB, "MemorySwap": 512 * MIB})
    assert update(backend, box, Memory=128 * MIB, MemorySwap=128 * MIB) == (200, "")
    kernel = backend.world.read_limits(backend.pid(box))
    assert (kernel.memory, kernel.memory_swap) == (128 * MIB, 128 * MIB)


@row("RIG-update")
def test_swap_below_memory_is_refused(backend: Backend) -> None:
    box = backend.run("box")
    status, message = update(backend, box, Memory=256 * MIB, MemorySwap=128 * MIB)
    assert (status, "memoryswap limit should be larger than memory limit" in message) == (400, True)


@row("RIG-update")
def test_a_reservation_above_the_memory_limit_is_refused(backend: Backend) -> None:
    box = backend.run("box")
    limits = {"Memory": 256 * MIB, "MemorySwap": 256 * MIB, "MemoryReservation": 512 * MIB}
    assert update(backend, box, **limits)[0] == 400


@row("RIG-update")
def test_memory_without_swap_gets_as_much_swap_at_creation(backend: Backend) -> None:
    box = backend.create("box", HostConfig={"Memory": 128 * MIB})
    assert host_config(backend, box)["MemorySwap"] == 256 * MIB


@row("RIG-update")
def test_an_update_of_a_stopped_container_counts_at_its_start(backend: Backend) -> None:
    box = backend.create("box")
    assert update(backend, box, PidsLimit=77, CpusetCpus="0") == (200, "")
    backend.client.start(box)
    kernel = backend.world.read_limits(backend.pid(box))
    assert (kernel.pids, kernel.cpuset) == (77, "0")


@row("RIG-list")
def test_the_list_does_not_show_a_changed_limit(backend: Backend) -> None:
    box = backend.run("box")
    before = backend.listed(box)
    assert update(backend, box, PidsLimit=50, RestartPolicy={"Name": "always"}) == (200, "")
    after = backend.listed(box)
    assert before is not None
    assert after is not None
    assert {**before, "Status": ""} == {**after, "Status": ""}
    assert host_config(backend, box)["PidsLimit"] == 50
    assert host_config(backend, box)["RestartPolicy"]["Name"] == "always"


@row("RS2")
def test_a_restart_policy_is_cleared_by_an_update(backend: Backend) -> None:
    box = backend.run("box", HostConfig={"RestartPolicy": {"Name": "always"}})
    assert update(backend, box, RestartPolicy={"Name": "no", "MaximumRetryCount": 0}) == (200, "")
    assert host_config(backend, box)["RestartPolicy"]["Name"] == "no"


@row("RS2")
def test_a_stop_by_hand_is_not_undone_at_once(backend: Backend) -> None:
    box = backend.run("box", HostConfig={"RestartPolicy": {"Name": "always"}})
    backend.client.stop(box, timedelta(seconds=5))
    assert backend.status(box) == "exited"


@row("RIG-update")
def test_a_refused_update_is_an_error_of_ours(backend: Backend) -> None:
    box = backend.run("box")
    with pytest.raises(errors.Terminal) as caught:
        backend.client.update(box, {"Memory": 1000})
    assert caught.value.reason is Reason.REFUSED_BY_ENGINE
    assert caught.value.message == "Minimum memory limit allowed is 6MB"
