"""The ledger remembers: what was written is recalled, now and after it was opened again."""

import contextlib
import dataclasses
import stat
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from controller.api.conditions import Reason
from controller.api.workspace import Workspace
from controller.ledger import database, ports, schema
from controller.ledger.ledger import Ledger
from controller.model import actions, errors, memory, outcomes
from controller.model.observed import Account
from tests.support import ledgers
from tests.support.ledgers import MINUTE, NONCE, NOW


def reopened(ledger: Ledger, path: Path) -> memory.Memory:
    """What another process recalls after this ledger was closed; the ledger is of no more use."""
    ledger.close()
    again = Ledger.open(path, NOW)
    try:
        assert again.findings == ()
        return again.recall(NONCE, NOW)
    finally:
        again.close()


def test_an_empty_ledger_recalls_nothing_and_a_key(ledger: Ledger) -> None:
    recalled = ledger.recall(NONCE, NOW)
    assert recalled == memory.Memory(epoch=0, claim_key=recalled.claim_key, nonce=NONCE)
    assert len(ledger.claim_key) == 32
    assert ledger.claim_key == recalled.claim_key
    assert ledger.findings == ()


def test_the_first_container_of_an_instance_stays_the_first(tmp_path: Path) -> None:
    """Also for a writer that had not heard of it."""
    ledger = Ledger.open(tmp_path / "state", NOW)
    other = Ledger(
        database.open_file(tmp_path / "state" / "state.db", schema.steps()), ledger.claim_key, (), None
    )
    ledger.identify([ledgers.IDENTITY], [])
    other.identify([memory.Identity(ledgers.IDENTITY.instance, "d" * 64)], [])
    known = {ledgers.IDENTITY.instance: ledgers.IDENTITY}
    assert other.recall(NONCE, NOW).identities == ledger.recall(NONCE, NOW).identities == known
    other.close()
    ledger.close()


def test_everything_that_was_written_survives_the_next_open(ledger: Ledger, tmp_path: Path) -> None:
    ledgers.furnish(ledger)
    before = ledger.recall(NONCE, NOW)
    expected = memory.Memory(
        epoch=1,
        claim_key=ledger.claim_key,
        nonce=NONCE,
        accepted={"alice": ledgers.spec()},
        spec_identity=(7, 2**64 - 1),
        port_blocks=(ledgers.block(), ledgers.block("zoe", 10900)),
        port_grants=(ledgers.grant(10022),),
        port_holds={10900: NOW + ports.HOLD},
        suspensions={"alice": ledgers.SUSPENSION},
        host_pause=ledgers.PAUSE,
        pauses={"alice": ledgers.PAUSE},
        accounts={"alice": ledgers.ACCOUNT},
        restarts={"alice": ledgers.RESTARTS},
        backoffs={"alice": ledgers.BACKOFF},
        open_intents=(
            memory.Intent(1, "alice", NOW, 1, "Start", "ContainerExited", (10022,), ("img",), ("GPU-1",)),
        ),
        retained={
            ledgers.CONTAINER: memory.Retained(
                ledgers.CONTAINER, "alice", "workspace-alice.1", NOW, Reason.SPEC_CHANGED
            )
        },
        restart_requests={"alice": NOW},
        forget_requests={ledgers.CONTAINER: NOW},
        removal_requests={"alice": ledgers.REMOVAL},
        disruptions=(memory.Disruption("alice", memory.Cause.EDITED, NOW),),
        held={"alice": ledgers.HELD},
        approvals={"bob": ledgers.APPROVAL},
        replacements={"alice": ledgers.REPLACEMENT},
        rollbacks={"alice": ledgers.ROLLBACK},
        pins={"alice": ledgers.PIN},
        failed={"alice": ledgers.FAILED},
        adopted={ledgers.CONTAINER: ledgers.ADOPTION},
        identities={ledgers.IDENTITY.instance: ledgers.IDENTITY},
        contents={ledgers.CONTENT.digest: ledgers.CONTENT},
        asked={ledgers.CONTENT.reference: NOW},
        given_limits={"alice": ledgers.GIVEN},
        cordons={"GPU-1": ledgers.CORDON},
        fences={"GPU-1": ledgers.FENCE},
        gpu_waits={"alice": NOW},
        slice_repairs={"alice": (NOW,)},
    )
    assert before == expected
    assert reopened(ledger, tmp_path / "state") == expected


def test_nothing_of_the_memory_is_left_out_by_furnish(ledger: Ledger) -> None:
    """Else the test above would not notice a field that is not stored."""
    ledgers.furnish(ledger)
    recalled = ledger.recall(NONCE, NOW)
    assert all(getattr(recalled, field.name) for field in dataclasses.fields(memory.Memory))


