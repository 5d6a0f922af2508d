"""One SQLite file: durable transactions, schema steps, what is wrong with it; the only door to sqlite3.

It refuses to know what the tables mean, to delete a file that it cannot read, and to serialise its callers.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from controller.api.conditions import Reason
from controller.ledger import files
from controller.model import errors

Value: TypeAlias = str | int | float | bytes | None
Row: TypeAlias = dict[str, Value]

BUSY_TIMEOUT: Final = 5.0
"""Seconds to wait for another process that writes, such as a person's SQLite shell."""

_SETTINGS: Final = ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "PRAGMA trusted_schema = OFF")

# https://www.sqlite.org/rescode.html, primary codes
_REMEDIES: Final[Mapping[int, str]] = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space",
    sqlite3.SQLITE_IOERR: "the disk does not take or give data; look at the disk and its free space",
    sqlite3.SQLITE_READONLY: "the file is read-only; mount its file system writable",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened; look at its directory, owner and mode",
    sqlite3.SQLITE_PERM: "the file cannot be opened; look at its owner and mode",
    sqlite3.SQLITE_BUSY: "another process holds the file; end it",
    sqlite3.SQLITE_LOCKED: "another process holds the file; end it",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; restart the controller, which sets it aside",
    sqlite3.SQLITE_NOTADB: "the file is damaged; restart the controller, which sets it aside",
}
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PRIMARY: Final = 0xFF

# Neither makes a file: https://www.sqlite.org/wal.html#readonly
_SETTLED: Final = "?immutable=1"
_WRITTEN: Final = "?mode=ro&readonly_shm=1"


class Conflict(Exception):  # noqa: N818 - the name says what it is
    """A row that the schema's constraints refuse; the message is SQLite's, or a trigger's sentence."""


class Damaged(Exception):  # noqa: N818 - the name says what it is
    """The file is not a sound database; the message says what was found."""


class Database:
    """One connection to one file. Callers take turns: any thread may use it, but one at a time.

    Every method that touches the file raises `errors.Retryable(LEDGER_UNAVAILABLE)` when that fails, with
    SQLite's error as cause; a transaction that raised left nothing behind.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path | None) -> None:
        self._connection = connection
        self._path = path
        self._identity = _identity(path) if path else None
        self._depth = 0

    def execute(self, sql: str, values: Sequence[Value] = ()) -> list[Row]:
        """Run one statement and return all its rows, by column name.

        Raises:
            Conflict: a constraint of the schema refuses the row.
        """
        try:
            cursor = self._connection.execute(sql, values)
            rows = cursor.fetchall()
        except sqlite3.IntegrityError as error:
            raise Conflict(str(error)) from error
        except sqlite3.Error as error:
            raise _translated(error) from error
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in rows]

    @property
    def in_transaction(self) -> bool:
        """Whether something is written that is not durable yet."""
        return self._depth > 0

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the block's writes durable together, or none of them; one inside another is part of it."""
        self._begin()
        kept = False
        try:
            yield
            kept = True
        finally:
            if not kept:
                self._undo()
        self._commit()

    def _begin(self) -> None:
        if self._depth == 0:
            self._require_in_place()
            self.execute("BEGIN IMMEDIATE")
        else:
            self._require_open()
            self.execute(f"SAVEPOINT inner_{self._depth}")
        self._depth += 1

    def _undo(self) -> None:
        """SQLite may have rolled everything back by itself, after a full disk for example."""
        self._depth -= 1
        if not self._connection.in_transaction:
            return
        if self._depth == 0:
            self.execute("ROLLBACK")
        else:
            self.execute(f"ROLLBACK TO inner_{self._depth}")
            self.execute(f"RELEASE inner_{self._depth}")

    def _commit(self) -> None:
        kept = False
        try:
            self._require_open()
            self.execute("COMMIT" if self._depth == 1 else f"RELEASE inner_{self._depth - 1}")
            kept = True
        finally:
            if kept:
                self._depth -= 1
            else:
                self._undo()

    def _require_open(self) -> None:
        if not self._connection.in_transaction:
            raise errors.Retryable(
                Reason.LEDGER_UNAVAILABLE,
                "an earlier write failed, and all that was written with it",
            )

    def _require_in_place(self) -> None:
        """SQLite would go on writing to a file that was deleted or replaced under it."""
        if self._path and _identity(self._path) != self._identity:
            raise errors.Retryable(
                Reason.LEDGER_UNAVAILABLE, f"{self._path} was removed or replaced; restart the controller"
            )

    def close(self) -> None:
        """Close the file, with what is in its write-ahead log put into it; closing again does nothing."""
        self._connection.close()


def open_file(path: Path, steps: Sequence[str]) -> Database:
    """Open or begin the database at `path` and bring its schema up to date.

    Args:
        path: of the file, made with mode 0600 if it is missing; its directory exists.
        steps: SQL of each schema step, in order, all that were ever published.

    Raises:
        Damaged: the file is not a sound database.
        errors.Retryable: it cannot be read or written.
        errors.Terminal: a newer version of the controller wrote it.
    """
    _create_private(path)
    connection = _connect(path.as_uri() + "?mode=rw")
    opened = False
    try:
        _check(connection)
        for setting in _SETTINGS:
            _run(connection, setting)
        _migrate(connection, steps, path)
        opened = True
    finally:
        if not opened:
            connection.close()
    return Database(connection, path)


