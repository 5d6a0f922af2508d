"""The controller as a process: how it starts, ends, tells systemd, publishes, and meets another."""

import itertools
import json
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from controller import manager
from controller.ledger import lock
from tests.support import dockerd as dockerd_support
from tests.support import process

MakeSite = Callable[[dockerd_support.Dockerd], process.Site]
CHANGING = {"create", "start", "stop", "die", "kill", "destroy", "rename", "update", "pause", "unpause"}
PUBLISHED = (
    "build_info",
    "workspace_info",
    "workspace_status_condition",
    "workspace_drift",
    "drift_detected_total",
    "actions_total",
    "action_duration_seconds_count",
    "reconcile_total",
    "reconcile_time_seconds_count",
    "workqueue_depth",
    "workqueue_adds_total",
    "spec_files",
    "docker_up",
    "docker_requests_total",
    "loop_heartbeat_timestamp_seconds",
    "resync_last_success_timestamp_seconds",
)
DRIFTS = {
    "missing",
    "orphan",
    "state",
    "image",
    "env",
    "command",
    "resources",
    "mounts",
    "ports",
    "labels",
} | {"gpu", "slice", "restart_policy", "network", "security"}


def containers(engine: dockerd_support.Dockerd) -> dict[str, str]:
    found = engine.client().containers(all=True)
    return {one["Names"][0]: one["State"] for one in found}


def changes(engine: dockerd_support.Dockerd, since: float) -> list[str]:
    seen = engine.events(since, time.time())
    return [f"{one['Type']} {one['Action']}" for one in seen if one["Action"].split(":")[0] in CHANGING]


def test_once_does_all_there_is_and_the_second_time_nothing(
    site: process.Site, engine: dockerd_support.Dockerd
) -> None:
    services = [{"name": "web", "port": 8888, "expose": "Port"}]
    site.spec("one", {"services": services})
    site.spec("two", {"desiredState": "Stopped"})
    site.spec("three", {"owner": "games", "class": "own"})
    first = site.wharf("run", "--once")
    assert first.code == 0, first
    states = containers(engine)
    assert states.pop("/workspace-two", "created") in {"created", "exited"}
    assert states == {"/workspace-one": "running", "/workspace-three": "running"}
    began = time.time()
    second = site.wharf("run", "--once")
    assert second.code == 0, second
    assert changes(engine, began) == []
    engine.client().stop("workspace-one", timeout=0)
    assert changes(engine, began) != [], "the Engine's log shows what happens"


def test_once_names_what_is_held_and_exits_with_5(site: process.Site) -> None:
    site.spec("fine")
    site.spec("gpu", {"gpu": {"mode": "All"}})
    done = site.wharf("run", "--once")
    assert done.code == 5, done
    assert "gpu: Hold (GpuModeRefused)" in done.err


def test_once_in_observe_mode_changes_nothing(site: process.Site, engine: dockerd_support.Dockerd) -> None:
    site.spec("seen")
    began = time.time()
    done = site.wharf("run", "--once", "--mode", "Observe")
    assert done.code == 0, done
    assert "seen: " in done.err
    assert containers(engine) == {}
    assert changes(engine, began) == []


def test_sigterm_ends_it_within_five_seconds_and_workspaces_stay(
    site: process.Site, engine: dockerd_support.Dockerd
) -> None:
    site.spec("stays")
    controller = site.run().ready()
    controller.runs("stays")
    before = engine.client().inspect_container("workspace-stays")["State"]
    code, seconds = controller.stop()
    assert code == 0
    assert seconds < 5
    after = engine.client().inspect_container("workspace-stays")["State"]
    assert after["Running"]
    assert after["Pid"] == before["Pid"]
    assert not (site.runtime / "control.sock").exists()
    offline = site.wharf("get", "workspaces")
    assert offline.code == 0, offline
    assert "controller is not running" in offline.err
    assert offline.out.splitlines()[1].split()[:4] == ["stays", "stays", "True", "Running"]
    assert site.wharf("plan").code == 0
    asked = site.wharf("stop", "stays")
    assert asked.code == 7
    assert "not running" in asked.err
    wrote = site.wharf("apply", "-f", "-", stdin=process.text_of(process.document("later")))
    assert wrote.code == 7
    assert "the file is written" in wrote.err
    plan = site.wharf("plan")
    assert plan.code == 2, plan
    assert "later: Create" in plan.out


def test_sigterm_does_not_wait_for_a_long_stop(site: process.Site, engine: dockerd_support.Dockerd) -> None:
    """A container that ignores TERM for its grace keeps nobody waiting; the next controller goes on."""
    fields: dict[str, Any] = {
        "command": ["sh", "-c", "trap '' TERM; while :; do sleep 0.2; done"],
        "lifecycle": {"stopGrace": "6s"},
    }
    site.spec("slow", fields)
    controller = site.run().ready()
    controller.runs("slow")
    site.spec("slow", {**fields, "desiredState": "Stopped"})
    controller.decided("slow", "InProgress")
    code, seconds = controller.stop()
    assert code == 0
    assert seconds < 5
    again = site.run().ready()
    again.decided("slow", "Stopped", deadline=60)
    assert not engine.client().inspect_container("workspace-slow")["State"]["Running"]


