"""What people want: accepted specs, policy and catalog, and what is wrong with files that are not in force.

Refuses to drop what cannot be read: a rejected spec is not a removed one, a missing directory not an empty.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from controller.api.conditions import Reason
from controller.api.images import ImageCatalog
from controller.api.policy import ResourcePolicy
from controller.api.workspace import Workspace
from controller.model.observed import Seen, Unseen


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with a file. `line` and `column` count from 1; 0 where the whole file is meant."""

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        """The line that `wharf validate` prints."""
        where = f"{self.file}:{self.line}:{self.column}"
        return f"{where}: {self.path}: {self.message}" if self.path else f"{where}: {self.message}"


@dataclass(frozen=True, slots=True)
class SpecFile:
    """One settled, valid spec file: what it says now.

    Attributes:
        digest: SHA-256 of its bytes, hex.
        terminated: it ends with the line `...`, so its end is certain.
        lines: line by dotted path of a field, for origins and messages.
        settled_at: since when it has read the same.
    """

    file: str
    workspace: Workspace
    digest: str
    terminated: bool
    settled_at: datetime
    lines: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RejectedFile:
    """One file that is not in force: invalid or in conflict. `name` is its workspace's, if it can be told."""

    file: str
    name: str | None
    reason: Reason
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class SpecScan:
    """One complete scan of the spec directory.

    Attributes:
        identity: of the directory (device, inode), to tell a replaced one.
        files: settled and valid, by workspace name.
        rejected: not in force.
        settling: names of files that must be read once more.
        ignored: file name and why it is not a spec; editors' leftovers are not listed.
        next_look: when a settling file is due, if any.
        deliberate: a file that is missing is missing on purpose, however many are.
    """

    identity: tuple[int, int]
    files: Mapping[str, SpecFile]
    rejected: tuple[RejectedFile, ...] = ()
    settling: tuple[str, ...] = ()
    ignored: tuple[tuple[str, str], ...] = ()
    next_look: datetime | None = None
    deliberate: bool = False


@dataclass(frozen=True, slots=True)
class AcceptedSpec:
    """A spec in force, as the ledger keeps it.

    Attributes:
        uid: of the workspace object; a name that is used again gets another.
        generation: counts changes of the spec, from 1.
        accepted_at: when this generation was accepted.
        confirmed: its file was read the same 5 s later, or is terminated.
        missing_since: first complete scan in a row in which its file was gone, else None.
        created_at: when the first generation was accepted, None if this is the first.
    """

    workspace: Workspace
    uid: str
    generation: int
    digest: str
    file: str
    accepted_at: datetime
    confirmed: bool
    missing_since: datetime | None = None
    lines: Mapping[str, int] = field(default_factory=dict)
    created_at: datetime | None = None

    @property
    def since(self) -> datetime:
        """Since when there is the workspace, in whatever generation."""
        return self.created_at or self.accepted_at

    @property
    def name(self) -> str:
        """Name of the workspace."""
        return self.workspace.metadata.name


@dataclass(frozen=True, slots=True)
class AcceptedPolicy:
    """Policy and catalog in force.

    Attributes:
        digest: names the pair, and who belongs to its groups.
        findings: why newer files are not in force.
        members: login names by group, beside those that the policy itself lists.
        unread_groups: groups whose members could never be read: anybody may belong to them.
        policy_file, catalog_file: as messages and origins name them.
        lines, catalog_lines: line by dotted path of a field; empty where the file is not the one in force.
    """

    policy: ResourcePolicy
    catalog: ImageCatalog
    digest: str
    findings: tuple[Finding, ...] = ()
    members: Mapping[str, frozenset[str]] = field(default_factory=dict)
    unread_groups: frozenset[str] = frozenset()
    policy_file: str = "policy.yaml"
    catalog_file: str = "images.yaml"
    lines: Mapping[str, int] = field(default_factory=dict)
    catalog_lines: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Desired:
    """What the whole host shall look like.

    Attributes:
        specs: in force, by name; those whose file is gone or rejected included.
        scan: the scan behind it, or why there is none.
        rejected: files not in force, by workspace name or, without one, by file.
        removals_held: why no removal happens in this pass, empty if nothing holds them.
        accident: why the loss of specs looks like an accident; each removal needs a person's approval then.
        policy: in force, or why there is none.
    """

    specs: Mapping[str, AcceptedSpec]
    scan: Seen[SpecScan] | Unseen
    rejected: Mapping[str, RejectedFile]
    removals_held: str
    accident: str
    policy: AcceptedPolicy | Unseen
