"""The closed vocabulary of what the controller can do: one frozen value, one call, complete in itself.

Refuses volume deletion, removal of volumes with a container, prune, forced removal and exec: there is no word
for them here, so no plan can say them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from controller.api.config import SliceDriver
from controller.model.memory import (
    FailedTemplate,
    GivenLimits,
    Pin,
    PortBlock,
    PortGrant,
    Replacement,
    Restarts,
    Rollback,
)
from controller.model.observed import Limits
from controller.model.slices import SliceLimits
from controller.model.template import Template


@dataclass(frozen=True, slots=True)
class Expected:
    """What a disturbing action expects of its container; the executor compares it by one inspect.

    Attributes:
        running: whether it must run.
        started_at: of the run that was seen; None if it never ran.
        pid: of the main process that was seen, 0 if none.
    """

    running: bool
    started_at: datetime | None
    pid: int


@dataclass(frozen=True, slots=True)
class PullImage:
    """Pull a reference. Already so: the Engine says it is up to date."""

    workspace: str
    reference: str


@dataclass(frozen=True, slots=True)
class EnsureNetwork:
    """Create one of the workspaces' bridges. Already so: a network of that name exists."""

    name: str
    subnet: str | None
    inter_container: bool


@dataclass(frozen=True, slots=True)
class CreateContainer:
    """Create a container under its name, not started. Already so: one with this `.instance` has the name."""

    workspace: str
    name: str
    template: Template
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StartContainer:
    """Start a created or exited container that still has its name, if no other one of its workspace runs.

    Already so: it runs.

    Attributes:
        gpus: UUIDs of the devices that it was granted: while the chain is under way they are taken.
    """

    workspace: str
    container_id: str
    name: str
    expected: Expected
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StopContainer:
    """Stop a running container: TERM, and KILL after the grace. Already so: it does not run."""

    workspace: str
    container_id: str
    name: str
    grace: timedelta
    expected: Expected


@dataclass(frozen=True, slots=True)
class UnpauseContainer:
    """Thaw a container that somebody froze. Already so: it is not frozen."""

    workspace: str
    container_id: str
    name: str


@dataclass(frozen=True, slots=True)
class RenameContainer:
    """Give a container another name. Already so: it has it."""

    workspace: str
    container_id: str
    old_name: str
    new_name: str


@dataclass(frozen=True, slots=True)
class RemoveContainer:
    """Remove a stopped container, never its volumes. Already so: it is gone."""

    workspace: str
    container_id: str
    name: str
    expected: Expected


@dataclass(frozen=True, slots=True)
class RemoveImage:
    """Remove one image that no container was made from, and no other with it. Already so: it is gone.

    Attributes:
        references: its names as `StoredImage` has them; an image with others is left alone.
    """

    image_id: str
    references: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UpdateLimits:
    """Set the limits of a container and read them back from the kernel. Already so: they are set.

    Attributes:
        limits: complete; None means unlimited, which is written as the host's total, and for the reservation
            nothing guaranteed, which is written as `template.LEAST_RESERVATION`: the Engine ignores zeros.
    """

    workspace: str
    container_id: str
    name: str
    limits: Limits
    expected: Expected


@dataclass(frozen=True, slots=True)
class ClearRestartPolicy:
    """Set the Engine's restart policy of a container back to `no`. Already so: it is."""

    workspace: str
    container_id: str
    name: str


@dataclass(frozen=True, slots=True)
class ConnectNetwork:
    """Attach a container to its network. Already so: it is attached."""

    workspace: str
    container_id: str
    name: str
    network: str


@dataclass(frozen=True, slots=True)
class PrepareMount:
    """Check a mount's source once more; make what is missing if it may be made. Already so: it is there.

    Attributes:
        roots: the mount roots that are allowed.
        create: whether missing directories are made; the last one belongs to uid and gid, mode 0700.
        nosuid: whether the file system must be mounted nosuid,nodev.
    """

    workspace: str
    mount: str
    source: str
    roots: tuple[str, ...]
    create: bool
    nosuid: bool
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class WriteSecrets:
    """Write a workspace's secrets anew for its next start: (name, file below the secrets directory) each."""

    workspace: str
    secrets: tuple[tuple[str, str], ...]
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class WriteRoute:
    """Write a document for the site's proxy, whole or not at all. Already so: it reads exactly so.

    Attributes:
        file: its name in the proxy's directory.
    """

    workspace: str
    file: str
    text: str


@dataclass(frozen=True, slots=True)
class RemoveRoute:
    """Remove a document for the site's proxy. Already so: it is gone."""

    workspace: str
    file: str


