"""The canary on real containers: whose rule for a device was taken away by hand, and whose was not."""

import functools
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from controller.gpus import canary, canary_places
from controller.model.gpus import Access, AccessState
from deploy.dev import image
from tests.support import device_program, gpus

DEADLINE = 15.0
"""Seconds within which a lost GPU is to be found."""


def run_with(engine: gpus.GpuDockerd, request: dict[str, Any]) -> tuple[str, int]:
    """Id and pid of a container with these devices."""
    client: Any = engine.client()
    config = client.create_host_config(device_requests=[request], init=True)
    made = client.create_container(image.name_of("1"), ["/bin/sleep", "600"], host_config=config)
    client.start(made["Id"])
    return str(made["Id"]), int(client.inspect_container(made["Id"])["State"]["Pid"])


def by_hook(*uuids: str) -> dict[str, Any]:
    return {"Driver": "nvidia", "DeviceIDs": list(uuids), "Capabilities": [["gpu"]]}


def by_cdi(*uuids: str) -> dict[str, Any]:
    return {"Driver": "cdi", "DeviceIDs": [f"{gpus.KIND}={uuid}" for uuid in uuids]}


@contextmanager
def watching(
    directory: Path, drivers: tuple[int, ...], running: dict[str, int]
) -> Iterator[Callable[[str, AccessState], Access]]:
    """Yield a word that waits until the canary says this of a container."""
    watcher = canary.Canary(directory, lambda: datetime.now(UTC), drivers=lambda: drivers)
    watcher.start()
    watcher.watch(running)

    def wait(container: str, state: AccessState) -> Access:
        end = time.monotonic() + DEADLINE
        while True:
            found = watcher.access().get(container)
            if found is not None and found.state is state:
                return found
            assert time.monotonic() < end, f"{state} was not found of {container}: {found}"
            time.sleep(0.05)

    try:
        yield wait
    finally:
        watcher.stop()


def test_a_rule_that_was_taken_away_is_found_soon(engine_hook: gpus.GpuDockerd, tmp_path: Path) -> None:
    """These nodes are opened: their devices do nothing then, and their driver is named."""
    first, second, _ = engine_hook.gpus
    mine, mine_pid = run_with(engine_hook, by_hook(first.uuid, second.uuid))
    other, other_pid = run_with(engine_hook, by_hook(second.uuid))
    with watching(tmp_path, (gpus.MISC,), {mine: mine_pid, other: other_pid}) as wait:
        wait(mine, AccessState.OK)
        wait(other, AccessState.OK)
        gpus.take_access(mine_pid, second)
        lost = wait(mine, AccessState.LOST)
        assert lost.message == f"{second.path} cannot be opened: Operation not permitted"
        wait(other, AccessState.OK)
    assert not list(tmp_path.iterdir())


def test_nodes_of_unknown_drivers_are_asked_about_and_lost_all_the_same(
    engine_cdi: gpus.GpuDockerd, tmp_path: Path
) -> None:
    """The rule is gone before the first look: nothing tells that it was there but the node."""
    first, *_ = engine_cdi.gpus
    mine, pid = run_with(engine_cdi, by_cdi(first.uuid))
    gpus.take_access(pid, first)
    watcher = canary.Canary(tmp_path, lambda: datetime.now(UTC))
    watcher.watch({mine: pid})
    watcher.look(0.0)
    assert watcher.access()[mine].state is AccessState.LOST
    gpus.give_access(pid, first)
    watcher.look(0.0)
    assert watcher.access()[mine].state is AccessState.OK


def test_a_rule_for_another_gpu_is_found(engine_cdi: gpus.GpuDockerd, tmp_path: Path) -> None:
    first, second, _ = engine_cdi.gpus
    mine, pid = run_with(engine_cdi, by_cdi(first.uuid))
    watcher = canary.Canary(tmp_path, lambda: datetime.now(UTC), dev=engine_cdi.directory / "dev")
    watcher.watch({mine: pid})
    watcher.look(0.0)
    assert watcher.access()[mine].opens == (first.path,)
    gpus.give_access(pid, second)
    watcher.look(0.0)
    assert watcher.access()[mine].opens == (first.path, second.path)
    assert watcher.access()[mine].state is AccessState.OK


