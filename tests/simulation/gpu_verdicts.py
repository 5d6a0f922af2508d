"""Knows what must hold whenever a controller starts a container with devices, of what was true then.

It refuses to blame a controller for what began after its look, and to judge what others start.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from controller.api.conditions import Reason
from controller.audit.finding import Violation
from controller.model.actions import CreateContainer
from controller.model.effective import Effective
from controller.model.gpus import GpuView, Wish
from controller.model.plan import Decision
from controller.model.status import PassReport
from controller.planning.case import Blueprint
from controller.planning.claimed import Hold
from tests.simulation.board import Beside, Board, Given
from tests.simulation.engine import WatchedEngine

AGEING: Final = timedelta(minutes=12)
"""What a point of priority is worth."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What a controller knew of the GPUs when it decided to give some.

    Attributes:
        began: when its pass began, in true time.
        view: None: they were Unseen.
        taken_at: when the view was taken, in true time.
        wishes: what each workspace asks for, by the specs and the policy that are in force.
        clean_after: how long a device must be without trouble; None where a clock was set.
    """

    began: datetime
    view: GpuView | None
    taken_at: datetime
    wishes: Mapping[str, Wish]
    clean_after: timedelta | None


def judged(board: Board, given: Given, *, lockless: bool, epoch: int | None) -> Iterator[Violation]:
    """Return all that is wrong with one start."""
    for invariant, message in _wrong(board, given, lockless=lockless, epoch=epoch):
        yield Violation(invariant, given.at, given.workspace, f"{given.name} was started with {message}")


def _wrong(board: Board, given: Given, *, lockless: bool, epoch: int | None) -> Iterator[tuple[str, str]]:
    if given.devices - given.granted:
        extra = ", ".join(sorted(given.devices - given.granted))
        yield "S1", f"{extra}, which it was not granted"
    if not given.devices:
        return
    sight = given.by.sight
    if sight is None:
        yield "S8", "devices, and nobody had asked whether they are free"
        return
    if sight.view is None or sight.view.processes is None or sight.view.mismatch:
        yield "S8", "devices although it was not seen who uses them"
        return
    yield from _unfit(board, given, sight, sight.view, lockless=lockless)
    if epoch is not None and given.by.epoch not in {None, epoch}:
        return  # a call of a dead controller that the Engine carries out late
    for other in given.beside:
        if _could_be_known(given, other, sight, lockless=lockless) and not _together(given, other, sight):
            shared = ", ".join(sorted(board.units(given.devices) & board.units(other.devices)))
            yield _invariant(other), f"{shared}, which {other.what} {other.name} has since {other.since}"
    yield from _crowded(given, sight, lockless=lockless)


def _invariant(other: Beside) -> str:
    return "S8" if other.what == "made" else "S1"


def _unfit(
    board: Board, given: Given, sight: Sight, view: GpuView, *, lockless: bool
) -> Iterator[tuple[str, str]]:
    """What of its devices nobody should get, as could be known.

    Of two controllers without a lock each lacks what people said to the other, and what the other fenced.
    """
    troubles = {one.uuid for one in view.troubles if one.lasts}
    for uuid in sorted(given.devices):
        device = view.devices.get(uuid)
        whole = board.known[uuid].whole
        if device is None:
            yield "S8", f"{uuid}, which was not seen"
        for place in dict.fromkeys((uuid, whole)):
            since = board.cordons.get(place)
            if since is not None and since < sight.began and not lockless:
                yield "S8", f"{uuid} although {place} was taken out of use at {since}"
        if whole in troubles:
            yield "S8", f"{uuid} although something was wrong with {whole}"
        ailed = None if lockless or sight.clean_after is None else board.ailed.get(whole)
        at, known = ailed or (sight.began, sight.began)
        if known < sight.began < at + (sight.clean_after or timedelta(0)):
            yield "S8", f"{uuid} although something was wrong with {whole} until {at}"


def _could_be_known(given: Given, other: Beside, sight: Sight, *, lockless: bool) -> bool:
    """Tell whether the look on which a start rests could show who had a device."""
    seen = given.by.seen_at
    match other.what:
        case "process":
            return other.since < sight.taken_at
        case "foreign":
            return seen is not None and other.since < seen and other.listed
        case "made":
            return seen is not None and other.since < seen
        case _:
            by = other.by
            if by is not None and by.by == "controller":
                if not lockless and by.epoch == given.by.epoch:
                    return True
                if given.first and other.first:
                    return True  # whoever made its container last has seen the other's
            return seen is not None and other.since < seen


def _together(given: Given, other: Beside, sight: Sight) -> bool:
    """Tell whether both may have a device by what they ask for."""
    mine, theirs = sight.wishes.get(given.workspace), sight.wishes.get(other.workspace)
    if other.kin or mine is None or theirs is None:
        return False
    return Hold.of(mine) is not Hold.ALONE and Hold.of(theirs) is not Hold.ALONE


def _crowded(given: Given, sight: Sight, *, lockless: bool) -> Iterator[tuple[str, str]]:
    """More share a device than the policy lets."""
    wish = sight.wishes.get(given.workspace)
    if wish is None or Hold.of(wish) is not Hold.SHARE:
        return
    for uuid in sorted(given.devices):
        sharing = {
            other.workspace
            for other in given.beside
            if uuid in other.devices
            and other.workspace in sight.wishes
            and Hold.of(sight.wishes[other.workspace]) is Hold.SHARE
            and _could_be_known(given, other, sight, lockless=lockless)
        }
        if len(sharing) >= wish.sharers:
            yield "S1", f"{uuid}, which {', '.join(sorted(sharing))} share, as many as may"


class OvertakenError(Exception):
    """Devices were given to somebody before another one who came earlier and asks for the same."""


def look_at_queue(
    report: PassReport,
    designs: Mapping[str, object],
    waits: Mapping[str, datetime],
    engine: WatchedEngine,
) -> None:
    """Judge the order of a queue: priority, and a point of it for each twelve minutes of waiting.

    Raises:
        OvertakenError: it was not kept.
    """
    decisions = report.plan.decisions
    queued = [name for name, one in decisions.items() if one.reason is Reason.GPU_QUEUED]
    if not queued:
        return
    having = {engine.owner(container) for container in engine.containers.values()}
    for name, decision in decisions.items():
        got, mine = _makes_with_devices(decision), _effective(designs.get(name))
        if not got or name in having or mine is None:
            continue
        for other in queued:
            theirs = _effective(designs.get(other))
            if theirs is None or theirs.gpu != mine.gpu or name == other:
                continue
            if _rank(other, theirs, waits, report.at) < _rank(name, mine, waits, report.at):
                raise OvertakenError(f"{name} gets devices before {other}: {decisions[other].message}")


def _makes_with_devices(decision: Decision) -> bool:
    return any(
        isinstance(action, CreateContainer) and action.template.gpus is not None
        for action in decision.actions
    )


def _effective(design: object) -> Effective | None:
    return design.effective if isinstance(design, Blueprint) else None


def _rank(
    name: str, effective: Effective, waits: Mapping[str, datetime], now: datetime
) -> tuple[datetime, datetime, str]:
    since = min(waits.get(name, now), now)
    return since - effective.priority * AGEING, since, name
