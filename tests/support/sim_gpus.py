"""Knows how the simulated Engine gives devices: by its driver nvidia, by CDI, by NVIDIA's runtime.

It refuses to know what a GPU does: a device is a name and a node. Texts are those of Engine 20.10, for CDI
of 26.1.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from controller.engine.transport import Answer
from tests.support.sim_container import SimContainer

if TYPE_CHECKING:
    from tests.support.sim_engine import SimEngine

VISIBLE: Final = "NVIDIA_VISIBLE_DEVICES"
RUNTIME: Final = "nvidia"
"""The runtime that lets NVIDIA's hook see every container."""
ALL: Final = -1
HOOK_FAILED: Final = (
    "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container "
    "process: error during container init: error running hook #0: error running hook: exit status 1, "
    "stdout: , stderr: "
)


@dataclass
class SimGpus:
    """What an Engine can give.

    Attributes:
        nodes: path of the node by each name of a device, such as its index and its UUID.
        nvidia: it has the driver of this name.
        cdi: so it has CDI.
        runtime: that of containers which name none.
    """

    nodes: dict[str, str] = field(default_factory=dict)
    nvidia: bool = False
    cdi: bool = False
    runtime: str = "runc"

    def info(self) -> dict[str, Any]:
        """What the Engine says of itself beyond all others."""
        specs = {"CDISpecDirs": ["/etc/cdi", "/var/run/cdi"]} if self.cdi else {}
        return {"DefaultRuntime": self.runtime, **specs}

    def every(self) -> list[str]:
        """The indexes, which is what `all` means."""
        return sorted(name for name in self.nodes if name.isdigit())


def complete(host: dict[str, Any]) -> None:
    """Write what inspect shows: each request with all its fields, none as none."""
    requests = host.get("DeviceRequests")
    fields = {"Driver": "", "Count": 0, "DeviceIDs": None, "Capabilities": None, "Options": None}
    host["DeviceRequests"] = None if requests is None else [fields | one for one in requests]


def refuse(engine: "SimEngine", container: SimContainer) -> Answer | None:
    """What the start says of devices that cannot be given; a create says nothing."""
    for request in _requests(container):
        text = _refusal(engine.gpus, request)
        if text is not None:
            return Answer(500, {"message": text})
    for name in _by_hook(engine, container):
        if name not in engine.gpus.nodes:
            text = f"nvidia-container-cli: device error: {name}: unknown device: unknown"
            return Answer(500, {"message": HOOK_FAILED + text})
    return None


def given(engine: "SimEngine", container: SimContainer) -> frozenset[str]:
    """Paths of the nodes that a process which starts now can open."""
    by_cdi = [
        name.partition("=")[2]
        for request in _requests(container)
        if request["Driver"] == "cdi"
        for name in request["DeviceIDs"] or ()
    ]
    return frozenset(engine.gpus.nodes[name] for name in (*by_cdi, *_by_hook(engine, container)))


def visible(container: SimContainer) -> str | None:
    """What the environment of the main process says of devices; each request overwrites what was there."""
    found = None
    for entry in container.config["Env"]:
        name, _, value = entry.partition("=")
        found = value if name == VISIBLE else found
    for request in _requests(container):
        found = "void" if request["Driver"] == "cdi" else _wanted(request)
    return found


def _requests(container: SimContainer) -> list[dict[str, Any]]:
    return list(container.host_config.get("DeviceRequests") or ())


def _wanted(request: dict[str, Any]) -> str:
    if request["Count"] == ALL:
        return "all"
    return ",".join(request["DeviceIDs"] or [str(index) for index in range(request["Count"])])


def _refusal(gpus: SimGpus, request: dict[str, Any]) -> str | None:
    wants = request["Capabilities"] or []
    if request["Driver"] == "cdi" and gpus.cdi:
        if request["Count"]:
            return "unexpected count in CDI device request"
        return _unresolvable(gpus, request["DeviceIDs"] or [])
    if request["Driver"] not in {"", "nvidia"} or not gpus.nvidia or not any("gpu" in one for one in wants):
        shown = " ".join(f"[{' '.join(one)}]" for one in wants)
        return f'could not select device driver "{request["Driver"]}" with capabilities: [{shown}]'
    if request["Count"] and request["DeviceIDs"]:
        return "cannot set both Count and DeviceIDs on device request"
    return None


def _unresolvable(gpus: SimGpus, names: list[str]) -> str | None:
    known = {f"nvidia.com/gpu={name}" for name in gpus.nodes}
    unknown = [name for name in names if name not in known]
    return f"CDI device injection failed: unresolvable CDI devices {', '.join(unknown)}" if unknown else None


def _by_hook(engine: "SimEngine", container: SimContainer) -> list[str]:
    """Names that NVIDIA's hook finds in the environment, where it is asked at all."""
    asked = any(request["Driver"] != "cdi" for request in _requests(container))
    if not asked and container.host_config.get("Runtime") != RUNTIME:
        return []
    wanted = visible(container) or "void"
    return {"all": engine.gpus.every(), "void": [], "none": []}.get(wanted, wanted.split(","))
