"""Secrets: from root's files to the files that a container sees, and nowhere else."""

import os
import pathlib
import stat

import pytest

from controller.api.conditions import Reason
from controller.api.rules import MAX_UID
from controller.model import errors
from controller.model.actions import WriteSecrets
from controller.sources import secrets

OWNER = 4711
CANARY = b"canary-4f1c9"


@pytest.fixture
def source(tmp_path: pathlib.Path) -> pathlib.Path:
    """A secrets directory with alice/token."""
    path = tmp_path / "secrets"
    (path / "alice").mkdir(parents=True, mode=0o700)
    path.chmod(0o700)
    _put(path / "alice" / "token", CANARY)
    return path


@pytest.fixture
def runtime(tmp_path: pathlib.Path) -> pathlib.Path:
    """Where the controller keeps what lives until the next boot."""
    return tmp_path / "run"


def _put(path: pathlib.Path, value: bytes) -> None:
    path.write_bytes(value)
    path.chmod(0o600)


def _write(source: pathlib.Path, runtime: pathlib.Path, **items: str) -> secrets.Written:
    action = WriteSecrets("alice", tuple(items.items()), OWNER, OWNER)
    return secrets.write_secrets(action, str(source), str(runtime))


def _mode(path: pathlib.Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_appear_for_their_owner_alone(source: pathlib.Path, runtime: pathlib.Path) -> None:
    written = _write(source, runtime, token="alice/token")
    target = runtime / "secrets" / "alice"
    assert written.directory == str(target)
    assert (target / "token").read_bytes() == CANARY
    assert (_mode(target / "token"), (target / "token").stat().st_uid) == (0o400, OWNER)
    for directory in (target, target.parent):
        assert (_mode(directory), directory.stat().st_uid) == (0o711, 0)


def test_secrets_may_belong_to_the_highest_ids(source: pathlib.Path, runtime: pathlib.Path) -> None:
    action = WriteSecrets("alice", (("token", "alice/token"),), MAX_UID, MAX_UID - 1)
    secrets.write_secrets(action, str(source), str(runtime))
    found = (runtime / "secrets" / "alice" / "token").stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (2**32 - 2, 2**32 - 3, 0o400)
    assert not secrets.are_stale(action, str(source), str(runtime))


def test_writing_again_changes_nothing(source: pathlib.Path, runtime: pathlib.Path) -> None:
    first = _write(source, runtime, token="alice/token")
    inode = (runtime / "secrets" / "alice" / "token").stat().st_ino
    second = _write(source, runtime, token="alice/token")
    assert (first.already, second.already) == (False, True)
    assert first.digest == second.digest
    assert (runtime / "secrets" / "alice" / "token").stat().st_ino == inode


def test_a_rotation_shows_in_the_directory_that_is_already_bound(
    source: pathlib.Path, runtime: pathlib.Path
) -> None:
    first = _write(source, runtime, token="alice/token")
    bound = os.open(first.directory, os.O_PATH | os.O_DIRECTORY)
    old = os.open("token", os.O_RDONLY, dir_fd=bound)
    try:
        _put(source / "alice" / "token", b"new")
        second = _write(source, runtime, token="alice/token")
        new = os.open("token", os.O_RDONLY, dir_fd=bound)
        assert (os.read(old, 100), os.read(new, 100)) == (CANARY, b"new")
        os.close(new)
    finally:
        os.close(old)
        os.close(bound)
    assert second.digest != first.digest


def _is_stale(source: pathlib.Path, runtime: pathlib.Path, **items: str) -> bool:
    action = WriteSecrets("alice", tuple(items.items()), OWNER, OWNER)
    return secrets.are_stale(action, str(source), str(runtime))


def test_a_rotated_source_is_stale_until_it_is_written(source: pathlib.Path, runtime: pathlib.Path) -> None:
    _write(source, runtime, token="alice/token")
    assert not _is_stale(source, runtime, token="alice/token")
    assert _is_stale(source, runtime, other="alice/token")
    _put(source / "alice" / "token", b"new")
    assert _is_stale(source, runtime, token="alice/token")
    _write(source, runtime, token="alice/token")
    assert not _is_stale(source, runtime, token="alice/token")


def test_a_source_that_cannot_be_used_is_not_stale(source: pathlib.Path, runtime: pathlib.Path) -> None:
    assert not _is_stale(source, runtime, token="alice/token"), "nothing was written yet"
    _write(source, runtime, token="alice/token")
    (source / "alice" / "token").unlink()
    assert not _is_stale(source, runtime, token="alice/token")


def test_what_is_no_longer_asked_for_goes(source: pathlib.Path, runtime: pathlib.Path) -> None:
    _write(source, runtime, token="alice/token", other="alice/token")
    (runtime / "secrets" / "alice" / ".unfinished").write_bytes(b"half")
    _write(source, runtime, other="alice/token")
    assert [path.name for path in (runtime / "secrets" / "alice").iterdir()] == ["other"]
    secrets.remove_secrets(str(runtime), "alice")
    secrets.remove_secrets(str(runtime), "alice")
    assert list((runtime / "secrets").iterdir()) == []


def test_a_planted_file_or_link_is_replaced_and_not_followed(
    source: pathlib.Path, runtime: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    _write(source, runtime, token="alice/token")
    target = runtime / "secrets" / "alice"
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")
    (target / "token").unlink()
    (target / "token").symlink_to(victim)
    _write(source, runtime, token="alice/token")
    assert victim.read_bytes() == b"untouched"
    assert not (target / "token").is_symlink()


def test_a_planted_link_in_the_directorys_place_is_refused(
    source: pathlib.Path, runtime: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (runtime / "secrets").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (runtime / "secrets" / "alice").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(errors.Retryable):
        _write(source, runtime, token="alice/token")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def _missing(source: pathlib.Path) -> None:
    (source / "alice" / "token").unlink()


def _readable_by_all(source: pathlib.Path) -> None:
    (source / "alice" / "token").chmod(0o644)


def _foreign(source: pathlib.Path) -> None:
    os.chown(source / "alice" / "token", OWNER, OWNER)


def _linked(source: pathlib.Path) -> None:
    (source / "alice" / "token").rename(source / "real")
    (source / "alice" / "token").symlink_to(source / "real")


def _hard_linked(source: pathlib.Path) -> None:
    (source / "second").hardlink_to(source / "alice" / "token")


def _directory_of_others(source: pathlib.Path) -> None:
    (source / "alice").chmod(0o777)


def _linked_directory(source: pathlib.Path) -> None:
    (source / "alice").rename(source / "real")
    (source / "alice").symlink_to(source / "real")


def _pipe(source: pathlib.Path) -> None:
    _missing(source)
    os.mkfifo(source / "alice" / "token", 0o600)


def _huge(source: pathlib.Path) -> None:
    os.truncate(source / "alice" / "token", 2**40)


@pytest.mark.parametrize(
    "spoil",
    [
        _missing,
        _readable_by_all,
        _foreign,
        _linked,
        _hard_linked,
        _directory_of_others,
        _linked_directory,
        _pipe,
        _huge,
    ],
)
def test_an_unfit_source_writes_nothing_and_says_which(
    source: pathlib.Path, runtime: pathlib.Path, spoil: object
) -> None:
    assert callable(spoil)
    assert secrets.check_secrets(str(source), [("token", "alice/token")]) is None
    _put(source / "good", b"good")
    spoil(source)
    with pytest.raises(errors.Terminal) as unfit:
        _write(source, runtime, good="good", token="alice/token")
    assert unfit.value.reason == Reason.SECRET_UNAVAILABLE
    assert "alice" in unfit.value.message
    assert CANARY.decode() not in unfit.value.message
    assert not (runtime / "secrets" / "alice").exists()
    obstacle = secrets.check_secrets(str(source), [("token", "alice/token")])
    assert obstacle is not None
    assert obstacle.message == unfit.value.message


@pytest.mark.parametrize("file", ["../shadow", "/etc/shadow", "alice/../token", ""])
def test_a_path_out_of_the_secrets_directory_is_unfit(source: pathlib.Path, file: str) -> None:
    _put(source.parent / "shadow", CANARY)
    assert secrets.check_secrets(str(source), [("token", file)]) is not None
