"""How the other userland is made: once, all or nothing, and from where this host has its packages."""

import os
import threading
from pathlib import Path

import pytest

from deploy.dev import host, userland


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose programs come before the host's; its debootstrap makes one file, or fails if told so."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setattr(host, "SYSTEM_PATH", f"{folder}{os.pathsep}{host.SYSTEM_PATH}")
    monkeypatch.setenv("PATH", host.SYSTEM_PATH)  # by which Python finds what it runs
    add(folder, "apt-get", "echo http://mirror.example/debian/")
    add(
        folder,
        "debootstrap",
        f"""
        for word in "$@"; do target=$mirror; mirror=$word; done
        echo "$@" >>{tmp_path}/calls
        mkdir -p "$target/usr/sbin" && [ ! -e "$target/usr/sbin/half" ] || exit 3
        touch "$target/usr/sbin/half"
        [ ! -e {tmp_path}/fails ] || {{ echo "no network" >&2; exit 1; }}
        touch "$target/usr/sbin/dockerd"
        """,
    )
    return folder


def add(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def calls(tmp_path: Path) -> list[str]:
    return (tmp_path / "calls").read_text().splitlines()


def test_it_is_made_once(programs: Path, tmp_path: Path) -> None:
    place = tmp_path / "dev" / "trixie"
    assert userland.ensure(place) == place
    assert userland.ensure(place) == place
    (call,) = calls(tmp_path)
    assert call.split()[-3:] == ["trixie", f"{place}.new", "http://mirror.example/debian"]
    assert "systemd" in call
    assert userland.program(place, "dockerd") == "/usr/sbin/dockerd"
    assert userland.program(place, "nobody") is None


def test_a_making_that_was_interrupted_begins_anew(programs: Path, tmp_path: Path) -> None:
    place = tmp_path / "trixie"
    (tmp_path / "fails").touch()
    with pytest.raises(host.SetupError, match="no network"):
        userland.ensure(place)
    assert not place.exists()
    (tmp_path / "fails").unlink()
    assert (userland.ensure(place) / "usr" / "sbin" / "dockerd").exists()
    assert not (tmp_path / "trixie.new").exists()


def test_two_that_want_it_at_once_make_it_once(programs: Path, tmp_path: Path) -> None:
    place = tmp_path / "trixie"
    both = [threading.Thread(target=userland.ensure, args=(place,)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(30)
    assert len(calls(tmp_path)) == 1


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        (
            ["http://a.example/debian-security/", "http://b.example/mirror/debian/"],
            "http://b.example/mirror/debian",
        ),
        (["http://c.example/ubuntu/"], userland.USUAL_MIRROR),
        ([], userland.USUAL_MIRROR),
    ],
)
def test_packages_come_from_where_this_host_has_its_own(
    programs: Path, listed: list[str], expected: str
) -> None:
    add(programs, "apt-get", "\n".join(f"echo {address}" for address in listed))
    assert userland.mirror() == expected


def test_a_host_without_apt_gets_them_from_debian(programs: Path) -> None:
    add(programs, "apt-get", "exit 1")
    assert userland.mirror() == userland.USUAL_MIRROR


def test_a_program_sees_the_other_usr_and_the_host_does_not(tmp_path: Path) -> None:
    (tmp_path / "usr" / "bin").mkdir(parents=True)
    host.ensure_programs({"busybox": "busybox-static"})
    place = host.find_program("busybox")
    assert place is not None
    (tmp_path / "usr" / "bin" / "busybox").write_bytes(Path(place).read_bytes())
    (tmp_path / "usr" / "bin" / "busybox").chmod(0o755)
    argv = ["/usr/bin/busybox", "ls", "/usr/bin"]
    assert host.call(*userland.command(tmp_path, argv)) == "busybox\n"
    assert host.mounts_below(Path("/usr")) == []
    assert host.call(*userland.command(tmp_path, argv, os.getpid())) != "busybox\n"
