"""Which kept containers go: what a writable layer holds, how old it is, and who needs it still."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.api.conditions import Reason
from controller.model.memory import Replacement, Retained, Rollback
from controller.model.observed import Bind, Container, Layer
from controller.planning import retention
from tests.support import builders
from tests.support.world import World

DAYS = timedelta(hours=72)
MIB = 2**20


def container(*targets: str) -> Container:
    found = next(iter(World().add(builders.accepted()).containers.values()))
    binds = tuple(Bind(target, f"/mnt/storage{target}", read_only=False) for target in targets)
    return replace(found, configuration=replace(found.configuration, binds=binds))


@pytest.mark.parametrize(
    ("changed", "goes"),
    [
        ([], True),
        (["/tmp", "/tmp/x", "/var", "/var/log", "/var/log/a", "/var/cache/apt/b", "/run/x"], True),
        (["/root", "/root/.cache", "/root/.cache/pip/x"], True),
        (["/home", "/home/a"], True),
        (["/home", "/home/a", "/home/a/file"], False),
        (["/home/b/.cache/x"], True),
        (["/tmpfile"], False),
        (["/var/logs"], False),
        (["/srv"], False),
        (["/root/.cached"], False),
        (["/etc/passwd"], False),
    ],
)
def test_only_logs_and_caches_and_what_lies_above_them_are_expendable(changed: list[str], goes: bool) -> None:
    # below a mount there is nothing of the layer's own but what was written before it was mounted
    layer = Layer(MIB, tuple(changed))
    assert retention.is_expendable(container("/home/a/data"), layer) == goes


def test_a_layer_of_64_mib_may_go_and_a_larger_one_may_not() -> None:
    assert retention.is_expendable(container(), Layer(64 * MIB, ()))
    assert not retention.is_expendable(container(), Layer(64 * MIB + 1, ()))
    assert not retention.is_expendable(container(), Layer(0, (), complete=False))


@given(st.lists(st.sampled_from(["/tmp/a", "/var/log/b", "/srv/thesis", "/home/a/x", "/opt"]), min_size=1))
def test_one_path_of_worth_is_enough_to_stay(changed: list[str]) -> None:
    of_worth = {"/srv/thesis", "/home/a/x", "/opt"} & set(changed)
    assert retention.is_expendable(container(), Layer(0, tuple(changed))) == (not of_worth)


def kept(identifier: str = "a" * 64, hours: float = 80) -> Retained:
    at = builders.NOW - timedelta(hours=hours)
    return Retained(identifier, "alice", f"workspace-alice.{identifier[:8]}", at, Reason.SPEC_CHANGED)


def test_the_oldest_go_first_and_the_young_not_at_all() -> None:
    several = [kept("a" * 64, 73), kept("b" * 64, 90), kept("c" * 64, 71.9)]
    memory = builders.memory(retained={one.container_id: one for one in several})
    assert retention.expired(memory, DAYS, builders.NOW) == ("b" * 64, "a" * 64)


def test_the_way_back_is_never_over() -> None:
    one, shelf = kept(), {"a" * 64: kept()}
    begun = Replacement("alice", one.container_id, "v1:x", "sha256:x", builders.NOW)
    back = Rollback("alice", one.container_id, requested=True, at=builders.NOW, by="root")
    for needed in ({"replacements": {"alice": begun}}, {"rollbacks": {"alice": back}}):
        memory = builders.memory(retained=shelf, **needed)
        assert retention.expired(memory, DAYS, builders.NOW) == ()
    other = builders.memory(retained=shelf, replacements={"alice": replace(begun, old_id="b" * 64)})
    assert retention.expired(other, DAYS, builders.NOW) == ("a" * 64,)


def test_containers_that_stay_are_not_in_the_way_of_those_that_came_later() -> None:
    due, looked = ("a", "b", "c", "d"), {"a": builders.NOW, "b": builders.NOW, "c": builders.NOW}
    assert retention.next_looks(due, {}, builders.NOW) == due
    assert retention.next_looks(due, looked, builders.NOW + timedelta(seconds=15)) == ("d",)


def test_a_layer_is_looked_into_again_after_a_while_and_after_a_clock_was_set_back() -> None:
    looked = {"a": builders.NOW, "b": builders.NOW - timedelta(seconds=1)}
    soon, later = (builders.NOW + retention.LOOK_AGAIN + timedelta(seconds=s) for s in (-1, 0))
    assert retention.next_looks("ab", looked, soon) == ("b",)
    assert retention.next_looks("ab", looked, later) == ("b", "a")
    assert retention.next_looks("ab", looked, builders.NOW - timedelta(days=1)) == ("b", "a")
