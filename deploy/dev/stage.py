"""Knows how to give a controller a stage of its own, on which a person's shell lines can be played.

It refuses to touch files outside its directory and containers that are not of the workspaces named in it.
Lines and outputs speak of the usual places and ports, whatever those of the stage are.
"""

import json
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.dev import api, cgroups, engine, host, simulated, workbench

USUAL_METRICS = "127.0.0.1:9464"
USUAL_FIRST_PORT = 10000
PORTS = 400
LINE_DEADLINE = 150.0
START_DEADLINE = 30.0
END_DEADLINE = 15.0
REMARK = "IPv4 forwarding is disabled. Networking will not work.\n"
"""What a private Engine says to each change, because it leaves the host's rules alone; others do not."""
PACKAGES = {"docker": "docker-cli", "curl": "curl"}


@dataclass(frozen=True)
class Typed:
    """What one shell line left."""

    code: int
    out: str
    err: str


class Stage:
    """A controller on the sample configuration below `root`, on the Engine at `address`.

    As a context manager it starts the controller; at the end it ends it and removes what it made.

    Attributes:
        specs: the directory to drop spec files into.
        log: the controller's log, one JSON object a line.
        gpus: the Engine gives simulated GPUs, and the controller meets a driver that tells of them.
    """

    def __init__(self, root: Path, address: str, subnet: str | None = None, *, gpus: bool = False) -> None:
        self.root = root
        self.base = root / ".dev"
        self.config = self.base / "etc" / "controller.yaml"
        self.specs = self.base / "etc" / "workspaces.d"
        self.log = self.base / "controller.log"
        self._address = address
        self._subnet = subnet
        self.gpus = gpus
        self._process: subprocess.Popen[bytes] | None = None
        self._usual: dict[str, str] = {}
        self._environment: dict[str, str] = {}

    def __enter__(self) -> Self:
        """Raises SetupError when the controller cannot be had."""
        if not api.Api(self._address).answers():
            raise host.SetupError(f"no Docker Engine answers at {self._address}")
        host.ensure_programs(PACKAGES)
        shutil.rmtree(self.root, ignore_errors=True)
        self.base.mkdir(parents=True)
        workbench.copy_config(self.base)
        first = free_ports(host.digest(self.root))
        policy = self.config.parent / "policy.yaml"
        text = policy.read_text(encoding="utf-8")
        text = text.replace("from: 10000, to: 19999", f"from: {first}, to: {first + PORTS - 1}")
        policy.write_text(text, encoding="utf-8")
        settings = workbench.controller_settings(self.base, self._address)
        metrics = f"127.0.0.1:{free_port()}"
        settings |= {"WHARF_METRICS_LISTEN": metrics, "WHARF_NETWORK_ADVERTISE_ADDRESS": "127.0.0.1"}
        settings |= {"WHARF_SAFETY_DELETION_GRACE": "2s"}  # nobody edits files here
        if self._subnet is not None:
            settings["WHARF_NETWORK_SUBNET"] = self._subnet
        if self.gpus:
            settings |= simulated.driver(self.base)
        self._usual = {
            USUAL_METRICS: metrics,
            "/etc/wharfinger": str(self.config.parent),
            "/var/lib/wharfinger": settings["WHARF_STATE_DIR"],
            "/run/wharfinger": settings["WHARF_RUNTIME_DIR"],
        }
        for port in range(PORTS):
            self._usual[f"127.0.0.1:{USUAL_FIRST_PORT + port}"] = f"127.0.0.1:{first + port}"
        workbench.write_environment(self.base, self.config, settings)
        self._environment = workbench.controller_environment(settings) | workbench.typed_environment(
            self.config, self._address
        )
        self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the controller and removes its containers, its network and its files."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(END_DEADLINE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._remove_containers()
        cgroups.remove_empty(engine.slice_root(self.base))
        shutil.rmtree(host.short_runtime_dir(self.base), ignore_errors=True)

    def type(self, line: str) -> Typed:
        """Runs one shell line as a person would type it beside the controller."""
        done = subprocess.run(
            ["bash", "-c", self._here(line)],
            cwd=self.root,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LINE_DEADLINE,
            check=False,
        )
        out, err = (self._usually(text).replace(REMARK, "") for text in (done.stdout, done.stderr))
        return Typed(done.returncode, out, err)

    def until(self, line: str, pattern: str, deadline: float = 30.0) -> Typed:
        """Repeats a line that only looks, until its output has `pattern` or `deadline` seconds are over."""
        last = self.type(line)

        def seen() -> bool:
            nonlocal last
            if re.search(pattern, last.out, re.MULTILINE):
                return True
            last = self.type(line)
            return False

        host.wait_until(seen, deadline, interval=0.2)
        return last

    def logged(self) -> list[dict[str, object]]:
        """The controller's log so far."""
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]

    def _here(self, text: str) -> str:
        return translated(text, self._usual)

    def _usually(self, text: str) -> str:
        return translated(text, {here: usual for usual, here in self._usual.items()})

    def _start(self) -> None:
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "controller", "--config", str(self.config), "run"],
                cwd=workbench.ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        process = self._process
        ready = f"curl -fsS {USUAL_METRICS}/readyz"
        host.wait_until(
            lambda: process.poll() is not None or self.type(ready).code == 0, START_DEADLINE, interval=0.2
        )
        if process.poll() is not None or self.type(ready).code != 0:
            tail = self.log.read_text(encoding="utf-8").splitlines()[-5:]
            raise host.SetupError("the controller is not ready; the end of its log:\n" + "\n".join(tail))

    def _remove_containers(self) -> None:
        """Removes the containers of the workspaces that had a spec here, and their network."""
        names = {entry.stem for entry in self.specs.glob("*.yaml")} | self._played_names()
        for name in sorted(names):
            label = shlex.quote(f"label=dev.wharfinger.workspace={name}")
            self.type(f"docker ps -aq --filter {label} | xargs -r docker rm -f")
        if self._subnet is not None:
            self.type("docker network rm wharf")

    def _played_names(self) -> set[str]:
        names = (entry.get("workspace") for entry in self.logged() if entry.get("event") == "spec_accepted")
        return {name for name in names if isinstance(name, str)}


def translated(text: str, table: Mapping[str, str]) -> str:
    """The text with every key of the table replaced by its value, in one go, longest keys first."""
    keys = sorted(table, key=len, reverse=True)
    pattern = "|".join(re.escape(key) for key in keys)
    return re.sub(rf"(?<![\w.])(?:{pattern})(?![\w])", lambda found: table[found[0]], text)


def free_port() -> int:
    """A TCP port of the loopback address that nobody listens on."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def free_ports(seed: str) -> int:
    """The first of `PORTS` neighbours on which nobody listens; the search starts where `seed` (hex) says.

    Raises:
        SetupError: there is no such row of ports.
    """
    rows = list(range(20000, 32000, PORTS))
    start = int(seed, 16) % len(rows)
    for first in rows[start:] + rows[:start]:
        if all(_is_free(port) for port in range(first, first + PORTS)):
            return first
    raise host.SetupError(f"no {PORTS} free ports in a row from {rows[0]} on")


def _is_free(port: int) -> bool:
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
