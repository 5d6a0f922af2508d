"""What was seen of the GPUs: devices, who uses them, what ails them, and what was granted of them.

Refuses to call anything free: that is for planning to say, of what was seen.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType
from typing import Final

SLICES_OF_A_GPU: Final = 7
"""Of computing, into which MIG divides a GPU; a profile such as `1g.10gb` begins with its count."""


VISIBLE_DEVICES: Final = "NVIDIA_VISIBLE_DEVICES"
"""What NVIDIA's hook reads to know which devices to add; always set, so that no image decides it."""


def share(profile: str | None) -> Fraction:
    """Return what a device counts in quotas: a whole GPU (None) 1, a MIG instance its slices of computing.

    `1c.3g.20gb` has one slice: it computes with a part of an instance.
    """
    if profile is None:
        return Fraction(1)
    return Fraction(int(re.split("[cg]", profile, maxsplit=1)[0]), SLICES_OF_A_GPU)


@dataclass(frozen=True, slots=True)
class Device:
    """One GPU, or one MIG instance of one.

    Attributes:
        uuid: `GPU-…` or `MIG-…`, or the unique name of a static inventory. Devices are known by it alone.
        model: the product's name, of the whole GPU.
        memory: bytes; 0 where the hardware does not tell.
        index: where tools such as nvidia-smi list it, `0` or `0:1`; for people: it changes.
        parent: UUID of the whole GPU, None for a whole one.
        profile: of a MIG instance, such as `1g.10gb`; None for a whole GPU.
        placement: first memory slice of a MIG instance and how many, where the driver tells.
        divided: a whole GPU whose MIG mode is on: its instances can be granted, not the whole of it.
        minor: of its node /dev/nvidiaN, where the driver tells.
        cdi: its CDI name where the configuration says one; else it is made of the UUID.
        instance: of a MIG device, the number of its GPU instance: `nvidia-smi mig` calls it by that.
    """

    uuid: str
    model: str
    memory: int
    index: str = ""
    parent: str | None = None
    profile: str | None = None
    placement: tuple[int, int] | None = None
    divided: bool = False
    minor: int | None = None
    cdi: str | None = None
    instance: int | None = None

    @property
    def whole(self) -> str:
        """UUID of the GPU that it is, or is a part of."""
        return self.parent or self.uuid

    @property
    def share(self) -> Fraction:
        """What it counts in quotas."""
        return share(self.profile)


