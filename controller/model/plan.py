"""The result of deciding: one decision per workspace, each with a reason, and the actions that follow.

Refuses edges between workspaces: a chain touches only its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from controller.api.conditions import DriftKind, Reason
from controller.model.actions import Action, EnsureNetwork
from controller.model.gpus import Fence
from controller.model.memory import Cause, Held


class Verdict(StrEnum):
    """What shall happen to a workspace; the last three have no actions and still a reason."""

    CREATE = "Create"
    START = "Start"
    UPDATE = "Update"
    REPLACE = "Replace"
    STOP = "Stop"
    REMOVE = "Remove"
    KEEP = "Keep"
    WAIT = "Wait"
    HOLD = "Hold"


class Remedy(StrEnum):
    """How a drift is cured."""

    LIVE = "live"
    """Changed while the container runs."""
    RESTART = "restart"
    """Changed at the next start of the same container."""
    OWNER = "owner"
    """Changed for all workspaces of the owner at once, beside this one."""
    REPLACE = "replace"
    """Needs a new container."""
    REPORT = "report"
    """Only said."""


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference between spec and container, in words: `field`, what it is, what it should be."""

    kind: DriftKind
    field: str
    observed: str
    desired: str
    remedy: Remedy

    def __str__(self) -> str:
        """`resources memory 128m -> 64m`."""
        return f"{self.kind} {self.field} {self.observed} -> {self.desired}"


@dataclass(frozen=True, slots=True)
class NotEnforced:
    """A field of the spec that is accepted and has no effect: in this version, or as things are."""

    path: str
    message: str
    reason: Reason = Reason.NOT_ENFORCED


@dataclass(frozen=True, slots=True)
class Note:
    """Something that a person should know of a workspace and that keeps it from nothing."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What is decided for one workspace.

    Attributes:
        message: a sentence for people with the specifics.
        actions: in order; executed one after another until one does not succeed.
        retry_at: when it is worth looking again although nothing changed.
        disrupts: it stops a container that runs.
        container_id: of the container it is about, if there is one.
        key: of what was decided on; a failure of it is backed off until the key changes.
        cause: of a disruption that nobody asked for; the budget counts it.
        change: names what the workspace would become; an approval is for one change.
    """

    workspace: str
    verdict: Verdict
    reason: Reason
    message: str = ""
    drifts: tuple[Drift, ...] = ()
    actions: tuple[Action, ...] = ()
    retry_at: datetime | None = None
    disrupts: bool = False
    container_id: str | None = None
    key: str = ""
    not_enforced: tuple[NotEnforced, ...] = ()
    notes: tuple[Note, ...] = ()
    cause: Cause | None = None
    change: str = ""


@dataclass(frozen=True, slots=True)
class HostFinding:
    """Something about the host that no workspace owns: a foreign look-alike, an orphan, a network."""

    reason: Reason
    subject: str
    message: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What is decided for the whole host: exactly one decision for each workspace, by name.

    Attributes:
        next_look: when it is worth looking again although nothing changed.
        held: what the breaker holds from now on; to be written down.
        fences: GPUs that are out of use by themselves from now on, or for something else; to be written down.
        fences_ended: UUIDs of those that are of use again.
        gpu_waits: since when workspaces wait for GPUs, all of them, by name; None where that is not known.
        upkeep: of kept containers, which belong to no workspace any more.
    """

    decisions: Mapping[str, Decision]
    host_actions: tuple[EnsureNetwork, ...] = ()
    findings: tuple[HostFinding, ...] = ()
    next_look: datetime | None = field(default=None)
    held: tuple[Held, ...] = ()
    upkeep: tuple[Decision, ...] = ()
    fences: tuple[Fence, ...] = ()
    fences_ended: tuple[str, ...] = ()
    gpu_waits: Mapping[str, datetime] | None = None
