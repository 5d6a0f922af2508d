"""What breaks around the controller: Engine, disk, power, itself. Running work is not touched."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import dockerd as dockerd_support
from tests.support import process

MakeSite = Callable[[dockerd_support.Dockerd], process.Site]


def made(engine: dockerd_support.Dockerd, since: float) -> list[str]:
    """Names of the containers that were created since then, by the Engine's own log."""
    seen = engine.events(since, time.time())
    return [
        one["Actor"]["Attributes"]["name"]
        for one in seen
        if (one["Type"], one["Action"]) == ("container", "create")
    ]


def state(engine: dockerd_support.Dockerd, name: str) -> tuple[str, str, int]:
    found: Any = engine.client().inspect_container(f"workspace-{name}")
    return found["Id"], found["State"]["StartedAt"], found["State"]["Pid"]


def test_an_engine_that_is_down_at_the_start_and_dies_later_costs_nothing(
    own_dockerd: dockerd_support.Dockerd, make_site: MakeSite
) -> None:
    began = time.time()
    names = ("calm", "quiet")
    site = make_site(own_dockerd)
    for name in names:
        site.spec(name)
    own_dockerd.kill9()

    controller = site.run()
    controller.until(lambda: "EngineUnavailable" in controller.get("/readyz")[1], "it starts and says why")
    assert controller.get("/readyz")[0] == 503
    assert controller.get("/healthz")[0] == 200
    assert controller.metric("docker_up") == 0
    assert controller.decided("calm", "EngineUnavailable")["verdict"] == "Hold"
    held = site.wharf("get", "workspaces")
    assert held.code == 0, held
    assert "EngineUnavailable" in held.out
    controller.said("engine_lost")

    own_dockerd.start()
    for name in names:
        controller.runs(name)
    controller.ready()
    assert controller.metric("docker_up") == 1
    before = {name: state(own_dockerd, name) for name in names}

    mark = controller.mark()
    own_dockerd.kill9()
    controller.said("engine_lost", mark)
    controller.until(lambda: controller.get("/readyz")[0] == 503, "it is not ready")
    assert controller.condition("calm", "Ready")["status"] == "Unknown"
    for _, _, pid in before.values():
        assert Path(f"/proc/{pid}").exists()
    own_dockerd.start()
    controller.said("engine_back", mark)
    controller.ready()
    for name in names:
        controller.runs(name)
    assert {name: state(own_dockerd, name) for name in names} == before
    assert len(own_dockerd.client().containers(all=True)) == len(names)
    assert set(made(own_dockerd, began)) <= {f"workspace-{name}" for name in names}

    site.spec("after")
    controller.runs("after")
    own_dockerd.client().stop("workspace-after", timeout=0)
    controller.said("decision", mark, workspace="after", reason="ContainerExited")
    controller.runs("after")


@contextlib.contextmanager
def frozen(pid: int | None) -> Iterator[None]:
    """A process that accepts connections, by its kernel, and answers none."""
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_an_engine_that_hangs_is_said_and_keeps_nobody_waiting(
    own_dockerd: dockerd_support.Dockerd, make_site: MakeSite
) -> None:
    site = make_site(own_dockerd)
    site.spec("patient")
    controller = site.run().ready()
    controller.runs("patient")
    before = state(own_dockerd, "patient")
    with frozen(own_dockerd.pid()):
        controller.until(lambda: controller.get("/readyz")[0] == 503, "it is not ready")
        assert controller.get("/healthz")[0] == 200
        assert controller.status("patient")["decision"]["verdict"] in {"Keep", "Hold"}
    controller.ready()
    controller.runs("patient")
    assert state(own_dockerd, "patient") == before
    passes = controller.metric("reconcile_total", controller="pass", result="success") or 0
    controller.until(
        lambda: (controller.metric("reconcile_total", controller="pass", result="success") or 0) > passes + 1,
        "passes are made again",
    )
    with frozen(own_dockerd.pid()):
        controller.until(lambda: controller.get("/readyz")[0] == 503, "it is not ready")
        code, seconds = controller.stop()
    assert (code, seconds < 5) == (0, True), seconds
    assert state(own_dockerd, "patient") == before


