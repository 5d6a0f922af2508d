"""What is said of workspaces and owners, and the report of one pass that everything told is folded from.

Refuses to be read back as truth: a status is wording, the next pass does not need it to be correct.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from controller.api.conditions import ConditionStatus, ConditionType, DriftKind, Reason
from controller.model.desired import AcceptedPolicy, AcceptedSpec, Finding, RejectedFile
from controller.model.gpustatus import NO_GPUS, GpuStatus, WorkspaceGpus
from controller.model.observed import NOT_LOOKED_AT, Account, Container, Disk, Unseen
from controller.model.outcomes import Outcome
from controller.model.plan import Decision, HostFinding, Plan
from controller.model.sizes import Usage
from controller.model.slicestatus import NONE as NO_SLICES
from controller.model.slicestatus import SlicesStatus


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a workspace; `last_transition` moves only when `status` changes."""

    type: ConditionType
    status: ConditionStatus
    reason: Reason
    message: str
    last_transition: datetime
    observed_generation: int


@dataclass(frozen=True, slots=True)
class EffectiveValue:
    """One effective value in words, and where it came from: `policy.yaml:14 (class vm)`.

    Attributes:
        file: that says it, empty for a default; `line` in it, 0 where it is not known.
        rule: what says it, such as `class vm`; `workspace` for its own file, and `default`.
    """

    path: str
    value: str
    origin: str
    file: str = ""
    line: int = 0
    rule: str = ""


@dataclass(frozen=True, slots=True)
class ServiceAddress:
    """One service of a workspace and what reaches it: a host port, an address at the site's proxy, if any."""

    service: str
    container_port: int
    host_port: int | None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class WorkspaceStatus:
    """All that `wharf get workspace NAME -o yaml` shows beside the spec.

    Attributes:
        conditions: by type; READY always there.
        drift_since: since when each kind of drift has existed.
        image_reference: what the Engine is asked for.
        image_id: what that means on this host.
        image_digest: by which a registry knows what the container was made from, `registry/name@sha256:...`.
        next_attempt: of something that failed or waits, if any.
        usage: bytes that it takes, as they were measured last; None: nobody measures them.
        gpus: what it wants of the GPUs and has; None: nothing.
    """

    workspace: str
    owner: str
    uid: str
    generation: int
    observed_generation: int
    created_at: datetime
    desired_running: bool
    conditions: Mapping[ConditionType, Condition]
    decision: Decision
    drift_since: Mapping[DriftKind, datetime] = field(default_factory=dict)
    container: Container | None = None
    image_reference: str | None = None
    image_id: str | None = None
    image_digest: str | None = None
    services: tuple[ServiceAddress, ...] = ()
    effective: tuple[EffectiveValue, ...] = ()
    rejected: RejectedFile | None = None
    spec: AcceptedSpec | None = None
    next_attempt: datetime | None = None
    usage: Usage | None = None
    gpus: WorkspaceGpus | None = None


@dataclass(frozen=True, slots=True)
class Exemption:
    """What somebody allowed for a time: a grant, a user's own entry in the policy, or a privilege.

    Attributes:
        rule: `grant thesis`, `user alice` or `privileged`.
        origin: where it stands.
        state: InForce, NotYet or Over.
        starts, expires: None where it has no such end.
    """

    rule: str
    origin: str
    state: str
    starts: datetime | None
    expires: datetime | None
    reason: str
    approved_by: str


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """One quota in words, and how much of it is used now, in the same words."""

    limit: EffectiveValue
    used: str


@dataclass(frozen=True, slots=True)
class OwnerStatus:
    """One owner: what that owner may have and has, and why.

    Attributes:
        account: as the workspaces have it; None where none is known.
        group: the one that counts, empty for none.
        groups: all that the owner is a member of.
        why: how the group came to count, or why none can be told, as a sentence.
        layers: what is said of the owner's workspaces, weakest first, as origins.
        quotas: every quota, those without a cap included.
        aggregate: limits on the owner's workspaces together.
        workspaces: names.
    """

    name: str
    account: Account | None
    group: str
    groups: tuple[str, ...]
    why: str
    layers: tuple[str, ...]
    exemptions: tuple[Exemption, ...]
    quotas: tuple[QuotaUse, ...]
    aggregate: tuple[EffectiveValue, ...]
    workspaces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, for people: deduplicated by subject, reason and message.

    Attributes:
        subject: name of a workspace, a file or `host`.
        warning: something a person should look at.
    """

    at: datetime
    subject: str
    reason: Reason
    message: str
    warning: bool
    count: int = 1
    first_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ChainReport:
    """One finished chain: its decision and what came of each of its actions."""

    decision: Decision
    outcomes: tuple[Outcome, ...]
    started_at: datetime
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class PassReport:
    """All that one pass found, decided and started.

    Attributes:
        cause: event, spec, resync, startup, request or chain: what woke the pass.
        seconds: how long the pass took.
        mode: Enforce, Observe, or Paused while a person paused the host.
        complete: every part was Seen.
        unseen: reason and message of each part that was not.
        spec_files: number of files by (kind, state).
        ignored_files: in the spec directory, name and why each is no spec.
        chains: finished since the pass before.
        disk: that holds the Engine's data.
        policy: in force with its catalog, None where there is none.
        owners: everybody who has a workspace or is named in the policy; worked out when asked for.
        images: image id by every reference that was looked up; None where the Engine lacks it.
        wanted_images: what wants an image, by the image's reference.
        gpus: of the host, who holds and uses each, and who waits for any.
        slices: what each owner's workspaces may use together, and use.
        groups: which group counts, by owner of a workspace; without those for whom none does.
    """

    pass_id: int
    at: datetime
    seconds: float
    cause: str
    mode: str
    plan: Plan
    statuses: Mapping[str, WorkspaceStatus]
    complete: bool
    unseen: tuple[tuple[str, Reason, str], ...] = ()
    spec_files: Mapping[tuple[str, str], int] = field(default_factory=dict)
    file_findings: tuple[Finding, ...] = ()
    ignored_files: tuple[tuple[str, str], ...] = ()
    findings: tuple[HostFinding, ...] = ()
    chains: tuple[ChainReport, ...] = ()
    in_progress: frozenset[str] = frozenset()
    disk: Disk | Unseen = NOT_LOOKED_AT
    policy: AcceptedPolicy | None = None
    owners: Mapping[str, OwnerStatus] = field(default_factory=dict)
    images: Mapping[str, str | None] = field(default_factory=dict)
    wanted_images: Mapping[str, str] | Unseen = field(default_factory=dict)
    gpus: GpuStatus = NO_GPUS
    slices: SlicesStatus = NO_SLICES
    groups: Mapping[str, str] = field(default_factory=dict)
