"""The claim key is made once, for one reader."""

import os
import stat
from pathlib import Path

import pytest

from controller.ledger import files
from controller.ledger.ledger import Ledger
from controller.model import errors
from tests.support.ledgers import NOW


def test_the_key_is_random_private_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "claim.key"
    key, made = files.claim_key(path)
    assert (len(key), made) == (32, True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert files.claim_key(path) == (key, False)
    assert files.claim_key(tmp_path / "other")[0] != key
    assert [file.name for file in tmp_path.iterdir() if ".part" in file.name] == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777])
def test_a_key_that_others_may_read_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "claim.key"
    files.claim_key(path)
    path.chmod(mode)
    with pytest.raises(errors.Terminal, match="chmod 600"):
        files.claim_key(path)
    with pytest.raises(errors.Terminal, match="chmod 600"):
        Ledger.open(tmp_path, NOW)
    path.chmod(0o600)
    Ledger.open(tmp_path, NOW).close()


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_what_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "claim.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(errors.Terminal, match="32 bytes"):
        files.claim_key(path)


def test_a_link_is_no_key(tmp_path: Path) -> None:
    files.claim_key(tmp_path / "real")
    (tmp_path / "claim.key").symlink_to(tmp_path / "real")
    with pytest.raises(errors.Retryable):
        files.claim_key(tmp_path / "claim.key")


def test_half_a_key_of_a_crash_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "claim.key.part").write_bytes(b"half")
    assert len(files.claim_key(tmp_path / "claim.key")[0]) == 32


def test_a_lost_key_is_told(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, NOW)
    assert ledger.findings == ()
    ledger.next_epoch("E", NOW)
    ledger.close()
    (tmp_path / "claim.key").unlink()
    ledger = Ledger.open(tmp_path, NOW)
    assert "wharf adopt" in ledger.findings[0].message
    ledger.close()


def test_a_caller_without_the_right_is_told(tmp_path: Path) -> None:
    Ledger.open(tmp_path / "state", NOW).close()
    os.seteuid(65534)
    try:
        with pytest.raises(errors.Terminal, match="ask as root"):
            Ledger.open_read_only(tmp_path / "state")
    finally:
        os.seteuid(0)
