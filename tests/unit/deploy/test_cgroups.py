"""Cgroups of this host: where they are, and that only what is empty goes."""

from pathlib import Path

import pytest

from deploy.dev import cgroups


@pytest.fixture
def trees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two hierarchies of version 1 and one of version 2, below a directory."""
    table = tmp_path / "mountinfo"
    lines = [
        f"30 23 0:26 / {tmp_path}/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct",
        f"31 23 0:27 / {tmp_path}/memory rw,relatime shared:1 - cgroup cgroup rw,memory",
        f"32 23 0:28 / {tmp_path}/unified rw,relatime - cgroup2 cgroup2 rw",
        f"33 23 0:29 / {tmp_path}/other rw,relatime - tmpfs tmpfs rw",
    ]
    table.write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(cgroups, "MOUNTS", table)
    for name in ("cpu", "memory", "unified", "other"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_each_controller_has_its_mount_and_version_2_none(trees: Path) -> None:
    assert cgroups.mounts() == {
        "cpu": trees / "cpu",
        "rw": trees / "cpu",
        "cpuacct": trees / "cpu",
        "memory": trees / "memory",
        "": trees / "unified",
    }


def test_what_is_empty_goes_from_every_hierarchy_and_what_is_not_stays(trees: Path) -> None:
    (trees / "cpu/wharf/alice").mkdir(parents=True)
    (trees / "memory/wharf/bob").mkdir(parents=True)
    (trees / "memory/wharf/alice/abc").mkdir(parents=True)
    (trees / "memory/wharf/bob/busy").write_text("")
    (trees / "other/wharf").mkdir()
    cgroups.remove_empty("wharf")
    left = sorted(str(path.relative_to(trees)) for path in trees.glob("*/wharf/**"))
    assert left == ["memory/wharf", "memory/wharf/bob", "other/wharf"]
    assert cgroups.folders("/wharf/bob") == [trees / "memory/wharf/bob"]


def test_what_was_never_there_is_gone_already(trees: Path) -> None:
    cgroups.remove_empty("wharf")
    assert cgroups.folders("wharf") == []
