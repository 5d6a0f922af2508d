"""Knows how slices of a simulated host are looked at and set, as the product does it, moment by moment.

It refuses to choose the moments: who carries an action out goes from one to the next, and may stop at each.
"""

import errno
from collections.abc import Callable, Generator
from dataclasses import replace
from datetime import datetime
from typing import Final, TypeAlias

from controller.api.conditions import Reason
from controller.api.config import SliceDriver
from controller.model import actions, slices
from controller.model.observed import Seen, Unseen
from controller.model.outcomes import Failed, Outcome, Skipped, Succeeded
from controller.model.slices import FIELDS, Question, SliceLimit, SliceLimits, SliceView
from tests.support.sim_engine import SimEngine
from tests.support.slice_tree import ALL_PROCESSORS, SliceTree

FRESH: Final = 1.0
"""Seconds for which a look may be given again, if nothing was done since."""
ORDER: Final = (
    SliceLimit.MEMORY_HIGH,
    *(one for one in SliceLimit if one is not SliceLimit.MEMORY_HIGH),
)
Work: TypeAlias = Generator[None, None, Outcome]
"""An action under way: it waits wherever somebody else may go first, or the controller may be killed."""


class SliceMaker:
    """One controller's hands and eyes for slices; `monotonic` gives seconds.

    Attributes:
        loss: takes back something of what was just set, and says that it did; nobody is told.
        refusal: why the next setting fails, or empty.
    """

    def __init__(self, tree: SliceTree, monotonic: Callable[[], float]) -> None:
        self.tree = tree
        self.loss: Callable[[str], None] = lambda _: None
        self.refusal: Callable[[], str] = lambda: ""
        self._monotonic = monotonic
        self._latest: tuple[float, Question, Seen[SliceView]] | None = None

    def observe(self, question: Question, now: datetime) -> Seen[SliceView] | Unseen:
        """See `surroundings.Slices`."""
        if question.driver is SliceDriver.NONE:
            return Seen(SliceView(), now)
        if question.driver is not self.tree.driver:
            return Unseen(Reason.NOT_SEEN, f"{question.driver} makes no cgroups here", now)
        if self._latest is None or not self._counts(self._latest, question):
            found = Seen(self.tree.view(question.paths, question.running), now)
            self._latest = self._monotonic(), question, found
        return self._latest[2]

    def _counts(self, latest: tuple[float, Question, Seen[SliceView]], question: Question) -> bool:
        return latest[1] == question and self._monotonic() - latest[0] < FRESH

    def carry_out(self, action: actions.SliceAction) -> Work:
        """Carry out one action; what was seen before it counts no more."""
        yield
        self._latest = None
        if isinstance(action, actions.LimitCgroup):
            return limit(self.tree.engine, self.tree.high, action)
        work = self._set(action) if isinstance(action, actions.SetSlice) else self._remove(action)
        outcome = yield from work
        self._latest = None
        return outcome

    def _set(self, action: actions.SetSlice) -> Work:
        why = self.refusal()
        if why or action.driver is not self.tree.driver:
            return _failed(action, why or "another driver is at work here")
        made = action.name not in self.tree.groups
        before = self.tree.make(action.name).limits
        if before == action.limits and not made:
            return Succeeded(action, 0.0, already=True)
        if self._is_below_use(action):
            return Skipped(action, 0.0, f"more memory is in use in {action.name}")
        try:
            yield from self._write(action, before)
        except OSError as error:
            return _failed(action, str(error))
        return self._read_back(action)

    def _write(self, action: actions.SetSlice, before: SliceLimits) -> Generator[None, None, None]:
        """Write what differs: file by file, or all of it by systemd."""
        if self.tree.driver is SliceDriver.SYSTEMD:
            self.tree.set_unit(action.name, action.limits)
            yield
            return
        for one in ORDER:
            wanted = getattr(action.limits, FIELDS[one])
            if getattr(before, FIELDS[one]) != wanted:
                if one is SliceLimit.MEMORY and self._is_below_use(action):
                    raise OSError(errno.EBUSY, "more memory is in use", action.name)
                self.tree.write(action.name, one, wanted)
                yield

    def _is_below_use(self, action: actions.SetSlice) -> bool:
        """Whether a hard limit is to be lowered below what is in use; in an empty slice nothing can be."""
        group, limit = self.tree.groups.get(action.name), action.limits.memory
        if group is None or limit is None or limit == group.limits.memory:
            return False
        return self.tree.populated(action.name) and self.tree.memory(action.name) >= limit

    def _read_back(self, action: actions.SetSlice) -> Outcome:
        group = self.tree.groups.get(action.name)
        if group is None:
            return _failed(action, f"{action.name} is gone")
        grain = self.tree.view((), {}).grain
        wrong = slices.differing(action.limits, group.limits, grain)
        if wrong:
            return _failed(action, f"{', '.join(wrong)} of {action.name}: not as written")
        self.loss(action.name)
        return Succeeded(action, 0.0)

    def _remove(self, action: actions.RemoveSlice) -> Work:
        if action.name not in self.tree.groups:
            return Succeeded(action, 0.0, already=True)
        if self.tree.populated(action.name):
            return Skipped(action, 0.0, f"something runs in {action.name}")
        if self.tree.driver is SliceDriver.SYSTEMD:
            yield  # between the question whether anything is in a unit, and its end
            self.tree.stop(action.name)
            return Succeeded(action, 0.0)
        try:
            self.tree.remove(action.name)
        except OSError as error:
            return Skipped(action, 0.0, str(error))
        return Succeeded(action, 0.0)


def limit(engine: SimEngine, high: dict[str, int], action: actions.LimitCgroup) -> Outcome:
    """Write limits into a running container's own cgroup; `high`: above what memory is reclaimed, by id."""
    container = engine.containers.get(action.container_id)
    if container is None or (container.running, container.pid) != (True, action.expected.pid):
        return Skipped(action, 0.0, f"{action.name} is not as expected")
    limits = action.limits
    if limits is not None:
        lowered = limits.memory is not None and limits.memory != container.kernel.memory
        if lowered and container.memory_use >= (limits.memory or 0):
            message = f"{action.name} has more in memory"
            return Failed(action, 0.0, Reason.MEMORY_LOWERING, message, retryable=True)
        container.kernel = replace(limits, cpuset=limits.cpuset or ALL_PROCESSORS)
    if action.memory_high is None:
        high.pop(container.id, None)
    else:
        high[container.id] = action.memory_high
    return Succeeded(action, 0.0)


def _failed(action: actions.SliceAction, message: str) -> Failed:
    return Failed(action, 0.0, Reason.NOT_APPLIED, message, retryable=True)