def test_absent_and_null_stay_apart(ledger: Ledger, tmp_path: Path) -> None:
    never = ledgers.spec("never", lifecycle={"idleTimeout": None})
    inherited = ledgers.spec("inherited", lifecycle={"stopGrace": "90s"})
    rich = ledgers.spec(
        "rich",
        image="jupyter",
        resources={"cpus": "1.5", "memory": "100g"},
        env={"A": "ä\x1f", "EMPTY": ""},
        services=[{"name": "ssh", "port": 22, "expose": "Port"}],
    )
    rich = dataclasses.replace(rich, created_at=NOW - timedelta(days=400))
    ledger.accept([never, inherited, rich])
    found = reopened(ledger, tmp_path / "state").accepted
    assert found == {"never": never, "inherited": inherited, "rich": rich}
    for name, fields in (("never", {"idle_timeout"}), ("inherited", {"stop_grace"})):
        lifecycle = found[name].workspace.spec.lifecycle
        assert lifecycle is not None
        assert lifecycle.model_fields_set == fields


def test_an_equal_spec_keeps_its_identity_and_an_edited_one_does_not(ledger: Ledger) -> None:
    first, other = ledgers.spec("alice"), ledgers.spec("bob")
    ledger.accept([first, other])
    ledger.accept([ledgers.spec("alice"), ledgers.spec("bob", generation=2)])
    recalled = ledger.recall(NONCE, NOW).accepted
    assert recalled["alice"] is first
    assert recalled["bob"].generation == 2


def test_the_last_of_two_specs_of_one_name_is_in_force(ledger: Ledger) -> None:
    ledger.accept([ledgers.spec(generation=2)])
    ledger.accept([ledgers.spec(generation=1), ledgers.spec(generation=2)])
    assert ledger.recall(NONCE, NOW).accepted["alice"].generation == 2


def test_what_was_recalled_does_not_change_afterwards(ledger: Ledger) -> None:
    ledgers.furnish(ledger)
    recalled = ledger.recall(NONCE, NOW)
    copy = dataclasses.replace(recalled, accepted=dict(recalled.accepted), pauses=dict(recalled.pauses))
    ledger.execute(actions.ForgetWorkspace("alice"), NOW)
    ledger.accept([ledgers.spec("carol")])
    assert recalled == copy
    assert set(ledger.recall(NONCE, NOW).accepted) == {"carol"}


@pytest.mark.parametrize("name", ledgers.WRITES)
def test_every_write_survives_the_next_open(name: str, ledger: Ledger, tmp_path: Path) -> None:
    ledgers.furnish(ledger)
    ledger.next_epoch("E", NOW)
    ledgers.WRITES[name](ledger)
    after = ledger.recall(NONCE, NOW)
    assert reopened(ledger, tmp_path / "state") == after


@pytest.mark.parametrize("name", ledgers.LEDGER_ACTIONS)
def test_an_action_is_done_once_and_is_already_so_afterwards(
    name: str, ledger: Ledger, tmp_path: Path
) -> None:
    ledgers.furnish(ledger)
    before = ledger.recall(NONCE, NOW)
    first = ledger.execute(ledgers.LEDGER_ACTIONS[name], NOW)
    done = ledger.recall(NONCE, NOW)
    second = ledger.execute(ledgers.LEDGER_ACTIONS[name], NOW + MINUTE)
    assert isinstance(first, outcomes.Succeeded)
    assert isinstance(second, outcomes.Succeeded)
    assert (first.already, second.already) == (False, True)
    assert done != before
    assert ledger.recall(NONCE, NOW) == done == reopened(ledger, tmp_path / "state")


def test_epochs_grow(ledger: Ledger, tmp_path: Path) -> None:
    assert [ledger.next_epoch("E", NOW), ledger.next_epoch("F", NOW)] == [1, 2]
    ledger.close()
    again = Ledger.open(tmp_path / "state", NOW)
    assert again.next_epoch("E", NOW) == 3
    again.close()


def test_the_last_word_of_a_person_wins(ledger: Ledger) -> None:
    running = dataclasses.replace(ledgers.SUSPENSION, running=True)
    ledger.suspend("alice", ledgers.SUSPENSION)
    ledger.suspend("alice", running)
    assert ledger.recall(NONCE, NOW).suspensions == {"alice": running}
    ledger.clear_suspension("alice")
    assert ledger.recall(NONCE, NOW).suspensions == {}


def test_a_pause_of_the_host_is_none_of_a_workspace(ledger: Ledger, tmp_path: Path) -> None:
    ledger.pause("alice", ledgers.PAUSE)
    ledger.pause(None, ledgers.PAUSE)
    ledger.resume("alice")
    recalled = reopened(ledger, tmp_path / "state")
    assert (recalled.pauses, recalled.host_pause) == ({}, ledgers.PAUSE)


