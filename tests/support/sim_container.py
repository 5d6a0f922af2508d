"""Knows one simulated container: its two faces (the live inspect and the list's copy) and its main process.

It refuses to talk: statuses and texts are sim_engine's. Shapes are those of Engine 20.10.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from controller.engine import transport
from controller.model import observed

NEVER = "0001-01-01T00:00:00Z"
PATH = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"
BILLION = 10**9


@dataclass
class SimImage:
    """An image: what `docker inspect` shows, and which programs it has."""

    id: str
    command: tuple[str, ...] = ("/bin/httpd", "-f", "-p", "8888", "-h", "/srv")
    env: tuple[str, ...] = (PATH,)
    labels: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    health_check: bool = False
    programs: frozenset[str] = frozenset({"/bin/httpd", "/bin/sleep", "/bin/sh", "/bin/true", "/bin/false"})

    def inspect(self, tags: list[str], digests: list[str]) -> dict[str, Any]:
        config: dict[str, Any] = {
            "Cmd": list(self.command),
            "Env": list(self.env),
            "User": self.user,
            "Labels": dict(self.labels),
        }
        if self.health_check:
            config["Healthcheck"] = {"Test": ["CMD", "/bin/true"]}
        return {"Id": self.id, "RepoTags": tags, "RepoDigests": digests, "Config": config}


@dataclass
class SimContainer:
    """A container as the Engine holds it.

    Attributes:
        doom: the exit code of a process that was killed while it was frozen; it ends when it is thawed.
        nodes: of devices, by path, that its processes can open beside those which all can.
        memory_use: what its processes hold, bytes.
        either: what the start that failed at a network may have been answered. Where there are several
            networks, it is chance which of them were tied before.
    """

    id: str
    name: str
    image_id: str
    config: dict[str, Any]
    host_config: dict[str, Any]
    networks: dict[str, dict[str, Any]]
    created: datetime
    status: str = "created"
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False
    started: datetime | None = None
    finished: datetime | None = None
    health: str = ""
    by_hand: bool = False
    removing: bool = False
    doom: int | None = None
    either: tuple[transport.Answer, ...] = ()
    kernel: observed.Limits = field(default_factory=observed.Limits)
    nodes: frozenset[str] = frozenset()
    memory_use: int = 0

    @property
    def running(self) -> bool:
        return self.status in {"running", "paused"}

    @property
    def arguments(self) -> list[str]:
        return list(self.config.get("Cmd") or [])

    @property
    def heeds_term(self) -> bool:
        """PID 1 without a handler ignores TERM; docker-init passes it on to a child that has none."""
        return bool(self.host_config.get("Init")) or any("trap" in word for word in self.arguments)

    @property
    def term_code(self) -> int:
        return 0 if any("trap" in word for word in self.arguments) else 143

    def listens(self) -> frozenset[int]:
        if self.status != "running":
            return frozenset()
        return frozenset(int(port) for port in re.findall(r"httpd\b.*?-p (\d+)", " ".join(self.arguments)))

    def host_ports(self) -> dict[int, str]:
        """Published ports, each with its address on the host."""
        return {
            int(binding["HostPort"]): binding.get("HostIp") or "0.0.0.0"
            for bindings in (self.host_config.get("PortBindings") or {}).values()
            for binding in bindings
            if binding.get("HostPort")
        }

    def apply_limits(self) -> None:
        """What the runtime asks of the kernel, as version 1 of the cgroups shows it."""
        host = self.host_config
        quota = host.get("NanoCpus") or (host.get("CpuQuota") or 0) * BILLION // (
            host.get("CpuPeriod") or 100_000
        )
        self.kernel = observed.Limits(
            nano_cpus=quota if quota > 0 else None,
            cpuset=host.get("CpusetCpus") or "0-1",
            memory=_positive(host.get("Memory")),
            memory_reservation=_positive(host.get("MemoryReservation")),
            memory_swap=_positive(host.get("MemorySwap")),
            pids=_positive(host.get("PidsLimit")),
        )

    def inspect(self) -> dict[str, Any]:
        state: dict[str, Any] = {
            "Status": self.status,
            "Running": self.running,
            "Paused": self.status == "paused",
            "Restarting": False,
            "OOMKilled": self.oom_killed,
            "Dead": self.status == "dead",
            "Pid": self.pid,
            "ExitCode": self.exit_code,
            "Error": self.error,
            "StartedAt": stamp(self.started),
            "FinishedAt": stamp(self.finished),
        }
        if self.health:
            state["Health"] = {"Status": self.health}
        return {
            "Id": self.id,
            "Created": stamp(self.created),
            "Name": f"/{self.name}",
            "Image": self.image_id,
            "State": state,
            "Config": dict(self.config),
            "HostConfig": dict(self.host_config),
            "NetworkSettings": {"Networks": {name: dict(value) for name, value in self.networks.items()}},
        }

    def _words(self) -> str:
        """The list's text for people; no test counts on the time in it."""
        if self.running:
            health = {"": "", "starting": " (health: starting)"}.get(self.health, f" ({self.health})")
            return f"Up 1 second{' (Paused)' if self.status == 'paused' else health}"
        if self.started is None:
            return "Created"
        return f"Exited ({self.exit_code}) 1 second ago"

    def listed(self, image: str) -> dict[str, Any]:
        return {
            "Id": self.id,
            "Names": [f"/{self.name}"],
            "Image": image,
            "ImageID": self.image_id,
            "Created": int(self.created.timestamp()),
            "Labels": dict(self.config["Labels"]),
            "State": self.status,
            "Status": self._words(),
            "HostConfig": {"NetworkMode": self.host_config.get("NetworkMode", "default")},
            "NetworkSettings": {"Networks": {name: dict(value) for name, value in self.networks.items()}},
        }


def stamp(moment: datetime | None) -> str:
    """The Engine's way of writing a time, with nanoseconds."""
    if moment is None:
        return NEVER
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "789Z"


def _positive(value: int | None) -> int | None:
    return value if value is not None and value > 0 else None
