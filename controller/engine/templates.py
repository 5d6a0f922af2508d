"""Knows how a template, a network and limits are written in the Engine's words.

It refuses what the controller never asks for: volumes, device nodes, the host's namespaces, other security
options than the Engine's own, restart policies, and `Binds`, which make a missing host directory.
"""

from controller.api import quantities
from controller.engine import gpus, parsing, transport
from controller.model import actions, observed
from controller.model.template import LEAST_RESERVATION, Template

BILLION = 10**9
NO_RESTART: transport.Row = {"RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}}


def render_container(action: actions.CreateContainer) -> transport.Row:
    """The body of a create."""
    template = action.template
    ports = [f"{port.container_port}/tcp" for port in template.ports]
    body: dict[str, object] = {
        "Image": template.image,
        "Hostname": template.hostname,
        "Env": [f"{name}={value}" for name, value in template.environment],
        "Labels": dict(action.labels),
        "ExposedPorts": {port: {} for port in ports},
        "StopTimeout": -int(-template.stop_grace.total_seconds() // 1),
        "HostConfig": _render_host_config(template),
        "NetworkingConfig": {"EndpointsConfig": {template.network: {}}},
    }
    if template.command is not None:
        body["Cmd"] = list(template.command)
    if template.user is not None:
        body["User"] = template.user
    return body


def _render_host_config(template: Template) -> transport.Row:
    return {
        "Init": template.init,
        "Mounts": [
            {"Type": "bind", "Source": bind.source, "Target": bind.target, "ReadOnly": bind.read_only}
            for bind in template.binds
        ],
        "PortBindings": _render_ports(template.ports),
        "NetworkMode": template.network,
        "ShmSize": template.shm,
        "LogConfig": {
            "Type": "json-file",
            "Config": {"max-size": template.log_max_size, "max-file": str(template.log_max_files)},
        },
        **NO_RESTART,
        **_render_gpus(template),
        **_render_security(template),
        **_render_slice(template),
        **_render_limits(template.limits),
    }


def _render_gpus(template: Template) -> dict[str, object]:
    requests = gpus.render(template.gpus)
    return {"DeviceRequests": requests} if requests else {}


def _render_security(template: Template) -> dict[str, object]:
    """Not a word where the Engine's own choice is meant."""
    written: dict[str, object] = {}
    if template.capabilities is not None:
        written |= {"CapDrop": [parsing.ALL], "CapAdd": list(template.capabilities)}
    if template.privileged:
        written["Privileged"] = True
    if template.runtime is not None:
        written["Runtime"] = template.runtime
    return written


def _render_slice(template: Template) -> dict[str, object]:
    return {"CgroupParent": template.cgroup_parent} if template.cgroup_parent else {}


def _render_ports(ports: tuple[observed.PublishedPort, ...]) -> dict[str, list[dict[str, str]]]:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        binding = {"HostIp": port.host_ip, "HostPort": str(port.host_port)}
        bindings.setdefault(f"{port.container_port}/tcp", []).append(binding)
    return bindings


def _render_limits(limits: observed.Limits) -> dict[str, object]:
    """For a new container, where leaving a limit out means none."""
    written: dict[str, object] = {}
    if limits.nano_cpus is not None:
        written["NanoCpus"] = limits.nano_cpus
    if limits.cpuset is not None:
        written["CpusetCpus"] = limits.cpuset
    if limits.memory is not None:
        written["Memory"] = limits.memory
        written["MemorySwap"] = -1 if limits.memory_swap is None else limits.memory_swap
    if limits.memory_reservation is not None:
        written["MemoryReservation"] = limits.memory_reservation
    if limits.pids is not None:
        written["PidsLimit"] = limits.pids
    return written


def render_update(
    limits: observed.Limits, host_config: transport.Row, facts: parsing.HostFacts
) -> transport.Row:
    """The body of an update to exactly these limits; unlimited is the host's total, as the Engine ignores 0.

    Args:
        limits: complete.
        host_config: of the container as it is: it tells which of two ways of a CPU quota the Engine takes.
        facts: of the host.
    """
    memory = _or(limits.memory, facts.memory)
    nano_cpus = _or(limits.nano_cpus, facts.cpus * BILLION)
    body: dict[str, object] = {
        "Memory": memory,
        "MemorySwap": _or(limits.memory_swap, memory + facts.memory),
        "CpusetCpus": limits.cpuset or quantities.parse_cpuset(f"0-{facts.cpus - 1}"),
        "PidsLimit": _or(limits.pids, 0),
    }
    if host_config.get("CpuQuota"):
        body |= {
            "CpuPeriod": parsing.DEFAULT_CPU_PERIOD,
            "CpuQuota": nano_cpus * parsing.DEFAULT_CPU_PERIOD // BILLION,
        }
    else:
        body["NanoCpus"] = nano_cpus
    if limits.memory_reservation is not None:
        body["MemoryReservation"] = limits.memory_reservation
    elif host_config.get("MemoryReservation"):
        body["MemoryReservation"] = LEAST_RESERVATION
    return body


def differing_limits(
    want: observed.Limits, have: observed.Limits, facts: parsing.HostFacts
) -> tuple[str, ...]:
    """Names of the limits that are enforceable here and are not as wanted; rounding is no difference.

    The guaranteed memory is not among them where none is wanted: none cannot be written back exactly.
    """
    cpus = quantities.parse_cpuset(f"0-{facts.cpus - 1}")
    memory = _or(want.memory, facts.memory)
    wanted_and_had: dict[str, tuple[int | str | None, int | str | None, int]] = {
        "nano_cpus": (
            _or(want.nano_cpus, facts.cpus * BILLION),
            _or(have.nano_cpus, facts.cpus * BILLION),
            10**6,
        ),
        "cpuset": (want.cpuset or cpus, have.cpuset or cpus, 0),
        "memory": (memory, _or(have.memory, facts.memory), 2**16),
        "memory_swap": (
            _or(want.memory_swap, memory + facts.memory),
            _or(have.memory_swap, memory + facts.memory),
            2**16,
        ),
        "pids": (want.pids, have.pids, 0),
    }
    if want.memory_reservation is not None:
        wanted_and_had["memory_reservation"] = (want.memory_reservation, have.memory_reservation, 2**16)
    return tuple(
        name
        for name, (wanted, had, tolerance) in wanted_and_had.items()
        if name in facts.enforced and not _close(wanted, had, tolerance)
    )


def _close(wanted: int | str | None, had: int | str | None, tolerance: int) -> bool:
    if isinstance(wanted, int) and isinstance(had, int):
        return abs(wanted - had) <= tolerance
    return wanted == had


def _or(value: int | None, total: int) -> int:
    return total if value is None else value


def render_network(action: actions.EnsureNetwork) -> transport.Row:
    """The body of a network's create."""
    body: dict[str, object] = {
        "Name": action.name,
        "Driver": "bridge",
        "CheckDuplicate": True,
        "Options": {parsing.ICC: "true" if action.inter_container else "false"},
    }
    if action.subnet is not None:
        body["IPAM"] = {"Driver": "default", "Config": [{"Subnet": action.subnet}]}
    return body
