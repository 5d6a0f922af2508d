"""What one workspace really gets: spec, class, group, user and defaults folded into one frozen value.

Refuses inheritance: nothing in here is absent any more, and every value says where it came from.
"""

from dataclasses import dataclass
from datetime import timedelta

from controller.api.conditions import Reason
from controller.api.policy import PortProfile
from controller.api.workspace import ChangePolicy, PullPolicy
from controller.model.observed import Account, Limits
from controller.model.plan import NotEnforced
from controller.model.status import EffectiveValue


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
    """One port on which the container listens; `published` ones get a port of the host."""

    name: str
    port: int
    published: bool
    host_port: int | None


@dataclass(frozen=True, slots=True)
class Effective:
    """One workspace, resolved.

    Attributes:
        image: the reference to give to the Engine.
        shm: bytes.
        account: of the owner, where the host or the ledger knows it.
        nosuid_mounts: mount sources must lie on file systems without set-uid programs and devices.
        not_enforced: fields that have no effect in this version.
        values: every value in words with its origin.
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
    not_enforced: tuple[NotEnforced, ...] = ()
    values: tuple[EffectiveValue, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a workspace cannot be had as its spec asks: a reason, and a sentence with the specifics."""

    reason: Reason
    message: str
