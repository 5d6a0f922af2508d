"""Knows what one controller sees of the GPUs: a view that is a few seconds old, or why there is none.

It refuses to see more than the driver tells, and to be fresher than the real one.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from controller.api.conditions import Reason
from controller.gpus.room import EVERY, FRESH
from controller.model.gpus import Access, AccessState, GpuView
from controller.model.observed import NO_GPUS, Seen, Unseen
from controller.planning.fencing import APPLICATION_FAULTS

if TYPE_CHECKING:
    from tests.simulation.world import World


class GpuRoom:
    """The eyes of one controller.

    Attributes:
        seen: the latest view that was told; None: the GPUs were Unseen.
        seen_at: when it was taken, in true time.
    """

    def __init__(self, world: "World") -> None:
        self._world = world
        self._before = GpuView()
        self._next = 0.0
        self._latest: Seen[GpuView] | Unseen = Unseen(
            Reason.NOT_SEEN, "the GPUs were not looked at yet", world.wall()
        )
        self._taken_at = world.true_time()
        self.seen: GpuView | None = None
        self.seen_at = world.true_time()

    def observe(self, running: Mapping[str, int], now: datetime) -> Seen[GpuView] | Unseen:
        """See `surroundings.Gpus`."""
        board = self._world.board
        if board is None:
            return NO_GPUS
        if not board.slow and self._world.monotonic() >= self._next:
            self._look(now)
        self.seen, found = None, self._latest
        if isinstance(found, Unseen):
            return found
        if abs(now - found.at) > FRESH:
            return Unseen(Reason.NOT_SEEN, "the GPUs were looked at too long ago", found.at)
        self.seen, self.seen_at = found.value, self._taken_at
        access = {
            identifier: Access(AccessState.LOST, now, "its node cannot be opened")
            if identifier in board.severed
            else Access(AccessState.OK, now)
            for identifier in running
        }
        return Seen(replace(found.value, access=access), found.at) if access else found

    def note(self) -> None:
        """What the latest view showed to ail devices counts from now on, as it was written down."""
        board, troubles = self._world.board, self.seen.troubles if self.seen is not None else ()
        for trouble in troubles:
            at = self.seen_at if trouble.lasts else trouble.at
            if board is not None and (trouble.lasts or trouble.code not in APPLICATION_FAULTS):
                before = board.ailed.get(trouble.uuid)
                if before is None or at > before[0]:
                    board.ailed[trouble.uuid] = at, self._world.true_time()

    def _look(self, now: datetime) -> None:
        board = self._world.board
        assert board is not None
        self._next = self._world.monotonic() + EVERY
        self._taken_at = self._world.true_time()
        if board.silence:
            self._latest = Unseen(Reason.NOT_SEEN, f"the driver's library: {board.silence}", now)
            return
        if board.mismatch:
            words = "driver and library differ"
            view = replace(self._before, processes=None, use={}, mismatch=words)
        else:
            view = self._before = GpuView(
                devices=MappingProxyType(dict(board.devices)),
                processes=None if board.shy else tuple(board.users()),
                troubles=board.ailments(),
                driver="550",
                library="550",
                simulated=True,
            )
        self._latest = Seen(view, now)
