"""Who belongs to a group by a file or by the host's groups, and that nobody falls out of it by accident."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.api.presets import Group
from controller.model.observed import Account, AccountSeen
from controller.sources import loader, members, names
from controller.sources.members import Members, Roll
from tests.support import specfiles

SETTLE = timedelta(milliseconds=100)


class Lab:
    """A policy's directory, a name service and a ledger, as a test sets them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.texts: dict[str, tuple[str, str]] = {}
        self.groups: dict[str, Group] = {}
        self.host: dict[str, names.HostGroup] = {}
        self.accounts: dict[str, AccountSeen] = {}
        self.silent = False
        self.now = specfiles.LATE
        self.boot()

    def boot(self) -> None:
        self.members = Members(
            str(self.folder / "policy.yaml"),
            SETTLE,
            self.texts.get,
            lambda kind, text, digest: self.texts.update({kind: (text, digest)}),
            names.Names(self.look_up),
        )

    def look_up(self, name: str) -> names.HostGroup | None:
        if self.silent:
            raise OSError(111, "Connection refused")
        return self.host.get(name)

    def policy(self, **groups: dict[str, Any]) -> None:
        self.groups = {name: Group.model_validate(group) for name, group in groups.items()}

    def once(self) -> Roll:
        self.now += timedelta(minutes=1)
        return self.members.observe(self.groups, self.accounts, self.now)

    def look(self) -> Roll:
        """Look until what is there has settled, and the host was asked again."""
        self.once()
        return self.once()

    def told(self) -> str:
        return "; ".join(map(str, self.look().findings))


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path)
    made.policy(students={"membersFile": "students.members"})
    return made


@pytest.fixture
def file(lab: Lab) -> Path:
    return lab.folder / "students.members"


def test_a_policy_that_lists_its_members_itself_needs_nothing(lab: Lab) -> None:
    lab.policy(students={"members": ["alice"]})
    assert lab.look() == Roll()


def test_a_file_has_a_login_a_line(lab: Lab, file: Path) -> None:
    file.write_text("# autumn\nalice\n\n  bob@example.org  # visits\r\n4711\nAda.L\n")
    found = lab.look()
    assert found.members == {"students": {"alice", "bob@example.org", "4711", "Ada.L"}}
    assert (found.unread, found.findings) == (frozenset(), ())


@pytest.mark.parametrize(
    ("text", "line", "column", "why"),
    [
        (b"alice bob\n", 1, 1, '"alice bob" is not a login name'),
        (b"alice\n  -rf\n", 2, 3, '"-rf" is not a login name'),
        (b"alice,bob\n", 1, 1, "is not a login name"),
        (b"alice\nb\xffb\n", 2, 1, "not UTF-8"),
        (b"- alice\n", 1, 1, "is not a login name"),
        (b"ali\x00ce\n", 1, 1, "NUL"),
        (b"a" * 65, 1, 1, "is not a login name"),
    ],
)
def test_what_is_no_login_is_told_with_its_line(text: bytes, line: int, column: int, why: str) -> None:
    found = members.parse(text, "students.members")
    assert isinstance(found, loader.Rejection)
    (first,) = found.findings
    assert (first.file, first.line, first.column) == ("students.members", line, column)
    assert why in first.message


def _wrong(file: Path) -> None:
    file.write_text("alice\nbob carol\n")


def _too_large(file: Path) -> None:
    file.write_text("alice\n" + "#" * members.MAX_BYTES)


def _link(file: Path) -> None:
    other = file.with_name("elsewhere")
    other.write_text("mallory\n")
    file.unlink()
    file.symlink_to(other)


def _pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (_wrong, "students.members:2:1"),
        (_too_large, "at most 1048576 (1024 KiB)"),
        (_link, "symbolic link"),
        (_pipe, "not a regular file"),
        (Path.unlink, "the file is gone; its last 2 members stay"),
    ],
)
def test_a_file_that_cannot_be_used_keeps_its_last_members(
    lab: Lab, file: Path, harm: Callable[[Path], None], why: str, restarted: bool
) -> None:
    file.write_text("alice\nbob\n")
    before = lab.look()
    harm(file)
    if restarted:
        lab.boot()
    found = lab.look()
    assert (found.members, found.unread, found.digest) == (before.members, frozenset(), before.digest)
    assert why in lab.told()


