"""Knows how two controllers that share an Engine, and no lock, come to want one device at the same moment.

It refuses to change what they ask of the Engine: it only chooses when a create goes on.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.support import proxy
from tests.support.plans import Boundary, Fault

PATIENCE = 5.0
"""Seconds for which a create waits for its rival at most; it goes on alone then."""


class Moment(Enum):
    """When the create of one of two rivals reaches the Engine."""

    TOGETHER = "together"
    """With the other's: neither could see the other before."""
    AT_START = "at start"
    """With the other's start: the other saw nobody, and this one decided before there was anybody."""
    FREE = "free"
    """As it comes."""


class Crossing:
    """Where the creates and starts of rivals meet.

    Attributes:
        rival: of each workspace.
        moments: of each workspace; who is not named is free.
    """

    def __init__(self, rival: Mapping[str, str], moments: Mapping[str, Moment]) -> None:
        self.rival = rival
        self.moments = moments
        self._came: dict[tuple[str, str], threading.Event] = defaultdict(threading.Event)
        self._lock = threading.Lock()

    def come(self, what: str, workspace: str) -> None:
        """Somebody is about to do something to the container of a workspace; returns when it may go on."""
        if workspace not in self.rival:
            return
        self._event(what, workspace).set()
        moment = self.moments.get(workspace, Moment.FREE)
        if what == "create" and moment is not Moment.FREE:
            awaited = "create" if moment is Moment.TOGETHER else "start"
            self._event(awaited, self.rival[workspace]).wait(PATIENCE)

    def _event(self, what: str, workspace: str) -> threading.Event:
        with self._lock:
            return self._came[what, workspace]


class Road(proxy.Proxy):
    """The way of one controller to the Engine, over the crossing that `crossing` names at the time."""

    def __init__(self, engine: Path, names: Callable[[str], str]) -> None:
        self.crossing = Crossing({}, {})
        self._names = names
        super().__init__(engine)

    def _count(self, method: str, path: str) -> dict[Boundary, Fault]:
        target = urlsplit(path)
        if method == "POST" and target.path == "/containers/create":
            self._come("create", parse_qs(target.query)["name"][0])
        elif method == "POST" and target.path.endswith("/start"):
            self._come("start", self._names(target.path.split("/")[2]))
        return super()._count(method, path)

    def _come(self, what: str, container: str) -> None:
        self.crossing.come(what, container.removeprefix("workspace-"))
