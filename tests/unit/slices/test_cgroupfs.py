"""Folders of cgroups that somebody nested as deep as he liked."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.slices import cgroupfs, groups

DEEP = 1000


@pytest.fixture
def deepest(tmp_path: Path) -> Iterator[Path]:
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(DEEP):
            os.mkdir("x", dir_fd=here)
            here, above = os.open("x", os.O_RDONLY, dir_fd=here), here
            os.close(above)
        yield tmp_path.joinpath(*["x"] * DEEP)
    finally:
        os.close(here)
        subprocess.run(["rm", "-rf", str(tmp_path / "x")], check=True)


def test_what_runs_in_the_deepest_one_is_found_and_keeps_all(tmp_path: Path, deepest: Path) -> None:
    assert not cgroupfs.populated(str(tmp_path))
    (deepest / "cgroup.procs").write_text("7\n")
    assert cgroupfs.populated(str(tmp_path))
    assert cgroupfs.remove([str(tmp_path / "x")], deep=True) == "processes"
    (deepest / "cgroup.procs").unlink()
    assert cgroupfs.remove([str(tmp_path / "x")], deep=True) == ""
    assert not (tmp_path / "x").exists()


def test_version_2_says_itself_what_is_below(tmp_path: Path) -> None:
    for told in (1, 0):
        (tmp_path / "cgroup.events").write_text(f"populated {told}\nfrozen 0\n")
        assert cgroupfs.populated(str(tmp_path)) is bool(told)


def test_what_is_not_there_is_gone_also_where_nothing_may_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "rmdir", refuse)
    assert cgroupfs.remove([str(tmp_path / "gone")], deep=False) == ""
    with pytest.raises(OSError, match="Read-only"):
        cgroupfs.remove([str(tmp_path)], deep=False)


def test_those_who_watch_the_host_may_look_at_what_is_made(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        cgroupfs.make(groups.Group(1, {"pids": str(tmp_path)}), "/wharf/alice")
    finally:
        os.umask(before)
    assert (tmp_path / "wharf/alice").stat().st_mode & 0o777 == 0o755
