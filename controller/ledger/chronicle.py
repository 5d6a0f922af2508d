"""What happened, for people: each event once, with a count, the newest ten thousand.

It refuses to be complete or to be read back as truth.
"""

import dataclasses
from datetime import datetime
from typing import Final

import pydantic

from controller.ledger import shelves
from controller.ledger.database import Database
from controller.model.status import Event

KEPT: Final = 10_000
"""How many events are kept; the oldest go."""

_EVENT = pydantic.TypeAdapter(Event)


def record(database: Database, event: Event) -> Event:
    """Write down an event; return it as it stands now, with its count and its first time.

    The same subject, reason and message are the same event: it is counted, and becomes the newest.
    """
    message = event.message.encode(errors="replace").decode()
    key = (event.subject, event.reason, message)
    known = database.execute(
        "DELETE FROM events WHERE subject = ? AND reason = ? AND message = ? RETURNING count, first_at", key
    )
    count, first_at = event.count, event.first_at or event.at
    if known:
        count += int(str(known[0]["count"]))
        first_at = datetime.fromisoformat(str(known[0]["first_at"]))
    now = dataclasses.replace(event, message=message, count=count, first_at=first_at)
    shelves.replace_row(database, "events", shelves.columns(_EVENT, now))
    if not known:
        _forget_oldest(database)
    return now


def events(database: Database, subject: str | None, limit: int) -> tuple[Event, ...]:
    """Return the newest events about one subject, or about all, newest last."""
    rows = database.execute(
        "SELECT * FROM events WHERE ? IS NULL OR subject = ? ORDER BY sequence DESC LIMIT ?",
        (subject, subject, limit),
    )
    found = (shelves.decode(_EVENT, row, "events", lambda _: None) for row in rows)
    return tuple(event for event in reversed(list(found)) if event is not None)


def _forget_oldest(database: Database) -> None:
    database.execute(
        "DELETE FROM events WHERE sequence <="
        " (SELECT sequence FROM events ORDER BY sequence DESC LIMIT 1 OFFSET ?)",
        (KEPT,),
    )
