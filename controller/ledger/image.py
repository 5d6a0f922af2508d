"""What the tables say, kept in memory as one frozen value, so that to recall it costs no query.

It refuses to run ahead of the tables for anybody but their writer: see `ledger.Ledger.batch`.
"""

import dataclasses
from collections.abc import Callable

import pydantic

from controller.ledger import journal, ports, repairs, shelves, specs
from controller.ledger.database import Database
from controller.model import memory

_IDENTITY = pydantic.TypeAdapter(tuple[int, int])


@dataclasses.dataclass(frozen=True, slots=True)
class Image:
    """The memory without its ports and repairs, which the books know with more; its nonce is empty."""

    memory: memory.Memory
    book: ports.Book
    repaired: repairs.Book

    def having(self, **changes: object) -> "Image":
        """Return an image whose memory differs in these fields."""
        return dataclasses.replace(self, memory=dataclasses.replace(self.memory, **changes))  # type: ignore[arg-type]

    def booking(self, book: ports.Book) -> "Image":
        """Return an image with another book of ports."""
        return dataclasses.replace(self, book=book)

    def repairing(self, book: repairs.Book) -> "Image":
        """Return an image with another book of repairs."""
        return self if book is self.repaired else dataclasses.replace(self, repaired=book)


def load(database: Database, claim_key: bytes, report: Callable[[str], None]) -> Image:
    """Read everything; call `report` with a sentence for each row that cannot be read."""
    pauses = shelves.PAUSES.load(database, report)
    remembered = memory.Memory(
        epoch=last_epoch(database),
        claim_key=claim_key,
        nonce=b"",
        accepted=specs.load(database, report),
        spec_identity=_spec_identity(database, report),
        suspensions=shelves.SUSPENSIONS.load(database, report),
        host_pause=pauses.pop(shelves.HOST, None),
        pauses=pauses,
        accounts=shelves.ACCOUNTS.load(database, report),
        restarts=shelves.RESTARTS.load(database, report),
        backoffs=shelves.BACKOFFS.load(database, report),
        open_intents=journal.open_intents(database, report),
        retained=shelves.RETAINED.load(database, report),
        restart_requests=shelves.RESTART_REQUESTS.load(database, report),
        forget_requests=shelves.FORGET_REQUESTS.load(database, report),
        removal_requests=shelves.REMOVAL_REQUESTS.load(database, report),
        disruptions=journal.disruptions(database, report),
        held=shelves.HELD.load(database, report),
        approvals=shelves.APPROVALS.load(database, report),
        replacements=shelves.REPLACEMENTS.load(database, report),
        rollbacks=shelves.ROLLBACKS.load(database, report),
        pins=shelves.PINS.load(database, report),
        failed=shelves.FAILED.load(database, report),
        adopted=shelves.ADOPTED.load(database, report),
        identities=shelves.IDENTITIES.load(database, report),
        contents=shelves.CONTENTS.load(database, report),
        asked=shelves.ASKED.load(database, report),
        given_limits=shelves.GIVEN_LIMITS.load(database, report),
        cordons=shelves.CORDONS.load(database, report),
        fences=shelves.FENCES.load(database, report),
        gpu_waits=shelves.GPU_WAITS.load(database, report),
    )
    return Image(remembered, ports.load(database, report), repairs.load(database, report))


def last_epoch(database: Database) -> int:
    """Return the newest epoch, 0 before the first."""
    (row,) = database.execute("SELECT coalesce(max(epoch), 0) AS epoch FROM epochs")
    return int(str(row["epoch"]))


def _spec_identity(database: Database, report: Callable[[str], None]) -> tuple[int, int] | None:
    rows = database.execute("SELECT device, inode FROM spec_directory")
    stated = [(row["device"], row["inode"]) for row in rows]
    return shelves.decode(_IDENTITY, stated[0], "spec_directory", report) if stated else None
