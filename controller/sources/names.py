"""Asks the host's name service for accounts and groups, in a thread of its own and with a deadline.

Refuses to take silence for absence: a service that errs or hangs is Unseen, and what it tells later is known
at the next look. The C library is asked itself, because the modules pwd and grp hide its errors; see
getpwnam_r(3) and getgrnam_r(3).
"""

import ctypes
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Generic, TypeAlias, TypeVar

from controller.api.conditions import Reason
from controller.model.observed import Account, Unseen

T = TypeVar("T")

ASK_AGAIN: Final = timedelta(seconds=30)
"""A name is asked for again after this long: name services may be slow."""
ASKED_AT_ONCE: Final = 20
"""So many of those at a look at most, the longest unasked first: each may take the name service a while."""
PATIENCE: Final = 3.0
"""How long a look waits for all that it asks, seconds; while a question hangs the next ones do not wait."""
_FIRST_BUFFER: Final = 4096
_LARGEST_BUFFER: Final = 64 * 2**20
_ERANGE: Final = 34


@dataclass(frozen=True, slots=True)
class HostGroup:
    """A group of the host: those who have it as their primary group are not among the members."""

    name: str
    gid: int
    members: frozenset[str]


Answer: TypeAlias = T | Unseen | None
"""None where the host certainly has none of that name."""


class Names(Generic[T]):
    """One kind of names, such as logins.

    `look_up` may take its time; it returns None for a name that is not there, and raises OSError where that
    cannot be told. `patience` is how long a look waits, seconds.
    """

    def __init__(self, look_up: Callable[[str], T | None], patience: float = PATIENCE) -> None:
        self._look_up = look_up
        self._patience = patience
        self._asked: dict[str, datetime] = {}
        self._answers: dict[str, Answer[T]] = {}
        self._questions: deque[tuple[str, datetime]] = deque()
        self._done = threading.Condition()
        self._open = 0
        self._thread: threading.Thread | None = None

    def ask(self, names: Iterable[str], now: datetime) -> dict[str, Answer[T]]:
        """Return what the host says of each; names that are new are all asked for, others a few at a time."""
        names = tuple(names)
        new = [name for name in names if name not in self._asked]
        old = [name for name in names if name in self._asked and not _is_fresh(self._asked[name], now)]
        old.sort(key=lambda name: (self._asked[name] <= now, self._asked[name]))
        with self._done:
            hangs = self._open > 0
            for name in (*new, *old[: 0 if hangs else ASKED_AT_ONCE]):
                self._asked[name] = now
                self._questions.append((name, now))
                self._open += 1
            self._begin()
            self._done.wait_for(lambda: not self._open, 0 if hangs else self._patience)
            return {name: self._answered(name) for name in names}

    def _answered(self, name: str) -> Answer[T]:
        return self._answers[name] if name in self._answers else _unanswered(self._asked[name])

    def _begin(self) -> None:
        if self._questions and self._thread is None:
            self._thread = threading.Thread(target=self._work, name="names", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        """Answer what is asked, one after another; the thread ends when there is nothing more."""
        while True:
            with self._done:
                if not self._questions:
                    self._thread = None
                    return
                name, at = self._questions.popleft()
            answer = self._answer(name, at)
            with self._done:
                known = self._answers.get(name)
                still = isinstance(answer, Unseen) and isinstance(known, Unseen)
                self._answers[name] = known if known == answer or still else answer
                self._open -= 1
                self._done.notify_all()

    def _answer(self, name: str, at: datetime) -> Answer[T]:
        try:
            return self._look_up(name)
        except (OSError, ValueError) as error:
            message = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            return Unseen(Reason.NAME_SERVICE_SILENT, f"the host's name service fails: {message}", at)


def _is_fresh(asked: datetime, now: datetime) -> bool:
    """Tell whether an answer still counts; one of the future is one of a clock that was set back."""
    return timedelta(0) <= now - asked < ASK_AGAIN


def _unanswered(since: datetime) -> Unseen:
    message = f"the host's name service has not answered since {since:%H:%M:%S}"
    return Unseen(Reason.NAME_SERVICE_SILENT, message, since)


class _Passwd(ctypes.Structure):
    """`struct passwd` of <pwd.h>."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("password", ctypes.c_char_p),
        ("uid", ctypes.c_uint32),
        ("gid", ctypes.c_uint32),
        ("gecos", ctypes.c_char_p),
        ("home", ctypes.c_char_p),
        ("shell", ctypes.c_char_p),
    )


class _Group(ctypes.Structure):
    """`struct group` of <grp.h>."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("password", ctypes.c_char_p),
        ("gid", ctypes.c_uint32),
        ("members", ctypes.POINTER(ctypes.c_char_p)),
    )


def account(name: str) -> Account | None:
    """Return the account of a login name.

    Raises:
        OSError: the name service does not tell.
    """
    found = _call("getpwnam_r", name, _Passwd, lambda entry: (entry.uid, entry.gid, _text(entry.home)))
    return None if found is None else Account(name, *found)


def login(uid: str) -> str | None:
    """Return the login name of a uid, which is a number as text.

    Raises:
        OSError: the name service does not tell.
    """
    return _call("getpwuid_r", int(uid), _Passwd, lambda entry: _text(entry.name))


def group(name: str) -> HostGroup | None:
    """Return a group with its members.

    Raises:
        OSError: the name service does not tell.
    """
    return _call("getgrnam_r", name, _Group, lambda entry: HostGroup(name, entry.gid, _members(entry)))


def _members(entry: Any) -> frozenset[str]:  # noqa: ANN401 - ctypes does not say more
    members: list[str] = []
    while entry.members and (member := entry.members[len(members)]):
        members.append(_text(member))
    return frozenset(members)


def _text(value: bytes | None) -> str:
    return os.fsdecode(value or b"")


def _call(
    function: str,
    key: str | int,
    structure: type[ctypes.Structure],
    read: Callable[[Any], T],
) -> T | None:
    """Call one of the reentrant functions, with a larger buffer until the entry fits."""
    argument = os.fsencode(key) if isinstance(key, str) else ctypes.c_uint32(key)
    entry = structure()
    found: Any = ctypes.POINTER(structure)()
    size = _FIRST_BUFFER
    while True:
        buffer = ctypes.create_string_buffer(size)
        code = getattr(ctypes.CDLL(None), function)(
            argument, ctypes.byref(entry), buffer, ctypes.c_size_t(size), ctypes.byref(found)
        )
        if code == _ERANGE and size < _LARGEST_BUFFER:
            size *= 4
            continue
        if code:
            raise OSError(code, os.strerror(code))
        return read(found.contents) if found else None
