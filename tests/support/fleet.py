"""Knows a running controller together with its Engine: the containers of its workspaces, seen from outside.

It refuses to change a container in any way but the one that a test names.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import dockerd as dockerd_support
from tests.support import process


@dataclass(frozen=True)
class Fleet:
    """A host, its controller, its Engine."""

    site: process.Site
    controller: process.Controller
    engine: dockerd_support.Dockerd

    @property
    def docker(self) -> Any:  # noqa: ANN401 - its published types are narrower than its answers
        """The Engine's own client."""
        return self.engine.client()

    def up(self, name: str, fields: process.Tree | None = None) -> dict[str, Any]:
        """A workspace that runs as specified: its container as the Engine shows it."""
        self.site.spec(name, fields)
        self.controller.runs(name)
        return self.container(name)

    def container(self, name: str) -> dict[str, Any]:
        """The workspace's container as the Engine shows it."""
        found: dict[str, Any] = self.docker.inspect_container(f"workspace-{name}")
        return found

    def has_another(self, name: str, than: str) -> bool:
        """Whether another container than this one has the workspace's name; for a moment nobody may."""
        full = f"/workspace-{name}"
        return any(full in one["Names"] and one["Id"] != than for one in self.all_of(name))

    def runs_another(self, name: str, than: str) -> dict[str, Any]:
        """Another container than this one, once it runs as the workspace's.

        Whether it goes on to run well, which the controller judges after 10 s, is not waited for.
        """

        def find() -> dict[str, Any] | None:
            found = [one for one in self.all_of(name) if one["Names"] == [f"/workspace-{name}"]]
            runs = found and found[0]["Id"] != than and found[0]["State"] == "running"
            return self.container(name) if runs else None

        return self.controller.until(find, f"another container of {name} runs")

    def all_of(self, name: str) -> list[dict[str, Any]]:
        """Every container with the workspace's label, stopped ones too."""
        label = f"dev.wharfinger.workspace={name}"
        return list(self.docker.containers(all=True, filters={"label": label}))

    def root(self, name: str) -> Path:
        """The file system that the workspace's main process sees."""
        return Path("/proc", str(self.container(name)["State"]["Pid"]), "root")

    def update(self, container: str, **values: object) -> None:
        """What `docker update` does, in the Engine's own words."""
        docker = self.docker
        answer = docker.post(docker._url("/containers/{0}/update", container), json=values)
        assert answer.ok, answer.text

    def retained(self, name: str) -> dict[str, Any]:
        """The one container of the workspace that is kept under another name."""
        kept = [one for one in self.all_of(name) if one["Names"] != [f"/workspace-{name}"]]
        assert len(kept) == 1, kept
        found: dict[str, Any] = self.docker.inspect_container(kept[0]["Id"])
        return found


def limits_of(pid: int) -> dict[str, int]:
    """Memory in bytes, CPU in thousandths and processes, as the kernel has them for a process's cgroup."""
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    places = {
        name: path for line in lines for names, path in [line.split(":", 2)[1:]] for name in names.split(",")
    }
    base = Path("/sys/fs/cgroup")
    if "memory" not in places:
        place = base / places[""].lstrip("/")
        quota, period = (place / "cpu.max").read_text().split()
        memory, pids = (place / "memory.max").read_text(), (place / "pids.max").read_text()
    else:
        cpu = base / "cpu" / places["cpu"].lstrip("/")
        quota, period = ((cpu / f"cpu.cfs_{what}_us").read_text() for what in ("quota", "period"))
        memory = (base / "memory" / places["memory"].lstrip("/") / "memory.limit_in_bytes").read_text()
        pids = (base / "pids" / places["pids"].lstrip("/") / "pids.max").read_text()
    return {"memory": int(memory), "cpu": 1000 * int(quota) // int(period), "pids": int(pids)}
