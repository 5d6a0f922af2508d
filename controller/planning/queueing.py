"""Knows in which order requests for GPUs are served.

Refuses to know devices. Who waits moves up: a point of priority for each twelve minutes, without end. So the
order of two who wait never changes, and who comes so much later that it is worth more than the points between
them does not go before.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from controller.model.gpus import Wish

AGEING: Final = timedelta(minutes=12)
"""Waiting of so long is worth one point of priority: the 99 points between 1 and 100 are worth 19.8 hours."""

PATIENCE: Final = timedelta(hours=1)
"""Who waits longer than that, and has none before it who has not, gets set aside what becomes free."""

Rank: TypeAlias = tuple[datetime, datetime, str]
"""The smaller is served first: aged priority, then who waits longest, then the name."""


@dataclass(frozen=True, slots=True)
class Request:
    """A workspace asks for devices, or has some and wants to keep them.

    Attributes:
        priority: 1 to 100; the higher is served first.
        waiting_since: when it began to wait; None: it asks for the first time.
        own: UUIDs that its container was made with; empty: it has no container, or one without GPUs.
        must_own: no others will do: its container is stopped, and starts with these or not at all.
        runs: its container runs or may run, with `own`: these it keeps as long as they are what it asks for,
            whatever is found of them.
    """

    workspace: str
    wish: Wish
    priority: int
    waiting_since: datetime | None = None
    own: tuple[str, ...] = ()
    must_own: bool = False
    runs: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """Requests in the order in which they are served.

    Attributes:
        elders: those who wait longer than `PATIENCE`, as long as nobody else is before them.
    """

    requests: tuple[Request, ...]
    elders: frozenset[str]


def rank(request: Request, now: datetime) -> Rank:
    """Return the place of a request among those who wait: aged priority is this, times minus one."""
    since = now if request.waiting_since is None else min(request.waiting_since, now)
    return since - request.priority * AGEING, since, request.workspace


def order(
    requests: Iterable[Request], holding: Collection[str], same: Collection[str], now: datetime
) -> Order:
    """Return who is served first.

    First those who hold what they will have: they take nothing from anybody. Then those who have waited long
    and are the first by rank. Then those who had devices and want the same again. Then all others by rank.

    Args:
        requests: in any order.
        holding: the workspaces that hold what they will have.
        same: those that had devices and get the very same again, or wait for these.
        now: the time of the pass.
    """
    by_rank = sorted(requests, key=lambda request: rank(request, now))
    holders = [request for request in by_rank if request.workspace in holding]
    rest = [request for request in by_rank if request.workspace not in holding]
    elders = frozenset(_elders(rest, same, now))
    first = [request for request in rest if request.workspace in elders]
    rest = [request for request in rest if request.workspace not in elders]
    sticky = [request for request in rest if request.workspace in same]
    others = [request for request in rest if request.workspace not in same]
    return Order((*holders, *first, *sticky, *others), elders)


def _elders(by_rank: Sequence[Request], same: Collection[str], now: datetime) -> Iterator[str]:
    """Yield who waits longer than patience lasts, until one who does not; the sticky are in nobody's way."""
    for request in by_rank:
        if request.waiting_since is not None and now - request.waiting_since > PATIENCE:
            yield request.workspace
        elif request.workspace not in same:
            return
