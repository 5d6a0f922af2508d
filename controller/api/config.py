"""How the controller itself is set up: every key, its default, its bounds and what it does.

It knows one document; files, the environment and flags are put together in settings.
"""

import datetime as dt
import enum
import ipaddress
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from controller.api import fields, meta, quantities, rules


class Mode(enum.StrEnum):
    """Whether the controller acts, or only plans and reports."""

    ENFORCE = "Enforce"
    OBSERVE = "Observe"


class GpuSource(enum.StrEnum):
    """Where GPUs are looked up: the driver's library, nowhere, or the inventory of this file."""

    NVML = "Nvml"
    NONE = "None"
    STATIC = "Static"


class GpuAttach(enum.StrEnum):
    """How GPUs reach a container: by CDI names, by Docker's device requests, or as the Engine can."""

    AUTO = "Auto"
    CDI = "CDI"
    DEVICE_REQUEST = "DeviceRequest"


class SliceDriver(enum.StrEnum):
    """How the limits of an owner are set: as the Engine does, by systemd, by cgroup files, or not at all."""

    AUTO = "Auto"
    SYSTEMD = "Systemd"
    CGROUPFS = "Cgroupfs"
    NONE = "None"


class LogFormat(enum.StrEnum):
    """How log lines look; Auto: for people on a terminal, else JSON."""

    AUTO = "Auto"
    JSON = "Json"
    CONSOLE = "Console"


class LogLevel(enum.StrEnum):
    """The least severity that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def _bounded(low: str, high: str) -> AfterValidator:
    least, most = quantities.parse_duration(low), quantities.parse_duration(high)

    def check(value: dt.timedelta) -> dt.timedelta:
        if not least <= value <= most:
            raise fields.refusal(f'this must be from "{low}" to "{high}"')
        return value

    return AfterValidator(check)


def _check_subnet(text: str) -> str:
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise fields.refusal(f'"{text}" is not an IPv4 subnet, such as 172.28.0.0/16: {error}') from None
    if network.prefixlen > _SMALLEST_PREFIX:
        raise fields.refusal(f'"{text}" has too few addresses; write /{_SMALLEST_PREFIX} or larger')
    return str(network)


def _check_free_root(name: str) -> str:
    if name in _TAKEN_ROOTS:
        raise fields.refusal(f'"{name}" is a cgroup of somebody else\'s: take another name, such as "wharf"')
    return name


_TAKEN_ROOTS = frozenset(
    {
        *("system", "user", "machine", "init", "docker", "kubepods", "libpod", "tasks"),
        *("cpu", "cpuacct", "cpuset", "memory", "pids", "io", "blkio", "devices", "freezer"),
        *("hugetlb", "misc", "rdma"),
    }
)
"""Below these are the cgroups of systemd, of Engines and of others, which are no owner's."""
_SMALLEST_PREFIX = 28
_LISTEN = r"(?:[0-9.]+|\[[0-9a-fA-F:]+\]|[A-Za-z][A-Za-z0-9.-]*):[0-9]{1,5}"
_HOST = r"unix:///[^\s]+|(?:tcp|https?)://[^\s]+"

Fast = Annotated[quantities.Duration, _bounded("0s", "1m")]
Interval = Annotated[quantities.Duration, _bounded("1s", "1h")]
LongInterval = Annotated[quantities.Duration, _bounded("10s", "1d")]
Retention = Annotated[quantities.Duration, _bounded("0s", "365d")]
Subnet = Annotated[fields.Text, AfterValidator(_check_subnet)]
Listen = Annotated[
    fields.Text, AfterValidator(fields.matching(_LISTEN, "an address and port, such as 127.0.0.1:9464"))
]
EngineHost = Annotated[
    fields.Text,
    AfterValidator(fields.matching(_HOST, "an Engine's address, such as unix:///var/run/docker.sock")),
]
FilePath = Annotated[fields.Line, Field(max_length=4096)]
SliceRoot = Annotated[
    fields.Text,
    AfterValidator(fields.matching(r"[a-z][a-z0-9]*", "a name of lower-case letters and digits")),
    AfterValidator(_check_free_root),
]


