"""Knows what owners and workspaces use right now: by a look at the slices beside the passes.

Refuses to decide on it, and to look at anything else.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from controller.api.config import SliceDriver
from controller.model.observed import Unseen
from controller.model.slices import Question, SliceView
from controller.model.slicestatus import OwnerSlice, SlicesStatus
from controller.model.status import PassReport
from controller.status import slices
from controller.surroundings import Slices

SAMPLED: Final = timedelta(seconds=5)
"""How far two looks are apart, at the least, between which processors in use are measured."""


def look(report: PassReport, around: Slices, root: str, now: datetime) -> slices.UsageObject:
    """Look at the slices now, and tell what is used by those who were known in a pass."""
    known = report.slices
    if known.driver is SliceDriver.NONE:
        return slices.usage_object(report, now)
    seen = around.observe(_question(report, root), now)
    if isinstance(seen, Unseen):
        return slices.usage_object(replace(report, slices=_refreshed(known, SliceView(), seen)), now)
    return slices.usage_object(replace(report, slices=_refreshed(known, seen.value)), seen.at)


def _question(report: PassReport, root: str) -> Question:
    running = (status.container for status in report.statuses.values() if status.container is not None)
    pids = {one.id: one.pid for one in running if one.running and one.pid}
    return Question(report.slices.driver, root, running=pids)


def _refreshed(known: SlicesStatus, view: SliceView, unseen: Unseen | None = None) -> SlicesStatus:
    """What was known of the slices, with what they use now, if anything; new ones are taken as they are."""
    owners = {name: replace(one, found=view.slices.get(name)) for name, one in known.owners.items()}
    for name, found in view.slices.items():
        if name and name not in owners:
            owners[name] = OwnerSlice(name, found.name, found=found)
    root = None if known.root is None else replace(known.root, found=view.slices.get(known.root.owner))
    return replace(known, unseen=unseen, owners=owners, root=root, uses=view.containers)


class Shares:
    """How many processors each owner used between two passes."""

    def __init__(self) -> None:
        self._before: tuple[datetime, dict[str, float]] | None = None
        self._last: tuple[datetime, dict[str, float]] | None = None

    def note(self, report: PassReport) -> None:
        """Take what a pass saw."""
        if report.slices.unseen is not None:
            self._before = self._last = None
            return
        if self._last is not None and report.at - self._last[0] < SAMPLED:
            return
        self._before, self._last = self._last, (report.at, _seconds(report))

    def cpus(self) -> dict[str, float]:
        """Return processors in use by owner, of those whose cgroup was seen twice."""
        if self._before is None or self._last is None:
            return {}
        (then, had), (now, have) = self._before, self._last
        length = (now - then).total_seconds()
        same = (owner for owner in had.keys() & have.keys() if have[owner] >= had[owner])
        return {owner: (have[owner] - had[owner]) / length for owner in same}


def _seconds(report: PassReport) -> dict[str, float]:
    return {
        owner: one.found.use.cpu_seconds
        for owner, one in report.slices.owners.items()
        if one.found is not None and one.found.use.cpu_seconds is not None
    }
