"""The guest is what its set-up says, and its kernel holds what a slice may use."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from deploy.dev import host, image
from deploy.dev.guest import Setup

pytestmark = pytest.mark.systemd

HIERARCHY = Path("/sys/fs/cgroup")
BURN = ["sh", "-c", "while :; do :; done"]
CONTROLLERS = {"blkio", "cpu", "cpuset", "io", "memory", "pids"}
SHARE = 0.25
"""Of one processor, for the slice."""
USED = 0.5
"""Seconds of processor time after which a share is computed."""
DEADLINE = 60.0
SYSTEMD = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")


def controller_folder(setup: Setup, controller: str) -> Path:
    """Where the tree of a controller begins."""
    return HIERARCHY if setup.version == 2 else HIERARCHY / controller


def make_slice(setup: Setup, name: str, share: float | None) -> Path:
    """A slice with a share of a processor, or without a limit: where it is in the tree of `cpu`."""
    if setup.driver == "systemd":
        limit = [] if share is None else ["CPUQuotaPerSecUSec", "t", str(int(share * 1e6))]
        properties = [str(len(limit) // 3), *limit, "0"]
        call = ("StartTransientUnit", "ssa(sv)a(sa(sv))", f"{name}.slice", "fail", *properties)
        subprocess.run(["busctl", "call", *SYSTEMD, *call], check=True, timeout=DEADLINE)
        return controller_folder(setup, "cpu") / f"{name}.slice"
    place = controller_folder(setup, "cpu") / name
    place.mkdir()
    period = 100_000
    quota = "-1" if share is None else str(int(share * period))
    if setup.version == 2:
        (HIERARCHY / "cgroup.subtree_control").write_text("+cpu +io +memory +pids")
        (place / "cpu.max").write_text(f"{'max' if share is None else quota} {period}")
    else:
        (place / "cpu.cfs_quota_us").write_text(quota)
    return place


def processor_time(setup: Setup, place: Path) -> float:
    """Seconds that the processes of a slice have used."""
    if setup.version == 1:
        return int((place / "cpuacct.usage").read_text()) / 1e9
    return int((place / "cpu.stat").read_text().split()[1]) / 1e6


def share_used(used: Callable[[], float]) -> float:
    """Of a processor, while `USED` seconds of its time went by."""
    before, begun = used(), time.monotonic()
    assert host.wait_until(lambda: used() >= before + USED, DEADLINE)
    return (used() - before) / (time.monotonic() - begun)


def burn(engine: docker.APIClient, parent: str) -> None:
    created = engine.create_container(
        image.name_of("1"), BURN, host_config=engine.create_host_config(cgroup_parent=parent, init=True)
    )
    engine.start(created["Id"])


def test_the_guest_is_what_its_set_up_says(setup: Setup, engine: docker.APIClient) -> None:
    info = engine.info()
    assert (info["CgroupVersion"], info["CgroupDriver"]) == (str(setup.version), setup.driver)
    kind = "cgroup2fs" if setup.version == 2 else "tmpfs"
    assert subprocess.check_output(["stat", "-fc", "%T", HIERARCHY], text=True).strip() == kind
    listed = (HIERARCHY / "cgroup.controllers").read_text() if setup.version == 2 else ""
    there = {
        one for one in CONTROLLERS if one in listed.split() or (HIERARCHY / one / "cgroup.procs").exists()
    }
    missing = ({"cpuset"} if setup.vm == "uml" else set()) | ({"io"} if setup.version == 1 else {"blkio"})
    assert there == CONTROLLERS - missing
    assert (os.cpu_count(), Path("/proc/pressure").exists()) == (
        (2, True) if setup.vm == "qemu" else (1, False)
    )
    assert Path("/proc/1/comm").read_text() == "systemd\n"


@pytest.mark.parametrize("share", [SHARE, None])
def test_a_container_is_held_to_the_share_of_its_slice(
    setup: Setup, engine: docker.APIClient, share: float | None
) -> None:
    name = "righeld" if share else "rigfree"
    place = make_slice(setup, name, share)
    burn(engine, f"{name}.slice" if setup.driver == "systemd" else f"/{name}")
    seen = share_used(lambda: processor_time(setup, place))
    assert (seen <= 1.2 * SHARE) == (share is not None), seen
