"""Schema steps are run once and after a backup; what is damaged is kept; a copy needs and leaves nothing."""

import os
import shutil
import sqlite3
import stat
from pathlib import Path

import pytest

from controller.ledger import database, files, schema
from controller.ledger.ledger import Ledger
from controller.model import errors
from tests.support import ledgers
from tests.support.ledgers import NONCE, NOW

FIRST = "CREATE TABLE ships (name TEXT PRIMARY KEY) STRICT;"
SECOND = "ALTER TABLE ships ADD COLUMN berth INTEGER; UPDATE ships SET berth = 7;"
BROKEN = "UPDATE ships SET name = 'lost'; ALTER TABLE planes ADD COLUMN gate INTEGER;"


def ships(opened: database.Database) -> list[database.Row]:
    return opened.execute("SELECT * FROM ships")


def with_a_ship(path: Path) -> None:
    opened = database.open_file(path, [FIRST])
    opened.execute("INSERT INTO ships VALUES ('argo')")
    opened.close()


def listing(path: Path) -> dict[str, tuple[int, int]]:
    return {file.name: (file.stat().st_size, file.stat().st_mtime_ns) for file in path.iterdir()}


def test_an_older_schema_is_brought_up_to_date_after_a_backup(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with_a_ship(path)
    opened = database.open_file(path, [FIRST, SECOND])
    assert ships(opened) == [{"name": "argo", "berth": 7}]
    opened.close()
    backup = tmp_path / "state.db.schema-1"
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    restored = database.open_file(backup, [FIRST])
    assert ships(restored) == [{"name": "argo"}]
    restored.close()
    assert [file.name for file in tmp_path.iterdir() if file.name.endswith(".part")] == []


def test_a_ledger_of_the_first_version_is_read(tmp_path: Path) -> None:
    old = database.open_file(tmp_path / "state.db", schema.steps()[:1])
    old.execute(
        "INSERT INTO suspensions VALUES ('alice', 0, 'Running', '2026-03-01T12:00:00.000250+00:00', 'root')"
    )
    old.execute("INSERT INTO epochs VALUES (4, 'E', '2026-03-01T12:00:00+00:00')")
    old.close()
    copied = Ledger.open_read_only(tmp_path)
    assert copied is not None
    ledger = Ledger.open(tmp_path, NOW)
    for one in (copied, ledger):
        assert one.recall(NONCE, NOW).suspensions == {"alice": ledgers.SUSPENSION}
        assert one.recall(NONCE, NOW).epoch == 4
        one.close()
    assert (tmp_path / "state.db.schema-1").exists()


def test_steps_are_run_once(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with_a_ship(path)
    database.open_file(path, [FIRST, SECOND]).close()
    before = (tmp_path / "state.db.schema-1").stat().st_mtime_ns
    opened = database.open_file(path, [FIRST, SECOND])
    assert ships(opened) == [{"name": "argo", "berth": 7}]
    opened.close()
    assert (tmp_path / "state.db.schema-1").stat().st_mtime_ns == before


def test_a_new_file_needs_no_backup(tmp_path: Path) -> None:
    database.open_file(tmp_path / "state.db", [FIRST, SECOND]).close()
    assert [file.name for file in tmp_path.iterdir()] == ["state.db"]


def test_a_step_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with_a_ship(path)
    with pytest.raises(errors.Retryable):
        database.open_file(path, [FIRST, BROKEN])
    opened = database.open_file(path, [FIRST])
    assert ships(opened) == [{"name": "argo"}]
    opened.close()


def test_a_newer_schema_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    database.open_file(path, [FIRST, SECOND]).close()
    with pytest.raises(errors.Terminal, match="newer version"):
        database.open_file(path, [FIRST])
    with pytest.raises(errors.Terminal, match="newer version"):
        database.open_copy(path, [FIRST])


def test_a_copy_of_an_older_schema_is_brought_up_to_date_in_memory_only(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with_a_ship(path)
    before = listing(tmp_path)
    copied = database.open_copy(path, [FIRST, SECOND])
    assert copied is not None
    assert ships(copied) == [{"name": "argo", "berth": 7}]
    with pytest.raises(errors.Retryable):
        copied.execute("DELETE FROM ships")
    copied.close()
    assert listing(tmp_path) == before


def test_a_copy_is_taken_beside_a_writer_and_after_its_death(tmp_path: Path) -> None:
    living, dead = tmp_path / "living", tmp_path / "dead"
    living.mkdir()
    opened = database.open_file(living / "state.db", [FIRST])
    opened.execute("INSERT INTO ships VALUES ('argo')")
    shutil.copytree(living, dead)
    for directory in (living, dead):
        before = listing(directory)
        assert "state.db-wal" in before
        copied = database.open_copy(directory / "state.db", [FIRST])
        assert copied is not None
        assert ships(copied) == [{"name": "argo"}]
        copied.close()
        assert listing(directory) == before
    opened.execute("INSERT INTO ships VALUES ('beagle')")
    opened.close()


def test_there_is_no_copy_of_nothing(tmp_path: Path) -> None:
    assert database.open_copy(tmp_path / "state.db", [FIRST]) is None
    assert Ledger.open_read_only(tmp_path / "missing") is None
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_deleted_or_replaced_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    opened = database.open_file(path, [FIRST])
    path.rename(tmp_path / "away")
    with pytest.raises(errors.Retryable, match="removed or replaced"), opened.transaction():
        pass
    path.touch()
    with pytest.raises(errors.Retryable, match="removed or replaced"), opened.transaction():
        pass
    path.unlink()
    (tmp_path / "away").rename(path)
    with opened.transaction():
        opened.execute("INSERT INTO ships VALUES ('argo')")
    opened.close()


def test_another_writer_is_waited_for_and_then_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 0.05)
    opened = database.open_file(tmp_path / "state.db", [FIRST])
    other = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(errors.Retryable, match="another process"), opened.transaction():
        pass
    other.close()
    with opened.transaction():
        opened.execute("INSERT INTO ships VALUES ('argo')")
    opened.close()


def test_a_transaction_that_sqlite_undid_is_not_called_durable(tmp_path: Path) -> None:
    opened = database.open_file(tmp_path / "state.db", [FIRST])

    def swallow() -> None:
        with opened.transaction():
            opened.execute("INSERT INTO ships VALUES ('argo')")
            opened.execute("INSERT OR ROLLBACK INTO ships VALUES ('beagle')")
            with pytest.raises(database.Conflict):
                opened.execute("INSERT OR ROLLBACK INTO ships VALUES ('argo')")
            with pytest.raises(errors.Retryable), opened.transaction():
                opened.execute("INSERT INTO ships VALUES ('calypso')")

    with pytest.raises(errors.Retryable, match="earlier write failed"):
        swallow()
    assert ships(opened) == []
    with opened.transaction():
        opened.execute("INSERT INTO ships VALUES ('argo')")
    assert ships(opened) == [{"name": "argo"}]
    opened.close()


def test_settings_are_those_of_a_durable_file(tmp_path: Path) -> None:
    opened = database.open_file(tmp_path / "state.db", [FIRST])
    assert opened.execute("PRAGMA journal_mode") == [{"journal_mode": "wal"}]
    assert opened.execute("PRAGMA synchronous") == [{"synchronous": 2}]
    opened.close()


def damage_head(path: Path) -> None:
    path.write_bytes(b"not a database at all" * 400)


def damage_middle(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(3 * 4096))


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2 + 100)


@pytest.mark.parametrize("damage", [damage_head, damage_middle, cut])
def test_a_damaged_file_is_kept_and_a_new_one_begun(tmp_path: Path, damage: object) -> None:
    assert callable(damage)
    path = tmp_path / "state.db"
    for number in (1, 2):
        ledger = Ledger.open(tmp_path, NOW)
        ledgers.furnish(ledger)
        ledger.close()
        damage(path)
        content = path.read_bytes()
        with pytest.raises(errors.Terminal, match="damaged"):
            Ledger.open_read_only(tmp_path)
        ledger = Ledger.open(tmp_path, NOW)
        (finding,) = ledger.findings
        assert f"state.db.corrupt-{number}" in finding.message
        assert ledger.recall(NONCE, NOW).accepted == {}
        assert (tmp_path / f"state.db.corrupt-{number}").read_bytes() == content
        ledger.close()
    ledger = Ledger.open(tmp_path, NOW)
    assert ledger.findings == ()
    ledger.close()


def test_a_damaged_file_takes_its_log_along(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"x" * 9000)
    (tmp_path / "state.db-wal").write_bytes(b"log")
    assert files.set_aside(tmp_path / "state.db") == tmp_path / "state.db.corrupt-1"
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "state.db.corrupt-1",
        "state.db.corrupt-1-wal",
    ]


