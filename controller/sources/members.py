"""Knows who belongs to a group of the policy beside those that it lists: by files, by the host's groups.

Refuses to take a file that is wrong, half-written or gone, or a name service that is silent, for an empty
group: whoever was in it last still is.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import pydantic

from controller.api import fields
from controller.api.presets import Group
from controller.model.desired import Finding
from controller.model.observed import Account, AccountSeen, Unseen
from controller.sources import files, findings, loader, names, readings
from controller.sources.findings import Position

KIND: Final = "MembersFile"
"""How these files are called in the metric, and what is remembered of all of them in the ledger."""
MAX_BYTES: Final = 2**20

Recall = Callable[[str], tuple[str, str] | None]
Remember = Callable[[str, str, str], None]

_NEVER: Final = -1
"""Group id of a group that the host never had."""
_LOGIN: Final = pydantic.TypeAdapter[str](fields.Login)


class Logins(pydantic.BaseModel, frozen=True):
    """What a file of members says."""

    members: frozenset[str]


class _HostGroup(pydantic.BaseModel, frozen=True):
    """A group of the host as it was last told, and the owners who have it as their primary group."""

    gid: int
    members: frozenset[str]
    primary: frozenset[str] = frozenset()


class _Known(pydantic.BaseModel, frozen=True):
    """What was last accepted of each file, and told of each group of the host."""

    files: dict[str, frozenset[str]] = {}
    groups: dict[str, _HostGroup] = {}


@dataclass(frozen=True, slots=True)
class Roll:
    """Who belongs to the groups beside those whom the policy lists.

    Attributes:
        unread: groups of which a part could never be read.
        findings: what is wrong with files and groups of the host.
        digest: names members and unread groups; empty where no group has any source but the policy.
    """

    members: Mapping[str, frozenset[str]] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()
    findings: tuple[Finding, ...] = ()
    digest: str = ""


class Members:
    """Looks at the files beside the policy and asks the host; `recall` and `remember` outlive restarts."""

    def __init__(
        self,
        policy_file: str,
        settle: timedelta,
        recall: Recall,
        remember: Remember,
        host_groups: names.Names[names.HostGroup] | None = None,
    ) -> None:
        self.due: datetime | None = None
        self.states: dict[str, str] = {}
        """State of each file: valid, invalid, settling or absent."""
        self._policy_file = policy_file
        self._settle = settle
        self._remember = remember
        self._host_groups = host_groups or names.Names(names.group)
        self._files: dict[str, files.DocumentFile[Logins]] = {}
        self._known = _remembered(recall(KIND))
        self._roll = Roll()

    def directories(self) -> frozenset[str]:
        """Return the directories in which the files lie."""
        return frozenset(os.path.dirname(self._path(name)) or "." for name in self._files)  # noqa: PTH120 - plain text

    def observe(
        self, groups: Mapping[str, Group], accounts: Mapping[str, AccountSeen], now: datetime
    ) -> Roll:
        """Return who belongs to the groups; the same object while nothing changed.

        Raises:
            errors.Retryable: what is new could not be remembered.
        """
        self.due = None
        wrong: list[Finding] = []
        known = _Known(
            files=dict(self._read(_files(groups), wrong, now)),
            groups=dict(self._asked(_host_groups(groups), accounts, wrong, now)),
        )
        if known != self._known:
            text = known.model_dump_json()
            self._remember(KIND, text, hashlib.sha256(text.encode()).hexdigest())
            self._known = known
        roll = _roll(groups, known, tuple(wrong))
        if roll != self._roll:
            self._roll = roll
        return self._roll

    def _file(self, name: str) -> files.DocumentFile[Logins]:
        return files.DocumentFile(self._path(name), self._settle, parse, MAX_BYTES)

    def _path(self, name: str) -> str:
        return path_of(self._policy_file, name)

    def _about(self, name: str, message: str) -> Finding:
        return findings.of_file(self._policy_file, f'hostGroups: the group "{name}": {message}')

    def _read(
        self, wanted: Iterable[str], wrong: list[Finding], now: datetime
    ) -> Iterator[tuple[str, frozenset[str]]]:
        """Yield the logins of each file, as far as they were ever accepted."""
        wanted = tuple(wanted)
        self._files = {name: self._files.get(name) or self._file(name) for name in wanted}
        self.states = {}
        for name in wanted:
            before = self._known.files.get(name)
            match self._files[name].observe(now):
                case files.Settled() as settled:
                    self.states[name] = "valid"
                    members = settled.parsed.value.members
                    before = before if before == members else members
                case files.Settling() as settling:
                    self.states[name] = "settling"
                    self.due = min(self.due or settling.due, settling.due)
                case loader.Rejection() as rejection:
                    self.states[name] = "invalid"
                    wrong += rejection.findings
                case files.Absent():
                    self.states[name] = "absent"
                    wrong.append(findings.of_file(self._path(name), _absence(before)))
            if before is not None:
                yield name, before

    def _asked(
        self,
        wanted: Iterable[str],
        accounts: Mapping[str, AccountSeen],
        wrong: list[Finding],
        now: datetime,
    ) -> Iterator[tuple[str, _HostGroup]]:
        """Yield each group of the host as it is told now, or was told last."""
        for name, told in self._host_groups.ask(wanted, now).items():
            before = self._known.groups.get(name)
            if isinstance(told, Unseen):
                stays = "it was never read" if before is None else "who was in it last stays in it"
                wrong.append(self._about(name, f"{told.message}; {stays}"))
            elif told is None:
                before = before or _HostGroup(gid=_NEVER, members=frozenset())
                stays = "nobody is in it" if before.gid == _NEVER else "who was in it last stays in it"
                wrong.append(self._about(name, f"this host has no such group; {stays}"))
            else:
                known = before.primary if before else frozenset[str]()
                before = _HostGroup(gid=told.gid, members=told.members, primary=known)
            if before is not None:
                yield (
                    name,
                    _HostGroup(
                        gid=before.gid, members=before.members, primary=frozenset(_primary(before, accounts))
                    ),
                )


def path_of(policy_file: str, name: str) -> str:
    """Return the path of a file of members, which lies beside or below the policy."""
    return os.path.join(os.path.dirname(policy_file), name)  # noqa: PTH118, PTH120 - paths are plain text here


def parse(text: bytes, path: str) -> loader.Parsed[Logins] | loader.Rejection:
    """Return the logins of a file, one a line, or all that is wrong with it; `#` begins a comment."""
    members: set[str] = set()
    wrong: list[Finding] = []
    for number, line in enumerate(text.split(b"\n"), start=1):
        try:
            login = line.decode().partition("#")[0].strip()
            if login:
                members.add(_LOGIN.validate_python(login))
        except UnicodeDecodeError:
            wrong.append(Finding(path, number, 1, "", "the line is not UTF-8"))
        except pydantic.ValidationError as error:
            column = len(line) - len(line.lstrip()) + 1
            wrong.append(Finding(path, number, column, "", error.errors()[0]["msg"]))
    if wrong:
        return loader.Rejection(path, tuple(wrong[: loader.MAX_FINDINGS]))
    value = Logins(members=frozenset(members))
    return loader.Parsed(path, value, None, Position(1, 1), terminated=False, lines={})


def survey(policy_file: str, groups: Mapping[str, Group]) -> Roll:
    """Return who the files of a policy say belongs to its groups, each file as it reads now.

    The host is not asked: groups of the host have no members here.
    """
    wrong: list[Finding] = []
    known: dict[str, frozenset[str]] = {}
    for name in _files(groups):
        found = _read_now(path_of(policy_file, name))
        if isinstance(found, loader.Rejection):
            wrong += found.findings
        else:
            known[name] = found
    return _roll(groups, _Known(files=known), tuple(wrong))


def _read_now(path: str) -> frozenset[str] | loader.Rejection:
    directory, name = os.path.split(path)
    try:
        descriptor = os.open(directory or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        return _rejection(path, f"its directory cannot be opened: {error.strerror}")
    try:
        reading = readings.read(descriptor, name, MAX_BYTES)
    finally:
        os.close(descriptor)
    if reading is None:
        return _rejection(path, "there is no such file, and a membersFile of the policy names it")
    if isinstance(reading, readings.NotReadable):
        return _rejection(path, f"the file cannot be used: {reading.message}")
    if reading.text is None:
        return _rejection(path, f"the file has {reading.stamp.size} bytes; at most {MAX_BYTES} are read")
    found = parse(reading.text, path)
    return found if isinstance(found, loader.Rejection) else found.value.members


def _rejection(path: str, message: str) -> loader.Rejection:
    return loader.Rejection(path, (findings.of_file(path, message),))


def _files(groups: Mapping[str, Group]) -> Iterable[str]:
    return sorted({group.members_file for group in groups.values() if group.members_file is not None})


def _host_groups(groups: Mapping[str, Group]) -> Iterable[str]:
    return sorted({name for group in groups.values() for name in group.host_groups or ()})


def _primary(group: _HostGroup, accounts: Mapping[str, AccountSeen]) -> Iterator[str]:
    """Yield the owners whose primary group it is, or was when their accounts were last told."""
    for login, seen in accounts.items():
        if seen.gid == group.gid if isinstance(seen, Account) else login in group.primary:
            yield login


def _roll(groups: Mapping[str, Group], known: _Known, wrong: tuple[Finding, ...]) -> Roll:
    members: dict[str, frozenset[str]] = {}
    unread: set[str] = set()
    for name, group in groups.items():
        if group.members_file is None and not group.host_groups:
            continue
        parts = [known.files.get(group.members_file)] if group.members_file is not None else []
        hosts = [known.groups.get(host) for host in group.host_groups or ()]
        parts += [None if host is None else host.members | host.primary for host in hosts]
        members[name] = frozenset().union(*(part for part in parts if part is not None))
        if None in parts:
            unread.add(name)
    if not members:
        return Roll(findings=wrong)
    said = {"members": {name: sorted(logins) for name, logins in members.items()}, "unread": sorted(unread)}
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]
    return Roll(members, frozenset(unread), wrong, digest)


def _absence(before: frozenset[str] | None) -> str:
    if before is None:
        return "there is no such file; who belongs to its group is not known"
    return f"the file is gone; its last {len(before)} members stay (an empty file ends them)"


def _remembered(found: tuple[str, str] | None) -> _Known:
    if found is None:
        return _Known()
    try:
        return _Known.model_validate_json(found[0])
    except pydantic.ValidationError:
        return _Known()
