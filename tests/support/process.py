"""Knows how a person has a controller on a host: its files, its process, what it says, what it publishes.

It refuses to look inside: everything is read from the log, the sockets, the Engine and the `wharf` command.
"""

import http.client
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from prometheus_client import parser

from controller.cli import control, exits
from tests.support import cgroups
from tests.support import dockerd as dockerd_support

T = TypeVar("T")
Tree = Mapping[str, Any]

WHARF = dockerd_support.ROOT / ".venv" / "bin" / "wharf"
DEADLINE = 30.0
STEP = 0.1
POOL_FIRST = 20000 + os.getpid() % 12 * 1000
POOL_LAST = POOL_FIRST + 999
"""Another run of the tests at the same time has most likely other ports."""
API = "wharfinger.dev/v1"
APART = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs locks /run/lock && exec "$@"', "sh")
"""Runs a program in the same process, with a directory for locks of its own."""
QUICK: Tree = {
    "settle": "100ms",
    "resyncInterval": "1s",
    "safety": {"deletionGrace": "1s", "maxDisruptionsPerMinute": 1000, "maxDisruptionsPercent": 100},
    "gpus": {"source": "None"},
    "disk": {"lowWatermark": 80, "highWatermark": 100},
}
POLICY: Tree = {
    "defaultClass": "small",
    "classes": {
        "small": {
            "image": "sample",
            "security": {"runAs": "Image"},
            "resources": {"cpus": "0.5", "memory": "64m", "shm": "16m", "pids": 64},
            "lifecycle": {"stopGrace": "1s"},
        },
        "bare": {"security": {"runAs": "Image"}},
        "own": {"image": "sample", "lifecycle": {"stopGrace": "1s"}},
    },
    "portPools": [{"name": "main", "from": POOL_FIRST, "to": POOL_LAST, "block": 100, "bind": "127.0.0.1"}],
    "allowSuidMounts": True,
}


class Result:
    """What one command line left."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr

    def __repr__(self) -> str:
        return f"exit {self.code}\nstdout: {self.out}\nstderr: {self.err}"


def until(condition: Callable[[], T | None], what: str, deadline: float = DEADLINE, step: float = STEP) -> T:
    """The first true value of the condition; it is asked every `step` until the deadline, in seconds."""
    end = time.monotonic() + deadline
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline:.0f} s: {what}")
        time.sleep(step)


def page(port: int) -> str:
    """What the host's port answers over HTTP; empty when it does not."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as answer:
            return str(answer.read().decode())
    except (OSError, http.client.HTTPException):
        return ""


def document(name: str, spec: Tree | None = None, **metadata: object) -> dict[str, Any]:
    """A workspace as an object."""
    return {
        "apiVersion": API,
        "kind": "Workspace",
        "metadata": {"name": name, **metadata},
        "spec": dict(spec or {}),
    }


def text_of(content: object) -> str:
    """A file's text that says by its last line that it is complete."""
    return json.dumps(content, indent=1) + "\n...\n"