def test_forgetting_a_workspace_leaves_the_others_and_what_is_retained(ledger: Ledger) -> None:
    ledgers.furnish(ledger)
    ledger.accept([ledgers.spec("bob")])
    ledger.pause("bob", ledgers.PAUSE)
    ledger.execute(actions.ForgetWorkspace("alice"), NOW)
    recalled = ledger.recall(NONCE, NOW)
    assert set(recalled.accepted) == set(recalled.pauses) == {"bob"}
    gone = (recalled.suspensions, recalled.backoffs, recalled.restarts, recalled.restart_requests)
    assert gone == ({}, {}, {}, {})
    assert recalled.given_limits == {}
    changes = (recalled.held, recalled.replacements, recalled.rollbacks, recalled.pins, recalled.failed)
    assert changes == ({}, {}, {}, {}, {})
    assert set(recalled.approvals) == {"bob"}
    assert set(recalled.adopted) == {ledgers.CONTAINER}
    assert recalled.port_grants == ()
    assert set(recalled.retained) == {ledgers.CONTAINER}
    assert recalled.host_pause == ledgers.PAUSE


def test_sources_are_kept_by_kind(ledger: Ledger) -> None:
    assert ledger.remembered_source("policy") is None
    ledger.remember_source("policy", "old", "1")
    ledger.remember_source("policy", "ä: 1\n", "2")
    ledger.remember_source("catalog", "c", "3")
    assert ledger.remembered_source("policy") == ("ä: 1\n", "2")
    assert ledger.remembered_source("catalog") == ("c", "3")


def test_a_batch_that_raises_leaves_nothing(ledger: Ledger, tmp_path: Path) -> None:
    before = ledger.recall(NONCE, NOW)
    with contextlib.suppress(ZeroDivisionError), ledger.batch():
        ledgers.furnish(ledger)
        raise ZeroDivisionError
    assert ledger.recall(NONCE, NOW) == before
    assert ledger.events(None, 10) == ()
    ledger.accept([ledgers.spec("bob")])
    assert set(reopened(ledger, tmp_path / "state").accepted) == {"bob"}


def test_what_a_batch_wrote_is_recalled_only_when_it_is_durable(ledger: Ledger) -> None:
    with ledger.batch():
        ledger.accept([ledgers.spec()])
        ledger.suspend("alice", ledgers.SUSPENSION)
        assert ledger.recall(NONCE, NOW).accepted == {}
    recalled = ledger.recall(NONCE, NOW)
    assert (set(recalled.accepted), set(recalled.suspensions)) == ({"alice"}, {"alice"})


def test_a_refused_action_leaves_the_rest_of_its_batch(ledger: Ledger, tmp_path: Path) -> None:
    with ledger.batch():
        ledger.accept([ledgers.spec()])
        ledger.execute(ledgers.grant_ports(ledgers.grant(10022)), NOW)
        refused = ledger.execute(
            ledgers.grant_ports(
                ledgers.grant(10001, "a", "bob", "bob"), ledgers.grant(10022, "b", "bob", "bob")
            ),
            NOW,
        )
        ledger.pause("alice", ledgers.PAUSE)
    assert isinstance(refused, outcomes.Failed)
    recalled = reopened(ledger, tmp_path / "state")
    assert set(recalled.accepted) == set(recalled.pauses) == {"alice"}
    assert recalled.port_grants == (ledgers.grant(10022),)


def test_threads_write_at_the_same_time_and_nothing_is_lost(ledger: Ledger, tmp_path: Path) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for round_ in range(10):
                intent = ledger.open_intent(ledgers.decision(f"w{number}"), NOW)
                ledger.record_event(ledgers.event("again", "all"))
                with ledger.batch():
                    ledger.accept([ledgers.spec(f"w{number}-{round_}")])
                    ledger.resolve_intent(intent, (), NOW)
                assert f"w{number}-{round_}" in ledger.recall(NONCE, NOW).accepted
        except BaseException as error:  # noqa: BLE001 - told by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [event.count for event in ledger.events("all", 10)] == [60]
    recalled = reopened(ledger, tmp_path / "state")
    assert len(recalled.accepted) == 60
    assert recalled.open_intents == ()


