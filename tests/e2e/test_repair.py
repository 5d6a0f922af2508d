"""What people do to containers by hand is seen and put right, and nothing that is not ours is touched."""

import time
from typing import Any

import pytest

from tests.support import process
from tests.support.fleet import Fleet, limits_of


def running_again(fleet: Fleet, name: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = [one for one in fleet.all_of(name) if one["Names"] == [f"/workspace-{name}"]]
        return fleet.container(name) if found and found[0]["State"] == "running" else None

    return fleet.controller.until(look, f"{name} runs again")


def drift_repaired(fleet: Fleet, name: str, kind: str, mark: int) -> None:
    controller = fleet.controller
    controller.said("drift_detected", mark, workspace=name, **{"drift.kind": kind})
    controller.said("drift_repaired", mark, workspace=name, **{"drift.kind": kind})
    controller.until(
        lambda: controller.metric("workspace_drift", workspace=name, kind=kind) == 0, "no drift is published"
    )


def test_a_removed_container_is_made_again(fleet: Fleet) -> None:
    before = fleet.up("removed")
    mark = fleet.controller.mark()
    fleet.docker.remove_container(before["Id"], force=True)
    after = running_again(fleet, "removed")
    assert after["Id"] != before["Id"]
    assert len(fleet.all_of("removed")) == 1
    drift_repaired(fleet, "removed", "missing", mark)


def test_a_stopped_container_is_started_again_and_the_way_to_stop_it_is_named(fleet: Fleet) -> None:
    before = fleet.up("stopped")
    mark = fleet.controller.mark()
    fleet.docker.stop(before["Id"], timeout=0)
    after = running_again(fleet, "stopped")
    assert after["Id"] == before["Id"]
    assert after["State"]["StartedAt"] > before["State"]["StartedAt"]
    line = fleet.controller.said("decision", workspace="stopped", reason="ContainerExited")
    assert "wharf stop stopped" in line["message"]
    drift_repaired(fleet, "stopped", "state", mark)


def test_a_renamed_container_gets_its_name_back(fleet: Fleet) -> None:
    before = fleet.up("renamed")
    mark = fleet.controller.mark()
    fleet.docker.rename(before["Id"], "something-else")
    after = running_again(fleet, "renamed")
    fleet.controller.runs("renamed")
    assert after["Id"] == before["Id"]
    assert after["State"]["StartedAt"] == before["State"]["StartedAt"]
    assert len(fleet.all_of("renamed")) == 1
    line = fleet.controller.said("decision", mark, workspace="renamed", reason="Drifted")
    assert "something-else" in line["message"]


def test_a_paused_container_runs_on(fleet: Fleet) -> None:
    before = fleet.up("frozen")
    fleet.docker.pause(before["Id"])
    after = running_again(fleet, "frozen")
    assert after["State"]["Pid"] == before["State"]["Pid"]
    fleet.controller.said("decision", workspace="frozen", reason="ContainerPaused")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("memory", {"Memory": 48 * 2**20, "MemorySwap": 48 * 2**20}),
        ("cpus", {"NanoCpus": 250_000_000}),
        ("pids", {"PidsLimit": 20}),
    ],
)
def test_limits_changed_by_hand_are_put_back_while_it_runs(
    fleet: Fleet, name: str, change: dict[str, int]
) -> None:
    before = fleet.up(name)
    mark, pid = fleet.controller.mark(), before["State"]["Pid"]
    right = limits_of(pid)
    assert right == {"memory": 64 * 2**20, "cpu": 500, "pids": 64}
    fleet.update(before["Id"], **change)
    fleet.controller.said("drift_detected", mark, workspace=name, **{"drift.kind": "resources"})
    fleet.controller.until(lambda: limits_of(pid) == right, "the kernel has the right limits")
    fleet.controller.runs(name)
    assert fleet.container(name)["State"]["Pid"] == pid


