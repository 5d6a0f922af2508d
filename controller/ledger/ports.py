"""Who was given which host ports: the owners' blocks and what was granted from them.

It refuses to choose a port, and to give one twice: the schema decides, whatever the caller believes.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, TypeVar

import pydantic

from controller.ledger import shelves
from controller.ledger.database import Conflict, Database, Row
from controller.model.memory import PortBlock, PortGrant

T = TypeVar("T")

HOLD: Final = timedelta(days=7)
"""How long an owner's block is kept after the owner's last workspace went."""

_BLOCK = pydantic.TypeAdapter(PortBlock)
_GRANT = pydantic.TypeAdapter(PortGrant)
_SINCE: pydantic.TypeAdapter[datetime | None] = pydantic.TypeAdapter(datetime | None)


@dataclasses.dataclass(frozen=True, slots=True)
class Book:
    """All blocks by base, all grants by port, and since when a block has been without a workspace."""

    blocks: Mapping[int, PortBlock]
    grants: Mapping[int, PortGrant]
    released: Mapping[int, datetime]

    def held(self, now: datetime) -> tuple[PortBlock, ...]:
        """Return the blocks whose hold is not over."""
        if not self.released:
            return tuple(self.blocks.values())
        return tuple(block for base, block in self.blocks.items() if not self._over(base, now))

    def holds(self, now: datetime) -> Mapping[int, datetime]:
        """Return until when each block that runs out is held, by base."""
        if not self.released:
            return {}
        return {base: since + HOLD for base, since in self.released.items() if not self._over(base, now)}

    def over(self, now: datetime) -> tuple[int, ...]:
        """Return the bases of the blocks whose hold is over."""
        return tuple(base for base in self.released if self._over(base, now))

    def _over(self, base: int, now: datetime) -> bool:
        return base in self.released and now >= self.released[base] + HOLD


def load(database: Database, report: Callable[[str], None]) -> Book:
    """Read the whole book; call `report` with a sentence for each row that cannot be read."""
    blocks: dict[int, PortBlock] = {}
    grants: dict[int, PortGrant] = {}
    released: dict[int, datetime] = {}
    for row in database.execute("SELECT * FROM port_blocks ORDER BY base"):
        block = shelves.decode(_BLOCK, row, "port_blocks", report)
        if block is not None:
            blocks[block.base] = block
            since = shelves.decode(
                _SINCE, row["released_at"], f"the release of port block {block.base}", report
            )
            if since is not None:
                released[block.base] = since
    for row in database.execute("SELECT * FROM port_grants ORDER BY port"):
        grant = shelves.decode(_GRANT, row, "port_grants", report)
        if grant is not None:
            grants[grant.port] = grant
    return Book(blocks, grants, released)


def grant(
    database: Database, book: Book, blocks: Iterable[PortBlock], grants: Iterable[PortGrant], now: datetime
) -> Book:
    """Write blocks and grants, all or none; nothing to write: the same book comes back.

    A service that is granted another port loses the one it had; a port may pass from one service of its
    workspace to another. Blocks whose hold is over make room first.

    Raises:
        database.Conflict: a port or a block is somebody else's.
    """
    new_blocks = {block.base: block for block in blocks if book.blocks.get(block.base) != block}
    new_grants = {one.port: one for one in grants if book.grants.get(one.port) != one}
    if not new_blocks and not new_grants:
        return book
    book = _make_room(database, book, tuple(new_grants.values()), now)
    for block in new_blocks.values():
        what = f"ports {block.base} to {block.base + block.size - 1}"
        _insert(database, "port_blocks", shelves.columns(_BLOCK, block), what)
    for one in new_grants.values():
        _insert(database, "port_grants", shelves.columns(_GRANT, one), f"port {one.port}")
    book = Book(_joined(book.blocks, new_blocks), _joined(book.grants, new_grants), book.released)
    owners = {block.owner for block in new_blocks.values()} | {one.owner for one in new_grants.values()}
    return keep(database, book, owners)


def keep(database: Database, book: Book, owners: Iterable[str]) -> Book:
    """End the running-out of the blocks of these owners: they have a workspace again."""
    wanted = set(owners)
    kept = {base for base in book.released if book.blocks[base].owner in wanted}
    for base in kept:
        database.execute("UPDATE port_blocks SET released_at = NULL WHERE base = ?", (base,))
    return dataclasses.replace(book, released=_without(book.released, kept)) if kept else book


def free(database: Database, book: Book, workspace: str) -> Book:
    """Take back all that was granted to a workspace."""
    database.execute("DELETE FROM port_grants WHERE workspace = ?", (workspace,))
    freed = {port for port, one in book.grants.items() if one.workspace == workspace}
    return dataclasses.replace(book, grants=_without(book.grants, freed))


def give_back(database: Database, book: Book, grants: Iterable[PortGrant]) -> Book:
    """Take back ports that are granted exactly so; the owner's block stays."""
    freed = {one.port for one in grants if book.grants.get(one.port) == one}
    for port in freed:
        database.execute("DELETE FROM port_grants WHERE port = ?", (port,))
    return dataclasses.replace(book, grants=_without(book.grants, freed)) if freed else book


def release(database: Database, book: Book, owner: str, now: datetime) -> Book:
    """Begin the running-out of an owner's blocks, unless it has begun or the owner has grants."""
    if any(one.owner == owner for one in book.grants.values()):
        return book
    released = {
        base: now for base, block in book.blocks.items() if block.owner == owner and base not in book.released
    }
    for base in released:
        database.execute("UPDATE port_blocks SET released_at = ? WHERE base = ?", (shelves.stamp(now), base))
    return dataclasses.replace(book, released={**book.released, **released})


def _make_room(database: Database, book: Book, grants: tuple[PortGrant, ...], now: datetime) -> Book:
    """Remove the blocks whose hold is over, and what the same services and workspaces had before."""
    over = set(book.over(now))
    services = {(one.workspace, one.service) for one in grants}
    ports = {(one.workspace, one.port) for one in grants}
    replaced = {
        port
        for port, one in book.grants.items()
        if (one.workspace, one.service) in services or (one.workspace, port) in ports
    }
    for base in over:
        database.execute("DELETE FROM port_blocks WHERE base = ?", (base,))
    for port in replaced:
        database.execute("DELETE FROM port_grants WHERE port = ?", (port,))
    return Book(_without(book.blocks, over), _without(book.grants, replaced), _without(book.released, over))


def _joined(known: Mapping[int, T], new: Mapping[int, T]) -> Mapping[int, T]:
    return dict(sorted({**known, **new}.items())) if new else known


def _without(known: Mapping[int, T], gone: set[int]) -> Mapping[int, T]:
    return {key: value for key, value in known.items() if key not in gone} if gone else known


def _insert(database: Database, table: str, row: Row, what: str) -> None:
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    try:
        database.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(row.values()))  # noqa: S608 - constants
    except Conflict as error:
        raise Conflict(f"{what}: {error}") from error
