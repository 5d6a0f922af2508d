"""What the ledger remembers, as one frozen value: all that Docker cannot tell.

Refuses to hold what Docker can tell: a container is where the Engine says it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from controller.api.conditions import Reason
from controller.model.desired import AcceptedSpec
from controller.model.observed import Account


@dataclass(frozen=True, slots=True)
class PortBlock:
    """An owner's block of host ports in a pool: `size` ports from `base`."""

    owner: str
    pool: str
    base: int
    size: int


@dataclass(frozen=True, slots=True)
class PortGrant:
    """One host port that was given to one service of one workspace."""

    owner: str
    workspace: str
    service: str
    port: int


@dataclass(frozen=True, slots=True)
class Suspension:
    """A person's `wharf stop` or `wharf start`; the last word wins until `spec.desiredState` itself is edited.

    Attributes:
        running: what the person wants.
        desired_state: what the spec said at that time; an edit of it ends the suspension.
    """

    running: bool
    desired_state: str
    at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Pause:
    """No automatic mutation, of the host or of one workspace."""

    reason: str
    at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Restarts:
    """How often a container was started again after it exited, since it last ran for ten minutes."""

    container_id: str
    count: int
    last_start: datetime


@dataclass(frozen=True, slots=True)
class BackOff:
    """A failed chain: when the workspace is tried again, and why it failed.

    Attributes:
        failures: in a row.
        key: of what was tried (generation and policy); another key is tried at once.
    """

    failures: int
    next_attempt: datetime
    reason: Reason
    message: str
    key: str


@dataclass(frozen=True, slots=True)
class Intent:
    """A chain that was begun and not resolved; what it was given counts as taken."""

    id: int
    workspace: str
    opened_at: datetime
    epoch: int
    verdict: str
    reason: str
    ports: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Retained:
    """A container that was replaced or removed and is kept, stopped."""

    container_id: str
    workspace: str
    name: str
    at: datetime
    reason: Reason


@dataclass(frozen=True, slots=True)
class Memory:
    """The ledger at the beginning of a pass.

    Attributes:
        epoch: of this controller; grows with each one that held the lock.
        claim_key: signs and verifies the claim label.
        nonce: 32 random bytes, new for each pass; new ids derive from it.
        restart_requests: workspaces whose restart a person asked for, with the time.
    """

    epoch: int
    claim_key: bytes
    nonce: bytes
    accepted: Mapping[str, AcceptedSpec] = field(default_factory=dict)
    spec_identity: tuple[int, int] | None = None
    port_blocks: tuple[PortBlock, ...] = ()
    port_grants: tuple[PortGrant, ...] = ()
    suspensions: Mapping[str, Suspension] = field(default_factory=dict)
    host_pause: Pause | None = None
    pauses: Mapping[str, Pause] = field(default_factory=dict)
    accounts: Mapping[str, Account] = field(default_factory=dict)
    restarts: Mapping[str, Restarts] = field(default_factory=dict)
    backoffs: Mapping[str, BackOff] = field(default_factory=dict)
    open_intents: tuple[Intent, ...] = ()
    retained: Mapping[str, Retained] = field(default_factory=dict)
    restart_requests: Mapping[str, datetime] = field(default_factory=dict)
