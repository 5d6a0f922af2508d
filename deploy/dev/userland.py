"""Knows how to have a Debian 13 below `.dev`, and how to run a program with its /usr in place of the host's.

It refuses to mount anything that the host would see: a program gets a mount namespace of its own, and
everything but /usr is as everywhere. Run it as `python -m deploy.dev.userland` to make the root; made once
it is used again, and a making that was interrupted begins anew.
"""

import argparse
import os
import shutil
import sys
import urllib.parse
from collections.abc import Sequence
from pathlib import Path

from deploy.dev import host

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / ".dev" / "trixie"
SUITE = "trixie"
USUAL_MIRROR = "http://deb.debian.org/debian"
PACKAGES = ("systemd", "systemd-sysv", "dbus", "docker.io", "busybox-static", "python3", "iproute2")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
DEADLINE = 600.0
"""Seconds for the making, and for another's that is waited for. Alone on two cores it takes 50."""
NICENESS = 5


def ensure(place: Path = PLACE) -> Path:
    """Makes the root unless it is there; one that another process makes is waited for.

    Raises:
        SetupError: it cannot be made, or is not there in time; the end of debootstrap's log says why.
    """
    if place.is_dir():
        return place
    if os.geteuid() != 0:
        raise host.SetupError(f"only root can make {place}")
    place.parent.mkdir(parents=True, exist_ok=True)
    with host.exclusive(place.with_suffix(".lock"), DEADLINE):
        if not place.is_dir():
            _make(place)
    return place


def _make(place: Path) -> None:
    unfinished = place.with_suffix(".new")
    _remove(unfinished)
    host.ensure_programs({"debootstrap": "debootstrap", "unshare": "util-linux"})
    if not KEYRING.exists():
        host.install("debian-archive-keyring")
    command = ["debootstrap", "--force-check-gpg", f"--keyring={KEYRING}", "--variant=minbase"]
    command += [f"--include={','.join(PACKAGES)}", SUITE, str(unfinished), mirror()]
    # In a namespace of its own: what an interrupted debootstrap has mounted goes with it.
    host.call("unshare", "--mount", "--propagation", "private", *command, timeout=DEADLINE)
    shutil.rmtree(unfinished / "var" / "cache" / "apt" / "archives", ignore_errors=True)
    unfinished.rename(place)


def _remove(unfinished: Path) -> None:
    mounted = host.mounts_below(unfinished)
    if mounted:
        raise host.SetupError(f"something is mounted at {mounted[0]}; unmount it")
    if unfinished.exists():
        shutil.rmtree(unfinished)


def mirror() -> str:
    """Where this host has its Debian packages from; Debian's own name if it is no Debian."""
    try:
        listed = host.call("apt-get", "indextargets", "--format", "$(REPO_URI)", "Identifier: Packages")
    except host.SetupError:
        return USUAL_MIRROR
    addresses = [line.rstrip("/") for line in listed.splitlines()]
    of_debian = [one for one in addresses if urllib.parse.urlsplit(one).path.endswith("/debian")]
    return of_debian[0] if of_debian else USUAL_MIRROR


def program(root: Path, name: str) -> str | None:
    """Where a program of the root is for those that have its /usr; None where it is not there."""
    usual = (f"/usr/{folder}/{name}" for folder in ("sbin", "bin"))
    return next((path for path in usual if (root / path[1:]).exists()), None)


def command(root: Path, argv: Sequence[str], neighbour: int | None = None) -> list[str]:
    """How to run a program with the root's /usr; it replaces the process that is started.

    Args:
        root: the userland.
        argv: the program, with its path in there, and its arguments.
        neighbour: a process that runs so; the program shares its mounts.
    """
    if neighbour is not None:
        return ["nsenter", "--mount", "--target", str(neighbour), *argv]
    script = 'mount --bind "$0" /usr && exec "$@"'
    return ["unshare", "--mount", "--propagation", "slave", "sh", "-c", script, str(root / "usr"), *argv]


def main() -> int:
    """Makes the root; 1 with one message when it cannot be had."""
    parser = argparse.ArgumentParser(prog="userland", description="A Debian 13 for Engines of the tests.")
    parser.add_argument("--dir", type=Path, default=PLACE, help="where it is (default: %(default)s)")
    arguments = parser.parse_args()
    os.nice(NICENESS)
    try:
        print(ensure(arguments.dir))
    except host.SetupError as error:
        print(f"userland: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
