"""A watched spec directory as people, editors and tools write to it, on the real clock."""

import datetime as dt
import pathlib
import random
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest

from controller.model.desired import SpecScan
from controller.model.observed import Seen
from controller.sources import directory, watcher
from tests.support import specfiles

SETTLE = dt.timedelta(milliseconds=300)
DEADLINE = 15.0


class Eyes:
    """Watches and scans as the controller does: at a wake, when a file is due, and at last every second."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.specs = directory.SpecDirectory(str(path), SETTLE)
        self.classes_seen: set[str | None] = set()
        self.rung = threading.Event()
        self.watcher = watcher.Watcher(lambda: [str(path)], self.rung.set, lambda: None)

    def look(self) -> SpecScan | None:
        self.rung.clear()
        scan = self.specs.observe(dt.datetime.now(dt.UTC))
        if not isinstance(scan, Seen):
            return None
        self.classes_seen |= {file.workspace.spec.class_name for file in scan.value.files.values()}
        return scan.value

    def look_until(self, class_name: str) -> float:
        """Seconds until alice's settled spec names this class."""
        begun = time.monotonic()
        while time.monotonic() - begun < DEADLINE:
            scan = self.look()
            alice = scan.files.get("alice") if scan else None
            if alice is not None and alice.workspace.spec.class_name == class_name:
                return time.monotonic() - begun
            self.rung.wait(self._until_due(scan))
        pytest.fail(f"class {class_name} was never seen")

    def _until_due(self, scan: SpecScan | None) -> float:
        if scan is None or scan.next_look is None:
            return 1.0
        return max(0.0, min(1.0, (scan.next_look - dt.datetime.now(dt.UTC)).total_seconds()))


@pytest.fixture
def eyes(tmp_path: pathlib.Path) -> Iterator[Eyes]:
    """A directory with alice's accepted spec, watched."""
    path = tmp_path / "workspaces.d"
    path.mkdir()
    eyes = Eyes(path)
    (path / "alice.yaml").write_bytes(_spec("first"))
    specfiles.age(path / "alice.yaml")
    eyes.watcher.start()
    eyes.look_until("first")
    yield eyes
    assert eyes.watcher.stop()


def _spec(class_name: str) -> bytes:
    return specfiles.workspace("alice", f"  class: {class_name}\n  env: {{TEXT: {'x' * 2000}}}\n")


def test_a_rename_into_place_counts_within_a_second(eyes: Eyes) -> None:
    specfiles.rename_into_place(eyes.path / "alice.yaml", _spec("second"))
    assert eyes.look_until("second") < 1.5


def test_a_slow_writer_in_place_is_waited_for(eyes: Eyes) -> None:
    """The text comes in pieces, with pauses longer than the settling time; many pieces are valid specs."""
    text = specfiles.workspace("alice", "  class: second-and-last\n")
    start = text.index(b"second") + 3

    def write() -> None:
        with (eyes.path / "alice.yaml").open("wb", buffering=0) as file:
            file.write(text[:start])
            for byte in text[start:]:
                pause.wait(0.4)
                file.write(bytes([byte]))

    pause = threading.Event()
    writer = threading.Thread(target=write)
    writer.start()
    eyes.look_until("second-and-last")
    writer.join()
    assert eyes.classes_seen == {"first", "second-and-last"}


@pytest.mark.parametrize("tool", ["cp", "cp --remove-destination", "install", "mv", "tee", "dd", "sed"])
def test_whole_writes_of_common_tools_are_seen(eyes: Eyes, tool: str, tmp_path: pathlib.Path) -> None:
    source, target = tmp_path / "new", eyes.path / "alice.yaml"
    source.write_bytes(_spec("second"))
    commands = {
        "tee": f"tee {target} < {source} > /dev/null",
        "dd": f"dd if={source} of={target} bs=17 status=none",
        "sed": f"sed -i s/first/second/ {target}",
    }
    subprocess.run(commands.get(tool, f"{tool} {source} {target}"), shell=True, check=True)
    eyes.look_until("second")
    assert eyes.classes_seen == {"first", "second"}


def test_a_vim_style_save_is_one_change(eyes: Eyes) -> None:
    target = eyes.path / "alice.yaml"
    (eyes.path / "4913").touch()
    (eyes.path / "4913").unlink()
    target.rename(eyes.path / "alice.yaml~")
    target.write_bytes(_spec("second"))
    eyes.look_until("second")
    scan = eyes.look()
    assert scan is not None
    assert (scan.rejected, scan.ignored) == ((), ())
    (eyes.path / "alice.yaml~").unlink()


def test_a_replaced_directory_is_read_again(eyes: Eyes) -> None:
    shutil.move(eyes.path, eyes.path.with_name("old"))
    eyes.path.mkdir()
    (eyes.path / "alice.yaml").write_bytes(_spec("second"))
    eyes.look_until("second")
    eyes.look()
    specfiles.rename_into_place(eyes.path / "alice.yaml", _spec("third"))
    assert eyes.look_until("third") < 5


def test_a_hostile_name_does_not_blind(eyes: Eyes) -> None:
    subprocess.run(["touch", bytes(eyes.path) + b"/caf\xe9.yaml"], check=True)
    specfiles.rename_into_place(eyes.path / "alice.yaml", _spec("second"))
    eyes.look_until("second")


def test_a_thread_that_swaps_links_and_files_gets_nothing_of_them_read(
    eyes: Eyes, tmp_path: pathlib.Path
) -> None:
    """A link to a valid spec with another class takes the file's place again and again; none follows it."""
    evil = tmp_path / "evil"
    evil.write_bytes(_spec("evil"))
    honest, link = tmp_path / "honest", tmp_path / "link"
    is_over = threading.Event()
    target = eyes.path / "alice.yaml"

    def swap() -> None:
        while not is_over.is_set():
            link.symlink_to(evil)
            link.rename(target)
            honest.write_bytes(_spec("first"))
            honest.rename(target)

    attacker = threading.Thread(target=swap)
    attacker.start()
    try:
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            eyes.look()
    finally:
        is_over.set()
        attacker.join()
    eyes.look_until("first")
    assert eyes.classes_seen == {"first"}


def test_random_edits_end_in_what_the_files_say(eyes: Eyes) -> None:
    """Fifty random writes by three people; in the end the scan is what a fresh one finds."""
    dice = random.Random(7)
    for turn in range(50):
        path = eyes.path / f"{dice.choice(['alice', 'bob', 'carol'])}.yaml"
        text = specfiles.workspace(path.stem, f"  class: c{turn}\n")
        match dice.randrange(4):
            case 0:
                specfiles.write_in_place(path, text)
            case 1:
                specfiles.rename_into_place(path, text)
            case 2:
                path.write_bytes(text[: dice.randrange(len(text))])
            case _:
                path.unlink(missing_ok=True)
        eyes.look()
    (eyes.path / "alice.yaml").write_bytes(_spec("last"))
    eyes.look_until("last")
    fresh = Eyes(eyes.path)
    late = specfiles.LATE
    fresh.specs.observe(late)
    scan = fresh.specs.observe(late + SETTLE)
    assert isinstance(scan, Seen)
    eyes.specs.observe(late)
    settled = eyes.specs.observe(late + dt.timedelta(seconds=3))
    assert isinstance(settled, Seen)
    assert {name: file.digest for name, file in settled.value.files.items()} == {
        name: file.digest for name, file in scan.value.files.items()
    }
    assert [file.file for file in settled.value.rejected] == [file.file for file in scan.value.rejected]