def test_a_file_that_was_never_read_leaves_its_group_open(lab: Lab, file: Path) -> None:
    assert lab.look().unread == {"students"}
    assert "there is no such file" in lab.told()
    file.write_text("alice\n")
    assert lab.once().unread == {"students"}
    assert lab.members.states == {"students.members": "settling"}
    assert lab.members.due is not None
    assert lab.once() == Roll({"students": frozenset({"alice"})}, digest=lab.once().digest)
    assert lab.members.states == {"students.members": "valid"}


def test_a_half_written_file_takes_nobody_out(lab: Lab, file: Path) -> None:
    file.write_text("alice\nbob\ncarol\n")
    before = lab.look()
    file.write_text("alice\n")
    assert lab.once() is before
    file.write_text("alice\nbob\ncarol\ndave\n")
    assert lab.once() is before
    assert lab.once().members == {"students": {"alice", "bob", "carol", "dave"}}


def test_an_empty_file_is_the_word_of_a_person(lab: Lab, file: Path) -> None:
    file.write_text("alice\n")
    lab.look()
    file.write_text("# nobody\n")
    found = lab.look()
    assert (found.members, found.unread, found.findings) == ({"students": frozenset()}, frozenset(), ())


def test_a_file_may_lie_below_the_policy(lab: Lab) -> None:
    lab.policy(students={"membersFile": "groups/students"})
    (lab.folder / "groups").mkdir()
    (lab.folder / "groups" / "students").write_text("alice\n")
    assert lab.look().members == {"students": {"alice"}}
    assert lab.members.directories() == {str(lab.folder / "groups")}


def test_a_group_of_the_host_has_members_and_those_whose_primary_group_it_is(lab: Lab) -> None:
    lab.policy(students={"hostGroups": ["stud", "guests"]})
    lab.host = {
        "stud": names.HostGroup("stud", 100, frozenset({"alice"})),
        "guests": names.HostGroup("guests", 101, frozenset({"zoe"})),
    }
    lab.accounts = {name: Account(name, 1, gid, "/") for name, gid in {"bob": 100, "carol": 102}.items()}
    assert lab.look().members == {"students": {"alice", "bob", "zoe"}}
    lab.accounts["bob"] = Account("bob", 1, 102, "/")
    assert lab.look().members == {"students": {"alice", "zoe"}}


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("gone", [False, True])
def test_a_silent_name_service_moves_nobody(lab: Lab, restarted: bool, gone: bool) -> None:
    lab.policy(students={"hostGroups": ["stud"]})
    lab.host["stud"] = names.HostGroup("stud", 100, frozenset({"alice"}))
    lab.accounts["bob"] = Account("bob", 1, 100, "/")
    before = lab.look()
    lab.silent, lab.accounts["bob"] = not gone, None
    if gone:
        del lab.host["stud"]
    if restarted:
        lab.boot()
    found = lab.look()
    assert (found.members, found.unread, found.digest) == (before.members, frozenset(), before.digest)
    assert ("this host has no such group" if gone else "Connection refused") in lab.told()
    assert "who was in it last stays in it" in lab.told()


def test_a_group_of_the_host_that_was_never_told_leaves_its_group_open(lab: Lab) -> None:
    lab.policy(students={"hostGroups": ["stud"]}, others={"members": ["x"]})
    lab.silent = True
    assert lab.look().unread == {"students"}
    lab.silent = False
    assert lab.once().unread == frozenset()


def test_a_group_that_the_host_has_not_is_empty_and_told(lab: Lab) -> None:
    lab.policy(students={"hostGroups": ["sutd"]})
    found = lab.once()
    assert (found.members, found.unread) == ({"students": frozenset()}, frozenset())
    assert "this host has no such group; nobody is in it" in str(found.findings[0])
    assert lab.look() is found, "the same is said again"


def test_both_kinds_together(lab: Lab, file: Path) -> None:
    file.write_text("alice\n")
    lab.policy(students={"membersFile": file.name, "hostGroups": ["stud"]})
    lab.silent = True
    found = lab.look()
    assert found.members == {"students": {"alice"}}
    assert found.unread == {"students"}


def test_what_stays_is_the_very_same_object_and_is_written_once(lab: Lab, file: Path) -> None:
    file.write_text("alice\n")
    before, written = lab.look(), dict(lab.texts)
    lab.texts.clear()
    file.write_text("alice # again\n")
    assert lab.look() is before
    assert lab.texts == {}
    assert set(written) == {members.KIND}
