"""What is told of the GPUs: who holds and uses each device and how it is, and what each workspace has.

Refuses to be read back as truth: it is wording for people and scripts, made anew in each pass.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from controller.model.gpus import AccessState, Cordon, Device, Fence, Trouble, Use, Wish
from controller.model.observed import Unseen

_UNTOLD: Final = Use()


class Foreign(StrEnum):
    """Why a use of a device is none that was granted."""

    HOST = "host"
    """A process of no container."""
    CONTAINER = "unmanaged_container"
    """A container that is not ours."""
    WORKSPACE = "other_workspace"
    """A workspace of ours, and another one was granted the device."""
    UNASSIGNED = "unassigned"
    """A workspace of ours, and nobody was granted the device."""


@dataclass(frozen=True, slots=True)
class User:
    """A process that uses a device; or a container that may, and no process of which does yet.

    Attributes:
        device: UUID.
        who: `workspace bob`, `container "jupyter" (not ours)`; empty for a process of no container.
        workspace: ours that it is of, or empty.
        user: login name or uid of who runs it, empty where that cannot be told.
        pid: as the host counts; None for a container without processes on it.
        memory: bytes of the device, None where the driver does not tell.
        foreign: None where the device was granted.
    """

    device: str
    who: str
    workspace: str = ""
    user: str = ""
    pid: int | None = None
    command: str = ""
    memory: int | None = None
    foreign: Foreign | None = None


class DeviceState(StrEnum):
    """How a device stands, in one word: the first of these that is true."""

    GONE = "Gone"
    """It is not there any more, and somebody was granted it or took it out of use."""
    FENCED = "Fenced"
    """It is out of use by itself, for what ails it."""
    DRAINING = "Draining"
    """A person took it out of use, and those who have it shall leave."""
    CORDONED = "Cordoned"
    """A person took it out of use."""
    FOREIGN = "Foreign"
    """Somebody uses it without a grant."""
    HELD = "Held"
    """A workspace has it, or has it kept for a time."""
    DIVIDED = "Divided"
    """Its MIG instances are given, not the whole of it."""
    UNKNOWN = "Unknown"
    """Nobody is known to have it, and somebody may."""
    FREE = "Free"
    """It can be given."""


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """One device.

    Attributes:
        there: the driver knows it.
        holders: who holds it, in words; who holds an instance of it is told of that.
        workspaces: those of them that are ours.
        users: who uses it; None: that could not be told.
        fence_ends: when its fence ends if nothing more happens; None while its cause lasts, or without one.
        doubt: why nobody can tell that it is free, or empty.
    """

    device: Device
    there: bool = True
    holders: tuple[str, ...] = ()
    workspaces: tuple[str, ...] = ()
    users: tuple[User, ...] | None = ()
    use: Use = _UNTOLD
    troubles: tuple[Trouble, ...] = ()
    cordon: Cordon | None = None
    fence: Fence | None = None
    fence_ends: datetime | None = None
    doubt: str = ""

    @property
    def state(self) -> DeviceState:
        """How it stands."""
        foreign = any(user.foreign is not None for user in self.users or ())
        found = {
            DeviceState.GONE: not self.there,
            DeviceState.FENCED: self.fence is not None,
            DeviceState.DRAINING: self.cordon is not None and self.cordon.drain,
            DeviceState.CORDONED: self.cordon is not None,
            DeviceState.FOREIGN: foreign or len(self.holders) > len(self.workspaces),
            DeviceState.HELD: bool(self.holders),
            DeviceState.DIVIDED: self.device.divided,
            DeviceState.UNKNOWN: bool(self.doubt),
        }
        return next((state for state, is_so in found.items() if is_so), DeviceState.FREE)

    @property
    def allocatable(self) -> bool:
        """Whether it may be given to somebody, once nobody has it."""
        return self.there and self.cordon is None and self.fence is None and not self.device.divided


@dataclass(frozen=True, slots=True)
class Waiter:
    """A workspace that waits for devices; the message says what for, its place and who has them."""

    workspace: str
    since: datetime
    message: str


@dataclass(frozen=True, slots=True)
class GpuStatus:
    """The GPUs of a host.

    Attributes:
        unseen: why they could not be looked at.
        devices: in the order of their indexes; those that are gone last.
        waiting: who waits for devices, the longest first.
        driver, library: versions, empty where they are not known.
        mismatch: why nothing with GPUs can be started, or empty.
        simulated: these are not real devices.
    """

    unseen: Unseen | None = None
    devices: tuple[DeviceStatus, ...] = ()
    waiting: tuple[Waiter, ...] = ()
    driver: str = ""
    library: str = ""
    mismatch: str = ""
    simulated: bool = False

    @property
    def foreign(self) -> tuple[User, ...]:
        """Who uses devices without a grant."""
        users = (user for one in self.devices for user in one.users or ())
        return tuple(user for user in users if user.foreign is not None)


NO_GPUS: Final = GpuStatus()
"""Of a host that has none."""


@dataclass(frozen=True, slots=True)
class WorkspaceGpus:
    """What one workspace wants of the GPUs and has.

    Attributes:
        wish: None: it wants none, and has some.
        uuids: that its container was granted.
        devices: those of them that the driver knows.
        waiting_since: since when it waits for devices, None if it does not.
        access: whether its running container can open them; None: nobody has tried.
        unseen: why the GPUs could not be looked at.
    """

    wish: Wish | None
    uuids: tuple[str, ...] = ()
    devices: tuple[Device, ...] = ()
    waiting_since: datetime | None = None
    access: AccessState | None = None
    simulated: bool = False
    unseen: Unseen | None = None
