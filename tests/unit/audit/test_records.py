from dataclasses import replace

from controller.audit import records
from controller.audit.evidence import Evidence
from tests.support.histories import NOON, OTHER, deed, happening, later, stopped


def test_a_call_of_an_epoch_that_is_over_is_a_violation() -> None:
    late = happening(asked_at=later(2))
    (found,) = records.single_writer(stopped(happenings=(late,), epoch=4, epoch_began=later(1)))
    assert found.invariant == "S9"


def test_a_call_that_was_asked_for_before_the_next_epoch_began_is_none() -> None:
    late = happening(asked_at=later(0.5))
    assert list(records.single_writer(stopped(happenings=(late,), epoch=4, epoch_began=later(1)))) == []


def test_where_nobody_knows_when_it_was_asked_for_the_intent_tells() -> None:
    next_one = deed("StartContainer", epoch=4, intent=6, at=later(1))
    assert list(records.single_writer(stopped(deeds=(deed(), next_one), epoch=4))) == []
    tardy = stopped(deeds=(replace(next_one, at=later(-1), intent=4), deed()), epoch=4, fresh_deeds=2)
    (found,) = records.single_writer(tardy)
    assert "epoch 3" in found.message


def test_an_older_epoch_that_begins_a_chain_is_a_violation() -> None:
    deeds = (deed(epoch=4, intent=4), deed())
    (found,) = records.single_writer(Evidence(at=NOON, deeds=deeds))
    assert (found.invariant, found.at) == ("S9", NOON)
    assert list(records.single_writer(Evidence(at=NOON, deeds=deeds, fresh_deeds=2))) == []


def test_a_call_without_an_intent_is_a_violation() -> None:
    for evidence in (stopped(deeds=()), stopped(happenings=(happening(intent=None),))):
        (found,) = records.written_before(evidence)
        assert found.invariant == "S11"
        assert "no intent" in found.message


def test_a_call_that_its_intent_is_not_for_is_a_violation() -> None:
    for other in (happening("destroy"), happening(container_id=OTHER), happening("pause")):
        (found,) = records.written_before(stopped(happenings=(other,)))
        assert "intent 5" in found.message


def test_a_call_that_was_asked_for_after_its_intent_was_resolved_is_a_violation() -> None:
    done = deed(resolved_at=later(2))
    late = happening(at=later(9), asked_at=later(3))
    (found,) = records.written_before(stopped(deeds=(done,), happenings=(late,)))
    assert "resolved" in found.message
    in_time = replace(late, asked_at=later(1))
    assert list(records.written_before(stopped(deeds=(done,), happenings=(in_time,)))) == []


def test_what_is_made_has_its_intent_by_its_name() -> None:
    chain = (deed("GrantPorts"), deed("CreateContainer", place=1))
    evidence = stopped(deeds=chain, happenings=(happening("create", container_id=OTHER),))
    assert list(records.written_before(evidence)) == []


def test_it_is_said_where_nobody_knows_who_did_something() -> None:
    assert records.authors_unknown(stopped(happenings=(happening(by=None),)))
    assert not records.authors_unknown(stopped())
    assert not records.authors_unknown(stopped(happenings=(happening(by=None, workspace=""),)))


def test_a_spec_in_force_that_nobody_wrote_is_a_violation() -> None:
    evidence = Evidence(at=NOON, accepted={"alice": "half"}, spec_digests={"alice": frozenset({"whole"})})
    (found,) = records.written_by_people(evidence)
    assert (found.invariant, found.subject) == ("S12", "alice")
    assert list(records.written_by_people(replace(evidence, accepted={"alice": "whole"}))) == []
    assert records.specs_unknown(replace(evidence, spec_digests=None))
    assert not records.specs_unknown(evidence)


def test_a_secret_in_what_is_told_is_a_violation_and_is_not_repeated() -> None:
    evidence = Evidence(at=NOON, texts=("fine", "token=hunter2 was set"), canaries=("hunter2",))
    (found,) = records.no_secrets(evidence)
    assert found.invariant == "S14"
    assert "hunter2" not in found.message
    assert list(records.no_secrets(replace(evidence, fresh_texts=2))) == []
    assert not records.secrets_unknown(evidence)
    assert records.secrets_unknown(replace(evidence, canaries=()))
    assert records.secrets_unknown(replace(evidence, texts=()))
