"""Accounts of the host, and how seldom those that are not there are asked for."""

import pwd
from datetime import UTC, datetime, timedelta

import pytest

from controller.sources import host

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
STRANGERS = [f"stranger-{number}" for number in range(3 * host.ASKED_AT_ONCE)]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every name that the host's name service is asked for."""
    names: list[str] = []
    ask = pwd.getpwnam

    def note(name: str) -> pwd.struct_passwd:
        names.append(name)
        return ask(name)

    monkeypatch.setattr(pwd, "getpwnam", note)
    return names


@pytest.fixture
def looking() -> host.Host:
    return host.Host("/nowhere", "/nowhere", lambda: None)


def test_an_account_is_told_as_the_host_has_it(looking: host.Host) -> None:
    found = looking.accounts(["root", "no-such-login"], START)
    root = found["root"]
    assert root is not None
    assert (root.uid, root.gid) == (0, 0)
    assert found["no-such-login"] is None


def test_all_are_asked_for_at_once_the_first_time_and_then_a_few_at_a_look(
    looking: host.Host, asked: list[str]
) -> None:
    assert looking.accounts(STRANGERS, START) == dict.fromkeys(STRANGERS)
    assert sorted(asked) == sorted(STRANGERS)
    asked.clear()
    looking.accounts(STRANGERS, START + host.ASK_AGAIN / 2)
    assert asked == []
    for number in range(3):
        found = looking.accounts(STRANGERS, START + host.ASK_AGAIN + timedelta(seconds=number))
        assert len(found) == len(STRANGERS)
        assert len(asked) == (number + 1) * host.ASKED_AT_ONCE
    assert sorted(asked) == sorted(STRANGERS)


def test_an_account_that_is_made_later_is_seen(looking: host.Host, monkeypatch: pytest.MonkeyPatch) -> None:
    assert looking.accounts(["late"], START)["late"] is None
    root = pwd.getpwnam("root")
    monkeypatch.setattr(pwd, "getpwnam", lambda _: root)
    assert looking.accounts(["late"], START)["late"] is None
    assert looking.accounts(["late"], START + host.ASK_AGAIN)["late"] is not None
