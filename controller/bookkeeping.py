"""Knows whether the ledger can be written, and since when it cannot.

Refuses to know what is written; nothing rests on what could not be.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from controller.api.conditions import Reason
from controller.model import errors
from controller.model.observed import Unseen
from controller.surroundings import Ledger


class Bookkeeping:
    """Writes to a ledger, and keeps in mind that it failed.

    Attributes:
        trouble: why nothing can be written, or None.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.trouble: Unseen | None = None
        self._ledger = ledger

    def write(self, write: Callable[[], object], now: datetime) -> bool:
        """Write something; return whether it could be."""
        try:
            write()
        except errors.EffectError as error:
            self.note(error, now)
            return False
        return True

    def write_each(self, write: Callable[[str], None], names: Sequence[str], now: datetime) -> None:
        """Write something about each of the names, all at once."""

        def together() -> None:
            with self._ledger.batch():
                for name in names:
                    write(name)

        if names and self.trouble is None:
            self.write(together, now)

    def note(self, error: errors.EffectError, now: datetime) -> None:
        """Keep in mind that it could not."""
        since = self.trouble.since if self.trouble else now
        self.trouble = Unseen(Reason.LEDGER_UNAVAILABLE, error.message, since)

    def probe(self, now: datetime, cause: str) -> None:
        """Try whether it can be written, at every periodic pass and for as long as it could not."""
        if self.trouble is None and cause not in {"resync", "startup"}:
            return
        if self.write(lambda: self._ledger.probe(now), now):
            self.trouble = None
