"""What a policy may say: the published example, and one row for each rule."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pydantic
import pytest

from controller.api import policy
from tests.support import documents


def load(path: str = "", value: object = None) -> policy.PolicySpec:
    document = documents.changed(documents.POLICY, path, value) if path else documents.POLICY
    return policy.ResourcePolicy.model_validate(document).spec


def refused(path: str, value: object) -> tuple[str, str]:
    with pytest.raises(pydantic.ValidationError) as caught:
        load(path, value)
    (error,) = caught.value.errors()
    return ".".join(map(str, error["loc"])), error["msg"]


def test_the_published_example_says_what_it_shows() -> None:
    spec = load()
    assert spec.defaults.priority == 10
    assert spec.quotas.gpu_equivalents == Decimal(1)
    assert spec.groups["students"].members == ("alice", "bob")
    faculty = spec.groups["faculty"]
    assert faculty.lifecycle is not None
    assert faculty.lifecycle.model_fields_set == {"idle_timeout"}
    assert faculty.aggregate is not None
    assert faculty.aggregate.memory_high == 86 * 2**30
    assert spec.users["alice"].expires == dt.datetime(2027, 3, 31, tzinfo=dt.UTC)
    assert spec.classes["vm"].port_profile is policy.PortProfile.VM
    assert spec.port_pools[0].first == 10000
    assert spec.port_pools[1].services == ("ssh",)
    assert spec.mount_roots == ("/mnt/storage",)


def test_what_was_read_is_written_as_the_same_document() -> None:
    model = policy.ResourcePolicy.model_validate(documents.POLICY)
    assert policy.ResourcePolicy.model_validate(model.model_dump(mode="json", exclude_unset=True)) == model


def test_an_empty_policy_allows_no_mounts_and_caps_nothing() -> None:
    spec = load("spec", {})
    assert spec.mount_roots == ()
    assert spec.quotas.workspaces is None
    assert spec.port_pools == ()


def test_a_class_may_use_placeholders_in_every_string() -> None:
    vm = load(
        "spec.classes.vm",
        {
            "image": "team/{owner}",
            "env": {"HOME": "{home}"},
            "secrets": [{"name": "token", "file": "{owner}/token"}],
            "mounts": [{"name": "home", "source": "{home}/work", "target": "{home}"}],
        },
    ).classes["vm"]
    assert vm.mounts is not None
    assert vm.mounts[0].source == "{home}/work"


def test_no_two_services_of_a_profile_share_an_offset() -> None:
    for offsets in policy.PORT_OFFSETS.values():
        assert len(set(offsets.values())) == len(offsets)
        assert max(offsets.values()) < policy.FIRST_FREE_OFFSET


RULES = [
    ("spec.defaultClass", "none", "spec", "not among classes"),
    ("spec.groupOrder", ["students", "staff"], "spec", "not among groups"),
    ("spec.groups.students.members", [1000], "spec.groups.students.members.0", 'write "1000"'),
    ("spec.groups.students.members", ["a", "a"], "spec.groups.students.members", "named twice"),
    ("spec.groups.students.membersFile", "../x", "spec.groups.students.membersFile", "relative path"),
    ("spec.groups.students.priority", 101, "spec.groups.students.priority", "less than or equal to 100"),
    (
        "spec.groups.faculty.aggregate.memoryHigh",
        "97g",
        "spec.groups.faculty.aggregate",
        "at most memory (96g)",
    ),
    ("spec.quotas.gpuEquivalents", 1, "spec.quotas.gpuEquivalents", "quoted decimal"),
    ("spec.quotas.gpuEquivalents", "-1", "spec.quotas.gpuEquivalents", "decimal number"),
    ("spec.quotas.workspaces", -1, "spec.quotas.workspaces", "greater than or equal to 0"),
    ("spec.users.alice.expires", "2027-03-31", "spec.users.alice.expires", "2027-03-31T00:00:00Z"),
    ("spec.users.alice.expires", "2027-02-31T00:00:00Z", "spec.users.alice.expires", "no date"),
    ("spec.users.alice.expires", "2027-03-31T00:00:00", "spec.users.alice.expires", "with its zone"),
    ("spec.classes.vm.owner", "alice", "spec.classes.vm.owner", "not permitted"),
    ("spec.classes.vm.class", "default", "spec.classes.vm.class", "not permitted"),
    ("spec.classes.vm.portProfile", "desk", "spec.classes.vm.portProfile", "'vm' or 'portal'"),
    ("spec.mountRoots", ["/"], "spec.mountRoots.0", "every directory"),
    ("spec.mountRoots", ["mnt"], "spec.mountRoots.0", "absolute"),
    ("spec.portPools.0.from", 20000, "spec.portPools.0", "at most to (19999)"),
    ("spec.portPools.0.block", 20000, "spec.portPools.0", "at most the 10000 ports"),
    ("spec.portPools.0.bind", "localhost", "spec.portPools.0.bind", "IP address"),
    ("spec.portPools.1.to", 10000, "spec", '"ssh" and "main" overlap at 10000'),
    ("spec.portPools.1.name", "main", "spec", "one name"),
    ("spec.requireCatalog", "no", "spec.requireCatalog", "valid boolean"),
]


@pytest.mark.parametrize(("path", "value", "place", "needed"), RULES, ids=lambda value: str(value)[:40])
def test_a_broken_rule_is_named_at_its_place(path: str, value: object, place: str, needed: str) -> None:
    where, message = refused(path, value)
    assert where == place
    assert needed in message


GRANT = {"users": ["alice"], "reason": "thesis", "approvedBy": "prof", "expires": "2027-03-31T00:00:00Z"}
MORE = {"resources": {"memory": "64g", "pids": 100}}
LESS = {"resources": {"memory": "32g"}}


@pytest.mark.parametrize(
    ("first", "second", "path"),
    [
        (MORE, LESS, "resources.memory"),
        (MORE, {**LESS, "users": ["bob"]}, ""),
        (MORE, {**LESS, "expires": "2027-03-31T01:00:00Z"}, ""),
        (MORE, {**LESS, "expires": "2027-03-31T01:00:00+01:00"}, "resources.memory"),
        (MORE, {"resources": {"memory": "64g"}}, ""),
        (MORE, {"resources": {"cpus": "2"}}, ""),
        (MORE, {**LESS, "users": ["bob"], "groups": ["students"]}, "resources.memory"),
        ({**MORE, "users": [], "groups": ["students"]}, {**LESS, "users": ["bob"]}, "resources.memory"),
        ({**MORE, "groups": ["faculty"]}, {**LESS, "users": [], "groups": ["faculty"]}, "resources.memory"),
        ({"priority": 50}, {"priority": 60}, "priority"),
        ({"quotas": {"cpus": None}}, {"quotas": {"cpus": "4"}}, "quotas.cpus"),
    ],
)
def test_grants_that_end_together_agree(first: dict[str, Any], second: dict[str, Any], path: str) -> None:
    grants = [{**GRANT, "name": "a", **first}, {**GRANT, "name": "b", **second}]
    if not path:
        assert len(load("spec.grants", grants).grants) == 2
        return
    where, message = refused("spec.grants", grants)
    assert (where, f"end at the same time and differ in {path};" in message) == ("spec", True)
