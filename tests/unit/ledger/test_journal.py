"""What was begun is told afterwards, by name and never with a value of the environment."""

import dataclasses
import json

import pytest

from controller.api.conditions import Reason
from controller.ledger import journal
from controller.ledger.ledger import Ledger
from controller.model import actions, outcomes
from controller.model.observed import Limits
from tests.support import ledgers
from tests.support.ledgers import MINUTE, NONCE, NOW


def test_a_chain_is_told_with_what_came_of_it(ledger: Ledger) -> None:
    ledger.next_epoch("E", NOW)
    stop = actions.StopContainer(
        "alice", ledgers.CONTAINER, "workspace-alice", MINUTE, actions.Expected(True, NOW, 17)
    )
    intent = ledger.open_intent(ledgers.decision("alice", stop, ledgers.start()), NOW)
    (under_way,) = ledger.intents("alice", 10)
    assert (under_way.resolved_at, under_way.outcomes) == (None, ())
    results = (
        outcomes.Succeeded(stop, 1.5),
        outcomes.Failed(
            ledgers.start(), 0.5, Reason.OUTCOME_UNKNOWN, "no answer", retryable=True, unknown=True
        ),
    )
    ledger.resolve_intent(intent, results, NOW + MINUTE)
    (told,) = ledger.intents("alice", 10)
    assert (told.epoch, told.verdict, told.reason, told.message) == (
        1,
        "Start",
        "ContainerExited",
        "it exited",
    )
    assert (told.resolved_at, told.abandoned) == (NOW + MINUTE, False)
    assert told.actions[0] == {
        "action": "StopContainer",
        "workspace": "alice",
        "container_id": ledgers.CONTAINER,
        "name": "workspace-alice",
        "grace": 60.0,
        "expected": {"running": True, "started_at": NOW.isoformat(), "pid": 17},
    }
    assert told.outcomes[0] == {
        "result": "Succeeded",
        "action": "StopContainer",
        "seconds": 1.5,
        "already": False,
    }
    assert told.outcomes[1]["result"] == "Failed"
    assert told.outcomes[1]["unknown"] is True
    assert ledger.recall(NONCE, NOW).open_intents == ()


def test_a_resolved_intent_stays_as_it_was_resolved(ledger: Ledger) -> None:
    intent = ledger.open_intent(ledgers.decision(), NOW)
    ledger.resolve_intent(intent, (outcomes.Succeeded(ledgers.start(), 1.0),), NOW)
    ledger.resolve_intent(intent, (), NOW + MINUTE)
    (told,) = ledger.intents(None, 10)
    assert (told.resolved_at, len(told.outcomes)) == (NOW, 1)


def test_values_of_the_environment_are_not_written_down(ledger: Ledger) -> None:
    chain = (ledgers.create(TOKEN="canary-4711"), actions.WriteSecrets("alice", (("t", "alice/t"),), 1, 1))
    intent = ledger.open_intent(ledgers.decision("alice", *chain), NOW)
    ledger.resolve_intent(intent, tuple(outcomes.Succeeded(action, 0.1) for action in chain), NOW)
    everything = json.dumps(ledger._database.execute("SELECT * FROM intents"))
    assert "TOKEN" in everything
    assert "canary" not in everything
    assert "limits" in everything


@pytest.mark.parametrize(
    "action",
    [
        actions.PullImage("alice", "img"),
        actions.EnsureNetwork("wharf", None, inter_container=False),
        actions.UpdateLimits(
            "alice",
            "c",
            "n",
            Limits(memory=None, pids=5),
            actions.Expected(running=False, started_at=None, pid=0),
        ),
        *ledgers.LEDGER_ACTIONS.values(),
    ],
    ids=lambda action: type(action).__name__,
)
def test_any_action_can_be_written_down(action: actions.Action, ledger: Ledger) -> None:
    ledger.open_intent(ledgers.decision("alice", action), NOW)
    (told,) = ledger.intents(None, 1)
    assert told.actions[0]["action"] == type(action).__name__
    assert json.loads(json.dumps(told.actions[0])) == told.actions[0]


def test_ports_that_an_open_chain_was_given_count_as_taken(ledger: Ledger) -> None:
    ledger.open_intent(ledgers.decision("alice", ledgers.LEDGER_ACTIONS["GrantPorts"], ledgers.create()), NOW)
    (intent,) = ledger.recall(NONCE, NOW).open_intents
    assert intent.ports == (10022, 10122)


def test_devices_that_an_open_chain_was_granted_count_as_taken(ledger: Ledger) -> None:
    started = dataclasses.replace(ledgers.start(), gpus=("MIG-2", "GPU-0"))
    ledger.open_intent(ledgers.decision("alice", ledgers.create(), started), NOW)
    (intent,) = ledger.recall(NONCE, NOW).open_intents
    assert intent.gpus == ("GPU-0", "GPU-1", "MIG-2")


def test_only_what_older_epochs_left_is_abandoned(ledger: Ledger) -> None:
    ledger.next_epoch("E", NOW)
    old = [
        ledger.open_intent(ledgers.decision("alice"), NOW),
        ledger.open_intent(ledgers.decision("bob"), NOW),
    ]
    ledger.resolve_intent(old[1], (), NOW)
    ledger.next_epoch("E", NOW)
    young = ledger.open_intent(ledgers.decision("carol"), NOW)
    assert ledger.abandon_intents(NOW + MINUTE) == 1
    assert ledger.abandon_intents(NOW + MINUTE) == 0
    assert [intent.id for intent in ledger.recall(NONCE, NOW).open_intents] == [young]
    assert [(told.workspace, told.abandoned) for told in ledger.intents(None, 10)] == [
        ("alice", True),
        ("bob", False),
        ("carol", False),
    ]


def test_the_newest_chains_of_one_workspace_come_last(ledger: Ledger) -> None:
    for workspace in ("alice", "bob", "alice", "alice"):
        ledger.open_intent(ledgers.decision(workspace), NOW)
    assert [told.id for told in ledger.intents("alice", 2)] == [3, 4]
    assert [told.id for told in ledger.intents(None, 2)] == [3, 4]
    assert [told.id for told in ledger.intents(None, 9)] == [1, 2, 3, 4]


def test_old_chains_go_and_open_ones_stay(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "KEPT", 100)
    with ledger.batch():
        first = ledger.open_intent(ledgers.decision(), NOW)
        for _ in range(999):
            ledger.resolve_intent(ledger.open_intent(ledgers.decision(), NOW), (), NOW)
    told = [one.id for one in ledger.intents(None, 10_000)]
    assert told == [first, *range(901, 1001)]


def test_a_chain_has_the_cause_that_the_budget_counts(ledger: Ledger) -> None:
    ledger.next_epoch("E", NOW)
    ledger.open_intent(ledgers.disrupting(ledgers.decision("alice")), NOW)
    ledger.open_intent(ledgers.decision("bob"), NOW)
    assert [told.cause for told in ledger.intents(None, 2)] == ["Edited", None]


def test_the_journal_is_complete_since_the_first_epoch_until_some_of_it_goes(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ledger.complete_since() is None
    ledger.next_epoch("E", NOW)
    ledger.next_epoch("E", NOW + MINUTE)
    for number in range(2, 5):
        ledger.open_intent(ledgers.decision(), NOW + number * MINUTE)
    assert ledger.complete_since() == NOW
    monkeypatch.setattr(journal, "KEPT", 2)
    assert ledger.complete_since() == NOW + 2 * MINUTE
