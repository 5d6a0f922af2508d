"""Knows how the Engine's JSON reads: containers, images, networks and the host, as the model's frozen values.

It refuses to fetch and to judge; a field that an Engine leaves out reads as the Engine's default. What many
containers have in common is kept once: it would be most of the memory of a large fleet.
"""

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from sys import intern as shared
from typing import Any, NamedTuple

from controller.api import quantities
from controller.engine import gpus, transport
from controller.model import observed

NEVER = "0001-01-01T00:00:00Z"
DEFAULT_CPU_PERIOD = 100_000
BILLION = 10**9
_FRACTION = re.compile(r"\.(\d+)")
_HEALTH = re.compile(r"\((healthy|unhealthy|health: starting)\)")
_ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - the Engine's default, read and not bound
ALL = "ALL"
"""Every capability, in `CapAdd` and `CapDrop`."""
ICC = "com.docker.network.bridge.enable_icc"


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What the Engine says of its host.

    Attributes:
        memory: bytes.
        cpus: count.
        cgroup_version: 1 or 2.
        cgroup_driver: who makes cgroups here, `systemd` or `cgroupfs`; empty where the Engine says none.
        enforced: fields of `Limits` that the kernel can enforce here.
        time: the Engine's clock.
        data_root: where it keeps images and containers, on its own host.
        runtimes, default_runtime: names of what can run a container here.
        cdi: names that it attaches devices by, as in `EngineView`.
    """

    engine_id: str
    memory: int
    cpus: int
    cgroup_version: int
    enforced: frozenset[str]
    time: datetime
    data_root: str = ""
    runtimes: frozenset[str] = frozenset()
    default_runtime: str = ""
    cdi: frozenset[str] | None = None
    cgroup_driver: str = ""


class Listed(NamedTuple):
    """What of a row of the list may change in a container's life, for each of which it is inspected anew.

    Words that change with time alone are left out, and so is all that is the same for ever: rows are kept.

    Attributes:
        names: with the slash that the Engine puts before them.
        image: the reference that it was created from, or its image's id once that means another image.
        state: the Engine's word.
        health: what the Engine says of it beside the state, empty where it has none.
        ports: host address, host port and container port each.
        networks: name, network id, address and endpoint id each.
    """

    id: str
    names: tuple[str, ...]
    image: str
    image_id: str
    state: str
    health: str
    ports: tuple[tuple[str | None, int | None, int], ...]
    networks: tuple[tuple[str, str | None, str | None, str | None], ...]

    @property
    def name(self) -> str:
        """The first of its names, without the slash; empty where it has none."""
        return self.names[0].removeprefix("/") if self.names else ""


def parse_listed(row: transport.Row) -> Listed:
    """One row of the Engine's list of containers."""
    status = row.get("Status") or ""
    health = _HEALTH.search(status) if status.endswith(")") else None
    networks = (row["NetworkSettings"] or {}).get("Networks") or {}
    return Listed(
        row["Id"],
        tuple(row["Names"] or ()),
        shared(row["Image"]),
        shared(row["ImageID"]),
        shared(row["State"]),
        health[1] if health else "",
        tuple(
            [(port.get("IP"), port.get("PublicPort"), port["PrivatePort"]) for port in row.get("Ports") or ()]
        ),
        tuple(
            [
                (name, network.get("NetworkID"), network.get("IPAddress"), network.get("EndpointID"))
                for name, network in networks.items()
            ]
        ),
    )


def parse_facts(info: transport.Row) -> HostFacts:
    """Facts from the Engine's info."""
    supported = {
        "memory": info.get("MemoryLimit"),
        "memory_reservation": info.get("MemoryLimit"),
        "memory_swap": info.get("SwapLimit"),
        "nano_cpus": info.get("CpuCfsQuota"),
        "cpuset": info.get("CPUSet"),
        "pids": info.get("PidsLimit"),
    }
    return HostFacts(
        engine_id=str(info["ID"]),
        memory=int(info["MemTotal"]),
        cpus=int(info["NCPU"]),
        cgroup_version=int(info.get("CgroupVersion") or 1),
        enforced=frozenset(name for name, there in supported.items() if there),
        time=parse_time(str(info["SystemTime"])) or datetime.min.replace(tzinfo=UTC),
        data_root=str(info.get("DockerRootDir") or ""),
        runtimes=frozenset(info.get("Runtimes") or {}),
        default_runtime=str(info.get("DefaultRuntime") or ""),
        cdi=gpus.parse_cdi(info),
        cgroup_driver=str(info.get("CgroupDriver") or ""),
    )


def parse_time(text: str | None) -> datetime | None:
    """The Engine's time stamp, nanoseconds cut to microseconds; None for never."""
    if not text or text == NEVER:
        return None
    return datetime.fromisoformat(
        _FRACTION.sub(lambda match: "." + match[1][:6].ljust(6, "0"), text, count=1)
    )


