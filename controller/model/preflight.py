"""What a host is like before a controller runs on it: plain facts of Engine, directories and timers.

Refuses to judge them: what is good enough is the business of `status`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from controller.api.config import GpuAttach, SliceDriver
from controller.model.gpus import GpuView
from controller.model.observed import Obstacle, Unseen
from controller.model.slices import SliceLimit, SliceView


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What the Engine says of itself.

    Attributes:
        api_version: newest that it speaks, major and minor.
        live_restore: containers go on while the Engine is restarted.
        root_dir: where it keeps images and containers.
        lacks: limits that its kernel cannot set, in words.
        runtimes: names of those that it has.
        seccomp: it filters the system calls of containers.
        cdi: names that it attaches devices by, as in `EngineView`.
    """

    engine_id: str
    version: str
    api_version: tuple[int, int]
    live_restore: bool
    storage_driver: str
    cgroup_driver: str
    cgroup_version: str
    root_dir: str
    lacks: tuple[str, ...] = ()
    runtimes: frozenset[str] = frozenset()
    seccomp: bool = True
    cdi: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A directory or file of the configuration.

    Attributes:
        path: as configured, absolute.
        exists: whether it is there.
        is_directory: whether it is one.
        uid, mode: owner and permission bits.
        file_system: type of the file system that holds it, or that would: `ext4`, `tmpfs`, `nfs4`.
        free, size: bytes of that file system, for those without privileges.
        error: why it cannot be looked at, or empty.
        used: bytes in use on it.
    """

    path: str
    exists: bool
    is_directory: bool = False
    uid: int = 0
    mode: int = 0
    file_system: str = ""
    free: int = 0
    size: int = 0
    error: str = ""
    used: int = 0


@dataclass(frozen=True, slots=True)
class PruneJob:
    """Something that runs by the clock and calls `docker … prune`: which file, which line, and the text."""

    file: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Files:
    """What was found on the host's disks.

    Attributes:
        places: by what each is for: state, runtime, secrets, specs, policy, docker, and
            proxy where there is one.
        mount_roots: by path, what keeps any mount beneath it from use, and what one with root in it.
        clock_synchronised: None where the host cannot tell.
        prune_jobs: cron entries and timers.
        unread: files that could not be read while looking for those.
    """

    places: Mapping[str, Place]
    mount_roots: Mapping[str, tuple[Obstacle | None, Obstacle | None]]
    clock_synchronised: bool | None
    prune_jobs: tuple[PruneJob, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PoolUse:
    """How many blocks a pool of ports has, and how many of them are given."""

    pool: str
    blocks: int
    given: int


@dataclass(frozen=True, slots=True)
class Toolkit:
    """What of NVIDIA's container toolkit is on the host.

    Attributes:
        version: major, minor and patch with dots; empty where it is not installed, or does not tell.
        hook: the program is there that adds devices to a container as it starts.
        described: UUIDs of the devices that files describe for CDI.
    """

    version: str = ""
    hook: bool = False
    described: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class GpuFacts:
    """The GPUs, and what attaches them to containers.

    Attributes:
        is_listed: they are those of the configuration, which were not looked for.
    """

    view: GpuView | Unseen
    attach: GpuAttach = GpuAttach.AUTO
    toolkit: Toolkit = Toolkit()
    is_listed: bool = False


@dataclass(frozen=True, slots=True)
class SliceFacts:
    """What makes slices here, and what this kernel makes of them.

    Attributes:
        configured: what the configuration says.
        view: how they were found by the driver that follows from that and from the Engine.
        asked: limits that the policy asks for, of whomever.
        refused: why the controller could not set any, or empty.
    """

    configured: SliceDriver
    view: SliceView | Unseen
    asked: frozenset[SliceLimit] = frozenset()
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Preflight:
    """Everything that is looked at before a controller runs, or while it does.

    Attributes:
        uid: of the one who asks; others than root see less.
        ledger: why it cannot be read, or empty.
        policy: why policy or catalog are not valid, or empty.
        holder: the controller that has this Engine, in words, or empty.
        nested_runtime: the one that the policy names for DockerInDocker, or empty.
        high_watermark: percent of the Engine's disk above which nothing new is made.
        gpus: None where none are looked for.
        slices: None where the Engine could not be looked at.
    """

    uid: int
    engine: EngineFacts | Unseen
    files: Files
    pools: tuple[PoolUse, ...] = ()
    ledger: str = ""
    policy: str = ""
    holder: str = ""
    nested_runtime: str = ""
    high_watermark: int = 90
    gpus: GpuFacts | None = None
    slices: SliceFacts | None = None
