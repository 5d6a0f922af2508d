"""One holder at a time, told by name, freed by death."""

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from controller.ledger import lock
from controller.model import errors
from tests.support.ledgers import NOW

ME = lock.Holder(os.getpid(), "host", 0, NOW, "/etc/wharfinger/controller.yaml")
HOLDING = """
import sys, time
from datetime import datetime
from pathlib import Path
from controller.ledger import lock
child = lock.Holder(1, "child", 3, datetime.fromisoformat(sys.argv[2]), "c")
held = lock.EngineLock(Path(sys.argv[1]), "E").acquire(child)
print(type(held).__name__, flush=True)
sys.stdin.read()
"""


def acquire(path: Path, engine: str = "E") -> lock.Held:
    answer = lock.EngineLock(path, engine).acquire(ME)
    assert isinstance(answer, lock.Held)
    return answer


def test_the_second_is_told_who_has_it(tmp_path: Path) -> None:
    held = acquire(tmp_path)
    answer = lock.EngineLock(tmp_path, "E").acquire(dataclasses.replace(ME, pid=1))
    assert answer == lock.HeldBy(tmp_path / "wharfinger-E.lock", ME)
    held.describe(dataclasses.replace(ME, epoch=7))
    answer = lock.EngineLock(tmp_path, "E").acquire(ME)
    assert isinstance(answer, lock.HeldBy)
    assert answer.holder is not None
    assert answer.holder.epoch == 7
    held.release()


def test_a_released_lock_is_free_and_its_file_stays(tmp_path: Path) -> None:
    acquire(tmp_path).release()
    inode = (tmp_path / "wharfinger-E.lock").stat().st_ino
    acquire(tmp_path).release()
    assert (tmp_path / "wharfinger-E.lock").stat().st_ino == inode


def test_another_engine_has_another_lock(tmp_path: Path) -> None:
    held = [acquire(tmp_path, "ABCD:EFGH"), acquire(tmp_path, "a/../b")]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "wharfinger-ABCD:EFGH.lock",
        "wharfinger-a_.._b.lock",
    ]
    for one in held:
        one.release()


def test_the_slices_below_one_root_are_one_controller_s_whatever_its_engine_is(tmp_path: Path) -> None:
    ours = [acquire(tmp_path), lock.SlicesLock(tmp_path, "wharf").acquire(ME)]
    answer = lock.SlicesLock(tmp_path, "wharf").acquire(ME)
    assert isinstance(answer, lock.HeldBy)
    assert "the slices below wharf" in str(answer)
    assert "slices.root" in str(answer)
    ours.append(lock.SlicesLock(tmp_path, "labs").acquire(ME))
    for one in ours:
        assert isinstance(one, lock.Held)
        one.release()


def test_a_holder_that_has_not_said_who_it_is(tmp_path: Path) -> None:
    held = acquire(tmp_path)
    held.path.write_text('{"pid": 1, "ho')
    answer = lock.EngineLock(tmp_path, "E").acquire(ME)
    assert answer == lock.HeldBy(held.path, None)
    held.release()


def test_death_frees_the_lock(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(tmp_path), NOW.isoformat()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "Held\n"
        answer = lock.EngineLock(tmp_path, "E").acquire(ME)
        assert isinstance(answer, lock.HeldBy)
        assert answer.holder is not None
        assert (answer.holder.host, answer.holder.epoch, answer.holder.since) == ("child", 3, NOW)
        child.send_signal(signal.SIGKILL)
    acquire(tmp_path).release()


def test_a_program_that_was_started_meanwhile_does_not_keep_it(tmp_path: Path) -> None:
    held = acquire(tmp_path)
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False) as child:
        assert isinstance(lock.EngineLock(tmp_path, "E").acquire(ME), lock.HeldBy)
        held.release()
        acquire(tmp_path).release()
        assert child.poll() is None


def test_a_fork_that_ends_does_not_free_it(tmp_path: Path) -> None:
    held = acquire(tmp_path)
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    assert isinstance(lock.EngineLock(tmp_path, "E").acquire(ME), lock.HeldBy)
    held.release()


def test_what_is_no_place_for_a_lock_is_told(tmp_path: Path) -> None:
    with pytest.raises(errors.Terminal, match="missing"):
        lock.EngineLock(tmp_path / "missing", "E").acquire(ME)
    (tmp_path / "elsewhere").touch()
    (tmp_path / "wharfinger-E.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(errors.Terminal):
        lock.EngineLock(tmp_path, "E").acquire(ME)


def test_a_look_tells_the_holder_and_leaves_the_lock_alone(tmp_path: Path) -> None:
    asked = lock.EngineLock(tmp_path, "E")
    assert asked.peek() is None
    held = acquire(tmp_path)
    assert asked.peek() == lock.HeldBy(tmp_path / "wharfinger-E.lock", ME)
    held.release()
    assert asked.peek() is None
    acquire(tmp_path).release()
