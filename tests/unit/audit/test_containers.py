from dataclasses import replace
from datetime import timedelta

import pytest

from controller.audit import containers, invariants
from controller.audit.evidence import Evidence
from tests.support.histories import (
    BEGAN,
    NOON,
    OTHER,
    deed,
    happening,
    later,
    standing,
    stopped,
)


def test_an_ordinary_stop_violates_nothing() -> None:
    assert list(invariants.judge(stopped())) == []


def both(**changes: object) -> Evidence:
    bob = standing(container_id=OTHER, name="workspace-bob", workspace="bob", units=frozenset({"port/10022"}))
    return Evidence(
        at=NOON,
        standings=(standing(units=frozenset({"port/10022"})), replace(bob, **changes)),  # type: ignore[arg-type]
    )


def test_one_unit_for_two_workspaces_is_a_violation() -> None:
    (found,) = containers.exclusive_units(both())
    assert (found.invariant, found.subject) == ("S1", "bob")
    assert "port/10022" in found.message


@pytest.mark.parametrize(
    "changes",
    [
        {"running": False},
        {"owned": False},
        {"workspace": "alice"},
        {"units": frozenset({"port/10122"})},
    ],
)
def test_a_unit_is_free_beside_what_cannot_hold_it(changes: dict[str, object]) -> None:
    assert list(containers.exclusive_units(both(**changes))) == []


def test_a_call_on_what_is_not_ours_is_a_violation() -> None:
    (found,) = containers.only_ours(stopped(happenings=(happening(workspace=""),)))
    assert found.invariant == "S5"


def test_a_call_on_another_workspace_than_the_intent_is_for_is_a_violation() -> None:
    (found,) = containers.only_ours(stopped(happenings=(happening(workspace="bob"),)))
    assert found.invariant == "S5"
    assert "alice" in found.message


def test_what_others_do_to_what_is_not_ours_is_their_affair() -> None:
    foreign = happening(workspace="", by="person")
    assert list(containers.only_ours(stopped(happenings=(foreign,)))) == []


def test_only_what_is_fresh_is_judged() -> None:
    assert (
        list(containers.only_ours(stopped(happenings=(happening(workspace=""),), fresh_happenings=1))) == []
    )


@pytest.mark.parametrize("changes", [{"pid": 78}, {"started_at": BEGAN + timedelta(seconds=1)}])
def test_a_stop_of_another_run_is_a_violation(changes: dict[str, object]) -> None:
    (found,) = containers.the_very_run(stopped(happenings=(happening(**changes),)))
    assert found.invariant == "S6"


def test_a_run_that_began_after_the_comparison_can_be_met() -> None:
    met = happening(pid=78, started_at=later(0.9), compared_at=later(0.8))
    assert list(containers.the_very_run(stopped(happenings=(met,)))) == []
    (found,) = containers.the_very_run(stopped(happenings=(replace(met, compared_at=later(0.95)),)))
    assert found.invariant == "S6"


def test_a_start_after_another_run_than_expected_is_a_violation() -> None:
    before = {"running": False, "started_at": BEGAN.isoformat(), "pid": 0}
    facts = {**deed("StartContainer").facts, "expected": before}
    evidence = stopped(deeds=(deed("StartContainer", facts=facts),), happenings=(happening("start"),))
    assert list(containers.the_very_run(evidence)) == []
    (found,) = containers.the_very_run(replace(evidence, happenings=(happening("start", started_at=NOON),)))
    assert found.invariant == "S6"


def test_a_run_that_nobody_looked_at_is_not_judged_and_that_is_said() -> None:
    evidence = stopped(happenings=(happening(pid=0, started_at=None, run_known=False),))
    assert list(containers.the_very_run(evidence)) == []
    assert containers.runs_unknown(evidence)
    assert not containers.runs_unknown(stopped())


def started(**other: object) -> Evidence:
    """The controller started alice's container while another one of hers was there."""
    old = standing(container_id=OTHER, name="workspace-alice.0123abcd", kept=True, started_at=BEGAN)
    return Evidence(
        at=later(2),
        deeds=(deed("StartContainer"),),
        happenings=(happening("start", started_at=None),),
        standings=(standing(started_at=later(1)), replace(old, **other)),  # type: ignore[arg-type]
        epoch=3,
    )


def test_a_start_beside_a_predecessor_that_runs_is_a_violation() -> None:
    (found,) = containers.one_runs(started())
    assert found.invariant == "S7"
    assert "workspace-alice.0123abcd" in found.message


@pytest.mark.parametrize("changes", [{"running": False}, {"workspace": "bob"}, {"owned": False}])
def test_a_start_beside_what_does_not_count_is_none(changes: dict[str, object]) -> None:
    assert list(containers.one_runs(started(**changes))) == []


def test_what_somebody_started_after_the_look_is_no_violation_of_ours() -> None:
    assert list(containers.one_runs(started(started_at=later(-0.2)))) == []


def test_what_the_controller_itself_started_after_the_look_is_one() -> None:
    evidence = started(started_at=later(-0.2))
    mine = happening("start", container_id=OTHER, at=later(-0.2), intent=4)
    evidence = replace(evidence, happenings=(mine, *evidence.happenings), fresh_happenings=1)
    (found,) = containers.one_runs(evidence)
    assert found.invariant == "S7"


def test_a_late_call_of_a_dead_controller_is_no_start_of_ours() -> None:
    assert list(containers.one_runs(replace(started(), epoch=4))) == []


def first_start(seconds: float) -> Evidence:
    made = happening("create", at=later(-1), intent=4)
    begun = happening("start", seen_at=later(seconds))
    return Evidence(at=later(2), happenings=(made, begun))


def test_a_start_on_a_look_from_before_the_creation_is_a_violation() -> None:
    (found,) = containers.looked_before_start(first_start(-2))
    assert found.invariant == "S8"
    assert list(containers.looked_before_start(first_start(-0.5))) == []


def test_a_start_on_a_look_that_nobody_knows_is_not_judged_and_that_is_said() -> None:
    evidence = Evidence(at=NOON, happenings=(happening("create"), happening("start", seen_at=None)))
    assert list(containers.looked_before_start(evidence)) == []
    assert containers.looks_before_starts_unknown(evidence)
    assert not containers.looks_before_starts_unknown(first_start(-2))


@pytest.mark.parametrize(
    "source", ["/home/alice", "/srv/home-of-others/alice", "/srv/home/../../etc", "/srv/home/alice/.."]
)
def test_a_mount_beneath_no_root_is_a_violation(source: str) -> None:
    evidence = Evidence(at=NOON, standings=(standing(binds=(source,)),), roots=("/srv/home", "/run/secrets/"))
    (found,) = containers.beneath_roots(evidence)
    assert (found.invariant, found.subject) == ("S13", "alice")


@pytest.mark.parametrize("source", ["/srv/home", "/srv/home/alice", "/run/secrets/alice"])
def test_a_mount_beneath_a_root_is_none(source: str) -> None:
    evidence = Evidence(at=NOON, standings=(standing(binds=(source,)),), roots=("/srv/home", "/run/secrets/"))
    assert list(containers.beneath_roots(evidence)) == []


def test_without_roots_mounts_are_not_judged_and_that_is_said() -> None:
    evidence = Evidence(at=NOON, standings=(standing(binds=("/etc",)),))
    assert list(containers.beneath_roots(evidence)) == []
    assert containers.roots_unknown(evidence)
    assert not containers.roots_unknown(replace(evidence, roots=()))
