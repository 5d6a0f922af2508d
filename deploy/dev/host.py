"""Knows how to ask and change the development host: packages, processes, mounts, bridges, locks.

It refuses to know what an Engine is, and to end a process whose command line does not name what the caller
owns.
"""

import contextlib
import fcntl
import hashlib
import ipaddress
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

SYSTEM_PATH = os.pathsep.join(filter(None, [os.environ.get("PATH"), "/usr/sbin:/usr/bin:/sbin:/bin"]))
NETWORK_OF_WORKSPACES = ipaddress.ip_network("172.28.0.0/16")
NETWORK_OF_BRIDGES = ipaddress.ip_network("172.30.0.0/15")
LOCK_DEADLINE = 180.0
APT_LOCK = Path("/run/wharfinger-dev-apt.lock")
APT_DEADLINE = 900.0


class SetupError(Exception):
    """The set-up cannot go on; the message is for a person."""


def short_runtime_dir(owner: Path) -> Path:
    """A folder for sockets, short enough for the 108 bytes of a socket's name however deep `owner` lies."""
    name = f"wharfinger-dev-{digest(owner)}"
    if os.access("/run", os.W_OK):
        return Path("/run") / name
    return Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / name


def digest(path: Path) -> str:
    """Eight hexadecimal digits that stand for one directory on this host."""
    return hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:8]


def find_program(name: str) -> str | None:
    """Where a program is; looks in the system's folders too, which a user's PATH may leave out."""
    return shutil.which(name, path=SYSTEM_PATH)


def call(
    *argv: str, timeout: float = 60, environment: dict[str, str] | None = None, cwd: Path | None = None
) -> str:
    """Runs a program to its end without standard input; its standard output.

    Raises:
        SetupError: it failed, is absent, or did not end within `timeout` seconds.
    """
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            cwd=cwd,
            env={**os.environ, "PATH": SYSTEM_PATH, "LC_ALL": "C", **(environment or {})},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupError(f"{' '.join(argv)}: {error}") from error
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-5:]
        raise SetupError(f"{' '.join(argv)} ended with {done.returncode}: {' | '.join(last)}")
    return done.stdout


def ensure_programs(packages: dict[str, str]) -> None:
    """Installs what is missing; `packages` maps a program to its Debian package.

    Raises:
        SetupError: something is missing and this is not root on Debian or Ubuntu, or apt-get failed.
    """
    missing = sorted({package for program, package in packages.items() if find_program(program) is None})
    if missing:
        install(*missing)


def install(*packages: str) -> None:
    """Installs Debian packages.

    Raises:
        SetupError: this is not root on Debian or Ubuntu, or apt-get failed.
    """
    if os.geteuid() != 0 or find_program("apt-get") is None:
        raise SetupError(f"missing: {' '.join(packages)}; install them, or run as root on Debian or Ubuntu")
    print(f"installing {' '.join(packages)}", flush=True)
    command = ["apt-get", "-y", "-q", "-o", "DPkg::Lock::Timeout=300", "install", "--no-install-recommends"]
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "l"}
    try:
        call(*command, *packages, timeout=900, environment=quiet)
    except SetupError:
        _update_lists()
        call(*command, *packages, timeout=900, environment=quiet)


def _update_lists() -> None:
    """Of packages. Of two that do this at once, apt lets one fail."""
    with exclusive(APT_LOCK, APT_DEADLINE):
        call("apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", "update", timeout=600)


def unpacked_program(name: str, package: str, place: Path) -> str:
    """Where a program is; a missing one is unpacked from its Debian package to `place`.

    Unlike an installed package it brings no service that would run on this host.

    Raises:
        SetupError: it is missing and cannot be downloaded.
    """
    found = find_program(name) or shutil.which(name, path=str(place / "usr" / "bin"))
    if found is not None:
        return found
    if find_program("apt-get") is None:
        raise SetupError(f"missing: {package}; install it, or run on Debian or Ubuntu")
    print(f"unpacking {package}", flush=True)
    place.mkdir(parents=True, exist_ok=True)
    with exclusive(place / "lock"), tempfile.TemporaryDirectory(dir=place) as fetched:
        fetch = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package]
        try:
            call(*fetch, timeout=300, cwd=Path(fetched))
        except SetupError:
            _update_lists()
            call(*fetch, timeout=300, cwd=Path(fetched))
        for archive in Path(fetched).glob("*.deb"):
            call("dpkg-deb", "-x", str(archive), str(place))
    found = shutil.which(name, path=str(place / "usr" / "bin"))
    if found is None:
        raise SetupError(f"{package} has no program {name}")
    return found


def wait_until(condition: Callable[[], bool], deadline: float, interval: float = 0.05) -> bool:
    """Whether the condition became true within `deadline` seconds."""
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(interval)
    return True


