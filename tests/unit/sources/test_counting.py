"""Bytes below a directory, as du counts them: slowly, on one file system, and without following links."""

import os
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from controller.sources import counting


class Clocks:
    """A thread that computes for a millisecond between two looks, and rests as it is told."""

    def __init__(self, *, ends: bool = False) -> None:
        self.now = self.cpu = self.rested = 0.0
        self._ends = ends

    def elapsed(self) -> float:
        self.now += 0.001
        return self.now

    def used(self) -> float:
        self.cpu += 0.001
        return self.cpu

    def rest(self, seconds: float) -> bool:
        self.now += seconds
        self.rested += seconds
        return self._ends


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory with files below, one of them under two names, a sparse one, and links that lead out."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "large").write_bytes(b"x" * 1_000_000)
    home = tmp_path / "home"
    for folder in ("", "a", "a/b", "c"):
        (home / folder).mkdir(exist_ok=True)
        (home / folder / "file").write_bytes(b"x" * 50_000)
    os.link(home / "a" / "file", home / "c" / "same")
    (home / "link").symlink_to(outside)
    (home / "file.link").symlink_to(outside / "large")
    with (home / "sparse").open("wb") as stream:
        stream.truncate(1 << 40)
    return home


def test_it_is_counted_as_du_counts(home: Path) -> None:
    told = subprocess.run(["du", "-sx", "--block-size=1", home], capture_output=True, text=True, check=True)
    assert counting.below(str(home), Clocks()) == int(told.stdout.split()[0])


def test_the_walk_takes_no_more_than_its_share(tmp_path: Path) -> None:
    for number in range(2000):
        (tmp_path / str(number)).touch()
    clocks = Clocks()
    counting.below(str(tmp_path), clocks)
    assert clocks.rested > 0
    assert clocks.cpu <= clocks.now * counting.SHARE * 1.2


@pytest.mark.parametrize(("ends", "longest", "why"), [(True, 3600, "ended"), (False, 0, "within 0 minutes")])
def test_a_walk_is_given_up(tmp_path: Path, ends: bool, longest: int, why: str) -> None:  # noqa: FBT001
    for number in range(500):
        (tmp_path / str(number)).touch()
    with pytest.raises(counting.GivenUpError, match=why):
        counting.below(str(tmp_path), Clocks(ends=ends), timedelta(seconds=longest))


def test_what_is_no_directory_is_not_counted(home: Path) -> None:
    with pytest.raises(counting.GivenUpError, match="No such file"):
        counting.below(str(home / "gone"), Clocks())
    with pytest.raises(counting.GivenUpError, match="is no directory"):
        counting.below(str(home / "link"), Clocks())


def test_a_log_is_counted_with_its_rotated_files(tmp_path: Path) -> None:
    for name in ("c-json.log", "c-json.log.1", "c-json.log.2.gz", "other-json.log"):
        (tmp_path / name).write_bytes(b"x" * 4096)
    found = counting.of_log(str(tmp_path / "c-json.log"))
    assert found == 3 * (tmp_path / "c-json.log").stat().st_blocks * 512
    for path, why in (("", "in no file"), (str(tmp_path / "none"), "not there"), ("/nowhere/x", "No such")):
        with pytest.raises(counting.GivenUpError, match=why):
            counting.of_log(path)
