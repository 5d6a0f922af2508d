"""The Engine's disk: counted as df counts it, full until it is clearly less so, unseen on another host."""

import os
import shutil
from pathlib import Path

import pytest

from controller.model.observed import Disk, Unseen
from controller.sources import disks
from tests.support import builders

SOCKET = "unix:///var/run/docker.sock"
LATER = builders.NOW.replace(hour=13)


def test_it_is_counted_as_df_counts_it(tmp_path: Path) -> None:
    seen = disks.Reader(SOCKET, 100).read(str(tmp_path), builders.NOW)
    assert isinstance(seen, Disk)
    told = shutil.disk_usage(tmp_path)
    assert (seen.path, seen.size) == (str(tmp_path), told.total)
    assert abs(seen.used - told.used) + abs(seen.available - told.free) < 2**30
    assert 0 < seen.percent <= 100
    assert not seen.pressed, "nothing is fuller than all of it"


@pytest.mark.parametrize(
    ("percent", "before", "pressed"),
    [(89, False, False), (90, False, False), (91, False, True), (90, True, True), (89, True, False)],
)
def test_what_was_full_is_full_until_it_is_a_point_below(percent: int, before: bool, pressed: bool) -> None:  # noqa: FBT001
    assert disks.is_pressed(builders.disk(percent), 90, before=before) is pressed


def test_the_reader_remembers_that_it_was_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, found = disks.Reader(SOCKET, 90), []
    for free in (10, 9, 10, 11, 10):
        fields = (4096, 4096, 100, free, free, 0, 0, 0, 0, 255)
        monkeypatch.setattr(os, "statvfs", lambda _, told=fields: os.statvfs_result(told))
        seen = reader.read(str(tmp_path), builders.NOW)
        assert isinstance(seen, Disk)
        found.append(seen.pressed)
    assert found == [False, True, True, False, False]


@pytest.mark.parametrize(
    ("engine", "path"),
    [("tcp://far:2375", "/"), ("ssh://far", "/"), (SOCKET, ""), (SOCKET, "/nowhere/at/all")],
)
def test_a_disk_that_is_not_this_hosts_is_unseen_since_it_was_first(engine: str, path: str) -> None:
    reader = disks.Reader(engine, 1)
    first, second = reader.read(path, builders.NOW), reader.read(path, LATER)
    assert isinstance(first, Unseen)
    assert isinstance(second, Unseen)
    assert second.since == first.since == builders.NOW
