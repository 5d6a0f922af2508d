"""Knows the Engines with GPUs that the contract is held against: NVIDIA's hook and CDI, real and simulated.

It refuses to know a claim, as backends does.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from controller.engine import transport
from controller.model import gpus as nouns
from tests.contract import backends
from tests.support import gpus, sim_gpus
from tests.support.sim_container import PATH, SimImage

GIVES_ALL = "gives-all:1"
"""An image that says NVIDIA_VISIBLE_DEVICES=all, as NVIDIA's own do."""


class GpuWorld(backends.World, Protocol):
    """What differs beside the socket: who can open what, and what there is to be opened."""

    def set_gpus(self, there: Sequence[gpus.Gpu]) -> None: ...
    def opens(self, pid: int, gpu: gpus.Gpu) -> bool: ...
    def take_access(self, pid: int, gpu: gpus.Gpu) -> None: ...
    def visible(self, pid: int) -> str | None: ...
    def load_image_that_gives_all(self) -> None: ...


class RealGpuWorld(backends.RealWorld):
    """A dockerd with simulated GPUs."""

    def __init__(self, engine: gpus.GpuDockerd) -> None:
        super().__init__(engine)
        self.engine = engine

    def set_gpus(self, there: Sequence[gpus.Gpu]) -> None:
        self.engine.set_gpus(there)

    def opens(self, pid: int, gpu: gpus.Gpu) -> bool:
        """Whether a process that joins the container's devices cgroup can open the host's node."""
        script = 'echo $$ >"$1/cgroup.procs" && : <>"$2"'
        argv = ["sh", "-c", script, "sh", str(gpus.devices_cgroup(pid)), str(self.engine.node(gpu))]
        tried = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
        assert tried.returncode == 0 or "Operation not permitted" in tried.stderr, tried.stderr
        seen = (Path("/proc", str(pid), "root") / gpu.path[1:]).exists()
        assert seen or tried.returncode, "without a node in the container nothing should be allowed"
        return tried.returncode == 0

    def take_access(self, pid: int, gpu: gpus.Gpu) -> None:
        gpus.take_access(pid, gpu)

    def visible(self, pid: int) -> str | None:
        """As the main process has it; a moment after the start it may still be runc's."""
        process = Path("/proc", str(pid))
        backends.until(lambda: not (process / "cmdline").read_bytes().startswith(b"runc\0init\0"))
        lines = (process / "environ").read_bytes().decode().split("\0")
        return dict(line.split("=", 1) for line in lines if line).get(nouns.VISIBLE_DEVICES)

    def load_image_that_gives_all(self) -> None:
        client: Any = self.engine.client()
        made = client.create_container(backends.IMAGE)
        name, _, tag = GIVES_ALL.partition(":")
        client.commit(made["Id"], name, tag, changes=[f"ENV {nouns.VISIBLE_DEVICES}=all"])
        client.remove_container(made["Id"])


class SimGpuWorld(backends.SimWorld):
    """A simulated Engine with simulated GPUs, on the real clock."""

    def __init__(self, *, cdi: bool) -> None:
        super().__init__()
        self.engine.gpus = sim_gpus.SimGpus(nvidia=True, cdi=cdi)
        self.engine.runtimes.add("nvidia")
        self.set_gpus(gpus.USUAL)

    def set_gpus(self, there: Sequence[gpus.Gpu]) -> None:
        self.engine.gpus.nodes = {name: gpu.path for gpu in there for name in gpu.names}

    def opens(self, pid: int, gpu: gpus.Gpu) -> bool:
        return gpu.path in self.engine.nodes(pid)

    def take_access(self, pid: int, gpu: gpus.Gpu) -> None:
        self.engine.take_access(pid, gpu.path)

    def visible(self, pid: int) -> str | None:
        return self.engine.visible(pid)

    def load_image_that_gives_all(self) -> None:
        image = SimImage("sha256:" + self.engine.new_id(), env=(PATH, f"{nouns.VISIBLE_DEVICES}=all"))
        self.engine.add_image(GIVES_ALL, image)


class GpuBackend(backends.Backend):
    """An Engine with three GPUs, the last of them divided in two.

    Attributes:
        cdi: devices are asked for by their CDI names, else of NVIDIA's driver.
    """

    def __init__(self, world: RealGpuWorld | SimGpuWorld, *, cdi: bool) -> None:
        super().__init__(world, newer=cdi)
        self.gpu_world: GpuWorld = world
        self.cdi = cdi
        self.gpus = gpus.USUAL

    def request(self, *uuids: str) -> transport.Row:
        """A request for devices."""
        if self.cdi:
            return {"Driver": "cdi", "DeviceIDs": [f"{gpus.KIND}={uuid}" for uuid in uuids]}
        return {"Driver": "nvidia", "DeviceIDs": list(uuids), "Capabilities": [["gpu"]]}

    def create_with(self, *requests: transport.Row, **body: Any) -> str:  # noqa: ANN401 - JSON
        """A container that is not started, with these requests for devices."""
        host = {**body.pop("HostConfig", {}), "DeviceRequests": list(requests)}
        return self.create("box", HostConfig=host, **body)

    def run_with(self, *requests: transport.Row, **body: Any) -> str:  # noqa: ANN401 - JSON
        """A started container with these requests for devices."""
        made = self.create_with(*requests, **body)
        self.client.start(made)
        return made

    def refused(self, container_id: str) -> str:
        """Start a container that cannot be started; what the Engine says, which inspect repeats."""
        answer = self.call("POST", f"/containers/{container_id}/start")
        assert answer.status == 500, answer
        assert self.inspect(container_id)["State"]["Error"] == answer.message
        return answer.message

    def opened(self, container_id: str) -> list[int]:
        """Indexes of the GPUs whose nodes a process in the container can open."""
        pid = self.pid(container_id)
        return [gpu.index for gpu in self.gpus if self.gpu_world.opens(pid, gpu)]

    def visible(self, container_id: str) -> str | None:
        """NVIDIA_VISIBLE_DEVICES in the environment of the main process."""
        return self.gpu_world.visible(self.pid(container_id))
