"""What passes write down and tell of GPUs: grants, fences, use without a grant."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from controller.api.conditions import ConditionType, Reason
from controller.model.gpus import Ailment, Device, GpuView, Process, Trouble
from controller.model.gpustatus import DeviceState, DeviceStatus
from controller.model.observed import Seen
from controller.model.status import PassReport
from controller.planning import oversight
from tests.support.lab import Site

GPU = Device("GPU-1", "SIMULATED A100", 80 << 30, "0", minor=0)
OTHER = replace(GPU, uuid="GPU-2", index="1", minor=1)
WANTS_ONE = "  class: small\n  gpu: {mode: Exclusive}\n"


def with_gpus(root: Path, **seen: object) -> Site:
    site = Site(root)
    see(site, **seen)
    return site


def see(site: Site, **seen: object) -> None:
    view = GpuView(devices={GPU.uuid: GPU, OTHER.uuid: OTHER}, driver="550", simulated=True)
    site.gpus.seen = Seen(replace(view, **seen), site.clock())  # type: ignore[arg-type] # fields by name


def device(report: PassReport, uuid: str = "GPU-1") -> DeviceStatus:
    return next(one for one in report.gpus.devices if one.device.uuid == uuid)


def test_a_grant_is_told_with_its_device(tmp_path: Path) -> None:
    site = with_gpus(tmp_path)
    site.write("alice", WANTS_ONE)
    site.settle()
    report = site.process.step()
    status = report.statuses["alice"]
    assert status.conditions[ConditionType.GPUS_ALLOCATED].reason is Reason.GPUS_GRANTED
    assert status.gpus is not None
    assert (status.gpus.uuids, status.gpus.devices) == (("GPU-1",), (GPU,))
    assert (device(report).state, device(report).workspaces) == (DeviceState.HELD, ("alice",))
    assert device(report, "GPU-2").state is DeviceState.FREE


def test_who_waits_is_told_and_remembered(tmp_path: Path) -> None:
    site = with_gpus(tmp_path)
    for name in ("alice", "bob", "carol"):
        site.write(name, WANTS_ONE)
    site.settle()
    site.crash()
    report = site.process.step()
    (waiter,) = report.gpus.waiting
    status = report.statuses[waiter.workspace]
    assert status.conditions[ConditionType.GPUS_ALLOCATED].reason is Reason.GPU_QUEUED
    assert status.gpus is not None
    assert status.gpus.waiting_since == waiter.since
    assert waiter.message == status.decision.message
    assert set(site.process.ledger.recall(b"", site.clock()).gpu_waits) == {waiter.workspace}


def test_a_fence_is_written_by_the_pass_that_sees_the_fault_and_ends_after_a_clean_time(
    tmp_path: Path,
) -> None:
    site = with_gpus(tmp_path)
    see(site, troubles=(Trouble("GPU-1", Ailment.XID, "XID 79", site.clock(), 79, lasts=False),))
    assert device(site.process.step()).state is DeviceState.FENCED
    site.crash()
    see(site)
    site.write("alice", WANTS_ONE)
    site.clock.advance(timedelta(minutes=5))
    site.settle(timedelta(minutes=1))
    report = site.process.step()
    assert device(report).state is DeviceState.FENCED
    assert device(report, "GPU-2").workspaces == ("alice",)
    site.clock.advance(timedelta(minutes=6))
    assert device(site.process.step()).state is DeviceState.FREE
    assert not site.process.ledger.recall(b"", site.clock()).fences


def test_use_without_a_grant_is_a_finding_and_keeps_the_device_from_being_given(tmp_path: Path) -> None:
    site = with_gpus(tmp_path, processes=(Process("GPU-1", 4711, user="zoe", command="python"),))
    site.write("alice", WANTS_ONE)
    site.settle()
    report = site.process.step()
    assert [one.subject for one in oversight.findings(report.gpus)] == ["processes of zoe"]
    assert Reason.GPU_FOREIGN_USE in {finding.reason for finding in report.findings}
    assert device(report).state is DeviceState.FOREIGN
    assert device(report, "GPU-2").workspaces == ("alice",)
