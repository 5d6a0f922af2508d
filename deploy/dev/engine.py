"""Knows how to run a private Docker Engine that stands beside any other one and changes no rule of the host.

It refuses to touch what it did not start: processes are known by recorded pid and command line, everything
else by paths and names made from its own directory. Run it as
`python -m deploy.dev.engine` in the root of the repository.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from deploy.dev import api, cgroups, host, image, userland

PACKAGES = {
    "dockerd": "docker.io",
    "containerd": "docker.io",
    "runc": "docker.io",
    "docker-init": "docker.io",
    "busybox": "busybox-static",
    "ip": "iproute2",
}
PACKAGES_BESIDE_A_ROOT = {name: PACKAGES[name] for name in ("busybox", "ip")} | {"nsenter": "util-linux"}
LONGEST_EXEC_ROOT = 70  # the Engine adds /libnetwork/<12 digits>.sock; a unix socket's name ends at 107 bytes
NOT_RUNNING = 3  # as systemctl status
FIRST_WITH_AN_ID_OF_ITS_OWN = 23


def slice_root(directory: Path) -> str:
    """Name of the slice above all owners' slices for what runs in one directory of this host.

    All controllers and Engines of a host share its cgroups, so each has one of its own.
    """
    return f"wharf{host.digest(directory)}"


class PrivateEngine:
    """One dockerd with a containerd, all state below one directory.

    What lies in the directory before it is started counts: `root`, a link to the userland whose programs
    are run in place of the host's; `bin`, programs that come before all others, runtimes among them; `cdi`,
    descriptions of devices for CDI.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self.id = host.digest(self.directory)
        self.runtime = Path("/run") / f"wharfinger-dev-{self.id}"
        self.socket = self.runtime / "docker.sock"
        self.bridge = f"whd-{self.id}"
        self.slices = slice_root(self.directory)
        self.data_root = self.directory / "data"
        exec_root = self.directory / "exec"
        self.exec_root = exec_root if len(str(exec_root)) <= LONGEST_EXEC_ROOT else self.runtime / "exec"
        self.log = self.directory / "dockerd.log"
        self.containerd_log = self.directory / "containerd.log"
        self.url = f"unix://{self.socket}"
        self.api = api.Api(self.url)
        self.cdi = self.directory / "cdi"
        self._bin = self.directory / "bin"
        self._containerd_socket = self.runtime / "containerd.sock"
        self._docker_config = self.directory / "dockerd.json"
        self._containerd_config = self.directory / "containerd.toml"

    @property
    def root(self) -> Path | None:
        """The userland whose programs are run; None: the host's."""
        link = self.directory / "root"
        return link.resolve() if link.is_symlink() else None

    @property
    def pid(self) -> int | None:
        """The process id of our dockerd, if it runs."""
        return host.recorded_pid(self.directory / "dockerd.pid", str(self._docker_config))

    @property
    def containerd_pid(self) -> int | None:
        """The process id of our containerd, if it runs."""
        return host.recorded_pid(self.directory / "containerd.pid", str(self._containerd_config))

    def up(self, *, live_restore: bool | None, runtimes: Sequence[str] = ()) -> str:
        """Starts the Engine unless it runs; says what was done. `None`: live restore as last time.

        `runtimes` are names of programs in its `bin`, or further names for its own runtime; it keeps them.
        """
        if os.geteuid() != 0:
            raise host.SetupError("a private Docker Engine needs root")
        host.ensure_programs(PACKAGES if self.root is None else PACKAGES_BESIDE_A_ROOT)
        self.directory.mkdir(parents=True, exist_ok=True)
        with host.exclusive(self.directory / "lock"):
            if (pid := self.pid) is not None:
                if not host.wait_until(self.api.answers, 30):
                    raise host.SetupError(f"dockerd {pid} runs but does not answer; see {self.log}")
                if live_restore not in (None, self._settings()["live-restore"]):
                    raise host.SetupError("the Engine runs with the other live-restore; `down` it first")
                return f"Engine already running at {self.socket}"
            self._start(live_restore=live_restore, runtimes=runtimes)
        return f"Engine started at {self.socket}"

    def kill(self) -> str:
        """Ends dockerd with SIGKILL; containerd and, with live restore, the containers go on."""
        pid = self.pid
        if pid is None:
            return "Engine not running"
        os.kill(pid, signal.SIGKILL)
        if not host.wait_until(lambda: self.pid is None, 10):
            raise host.SetupError(f"dockerd {pid} survived SIGKILL")
        return f"dockerd {pid} killed"

    def down(self, *, purge: bool) -> str:
        """Removes containers, processes, mounts and the bridge; with `purge` the data too."""
        if not self.directory.is_dir():
            return "Engine not there"
        with host.exclusive(self.directory / "lock"):
            if self.pid is None and self._shims():  # a dockerd tidies up best
                with contextlib.suppress(host.SetupError):
                    self._start(live_restore=None)
            refused = self._empty()
            self._end_processes()
            for place in (self.exec_root, self.data_root):
                host.unmount_below(place)
            host.remove_bridge(self.bridge)
            cgroups.remove_empty(self.slices)
            shutil.rmtree(self.exec_root, ignore_errors=True)
            shutil.rmtree(self.runtime, ignore_errors=True)
        if purge:
            shutil.rmtree(self.directory)
        return "\n".join(["Engine down", *(f"left in its data: {line}" for line in refused if not purge)])

    def _empty(self) -> list[str]:
        """What could not be removed from the Engine; it is ended all the same."""
        if self.pid is None or not host.wait_until(self.api.answers, 30):
            return []
        try:
            return self.api.remove_everything()
        except host.SetupError as error:
            return [str(error)]

    def status(self) -> dict[str, object]:
        """What is known of this Engine now."""
        return {
            "running": self.pid is not None and self.api.answers(),
            "socket": str(self.socket),
            "pid": self.pid,
            "containerdPid": self.containerd_pid,
            "bridge": self.bridge,
            "directory": str(self.directory),
            "log": str(self.log),
        }

    def _start(self, *, live_restore: bool | None, runtimes: Sequence[str] = ()) -> None:
        for place in (self.runtime, self.data_root, self.exec_root):
            place.mkdir(parents=True, exist_ok=True)
        self.runtime.chmod(0o711)
        host.add_bridge(self.bridge, self.id)
        if self.containerd_pid is None:
            self._write_containerd_config()
            containerd = self._spawn("containerd", "--config", self._containerd_config, self.containerd_log)
            self._await(containerd, self._containerd_socket.exists, self.containerd_log)
        self._write_docker_config(live_restore=live_restore, runtimes=runtimes)
        # The Engine refuses a pid file whose number any process has by now; ours was checked by the caller.
        (self.exec_root / "dockerd.pid").unlink(missing_ok=True)
        dockerd = self._spawn("dockerd", "--config-file", self._docker_config, self.log)
        self._await(dockerd, self.api.answers, self.log)

    def _spawn(self, program: str, option: str, config: Path, log: Path) -> subprocess.Popen[bytes]:
        argv = self._command(program, option, str(config))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")}
        with log.open("ab") as output:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env={**environment, "PATH": f"{self._bin}{os.pathsep}{host.SYSTEM_PATH}"},
                start_new_session=True,
            )
        (self.directory / f"{program}.pid").write_text(str(process.pid), encoding="utf-8")
        return process

    def _command(self, program: str, *arguments: str) -> list[str]:
        """How one of the Engine's programs is run; all of one Engine share their mounts."""
        root = self.root
        path = host.find_program(program) if root is None else userland.program(root, program)
        if path is None:
            raise host.SetupError(f"{program} is not installed")
        if root is None:
            return [path, *arguments]
        running = [pid for pid in (self.containerd_pid, self.pid, *self._shims()) if pid is not None]
        return userland.command(root, [path, *arguments], running[0] if running else None)

    def _await(self, process: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path) -> None:
        host.wait_until(lambda: process.poll() is not None or ready(), 60)
        if process.poll() is not None or not ready():
            tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-25:])
            end = process.poll()
            what = "does not answer" if end is None else f"ended with {end}"
            raise host.SetupError(f"process {process.pid} {what}; the end of {log}:\n{tail}")

    def _settings(self) -> dict[str, object]:
        try:
            loaded = json.loads(self._docker_config.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return loaded if isinstance(loaded, dict) else {}

    def _write_docker_config(self, *, live_restore: bool | None, runtimes: Sequence[str]) -> None:
        before = self._settings()
        driver = before.get("storage-driver") or (
            "overlay2" if host.supports_overlay(self.data_root) else "vfs"
        )
        settings: dict[str, object] = {
            "hosts": [self.url],
            "data-root": str(self.data_root),
            "exec-root": str(self.exec_root),
            "pidfile": str(self.exec_root / "dockerd.pid"),
            "containerd": str(self._containerd_socket),
            "bridge": self.bridge,
            "iptables": False,
            "ip-masq": False,
            "ip-forward": False,
            "storage-driver": driver,
            "live-restore": before.get("live-restore", True) if live_restore is None else live_restore,
        }
        named = {name: {"path": self._runtime(name)} for name in runtimes} or before.get("runtimes")
        if named:
            settings["runtimes"] = named
        if self.cdi.is_dir():
            settings |= {"features": {"cdi": True}, "cdi-spec-dirs": [str(self.cdi)]}
        if "--ip6tables" in host.call(*self._command("dockerd", "--help")):
            settings["ip6tables"] = False
        if self._takes_its_id_from_a_key():  # of the host, by default: all its Engines would have the same id
            settings["deprecated-key-path"] = str(self.directory / "key.json")
        self._docker_config.write_text(json.dumps(settings, indent=2), encoding="utf-8")

    def _runtime(self, name: str) -> str:
        program = self._bin / name
        return str(program) if program.exists() else "runc"

    def _takes_its_id_from_a_key(self) -> bool:
        """Whether dockerd is older than 23.0, which keeps its id in a file of its own below the data root."""
        found = re.search(r"version (\d+)\.", host.call(*self._command("dockerd", "--version")))
        return found is not None and int(found[1]) < FIRST_WITH_AN_ID_OF_ITS_OWN

    def _write_containerd_config(self) -> None:
        # The socket of an earlier life would look as if the new one were ready.
        self._containerd_socket.unlink(missing_ok=True)
        disabled = [
            "io.containerd.grpc.v1.cri",
            "io.containerd.cri.v1.images",
            "io.containerd.cri.v1.runtime",
        ]
        lines = [
            "version = 2",
            f"root = {json.dumps(str(self.data_root / 'containerd'))}",
            f"state = {json.dumps(str(self.exec_root / 'containerd'))}",
            f"disabled_plugins = {json.dumps(disabled)}",
            "[grpc]",
            f"address = {json.dumps(str(self._containerd_socket))}",
            "[debug]",
            f"address = {json.dumps(str(self.runtime / 'containerd-debug.sock'))}",
            '[plugins."io.containerd.internal.v1.opt"]',
            f"path = {json.dumps(str(self.data_root / 'containerd-opt'))}",
        ]
        self._containerd_config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _shims(self) -> list[int]:
        return [pid for pid in host.processes_naming(str(self._containerd_socket)) if pid != self.pid]

    def _end_processes(self) -> None:
        if (pid := self.pid) is not None:
            host.end_process(pid, str(self._docker_config), grace=30)
        for shim in self._shims():
            for child in host.children(shim):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            host.end_process(shim, str(self._containerd_socket), grace=0)
        if (pid := self.containerd_pid) is not None:
            host.end_process(pid, str(self._containerd_config), grace=15)


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="engine", description="A private Docker Engine for development and tests."
    )
    parser.add_argument(
        "--dir", type=Path, default=Path(".dev/engine"), help="its state (default: %(default)s)"
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up", help="start it unless it runs; after `kill`, go on with the same data")
    up.add_argument(
        "--live-restore", action=argparse.BooleanOptionalAction, help="containers outlive dockerd"
    )
    up.add_argument(
        "--runtime", action="append", default=[], metavar="NAME", help="another runtime, or name for its own"
    )
    down = verbs.add_parser("down", help="remove its containers and end it")
    down.add_argument("--purge", action="store_true", help="remove its data too")
    verbs.add_parser("kill", help="SIGKILL dockerd alone")
    verbs.add_parser("image", help="load the sample images")
    verbs.add_parser("env", help="print DOCKER_HOST for a shell")
    verbs.add_parser("status", help="print what is known as JSON; exit 3 when it does not run")
    return parser.parse_args(arguments)


def main() -> int:
    """Runs one verb; 0 when done, 1 with one message when not, 3 when `status` finds nothing running."""
    arguments = parse_arguments(sys.argv[1:])
    engine = PrivateEngine(arguments.dir)
    try:
        match arguments.verb:
            case "up":
                print(engine.up(live_restore=arguments.live_restore, runtimes=arguments.runtime))
            case "down":
                print(engine.down(purge=arguments.purge))
            case "kill":
                print(engine.kill())
            case "image":
                print(image.load_missing(engine.api))
            case "env":
                print(f"DOCKER_HOST={engine.url}")
            case _:
                status = engine.status()
                print(json.dumps(status, indent=2))
                return 0 if status["running"] else NOT_RUNNING
    except host.SetupError as error:
        print(f"engine: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
