"""What the host's name service says, how seldom it is asked, and what its silence is worth."""

import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controller.model.observed import Account, Unseen
from controller.sources import names
from controller.sources.names import Names

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
STRANGERS = [f"stranger-{number}" for number in range(3 * names.ASKED_AT_ONCE)]
ROOT = Path(__file__).parents[3]


class Service:
    """A name service that a test commands."""

    def __init__(self) -> None:
        self.known: dict[str, Account] = {}
        self.asked: list[str] = []
        self.fails = False
        self.answers = threading.Event()
        self.answers.set()

    def look_up(self, name: str) -> Account | None:
        self.asked.append(name)
        self.answers.wait()
        if self.fails:
            raise OSError(111, "Connection refused")
        return self.known.get(name)


@pytest.fixture
def service() -> Service:
    return Service()


def test_accounts_and_groups_are_told_as_the_host_has_them() -> None:
    assert names.account("root") == Account("root", 0, 0, "/root")
    assert names.account("no-such-login") is None
    group = names.group("root")
    assert group is not None
    assert (group.name, group.gid) == ("root", 0)
    assert names.group("no-such-group") is None


@pytest.mark.parametrize("name", ["alice@example.org", "Ada.Lovelace", "4711", "_svc", "a+b", "ü"])
def test_logins_of_any_form_can_be_asked_for(name: str) -> None:
    assert names.account(name) is None


ETC = """
set -e
mount -t tmpfs none /etc
printf 'passwd: files\\ngroup: files\\n' > /etc/nsswitch.conf
for file in "$FILES"/*; do cp "$file" /etc/; done
exec "$0" -c "$CODE"
"""


def in_a_host_of_its_own(code: str, folder: Path, **files: str) -> str:
    """Run Python where /etc has nothing but these files."""
    for name, text in files.items():
        (folder / name).write_text(text)
    environment = {"FILES": str(folder), "CODE": code, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        ["/usr/bin/unshare", "-m", "/bin/sh", "-c", ETC, sys.executable],
        env={**environment, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout


def test_a_name_service_that_fails_is_no_answer(tmp_path: Path) -> None:
    """Python's own grp module would say that there is no such group."""
    code = """
from controller.sources import names
try:
    print(names.group("staff"))
except OSError as error:
    print("failed", error.strerror)
"""
    assert in_a_host_of_its_own(code, tmp_path, passwd="root:x:0:0:::\n").startswith("failed")


def test_a_group_of_many_members_and_the_highest_uid_are_read(tmp_path: Path) -> None:
    members = ",".join(f"member-with-a-long-name-{number}" for number in range(20_000))
    passwd = "alice@example.org:x:4294967294:4294967293::/home/Ada.L:\n4711:x:4711:1::/home/4711:\n"
    code = """
from controller.sources import names
print(len(names.group("students").members), names.group("empty").members)
print(names.account("alice@example.org"), names.account("4711").uid)
"""
    group = f"students:x:100:{members}\nempty:x:101:\n"
    told = in_a_host_of_its_own(code, tmp_path, passwd=passwd, group=group)
    account = "Account(name='alice@example.org', uid=4294967294, gid=4294967293, home='/home/Ada.L')"
    assert told.splitlines() == ["20000 frozenset()", f"{account} 4711"]


def test_all_are_asked_for_at_once_the_first_time_and_then_a_few_at_a_look(service: Service) -> None:
    asking = Names(service.look_up)
    assert asking.ask(STRANGERS, START) == dict.fromkeys(STRANGERS)
    assert sorted(service.asked) == sorted(STRANGERS)
    service.asked.clear()
    asking.ask(STRANGERS, START + names.ASK_AGAIN / 2)
    assert service.asked == []
    for number in range(3):
        found = asking.ask(STRANGERS, START + names.ASK_AGAIN + timedelta(seconds=number))
        assert len(found) == len(STRANGERS)
        assert len(service.asked) == (number + 1) * names.ASKED_AT_ONCE
    assert sorted(service.asked) == sorted(STRANGERS)


def test_an_account_that_is_made_later_is_seen(service: Service) -> None:
    asking, late = Names(service.look_up), Account("late", 1, 1, "/")
    assert asking.ask(["late"], START)["late"] is None
    service.known["late"] = late
    assert asking.ask(["late"], START + names.ASK_AGAIN / 2)["late"] is None
    assert asking.ask(["late"], START + names.ASK_AGAIN)["late"] == late


def test_after_a_clock_was_set_back_all_are_asked_for_again(service: Service) -> None:
    asking, late = Names(service.look_up), Account("late", 1, 1, "/")
    assert asking.ask([*STRANGERS, "late"], START)["late"] is None
    service.known["late"] = late
    back = START - timedelta(days=1)
    for number in range(4):  # those of which only the future was told come before those that were asked for
        found = asking.ask([*STRANGERS, "late"], back + number * names.ASK_AGAIN)
    assert found["late"] == late


def test_what_is_told_again_is_the_very_same_object(service: Service) -> None:
    """So that what was decided from it stands."""
    asking = Names(service.look_up)
    service.known["alice"] = Account("alice", 1, 1, "/")
    first = asking.ask(["alice"], START)["alice"]
    service.known["alice"] = Account("alice", 1, 1, "/")
    assert asking.ask(["alice"], START + names.ASK_AGAIN)["alice"] is first


def test_a_service_that_fails_says_so_until_it_answers(service: Service) -> None:
    asking = Names(service.look_up)
    service.fails = True
    first = asking.ask(["alice"], START)["alice"]
    assert isinstance(first, Unseen)
    assert "Connection refused" in first.message
    assert asking.ask(["alice"], START + names.ASK_AGAIN)["alice"] is first
    service.fails = False
    assert asking.ask(["alice"], START + 2 * names.ASK_AGAIN)["alice"] is None


def eventually(check: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(500):
        if check():
            return
        waiting.wait(0.01)
    raise AssertionError("it did not come")


def test_a_service_that_hangs_holds_up_one_look_and_no_other(service: Service) -> None:
    asking = Names(service.look_up, patience=0.05)
    service.answers.clear()
    assert isinstance(asking.ask(["alice"], START)["alice"], Unseen)
    asking._patience = 3600  # noqa: SLF001 - from here on a look that waits would not end
    found = asking.ask(["alice", "bob"], START + names.ASK_AGAIN)
    assert [type(answer) for answer in found.values()] == [Unseen, Unseen]
    service.known["bob"] = Account("bob", 2, 2, "/")
    service.answers.set()
    eventually(lambda: asking.ask(["bob"], START + names.ASK_AGAIN)["bob"] == service.known["bob"])
    assert asking.ask(["alice"], START + names.ASK_AGAIN)["alice"] is None


def test_a_uid_has_the_login_name_that_the_host_gives_it() -> None:
    assert names.login("0") == "root"
    assert names.login("4294967294") is None
