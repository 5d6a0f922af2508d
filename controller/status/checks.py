"""One line of what is found out about a host: how it is to be taken, what it is, and what to do about it.

Refuses to judge: `preflight` and `slicechecks` do.
"""

import enum
from dataclasses import dataclass


class Level(enum.StrEnum):
    """How a finding is to be taken."""

    OK = "ok"
    """As it should be."""
    WARN = "warn"
    """The controller works; a person should know."""
    FAIL = "fail"
    """The controller cannot work, or not safely."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of `wharf check`: what was looked at, what was found, and what to do about it."""

    level: Level
    what: str
    detail: str
    remedy: str = ""

    def __str__(self) -> str:
        """`warn  live restore  it is off; set …`."""
        text = f"{self.level:<4}  {self.what:<16}  {self.detail}"
        return f"{text}; {self.remedy}" if self.remedy else text


def ok(what: str, detail: str) -> Check:
    """As it should be."""
    return Check(Level.OK, what, detail)


def warn(what: str, detail: str, remedy: str) -> Check:
    """Something a person should know."""
    return Check(Level.WARN, what, detail, remedy)


def fail(what: str, detail: str, remedy: str) -> Check:
    """Something without whose end the controller cannot work, or not safely."""
    return Check(Level.FAIL, what, detail, remedy)
