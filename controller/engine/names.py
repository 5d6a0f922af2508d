"""Knows what image references and network names stand for now, and when that must be asked again.

It refuses to ask without a cause: the list shows a moved tag and a used network by itself, so only first
questions, events, our own failures for want of it, and answers that the containers do not bear out are asked
for. Time alone is a cause for an image that nobody uses, never for a network that nobody is attached to.
"""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.api import labels
from controller.engine import calls, parsing
from controller.model import observed

NETWORKS = (labels.NETWORK_PRIVATE, labels.NETWORK_OPEN)
_MEMBERSHIP = {"connect", "disconnect"}


@dataclass(frozen=True, slots=True)
class _Asked:
    """An answer: the image or network id, None for absent, and when it was given."""

    id: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Resolved:
    """What the names stand for: image id by reference, details by image id, networks by name."""

    images: Mapping[str, str | None]
    details: Mapping[str, observed.Image]
    networks: Mapping[str, observed.Network]


class Names:
    """The answers so far. `look` is for one thread; `note` and `forget` for any."""

    def __init__(self, client: calls.EngineClient, interval: timedelta) -> None:
        self._client = client
        self._interval = interval
        self._lock = threading.Lock()
        self._stale: set[str] = set()
        self._images: dict[str, _Asked] = {}
        self._details: dict[str, observed.Image] = {}
        self._networks: dict[str, _Asked] = {}
        self._network_details: dict[str, observed.Network] = {}

    def note(self, kind: str, action: str) -> None:
        """An event about `image` or `network`: all of that kind are asked for again."""
        if kind == "image" or action not in _MEMBERSHIP:
            with self._lock:
                self._stale.add(kind)

    def forget(self) -> None:
        """Ask for everything again."""
        with self._lock:
            self._stale |= {"image", "network"}

    def look(
        self, wanted: Iterable[str], moved: Iterable[str], rows: Iterable[parsing.Listed], now: datetime
    ) -> Resolved:
        """What the names stand for.

        Args:
            wanted: image references and image ids.
            moved: references that stand for another image than before.
            rows: the list of containers, which confirms what they use.
            now: recorded as the time of new answers.

        Raises:
            errors.EffectError: the Engine did not answer.
        """
        with self._lock:
            stale, self._stale = self._stale, set()
        try:
            self._look_images(sorted(wanted), set(moved), list(rows), now, everything="image" in stale)
            self._look_networks(rows, now, everything="network" in stale)
        except Exception:
            with self._lock:
                self._stale |= stale
            raise
        return Resolved(
            {name: asked.id for name, asked in self._images.items()},
            dict(self._details),
            dict(self._network_details),
        )

    def _look_images(
        self,
        wanted: list[str],
        moved: set[str],
        rows: list[parsing.Listed],
        now: datetime,
        *,
        everything: bool,
    ) -> None:
        confirmed = {row.image for row in rows} | {row.image_id for row in rows}
        denied = _denied(self._images, rows)
        for name in self._images.keys() - set(wanted):
            del self._images[name]
        for name in wanted:
            asked = self._images.get(name)
            if (
                everything
                or asked is None
                or name in moved
                or name in denied
                or self._outdated(asked, asked.id is not None and name in confirmed, now)
            ):
                row = self._client.inspect_image(name)
                self._images[name] = _Asked(None if row is None else row["Id"], now)
                if row is not None:
                    self._details[row["Id"]] = parsing.parse_image(row)
        held = {asked.id for asked in self._images.values()}
        for image_id in self._details.keys() - held:
            del self._details[image_id]

    def _look_networks(self, rows: Iterable[parsing.Listed], now: datetime, *, everything: bool) -> None:
        used = {(name, network_id) for row in rows for name, network_id, _, _ in row.networks}
        named = {name for name, _ in used}
        for name in NETWORKS:
            asked = self._networks.get(name)
            confirmed = asked is not None and (name not in named or (name, asked.id) in used)
            if everything or asked is None or self._outdated(asked, confirmed, now):
                row = self._client.inspect_network(name)
                self._networks[name] = _Asked(None if row is None else row["Id"], now)
                self._network_details.pop(name, None)
                if row is not None:
                    self._network_details[name] = parsing.parse_network(row)

    def _outdated(self, asked: _Asked, confirmed: bool, now: datetime) -> bool:  # noqa: FBT001 - private
        return not confirmed and abs(now - asked.at) >= self._interval


def _denied(answers: Mapping[str, _Asked], rows: Iterable[parsing.Listed]) -> set[str]:
    """Return the references that rows contradict: a row has its reference as long as that means its image."""
    shown = {(row.image, row.image_id) for row in rows}
    return {name for name, found in shown if name in answers and answers[name].id != found}