@contextlib.contextmanager
def small_disk(path: Path) -> Iterator[Path]:
    path.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "e2e", str(path)], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def fill(disk: Path) -> Path:
    """Takes all that is left on a disk."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    assert os.statvfs(disk).f_bavail == 0
    return ballast


def test_a_full_disk_holds_every_change_and_leaves_what_runs(
    site: process.Site, engine: dockerd_support.Dockerd
) -> None:
    with small_disk(site.state) as disk:
        try:
            site.spec("steady")
            controller = site.run().ready()
            controller.runs("steady")
            before = state(engine, "steady")
            ballast = fill(disk)
            controller.until(lambda: controller.get("/readyz")[0] == 503, "it is not ready")
            assert "LedgerUnavailable" in controller.get("/readyz")[1]
            controller.said("ledger_lost")
            site.spec("newcomer")
            held = controller.decided("newcomer", "LedgerUnavailable") if _known(controller) else {}
            controller.decided("steady", "LedgerUnavailable")
            began = time.time()
            asked = site.wharf("stop", "steady")
            assert asked.code == 7, asked
            assert made(engine, began) == []
            assert state(engine, "steady") == before
            assert held.get("verdict", "Hold") == "Hold"
            ballast.unlink()
            controller.runs("newcomer")
            controller.ready()
            controller.runs("steady")
            assert state(engine, "steady") == before
            controller.said("ledger_back")
        finally:
            site.close()


def _known(controller: process.Controller) -> bool:
    """Whether a workspace that cannot be written down is shown at all."""
    return bool(controller.workspace("newcomer").get("metadata"))


def test_after_a_reboot_everything_comes_back_on_its_last_accepted_spec(
    site: process.Site, engine: dockerd_support.Dockerd
) -> None:
    services = [{"name": "web", "port": 8888, "expose": "Port"}]
    site.spec("whole", {"services": services})
    site.spec("spoilt", {"env": {"A": "first"}})
    site.spec("resting", {"desiredState": "Stopped"})
    first = site.run().ready()
    port = first.runs("whole")["ports"][0]["hostPort"]
    first.runs("spoilt")
    before = {name: state(engine, name)[0] for name in ("whole", "spoilt")}
    site.place(site.specs / "spoilt.yaml", "apiVersion: wharfinger.dev/v1\nkind: Workspace\nspec: [\n")
    first.until(
        lambda: first.condition("spoilt", "SpecAccepted").get("status") == "False", "the file is rejected"
    )
    first.kill()
    client = engine.client()
    for one in client.containers():
        client.kill(one["Id"])
    shutil.rmtree(site.runtime)
    site.runtime.mkdir()

    second = site.run().ready()
    for name in ("whole", "spoilt"):
        second.runs(name)
    after = {name: state(engine, name)[0] for name in ("whole", "spoilt")}
    assert after == before
    assert second.status("whole")["ports"][0]["hostPort"] == port
    assert "version 1" in process.page(port)
    second.until(
        lambda: second.condition("spoilt", "SpecAccepted")["status"] == "False", "the file is rejected again"
    )
    assert "spoilt.yaml" in second.condition("spoilt", "SpecAccepted")["message"]
    assert second.status("resting")["decision"]["reason"] == "Stopped"
    assert second.workspace("whole")["metadata"]["generation"] == 1


@pytest.mark.parametrize("seen", [pytest.param(1, marks=pytest.mark.full), 4])
def test_a_controller_killed_amid_creating_ten_leaves_work_for_the_next_and_no_doubles(
    site: process.Site, engine: dockerd_support.Dockerd, seen: int
) -> None:
    names = [f"ten-{number}" for number in range(10)]
    for name in names:
        site.spec(name, {"command": ["sleep", "100000"]})
    client, began = engine.client(), time.time()
    first = site.run()
    first.until(lambda: len(client.containers(all=True)) >= seen, "some are made")
    first.kill()
    assert len(client.containers()) < len(names), "it was killed amid the work"
    second = site.run().ready()
    for name in names:
        second.runs(name)
    found = client.containers(all=True)
    assert sorted(one["Names"][0] for one in found) == sorted(f"/workspace-{name}" for name in names)
    assert {one["State"] for one in found} == {"running"}
    assert sorted(made(engine, began)) == sorted(f"workspace-{name}" for name in names)
    instances = {one["Labels"]["dev.wharfinger.instance"] for one in found}
    assert len(instances) == len(names)


def test_a_lost_ledger_is_said_and_running_work_stays(
    site: process.Site, engine: dockerd_support.Dockerd
) -> None:
    """Without the key no claim can be verified: what runs is foreign, held and untouched."""
    site.spec("kept")
    first = site.run().ready()
    first.runs("kept")
    before = state(engine, "kept")
    first.stop()
    shutil.rmtree(site.state)
    second = site.run().ready()
    held = second.decided("kept", "NameTaken")
    assert held["verdict"] == "Hold"
    assert state(engine, "kept") == before