def parse_limits(host_config: transport.Row) -> observed.Limits:
    """Limits as HostConfig has them: 0 and -1 are no limit."""
    nano_cpus = _positive(host_config.get("NanoCpus"))
    quota = _positive(host_config.get("CpuQuota"))
    if nano_cpus is None and quota is not None:
        nano_cpus = quota * BILLION // (_positive(host_config.get("CpuPeriod")) or DEFAULT_CPU_PERIOD)
    return observed.Limits(
        nano_cpus=nano_cpus,
        cpuset=quantities.parse_cpuset(host_config["CpusetCpus"]) if host_config.get("CpusetCpus") else None,
        memory=_positive(host_config.get("Memory")),
        memory_reservation=_positive(host_config.get("MemoryReservation")),
        memory_swap=_positive(host_config.get("MemorySwap")),
        pids=_positive(host_config.get("PidsLimit")),
    )


def _positive(value: int | None) -> int | None:
    return value if value is not None and value > 0 else None


def parse_env(items: list[str] | None) -> dict[str, str]:
    """`NAME=value` lines by name; the last one counts, as in the Engine."""
    return {shared(name): shared(value) for name, _, value in (item.partition("=") for item in items or [])}


def parse_binds(host_config: transport.Row) -> tuple[observed.Bind, ...]:
    """Bind mounts, whichever way they were asked for; volumes are in `other`."""
    binds = [
        observed.Bind(target=mount["Target"], source=mount["Source"], read_only=bool(mount.get("ReadOnly")))
        for mount in host_config.get("Mounts") or []
        if mount["Type"] == "bind"
    ]
    for text in host_config.get("Binds") or []:
        source, target, *options = text.split(":")
        if source.startswith("/"):
            read_only = bool(options) and "ro" in options[0].split(",")
            binds.append(observed.Bind(target=target, source=source, read_only=read_only))
    return tuple(sorted(binds))


def parse_ports(host_config: transport.Row) -> tuple[observed.PublishedPort, ...]:
    """TCP ports as HostConfig publishes them; a host port that the Engine chooses is 0."""
    ports = [
        observed.PublishedPort(
            container_port=int(port.partition("/")[0]),
            host_ip=binding.get("HostIp") or _ANY_ADDRESS,
            host_port=int(binding.get("HostPort") or 0),
        )
        for port, bindings in (host_config.get("PortBindings") or {}).items()
        if port.endswith("/tcp")
        for binding in bindings or []
    ]
    return tuple(sorted(ports))


def parse_capabilities(host_config: transport.Row) -> tuple[str, ...] | None:
    """What is added where all are dropped, sorted, without CAP_; None where all are not."""
    dropped, added = (_capabilities(tuple(host_config.get(field) or ())) for field in ("CapDrop", "CapAdd"))
    return added if ALL in dropped else None


@functools.lru_cache(maxsize=256)
def _capabilities(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({name.upper().removeprefix("CAP_") for name in names}))


_HARMLESS_MODES = {"", "private", "shareable"}

_OTHER: tuple[tuple[str, Callable[[Any], bool]], ...] = (
    ("Devices", bool),
    ("DeviceCgroupRules", bool),
    ("VolumesFrom", bool),
    ("Links", bool),
    ("PublishAllPorts", bool),
    ("AutoRemove", bool),
    ("ReadonlyRootfs", bool),
    ("GroupAdd", bool),
    ("Sysctls", bool),
    ("Tmpfs", bool),
    ("OomKillDisable", bool),
    ("PidMode", lambda mode: mode not in _HARMLESS_MODES),
    ("IpcMode", lambda mode: mode not in _HARMLESS_MODES),
    ("UTSMode", lambda mode: mode not in _HARMLESS_MODES),
    ("UsernsMode", lambda mode: mode not in _HARMLESS_MODES),
)
"""Fields of HostConfig that the controller never writes, and when they differ from the Engine's default."""


def parse_other(host_config: transport.Row) -> tuple[str, ...]:
    """Short texts for everything that the controller never writes."""
    texts = [
        f"{field}={host_config[field]}"
        for field, differs in _OTHER
        if host_config.get(field) is not None and differs(host_config[field])
    ]
    foreign = gpus.foreign_requests(host_config)
    texts += [f"DeviceRequests={foreign}"] if foreign else []
    texts += [f"{field}={value}" for field, value in _parse_security(host_config).items() if value]
    texts += [
        f"Mount {mount['Type']}:{mount.get('Target')}"
        for mount in host_config.get("Mounts") or []
        if mount["Type"] != "bind"
    ]
    texts += [f"Volume {text}" for text in host_config.get("Binds") or [] if not text.startswith("/")]
    texts += [f"Port {port}" for port in host_config.get("PortBindings") or {} if not port.endswith("/tcp")]
    return tuple(sorted(texts))