def open_copy(path: Path, steps: Sequence[str]) -> Database | None:
    """Copy the database at `path` into memory, as it is now, and close the file again; None if there is none.

    Nothing is created or changed on disk, whether or not another process writes there. The copy has the
    schema of `steps` and refuses writes.

    Raises:
        Damaged: the file is not a sound database.
        PermissionError: the caller may not look into its directory.
        errors.Retryable: it cannot be read.
        errors.Terminal: a newer version of the controller wrote it.
    """
    copy = _connect(":memory:")
    opened = False
    try:
        if not path.exists():
            return None
        if not _copy_settled(path, copy) and not _copy_written(path, copy):
            _copy(path.as_uri() + _SETTLED, copy)
        _check(copy)
        _migrate(copy, steps, None)
        _run(copy, "PRAGMA query_only = ON")
        opened = True
    finally:
        if not opened:
            copy.close()
    return Database(copy, None)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _create_private(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    except OSError as error:
        raise errors.Retryable(Reason.LEDGER_UNAVAILABLE, f"{path}: {error.strerror}") from error


def _connect(address: str) -> sqlite3.Connection:
    try:
        return sqlite3.connect(
            address, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False, uri=True
        )
    except sqlite3.Error as error:
        raise _translated(error) from error


def _run(connection: sqlite3.Connection, sql: str) -> list[tuple[Value, ...]]:
    try:
        return connection.execute(sql).fetchall()
    except sqlite3.Error as error:
        raise _translated(error) from error


def _check(connection: sqlite3.Connection) -> None:
    try:
        found = connection.execute("PRAGMA quick_check(3)").fetchall()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & _PRIMARY in _DAMAGED:
            raise Damaged(str(error)) from error
        raise _translated(error) from error
    if found != [("ok",)]:
        raise Damaged("; ".join(str(line) for (line,) in found))


def _migrate(connection: sqlite3.Connection, steps: Sequence[str], path: Path | None) -> None:
    version = int(str(_run(connection, "PRAGMA user_version")[0][0]))
    if version > len(steps):
        raise errors.Terminal(
            Reason.LEDGER_UNAVAILABLE,
            f"the ledger has schema {version} and this version knows {len(steps)}: install the newer version "
            "again, or put a backup back (state.db.schema-<n>) while the controller is down",
        )
    for number, sql in enumerate(steps[version:], version + 1):
        if path and version:
            _back_up(connection, path, number - 1)
        script = f"BEGIN IMMEDIATE;\n{sql}\nPRAGMA user_version = {number};\nCOMMIT;"
        try:
            connection.executescript(script)
        except sqlite3.Error as error:
            raise _translated(error) from error


def _back_up(connection: sqlite3.Connection, path: Path, version: int) -> None:
    backup = path.with_name(f"{path.name}.schema-{version}")
    unfinished = backup.with_name(backup.name + ".part")
    try:
        unfinished.unlink(missing_ok=True)
        connection.execute("VACUUM INTO ?", (str(unfinished),))
        unfinished.chmod(0o600)
        with unfinished.open("rb") as written:
            os.fsync(written.fileno())
        unfinished.rename(backup)
        files.sync_directory(path.parent)
    except OSError as error:
        raise errors.Retryable(Reason.LEDGER_UNAVAILABLE, f"{backup}: {error.strerror}") from error
    except sqlite3.Error as error:
        raise _translated(error) from error


def _copy_settled(path: Path, copy: sqlite3.Connection) -> bool:
    """Copy a file that nobody writes: it has no write-ahead log, before and after."""
    log = path.with_name(path.name + "-wal")
    if log.exists():
        return False
    _copy(path.as_uri() + _SETTLED, copy)
    return not log.exists()


def _copy_written(path: Path, copy: sqlite3.Connection) -> bool:
    """Copy a file that is being written, or was when its writer died; False if its writer just closed it."""
    try:
        _copy(path.as_uri() + _WRITTEN, copy)
    except errors.Retryable:
        if path.with_name(path.name + "-wal").exists():
            raise
        return False
    return True


def _copy(address: str, copy: sqlite3.Connection) -> None:
    source = _connect(address)
    try:
        source.backup(copy)
    except sqlite3.Error as error:
        if _code(error) & _PRIMARY in _DAMAGED:
            raise Damaged(str(error)) from error
        raise _translated(error) from error
    finally:
        source.close()


def _code(error: sqlite3.Error) -> int:
    """Return SQLite's extended result code; the module's own errors (a closed connection) have none."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)


def _translated(error: sqlite3.Error) -> errors.Retryable:
    remedy = _REMEDIES.get(_code(error) & _PRIMARY, "look at the log")
    return errors.Retryable(Reason.LEDGER_UNAVAILABLE, f"the ledger cannot be used ({error}): {remedy}")
