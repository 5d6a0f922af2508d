"""Knows how to run a command in a guest: a kernel of its own, a real systemd, and an Engine.

It refuses to change the host: the kernel is a program, its root a view of the userland that is written to in
memory alone. What the job leaves in its folder stays. The guest dies with the process that runs it.

A guest has 2 GiB, a disk of 256 MiB, 512 MiB of swap that is not in use until swapon(8), no network but its
Engine's, and the working tree, to be read. Of its two kinds

- User-Mode Linux has one processor, as quick as the host's, and cgroup v1 or v2 with cpu, io, memory and
  pids: no cpuset, no PSI, no `io.weight`. The disks are /dev/ubda and ubdb. It boots in 8 to 15 s.
- QEMU has two processors, 25 times slower, and cgroup v2 with all of that. The disks are /dev/nvme0n1 and
  nvme1n1. It boots in 20 to 30 s.
"""

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.dev import emulator, host, machine, userland

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / ".dev" / "guest"
LOCK_FILE = ROOT / "requirements-dev.lock"
SCRIPT = Path(__file__).with_suffix(".sh")
SHIM = Path(__file__).with_name("xstate.c")
COMPILE = ("gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC")
PACKAGES = {"linux.uml": "user-mode-linux", "gcc": "gcc", "unshare": "util-linux", "setpriv": "util-linux"}
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
LEGACY = ("systemd.unified_cgroup_hierarchy=0", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1")
BOOT_DEADLINE = 120.0
MAKING_DEADLINE = 600.0


@dataclass(frozen=True)
class Setup:
    """What a guest is to be.

    Attributes:
        version: of its cgroups, 1 or 2; QEMU's kernel has 2 alone.
        driver: of its Engine for them, `systemd` or `cgroupfs`.
        vm: `uml` or `qemu`.
    """

    version: int
    driver: str
    vm: str = "uml"

    @property
    def name(self) -> str:
        """As `v2-systemd`; with `-qemu` for QEMU."""
        return f"v{self.version}-{self.driver}" + ("-qemu" if self.vm == "qemu" else "")


SETUPS = {
    setup.name: setup
    for setup in (
        *(Setup(version, driver) for version in (2, 1) for driver in ("systemd", "cgroupfs")),
        *(Setup(2, driver, "qemu") for driver in ("systemd", "cgroupfs")),
    )
}


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Attributes:
        code: its exit code; None if it did not end in time, or the guest did not boot.
        booted: seconds from the start of the kernel until the job began; None if it did not.
        folder: what the job was given as /job; has `journal` and `console` beside what the job left.
    """

    code: int | None
    booted: float | None
    folder: Path


def run(setup: Setup, argv: Sequence[str], environment: Mapping[str, str], deadline: float) -> Outcome:
    """Runs a command in a guest, in the root of the working tree; what it says goes to standard output.

    Args:
        setup: of the guest.
        argv: the command.
        environment: for the command, beside what lets Python find the tree and its packages.
        deadline: seconds for the command, once the guest has booted.

    Raises:
        SetupError: the guest cannot be made.
    """
    if os.geteuid() != 0:
        raise host.SetupError("a guest needs root")
    if platform.machine() != "x86_64":
        raise host.SetupError(f"guests are for x86_64, and this is {platform.machine()}")
    host.ensure_programs(PACKAGES)
    root = userland.ensure()
    folder = PLACE / setup.name
    PLACE.mkdir(parents=True, exist_ok=True)
    with host.exclusive(PLACE / f"{setup.name}.lock", deadline + BOOT_DEADLINE):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "daemon.json").write_text(machine.engine_settings(setup.driver), encoding="utf-8")
        (folder / "run").write_text(_job(argv, environment), encoding="utf-8")
        layers = [emulator.ensure(PLACE / "qemu", root)] if setup.vm == "qemu" else []
        roots = ":".join(map(str, [*layers, root]))
        arguments = [setup.vm, roots, *map(str, (folder, _packages(root), ROOT, _shim()))]
        return _boot([*arguments, *(LEGACY if setup.version == 1 else ())], folder, deadline)


def _job(argv: Sequence[str], environment: Mapping[str, str]) -> str:
    usual = {
        "PYTHONPATH": f"/packages:{ROOT}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LC_ALL": "C.UTF-8",
        "DOCKER_HOST": "unix:///run/docker.sock",
    }
    variables = [f"{name}={value}" for name, value in {**usual, **environment}.items()]
    return "\n".join(
        (
            "cut -d' ' -f1 /proc/uptime >/job/booted; sync",
            f"cd {shlex.quote(str(ROOT))}",
            f"{{ env {shlex.join([*variables, *argv])}; echo $? >/job/code.new; }} 2>&1 | cat >/dev/ttyS0",
            "journalctl --no-pager >/job/journal",
            "sync",
            "mv /job/code.new /job/code",
            "",
        )
    )


def _boot(arguments: Sequence[str], folder: Path, deadline: float) -> Outcome:
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--mount-proc"]
    command += ["--fork", "--kill-child", "sh", str(SCRIPT), *arguments]
    with (folder / "output").open("w+b") as output, (folder / "console").open("wb") as console:
        process = subprocess.Popen(
            ["sh", "-c", f'exec "$@" 3>&{output.fileno()}', "sh", *command],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            pass_fds=[output.fileno()],
            start_new_session=True,  # a key that interrupts a run is not for the guest
        )
        try:
            with (folder / "output").open("rb") as said:

                def ended() -> bool:
                    alive = process.poll() is None and not (folder / "code").exists()
                    sys.stdout.write(said.read().decode(errors="replace").replace("\r\n", "\n"))
                    sys.stdout.flush()
                    return not alive

                if host.wait_until(lambda: ended() or (folder / "booted").exists(), BOOT_DEADLINE):
                    host.wait_until(ended, deadline)
                ended()
        finally:
            process.kill()  # unshare's child, the kernel, dies with it, and with that its processes
            process.wait()
    code = _number(folder / "code")
    return Outcome(None if code is None else int(code), _number(folder / "booted"), folder)


def _number(file: Path) -> float | None:
    with suppress(OSError, ValueError):
        return float(file.read_text(encoding="ascii"))
    return None


def _shim() -> Path:
    """The library for UML, compiled anew when its text has changed."""
    library = PLACE / f"xstate-{_digest(SHIM)}.so"
    if not library.exists():
        if not Path("/usr/include/elf.h").exists():
            host.install("libc6-dev")
        unfinished = library.with_suffix(f".{os.getpid()}")
        host.call(*COMPILE, "-o", str(unfinished), str(SHIM))
        unfinished.rename(library)
    return library


def _packages(root: Path) -> Path:
    """Python's packages for the root's Python, as the lock says; made anew when it has changed."""
    python = (root / "usr" / "bin" / "python3").readlink().name
    place = PLACE / f"packages-{python}-{_digest(LOCK_FILE)}"
    with host.exclusive(PLACE / "packages.lock", MAKING_DEADLINE):
        if not place.is_dir():
            for stale in PLACE.glob("packages-*"):
                shutil.rmtree(stale)
            print("fetching Python's packages for guests", flush=True)
            unfinished = _fetch(python.removeprefix("python"), place)
            compile_all = [f"/usr/bin/{python}", "-m", "compileall", "-q", str(unfinished)]
            host.call(*userland.command(root, compile_all), timeout=MAKING_DEADLINE)
            unfinished.rename(place)
    return place


def _fetch(version: str, place: Path) -> Path:
    """What is complete but for its name."""
    unfinished = place.with_name("packages.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    tag = f"cp{version.replace('.', '')}"
    choice = [f"--python-version={version}", "--only-binary=:all:", "--implementation=cp"]
    choice += [f"--abi={abi}" for abi in (tag, "abi3", "none")] + [f"--platform={p}" for p in PLATFORMS]
    quiet = ["-qq", "--no-input", "--disable-pip-version-check", "--no-compile", "--require-hashes"]
    pip = [sys.executable, "-m", "pip", "install", *quiet, *choice]
    host.call(*pip, "-r", str(LOCK_FILE), "--target", str(unfinished), timeout=MAKING_DEADLINE)
    return unfinished


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:8]
