"""What came of one action: done, not done, or unknown.

Refuses a fourth: a call that timed out is `Failed` with `unknown` set, and is not repeated without a look.
"""

from dataclasses import dataclass
from typing import TypeAlias

from controller.api.conditions import Reason
from controller.model.actions import Action


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The action's effect is there; `already` where it was before."""

    action: Action
    seconds: float
    already: bool = False


@dataclass(frozen=True, slots=True)
class Skipped:
    """The object was not as expected, so nothing was done; the next pass looks again, without a back-off."""

    action: Action
    seconds: float
    message: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The action's effect is not there, or (`unknown`) may be there."""

    action: Action
    seconds: float
    reason: Reason
    message: str
    retryable: bool
    unknown: bool = False


Outcome: TypeAlias = Succeeded | Skipped | Failed
