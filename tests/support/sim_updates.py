"""Knows how the simulated Engine takes limits: which it refuses and ignores, and what the kernel then has.

It refuses to be reasonable: texts and statuses are those of Engine 20.10 on version 1 of the cgroups.
"""

from typing import TYPE_CHECKING, Any

from controller.engine import transport
from controller.engine.transport import Answer
from tests.support import sim_cgroups, sim_gpus
from tests.support.sim_container import SimContainer

if TYPE_CHECKING:
    from tests.support.sim_engine import SimEngine

LEAST_MEMORY = 6 * 2**20
BILLION = 10**9


def run(engine: "SimEngine", container: SimContainer) -> None:
    """Start the main process."""
    container.status, container.error, container.exit_code = "running", "", 0
    container.oom_killed = container.by_hand = False
    container.pid = engine.new_pid()
    container.started = engine.clock()
    image = engine.find_image(container.image_id)
    container.health = "starting" if image is not None and image.health_check else ""
    engine.cgroups.enter(sim_cgroups.parent(container), container.id)
    container.memory_use = 0
    container.apply_limits()
    container.nodes = sim_gpus.given(engine, container)
    engine.publish(container, "start")
    engine.checkpoint(container)


def starts_by_policy(container: SimContainer) -> bool:
    """Whether an Engine that comes up starts a container that ran before."""
    policy = container.host_config.get("RestartPolicy", {}).get("Name")
    wanted = {"always": True, "unless-stopped": not container.by_hand, "on-failure": container.exit_code != 0}
    return container.started is not None and wanted.get(policy, False)


def refuse_numbers(engine: "SimEngine", wanted: dict[str, Any]) -> Answer | None:
    """What the Engine says of impossible values, before it looks at the container."""
    memory, swap = wanted.get("Memory") or 0, wanted.get("MemorySwap") or 0
    reservation = wanted.get("MemoryReservation") or 0
    if memory and memory < LEAST_MEMORY:
        return _error(400, "Minimum memory limit allowed is 6MB")
    if memory > 0 and 0 < swap < memory:
        return _error(400, "Minimum memoryswap limit should be larger than memory limit, see usage")
    if memory and reservation > memory:
        return _error(400, "Minimum memory limit can not be less than memory reservation limit, see usage")
    if (wanted.get("NanoCpus") or 0) > engine.cpus * BILLION:
        text = (
            f"Range of CPUs is from 0.01 to {engine.cpus}.00, as there are only {engine.cpus} CPUs available"
        )
        return _error(400, text)
    asked = wanted.get("CpusetCpus") or "0"
    if max(int(word) for part in asked.split(",") for word in part.split("-")) >= engine.cpus:
        text = f"Requested CPUs are not available - requested {asked}, available: 0-{engine.cpus - 1}"
        return _error(400, text)
    return None


def refuse_policy(wanted: dict[str, Any]) -> Answer | None:
    """What the Engine says of a restart policy that makes no sense."""
    policy = wanted.get("RestartPolicy") or {}
    name = policy.get("Name") or ""
    if name not in {"", "no", "always", "unless-stopped", "on-failure"}:
        return _error(400, f"invalid restart policy '{name}'")
    if policy.get("MaximumRetryCount") and name != "on-failure":
        return _error(400, f"maximum retry count cannot be used with restart policy '{name}'")
    return None


def update(engine: "SimEngine", request: transport.Request, container: SimContainer) -> Answer:
    """An update: zeros and empty strings change nothing and succeed, the number of tasks apart."""
    wanted = dict(request.body or {})
    refusal = refuse_policy(wanted) or refuse_numbers(engine, wanted)
    if refusal is not None:
        return refusal
    refusal = _refuse(container, wanted)
    if refusal is not None:
        engine.checkpoint(container)
        return refusal
    given = {key: value for key, value in wanted.items() if value or key == "PidsLimit"}
    container.host_config |= given
    if container.running and given.keys() - {"RestartPolicy"}:
        container.apply_limits()
    engine.checkpoint(container)
    engine.publish(container, "update")
    return Answer(200, {"Warnings": []})


def _refuse(container: SimContainer, wanted: dict[str, Any]) -> Answer | None:
    host = container.host_config
    prefix = f"Cannot update container {container.id}: "
    memory, swap = wanted.get("Memory") or 0, wanted.get("MemorySwap") or 0
    if memory and not swap and memory > (host.get("MemorySwap") or 0):
        text = "Memory limit should be smaller than already set memoryswap limit"
        return _error(409, prefix + text + ", update the memoryswap at the same time")
    if wanted.get("CpuQuota") and host.get("NanoCpus"):
        text = "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set"
        return _error(409, prefix + text)
    if wanted.get("NanoCpus") and host.get("CpuQuota"):
        text = "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set"
        return _error(409, prefix + text)
    if container.running and swap == -1 and memory > (container.kernel.memory_swap or memory):
        text = f'runc did not terminate successfully: exit status 1: failed to write "{memory}"'
        return _error(500, prefix + text)
    if container.running and 0 < memory < container.memory_use:
        text = f"unable to set memory limit to {memory} (current usage: {container.memory_use}, peak usage: "
        return _error(500, f"{prefix}runc did not terminate successfully: exit status 1: {text}…)")
    return None


def _error(status: int, message: str) -> Answer:
    return Answer(status, {"message": message})