def test_systemd_is_told_that_it_is_ready_alive_and_stopping(site: process.Site, tmp_path: Path) -> None:
    address = str(site.runtime / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)
        listener.settimeout(process.DEADLINE)
        controller = site.run(NOTIFY_SOCKET=address, WATCHDOG_USEC="4000000")
        heard: list[str] = []

        def hear(word: str) -> float:
            while not heard or word not in heard[-1]:
                heard.append(listener.recv(4096).decode())
            return time.monotonic()

        hear("READY=1")
        controller.ready()
        beats = []
        for _ in range(3):
            beats.append(hear("WATCHDOG=1"))
            heard.append("")
        assert max(later - sooner for sooner, later in itertools.pairwise(beats)) < 4
        controller.process.terminate()
        hear("STOPPING=1")
        assert controller.process.wait(timeout=process.DEADLINE) == 0


def test_metrics_are_there_from_the_beginning_and_go_with_their_workspace(site: process.Site) -> None:
    site.spec("measured")
    controller = site.run().ready()
    controller.runs("measured")
    found = controller.metrics()
    names = {name for name, _ in found}
    assert [name for name in PUBLISHED if name not in names] == []
    assert controller.metric("docker_up") == 1
    drifts = {dict(labels)["kind"] for name, labels in found if name == "workspace_drift"}
    assert drifts == DRIFTS
    assert (
        controller.metric("workspace_info", workspace="measured", owner="measured", image="wharf-sample:1")
        == 1
    )
    assert found["actions_total", frozenset({("action", "rename_container"), ("result", "error")})] == 0
    assert found["actions_total", frozenset({("action", "create_container"), ("result", "success")})] == 1
    assert found["drift_detected_total", frozenset({("kind", "gpu"), ("source", "event")})] == 0
    assert abs(time.time() - (controller.metric("resync_last_success_timestamp_seconds") or 0)) < 30
    assert "# TYPE wharfinger_actions_total counter" in controller.get("/metrics")[1]
    assert controller.get("/healthz") == (200, "ok\n")
    (site.specs / "measured.yaml").unlink()
    controller.gone("measured")
    left = [name for name, labels in controller.metrics() if ("workspace", "measured") in labels]
    assert left == []


def test_a_second_controller_for_the_same_engine_says_who_has_it(
    site: process.Site, make_site: MakeSite, engine: dockerd_support.Dockerd
) -> None:
    first = site.run().ready()
    site.spec("only")
    first.runs("only")
    other = make_site(engine)
    began = time.time()
    second = other.run()
    assert second.process.wait(timeout=process.DEADLINE) == 5
    line = second.said_at_the_end("engine_occupied")
    assert str(first.process.pid) in line["error"]
    assert str(site.config) in line["error"]
    once = other.wharf("run", "--once")
    assert once.code == 5, once
    assert str(first.process.pid) in once.err
    assert changes(engine, began) == []
    assert first.get("/readyz")[0] == 200


def test_slices_of_another_controller_are_left_to_it(site: process.Site) -> None:
    """Two Engines of one host have different locks, and the same cgroups."""
    other = lock.Holder(1, "elsewhere", 1, datetime.now(UTC), "theirs.yaml")
    held = lock.SlicesLock(manager.LOCK_DIR, site.slices).acquire(other)
    assert isinstance(held, lock.Held)
    refused = site.wharf("run", "--once")
    alone = site.wharf("run", "--once", WHARF_SLICES_DRIVER="None")
    held.release()
    assert refused.code == 5, refused
    assert f"the slices below {site.slices}" in refused.err
    assert "theirs.yaml" in refused.err
    assert "slices.root" in refused.err
    assert alone.code == 0, alone


def test_a_wrong_configuration_is_one_clear_message(site: process.Site) -> None:
    text = site.config.read_text().replace('"settle"', '"setle"')
    site.config.write_text(text)
    done = site.wharf("run")
    assert done.code == 1, done
    assert "controller.yaml:" in done.err
    assert "setle" in done.err
    assert "Traceback" not in done.err


def test_a_taken_metrics_port_is_one_clear_message(site: process.Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        done = site.wharf("run", WHARF_METRICS_LISTEN=address)
    assert done.code == 1, done
    assert address in done.err
    assert "Traceback" not in done.err


def test_every_line_of_the_log_is_json_with_a_name_and_a_time(site: process.Site) -> None:
    site.spec("logged")
    controller = site.run().ready()
    controller.runs("logged")
    controller.stop()
    lines = [json.loads(line) for line in controller.log.read_text().splitlines()]
    assert lines
    for line in lines:
        assert line["event"].replace("_", "").isalnum(), line
        assert line["timestamp"].endswith("Z")
        assert line["level"] in {"debug", "info"}, "a calm start alarms nobody"
        if line["logger"] == "controller.pass":
            assert line["pass_id"] > 0
