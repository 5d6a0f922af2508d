"""The two ways in which an effect can fail, as everything above the adapters knows them.

Refuses third-party exceptions: each adapter translates its own, by a table, and keeps the original as cause.
"""

from datetime import timedelta

from controller.api.conditions import Reason


class EffectError(Exception):
    """A call that did not do what it was asked to do.

    Attributes:
        reason: one word of the closed list.
        message: a sentence for people, without secrets.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


class Retryable(EffectError):  # noqa: N818 - the design's name for it
    """May succeed later without anybody's help; `retry_after` is the earliest sensible time, if known."""

    def __init__(self, reason: Reason, message: str, retry_after: timedelta | None = None) -> None:
        super().__init__(reason, message)
        self.retry_after = retry_after


class Terminal(EffectError):  # noqa: N818 - the design's name for it
    """Cannot succeed until the spec or the host changes."""


class InUse(Terminal):  # noqa: N818 - the design's name for it
    """Another controller has it."""
