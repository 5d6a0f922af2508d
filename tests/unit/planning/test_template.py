"""The template hash: what is in it, what is not, and that it never changes by accident."""

import itertools
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import pytest

from controller.api import labels
from controller.api.conditions import Reason
from controller.model.effective import Effective
from controller.model.gpus import Attachment, Driver
from controller.model.observed import Bind, Limits, PublishedPort
from controller.model.plan import Remedy
from controller.model.template import Template
from controller.planning import claims, drift, resolve, template
from controller.planning.case import Blueprint
from controller.planning.planner import Planner
from tests.support import builders, stories

TEMPLATE = Template(
    image="sample:1",
    hostname="alice",
    command=("httpd", "-f"),
    env=(("A", "ä"), ("B", "1")),
    user="1000:1000",
    init=True,
    binds=(Bind("/home/alice", "/mnt/alice", read_only=False),),
    ports=(PublishedPort(22, "0.0.0.0", 10022),),
    network="wharf",
    shm=64 << 20,
    limits=Limits(memory=1 << 30),
    stop_grace=timedelta(seconds=60),
    capabilities=("CHOWN", "KILL"),
    privileged=False,
    runtime="sysbox-runc",
)
CHANGED: dict[str, Any] = {
    "image": "sample:2",
    "hostname": "bob",
    "command": None,
    "env": (("A", "b"),),
    "user": None,
    "init": False,
    "binds": (Bind("/home/alice", "/mnt/alice", read_only=True),),
    "ports": (PublishedPort(22, "127.0.0.1", 10022),),
    "network": "wharf-open",
    "shm": 1 << 30,
    "limits": Limits(),
    "stop_grace": timedelta(seconds=1),
    "log_max_size": "1m",
    "log_max_files": 9,
    "capabilities": None,
    "privileged": True,
    "runtime": None,
    "gpus": Attachment(Driver.CDI, ("GPU-1",), ("nvidia.com/gpu=GPU-1",)),
    "cgroup_parent": "/wharf/bob",
}
COMPARED_OTHERWISE = {"image", "gpus", "cgroup_parent"}
"""Of the image the id is compared: another reference to it is no change. The label `.gpus` names devices. A
container without a slice, as older controllers made it, stays without one."""


def test_the_hash_of_a_template_is_for_ever() -> None:
    """A new value here replaces every container of that version: raise HASH_VERSION instead."""
    assert template.digest(TEMPLATE, "v1") == (
        "v1:a8fec4f34f55c00304ab6d855b7e20f622a01fa9df331ad0f2ee8258614384a9"
    )
    assert template.digest(TEMPLATE) == (
        "v2:194d7412fa8d35312f7acea8d2dcf6459544132d9768368e866dd5c0f633eb74"
    )


def test_every_field_of_a_template_has_a_remedy() -> None:
    names = {field.name for field in fields(Template)}
    assert drift.FIELD_REMEDIES.keys() == names
    assert CHANGED.keys() == names


@pytest.mark.parametrize("name", sorted(CHANGED))
def test_what_needs_a_new_container_is_in_the_hash_and_nothing_else(name: str) -> None:
    changed = replace(TEMPLATE, **{name: CHANGED[name]})
    in_hash = drift.FIELD_REMEDIES[name] is Remedy.REPLACE and name not in COMPARED_OTHERWISE
    assert (template.digest(changed) != template.digest(TEMPLATE)) == in_hash


def test_the_claim_covers_every_label_that_is_written() -> None:
    signed = template.signed(dict.fromkeys(labels.SIGNED, "x"), "i", b"key")
    assert signed.keys() == {*labels.SIGNED, labels.CLAIM}


@pytest.mark.parametrize("label", labels.SIGNED)
def test_a_claim_is_for_the_very_labels_that_were_signed(label: str) -> None:
    signed = template.signed(dict.fromkeys(labels.SIGNED, "x"), "i", b"key")
    assert claims.judge(b"key", signed) is claims.Ownership.OWNED
    assert claims.judge(b"key", {**signed, label: "y"}) is claims.Ownership.FOREIGN
    assert claims.judge(b"key", {**signed, label: ""}) is claims.Ownership.FOREIGN


def test_a_claim_tells_where_one_value_ends_and_the_next_begins() -> None:
    """Else a label could be lengthened at the cost of its neighbour, and the claim would still be valid."""
    for first, second in itertools.pairwise(labels.SIGNED):
        one, other = ({first: "ab", second: "c"}, {first: "a", second: "bc"})
        assert claims.sign(b"key", one) != claims.sign(b"key", other)


def test_no_environment_names_gpus_that_were_not_granted() -> None:
    """A spec cannot say it (see rules); a class of an older policy could have."""
    given = resolve.resolve(builders.accepted(), builders.standing(), builders.account("alice"))
    assert isinstance(given, Effective)
    asking = replace(given, env=(("A", "a"), ("NVIDIA_VISIBLE_DEVICES", "all")))
    env = dict(template.render(asking, (), "/run/secrets").env)
    assert (env["A"], env["NVIDIA_VISIBLE_DEVICES"]) == ("a", "void")


def test_what_failed_before_an_upgrade_is_not_tried_again_for_it() -> None:
    changed = {"env": {"A": "new"}, "lifecycle": {"changes": "Immediate"}}
    world = stories.tell(
        [
            {"workspace": "alice", "spec": {"lifecycle": {"changes": "Immediate"}}},
            {"edit": "alice", "spec": changed},
            {"program": "sample:1", "does": "ends"},
            {"passes": 3},
            {"program": "sample:1", "does": "well"},
            {"passes": 4},
            {"wait": "24h"},
        ]
    )
    planner = Planner(world.rules)
    world.plan(planner)
    design, failed = planner.designs["alice"], world.memory.failed["alice"]
    assert isinstance(design, Blueprint)
    before = replace(failed, template_hash=template.digest(design.template, "v1"))
    world.remember(failed={"alice": before})
    assert world.plan().decisions["alice"].reason is Reason.REPLACEMENT_FAILED
    world.remember(failed={"alice": replace(failed, template_hash="v1:another")})
    assert world.plan().decisions["alice"].reason is Reason.SPEC_CHANGED