@contextlib.contextmanager
def exclusive(path: Path, deadline: float = LOCK_DEADLINE) -> Iterator[None]:
    """Holds a lock file; another holder is waited for, `deadline` seconds at most."""
    with path.open("a", encoding="utf-8") as file:

        def locked() -> bool:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        if not wait_until(locked, deadline):
            raise SetupError(f"{path} is locked by another process")
        yield


def command_line(pid: int) -> str:
    """The arguments of a process, joined by blanks; empty when it is gone or a zombie."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def recorded_pid(pid_file: Path, marker: str) -> int | None:
    """The process of a pid file, if it runs and its command line has `marker`; a stale file is nobody."""
    try:
        pid = int(pid_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return pid if marker in command_line(pid) else None


def processes_naming(marker: str) -> list[int]:
    """Every other process whose command line has `marker`."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if pid != os.getpid() and marker in command_line(pid)]


def children(pid: int) -> list[int]:
    """The processes whose parent is `pid`."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(word) for word in task.read_text(encoding="ascii").split()]
    return found


def end_process(pid: int, marker: str, grace: float) -> None:
    """Ends a process: SIGTERM, `grace` seconds, SIGKILL.

    Nothing is sent unless its command line has `marker`.

    Raises:
        SetupError: it is still there ten seconds after SIGKILL.
    """

    def gone() -> bool:
        return marker not in command_line(pid)

    for signal_number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
        if gone():
            return
        if signal_number == signal.SIGKILL or grace > 0:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal_number)
            if wait_until(gone, seconds):
                return
    raise SetupError(f"process {pid} does not end")


def mounts_below(directory: Path) -> list[str]:
    """Mount points at or below a directory, deepest first."""
    prefix = str(directory.resolve())
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    points = [line.split(" ")[4].encode().decode("unicode_escape") for line in lines]
    return sorted((p for p in points if p == prefix or p.startswith(prefix + "/")), key=len, reverse=True)


def unmount_below(directory: Path) -> None:
    """Unmounts everything at or below a directory, lazily where it is busy."""
    for point in mounts_below(directory):
        try:
            call("umount", point)
        except SetupError:
            call("umount", "-l", point)


def supports_overlay(directory: Path) -> bool:
    """Whether overlayfs can be mounted on this directory's file system."""
    with tempfile.TemporaryDirectory(dir=directory, prefix="overlay-trial-") as name:
        trial = Path(name)
        for part in ("lower", "upper", "work", "merged"):
            (trial / part).mkdir()
        options = f"lowerdir={trial}/lower,upperdir={trial}/upper,workdir={trial}/work"
        try:
            call("mount", "-t", "overlay", "overlay", "-o", options, f"{trial}/merged")
        except SetupError:
            return False
        call("umount", f"{trial}/merged")
        return True


def networks_in_use() -> list[ipaddress.IPv4Network]:
    """The IPv4 networks that this host has routes to, default routes apart."""
    routes = json.loads(call("ip", "-j", "-4", "route", "show", "table", "all"))
    names = [route["dst"] for route in routes if route["dst"] != "default"]
    return [ipaddress.IPv4Network(name, strict=False) for name in names]


def free_subnet(seed: str) -> ipaddress.IPv4Network:
    """A /24 for a bridge that clashes with no route of this host; the search starts where `seed` (hex) says.

    Raises:
        SetupError: every candidate is taken.
    """
    taken = [*networks_in_use(), NETWORK_OF_WORKSPACES]
    candidates = [
        net for net in NETWORK_OF_BRIDGES.subnets(new_prefix=24) if isinstance(net, ipaddress.IPv4Network)
    ]
    first = int(seed, 16) % len(candidates)
    for candidate in candidates[first:] + candidates[:first]:
        if not any(
            candidate.overlaps(network) for network in taken if isinstance(network, ipaddress.IPv4Network)
        ):
            return candidate
    raise SetupError(f"no free network for a bridge in {NETWORK_OF_BRIDGES}")


def bridge_exists(name: str) -> bool:
    """Whether the host has a network interface of this name."""
    return Path("/sys/class/net", name).exists()


def add_bridge(name: str, seed: str) -> None:
    """Makes a bridge with a network of its own, unless it is there and has one."""
    with exclusive(Path("/run/wharfinger-dev.lock")):
        if bridge_exists(name):
            if json.loads(call("ip", "-j", "-4", "addr", "show", "dev", name))[0].get("addr_info"):
                return
            remove_bridge(name)
        address = free_subnet(seed)[1]
        call("ip", "link", "add", name, "type", "bridge")
        call("ip", "addr", "add", f"{address}/24", "dev", name)
        call("ip", "link", "set", name, "up")


def remove_bridge(name: str) -> None:
    """Removes a bridge; none is fine."""
    if bridge_exists(name):
        call("ip", "link", "del", name)