class DockerConfig(meta.ApiModel):
    """How the Engine is reached."""

    host: EngineHost = Field(
        default="unix:///var/run/docker.sock",
        description="The Engine's address; only unix sockets are private.",
    )
    request_timeout: Interval = Field(
        default=dt.timedelta(seconds=60),
        description="For one request; a stop waits its grace + 30s, a pull as long as it makes progress.",
    )
    workers: int = Field(default=4, ge=1, le=64, description="How many workspaces are worked on at once.")


class NetworkConfig(meta.ApiModel):
    """The containers' network."""

    subnet: Subnet = Field(default="172.28.0.0/16", description='Of the bridge "wharf".')
    advertise_address: fields.Line | None = Field(
        default=None, description="What the connect lines name; null: the host's name."
    )


class MetricsConfig(meta.ApiModel):
    """Where measurements are served."""

    listen: Listen = Field(default="127.0.0.1:9464", description="For /metrics, /healthz and /readyz.")


class StaticGpu(meta.ApiModel):
    """One GPU of an inventory that is written down instead of looked up."""

    uuid: rules.GpuUuid = Field(description="Unique name of the device.")
    cdi: fields.Line = Field(description="CDI device name, such as vendor.example/gpu=0.")
    product: fields.Line = Field(description="What it is, for people.")
    memory: rules.Space = Field(description="Its memory.")


class GpuConfig(meta.ApiModel):
    """Where GPUs come from and how they reach a container."""

    source: fields.Choice[GpuSource] = Field(default=GpuSource.NVML, description="Where GPUs are looked up.")
    attach: fields.Choice[GpuAttach] = Field(
        default=GpuAttach.AUTO, description="How they reach a container; Auto: CDI where the Engine has it."
    )
    inventory: fields.Items[StaticGpu] = Field(default=(), description="The GPUs of source Static.")
    monitors: fields.UniqueItems[fields.Line] = Field(
        default=(),
        description="Names of containers that were given GPUs only to watch them, such as dcgm-exporter: "
        "they keep nobody from these unless a process of theirs computes there.",
    )
    clean_after: rules.Timeout = Field(
        default=dt.timedelta(minutes=10),
        description="How long a device must be without trouble until it is granted again.",
    )

    @model_validator(mode="after")
    def _inventory_is_static(self) -> Self:
        if bool(self.inventory) != (self.source is GpuSource.STATIC):
            raise fields.refusal("source: Static and inventory belong together; write both or neither")
        if len({gpu.uuid for gpu in self.inventory}) < len(self.inventory):
            raise fields.refusal("two devices of the inventory have one uuid")
        return self


class SliceConfig(meta.ApiModel):
    """How an owner's limits are set."""

    driver: fields.Choice[SliceDriver] = Field(
        default=SliceDriver.AUTO, description="How they are set; Auto: as the Engine does."
    )
    root: SliceRoot = Field(default="wharf", description="Name of the slice above all owners' slices.")


class SafetyConfig(meta.ApiModel):
    """How fast and how far the controller may stop what runs."""

    max_disruptions_per_minute: int = Field(
        default=1, ge=0, le=1000, description="A pace: the rest waits its turn. 0: none at all."
    )
    max_disruptions_percent: int = Field(
        default=10,
        ge=0,
        le=100,
        description="A breaker: a cause that would stop more than this share of the running workspaces "
        "in 10 minutes (at least 2) does that share, and its rest is held until it is approved.",
    )
    deletion_grace: Fast = Field(
        default=dt.timedelta(seconds=10),
        description="A spec must be gone in two complete scans this far apart.",
    )
    retain_replaced: Retention = Field(
        default=dt.timedelta(hours=72),
        description="A replaced or removed container is kept, stopped and renamed, at least this long.",
    )


