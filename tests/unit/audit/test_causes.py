from dataclasses import replace
from datetime import timedelta

import pytest

from controller.audit import causes
from controller.audit.evidence import Ask, Deed, Evidence
from tests.support.histories import NOON, ask, deed, happening, later, stopped


def stop(reason: str, *asks: Ask, cause: str | None = None, before: tuple[Deed, ...] = ()) -> Evidence:
    return stopped(deeds=(*before, deed(reason=reason, cause=cause)), asks=asks)


@pytest.mark.parametrize(
    ("reason", "cause", "said"),
    [
        ("SpecStopped", None, ask("stop")),
        ("SpecStopped", "Edited", ask("edit")),
        ("SpecStopped", "Edited", ask("edit", "")),
        ("SpecStopped", "Approved", ask("approve")),
        ("RestartRequested", None, ask("restart")),
        ("SpecChanged", "ImageMoved", ask("tag", "")),
        ("SpecRemoved", "Removed", ask("remove")),
        ("SpecRemoved", None, ask("delete")),
        ("RollbackRequested", None, ask("rollback")),
        ("OverQuota", "Edited", ask("edit", "")),
        ("OverQuota", "Approved", ask("approve")),
    ],
)
def test_a_stop_needs_somebody_who_said_so(reason: str, cause: str | None, said: Ask) -> None:
    assert list(causes.no_stop_without_cause(stop(reason, said, cause=cause))) == []
    for other in ((), (replace(said, subject="bob"),), (replace(said, at=later(9)),), (ask("resume"),)):
        (found,) = causes.no_stop_without_cause(stop(reason, *other, cause=cause))
        assert (found.invariant, found.subject) == ("S3", "alice")


def test_a_quota_stops_only_what_the_policy_says_so_of() -> None:
    evidence = stop("OverQuota", ask("edit", ""), cause="Edited")
    now, later_on = frozenset({"runningWorkspaces"}), frozenset[str]()
    for enforced in ([(later(-9), now)], [(later(-9), later_on), (later(-5), now), (later(9), later_on)]):
        assert list(causes.no_stop_without_cause(replace(evidence, enforced=enforced))) == []
    for enforced in ([], [(later(-9), later_on)], [(later(-9), now), (later(-5), later_on), (later(9), now)]):
        (found,) = causes.no_stop_without_cause(replace(evidence, enforced=enforced))
        assert "did not enforce" in found.message


@pytest.mark.parametrize("reason", ["AsSpecified", "ContainerExited", "Drifted", ""])
def test_other_reasons_stop_nothing(reason: str) -> None:
    everything = tuple(ask(what) for what in ("stop", "edit", "restart", "approve", "rollback", "delete"))
    (found,) = causes.no_stop_without_cause(stop(reason, *everything))
    assert found.invariant == "S3"


def test_a_stop_without_any_chain_is_a_violation() -> None:
    (found,) = causes.no_stop_without_cause(stopped(deeds=()))
    assert found.invariant == "S3"


def test_the_last_word_before_the_look_wins() -> None:
    evidence = stop("SpecStopped", ask("stop"), ask("start"))
    (found,) = causes.no_stop_without_cause(evidence)
    assert "start" in found.message
    too_late = replace(evidence, asks=(ask("stop"), ask("start", at=later(0.2))))
    assert list(causes.no_stop_without_cause(too_late)) == []
    again = replace(evidence, asks=(ask("stop"), ask("start"), ask("stop")))
    assert list(causes.no_stop_without_cause(again)) == []


def test_what_makes_way_was_put_aside_before() -> None:
    edit = ask("edit")
    (found,) = causes.no_stop_without_cause(stop("ReplacementUnderWay", edit))
    assert found.invariant == "S3"
    aside = deed("RetainContainer", intent=4, at=later(-5))
    assert list(causes.no_stop_without_cause(stop("ReplacementUnderWay", edit, before=(aside,)))) == []
    (found,) = causes.no_stop_without_cause(stop("ReplacementUnderWay", before=(aside,)))
    assert "edit" in found.message


def test_a_predecessor_is_known_by_its_name_too() -> None:
    evidence = stop("ReplacementUnderWay", ask("edit"))
    named = happening(name="workspace-alice.0123abcd")
    assert list(causes.no_stop_without_cause(replace(evidence, happenings=(named,)))) == []


def test_a_roll_back_was_begun_before() -> None:
    (found,) = causes.no_stop_without_cause(stop("RollingBack", ask("edit")))
    assert found.invariant == "S3"
    begun = deed("BeginRollback", intent=4)
    assert list(causes.no_stop_without_cause(stop("RollingBack", ask("edit"), before=(begun,)))) == []


@pytest.mark.parametrize(
    "wanting", [{"asks": None}, {"asks_since": NOON}, {"unheard": frozenset({"restart"})}]
)
def test_a_stop_of_which_nobody_keeps_who_wanted_it_is_not_judged_and_that_is_said(
    wanting: dict[str, object],
) -> None:
    evidence = replace(stop("RestartRequested"), **wanting)  # type: ignore[arg-type]
    assert list(causes.no_stop_without_cause(evidence)) == []
    assert causes.causes_unknown(evidence)
    assert not causes.causes_unknown(stop("RestartRequested"))


def test_an_old_look_is_no_ground_to_stop_anything() -> None:
    (found,) = causes.fresh_evidence(stopped(happenings=(happening(seen_at=later(-31)),)))
    assert found.invariant == "S4"
    assert list(causes.fresh_evidence(stopped(happenings=(happening(seen_at=later(-30)),)))) == []
    unknown = stopped(happenings=(happening(seen_at=None),))
    assert list(causes.fresh_evidence(unknown)) == []
    assert causes.looks_unknown(unknown)
    assert not causes.looks_unknown(stopped())


def test_a_spec_must_be_gone_for_the_grace() -> None:
    gone = ask("remove", at=later(-9))
    evidence = replace(stop("SpecRemoved", gone, cause="Removed"), deletion_grace=timedelta(seconds=10))
    (found,) = causes.no_stop_without_cause(evidence)
    assert "grace" in found.message
    assert list(causes.no_stop_without_cause(replace(evidence, deletion_grace=None))) == []
    for long_ago in (replace(gone, at=later(-10)), replace(gone, subject="", at=later(-10))):
        assert list(causes.no_stop_without_cause(replace(evidence, asks=(long_ago, gone)))) == []