class Site:
    """One host's files, the controllers that run on them, and the `wharf` command."""

    def __init__(self, root: Path, docker_host: str, subnet: str) -> None:
        self.root = root
        self.runtime = Path(tempfile.mkdtemp(prefix="wharf-e2e-", dir="/run"))
        self.etc = root / "etc"
        self.config = self.etc / "controller.yaml"
        self.specs = self.etc / "workspaces.d"
        self.secrets = self.etc / "secrets"
        self.state = root / "state"
        self.storage = root / "storage"
        self.slices = cgroups.root_of(root)
        self._settings: dict[str, Any] = {
            **QUICK,
            "stateDir": str(self.state),
            "runtimeDir": str(self.runtime),
            "docker": {"host": docker_host},
            "network": {"subnet": subnet, "advertiseAddress": "127.0.0.1"},
            "metrics": {"listen": "127.0.0.1:0"},
            "slices": {"root": self.slices},
        }
        self._processes: list[Controller] = []
        self.runtime.chmod(0o755)
        for place, mode in ((self.specs, 0o755), (self.secrets, 0o700), (self.storage, 0o755)):
            place.mkdir(parents=True)
            place.chmod(mode)
        self.configure()
        self.policy()
        self.catalog()

    def configure(self, **settings: object) -> None:
        """Writes the controller's configuration; the settings are added to those from before."""
        self._settings |= settings
        content = {"apiVersion": API, "kind": "ControllerConfig", **self._settings}
        self.config.write_text(text_of(content))

    def policy(self, **fields: object) -> None:
        """Writes the policy, with these fields over the usual ones."""
        self._write("policy.yaml", "ResourcePolicy", {**POLICY, "mountRoots": [str(self.storage)], **fields})

    def catalog(self, **images: object) -> None:
        """Writes the catalog, with these images beside the usual ones."""
        usual = {"sample": {"reference": "wharf-sample:1"}, "second": {"reference": "wharf-sample:2"}}
        self._write("images.yaml", "ImageCatalog", {"images": {**usual, **images}})

    def _write(self, file: str, kind: str, spec: Tree) -> None:
        content = {"apiVersion": API, "kind": kind, "metadata": {"name": "lab"}, "spec": spec}
        self.place(self.etc / file, text_of(content))

    @staticmethod
    def place(path: Path, text: str | bytes) -> None:
        """A file that appears whole, by rename."""
        new = path.with_name(f".{path.name}.new")
        new.write_bytes(text if isinstance(text, bytes) else text.encode())
        new.rename(path)

    def spec(self, name: str, fields: Tree | None = None, **metadata: object) -> Path:
        """A workspace's spec, complete, in a file of its name."""
        path = self.specs / f"{name}.yaml"
        self.place(path, text_of(document(name, fields, **metadata)))
        return path

    def secret(self, file: str, value: str) -> None:
        """A secret's file, as root would make it."""
        path = self.secrets / file
        path.parent.mkdir(mode=0o700, exist_ok=True)
        self.place(path, value)
        path.chmod(0o600)

    def wharf(self, *arguments: str, stdin: str = "", **environment: str) -> Result:
        """One command line, to its end."""
        command = [str(WHARF), "--config", str(self.config), *arguments]
        done = subprocess.run(
            command,
            cwd=self.root,
            env=_environment(environment),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        return Result(done)

    def run(self, **environment: str) -> "Controller":
        """A controller in the foreground of its own; it may not be ready yet."""
        return self._run((), environment)

    def run_apart(self, **environment: str) -> "Controller":
        """One whose lock files are where no other controller sees them: two of them can have one Engine."""
        return self._run(APART, environment)

    def _run(self, before: tuple[str, ...], environment: Mapping[str, str]) -> "Controller":
        started = Controller(self, len(self._processes), environment, before)
        self._processes.append(started)
        return started

    def close(self) -> None:
        """Ends every controller that was started here."""
        for process in self._processes:
            process.kill()
        shutil.rmtree(self.runtime, ignore_errors=True)
        cgroups.leave(self.slices)


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    kept = {key: text for key, text in os.environ.items() if not key.startswith(("DOCKER_", "WHARF_"))}
    return {**kept, "COLUMNS": "200", "NO_COLOR": "1", **extra}


class Controller:
    """One controller process; its log is read from the file that its standard error goes to."""

    def __init__(
        self, site: Site, number: int, environment: Mapping[str, str], before: tuple[str, ...]
    ) -> None:
        self.log = site.root / f"log-{number}.jsonl"
        self._client = control.Client(site.runtime / "control.sock")
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [*before, str(WHARF), "--config", str(site.config), "run"],
                cwd=site.root,
                env=_environment(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def lines(self) -> list[dict[str, Any]]:
        """The log so far; a line that is not JSON is an error of the controller."""
        complete = self.log.read_bytes().decode().rpartition("\n")[0]
        return [json.loads(line) for line in complete.splitlines()]

    def mark(self) -> int:
        """Where the log is now, for `said`."""
        return len(self.lines())

    def said(self, event: str, mark: int = 0, **keys: object) -> dict[str, Any]:
        """The first log line of this event with these keys, from the mark on; waited for."""

        def find() -> dict[str, Any] | None:
            wanted = {"event": event, **keys}
            return next((line for line in self.lines()[mark:] if wanted.items() <= line.items()), None)

        return self.until(find, f"a log line {event} {keys}")

    def said_at_the_end(self, event: str) -> dict[str, Any]:
        """The last log line of this event of a controller that has ended."""
        assert self.process.poll() is not None
        return [line for line in self.lines() if line["event"] == event][-1]

    def until(
        self, condition: Callable[[], T | None], what: str, deadline: float = DEADLINE, step: float = STEP
    ) -> T:
        """Waits as `until` does; a failure shows the end of the log, and the end of the process is one."""

        def look() -> T | None:
            if self.process.poll() is not None:
                raise AssertionError(f"the controller ended while this was waited for: {what}")
            return condition()

        try:
            return until(look, what, deadline, step)
        except AssertionError as error:
            tail = "\n".join(self.log.read_text().splitlines()[-25:])
            raise AssertionError(f"{error}; the process: {self.process.poll()}\n{tail}") from None

    def url(self) -> str:
        """Where metrics and health are served."""
        return str(self.said("controller_started")["metrics"]).removesuffix("/metrics")

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of a page."""
        try:
            with urllib.request.urlopen(self.url() + path, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def ready(self) -> "Controller":
        """This controller, once it says that it is ready."""
        self.until(lambda: self.get("/readyz")[0] == 200, "the controller is ready")
        return self

    def metrics(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """Every sample by name, without the prefix, and labels."""
        families = parser.text_string_to_metric_families(self.get("/metrics")[1])
        return {
            (sample.name.removeprefix("wharfinger_"), frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }

    def metric(self, name: str, **labels: str) -> float | None:
        """One sample's value; None while there is none."""
        return self.metrics().get((name, frozenset(labels.items())))

    def workspace(self, name: str) -> Any:  # noqa: ANN401 - a tree of plain values
        """A workspace's object; an empty one while it is not known."""
        try:
            return cast("Any", self._client.get("workspaces", name).value)
        except exits.Failure:
            return {"status": {"conditions": [], "decision": {}}}

    def status(self, name: str) -> Any:  # noqa: ANN401 - a tree of plain values
        """The status of a workspace."""
        return self.workspace(name)["status"]

    def condition(self, name: str, kind: str) -> dict[str, str]:
        """A condition of a workspace; empty while it has none of the kind."""
        found = (c for c in self.status(name)["conditions"] if c["type"] == kind)
        return next(found, {})

    def gpus(self) -> dict[str, Any]:
        """The GPUs of the host, by UUID."""
        answer = cast("Any", self._client.get("gpus").value)
        return {one["uuid"]: one for one in answer["items"]}

    def slices(self) -> dict[str, Any]:
        """The owners' slices, by owner."""
        answer = cast("Any", self._client.get("slices").value)
        return {one["owner"]: one for one in answer["items"]}

    def decided(self, name: str, reason: str, deadline: float = DEADLINE) -> dict[str, Any]:
        """The decision of a workspace, once it has this reason."""

        def find() -> dict[str, Any] | None:
            decision: dict[str, Any] = self.status(name)["decision"]
            return decision if decision.get("reason") == reason else None

        return self.until(find, f"{name} is decided with {reason}", deadline)

    def runs(self, name: str) -> dict[str, Any]:
        """The status of a workspace, once it is as specified and ready."""

        def find() -> dict[str, Any] | None:
            status: dict[str, Any] = self.status(name)
            ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status["conditions"])
            return status if ready and status["decision"]["reason"] == "AsSpecified" else None

        return self.until(find, f"{name} runs as specified")

    def gone(self, name: str) -> None:
        """Returns once the controller knows no workspace of this name."""
        self.until(lambda: "metadata" not in self.workspace(name), f"{name} is gone")

    def stop(self) -> tuple[int, float]:
        """SIGTERM, as systemd ends it: exit code and seconds."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=DEADLINE)
        return code, time.monotonic() - began

    def kill(self) -> None:
        """SIGKILL, unless it has ended."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
