"""How the plain values of the memory lie in their tables: one row a value, one column a field.

It refuses to lose a row that it cannot read: such a row stays where it is, and is reported.
"""

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Generic, TypeVar

import pydantic

from controller.ledger.database import Database, Row, Value
from controller.model import gpus, memory
from controller.model.observed import Account

T = TypeVar("T")

HOST: Final = ""
"""The name under which the host's own pause lies among those of the workspaces."""


class Shelf(Generic[T]):
    """One table of values of `kind` by the text in the column `key`; its name is a field of the memory's.

    `kind` is a dataclass of plain values, one a column, or a time in the column `at`.
    """

    def __init__(self, table: str, key: str, kind: type[T]) -> None:
        self.table = table
        self._key = key
        self._adapter = pydantic.TypeAdapter(kind)
        self._single = not dataclasses.is_dataclass(kind)

    def load(self, database: Database, report: Callable[[str], None]) -> dict[str, T]:
        """Return all values by key; call `report` with a sentence for each row that cannot be read."""
        found: dict[str, T] = {}
        for row in database.execute(f"SELECT * FROM {self.table} ORDER BY {self._key}"):  # noqa: S608 - constants
            key = str(row[self._key])
            stated = row["at"] if self._single else row
            value = decode(self._adapter, stated, f"{self.table} {key}", report)
            if value is not None:
                found[key] = value
        return found

    def put(self, database: Database, key: str, value: T) -> None:
        """Write the value under the key, in place of what was there."""
        row = {"at": _column(value)} if self._single else columns(self._adapter, value)
        replace_row(database, self.table, {**row, self._key: key})

    def remove(self, database: Database, key: str) -> None:
        """Remove what is under the key, if anything is."""
        database.execute(f"DELETE FROM {self.table} WHERE {self._key} = ?", (key,))  # noqa: S608 - constants


SUSPENSIONS: Final = Shelf("suspensions", "workspace", memory.Suspension)
PAUSES: Final = Shelf("pauses", "workspace", memory.Pause)
ACCOUNTS: Final = Shelf("accounts", "name", Account)
RESTARTS: Final = Shelf("restarts", "workspace", memory.Restarts)
GIVEN_LIMITS: Final = Shelf("given_limits", "workspace", memory.GivenLimits)
BACKOFFS: Final = Shelf("backoffs", "workspace", memory.BackOff)
RETAINED: Final = Shelf("retained", "container_id", memory.Retained)
RESTART_REQUESTS: Final = Shelf("restart_requests", "workspace", datetime)
FORGET_REQUESTS: Final = Shelf("forget_requests", "container_id", datetime)
REMOVAL_REQUESTS: Final = Shelf("removal_requests", "workspace", memory.RemovalRequest)
HELD: Final = Shelf("held", "workspace", memory.Held)
APPROVALS: Final = Shelf("approvals", "workspace", memory.Approval)
REPLACEMENTS: Final = Shelf("replacements", "workspace", memory.Replacement)
ROLLBACKS: Final = Shelf("rollbacks", "workspace", memory.Rollback)
PINS: Final = Shelf("pins", "workspace", memory.Pin)
FAILED: Final = Shelf("failed", "workspace", memory.FailedTemplate)
ADOPTED: Final = Shelf("adopted", "container_id", memory.Adoption)
IDENTITIES: Final = Shelf("identities", "instance", memory.Identity)
CONTENTS: Final = Shelf("contents", "digest", memory.Content)
ASKED: Final = Shelf("asked", "reference", datetime)
CORDONS: Final = Shelf("cordons", "uuid", gpus.Cordon)
FENCES: Final = Shelf("fences", "uuid", gpus.Fence)
GPU_WAITS: Final = Shelf("gpu_waits", "workspace", datetime)


def columns(adapter: pydantic.TypeAdapter[T], value: T, without: frozenset[str] = frozenset()) -> Row:
    """Return the columns of a dataclass, but for some that are no plain values; times become ISO 8601."""
    plain = adapter.dump_python(value, exclude=set(without))
    return {name: _column(cell) for name, cell in plain.items()}


def decode(
    adapter: pydantic.TypeAdapter[T], stated: object, what: str, report: Callable[[str], None]
) -> T | None:
    """Return the value of a row, or None, with a sentence about `what` for `report`."""
    try:
        return adapter.validate_python(stated)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        report(f"a row of the ledger cannot be read and is left as it is: {what}: {where}: {first['msg']}")
        return None


def replace_row(database: Database, table: str, row: Row) -> None:
    """Write a row in place of the one with its key."""
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    database.execute(f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})", tuple(row.values()))  # noqa: S608 - constants


def stamp(moment: datetime) -> str:
    """Return an aware time as the tables have it: ISO 8601 in UTC, to the microsecond."""
    return moment.astimezone(UTC).isoformat()


def _column(cell: object) -> Value:
    if isinstance(cell, datetime):
        return stamp(cell)
    if cell is None or isinstance(cell, int | float | bytes):
        return cell
    return str(cell)
