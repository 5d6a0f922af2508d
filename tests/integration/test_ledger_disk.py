"""The ledger on real disks: full, read-only, cut off in mid-write, and read by others meanwhile."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.api.conditions import Reason
from controller.ledger.ledger import Ledger
from controller.model import actions, errors, outcomes
from tests.support import ledgers
from tests.support.ledgers import NONCE, NOW

DEADLINE = 20.0

WRITER = """
import sys
from pathlib import Path
from controller.ledger.ledger import Ledger
from tests.support import ledgers
ledger = Ledger.open(Path(sys.argv[1]), ledgers.NOW)
ledger.next_epoch("E", ledgers.NOW)
number = 0
while True:
    number += 1
    intent = ledger.open_intent(ledgers.decision(f"w{number}"), ledgers.NOW)
    print(f"open {intent}", flush=True)
    with ledger.batch():
        ledger.accept([ledgers.spec(f"w{number}-{part}", env={"A": "x" * 2000}) for part in range(5)])
        ledger.suspend(f"w{number}", ledgers.SUSPENSION)
    print(f"batch {number}", flush=True)
    ledger.resolve_intent(intent, (), ledgers.NOW)
    print(f"resolved {intent}", flush=True)
"""

READER = """
import sys
from pathlib import Path
from controller.ledger.ledger import Ledger
from tests.support.ledgers import NONCE, NOW
ledger = Ledger.open_read_only(Path(sys.argv[1]))
assert ledger is not None
print(len(ledger.recall(NONCE, NOW).accepted), len(ledger.intents(None, 10**6)))
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB of its own: room for a small ledger and what it writes ahead."""
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=0755", "tmpfs", str(path)], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(disk: Path) -> None:
    with (disk / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    assert os.statvfs(disk).f_bavail == 0


def remount(disk: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", str(disk)], check=True)


@contextlib.contextmanager
def writer(path: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def told(child: subprocess.Popen[str], lines: int) -> list[str]:
    assert child.stdout is not None
    return [child.stdout.readline() for _ in range(lines)]


def told_of_more(child: subprocess.Popen[str], chains: int) -> None:
    """Read until the writer told of ten chains more than were read of."""
    while told(child, 1) != [f"resolved {chains + 10}\n"]:
        assert child.poll() is None


@pytest.mark.parametrize("name", ledgers.WRITES)
def test_on_a_full_disk_every_write_is_refused_and_nothing_of_it_happened(
    name: str, small_disk: Path
) -> None:
    ledger = Ledger.open(small_disk / "state", NOW)
    ledgers.furnish(ledger)
    ledger.next_epoch("E", NOW)
    before = ledger.recall(NONCE, NOW)
    events, intents = ledger.events(None, 10), ledger.intents(None, 10)
    fill(small_disk)
    for _ in range(2):
        with pytest.raises(errors.Retryable) as caught:
            ledgers.WRITES[name](ledger)
        assert caught.value.reason is Reason.LEDGER_UNAVAILABLE
        assert "free" in caught.value.message
        assert ledger.recall(NONCE, NOW) == before
        assert (ledger.events(None, 10), ledger.intents(None, 10)) == (events, intents)
        assert ledger.remembered_source("policy") == ("kind: ResourcePolicy\n", "a" * 64)
    (small_disk / "filler").unlink()
    ledgers.WRITES[name](ledger)
    after = ledger.recall(NONCE, NOW)
    ledger.close()
    again = Ledger.open(small_disk / "state", NOW)
    assert again.recall(NONCE, NOW) == after
    again.close()


@pytest.mark.parametrize("name", ledgers.LEDGER_ACTIONS)
def test_on_a_full_disk_an_action_fails_and_is_done_later(name: str, small_disk: Path) -> None:
    ledger = Ledger.open(small_disk / "state", NOW)
    ledgers.furnish(ledger)
    before = ledger.recall(NONCE, NOW)
    fill(small_disk)
    failed = ledger.execute(ledgers.LEDGER_ACTIONS[name], NOW)
    assert isinstance(failed, outcomes.Failed)
    assert (failed.reason, failed.retryable) == (Reason.LEDGER_UNAVAILABLE, True)
    assert ledger.recall(NONCE, NOW) == before
    (small_disk / "filler").unlink()
    done = ledger.execute(ledgers.LEDGER_ACTIONS[name], NOW)
    assert isinstance(done, outcomes.Succeeded)
    assert not done.already
    ledger.close()


def test_a_batch_on_a_full_disk_leaves_nothing_even_if_its_failures_are_overlooked(small_disk: Path) -> None:
    ledger = Ledger.open(small_disk / "state", NOW)
    ledgers.furnish(ledger)
    before = ledger.recall(NONCE, NOW)
    fill(small_disk)

    def overlook() -> None:
        with ledger.batch():
            ledger.execute(actions.ForgetWorkspace("alice"), NOW)
            ledger.accept([ledgers.spec(f"w{number}") for number in range(50)])
            ledger.execute(ledgers.LEDGER_ACTIONS["GrantPorts"], NOW)

    with pytest.raises(errors.Retryable):
        overlook()
    assert ledger.recall(NONCE, NOW) == before
    ledger.close()
    (small_disk / "filler").unlink()
    again = Ledger.open(small_disk / "state", NOW)
    assert (again.recall(NONCE, NOW), again.findings) == (before, ())
    again.close()


def test_a_full_disk_from_the_beginning_is_told_and_harms_nothing(small_disk: Path) -> None:
    fill(small_disk)
    with pytest.raises(errors.Retryable) as caught:
        Ledger.open(small_disk / "state", NOW)
    assert caught.value.reason is Reason.LEDGER_UNAVAILABLE
    (small_disk / "filler").unlink()
    ledger = Ledger.open(small_disk / "state", NOW)
    assert ledger.findings == ()
    ledger.close()


def test_a_disk_that_becomes_read_only(small_disk: Path) -> None:
    ledger = Ledger.open(small_disk / "state", NOW)
    ledgers.furnish(ledger)
    before = ledger.recall(NONCE, NOW)
    ledger.close()
    remount(small_disk, "ro")
    with pytest.raises(errors.Retryable):
        Ledger.open(small_disk / "state", NOW)
    reader = Ledger.open_read_only(small_disk / "state")
    assert reader is not None
    assert reader.recall(NONCE, NOW) == before
    with pytest.raises(errors.Retryable):
        reader.probe(NOW)
    assert reader.recall(NONCE, NOW) == before
    reader.close()
    remount(small_disk, "rw")
    Ledger.open(small_disk / "state", NOW).close()


def test_a_directory_that_vanishes_is_noticed_by_the_next_write(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "state", NOW)
    ledgers.furnish(ledger)
    before = ledger.recall(NONCE, NOW)
    for file in (tmp_path / "state").iterdir():
        file.unlink()
    (tmp_path / "state").rmdir()
    for name in ("probe", "accept"):
        with pytest.raises(errors.Retryable, match="removed or replaced"):
            ledgers.WRITES[name](ledger)
    assert ledger.recall(NONCE, NOW) == before
    ledger.close()


@pytest.mark.parametrize("lines", [1, 2, 3, 20, 61, 140])
def test_what_was_durable_when_the_controller_was_killed_is_there(lines: int, tmp_path: Path) -> None:
    with writer(tmp_path) as child:
        said = told(child, lines)
        child.send_signal(signal.SIGKILL)
        child.wait(DEADLINE)
        assert child.stdout is not None
        said += child.stdout.read().splitlines(keepends=True)
    ledger = Ledger.open(tmp_path, NOW)
    assert ledger.findings == ()
    recalled = ledger.recall(NONCE, NOW)
    done = {tuple(line.split()) for line in said if line.endswith("\n")}
    chains = {entry.id: entry for entry in ledger.intents(None, 10**6)}
    opened = {int(number) for what, number in done if what == "open"}
    resolved = {int(number) for what, number in done if what == "resolved"}
    assert opened <= set(chains)
    assert {number for number in resolved if chains[number].resolved_at is None} == set()
    assert {intent.id for intent in recalled.open_intents}.isdisjoint(resolved)
    numbers = {name.split("-")[0] for name in recalled.accepted}
    assert {f"w{number}" for what, number in done if what == "batch"} <= numbers
    assert set(recalled.suspensions) == numbers
    assert len(recalled.accepted) == 5 * len(numbers)
    ledger.next_epoch("E", NOW)
    assert ledger.abandon_intents(NOW) == len(recalled.open_intents) <= 1
    ledger.close()


def test_commands_read_while_the_controller_writes(tmp_path: Path) -> None:
    with writer(tmp_path) as child:
        told(child, 3)
        counts: list[tuple[int, int]] = []
        for _ in range(5):
            told_of_more(child, counts[-1][1] if counts else 0)
            names = {file.name for file in tmp_path.iterdir()}
            output = subprocess.run(
                [sys.executable, "-c", READER, str(tmp_path)],
                check=True,
                capture_output=True,
                text=True,
                timeout=DEADLINE,
                cwd=Path.cwd(),
            ).stdout
            accepted, chains = map(int, output.split())
            assert accepted % 5 == 0
            assert {file.name for file in tmp_path.iterdir()} == names
            counts.append((accepted, chains))
        assert counts == sorted(set(counts))
        assert child.poll() is None


def test_commands_read_what_a_killed_controller_left(tmp_path: Path) -> None:
    with writer(tmp_path) as child:
        told(child, 30)
        child.kill()
    before = {file.name: (file.stat().st_size, file.stat().st_mtime_ns) for file in tmp_path.iterdir()}
    reader = Ledger.open_read_only(tmp_path)
    assert reader is not None
    assert len(reader.recall(NONCE, NOW).accepted) >= 50
    assert before == {
        file.name: (file.stat().st_size, file.stat().st_mtime_ns) for file in tmp_path.iterdir()
    }
    reader.close()


def test_two_processes_do_not_write_one_ledger(tmp_path: Path) -> None:
    with writer(tmp_path) as child:
        told(child, 1)
        with pytest.raises(errors.Terminal, match="another controller uses"):
            Ledger.open(tmp_path, NOW)
    Ledger.open(tmp_path, NOW).close()


def test_a_command_without_the_key_says_so_and_claims_nothing(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, NOW)
    key = ledger.claim_key
    ledger.close()
    (tmp_path / "claim.key").unlink()
    reader = Ledger.open_read_only(tmp_path)
    assert reader is not None
    assert len(reader.claim_key) == 32
    assert reader.claim_key != key
    assert "claim.key" in reader.findings[0].message
    assert not (tmp_path / "claim.key").exists()
    reader.close()


def test_a_recall_of_a_thousand_workspaces_costs_no_query(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, NOW)
    ledger.accept([ledgers.spec(f"w{number}") for number in range(1000)])
    begun = time.perf_counter()
    first = ledger.recall(NONCE, NOW)
    for _ in range(99):
        assert ledger.recall(NONCE, NOW).accepted is first.accepted
    assert (time.perf_counter() - begun) / 100 < 0.001
    figures = []
    for _ in range(50):
        begun = time.perf_counter()
        ledger.resolve_intent(ledger.open_intent(ledgers.decision(), NOW), (), NOW)
        figures.append(time.perf_counter() - begun)
    ledger.close()
    print(json.dumps({"open_and_resolve_median_ms": round(sorted(figures)[25] * 1000, 2)}))
