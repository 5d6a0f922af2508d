"""Knows whether this process may act on the Engine that answers: one controller for one Engine.

Refuses to look at an Engine whose lock it does not hold, and to follow a socket to another Engine.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Protocol

from controller.api.conditions import Reason
from controller.model import errors
from controller.model.images import ImageStore
from controller.model.observed import EngineView, Layer, Seen, Unseen


class Occupied(Exception):  # noqa: N818 - what it says, not what went wrong
    """Another controller has this Engine; the message says which."""


class Observer(Protocol):
    """Looks at an Engine."""

    def observe(self, references: frozenset[str], now: datetime) -> Seen[EngineView] | Unseen:
        """Look at all containers, and at what the references name."""

    def layers(self, ids: Iterable[str]) -> Mapping[str, Layer]:
        """Look into the writable layers of containers."""

    def images(self, references: Iterable[str], now: datetime) -> ImageStore | Unseen:
        """Look at all images."""


class Gate:
    """An observer behind the lock of its Engine.

    Attributes of construction:
        identify: asks the Engine who it is; raises `errors.EffectError` where it does not answer.
        enter: takes the lock and begins an epoch for this Engine; raises `Occupied`.
    """

    def __init__(self, observer: Observer, identify: Callable[[], str], enter: Callable[[str], None]) -> None:
        self._observer = observer
        self._identify = identify
        self._enter = enter
        self._engine_id: str | None = None
        self._unseen_since: datetime | None = None

    @property
    def engine_id(self) -> str:
        """Of the Engine whose lock is held; empty before."""
        return self._engine_id or ""

    def observe(self, references: frozenset[str], now: datetime) -> Seen[EngineView] | Unseen:
        """Look, if the lock is or can be held; raises `Occupied` if another controller has it."""
        try:
            if self._engine_id is None:
                found = self._identify()
                self._enter(found)
                self._engine_id = found
        except errors.EffectError as error:
            self._unseen_since = self._unseen_since or now
            return Unseen(error.reason, error.message, self._unseen_since)
        seen = self._observer.observe(references, now)
        if isinstance(seen, Seen) and seen.value.engine_id != self._engine_id:
            self._unseen_since = self._unseen_since or now
            message = "another Engine answers on the socket than before; restart the controller to follow it"
            return Unseen(Reason.ENGINE_UNAVAILABLE, message, self._unseen_since)
        self._unseen_since = None
        return seen

    def layers(self, ids: Iterable[str]) -> Mapping[str, Layer]:
        """Look into the writable layers of containers."""
        return self._observer.layers(ids)

    def images(self, references: Iterable[str], now: datetime) -> ImageStore | Unseen:
        """Look at all images, and at what the references mean."""
        return self._observer.images(references, now)
