"""A port is given once, a block outlives its owner's last workspace by seven days."""

import datetime as dt
from pathlib import Path

import pytest

from controller.api.conditions import Reason
from controller.ledger import database, schema
from controller.ledger.ledger import Ledger
from controller.model import actions, memory, outcomes
from tests.support import ledgers
from tests.support.ledgers import NONCE, NOW, block, grant, grant_ports

DAY = dt.timedelta(days=1)


def give(ledger: Ledger, action: actions.GrantPorts, now: dt.datetime = NOW) -> None:
    outcome = ledger.execute(action, now)
    assert isinstance(outcome, outcomes.Succeeded), outcome


def held(ledger: Ledger, now: dt.datetime) -> set[str]:
    return {one.owner for one in ledger.recall(NONCE, now).port_blocks}


@pytest.mark.parametrize(
    ("action", "why"),
    [
        (grant_ports(grant(10022, "ssh", "bob", "bob")), "port 10022: it is granted to another workspace"),
        (grant_ports(grant(10022, "ssh", "second")), "port 10022: it is granted to another workspace"),
        (grant_ports(grant(10050, "ssh", "bob", "bob")), "block of another owner"),
        (grant_ports(blocks=(block("bob", 10000),)), "overlaps a block"),
        (grant_ports(blocks=(block("bob", 10099, 2),)), "ports 10099 to 10100: it overlaps"),
        (grant_ports(blocks=(block("bob", 9999, 300, "other"),)), "overlaps a block"),
        (grant_ports(blocks=(block("bob", 2200),)), "another owner was granted"),
    ],
)
def test_what_somebody_has_is_not_given_again(action: actions.GrantPorts, why: str, ledger: Ledger) -> None:
    give(ledger, grant_ports(grant(10022), grant(2222, "other"), blocks=(block(),)))
    before = ledger.recall(NONCE, NOW)
    outcome = ledger.execute(action, NOW)
    assert isinstance(outcome, outcomes.Failed)
    assert (outcome.reason, outcome.retryable, outcome.unknown) == (Reason.PORT_TAKEN, True, False)
    assert why in outcome.message
    assert ledger.recall(NONCE, NOW) == before


def test_a_refused_grant_gives_nothing_of_the_action(ledger: Ledger) -> None:
    give(ledger, grant_ports(grant(10022), blocks=(block(),)))
    refused = grant_ports(
        grant(10122, "a", "bob", "bob"), grant(10022, "b", "bob", "bob"), blocks=(block("bob", 10100),)
    )
    assert isinstance(ledger.execute(refused, NOW), outcomes.Failed)
    assert held(ledger, NOW) == {"alice"}
    assert ledger.recall(NONCE, NOW).port_grants == (grant(10022),)


def test_what_another_writer_gave_is_known_once_it_was_in_the_way(ledger: Ledger, tmp_path: Path) -> None:
    """Else the same would be proposed, and refused, for ever."""
    opened = database.open_file(tmp_path / "state" / "state.db", schema.steps())
    other = Ledger(opened, ledger.claim_key, (), None)
    give(other, grant_ports(grant(10022), blocks=(block(),)))
    other.close()
    assert not held(ledger, NOW)
    taken = ledger.execute(grant_ports(grant(10022, "ssh", "bob", "bob"), blocks=(block("bob"),)), NOW)
    assert isinstance(taken, outcomes.Failed)
    assert held(ledger, NOW) == {"alice"}
    assert ledger.recall(NONCE, NOW).port_grants == (grant(10022),)
    give(ledger, grant_ports(grant(10122, "ssh", "bob", "bob"), blocks=(block("bob", 10100),)))


def test_services_may_swap_their_ports(ledger: Ledger) -> None:
    give(ledger, grant_ports(grant(10001, "a"), grant(10002, "b"), grant(10003, "c")))
    give(ledger, grant_ports(grant(10001, "b"), grant(10002, "a")))
    ports = {one.service: one.port for one in ledger.recall(NONCE, NOW).port_grants}
    assert ports == {"a": 10002, "b": 10001, "c": 10003}