def test_a_torn_log_loses_its_end_only(tmp_path: Path) -> None:
    living, dead = tmp_path / "living", tmp_path / "dead"
    ledger = Ledger.open(living, NOW)
    ledger.accept([ledgers.spec("alice")])
    before = (living / "state.db-wal").stat().st_size
    ledger.accept([ledgers.spec("bob")])
    after = (living / "state.db-wal").stat().st_size
    for size, names in ((after, {"alice", "bob"}), ((before + after) // 2, {"alice"}), (before, {"alice"})):
        shutil.rmtree(dead, ignore_errors=True)
        shutil.copytree(living, dead)
        os.truncate(dead / "state.db-wal", size)
        survivor = Ledger.open(dead, NOW)
        assert survivor.findings == ()
        assert set(survivor.recall(NONCE, NOW).accepted) == names
        survivor.close()
    ledger.close()


def test_an_empty_file_of_a_crash_is_a_new_ledger(tmp_path: Path) -> None:
    (tmp_path / "state.db").touch()
    ledger = Ledger.open(tmp_path, NOW)
    assert ledger.findings == ()
    ledger.close()


def test_the_published_steps_are_numbered_without_gaps() -> None:
    assert len(schema.steps()) >= 1
    assert "CREATE TABLE accepted" in schema.steps()[0]
