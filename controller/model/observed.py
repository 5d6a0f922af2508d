"""What was seen of the world: containers, images, networks, accounts, mounts; each part Seen or Unseen.

Refuses to be mistaken for a whole: what could not be looked at is a value of its own, never an empty one.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Generic, TypeAlias, TypeVar

from controller.api.conditions import Reason
from controller.model.gpus import NOTHING_ATTACHED, Attached, Bystander, GpuView
from controller.model.images import Collection
from controller.model.sizes import Usage
from controller.model.slices import SliceView

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Seen(Generic[T]):
    """A part of the world that was looked at, completely, at the time `at`."""

    value: T
    at: datetime


@dataclass(frozen=True, slots=True)
class Unseen:
    """A part of the world that could not be looked at since `since`; nothing destructive rests on it."""

    reason: Reason
    message: str
    since: datetime


class ContainerState(StrEnum):
    """The Engine's word for a container's state."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"


_HOLDING: Final = frozenset({ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.RESTARTING})


class Health(StrEnum):
    """Result of the image's health check; NONE where it has none."""

    NONE = "none"
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one container. None is unlimited (for `cpuset`: all CPUs).

    Attributes:
        nano_cpus: CPU quota in 10⁻⁹ CPUs.
        cpuset: canonical list such as `0-3,8`.
        memory: hard limit, bytes.
        memory_reservation: guaranteed part, bytes.
        memory_swap: memory plus swap, bytes.
        pids: number of tasks.
    """

    nano_cpus: int | None = None
    cpuset: str | None = None
    memory: int | None = None
    memory_reservation: int | None = None
    memory_swap: int | None = None
    pids: int | None = None


@dataclass(frozen=True, slots=True, order=True)
class Bind:
    """One bind mount: host path, container path, and whether it is read-only."""

    target: str
    source: str
    read_only: bool


@dataclass(frozen=True, slots=True, order=True)
class PublishedPort:
    """One published TCP port: container port, host address, host port."""

    container_port: int
    host_ip: str
    host_port: int


@dataclass(frozen=True, slots=True)
class Configuration:
    """How a container was made, as far as it can be compared with a template.

    Attributes:
        image: the reference it was created from.
        env: complete environment, the image's own included.
        command: argument vector, the image's where none was given.
        user: `uid:gid`, or the image's, or empty.
        init: whether docker-init is PID 1.
        shm: size of /dev/shm, bytes.
        limits: as the Engine's HostConfig says (the kernel's are in `Container.kernel_limits`).
        networks: names of the networks it is attached to.
        network_mode: the Engine's HostConfig.NetworkMode.
        capabilities: of the kernel, by name without CAP_, where it has these and no others; None where the
            Engine's own choice is in force.
        privileged: it has every capability and every device.
        runtime: the Engine's name of what runs it, empty where it does not say.
        gpus: the GPUs that it was made with.
        cgroup_parent: the slice that it was made for, empty for the Engine's own choice.
        other: differences from what this controller ever writes (devices, host namespaces), as short texts.
    """

    image: str
    hostname: str
    env: Mapping[str, str]
    command: tuple[str, ...]
    user: str
    init: bool
    binds: tuple[Bind, ...]
    ports: tuple[PublishedPort, ...]
    shm: int
    limits: Limits
    networks: frozenset[str]
    network_mode: str
    restart_policy: str
    capabilities: tuple[str, ...] | None = None
    privileged: bool = False
    runtime: str = ""
    other: tuple[str, ...] = ()
    gpus: Attached = NOTHING_ATTACHED
    cgroup_parent: str = ""


@dataclass(frozen=True, slots=True)
class Container:
    """One container, from the list and its latest inspect.

    Attributes:
        id: all 64 hex digits.
        created, started_at, finished_at: the Engine's clock; None before it happened.
        pid: host pid of the main process, 0 when it does not run.
        inspected_at: when `configuration` and the times were read.
        kernel_limits: what the kernel enforces; Unseen where the container does not run or cannot be read.
        listening: TCP ports on which something listens inside; Unseen likewise.
    """

    id: str
    name: str
    state: ContainerState
    image_id: str
    labels: Mapping[str, str]
    created: datetime
    started_at: datetime | None
    finished_at: datetime | None
    pid: int
    exit_code: int | None
    oom_killed: bool
    error: str
    health: Health
    configuration: Configuration
    inspected_at: datetime
    kernel_limits: Limits | Unseen
    listening: frozenset[int] | Unseen
    address: str = ""

    @property
    def running(self) -> bool:
        """Whether its processes may run: running, paused and restarting all hold what they hold."""
        return self.state in _HOLDING


@dataclass(frozen=True, slots=True)
class Image:
    """What the Engine holds under an image id.

    Attributes:
        digests: what registries know it as, `registry/name@sha256:...` each; none for one that was built or
            loaded here.
    """

    id: str
    env: Mapping[str, str]
    command: tuple[str, ...]
    user: str
    health_check: bool
    digests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Network:
    """One of the workspaces' bridges.

    Attributes:
        id: the Engine's id.
        name: `wharf` or `wharf-open`.
        driver: the Engine's driver name, `bridge` when it is as made.
        subnet: CIDR, empty if it has none.
        inter_container: whether containers on it reach each other.
    """

    id: str
    name: str
    driver: str
    subnet: str
    inter_container: bool


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system that holds the Engine's data, as df counts it.

    Attributes:
        path: of the Engine's data.
        size, used, available: bytes; what is reserved for root is in neither of the last two.
        pressed: it is fuller than the high watermark, or was so a moment ago and is hardly emptier.
    """

    path: str
    size: int
    used: int
    available: int
    pressed: bool

    @property
    def share(self) -> float:
        """How much of what can be used is used, 0 to 1."""
        return self.used / (self.used + self.available) if self.used + self.available else 0.0

    @property
    def percent(self) -> int:
        """The same in percent, rounded up as df does."""
        return math.ceil(self.share * 100)


