"""What the set-up does to the host, with stand-ins for the host's programs."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deploy.dev import host

APT = """#!/bin/sh
cd {place}
case $* in
    *update) mkdir busy || exit 100; sleep 0.2; touch lists; rmdir busy ;;
    *) [ -e lists ] && echo "$*" >>installed ;;
esac
"""


def test_two_that_install_at_once_on_a_host_without_lists_of_packages_both_succeed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "apt-get").write_text(APT.format(place=tmp_path))
    (tmp_path / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{host.SYSTEM_PATH}")  # by which Python finds programs
    monkeypatch.setattr(host, "SYSTEM_PATH", os.environ["PATH"])
    monkeypatch.setattr(host, "APT_LOCK", tmp_path / "lock")
    with ThreadPoolExecutor() as both:
        list(both.map(host.install, ["debootstrap", "docker.io"]))
    installed = (tmp_path / "installed").read_text().splitlines()
    assert sorted(line.split()[-1] for line in installed) == ["debootstrap", "docker.io"]
