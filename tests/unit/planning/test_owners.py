"""What is told of one owner."""

from datetime import UTC, datetime
from typing import Any

import pytest

from controller.api.policy import ResourcePolicy
from controller.model.desired import AcceptedPolicy
from controller.model.observed import Seen
from controller.model.status import OwnerStatus
from controller.planning.owners import Owners
from controller.planning.planner import Planner
from controller.sources import loader
from controller.status import summary
from tests.support import builders
from tests.support.world import World

POLICY = b"""\
apiVersion: wharfinger.dev/v1
kind: ResourcePolicy
metadata: {name: lab}
spec:
  mountRoots: [/mnt/storage]
  defaults: {resources: {cpus: "2", memory: 8g, pids: 100}}
  quotas: {workspaces: 3, runningWorkspaces: 2, cpus: "4", memory: 64g, gpuEquivalents: "1"}
  groups:
    students: {members: [alice, both, worst], quotas: {memory: 32g}, aggregate: {cpus: "6"}}
    faculty: {members: [both, worst]}
    others: {members: [worst]}
  groupOrder: [faculty]
  users:
    alice: {resources: {memory: 16g}, reason: large tables, approvedBy: prof}
  grants:
    - name: thesis
      users: [alice]
      quotas: {memory: null}
      reason: the thesis is due
      approvedBy: prof
      expires: "2027-03-31T00:00:00Z"
    - {name: past, groups: [students], reason: a, approvedBy: b, expires: "2026-01-01T00:00:00Z"}
    - {name: next, users: [both], priority: 30, reason: a, approvedBy: b, starts: "2027-01-01T00:00:00Z",
       expires: "2027-02-01T00:00:00Z"}
  privileged:
    alice: {reason: drivers, approvedBy: root}
"""


def policy() -> AcceptedPolicy:
    found = loader.parse_document(POLICY, "policy.yaml", ResourcePolicy)
    assert isinstance(found, loader.Parsed), found
    return AcceptedPolicy(found.value, builders.policy().catalog, "digest", lines=found.lines)


def told(*specs: dict[str, Any]) -> Owners:
    """What is told of everybody once all that may run does."""
    world = World(policy=policy())
    for spec in specs:
        world.specs[spec["name"]] = builders.accepted(**spec)
    for _ in range(2):
        world.execute(world.plan())
    planner = Planner(world.rules)
    desired, plan = world.desired(), world.plan(planner)
    engine = world.observed().engine
    assert isinstance(engine, Seen)
    statuses = {
        name: summary.summarize(
            None,
            desired.specs[name],
            decision,
            engine.value.containers.get(decision.container_id or ""),
            summary.Facts(),
            world.now,
        )
        for name, decision in plan.decisions.items()
    }
    standing = planner.standing(policy(), world.now)
    return Owners(standing, world.now, desired.specs, planner.designs, statuses, {})


def quotas(owner: OwnerStatus) -> dict[str, tuple[str, str, str]]:
    return {one.limit.path: (one.used, one.limit.value, one.limit.origin) for one in owner.quotas}


def test_everybody_with_a_workspace_or_a_name_in_the_policy_is_known() -> None:
    found = told({"name": "one", "owner": "zoe"})
    assert list(found) == ["alice", "both", "worst", "zoe"]
    assert len(found) == 4
    with pytest.raises(KeyError):
        found["nobody"]


def test_an_owner_has_a_group_and_all_that_was_allowed() -> None:
    alice = told({"name": "alice"})["alice"]
    assert (alice.group, alice.groups, alice.why) == (
        "students",
        ("students",),
        "policy.yaml:9 (group students)",
    )
    assert alice.account == builders.account("alice")
    assert alice.layers == (
        "policy.yaml:6 (defaults)",
        "policy.yaml:9 (group students)",
        "policy.yaml:14 (user alice)",
        "policy.yaml:16 (grant thesis)",
    )
    assert [(one.rule, one.state, one.origin, one.reason) for one in alice.exemptions] == [
        ("user alice", "InForce", "policy.yaml:14 (user alice)", "large tables"),
        ("grant thesis", "InForce", "policy.yaml:16 (grant thesis)", "the thesis is due"),
        ("grant past", "Over", "policy.yaml:22 (grant past)", "a"),
        ("privileged", "InForce", "policy.yaml:26 (privileged)", "drivers"),
    ]
    assert alice.exemptions[1].expires == datetime(2027, 3, 31, tzinfo=UTC)
    assert [(one.path, one.value, one.origin) for one in alice.aggregate] == [
        ("cpus", "6", "policy.yaml:9 (group students)")
    ]


def test_what_waits_for_a_quota_is_not_counted_as_used() -> None:
    names = ("alice", "second", "third")
    alice = told(*({"name": name, "owner": "alice"} for name in names))["alice"]
    assert alice.workspaces == names
    assert quotas(alice) == {
        "workspaces": ("3", "3", "policy.yaml:7 (quotas)"),
        "runningWorkspaces": ("2", "2", "policy.yaml:7 (quotas)"),
        "cpus": ("4", "4", "policy.yaml:7 (quotas)"),
        "memory": ("32g", "null", "policy.yaml:18 (grant thesis)"),
        "shm": ("128m", "null", "default"),
        "pids": ("200", "null", "default"),
        "gpuEquivalents": ("0", "1", "policy.yaml:7 (quotas)"),
    }


def test_what_is_unlimited_is_said_to_be() -> None:
    found = told(
        {"name": "zoe", "resources": {"pids": None}},
        {"name": "off", "owner": "zoe", "desiredState": "Stopped"},
    )
    used = {name: use for name, (use, _, _) in quotas(found["zoe"]).items()}
    assert (used["workspaces"], used["runningWorkspaces"], used["pids"]) == ("2", "1", "unlimited")


def test_an_order_of_groups_is_why() -> None:
    both = told()["both"]
    assert (both.group, both.groups) == ("faculty", ("faculty", "students"))
    assert both.why == "policy.yaml:10 (group faculty); before students by policy.yaml:12 (groupOrder)"
    assert [(one.rule, one.state) for one in both.exemptions] == [
        ("grant past", "Over"),
        ("grant next", "NotYet"),
    ]
    assert both.account is None


def test_who_belongs_nowhere_for_certain_has_no_quotas_yet() -> None:
    unread = told()
    assert unread["worst"].group == "faculty"
    stranger = told({"name": "zoe"})["zoe"]
    assert (stranger.group, stranger.why) == ("", "no group lists the owner")
