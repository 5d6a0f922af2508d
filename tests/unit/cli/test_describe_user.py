"""All about one user, for a person and for a script, with a controller and without."""

import json

import yaml

from tests.support import controller_stand_in, wharf_host

USER = {
    "name": "alice",
    "account": {"uid": 1001, "gid": 1001, "home": "/home/alice"},
    "group": {"name": "students", "memberOf": ["students"], "why": "policy.yaml:9 (group students)"},
    "layers": ["policy.yaml:6 (defaults)", "policy.yaml:9 (group students)"],
    "exemptions": [
        {
            "rule": "grant thesis",
            "origin": "policy.yaml:16 (grant thesis)",
            "state": "InForce",
            "expires": "2026-11-29T12:05:00Z",
            "reason": "the thesis is due",
            "approvedBy": "prof",
        },
        {"rule": "user alice", "origin": "policy.yaml:14 (user alice)", "state": "InForce"},
    ],
    "quotas": [
        {"name": "workspaces", "used": "2", "cap": "3", "origin": "policy.yaml:7 (quotas)"},
        {"name": "memory", "used": "24g", "cap": "null", "origin": "default"},
    ],
    "aggregate": [],
    "workspaces": [
        {
            "name": "alice",
            "desiredState": "Running",
            "verdict": "Keep",
            "reason": "AsSpecified",
            "message": "",
        },
    ],
}
TEXT = """\
Name:       alice
Account:    uid 1001, gid 1001, home /home/alice
Group:      students: policy.yaml:9 (group students)
Member of:  students

What counts, weakest first:
  policy.yaml:6 (defaults)
  policy.yaml:9 (group students)

Exceptions:
  grant thesis (InForce), until 2026-11-29T12:05:00Z, 7d from now
    policy.yaml:16 (grant thesis)
    the thesis is due; approved by prof
  user alice (InForce), without an end
    policy.yaml:14 (user alice)

Quotas:
  LIMIT        USED   OF     ORIGIN
  workspaces   2      3      policy.yaml:7 (quotas)
  memory       24g    null   default

Limits on all workspaces together: <none>

Workspaces:
  NAME    DESIRED   VERDICT   REASON
  alice   Running   Keep      AsSpecified
"""


def test_a_person_reads_what_may_be_had_and_why(
    wharf: wharf_host.Wharf, world: controller_stand_in.World
) -> None:
    world.answers["users/alice"] = USER
    result = wharf("describe", "user", "alice")
    assert (result.code, result.err) == (0, "")
    assert result.out == TEXT


def test_a_script_reads_the_same(wharf: wharf_host.Wharf, world: controller_stand_in.World) -> None:
    world.answers["users/a+b@lab"] = USER
    assert json.loads(wharf("describe", "user", "a+b@lab", "-o", "json").out) == USER
    assert yaml.safe_load(wharf("describe", "user", "a+b@lab", "-o", "yaml").out) == USER


def test_an_unknown_user_is_3(wharf: wharf_host.Wharf, world: controller_stand_in.World) -> None:
    assert world.answers == {}
    assert wharf("describe", "user", "carol").code == 3


def test_without_a_controller_it_is_read_from_files(host: wharf_host.Host, wharf: wharf_host.Wharf) -> None:
    policy = host.root / "policy.yaml"
    wharf_host.lay(
        policy,
        "apiVersion: wharfinger.dev/v1\nkind: ResourcePolicy\nmetadata: {name: lab}\nspec:\n"
        "  quotas: {workspaces: 3}\n  groups: {students: {members: [alice]}}\n",
    )
    result = wharf("describe", "user", "alice", "-o", "json")
    assert result.code == 0, result
    found = json.loads(result.out)
    assert found["group"] == {
        "name": "students",
        "memberOf": ["students"],
        "why": "policy.yaml:6 (group students)",
    }
    assert found["quotas"][0] == {
        "name": "workspaces",
        "used": "0",
        "cap": "3",
        "origin": "policy.yaml:5 (quotas)",
    }
    assert wharf("describe", "user", "carol").code == 3


def test_while_no_policy_was_ever_valid_nobody_is_called_unknown(
    host: wharf_host.Host, wharf: wharf_host.Wharf
) -> None:
    wharf_host.lay(host.root / "policy.yaml", "kind: Nonsense\n")
    result = wharf("describe", "user", "alice")
    assert (result.code, result.out) == (7, "")
    assert "policy.yaml:1" in result.err
