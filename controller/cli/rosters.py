"""Lists of users as they come: logins one a line, further columns, a passwd file, `USERS="alice bob"`.

Pure, and it refuses to guess: a line that can be read in two ways is a finding that says how to write it.
"""

import re
import shlex
from dataclasses import dataclass
from typing import Final

from controller.cli import logins
from controller.model.desired import Finding

_ASSIGNMENT: Final = re.compile(r"\s*(?:export\s+|declare\s+(?:-\w+\s+)*)?USERS=(?P<list>.*)")
_HEADINGS: Final = frozenset({"login", "user", "username", "user_name", "name", "account", "uid"})
_PASSWD: Final = 7
_SHADOW: Final = 9
_PAIR: Final = 2


@dataclass(frozen=True, slots=True)
class Entry:
    """One login name and the line where it stands."""

    login: str
    line: int


@dataclass(slots=True)
class _Reading:
    file: str
    entries: list[Entry]
    findings: list[Finding]

    def take(self, text: str, line: int) -> None:
        if logins.is_login(text):
            self.entries.append(Entry(text, line))
        else:
            self.refuse(line, f'"{text}" is not a login name')

    def refuse(self, line: int, message: str) -> None:
        self.findings.append(Finding(self.file, line, 1, "", message))


def parse(text: str, file: str) -> tuple[Entry, ...] | tuple[Finding, ...]:
    """The login names in a list, each once and in its order; or everything about it that is not clear."""
    reading = _Reading(file, [], [])
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    lists = [(number, found["list"]) for number, line in lines if (found := _ASSIGNMENT.fullmatch(line))]
    if len(lists) > 1:
        numbers = ", ".join(str(number) for number, _ in lists)
        reading.refuse(lists[1][0], f"USERS is set in the lines {numbers}; keep one of them")
    elif lists:
        _read_assignment(*lists[0], reading)
    else:
        _read_lines([(number, line) for number, line in lines if line and not line.startswith("#")], reading)
    if not reading.entries and not reading.findings:
        reading.refuse(1, "there is no login name in it")
    if reading.findings:
        return tuple(reading.findings)
    first: dict[str, Entry] = {}
    for entry in reading.entries:
        first.setdefault(entry.login, entry)
    return tuple(first.values())


def _read_assignment(number: int, words: str, reading: _Reading) -> None:
    """The list of a shell's variable: in quotes, bare, or an array on one line."""
    if any(sign in words for sign in "$`\\"):
        reading.refuse(number, "USERS is put together by a shell; write the logins themselves")
        return
    if words.startswith("(") and not re.fullmatch(r"\([^()]*\)\s*(?:#.*)?", words):
        reading.refuse(number, "the list goes on in further lines; write it in one line, or a login a line")
        return
    try:
        parts = shlex.split(words.partition(")")[0].lstrip("("), comments=True)
    except ValueError:
        reading.refuse(number, "the list's quotes do not end in this line; write a login a line")
        return
    for word in " ".join(parts).replace(",", " ").split():
        reading.take(word, number)


def _read_lines(lines: list[tuple[int, str]], reading: _Reading) -> None:
    """A login a line; where there are columns it is the first, if nothing else can be meant."""
    has_heading = bool(lines) and _columns(lines[0][1])[0].lower() in _HEADINGS
    if has_heading and len(_columns(lines[0][1])) == 1:
        reading.refuse(lines[0][0], "this can be a heading or a login; remove the heading")
        return
    for number, line in lines[1 if has_heading else 0 :]:
        columns = _columns(line.partition(" #")[0].strip())
        message = "" if has_heading else _unclear(line, columns)
        if message:
            reading.refuse(number, message)
        else:
            reading.take(columns[0], number)


def _columns(line: str) -> list[str]:
    """The parts of a line between its separators: the first sign of these that it has, else spaces."""
    separator = next((sign for sign in (":", ",", ";", "\t") if sign in line), None)
    return [column.strip().strip('"') for column in line.split(separator)]


def _unclear(line: str, columns: list[str]) -> str:
    """Why it is not clear which column is the login, or nothing."""
    if len(columns) == 1:
        return ""
    if ":" in line:
        if len(columns) in {_PAIR, _PASSWD, _SHADOW}:
            return ""
        return f"{len(columns)} columns are neither login:group nor a passwd file; write the login alone"
    others = [column for column in columns[1:] if column]
    if all(map(logins.is_login, others)):
        return "these can be several logins or columns about one; write the login alone in its line"
    return "" if {",", ";", "\t"} & set(line) else "write the login alone in its line"
