"""Looks at the slices of one host and carries out what is decided for them, by whichever driver.

Refuses to choose limits, and to take from a slice what runs in it.
"""

from datetime import datetime

from controller.api.conditions import Reason
from controller.api.config import SliceDriver
from controller.model.actions import SliceAction
from controller.model.observed import Seen, Unseen
from controller.model.outcomes import Failed, Outcome
from controller.model.slices import Question, SliceView


class Room:
    """The slices of one host; it may be asked and told from any thread."""

    def observe(self, question: Question, now: datetime) -> Seen[SliceView] | Unseen:
        """Look at all slices; a host on which nobody makes any is seen, and has none."""
        if question.driver is SliceDriver.NONE:
            return Seen(SliceView(), now)
        return Unseen(Reason.NOT_SEEN, f"slices by {question.driver} cannot be looked at yet", now)

    def execute(self, action: SliceAction) -> Outcome:
        """Carry out one action. Raises nothing on the kernel's account."""
        return Failed(action, 0.0, Reason.NOT_APPLIED, "slices cannot be set yet", retryable=True)