def test_a_node_that_somebody_made_in_a_container_is_not_lost(
    engine_hook: gpus.GpuDockerd, tmp_path: Path
) -> None:
    """Programs of the driver make nodes of all GPUs where they may."""
    first, second, _ = engine_hook.gpus
    mine, pid = run_with(engine_hook, by_hook(first.uuid))
    client: Any = engine_hook.client()
    script = "mknod /dev/nvidia1 c {} {}".format(*second.number)
    client.exec_start(client.exec_create(mine, ["/bin/sh", "-c", script])["Id"])
    watcher = canary.Canary(tmp_path, lambda: datetime.now(UTC))
    watcher.watch({mine: pid})
    watcher.look(0.0)
    found = watcher.access()[mine]
    assert found.state is AccessState.UNKNOWN
    assert found.message == f"{second.path} cannot be opened: Operation not permitted"
    gpus.take_access(pid, first)
    watcher.look(0.0)
    found = watcher.access()[mine]
    assert found.state is AccessState.LOST
    assert found.message == f"{first.path} cannot be opened: Operation not permitted"


def test_a_paused_container_is_left_alone_and_what_was_found_of_it_stays(
    engine_hook: gpus.GpuDockerd, tmp_path: Path
) -> None:
    first, *_ = engine_hook.gpus
    mine, pid = run_with(engine_hook, by_hook(first.uuid))
    watcher = canary.Canary(tmp_path, lambda: datetime.now(UTC))
    watcher.watch({mine: pid})
    watcher.look(0.0)
    found = watcher.access()[mine]
    assert found.state is AccessState.OK
    client: Any = engine_hook.client()
    client.pause(mine)
    gpus.take_access(pid, first)
    watcher.look(canary.ROUND)
    assert watcher.access()[mine] == found
    client.unpause(mine)
    watcher.look(canary.ROUND)
    assert watcher.access()[mine].state is AccessState.LOST


UNIFIED = Path("/sys/fs/cgroup/unified")
"""The tree of version 2 beside those of version 1, as this host has it."""
WITH_A_NODE = """
mount -t tmpfs dev /dev
mknod /dev/nvidia0 c 10 237
echo $$ >"$1/cgroup.procs"
exec sleep 600
"""


@pytest.fixture
def box() -> Iterator[str]:
    """A cgroup of version 2, named as a container's."""
    name = f"{os.getpid():064x}"
    folder = UNIFIED / name
    folder.mkdir()
    yield name
    end = time.monotonic() + DEADLINE
    while "populated 1" in (folder / "cgroup.events").read_text(encoding="ascii"):
        assert time.monotonic() < end, "somebody is left in the cgroup"
        time.sleep(0.01)
    folder.rmdir()


def test_in_version_2_a_program_that_forbids_the_device_is_found(
    box: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel's part is real; the container is a stand-in, on a host whose tables know no version 1."""
    folder, proc = UNIFIED / box, tmp_path / "proc"
    stand_in = subprocess.Popen(["unshare", "--mount", "sh", "-c", WITH_A_NODE, "sh", folder])
    try:
        for name, table in ((str(stand_in.pid), f"0::/{box}\n"), ("self", "0::/\n")):
            (proc / name).mkdir(parents=True)
            (proc / name / "cgroup").write_text(table, encoding="ascii")
        mounts = f"41 31 0:38 / {UNIFIED} rw - cgroup2 cgroup2 rw\n"
        (proc / "self/mountinfo").write_text(mounts, encoding="ascii")
        monkeypatch.setattr(canary_places, "find", functools.partial(canary_places.find, proc=proc))
        end = time.monotonic() + DEADLINE
        while str(stand_in.pid) not in (folder / "cgroup.procs").read_text(encoding="ascii").split():
            assert time.monotonic() < end, "the stand-in did not come"
            time.sleep(0.01)
        watcher = canary.Canary(tmp_path, lambda: datetime.now(UTC), drivers=lambda: (gpus.MISC,))
        watcher.watch({box: stand_in.pid})
        watcher.look(0.0)
        assert watcher.access()[box].state is AccessState.OK
        forbidden = device_program.forbid(folder, gpus.MISC, 237)
        watcher.look(canary.ROUND)
        assert watcher.access()[box].state is AccessState.LOST
        device_program.allow(folder, forbidden)
        watcher.look(2 * canary.ROUND)
        assert watcher.access()[box].state is AccessState.OK
    finally:
        stand_in.kill()
        stand_in.wait()