NOT_LOOKED_AT = Unseen(
    Reason.NOT_SEEN, "the Engine's disk was not looked at", datetime.min.replace(tzinfo=UTC)
)
"""What is known of a disk of which nobody asked."""
NO_SLICES = Seen(SliceView(), datetime.min.replace(tzinfo=UTC))
"""Of a host where nobody makes any."""
NO_GPUS = Seen(GpuView(), datetime.min.replace(tzinfo=UTC))
"""Of a host where nobody looks for any."""


@dataclass(frozen=True, slots=True)
class EngineView:
    """The Engine as one complete look found it.

    Attributes:
        engine_id: the Engine's own id.
        containers: by full id, those with our workspace label or a name of ours; others are not looked at.
        images: image id by every reference that was asked for; None where the Engine lacks it.
        image_details: details by image id, for the images of our containers.
        networks: the workspaces' networks that exist, by name.
        total_memory, total_cpus: of the host, bytes and count; written where unlimited is meant.
        unknown: names of containers that are there and could not be inspected: nothing rests on them, though
            an older snapshot may still be in `containers`.
        runtimes: names of those that it has.
        default_runtime: runs what asks for none.
        disk: that holds the Engine's data.
        bystanders: containers that are not ours and may use a GPU, by full id; Unseen where one of them could
            not be inspected, and where nobody asked because the host had no GPUs.
        cdi: names that the Engine attaches devices by, where it tells them; empty where it does so and does
            not tell which; None where it cannot.
        cgroup_driver: the Engine's word, `systemd` or `cgroupfs`; empty where it says none.
        cgroup_version: 1 or 2; 0 where it does not say.
    """

    engine_id: str
    containers: Mapping[str, Container]
    images: Mapping[str, str | None]
    image_details: Mapping[str, Image]
    networks: Mapping[str, Network]
    total_memory: int
    total_cpus: int
    unknown: frozenset[str] = frozenset()
    runtimes: frozenset[str] = frozenset()
    default_runtime: str = ""
    disk: Disk | Unseen = NOT_LOOKED_AT
    bystanders: Mapping[str, Bystander] | Unseen = field(default_factory=dict)
    cdi: frozenset[str] | None = None
    cgroup_driver: str = ""
    cgroup_version: int = 0


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the host, as NSS or the ledger knows it."""

    name: str
    uid: int
    gid: int
    home: str


AccountSeen: TypeAlias = Account | Unseen | None
"""What a look at an account found: None where the host certainly has none of that name."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something outside Docker that a workspace needs and does not have: a mount, a secret."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class MountCheck:
    """What was found of one mount's source: usable, to be made, or an obstacle."""

    usable: bool
    to_create: bool = False
    obstacle: Obstacle | None = None


@dataclass(frozen=True, slots=True)
class HostView:
    """The host beside Docker, as far as the specs ask for it.

    Attributes:
        accounts: by login name, as the host tells of them now.
        mounts: check by (workspace, mount name).
        secrets: obstacle by workspace, only where there is one.
        listeners: TCP ports on which any process of the host listens, None where that was not looked at.
        stale_secrets: running workspaces whose secrets were rotated or listed anew since they were written.
        routes: our documents in the directory of the site's proxy, text by file name; None where there is no
            such directory in the configuration.
    """

    accounts: Mapping[str, AccountSeen] = field(default_factory=dict)
    mounts: Mapping[tuple[str, str], MountCheck] = field(default_factory=dict)
    secrets: Mapping[str, Obstacle] = field(default_factory=dict)
    listeners: frozenset[int] | None = None
    stale_secrets: frozenset[str] = frozenset()
    routes: Mapping[str, str] | Unseen | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """What a stopped container's writable layer holds.

    Attributes:
        size: bytes.
        changed: paths that were added, changed or deleted, with the directories above them.
        complete: all of them are in `changed`.
    """

    size: int
    changed: tuple[str, ...]
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Stranger:
    """A container as somebody sees it who decides whether to adopt it."""

    id: str
    name: str
    image: str
    created: datetime
    labels: Mapping[str, str]
    running: bool


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that one pass looked at, apart from the specs.

    Attributes:
        layers: of those kept containers that were asked for, by full id.
        unproven: why nothing may rest on this look (the host is new, and not all was seen), or empty.
        collection: the images, if a person wants some to go and they could be looked at.
        usage: bytes of each workspace, as they were measured last.
        gpus: of the host; a host without any is seen, and has none.
        slices: of the owners; a host on which nobody makes any is seen, and has none.
    """

    engine: Seen[EngineView] | Unseen
    host: Seen[HostView] | Unseen
    layers: Mapping[str, Layer] = field(default_factory=dict)
    unproven: str = ""
    collection: Collection | None = None
    usage: Mapping[str, Usage] = field(default_factory=dict)
    gpus: Seen[GpuView] | Unseen = NO_GPUS
    slices: Seen[SliceView] | Unseen = NO_SLICES
