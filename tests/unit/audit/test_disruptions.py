from dataclasses import replace
from datetime import timedelta

from controller.audit import disruptions
from controller.audit.evidence import Evidence
from tests.support.histories import NOON, deed, later, standing


def disrupted(*seconds: float, cause: str = "Edited", of: str = "") -> Evidence:
    deeds = [deed(intent=n, at=later(s), cause=cause, workspace=of or f"w{n}") for n, s in enumerate(seconds)]
    return Evidence(at=later(max(seconds)), deeds=deeds, per_minute=1, percent=10)


def test_the_pace_is_kept() -> None:
    assert list(disruptions.within_budget(disrupted(0, 60))) == []
    (found,) = disruptions.within_budget(disrupted(0, 59.9))
    assert (found.invariant, found.subject) == ("S10", "w1")
    assert list(disruptions.within_budget(replace(disrupted(0, 59.9), per_minute=2))) == []
    assert list(disruptions.within_budget(replace(disrupted(0, 59.9), fresh_deeds=2))) == []


def test_the_chain_counts_and_not_its_actions() -> None:
    one = deed(cause="Edited")
    evidence = Evidence(at=NOON, deeds=(one, replace(one, place=1)), per_minute=1, percent=10)
    assert list(disruptions.within_budget(evidence)) == []


def test_the_share_of_ten_minutes_is_kept() -> None:
    over = disrupted(0, 60, 120)
    (found,) = disruptions.within_budget(over)
    assert "Edited" in found.message
    many = tuple(standing(workspace=f"w{n}") for n in range(30))
    assert list(disruptions.within_budget(replace(over, standings=many))) == []
    assert list(disruptions.within_budget(disrupted(0, 60, 600))) == []
    assert list(disruptions.within_budget(disrupted(0, 60, 120, cause="Approved"))) == []
    assert list(disruptions.within_budget(disrupted(0, 60, 120, of="alice"))) == []


def test_causes_have_a_share_each() -> None:
    evidence = disrupted(0, 60, 120)
    deeds = (*evidence.deeds[:2], replace(evidence.deeds[2], cause="ImageMoved"))
    assert list(disruptions.within_budget(replace(evidence, deeds=deeds))) == []


def test_what_somebody_asked_for_counts_in_no_budget() -> None:
    evidence = disrupted(0, 1, 2)
    deeds = tuple(replace(one, cause=None) for one in evidence.deeds)
    assert list(disruptions.within_budget(replace(evidence, deeds=deeds))) == []


def test_a_clock_that_went_back_is_no_end_of_the_ten_minutes() -> None:
    evidence = disrupted(0, 30)
    early = deed(intent=2, at=NOON - timedelta(hours=1), cause=None)
    deeds = (evidence.deeds[0], early, replace(evidence.deeds[1], intent=3))
    assert list(disruptions.within_budget(replace(evidence, deeds=deeds)))


def test_without_a_budget_it_is_not_judged_and_that_is_said() -> None:
    evidence = replace(disrupted(0, 1, 2), per_minute=None, percent=None)
    assert list(disruptions.within_budget(evidence)) == []
    assert disruptions.budget_unknown(evidence)
    assert not disruptions.budget_unknown(disrupted(0))
