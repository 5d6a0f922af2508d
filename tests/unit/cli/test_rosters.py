"""Lists of users: read where they can mean one thing, and a finding with the line where they cannot."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.cli import logins, rosters
from controller.model.desired import Finding

PASSWD = """\
alice:x:1000:1000:Alice,,,:/home/alice:/bin/bash
jane.doe@uni.example:x:1001:1001::/home/jane:/bin/sh
"""
CONFIG = """\
#!/bin/bash
MEMORY_LIMIT_GB=100
USERS="alice bob charlie"   # the laboratory
DOMAIN=lab.example
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("alice\nbob\n", ["alice", "bob"]),
        ("# people\n\n  alice  \nbob # new\n", ["alice", "bob"]),
        ("alice:students\nbob:faculty\n", ["alice", "bob"]),
        (PASSWD, ["alice", "jane.doe@uni.example"]),
        ("alice:$6$salt:19000:0:99999:7:::\n", ["alice"]),
        (CONFIG, ["alice", "bob", "charlie"]),
        ("USERS=(alice bob)\n", ["alice", "bob"]),
        ("export USERS=alice\n", ["alice"]),
        ("USERS='alice,bob'\n", ["alice", "bob"]),
        ("login,name,group\nalice,Alice,ml\nbob,Bob,ml\n", ["alice", "bob"]),
        ('"user";"full name"\n"alice";"Alice Smith"\n', ["alice"]),
        ("username\tgroup\nalice\tml\n", ["alice"]),
        ("alice,Alice Smith,ml group\n", ["alice"]),
        ("alice\nbob\nalice\n", ["alice", "bob"]),
        ("0815\nMAX\n", ["0815", "MAX"]),
    ],
)
def test_a_list_that_is_clear_is_read(text: str, expected: list[str]) -> None:
    found = rosters.parse(text, "logins.txt")
    assert [entry.login for entry in found if isinstance(entry, rosters.Entry)] == expected


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("alice\nbob carol\n", 2, "alone"),
        ("alice,bob\n", 1, "several logins"),
        ("alice Smith,B. Sc.\n", 1, "not a login name"),
        ("students:x:100:alice\n", 1, "4 columns"),
        ("alice\n-bob\n", 2, "not a login name"),
        ("../etc/passwd\n", 1, "not a login name"),
        ('USERS="alice"\nUSERS="bob"\n', 2, "lines 1, 2"),
        ('USERS="$BASE alice"\n', 1, "shell"),
        ("USERS=$(cat logins)\n", 1, "shell"),
        ('USERS="alice\nbob"\n', 1, "quotes"),
        ("USERS=(alice\nbob)\n", 1, "further lines"),
        ("login\nalice\n", 1, "heading"),
        ("", 1, "no login"),
        ("# nobody\n", 1, "no login"),
        ('USERS=""\n', 1, "no login"),
    ],
)
def test_a_list_that_can_be_read_in_two_ways_is_a_finding(text: str, line: int, words: str) -> None:
    (finding,) = rosters.parse(text, "logins.txt")
    assert isinstance(finding, Finding)
    assert (finding.file, finding.line) == ("logins.txt", line)
    assert words in finding.message


def test_every_line_that_is_wrong_is_told() -> None:
    found = rosters.parse("a b\nalice\nc d\n", "logins.txt")
    assert [one.line for one in found] == [1, 3]


@given(st.text())
def test_any_text_is_logins_or_findings(text: str) -> None:
    found = rosters.parse(text, "f")
    assert found
    assert len({type(one) for one in found}) == 1
    assert all(logins.is_login(one.login) for one in found if isinstance(one, rosters.Entry))


@pytest.mark.parametrize(
    ("login", "label"),
    [
        ("alice", "alice"),
        ("Alice", "alice"),
        ("jane.doe@uni.example", "jane-doe-uni-example"),
        ("_svc_", "svc"),
        ("a__b", "a-b"),
        ("0815", "0815"),
        ("_", ""),
    ],
)
def test_a_login_is_made_a_name(login: str, label: str) -> None:
    assert logins.label(login) == label