def test_only_one_controller_has_a_state_directory(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(errors.Terminal, match="another controller uses"):
        Ledger.open(tmp_path / "state", NOW)
    ledger.close()
    ledger.close()
    Ledger.open(tmp_path / "state", NOW).close()


def test_nobody_else_may_read_what_is_kept(ledger: Ledger, tmp_path: Path) -> None:
    ledger.accept([ledgers.spec(env={"A": "not for everybody"})])
    files = list((tmp_path / "state").iterdir())
    assert {"state.db", "state.db-wal", "claim.key"} <= {file.name for file in files}
    assert [file.name for file in files if stat.S_IMODE(file.stat().st_mode) & 0o077] == []


def test_a_closed_ledger_says_that_it_cannot_write(ledger: Ledger) -> None:
    ledger.close()
    with pytest.raises(errors.Retryable) as caught:
        ledger.probe(NOW)
    assert caught.value.reason is Reason.LEDGER_UNAVAILABLE


def test_a_spec_that_a_newer_model_refuses_is_reported_and_stays(ledger: Ledger, tmp_path: Path) -> None:
    ledger.accept([ledgers.spec("alice"), ledgers.spec("bob")])
    ledger.suspend("alice", ledgers.SUSPENSION)
    with ledger.batch():
        ledger._database.execute("UPDATE accepted SET workspace = '{\"kind\":1}' WHERE name = 'bob'")
        ledger._database.execute("UPDATE suspensions SET at = 'noon' WHERE workspace = 'alice'")
    for _ in range(2):
        ledger.close()
        ledger = Ledger.open(tmp_path / "state", NOW)
        assert set(ledger.recall(NONCE, NOW).accepted) == {"alice"}
        assert ledger.recall(NONCE, NOW).suspensions == {}
        told = [finding.message for finding in ledger.findings]
        assert len(told) == 2
        assert "bob" in told[0]
        assert "suspensions alice" in told[1]
    ledger.close()


def test_the_workspace_is_stored_as_its_file_said_it(ledger: Ledger) -> None:
    ledger.accept([ledgers.spec(lifecycle={"idleTimeout": None})])
    (row,) = ledger._database.execute("SELECT workspace FROM accepted")
    text = str(row["workspace"])
    assert '"spec":{"class":"vm","lifecycle":{"idleTimeout":null}}' in text
    assert Workspace.model_validate_json(text) == ledgers.spec(lifecycle={"idleTimeout": None}).workspace


def test_an_approval_ends_the_hold_and_the_pin(ledger: Ledger) -> None:
    ledgers.furnish(ledger)
    ledger.approve(dataclasses.replace(ledgers.APPROVAL, workspace="alice"))
    recalled = ledger.recall(NONCE, NOW)
    assert (recalled.held, recalled.pins) == ({}, {})
    assert set(recalled.approvals) == {"alice", "bob"}


def test_a_restart_that_was_asked_for_forgets_the_failed_template(ledger: Ledger) -> None:
    ledgers.furnish(ledger)
    ledger.execute(actions.CompleteRestart("alice"), NOW)
    assert ledger.recall(NONCE, NOW).failed == {}


def test_a_container_that_is_no_longer_kept_is_not_wanted_removed(ledger: Ledger, tmp_path: Path) -> None:
    ledgers.furnish(ledger)
    ledger.request_forgetting("d" * 64, NOW)
    ledger.execute(actions.ForgetRetained("alice", ledgers.CONTAINER), NOW)
    recalled = reopened(ledger, tmp_path / "state")
    assert (recalled.retained, set(recalled.forget_requests)) == ({}, {"d" * 64})


def test_only_disruptions_that_nobody_asked_for_are_counted(ledger: Ledger, tmp_path: Path) -> None:
    asked = dataclasses.replace(ledgers.disrupting(ledgers.decision("alice")), cause=None)
    harmless = dataclasses.replace(ledgers.disrupting(ledgers.decision("bob")), disrupts=False)
    for begun in (asked, harmless, ledgers.disrupting(ledgers.decision("carol"))):
        ledger.open_intent(begun, NOW)
    assert [one.workspace for one in ledger.recall(NONCE, NOW).disruptions] == ["carol"]
    assert [one.workspace for one in reopened(ledger, tmp_path / "state").disruptions] == ["carol"]


def test_the_proven_host_is_kept(ledger: Ledger, tmp_path: Path) -> None:
    assert ledger.proven_host() == ""
    ledger.prove_host("boot 1")
    ledger.prove_host("boot 2")
    ledger.close()
    again = Ledger.open(tmp_path / "state", NOW)
    assert again.proven_host() == "boot 2"
    again.close()


@pytest.mark.parametrize("name", ["alice@example.org", "Ada.Lovelace", "4711", "_svc", "o'neil"])
def test_accounts_with_any_login_and_the_highest_ids_are_kept(
    name: str, ledger: Ledger, tmp_path: Path
) -> None:
    account = Account(name, 2**32 - 2, 2**32 - 3, f"/home/{name}")
    ledger.record_account(account)
    assert reopened(ledger, tmp_path / "state").accounts == {name: account}