class Ailment(StrEnum):
    """What may be wrong with a device."""

    LOST = "lost"
    """The driver cannot reach it: it fell off the bus, or needs a reset."""
    XID = "xid"
    """The driver reported a fault of the device, by number."""
    ECC = "ecc"
    """Memory errors that could not be corrected, or retired pages that wait for a reset."""
    REMAP = "remap"
    """Rows of memory wait to be remapped by a reset, or could not be."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is wrong with a device now, or was reported of it.

    Attributes:
        uuid: of the whole GPU.
        code: the XID, for that ailment.
        at: when it was reported, or first seen.
        lasts: it is so at the time of the look; else it was reported once, as XIDs are.
    """

    uuid: str
    ailment: Ailment
    message: str
    at: datetime
    code: int | None = None
    lasts: bool = True


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the host that uses a device.

    Attributes:
        device: UUID.
        pid: as the host counts.
        memory: bytes of the device; None where the driver does not tell.
        container_id: of the outermost container that it is in, by its cgroup; empty for none.
        user: login name or uid of who runs it; empty where that cannot be told.
        command: its name, as ps shows it.
        graphics: it draws only, as a display server does.
    """

    device: str
    pid: int
    memory: int | None = None
    container_id: str = ""
    user: str = ""
    command: str = ""
    graphics: bool = False


@dataclass(frozen=True, slots=True)
class Use:
    """How much a device does; None where the hardware or the driver does not tell, which is not zero.

    Attributes:
        busy: share of the last sample period in which it computed, 0 to 1.
        memory: bytes in use.
        energy: joules since the driver was loaded.
    """

    busy: float | None = None
    memory: int | None = None
    energy: float | None = None


class AccessState(StrEnum):
    """Whether a container can open the devices that it was given."""

    OK = "ok"
    LOST = "lost"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Access:
    """What a probe found of a running container's access to its devices.

    Attributes:
        at: when it was tried.
        message: for people: which node, and what the kernel said.
        opens: nodes such as /dev/nvidia0 that it may open, also those of other GPUs of the host that it has
            no node of; sorted.
    """

    state: AccessState
    at: datetime
    message: str = ""
    opens: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GpuView:
    """The GPUs of the host as one complete look found them.

    Attributes:
        devices: by UUID, whole ones and instances.
        processes: who uses them. None: that could not be told, so nobody is known to have left.
        use: by UUID.
        troubles: what is wrong now, and what was reported since the look before.
        driver: version of the driver in the kernel, empty where there is none.
        library: version of the driver's library.
        mismatch: why nothing new can be started although running work goes on, or empty: driver and library
            differ until the next reboot.
        access: of running containers with devices, by full id, as probed last.
        simulated: these are not real devices.
    """

    devices: Mapping[str, Device] = field(default_factory=lambda: MappingProxyType({}))
    processes: tuple[Process, ...] | None = ()
    use: Mapping[str, Use] = field(default_factory=lambda: MappingProxyType({}))
    troubles: tuple[Trouble, ...] = ()
    driver: str = ""
    library: str = ""
    mismatch: str = ""
    access: Mapping[str, Access] = field(default_factory=lambda: MappingProxyType({}))
    simulated: bool = False


class Driver(StrEnum):
    """How the Engine is told which devices a container gets: the name of its device driver."""

    CDI = "cdi"
    NVIDIA = "nvidia"


@dataclass(frozen=True, slots=True)
class Attachment:
    """The devices that a container is made with.

    Attributes:
        uuids: sorted.
        names: as the driver calls them, in the order of `uuids`.
    """

    driver: Driver
    uuids: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def visible(self) -> str:
        """What NVIDIA_VISIBLE_DEVICES says: with CDI nothing may be added to it by a hook."""
        return ",".join(self.uuids) if self.driver is Driver.NVIDIA else "void"


@dataclass(frozen=True, slots=True)
class Attached:
    """Which devices a container was made with, as its inspect tells.

    Attributes:
        names: of device requests: UUIDs, CDI names or indexes as they were written; sorted.
        all: some word stands for all of the host's devices: a count, or "all".
        visible: the value of NVIDIA_VISIBLE_DEVICES, empty where it has none.
        nodes: device nodes of GPUs that it was given one by one, such as /dev/nvidia0; sorted.
    """

    names: tuple[str, ...] = ()
    all: bool = False
    visible: str = ""
    nodes: tuple[str, ...] = ()


NOTHING_ATTACHED: Final = Attached()
"""What most containers have."""


@dataclass(frozen=True, slots=True)
class Bystander:
    """A container that is not ours and may use a GPU: by devices, or by a runtime that reads its environment.

    Attributes:
        running: it runs, or may at any moment: paused and restarting ones count.
        honours: its runtime reads NVIDIA_VISIBLE_DEVICES.
    """

    id: str
    name: str
    running: bool
    attached: Attached
    honours: bool = False


@dataclass(frozen=True, slots=True)
class Cordon:
    """A person took a device out of use: it gets no new claims.

    Attributes:
        uuid: of a whole GPU (with all its instances) or of one instance.
        drain: who holds it is told to leave, too.
    """

    uuid: str
    reason: str
    at: datetime
    by: str
    drain: bool = False


@dataclass(frozen=True, slots=True)
class Fence:
    """A device is out of use by itself until what ails it is gone for some time.

    Attributes:
        uuid: of the whole GPU.
        since: when it began.
        last: when the trouble was seen or reported last; while it lasts, when it was seen first.
        lasts: it was so at the latest look.
    """

    uuid: str
    ailment: Ailment
    message: str
    since: datetime
    last: datetime
    code: int | None = None
    lasts: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """What a workspace asks for of the host's GPUs, resolved.

    Attributes:
        count: of devices; for `All` it says nothing.
        shared: others may use them too: at most `sharers` workspaces on a device.
        all: every device that nobody holds alone.
        profile: of MIG instances; None: whole GPUs.
        memory: bytes that each must have at least; 0: any.
        model: words that the product's name must contain; empty: any.
        uuids: only these; empty: no pin.
        sharers: how many workspaces a shared device takes.
    """

    count: int = 1
    shared: bool = False
    all: bool = False
    profile: str | None = None
    memory: int = 0
    model: str = ""
    uuids: tuple[str, ...] = ()
    sharers: int = 1

    @property
    def equivalents(self) -> Fraction:
        """What it takes of its owner's `gpuEquivalents`: a shared device is divided by its sharers.

        All of the host's devices count nothing: the policy names those who may have them.
        """
        return Fraction(0) if self.all else self.count * share(self.profile) / self.sharers