@dataclass(frozen=True, slots=True)
class SetSlice:
    """Make a slice or change its limits, and read them back from the kernel. Already so: it has them.

    A hard limit of memory is never written below what is in use: then it is `Skipped`.

    Attributes:
        owner: login name; `slices.ROOT` for the slice above all.
        name: of the slice, as `slicenames.parent` gives it.
        limits: complete; what the kernel cannot enforce is left out already.
    """

    driver: SliceDriver
    owner: str
    name: str
    limits: SliceLimits


@dataclass(frozen=True, slots=True)
class RemoveSlice:
    """Remove a slice that nothing runs in; a populated one is `Skipped`. Already so: it is gone."""

    driver: SliceDriver
    owner: str
    name: str


@dataclass(frozen=True, slots=True)
class LimitCgroup:
    """Write limits into a running container's own cgroup, past the Engine, and read them back.

    For containers that an update would cost their GPUs, and for what the Engine cannot say. Already so: it
    has them. A hard limit of memory is never written below what is in use: then it fails, and is tried again.

    Attributes:
        limits: complete, None for unlimited each; None in place of all leaves them as they are.
        memory_high: above this memory is reclaimed, bytes; None is unlimited.
    """

    workspace: str
    container_id: str
    name: str
    limits: Limits | None
    memory_high: int | None
    expected: Expected


@dataclass(frozen=True, slots=True)
class GrantPorts:
    """Write port blocks and grants to the ledger before anything uses them."""

    workspace: str
    blocks: tuple[PortBlock, ...]
    grants: tuple[PortGrant, ...]


@dataclass(frozen=True, slots=True)
class ReturnPorts:
    """Write to the ledger that ports of a workspace are free. Already so: they are not granted so."""

    workspace: str
    grants: tuple[PortGrant, ...]


@dataclass(frozen=True, slots=True)
class RecordRestarts:
    """Write to the ledger that a container is started again, and with which limits (None: as they are)."""

    workspace: str
    restarts: Restarts
    given: GivenLimits | None = None


@dataclass(frozen=True, slots=True)
class RecordLimits:
    """Write to the ledger which limits a running container gets, before it gets them."""

    workspace: str
    given: GivenLimits


@dataclass(frozen=True, slots=True)
class RetainContainer:
    """Write to the ledger that a container is kept."""

    workspace: str
    container_id: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class ForgetRetained:
    """Write to the ledger that a container is no longer only kept."""

    workspace: str
    container_id: str


@dataclass(frozen=True, slots=True)
class ForgetWorkspace:
    """Write to the ledger that a workspace is gone: its accepted spec, requests and port grants."""

    workspace: str


@dataclass(frozen=True, slots=True)
class CompleteRestart:
    """Write to the ledger that the restart a person asked for was begun."""

    workspace: str


@dataclass(frozen=True, slots=True)
class BeginReplacement:
    """Write to the ledger that a container makes way, before anything of it is done."""

    workspace: str
    replacement: Replacement


@dataclass(frozen=True, slots=True)
class EndReplacement:
    """Write to the ledger that a replacement is proven, or (`failed`) given up."""

    workspace: str
    failed: FailedTemplate | None


@dataclass(frozen=True, slots=True)
class BeginRollback:
    """Write to the ledger that a kept container is put back, before anything of it is done."""

    workspace: str
    rollback: Rollback


@dataclass(frozen=True, slots=True)
class EndRollback:
    """Write to the ledger that a kept container is back, and (`pin`) stays."""

    workspace: str
    pin: Pin | None


EngineAction: TypeAlias = (
    PullImage
    | EnsureNetwork
    | CreateContainer
    | StartContainer
    | StopContainer
    | UnpauseContainer
    | RenameContainer
    | RemoveContainer
    | UpdateLimits
    | ClearRestartPolicy
    | ConnectNetwork
    | RemoveImage
)
HostAction: TypeAlias = PrepareMount | WriteSecrets | WriteRoute | RemoveRoute
LedgerAction: TypeAlias = (
    GrantPorts
    | ReturnPorts
    | RecordRestarts
    | RecordLimits
    | RetainContainer
    | ForgetRetained
    | ForgetWorkspace
    | CompleteRestart
    | BeginReplacement
    | EndReplacement
    | BeginRollback
    | EndRollback
)
SliceAction: TypeAlias = SetSlice | RemoveSlice | LimitCgroup
Action: TypeAlias = EngineAction | HostAction | LedgerAction | SliceAction