def test_a_container_is_connected_again_to_its_network(fleet: Fleet) -> None:
    before = fleet.up("alone")
    mark = fleet.controller.mark()
    fleet.docker.disconnect_container_from_network(before["Id"], "wharf")
    drift_repaired(fleet, "alone", "network", mark)
    after = fleet.container("alone")
    assert list(after["NetworkSettings"]["Networks"]) == ["wharf"]
    assert after["State"]["Pid"] == before["State"]["Pid"]


def test_a_restart_policy_given_by_hand_is_taken_back(fleet: Fleet) -> None:
    before = fleet.up("policy")
    mark = fleet.controller.mark()
    fleet.docker.update_container(before["Id"], restart_policy={"Name": "always"})
    drift_repaired(fleet, "policy", "restart_policy", mark)
    after = fleet.container("policy")
    assert after["HostConfig"]["RestartPolicy"]["Name"] == "no"
    assert after["State"]["Pid"] == before["State"]["Pid"]


def test_a_foreign_container_on_our_name_is_left_alone_and_named(fleet: Fleet) -> None:
    labels = {"dev.wharfinger.workspace": "stranger", "dev.wharfinger.claim": "0" * 64}
    made = fleet.docker.create_container("wharf-sample:1", name="workspace-stranger", labels=labels)
    fleet.docker.start(made["Id"])
    before = fleet.docker.inspect_container(made["Id"])
    fleet.site.spec("stranger")
    held = fleet.controller.decided("stranger", "NameTaken")
    assert held["verdict"] == "Hold"
    assert "workspace-stranger" in held["message"]
    assert "not ours" in held["message"]
    after = fleet.docker.inspect_container(made["Id"])
    assert (after["State"]["Pid"], after["Name"]) == (before["State"]["Pid"], before["Name"])
    fleet.docker.remove_container(made["Id"], force=True)
    assert fleet.up("stranger")["Id"] != made["Id"]


def test_a_copy_with_all_our_labels_stays_a_stranger_when_the_first_is_gone(fleet: Fleet) -> None:
    first = fleet.up("copied")
    copy = fleet.docker.create_container("wharf-sample:1", name="twin", labels=first["Config"]["Labels"])[
        "Id"
    ]
    fleet.docker.start(copy)
    fleet.docker.remove_container(first["Id"], force=True)
    fleet.controller.until(
        lambda: fleet.all_of("copied")[0]["Id"] not in {copy, first["Id"]}, "a new one is made"
    )
    fleet.controller.runs("copied")
    assert fleet.container("copied")["Id"] not in {copy, first["Id"]}
    twin = fleet.docker.inspect_container(copy)
    assert (twin["Name"], twin["State"]["Running"]) == ("/twin", True)
    fleet.docker.remove_container(copy, force=True)


def test_a_container_that_exits_at_once_is_started_at_once_and_then_ever_later(fleet: Fleet) -> None:
    fleet.site.spec("crash", {"command": ["sh", "-c", "echo broken; exit 3"]})
    controller = fleet.controller
    controller.said("decision", workspace="crash", reason="ContainerExited")
    began = time.time()
    waits = controller.decided("crash", "CrashLoop")
    assert "code 3" in waits["message"]
    status = controller.status("crash")
    first = status["nextAttempt"]
    assert first > time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)), "the second start comes later"
    assert process.until(lambda: controller.condition("crash", "Ready")["status"] == "False", "not ready")
    logs = fleet.site.wharf("logs", "crash")
    assert logs.out.splitlines() == ["broken"] * 2
    row = fleet.site.wharf("get", "workspaces", "crash").out
    assert "CrashLoop" in row

    def later() -> bool:
        return bool(str(controller.status("crash").get("nextAttempt", "")) > first)

    controller.until(later, "the next wait is shown")
    ended = fleet.container("crash")["State"]["FinishedAt"][:19]
    again = time.mktime(time.strptime(controller.status("crash")["nextAttempt"], "%Y-%m-%dT%H:%M:%SZ"))
    assert 19 <= again - time.mktime(time.strptime(ended, "%Y-%m-%dT%H:%M:%S")) <= 21
    fleet.site.specs.joinpath("crash.yaml").unlink()
    controller.gone("crash")
