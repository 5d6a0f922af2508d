"""How often slices had to be set again, from the intents about them: what another hand changes each time.

It refuses to count a slice that is made, other limits than before, and what failed the last time.
"""

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from controller.ledger.database import Database, Row
from controller.model import actions, outcomes, slices
from controller.model.plan import Verdict

Chain = Iterable[Mapping[str, Any]]
"""Actions as the journal has them."""
COUNTED_FOR: Final = timedelta(hours=1)
"""How long a repair is remembered."""

_FIRST: Final = slices.subject(slices.ROOT)
_AFTER: Final = _FIRST[:-1] + chr(ord(_FIRST[-1]) + 1)
"""The subjects of slices lie between both."""
_SET: Final = actions.SetSlice.__name__
_DONE: Final = outcomes.Succeeded.__name__


@dataclasses.dataclass(frozen=True, slots=True)
class Book:
    """What is known of slices that were set.

    Attributes:
        limits: what each has since the last chain about it, if that succeeded; by owner, as JSON.
        times: when each was set to just these limits again; by owner.
    """

    limits: Mapping[str, str] = dataclasses.field(default_factory=dict)
    times: Mapping[str, tuple[datetime, ...]] = dataclasses.field(default_factory=dict)

    def within(self, now: datetime) -> Mapping[str, tuple[datetime, ...]]:
        """Return the repairs of the last hour; the same object while none is older."""
        recent = {owner: _recent(times, now) for owner, times in self.times.items()}
        return self.times if recent == self.times else {owner: at for owner, at in recent.items() if at}

    def begun(self, subject: str, verdict: str, chain: Chain, at: datetime) -> "Book":
        """Return the book after a chain was begun; an update to the very limits it has is a repair."""
        owner = _owner(subject)
        if owner is None or verdict != Verdict.UPDATE or owner not in self.limits:
            return self
        if self.limits[owner] != _limits(chain):
            return self
        times = (*_recent(self.times.get(owner, ()), at), at)
        return dataclasses.replace(self, times={**self.times, owner: times})

    def ended(self, subject: str, chain: Chain, results: Iterable[str]) -> "Book":
        """Return the book after a chain ended; `results` are the names of its outcomes' types."""
        owner = _owner(subject)
        if owner is None:
            return self
        limits, done = _limits(chain), list(results)
        rest = {name: text for name, text in self.limits.items() if name != owner}
        if limits is not None and done and all(result == _DONE for result in done):
            rest[owner] = limits
        return self if rest == self.limits else dataclasses.replace(self, limits=rest)


def load(database: Database, report: Callable[[str], None]) -> Book:
    """Read the book out of the intents that are kept; call `report` for each that cannot be read."""
    book = Book()
    for row in database.execute(
        "SELECT workspace, verdict, opened_at, actions, outcomes, resolved_at FROM intents"
        " WHERE workspace >= ? AND workspace < ? ORDER BY workspace, id",
        (_FIRST, _AFTER),
    ):
        try:
            book = _folded(book, row)
        except (ValueError, KeyError, TypeError) as error:
            report(f"an intent of {row['workspace']!r} cannot be read and counts as none: {error}")
    return book


def _folded(book: Book, row: Row) -> Book:
    subject, chain = str(row["workspace"]), json.loads(str(row["actions"]))
    book = book.begun(subject, str(row["verdict"]), chain, datetime.fromisoformat(str(row["opened_at"])))
    if row["resolved_at"] is None:
        return book
    return book.ended(subject, chain, [one["result"] for one in json.loads(str(row["outcomes"]))])


def _owner(subject: str) -> str | None:
    return subject.removeprefix(_FIRST) if subject.startswith(_FIRST) else None


def _limits(chain: Chain) -> str | None:
    """Return to what a chain sets a slice, None where it sets none."""
    return next((json.dumps(one["limits"]) for one in chain if one["action"] == _SET), None)


def _recent(times: tuple[datetime, ...], now: datetime) -> tuple[datetime, ...]:
    return tuple(at for at in times if now - at < COUNTED_FOR)
