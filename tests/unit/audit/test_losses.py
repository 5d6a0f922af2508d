from dataclasses import replace
from datetime import timedelta

import pytest

from controller.audit import losses
from controller.audit.evidence import Evidence
from tests.support.histories import NOON, OTHER, ask, deed, happening, later


def removed(reason: str, **changes: object) -> Evidence:
    gone = happening("destroy", started_at=None, **changes)
    chain = (deed("RemoveContainer", workspace="retained/workspace-alice.0123abcd", reason=reason),)
    return Evidence(at=later(2), deeds=chain, happenings=(gone,), asks=())


def test_a_removal_that_nobody_wanted_is_a_violation() -> None:
    (found,) = losses.no_data_lost(removed("SpecChanged", bytes_held=10))
    assert (found.invariant, found.subject) == ("S2", "alice")
    assert "10 bytes" in found.message
    assert list(losses.no_data_lost(removed("SpecChanged", ever_ran=False))) == []


def test_what_a_person_wants_forgotten_may_go_and_nothing_else() -> None:
    wanted = removed("ForgetRequested", bytes_held=10)
    (found,) = losses.no_data_lost(wanted)
    assert found.invariant == "S2"
    (found,) = losses.no_data_lost(replace(wanted, asks=(ask("forget", OTHER),)))
    assert found.invariant == "S2"
    assert list(losses.no_data_lost(replace(wanted, asks=(ask("forget", "a" * 64),)))) == []


def test_what_was_kept_long_enough_may_go_if_it_holds_nothing() -> None:
    assert list(losses.no_data_lost(removed("RetentionOver", bytes_held=0))) == []
    (found,) = losses.no_data_lost(removed("RetentionOver", bytes_held=1))
    assert found.invariant == "S2"


def test_it_is_said_where_nobody_knows_what_went() -> None:
    unknown = removed("RetentionOver")
    assert list(losses.no_data_lost(unknown)) == []
    assert losses.removals_unknown(unknown)
    assert not losses.removals_unknown(removed("RetentionOver", bytes_held=0))
    asked = replace(removed("ForgetRequested"), unheard=frozenset({"forget"}))
    assert list(losses.no_data_lost(asked)) == []
    assert losses.removals_unknown(asked)


@pytest.mark.parametrize("kind", ["RemoveVolume", "PruneImages", "Exec"])
def test_an_action_without_a_word_is_a_violation(kind: str) -> None:
    (found,) = losses.no_data_lost(Evidence(at=NOON, deeds=(deed(kind),)))
    assert found.invariant == "S2"
    assert list(losses.no_data_lost(Evidence(at=NOON, deeds=(deed(kind),), fresh_deeds=1))) == []


def test_what_is_kept_stays_for_its_time() -> None:
    hour = timedelta(hours=1)
    evidence = replace(removed("RetentionOver", bytes_held=0), retain=hour)
    assert list(losses.no_data_lost(evidence)) == [], "it is not known since when it was kept"
    aside = deed("RetainContainer", intent=1, at=later(1) - hour)
    again = deed("RetainContainer", intent=2, at=NOON)
    back = deed("ForgetRetained", intent=2, at=later(-60))
    own = deed("ForgetRetained", place=1)
    assert list(losses.no_data_lost(replace(evidence, deeds=(aside, again, *evidence.deeds, own)))) == []
    for deeds in ((again,), (replace(aside, at=later(2) - hour),), (aside, back, replace(again, intent=3))):
        (found,) = losses.no_data_lost(replace(evidence, deeds=(*deeds, *evidence.deeds, own)))
        assert "before its time" in found.message
    assert list(losses.no_data_lost(replace(evidence, deeds=(again, *evidence.deeds), retain=None))) == []
