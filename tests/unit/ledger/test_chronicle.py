"""Events are counted, not repeated, and the oldest go."""

import dataclasses

import pytest

from controller.api.conditions import Reason
from controller.ledger import chronicle
from controller.ledger.ledger import Ledger
from tests.support import ledgers
from tests.support.ledgers import MINUTE, NOW


def test_an_event_that_happens_again_is_counted_and_becomes_the_newest(ledger: Ledger) -> None:
    first = ledger.record_event(ledgers.event("a"))
    ledger.record_event(ledgers.event("b"))
    again = ledger.record_event(ledgers.event("a", at=NOW + MINUTE))
    assert (first.count, first.first_at) == (1, NOW)
    assert (again.count, again.first_at, again.at) == (2, NOW, NOW + MINUTE)
    assert [(event.message, event.count) for event in ledger.events(None, 10)] == [("b", 1), ("a", 2)]
    assert ledger.events(None, 1) == (again,)


def test_another_subject_reason_or_message_is_another_event(ledger: Ledger) -> None:
    event = ledgers.event()
    for other in (
        event,
        dataclasses.replace(event, subject="bob"),
        dataclasses.replace(event, reason=Reason.PAUSED),
        dataclasses.replace(event, message="other"),
    ):
        assert ledger.record_event(other).count == 1
    assert [found.subject for found in ledger.events("bob", 10)] == ["bob"]
    assert len(ledger.events(None, 10)) == 4


def test_the_newest_say_whether_to_look(ledger: Ledger) -> None:
    ledger.record_event(ledgers.event())
    calm = dataclasses.replace(ledgers.event(), warning=False)
    assert ledger.record_event(calm).warning is False
    assert ledger.events(None, 10)[0].warning is False


def test_text_that_no_file_could_hold_is_kept_readable(ledger: Ledger) -> None:
    event = ledger.record_event(ledgers.event("file \udcff\x00 is odd"))
    assert ledger.record_event(ledgers.event("file \udcff\x00 is odd")).count == 2
    assert event.message == "file ?\x00 is odd"


def test_the_oldest_go(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chronicle, "KEPT", 5)
    for number in range(8):
        ledger.record_event(ledgers.event(str(number)))
    ledger.record_event(ledgers.event("3"))
    ledger.record_event(ledgers.event("8"))
    assert [event.message for event in ledger.events(None, 100)] == ["5", "6", "7", "3", "8"]