class DiskConfig(meta.ApiModel):
    """How full the file system of the Engine's data may be."""

    high_watermark: int = Field(
        default=90,
        ge=1,
        le=100,
        description="Percent in use above which pulls and new workspaces wait; running ones are untouched.",
    )
    low_watermark: int = Field(
        default=80, ge=1, le=100, description="Percent in use down to which `wharf gc` removes images."
    )

    @model_validator(mode="after")
    def _low_is_lower(self) -> Self:
        if self.low_watermark > self.high_watermark:
            raise fields.refusal(
                f"lowWatermark ({self.low_watermark}) must be at most highWatermark ({self.high_watermark})"
            )
        return self


class ProxyConfig(meta.ApiModel):
    """Where the site's reverse proxy looks for what is to be reached by a name."""

    directory: FilePath | None = Field(
        default=None,
        description="Directory of Traefik's file provider; the controller owns its files named wharf-*.yaml. "
        "null: nothing is written.",
    )


class LogConfig(meta.ApiModel):
    """What the log looks like."""

    format: fields.Choice[LogFormat] = Field(default=LogFormat.AUTO, description="How log lines look.")
    level: fields.Choice[LogLevel] = Field(
        default=LogLevel.INFO, description="The least severity that is logged."
    )


class ControllerConfig(meta.ApiModel):
    """How the controller itself is set up. Relative paths are relative to the file."""

    api_version: Literal["wharfinger.dev/v1"] = Field(
        default="wharfinger.dev/v1", description="The version of this format."
    )
    kind: Literal["ControllerConfig"] = Field(
        default="ControllerConfig", description="The kind of this document."
    )
    mode: fields.Choice[Mode] = Field(default=Mode.ENFORCE, description="Act, or only plan and report.")
    spec_dir: FilePath = Field(default="workspaces.d", description="Directory of the workspaces' files.")
    policy_file: FilePath = Field(default="policy.yaml", description="The ResourcePolicy; it may be absent.")
    image_catalog_file: FilePath = Field(
        default="images.yaml", description="The ImageCatalog; it may be absent."
    )
    secrets_dir: FilePath = Field(
        default="secrets", description="Directory of the files that spec.secrets names."
    )
    state_dir: FilePath = Field(default="/var/lib/wharfinger", description="Directory of the ledger.")
    runtime_dir: FilePath = Field(
        default="/run/wharfinger", description="Directory of the control socket and of secrets in use."
    )
    resync_interval: Interval = Field(
        default=dt.timedelta(seconds=15),
        description="A full look at specs, Engine and GPUs, whatever the events said.",
    )
    inspect_interval: LongInterval = Field(
        default=dt.timedelta(minutes=5),
        description="Every container is inspected at least this often, spread evenly.",
    )
    settle: Fast = Field(
        default=dt.timedelta(milliseconds=300),
        description="A file renamed into place must read the same twice this far apart; "
        "one written in place must also have been quiet for 2s.",
    )
    docker: DockerConfig = Field(default=DockerConfig(), description="How the Engine is reached.")
    network: NetworkConfig = Field(default=NetworkConfig(), description="The containers' network.")
    metrics: MetricsConfig = Field(default=MetricsConfig(), description="Where measurements are served.")
    gpus: GpuConfig = Field(default=GpuConfig(), description="Where GPUs come from.")
    slices: SliceConfig = Field(default=SliceConfig(), description="How an owner's limits are set.")
    safety: SafetyConfig = Field(
        default=SafetyConfig(), description="How fast and how far it may stop what runs."
    )
    disk: DiskConfig = Field(default=DiskConfig(), description="How full the Engine's disk may be.")
    proxy: ProxyConfig = Field(default=ProxyConfig(), description="The site's reverse proxy.")
    log: LogConfig = Field(default=LogConfig(), description="What the log looks like.")
