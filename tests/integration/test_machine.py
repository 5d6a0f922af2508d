"""The machine with systemd keeps its promises: a bus, slices, an Engine in them, and no trace afterwards."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker

from deploy.dev import host, image, machine, userland
from tests.support.dockerd import BASE, ROOT
from tests.support.machines import MachineDockerd

SYSTEMD = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
DEADLINE = 20.0
BOOT_AND_WAIT = """
import signal
from deploy.dev import machine, userland
with machine.booted(userland.ensure()) as booted:
    print(booted.pid, booted.cgroup, flush=True)
    signal.pause()
"""


def until(condition: Callable[[], object]) -> None:
    assert host.wait_until(lambda: bool(condition()), DEADLINE), "the deadline is over"


def run_sample(client: docker.APIClient, slice_name: str) -> dict[str, Any]:
    limits = client.create_host_config(cgroup_parent=slice_name, init=True)
    created = client.create_container(image.name_of("1"), ["sleep", "60"], host_config=limits)
    client.start(created["Id"])
    inspected: dict[str, Any] = client.inspect_container(created["Id"])
    return inspected


def mounts_of_machines() -> list[str]:
    """What this process sees of them; others may mount what they like meanwhile."""
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if "wharfinger-machine" in line]


def test_a_process_of_the_host_can_speak_to_its_bus(systemd_machine: machine.Machine) -> None:
    with socket.socket(socket.AF_UNIX) as bus:
        bus.settimeout(DEADLINE)
        bus.connect(str(systemd_machine.bus))
        bus.sendall(b"\0AUTH EXTERNAL " + str(os.geteuid()).encode().hex().encode() + b"\r\n")
        assert bus.recv(512).startswith(b"OK ")


def test_a_transient_slice_has_its_place_and_its_properties(systemd_machine: machine.Machine) -> None:
    new = ("StartTransientUnit", "ssa(sv)a(sa(sv))", "rig-a.slice", "fail", "1", "MemoryMax", "t", "67108864")
    systemd_machine.run(["busctl", "call", *SYSTEMD, *new, "0"])
    until((systemd_machine.cgroup / "rig.slice" / "rig-a.slice").is_dir)
    show = ["systemctl", "show", "rig-a.slice", "--property=ActiveState,MemoryMax,ControlGroup"]
    assert set(systemd_machine.run(show).split()) == {
        "ActiveState=active",
        "MemoryMax=67108864",
        "ControlGroup=/rig.slice/rig-a.slice",
    }
    systemd_machine.run(["systemctl", "stop", "rig-a.slice", "rig.slice"])
    until(lambda: not (systemd_machine.cgroup / "rig.slice").exists())


def test_a_container_lands_in_the_slice_that_it_names(engine_systemd: MachineDockerd) -> None:
    client = engine_systemd.client()
    info = client.info()
    assert (info["CgroupDriver"], info["CgroupVersion"]) == ("systemd", "2")
    inspected = run_sample(client, "rig-b.slice")
    scope = Path("rig.slice", "rig-b.slice", f"docker-{inspected['Id']}.scope")
    assert (engine_systemd.machine.cgroup / scope).is_dir()
    own = engine_systemd.machine.proc / str(inspected["State"]["Pid"])
    # As this process counts cgroups; on a hybrid host there are lines of v1 too.
    line = next(one for one in (own / "cgroup").read_text().splitlines() if one.startswith("0::"))
    assert line == f"0::/{engine_systemd.machine.cgroup.name}/{scope}"


def test_its_engine_can_be_killed_and_started_again(engine_systemd: MachineDockerd) -> None:
    client = engine_systemd.client()
    before = run_sample(client, "rig-c.slice")
    engine_systemd.kill9()
    until(lambda: engine_systemd.pid() is None)
    engine_systemd.start()
    assert client.inspect_container(before["Id"])["State"] == before["State"]


def test_the_root_stays_as_it_was_and_nothing_stays_behind() -> None:
    root = userland.ensure()
    before = (root / "etc" / "machine-id").read_text()
    with machine.booted(root, shared=BASE) as booted:
        assert (booted.root / BASE.relative_to("/")).samefile(BASE)
        (booted.root / "etc" / "rig").write_text("written\n")
        assert booted.run(["cat", "/etc/rig"]) == "written\n"
        assert "wharfinger-machine / overlay" in booted.run(["cat", "/proc/mounts"])
        assert mounts_of_machines() == []
        pid, cgroup = booted.pid, booted.cgroup
    until(lambda: not Path("/proc", str(pid)).exists())
    assert not cgroup.exists()
    assert mounts_of_machines() == []
    assert not (root / "etc" / "rig").exists()
    assert (root / "etc" / "machine-id").read_text() == before


def test_a_killed_test_run_takes_its_machine_along_and_the_next_removes_the_rest() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", BOOT_AND_WAIT], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        said = re.fullmatch(r"(\d+) (\S+)\n", owner.stdout.readline())
        assert said is not None
        owner.send_signal(signal.SIGKILL)
    until(lambda: not Path("/proc", said[1]).exists())
    left = Path(said[2])
    until(lambda: "populated 0" in (left / "cgroup.events").read_text())
    with machine.booted(userland.ensure()):
        assert not left.exists()
