"""What the ledger remembers, as one frozen value: all that Docker cannot tell.

Refuses to hold what Docker can tell: a container is where the Engine says it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum

from controller.api import references
from controller.api.conditions import Reason
from controller.model.desired import AcceptedSpec
from controller.model.gpus import Cordon, Fence
from controller.model.observed import Account, Limits


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
    """A person's `wharf stop` or `wharf start`: the last word wins until `spec.desiredState` is edited.

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
class GivenLimits:
    """The limits that the controller gave to the container of a workspace last.

    What a running one has above them, somebody else gave to it. The attributes are those of `Limits`.
    """

    container_id: str
    nano_cpus: int | None = None
    cpuset: str | None = None
    memory: int | None = None
    memory_reservation: int | None = None
    memory_swap: int | None = None
    pids: int | None = None

    @classmethod
    def of(cls, container_id: str, limits: Limits) -> "GivenLimits":
        """Return what is to be remembered of a container that gets these limits."""
        return cls(container_id, **{item.name: getattr(limits, item.name) for item in fields(Limits)})

    @property
    def limits(self) -> Limits:
        """The limits alone."""
        return Limits(**{item.name: getattr(self, item.name) for item in fields(Limits)})


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
    """A chain that was begun and not resolved; what it was given counts as taken.

    Attributes:
        images: references of what it pulls, or makes a container from.
        gpus: UUIDs of the devices that it was granted.
    """

    id: int
    workspace: str
    opened_at: datetime
    epoch: int
    verdict: str
    reason: str
    ports: tuple[int, ...] = ()
    images: tuple[str, ...] = ()
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Retained:
    """A container that was replaced or removed and is kept, stopped."""

    container_id: str
    workspace: str
    name: str
    at: datetime
    reason: Reason


class Cause(StrEnum):
    """Why a running workspace is disrupted without anybody asking for it; each has a breaker of its own."""

    EDITED = "Edited"
    """Its spec, class, policy or catalog was edited."""
    IMAGE_MOVED = "ImageMoved"
    """Its image reference means another image on this host."""
    REMOVED = "Removed"
    """Its spec is gone."""
    APPROVED = "Approved"
    """A person let it go: no breaker counts it, the pace does."""


@dataclass(frozen=True, slots=True)
class Disruption:
    """One stop of a running container for a cause, from the intent journal."""

    workspace: str
    cause: Cause
    at: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """A disruption that the breaker holds until a person approves it; `change` says what would come of it."""

    workspace: str
    cause: Cause
    change: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Approval:
    """A person let a held or parked change of a workspace go; `change` names which one and no other."""

    workspace: str
    change: str
    at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class RemovalRequest:
    """A person took the spec file away and said so; it is void once the file is seen again."""

    workspace: str
    at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Replacement:
    """A replacement that is not proven yet: until its container ran well, the old one may come back.

    Attributes:
        old_id: the container that makes way.
        template_hash, image_id: of the new one; they are not tried again if it fails.
    """

    workspace: str
    old_id: str
    template_hash: str
    image_id: str
    begun_at: datetime


@dataclass(frozen=True, slots=True)
class Rollback:
    """A kept container is being put back.

    Attributes:
        to_id: the container that comes back.
        requested: a person asked for it, so it is pinned; else the replacement failed.
    """

    workspace: str
    to_id: str
    requested: bool
    at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Pin:
    """A container that stays although its template is not the spec's, until the spec's generation changes."""

    workspace: str
    container_id: str
    generation: int
    at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class FailedTemplate:
    """A template whose container could not be started or ended at once; it is not tried again by itself."""

    workspace: str
    template_hash: str
    image_id: str
    message: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Adoption:
    """A container that a person declared ours although its claim cannot be verified."""

    container_id: str
    workspace: str
    at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Identity:
    """The container that was first seen with an instance of ours; any other one with it is a copy."""

    instance: str
    container_id: str