def _parse_security(host_config: transport.Row) -> dict[str, list[str]]:
    """What is given beside the Engine's own; it marks what is privileged with an option by itself."""
    own = ["label=disable"] if host_config.get("Privileged") else []
    options = [option for option in host_config.get("SecurityOpt") or () if option not in own]
    if parse_capabilities(host_config) is not None:
        return {"SecurityOpt": options}
    given = {field: host_config.get(field) or [] for field in ("CapAdd", "CapDrop")}
    return {**given, "SecurityOpt": options}


def parse_configuration(row: transport.Row) -> observed.Configuration:
    """How a container was made, from its inspect."""
    config, host_config = row["Config"], row["HostConfig"]
    env = parse_env(config.get("Env"))
    return observed.Configuration(
        image=shared(config["Image"]),
        hostname=config.get("Hostname") or "",
        env=env,
        command=_all_shared(config.get("Cmd")),
        user=config.get("User") or "",
        init=bool(host_config.get("Init")),
        binds=parse_binds(host_config),
        ports=parse_ports(host_config),
        shm=int(host_config.get("ShmSize") or 0),
        limits=parse_limits(host_config),
        networks=_set_of(tuple((row.get("NetworkSettings") or {}).get("Networks") or ())),
        network_mode=shared(host_config.get("NetworkMode") or ""),
        restart_policy=shared((host_config.get("RestartPolicy") or {}).get("Name") or "no"),
        capabilities=parse_capabilities(host_config),
        privileged=bool(host_config.get("Privileged")),
        runtime=shared(host_config.get("Runtime") or ""),
        other=_all_shared(parse_other(host_config)),
        gpus=gpus.parse(host_config, env),
        cgroup_parent=shared(host_config.get("CgroupParent") or ""),
    )


def _all_shared(texts: Iterable[str] | None) -> tuple[str, ...]:
    return tuple(map(shared, texts or ()))


@functools.lru_cache(maxsize=256)
def _set_of(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(names)


def parse_container(
    row: transport.Row,
    now: datetime,
    kernel_limits: observed.Limits | observed.Unseen,
    listening: frozenset[int] | observed.Unseen,
) -> observed.Container:
    """One container from its inspect and what the kernel said of its main process."""
    state = row["State"]
    started_at = parse_time(state.get("StartedAt"))
    return observed.Container(
        id=row["Id"],
        name=row["Name"].removeprefix("/"),
        state=observed.ContainerState(state["Status"]),
        image_id=shared(row["Image"]),
        labels={shared(name): value for name, value in (row["Config"].get("Labels") or {}).items()},
        created=parse_time(row["Created"]) or now,
        started_at=started_at,
        finished_at=parse_time(state.get("FinishedAt")),
        pid=int(state.get("Pid") or 0),
        exit_code=_exit_code(state),
        oom_killed=bool(state.get("OOMKilled")),
        error=state.get("Error") or "",
        health=observed.Health((state.get("Health") or {}).get("Status") or "none"),
        configuration=parse_configuration(row),
        inspected_at=now,
        kernel_limits=kernel_limits,
        listening=listening,
        address=_address(row),
    )


def _exit_code(state: Mapping[str, Any]) -> int | None:
    """None while it runs and where it never tried to."""
    if state.get("Running") or (state["Status"] == "created" and not state.get("ExitCode")):
        return None
    return int(state.get("ExitCode") or 0)


def _address(row: transport.Row) -> str:
    """On the network that it was made for, else on the first by name."""
    networks = (row.get("NetworkSettings") or {}).get("Networks") or {}
    wanted = row["HostConfig"].get("NetworkMode") or ""
    ordered = sorted(networks, key=lambda name: (name != wanted, name))
    return next((str(networks[name]["IPAddress"]) for name in ordered if networks[name].get("IPAddress")), "")


def parse_image(row: transport.Row) -> observed.Image:
    """One image from its inspect."""
    config = row.get("Config") or {}
    test = (config.get("Healthcheck") or {}).get("Test") or []
    return observed.Image(
        id=row["Id"],
        env=parse_env(config.get("Env")),
        command=tuple(config.get("Cmd") or ()),
        user=config.get("User") or "",
        health_check=bool(test) and test[0] not in {"", "NONE"},
        digests=tuple(sorted(row.get("RepoDigests") or ())),
    )


def parse_network(row: transport.Row) -> observed.Network:
    """One network from its inspect."""
    ranges = (row.get("IPAM") or {}).get("Config") or [{}]
    return observed.Network(
        id=row["Id"],
        name=row["Name"],
        driver=row.get("Driver") or "",
        subnet=ranges[0].get("Subnet") or "",
        inter_container=(row.get("Options") or {}).get(ICC, "true") == "true",
    )
