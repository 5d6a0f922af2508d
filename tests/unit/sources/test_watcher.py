"""The watcher: it wakes soon, and whatever happens to the directory, it goes on waking."""

import os
import pathlib
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from controller.sources import watcher
from tests.support import specfiles

DEADLINE = 10.0


class Bell:
    """Counts wakes and heartbeats, and can be waited for."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.wakes = 0
        self.beats = 0

    def wake(self) -> None:
        with self._changed:
            self.wakes += 1
            self._changed.notify_all()

    def beat(self) -> None:
        with self._changed:
            self.beats += 1
            self._changed.notify_all()

    def wait(self, condition: Callable[[], bool]) -> float:
        """Seconds until the condition held; it is an error if that takes longer than the deadline."""
        begun = time.monotonic()
        with self._changed:
            assert self._changed.wait_for(condition, DEADLINE)
        return time.monotonic() - begun

    def hear(self, deed: Callable[[], object]) -> float:
        """Seconds from a deed to the next wake."""
        before = self.wakes
        deed()
        return self.wait(lambda: self.wakes > before)

    def settle(self) -> None:
        """Waits until the watch stands and nothing more is told: two heartbeats without a wake."""
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            wakes, beats = self.wakes, self.beats
            wanted = beats + 2
            self.wait(lambda wanted=wanted: self.beats >= wanted)  # type: ignore[misc]
            if self.wakes == wakes and self.wakes:
                return
        pytest.fail("the watcher never came to rest")


@pytest.fixture
def bell() -> Bell:
    """What the watcher rings."""
    return Bell()


@pytest.fixture
def specs(tmp_path: pathlib.Path, bell: Bell) -> Iterator[pathlib.Path]:
    """A watched directory, which is not there yet."""
    path = tmp_path / "workspaces.d"
    watching = watcher.Watcher(lambda: [str(path)], bell.wake, bell.beat)
    watching.start()
    yield path
    assert watching.stop()


def test_a_change_wakes_within_a_tenth_of_a_second(specs: pathlib.Path, bell: Bell) -> None:
    specs.mkdir()
    bell.settle()
    delays = []
    for number in range(5):
        bell.settle()
        text = specfiles.workspace(f"w{number}")
        delays.append(bell.hear(lambda text=text: specfiles.rename_into_place(specs / "a.yaml", text)))  # type: ignore[misc]
    assert min(delays) < 0.1


@pytest.mark.parametrize("deed", ["create", "write", "rename", "remove", "chmod"])
def test_every_kind_of_change_wakes(specs: pathlib.Path, bell: Bell, deed: str) -> None:
    specs.mkdir()
    path = specs / "a.yaml"
    if deed != "create":
        path.write_bytes(b"1")
    bell.settle()
    deeds: dict[str, Callable[[], object]] = {
        "create": lambda: path.write_bytes(b"1"),
        "write": lambda: specfiles.write_in_place(path, b"2"),
        "rename": lambda: path.rename(specs / "b.yaml"),
        "remove": path.unlink,
        "chmod": lambda: path.chmod(0o600),
    }
    bell.hear(deeds[deed])


def test_a_directory_that_comes_late_is_watched(specs: pathlib.Path, bell: Bell) -> None:
    bell.wait(lambda: bell.beats > 2)
    bell.hear(specs.mkdir)
    bell.settle()
    bell.hear(lambda: (specs / "a.yaml").write_bytes(b"1"))


def test_a_replaced_directory_is_watched_again(specs: pathlib.Path, bell: Bell) -> None:
    specs.mkdir()
    bell.settle()

    def replace() -> None:
        specs.rename(specs.with_name("old"))
        specs.mkdir()

    bell.hear(replace)
    bell.settle()
    bell.hear(lambda: (specs / "a.yaml").write_bytes(b"1"))


def test_a_removed_and_remade_directory_is_watched_again(specs: pathlib.Path, bell: Bell) -> None:
    specs.mkdir()
    bell.settle()
    bell.hear(specs.rmdir)
    bell.hear(specs.mkdir)
    bell.settle()
    bell.hear(lambda: (specs / "a.yaml").write_bytes(b"1"))


def test_a_name_that_is_not_utf_8_does_not_end_the_watch(specs: pathlib.Path, bell: Bell) -> None:
    specs.mkdir()
    bell.settle()
    foreign = os.fsencode(specs) + b"/caf\xe9.yaml"

    def plant() -> None:
        os.close(os.open(foreign, os.O_CREAT | os.O_WRONLY, 0o600))

    bell.hear(plant)
    bell.settle()
    bell.hear(lambda: (specs / "a.yaml").write_bytes(b"1"))


def test_thousands_of_files_at_once_wake_and_leave_the_watch_alive(specs: pathlib.Path, bell: Bell) -> None:
    specs.mkdir()
    bell.settle()

    def flood() -> None:
        for number in range(5000):
            (specs / f"f{number}.yaml").touch()

    bell.hear(flood)
    bell.settle()
    bell.hear(lambda: (specs / "a.yaml").write_bytes(b"1"))


def test_the_heart_beats_with_and_without_a_directory(specs: pathlib.Path, bell: Bell) -> None:
    bell.wait(lambda: bell.beats >= 3)
    specs.mkdir()
    bell.settle()
    before = bell.beats
    bell.wait(lambda: bell.beats >= before + 3)


def test_stopping_is_quick_and_final(tmp_path: pathlib.Path, bell: Bell) -> None:
    watching = watcher.Watcher(lambda: [str(tmp_path)], bell.wake, bell.beat)
    watching.start()
    bell.settle()
    begun = time.monotonic()
    assert watching.stop()
    assert time.monotonic() - begun < 2
    before = bell.wakes
    (tmp_path / "a.yaml").write_bytes(b"1")
    assert bell.wakes == before


def test_a_directory_that_is_named_later_is_watched(tmp_path: pathlib.Path, bell: Bell) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    named = [str(first)]
    watching = watcher.Watcher(lambda: named, bell.wake, bell.beat)
    watching.start()
    bell.settle()
    bell.hear(lambda: named.append(str(second)))
    bell.settle()
    bell.hear(lambda: (second / "students").write_bytes(b"alice"))
    assert watching.stop()