@dataclass(frozen=True, slots=True)
class Content:
    """What a reference named on this host at some time.

    Attributes:
        digest: in its repository, `registry/name@sha256:...`, as its registry knows it.
        image_id: of the image here.
        at: when it was first seen here.
    """

    digest: str
    image_id: str
    reference: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Memory:
    """The ledger at the beginning of a pass.

    Attributes:
        epoch: of this controller; grows with each one that held the lock.
        claim_key: signs and verifies the claim label.
        nonce: 32 random bytes, new for each pass; new ids derive from it.
        port_holds: until when a block stays whose owner has no workspace, by its first port.
        restart_requests: workspaces whose restart a person asked for, with the time.
        forget_requests: kept containers that a person wants removed, by full id.
        removal_requests: workspaces that a person deleted.
        disruptions: of the last ten minutes.
        given_limits, held, approvals, replacements, rollbacks, pins, failed: by workspace.
        adopted: by container id.
        identities: by instance.
        contents: by digest.
        asked: by reference, when a pull of it began that its registry answered, the last one.
        cordons, fences: devices out of use, by UUID.
        gpu_waits: since when a workspace waits for devices, by workspace.
        slice_repairs: when, within the last hour, a slice was set again to the limits that it was set to
            before and that somebody else had changed since, by owner.
    """

    epoch: int
    claim_key: bytes
    nonce: bytes
    accepted: Mapping[str, AcceptedSpec] = field(default_factory=dict)
    spec_identity: tuple[int, int] | None = None
    port_blocks: tuple[PortBlock, ...] = ()
    port_grants: tuple[PortGrant, ...] = ()
    port_holds: Mapping[int, datetime] = field(default_factory=dict)
    suspensions: Mapping[str, Suspension] = field(default_factory=dict)
    host_pause: Pause | None = None
    pauses: Mapping[str, Pause] = field(default_factory=dict)
    accounts: Mapping[str, Account] = field(default_factory=dict)
    restarts: Mapping[str, Restarts] = field(default_factory=dict)
    backoffs: Mapping[str, BackOff] = field(default_factory=dict)
    open_intents: tuple[Intent, ...] = ()
    retained: Mapping[str, Retained] = field(default_factory=dict)
    restart_requests: Mapping[str, datetime] = field(default_factory=dict)
    forget_requests: Mapping[str, datetime] = field(default_factory=dict)
    removal_requests: Mapping[str, RemovalRequest] = field(default_factory=dict)
    disruptions: tuple[Disruption, ...] = ()
    held: Mapping[str, Held] = field(default_factory=dict)
    approvals: Mapping[str, Approval] = field(default_factory=dict)
    replacements: Mapping[str, Replacement] = field(default_factory=dict)
    rollbacks: Mapping[str, Rollback] = field(default_factory=dict)
    pins: Mapping[str, Pin] = field(default_factory=dict)
    failed: Mapping[str, FailedTemplate] = field(default_factory=dict)
    adopted: Mapping[str, Adoption] = field(default_factory=dict)
    identities: Mapping[str, Identity] = field(default_factory=dict)
    contents: Mapping[str, Content] = field(default_factory=dict)
    asked: Mapping[str, datetime] = field(default_factory=dict)
    given_limits: Mapping[str, GivenLimits] = field(default_factory=dict)
    cordons: Mapping[str, Cordon] = field(default_factory=dict)
    fences: Mapping[str, Fence] = field(default_factory=dict)
    gpu_waits: Mapping[str, datetime] = field(default_factory=dict)
    slice_repairs: Mapping[str, tuple[datetime, ...]] = field(default_factory=dict)

    def digest_of(self, reference: str, image_id: str) -> str | None:
        """Return by which digest the reference's registry gave an image, None where that was never seen."""
        held = (one.digest for one in self.contents.values() if one.image_id == image_id)
        return references.among(held, reference)
