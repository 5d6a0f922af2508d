"""What a tightened policy does to running containers of a real Engine, and to what finds no room."""

from typing import Any

from tests.support.fleet import Fleet, limits_of

MIB = 2**20


def memory_of(fleet: Fleet, name: str) -> int | None:
    """The limit that the kernel has for a workspace; None while it does not run."""
    pid = fleet.container(name)["State"]["Pid"]
    return limits_of(pid)["memory"] if pid else None


def granted(owner: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - as written
    """A policy in which one owner has something of her own; each test has another owner."""
    return {"users": {owner: fields}}


def test_a_tightened_limit_waits_for_the_next_start_and_a_raise_by_hand_is_taken_back(fleet: Fleet) -> None:
    controller = fleet.controller
    fleet.site.policy(**granted("alice", resources={"memory": "96m"}))
    before = fleet.up("alice")
    assert memory_of(fleet, "alice") == 96 * MIB
    fleet.site.policy(**granted("alice", resources={"memory": "48m"}))
    assert "memory 96m -> 48m" in controller.decided("alice", "OverQuota")["message"]
    assert controller.condition("alice", "OverQuota")["status"] == "True"
    fleet.update(before["Id"], Memory=256 * MIB, MemorySwap=256 * MIB)
    controller.until(lambda: memory_of(fleet, "alice") == 96 * MIB, "the raise by hand is taken back")
    assert fleet.container("alice")["State"]["StartedAt"] == before["State"]["StartedAt"]
    assert fleet.site.wharf("restart", "alice").code == 0
    controller.until(lambda: memory_of(fleet, "alice") == 48 * MIB, "the next start has the limit")
    controller.runs("alice")


def test_who_finds_no_room_is_held_with_the_numbers_and_starts_when_there_is_some(fleet: Fleet) -> None:
    controller = fleet.controller
    fleet.site.policy(**granted("bert", quotas={"runningWorkspaces": 1}))
    fleet.up("first", {"owner": "bert"})
    fleet.site.spec("second", {"owner": "bert"})
    held = controller.decided("second", "UserAtLimit")
    assert "bert has 1 of 1 running workspaces (first); policy.yaml" in held["message"]
    told = fleet.site.wharf("explain", "second")
    assert held["message"] in told.out
    assert fleet.all_of("second") == []
    assert fleet.site.wharf("stop", "first").code == 0
    controller.runs("second")
    refused = fleet.site.wharf("start", "first")
    assert refused.code == 5
    assert "bert has 1 of 1 running workspaces (second)" in refused.err
    fleet.site.policy(**granted("bert", quotas={"runningWorkspaces": 2}))
    controller.runs("first")


def test_a_quota_that_is_enforced_now_stops_the_newest_and_no_more(fleet: Fleet) -> None:
    controller = fleet.controller
    fleet.site.policy()
    for name in ("one", "two", "three"):
        fleet.up(name, {"owner": "clara"})
    fleet.site.policy(**granted("clara", quotas={"runningWorkspaces": 2}))
    assert controller.decided("three", "OverQuota")["verdict"] == "Keep"
    fleet.site.policy(
        **granted("clara", quotas={"runningWorkspaces": 2}), enforce={"runningWorkspaces": "Now"}
    )
    controller.decided("three", "UserAtLimit")
    states = {name: fleet.container(name)["State"]["Running"] for name in ("one", "two", "three")}
    assert states == {"one": True, "two": True, "three": False}
