"""The closed vocabulary of what the controller can do: one frozen value, one call, complete in itself.

Refuses volume deletion, removal of volumes with a container, prune, forced removal and exec: there is no word
for them here, so no plan can say them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from controller.model.gpus import VISIBLE_DEVICES, Attachment
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
from controller.model.observed import Bind, Limits, PublishedPort


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
class Template:
    """All that a container is made from. What of it needs a new container is in its hash.

    Attributes:
        user: `uid:gid`, or None for the image's.
        env: what is added to the image's.
        command: None for the image's.
        shm: bytes.
        log_max_size, log_max_files: rotation of the container's log.
        stop_grace: given to the Engine for those who stop it by hand.
        capabilities: of the kernel, by name without CAP_: these and no others; None for the Engine's choice.
        privileged: every capability and every device of the host.
        runtime: the Engine's name of what runs it, None for its default.
        gpus: the devices that it gets; None for none. Not in the hash: the label `.gpus` names them.
    """

    image: str
    hostname: str
    command: tuple[str, ...] | None
    env: tuple[tuple[str, str], ...]
    user: str | None
    init: bool
    binds: tuple[Bind, ...]
    ports: tuple[PublishedPort, ...]
    network: str
    shm: int
    limits: Limits
    stop_grace: timedelta
    log_max_size: str = "10m"
    log_max_files: int = 3
    capabilities: tuple[str, ...] | None = None
    privileged: bool = False
    runtime: str | None = None
    gpus: Attachment | None = None

    @property
    def environment(self) -> tuple[tuple[str, str], ...]:
        """What is added to the image's environment, with the devices that are visible."""
        if self.gpus is None:
            return self.env
        return tuple(sorted({**dict(self.env), VISIBLE_DEVICES: self.gpus.visible}.items()))


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


LEAST_RESERVATION = 6 * 2**20
"""The least guaranteed memory that the Engine takes, bytes; this or less is none."""


@dataclass(frozen=True, slots=True)
class UpdateLimits:
    """Set the limits of a container and read them back from the kernel. Already so: they are set.

    Attributes:
        limits: complete; None means unlimited, which is written as the host's total, and for the reservation
            nothing guaranteed, which is written as `LEAST_RESERVATION`: the Engine ignores zeros.
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
Action: TypeAlias = EngineAction | HostAction | LedgerAction
