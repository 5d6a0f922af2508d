"""What the invariants are judged by: what the journal says was done, and what truly happened and is true now.

It refuses to know where it comes from: a simulated world fills it completely, a real host as far as journal
and Engine can tell; a field that nobody can tell is None.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Deed:
    """One action of one chain, as the intent journal has it.

    Attributes:
        at: when its intent was opened.
        intent: number of the chain's intent.
        place: of the action in its chain, from 0.
        kind: class name of the action, such as `StopContainer`.
        facts: its fields as plain values (times as ISO 8601, lengths in seconds).
        result: class name of the outcome; `Abandoned` if its controller died, empty while nothing is known.
        resolved_at: when the chain's intent was resolved; None while it is open.
    """

    at: datetime
    epoch: int
    intent: int
    place: int
    workspace: str
    verdict: str
    reason: str
    cause: str | None
    disrupts: bool
    kind: str
    facts: Mapping[str, object]
    result: str
    resolved_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that truly happened to a container.

    Attributes:
        what: `create`, `start`, `stop`, `die`, `destroy`, `rename`, `update`, `pause`, `unpause`.
        workspace: by its valid claim; empty for what is not ours.
        by: `controller`, `person`, `engine`, `process`; None where nobody can tell.
        epoch: of the controller that asked for it; None if another did, or nobody can tell.
        intent: number of the open intent under which it was asked for.
        started_at, pid: of the run that it met, before it.
        ever_ran: whether the container had run before it.
        bytes_held: what users had written into its layer before it; None where nobody can tell.
        seen_at: when the look began on which the controller decided it; None for what others did.
        asked_at: when the call was sent: the Engine may carry it out much later; None where nobody can tell.
        compared_at: when the Engine read what the executor compared with just before the call.
        run_known: whether `started_at` and `pid` were looked at.
        claim_known: whether its claim was looked at; else `workspace` is only what the journal says.
    """

    at: datetime
    what: str
    container_id: str
    name: str
    workspace: str
    by: str | None = None
    epoch: int | None = None
    intent: int | None = None
    started_at: datetime | None = None
    pid: int = 0
    ever_ran: bool = False
    bytes_held: int | None = None
    seen_at: datetime | None = None
    asked_at: datetime | None = None
    compared_at: datetime | None = None
    run_known: bool = True
    claim_known: bool = True


@dataclass(frozen=True, slots=True)
class Standing:
    """A container as it truly is now.

    Attributes:
        owned: its claim is valid.
        kept: it is put aside under a retained name, or the ledger keeps it.
        units: what it has exclusively while it can run, such as `port/10022`.
        binds: host paths of its mounts.
    """

    container_id: str
    name: str
    workspace: str
    owned: bool
    running: bool
    kept: bool
    started_at: datetime | None
    pid: int
    units: frozenset[str] = frozenset()
    binds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ask:
    """Something that a person said: a command of `wharf`, or an edit of a file.

    Attributes:
        what: `stop`, `start`, `restart`, `approve`, `rollback`, `forget`, `delete`; of the spec file `edit`,
            `remove`.
        subject: workspace, or full container id for `forget`.
    """

    at: datetime
    what: str
    subject: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that there is; later entries happened later.

    Attributes:
        deeds: in the order of their intents' numbers.
        fresh_deeds, fresh_happenings: index of the first that was not judged yet: after each step of a
            simulation only what is new is judged, against all that was before.
        fresh_texts: index of the first text that was not searched yet.
        asks: None where nobody can tell; `asks_since`: what was said before is not known, None if all is;
            `unheard`: kinds of which not every one is kept.
        epoch: of the controller that holds the lock, begun at `epoch_began`; None where nobody can tell.
        per_minute, percent: the budget in force; None where nobody can tell.
        deletion_grace, retain: how long a spec must be gone, and how long a container is kept at least; None
            where nobody can tell, or where the controller's clock was set forward.
        roots: host directories beneath which mounts may lie, that of the secrets among them.
        texts: everything that was told (logs, events, labels, journal), where a secret must not be.
        canaries: secrets that must not be in `texts`.
        spec_digests: of every spec that a person wrote completely, by workspace; None where nobody can tell.
        accepted: digest in force, by workspace.
        enforced: which limits the policy in force let stop what runs, since when; None where nobody can tell.
    """

    at: datetime
    deeds: Sequence[Deed] = ()
    happenings: Sequence[Happening] = ()
    standings: Sequence[Standing] = ()
    asks: Sequence[Ask] | None = None
    fresh_deeds: int = 0
    fresh_happenings: int = 0
    epoch: int | None = None
    per_minute: int | None = None
    percent: int | None = None
    roots: tuple[str, ...] | None = None
    texts: tuple[str, ...] = ()
    canaries: tuple[str, ...] = ()
    spec_digests: Mapping[str, frozenset[str]] | None = None
    accepted: Mapping[str, str] = field(default_factory=dict)
    fresh_texts: int = 0
    deletion_grace: timedelta | None = None
    retain: timedelta | None = None
    asks_since: datetime | None = None
    unheard: frozenset[str] = frozenset()
    epoch_began: datetime | None = None
    enforced: Sequence[tuple[datetime, frozenset[str]]] | None = None
