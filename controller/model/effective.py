"""What one workspace really gets: spec, class, group, user and defaults folded into one frozen value.

Refuses inheritance: nothing in here is absent any more, and every value says where it came from.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from controller.api.conditions import Reason
from controller.api.policy import PortProfile
from controller.api.workspace import ChangePolicy, PullPolicy, SecurityProfile
from controller.model.gpus import Wish
from controller.model.observed import Account, Limits
from controller.model.plan import Note, NotEnforced
from controller.model.status import EffectiveValue

DEFAULT_PRIORITY = 10
"""Where nobody says one."""


@dataclass(frozen=True, slots=True)
class Mount:
    """One directory of the host in the container."""

    name: str
    source: str
    target: str
    read_only: bool
    create: bool
    required: bool


@dataclass(frozen=True, slots=True)
class Service:
    """One port on which the container listens; `published` ones get a port of the host.

    Attributes:
        named: it gets a name at the site's proxy.
    """

    name: str
    port: int
    published: bool
    host_port: int | None
    named: bool = False


@dataclass(frozen=True, slots=True)
class OwnerQuotas:
    """What one owner may have in all; None: no cap.

    Attributes:
        gpu_equivalents: whole GPUs, or slices of the same share.
        cpus: billionths of a processor, of all running workspaces together.
        memory, shm: bytes, likewise.
        origins: where each cap is from, by its name in the policy: `runningWorkspaces`.
    """

    workspaces: int | None = None
    running_workspaces: int | None = None
    gpu_equivalents: Decimal | None = None
    cpus: int | None = None
    memory: int | None = None
    shm: int | None = None
    pids: int | None = None
    origins: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Effective:
    """One workspace, resolved.

    Attributes:
        image: the reference to give to the Engine.
        shm: bytes.
        account: of the owner, where spec, policy, ledger or host say it.
        ids_stated: spec or policy say the owner's ids, whatever the host says.
        profile: what the container may do to its host.
        runtime: the Engine's name of what runs it, None for its default.
        nosuid_mounts: mount sources must lie on file systems without set-uid programs and devices.
        not_enforced: fields that have no effect in this version.
        notes: what a person should know of it.
        gpu: what it asks for of the host's GPUs, None for nothing.
        gpu_hold: how long its GPUs are kept for it after it has stopped.
        quotas: what the owner may have in all.
        priority: place in queues, 1 to 100; the higher is served first.
        storage_home, storage_layer: bytes above which a warning is given, None for no warning.
        words: gives `values`; they are worded when somebody asks for them first.
    """

    workspace: str
    owner: str
    class_name: str
    running: bool
    image: str
    command: tuple[str, ...] | None
    env: tuple[tuple[str, str], ...]
    secrets: tuple[tuple[str, str], ...]
    init: bool
    pull: PullPolicy
    limits: Limits
    shm: int
    mounts: tuple[Mount, ...]
    mount_roots: tuple[str, ...]
    nosuid_mounts: bool
    services: tuple[Service, ...]
    port_profile: PortProfile
    run_as_owner: bool
    open_network: bool
    stop_grace: timedelta
    changes: ChangePolicy
    account: Account | None
    ids_stated: bool = False
    profile: SecurityProfile = SecurityProfile.STANDARD
    runtime: str | None = None
    not_enforced: tuple[NotEnforced, ...] = ()
    notes: tuple[Note, ...] = ()
    gpu: Wish | None = None
    gpu_hold: timedelta = timedelta()
    quotas: OwnerQuotas = OwnerQuotas()
    priority: int = DEFAULT_PRIORITY
    storage_home: int | None = None
    storage_layer: int | None = None
    words: Callable[[], tuple[EffectiveValue, ...]] = field(default=tuple, repr=False, compare=False)

    @property
    def gpu_equivalents(self) -> Fraction:
        """Whole GPUs, or slices or shares of the same amount, that nobody else has meanwhile."""
        return Fraction(0) if self.gpu is None else self.gpu.equivalents

    @property
    def values(self) -> tuple[EffectiveValue, ...]:
        """Every value in words with its origin, by path."""
        return self.words()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a workspace cannot be had as its spec asks: a reason, and a sentence with the specifics."""

    reason: Reason
    message: str
