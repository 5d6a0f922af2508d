"""Knows how to have a machine with a real systemd as PID 1: namespaces on this kernel, Debian 13 in them.

It refuses to change the root that it is booted from, the host's mounts and network, and any process that it
did not start. The machine lives as long as the process that booted it, even if that is killed.

Where the host's controllers are bound to cgroup v1, as on a hybrid host, its cgroup v2 has none: systemd, its
bus, the tree of slices, their names and properties are real; `memory.max`, `cpu.max` and all others are not
there, and nothing is enforced. `deploy/dev/guest.py` has a machine with a kernel of its own for that.

`python -m deploy.dev.machine [COMMAND ...]` runs a command, or a shell, in one.
"""

import argparse
import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from deploy.dev import host, userland

NAME = "wharfinger-machine-"
LOCK = Path("/run/wharfinger-dev-machines.lock")
SCRIPT = Path(__file__).with_suffix(".sh")
SYSTEMD = "/usr/lib/systemd/systemd"
BOOT_DEADLINE = 60.0
"""Seconds until D-Bus answers; it takes 0.6 on an idle host."""
END_DEADLINE = 20.0
RUN_DEADLINE = 60.0
ASK_FOR_VERSION = (
    "busctl",
    "get-property",
    "org.freedesktop.systemd1",
    "/org/freedesktop/systemd1",
    "org.freedesktop.systemd1.Manager",
    "Version",
)


class Machine:
    """One that runs.

    Attributes:
        pid: of its systemd, as the host counts.
        cgroup: what is the root of its cgroups, as the host sees it.
    """

    def __init__(self, pid: int, cgroup: Path) -> None:
        self.pid = pid
        self.cgroup = cgroup

    @property
    def root(self) -> Path:
        """Its file system, for processes of the host."""
        return Path("/proc", str(self.pid), "root")

    @property
    def proc(self) -> Path:
        """A proc file system with its processes and their numbers, which are those that its Engine tells."""
        return self.root / "proc"

    @property
    def bus(self) -> Path:
        """The socket of its system bus, for processes of the host."""
        return self.root / "run" / "dbus" / "system_bus_socket"

    def command(self, argv: Sequence[str]) -> list[str]:
        """How to run a program of the machine in it; its standard files are the caller's."""
        return ["nsenter", "--target", str(self.pid), "--all", "--root", "--wd", *argv]

    def run(self, argv: Sequence[str], *, deadline: float = RUN_DEADLINE) -> str:
        """Runs a program in it to its end; its standard output. It stays in the host's cgroup.

        Raises:
            SetupError: it failed, is absent, or did not end within `deadline` seconds.
        """
        return host.call(*self.command(argv), timeout=deadline)

    def answers(self) -> bool:
        """Whether its systemd answers on its bus."""
        try:
            self.run(ASK_FOR_VERSION)
        except host.SetupError:
            return False
        return True


@contextlib.contextmanager
def booted(root: Path, shared: Path | None = None) -> Iterator[Machine]:
    """A machine whose bus answers; at the end it is taken down with all its processes, mounts and cgroups.

    The thread that enters must live as long: the machine dies with it.

    Args:
        root: what it boots from, from `userland.ensure`.
        shared: a folder that the machine has too, at the same path.

    Raises:
        SetupError: this is not root, no cgroup v2 is mounted, or the bus does not answer in time.
    """
    if os.geteuid() != 0:
        raise host.SetupError("a machine with systemd needs root")
    host.ensure_programs(dict.fromkeys(("unshare", "nsenter", "setpriv"), "util-linux"))
    cgroup = hierarchy() / f"{NAME}{secrets.token_hex(4)}"
    with tempfile.TemporaryFile() as console:
        process = _start(cgroup, [str(root), *([str(shared)] if shared else [])], console)
        try:
            yield _await(process, cgroup, console)
        finally:
            process.kill()  # unshare's child dies with it, and what is in its namespaces with the child
            process.wait()
            _remove(cgroup)


def engine_settings(driver: str, *, live_restore: bool = True) -> str:
    """Of the Engine in a machine or a guest, as daemon.json; `driver` is that of its cgroups."""
    settings = {
        "exec-opts": [f"native.cgroupdriver={driver}"],
        "storage-driver": "overlay2",
        "live-restore": live_restore,
        "iptables": False,
        "ip6tables": False,
    }
    return json.dumps(settings)


def hierarchy() -> Path:
    """Where the host has cgroup v2 mounted.

    Raises:
        SetupError: nowhere.
    """
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        fields, _, kind = line.partition(" - ")
        if kind.startswith("cgroup2 "):
            return Path(fields.split(" ")[4])
    raise host.SetupError("no cgroup v2 file system is mounted on this host")


def _start(cgroup: Path, arguments: list[str], console: IO[bytes]) -> subprocess.Popen[bytes]:
    bound_to_us = ["setpriv", "--pdeathsig", "KILL"]
    enter = 'echo $$ >"$0/cgroup.procs" && exec "$@"'
    namespaces = ["unshare", "--pid", "--mount", "--uts", "--ipc", "--net", "--cgroup"]
    namespaces += ["--fork", "--kill-child"]
    with host.exclusive(LOCK):  # an empty folder is a dead machine's
        for left in cgroup.parent.glob(f"{NAME}*"):
            if not _populated(left):
                _remove(left)
        try:
            cgroup.mkdir()
        except OSError as error:
            raise host.SetupError(f"a machine with systemd needs a cgroup: {error}") from error
        process = subprocess.Popen(
            ["sh", "-c", enter, str(cgroup), *bound_to_us, *namespaces, "sh", str(SCRIPT), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            start_new_session=True,  # a key that interrupts a test run is not for the machine
        )
        host.wait_until(lambda: process.poll() is not None or _populated(cgroup), BOOT_DEADLINE)
    return process


def _await(process: subprocess.Popen[bytes], cgroup: Path, console: IO[bytes]) -> Machine:
    ready: list[Machine] = []

    def decided() -> bool:
        for pid in host.children(process.pid):
            if host.command_line(pid).startswith(SYSTEMD):  # before that, its root is the host's
                machine = Machine(pid, cgroup)
                ready.extend([machine] if machine.bus.exists() and machine.answers() else [])
        return bool(ready) or process.poll() is not None

    host.wait_until(decided, BOOT_DEADLINE)
    if not ready:
        console.seek(0)
        tail = "\n".join(console.read().decode(errors="replace").splitlines()[-25:])
        raise host.SetupError(f"the machine with systemd does not boot; the end of its console:\n{tail}")
    return ready[0]


def _populated(cgroup: Path) -> bool:
    with contextlib.suppress(OSError):
        return "populated 1" in (cgroup / "cgroup.events").read_text(encoding="ascii")
    return False


def _remove(cgroup: Path) -> None:
    if not host.wait_until(lambda: not _populated(cgroup), END_DEADLINE):
        raise host.SetupError(f"processes in {cgroup} do not end")
    for folder, _, _ in os.walk(cgroup, topdown=False):
        Path(folder).rmdir()


def main() -> int:
    """Runs a command in a machine; its exit code, or 1 with one message when there is no machine."""
    parser = argparse.ArgumentParser(prog="machine", description="A machine with systemd, for one command.")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="what to run in it (default: a shell)")
    arguments = parser.parse_args()
    try:
        with booted(userland.ensure()) as machine:
            return subprocess.run(machine.command(arguments.command or ["bash"]), check=False).returncode
    except host.SetupError as error:
        print(f"machine: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
