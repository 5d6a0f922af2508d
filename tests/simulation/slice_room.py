"""Knows what one controller sees of the slices, and does to them, a moment after the other.

It refuses to know who else did something to them.
"""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from controller.api.conditions import Reason
from controller.model.actions import LimitCgroup, SliceAction
from controller.model.observed import NO_SLICES, Seen, Unseen
from controller.model.outcomes import Outcome
from controller.model.slices import Question, SliceView
from tests.support.slice_maker import SliceMaker, limit

if TYPE_CHECKING:
    from tests.simulation.world import World


class SliceRoom:
    """The eyes and hands of one controller.

    Attributes:
        seen: the latest view that was told; None: the slices were Unseen.
        seen_at: when it was taken, in true time.
    """

    def __init__(self, world: "World") -> None:
        self._world = world
        self._maker: SliceMaker | None = None
        if world.slices is not None:
            self._maker = SliceMaker(world.slices.tree, world.monotonic)
            self._maker.loss, self._maker.refusal = world.slices.lose, world.slices.refusal
        self.seen: SliceView | None = None
        self._before: SliceView | None = None
        self.seen_at = world.true_time()

    def observe(self, question: Question, now: datetime) -> Seen[SliceView] | Unseen:
        """See `surroundings.Slices`."""
        host = self._world.slices
        if host is None or self._maker is None:
            return NO_SLICES
        before, self.seen = self._before, None
        if host.unseen:
            return Unseen(Reason.NOT_SEEN, f"slices: {host.unseen}", now)
        found = self._maker.observe(question, now)
        if isinstance(found, Seen):
            if found.value is not before:
                self.seen_at = self._world.true_time()
            self.seen = self._before = found.value
        return found

    def execute(
        self, action: SliceAction, pause: Callable[[float], None], die: Callable[[], None]
    ) -> Outcome:
        """Carry one action out; `pause` lets others go first for a time, `die` kills the controller."""
        host = self._world.slices
        if host is None or self._maker is None:
            assert isinstance(action, LimitCgroup), "nobody makes slices here"
            return limit(self._world.engine, {}, action)
        work, moments = self._maker.carry_out(action), 0
        kill_at = host.kills.popleft() if host.kills else None
        while True:
            if moments == kill_at:
                die()
            try:
                next(work)
            except StopIteration as end:
                if kill_at is not None and kill_at > moments:
                    die()
                outcome: Outcome = end.value
                return outcome
            moments += 1
            pause(host.slow)
