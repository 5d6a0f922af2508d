"""Knows how to run the controller as a process of its own, and what the kernel says of that process.

It refuses to look inside: `inside` does.
"""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench import fleet

DEADLINE = 60.0
STEP = 0.005


class BenchError(Exception):
    """The measurement could not be made; the message says why."""


def wait_for(
    what: str, condition: Callable[[], bool], deadline: float = DEADLINE, step: float = STEP
) -> None:
    """Wait until it is so.

    Raises:
        BenchError: it was not so in time.
    """
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > end:
            raise BenchError(f"not within {deadline:.0f} s: {what}")
        time.sleep(step)


class Keeper:
    """One controller process over the files of a `fleet.Place`."""

    def __init__(self, place: fleet.Place, profile: Path | None = None) -> None:
        self.place = place
        self.log = place.base / "controller.log"
        command = [sys.executable, "-m", "controller", "--config", str(place.config), "run"]
        if profile is not None:
            command[1:1] = ["-m", "cProfile", "-o", str(profile)]
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith(("DOCKER_", "WHARF_"))
        }
        self.began = time.monotonic()
        with self.log.open("ab") as output:
            self._offset = output.tell()
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
            )
        self.pid = self._process.pid
        self._address: tuple[str, int] | None = None

    def wait_ready(self, deadline: float = DEADLINE) -> float:
        """Wait until /readyz says 200; seconds since the process was started."""
        wait_for("readyz is 200", self._is_ready, deadline)
        return time.monotonic() - self.began

    def _is_ready(self) -> bool:
        if self._process.poll() is not None:
            raise BenchError(
                f"the controller ended with {self._process.returncode}: {self.log.read_text()[-2000:]}"
            )
        if self._address is None:
            self._address = self._find_address()
        return self._address is not None and self.ask("/readyz")[0] == 200

    def _find_address(self) -> tuple[str, int] | None:
        with self.log.open("rb") as log:
            log.seek(self._offset)
            for line in log:
                if b'"controller_started"' in line and line.endswith(b"\n"):
                    host, _, port = json.loads(line)["metrics"].removeprefix("http://").partition(":")
                    return host, int(port.partition("/")[0])
        return None

    def ask(self, path: str) -> tuple[int, str]:
        """GET from metrics or health: status and body."""
        assert self._address is not None
        with contextlib.closing(http.client.HTTPConnection(*self._address, timeout=10)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def passes(self) -> int:
        """How many passes were made so far."""
        for line in self.ask("/metrics")[1].splitlines():
            if (
                line.startswith("wharfinger_reconcile_total{")
                and 'controller="pass"' in line
                and "success" in line
            ):
                return int(float(line.rpartition(" ")[2]))
        return 0

    def wake(self) -> None:
        """Ask for a pass, over the control socket."""
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as client:
            client.connect(str(self.place.runtime / "control.sock"))
            client.sendall(
                b"POST /v1/wake HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            while client.recv(4096):
                pass

    def cpu_seconds(self) -> float:
        """Processor time of all its threads that live, to the nanosecond."""
        tasks = Path("/proc", str(self.pid), "task")
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()) / 1e9

    def resident_bytes(self) -> int:
        """Resident memory."""
        for line in Path("/proc", str(self.pid), "status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise BenchError("the controller has no memory")

    def stop(self) -> None:
        """End it; its workspaces stay."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