def test_a_port_is_given_back_only_as_it_was_granted(ledger: Ledger, tmp_path: Path) -> None:
    give(ledger, grant_ports(grant(10022), grant(10003, "jupyter"), blocks=(block(),)))
    for stale in (grant(10022, "shell"), grant(10022, "ssh", "other"), grant(10030)):
        outcome = ledger.execute(actions.ReturnPorts("alice", (stale,)), NOW)
        assert isinstance(outcome, outcomes.Succeeded)
        assert outcome.already
    ledger.execute(actions.ReturnPorts("alice", (grant(10022),)), NOW)
    ledger.close()
    ledger = Ledger.open(tmp_path / "state", NOW)
    assert ledger.recall(NONCE, NOW).port_grants == (grant(10003, "jupyter"),)
    assert held(ledger, NOW + 100 * DAY) == {"alice"}
    ledger.close()


def test_a_block_is_held_seven_days_after_the_last_workspace(ledger: Ledger, tmp_path: Path) -> None:
    ledger.accept([ledgers.spec("one", "alice"), ledgers.spec("two", "alice")])
    give(ledger, grant_ports(grant(10022, workspace="one"), blocks=(block(),)))
    ledger.execute(actions.ForgetWorkspace("one"), NOW)
    assert held(ledger, NOW + 100 * DAY) == {"alice"}
    ledger.execute(actions.ForgetWorkspace("two"), NOW + DAY)
    ledger.close()
    ledger = Ledger.open(tmp_path / "state", NOW)
    last = NOW + 8 * DAY
    assert held(ledger, last - dt.timedelta(microseconds=1)) == {"alice"}
    assert ledger.recall(NONCE, NOW).port_holds == {10000: last}
    assert ledger.recall(NONCE, last).port_holds == {}
    assert held(ledger, last) == set()
    assert held(ledger, NOW) == {"alice"}
    ledger.close()


def test_an_owner_who_comes_back_in_time_has_the_block_again(ledger: Ledger) -> None:
    ledger.accept([ledgers.spec("alice"), ledgers.spec("bob")])
    give(ledger, grant_ports(grant(10022), blocks=(block(),)))
    give(ledger, grant_ports(grant(10122, owner="bob", workspace="bob"), blocks=(block("bob", 10100),)))
    for name in ("alice", "bob"):
        ledger.execute(actions.ForgetWorkspace(name), NOW)
    ledger.accept([ledgers.spec("other", "alice")])
    assert held(ledger, NOW + 8 * DAY) == {"alice"}


def test_a_grant_alone_keeps_the_block_too(ledger: Ledger) -> None:
    give(ledger, grant_ports(grant(10022), blocks=(block(),)))
    ledger.execute(actions.ForgetWorkspace("alice"), NOW)
    give(ledger, grant_ports(grant(10030)), NOW + DAY)
    assert held(ledger, NOW + 100 * DAY) == {"alice"}


def test_a_block_whose_hold_is_over_goes_to_the_next_owner(ledger: Ledger, tmp_path: Path) -> None:
    give(ledger, grant_ports(grant(10022), blocks=(block(),)))
    ledger.execute(actions.ForgetWorkspace("alice"), NOW)
    taken = grant_ports(grant(10022, "ssh", "bob", "bob"), blocks=(block("bob"),), workspace="bob")
    early = ledger.execute(taken, NOW + 6 * DAY)
    assert isinstance(early, outcomes.Failed)
    give(ledger, taken, NOW + 7 * DAY)
    ledger.close()
    ledger = Ledger.open(tmp_path / "state", NOW)
    assert ledger.recall(NONCE, NOW).port_blocks == (memory.PortBlock("bob", "main", 10000, 100),)
    ledger.close()


def test_an_owner_may_have_a_port_outside_of_the_block(ledger: Ledger) -> None:
    give(
        ledger,
        grant_ports(grant(2222), grant(10003, "jupyter"), blocks=(block(), block("alice", 2222, 1, "ssh"))),
    )
    assert [one.port for one in ledger.recall(NONCE, NOW).port_grants] == [2222, 10003]


def test_a_port_may_pass_to_another_service_of_its_workspace(ledger: Ledger, tmp_path: Path) -> None:
    give(ledger, grant_ports(grant(2222, "ssh")))
    give(ledger, grant_ports(grant(2222, "shell")))
    assert ledger.recall(NONCE, NOW).port_grants == (grant(2222, "shell"),)
