from dataclasses import replace
from datetime import timedelta

import pytest

from controller.audit import causes
from controller.audit.evidence import Ask, Deed, Evidence
from tests.support.histories import NOON, OTHER, ask, deed, happening, later, standing, stopped


def removed(reason: str, **changes: object) -> Evidence:
    gone = happening("destroy", started_at=None, **changes)
    chain = (deed("RemoveContainer", workspace="retained/workspace-alice.0123abcd", reason=reason),)
    return Evidence(at=later(2), deeds=chain, happenings=(gone,), asks=())


def test_a_removal_that_nobody_wanted_is_a_violation() -> None:
    (found,) = causes.no_data_lost(removed("SpecChanged", bytes_held=10))
    assert (found.invariant, found.subject) == ("S2", "alice")
    assert "10 bytes" in found.message
    assert list(causes.no_data_lost(removed("SpecChanged", ever_ran=False))) == []


def test_what_a_person_wants_forgotten_may_go_and_nothing_else() -> None:
    wanted = removed("ForgetRequested", bytes_held=10)
    (found,) = causes.no_data_lost(wanted)
    assert found.invariant == "S2"
    (found,) = causes.no_data_lost(replace(wanted, asks=(ask("forget", OTHER),)))
    assert found.invariant == "S2"
    assert list(causes.no_data_lost(replace(wanted, asks=(ask("forget", "a" * 64),)))) == []


def test_what_was_kept_long_enough_may_go_if_it_holds_nothing() -> None:
    assert list(causes.no_data_lost(removed("RetentionOver", bytes_held=0))) == []
    (found,) = causes.no_data_lost(removed("RetentionOver", bytes_held=1))
    assert found.invariant == "S2"


def test_it_is_said_where_nobody_knows_what_went() -> None:
    unknown = removed("RetentionOver")
    assert list(causes.no_data_lost(unknown)) == []
    assert causes.removals_unknown(unknown)
    assert not causes.removals_unknown(removed("RetentionOver", bytes_held=0))
    asked = replace(removed("ForgetRequested"), unheard=frozenset({"forget"}))
    assert list(causes.no_data_lost(asked)) == []
    assert causes.removals_unknown(asked)


@pytest.mark.parametrize("kind", ["RemoveVolume", "PruneImages", "Exec"])
def test_an_action_without_a_word_is_a_violation(kind: str) -> None:
    (found,) = causes.no_data_lost(Evidence(at=NOON, deeds=(deed(kind),)))
    assert found.invariant == "S2"
    assert list(causes.no_data_lost(Evidence(at=NOON, deeds=(deed(kind),), fresh_deeds=1))) == []


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
    ],
)
def test_a_stop_needs_somebody_who_said_so(reason: str, cause: str | None, said: Ask) -> None:
    assert list(causes.no_stop_without_cause(stop(reason, said, cause=cause))) == []
    for other in ((), (replace(said, subject="bob"),), (replace(said, at=later(9)),), (ask("resume"),)):
        (found,) = causes.no_stop_without_cause(stop(reason, *other, cause=cause))
        assert (found.invariant, found.subject) == ("S3", "alice")


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


def disruptions(*seconds: float, cause: str = "Edited", of: str = "") -> Evidence:
    deeds = [deed(intent=n, at=later(s), cause=cause, workspace=of or f"w{n}") for n, s in enumerate(seconds)]
    return Evidence(at=later(max(seconds)), deeds=deeds, per_minute=1, percent=10)


def test_the_pace_is_kept() -> None:
    assert list(causes.within_budget(disruptions(0, 60))) == []
    (found,) = causes.within_budget(disruptions(0, 59.9))
    assert (found.invariant, found.subject) == ("S10", "w1")
    assert list(causes.within_budget(replace(disruptions(0, 59.9), per_minute=2))) == []
    assert list(causes.within_budget(replace(disruptions(0, 59.9), fresh_deeds=2))) == []


def test_the_chain_counts_and_not_its_actions() -> None:
    one = deed(cause="Edited")
    evidence = Evidence(at=NOON, deeds=(one, replace(one, place=1)), per_minute=1, percent=10)
    assert list(causes.within_budget(evidence)) == []


def test_the_share_of_ten_minutes_is_kept() -> None:
    over = disruptions(0, 60, 120)
    (found,) = causes.within_budget(over)
    assert "Edited" in found.message
    many = tuple(standing(workspace=f"w{n}") for n in range(30))
    assert list(causes.within_budget(replace(over, standings=many))) == []
    assert list(causes.within_budget(disruptions(0, 60, 600))) == []
    assert list(causes.within_budget(disruptions(0, 60, 120, cause="Approved"))) == []
    assert list(causes.within_budget(disruptions(0, 60, 120, of="alice"))) == []


def test_causes_have_a_share_each() -> None:
    evidence = disruptions(0, 60, 120)
    deeds = (*evidence.deeds[:2], replace(evidence.deeds[2], cause="ImageMoved"))
    assert list(causes.within_budget(replace(evidence, deeds=deeds))) == []


def test_what_somebody_asked_for_counts_in_no_budget() -> None:
    evidence = disruptions(0, 1, 2)
    deeds = tuple(replace(one, cause=None) for one in evidence.deeds)
    assert list(causes.within_budget(replace(evidence, deeds=deeds))) == []


def test_a_clock_that_went_back_is_no_end_of_the_ten_minutes() -> None:
    evidence = disruptions(0, 30)
    early = deed(intent=2, at=NOON - timedelta(hours=1), cause=None)
    deeds = (evidence.deeds[0], early, replace(evidence.deeds[1], intent=3))
    assert list(causes.within_budget(replace(evidence, deeds=deeds)))


def test_without_a_budget_it_is_not_judged_and_that_is_said() -> None:
    evidence = replace(disruptions(0, 1, 2), per_minute=None, percent=None)
    assert list(causes.within_budget(evidence)) == []
    assert causes.budget_unknown(evidence)
    assert not causes.budget_unknown(disruptions(0))
