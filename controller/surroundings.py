"""Knows what a pass talks to, as the pass sees it: the protocols of specs, Engine, host, ledger and crew.

Refuses to know who is behind them: the reconciler works against these, and the manager puts adapters there.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from controller.model.actions import Action, LedgerAction
from controller.model.desired import AcceptedPolicy, AcceptedSpec, SpecScan
from controller.model.effective import Effective
from controller.model.gpus import Fence, GpuView
from controller.model.images import ImageStore
from controller.model.memory import BackOff, Content, Held, Identity, Memory
from controller.model.observed import (
    NO_GPUS,
    NO_SLICES,
    Account,
    AccountSeen,
    EngineView,
    HostView,
    Layer,
    Seen,
    Unseen,
)
from controller.model.outcomes import Outcome
from controller.model.plan import Decision
from controller.model.sizes import Usage, Wanted
from controller.model.slices import Question, SliceView
from controller.workers import Finished


class Specs(Protocol):
    """The spec directory."""

    def observe(self, now: datetime) -> Seen[SpecScan] | Unseen:
        """Scan it once."""


class Policies(Protocol):
    """The policy and the catalog."""

    def observe(self, accounts: Mapping[str, AccountSeen], now: datetime) -> AcceptedPolicy | Unseen:
        """Return what is in force; `accounts` are the owners', as the host tells of them now."""

    def files(self) -> Mapping[tuple[str, str], int]:
        """Return the number of files by (kind, state)."""

    def directories(self) -> Iterable[str]:
        """Return the directories of all files that count now; it may be called from any thread."""

    @property
    def next_look(self) -> datetime | None:
        """When a file must be read again."""


class Engine(Protocol):
    """The Docker Engine."""

    def observe(self, references: frozenset[str], now: datetime) -> Seen[EngineView] | Unseen:
        """Look at all containers, and at what the references name."""

    def layers(self, ids: Iterable[str]) -> Mapping[str, Layer]:
        """Look at the writable layers of stopped containers; those that cannot be looked at are left out."""

    def images(self, references: Iterable[str], now: datetime) -> ImageStore | Unseen:
        """Look at all images, and at what the references mean."""


class Host(Protocol):
    """The host beside Docker."""

    def accounts(self, logins: Iterable[str], now: datetime) -> Mapping[str, AccountSeen]:
        """Return what the host tells of accounts now, by login name."""

    def observe(
        self,
        accounts: Mapping[str, AccountSeen],
        waiting: Iterable[Effective],
        running: Iterable[Effective],
        now: datetime,
    ) -> Seen[HostView] | Unseen:
        """Look at what waiting workspaces need before they can start, and at the secrets of running ones."""


class Ledger(Protocol):
    """What Docker cannot tell."""

    def recall(self, nonce: bytes, now: datetime) -> Memory:
        """Return all of it."""

    def probe(self, now: datetime) -> None:
        """Prove that it can be written."""

    def batch(self) -> AbstractContextManager[None]:
        """Write all that follows at once, or nothing of it."""

    def accept(self, accepted: Iterable[AcceptedSpec]) -> None:
        """Write specs in force."""

    def record_spec_identity(self, identity: tuple[int, int]) -> None:
        """Write which directory the specs came from."""

    def record_account(self, account: Account) -> None:
        """Write an account at first sight."""

    def clear_suspension(self, workspace: str) -> None:
        """Forget what a person asked for."""

    def clear_removal(self, workspace: str) -> None:
        """Forget that a person took the file of a workspace away."""

    def identify(self, seen: Iterable[Identity], gone: Iterable[str]) -> None:
        """Write which containers were first seen with an instance, and forget instances that none bears."""

    def record_contents(self, seen: Iterable[Content]) -> None:
        """Write which content references had here."""

    def record_asked(self, reference: str, at: datetime) -> None:
        """Write when the registry of a reference was asked last."""

    def open_intent(self, decision: Decision, now: datetime) -> int:
        """Write what is about to be done."""

    def resolve_intent(self, intent_id: int, results: tuple[Outcome, ...], now: datetime) -> None:
        """Write what came of it."""

    def abandon_intents(self, now: datetime) -> int:
        """Close the intents of earlier controllers."""

    def set_backoff(self, workspace: str, backoff: BackOff | None) -> None:
        """Write when a workspace is tried again."""

    def hold(self, held: Iterable[Held]) -> None:
        """Write what the breaker holds."""

    def fence(self, fences: Iterable[Fence], ended: Iterable[str]) -> None:
        """Write which GPUs are out of use by themselves, and forget those that are well again, by UUID."""

    def note_gpu_waits(self, waits: Mapping[str, datetime]) -> None:
        """Write who waits for GPUs since when, in place of all who did."""

    def proven_host(self) -> str:
        """Return the identity of the host at the last complete look."""

    def prove_host(self, identity: str) -> None:
        """Write the identity of a host that was looked at completely."""

    def execute(self, action: LedgerAction, now: datetime) -> Outcome:
        """Do one ledger action."""


class Crew(Protocol):
    """Those who execute chains."""

    def submit(self, decision: Decision, rest: tuple[Action, ...], intent_id: int) -> None:
        """Begin a chain."""

    def busy(self) -> frozenset[str]:
        """Return the subjects with a chain under way."""

    def collect(self) -> tuple[Finished, ...]:
        """Return the chains that have ended."""


class Sizes(Protocol):
    """What is measured of workspaces, by somebody for whom nobody waits."""

    def observe(self, wanted: Mapping[str, Wanted], now: datetime) -> Mapping[str, Usage]:
        """Return what was measured last, and have these measured from now on."""


class NoSizes:
    """Nothing is measured."""

    def observe(self, wanted: Mapping[str, Wanted], now: datetime) -> Mapping[str, Usage]:
        """Return nothing."""
        del wanted, now
        return {}


class Gpus(Protocol):
    """What is known of the host's GPUs, from somebody who looks at them all the time."""

    def observe(self, running: Mapping[str, int], now: datetime) -> Seen[GpuView] | Unseen:
        """Return the latest look; `running` are our running containers with devices: pid by full id."""


class NoGpus:
    """Nobody looks for GPUs."""

    def observe(self, running: Mapping[str, int], now: datetime) -> Seen[GpuView] | Unseen:
        """Return none."""
        del running, now
        return NO_GPUS


class Slices(Protocol):
    """The cgroups that owners' containers are in."""

    def observe(self, question: Question, now: datetime) -> Seen[SliceView] | Unseen:
        """Look at all of them."""


class NoSlices:
    """Nobody makes any."""

    def observe(self, question: Question, now: datetime) -> Seen[SliceView] | Unseen:
        """Return none."""
        del question, now
        return NO_SLICES


class Errands(Protocol):
    """What people asked for that is done at once or not at all, and so is not written down."""

    def room_wanted(self, now: datetime) -> datetime | None:
        """Return since when somebody wants images to go; None: nobody does."""

    def room_made(self) -> None:
        """Take that as done."""


class NoErrands:
    """Nobody asks for anything."""

    def room_wanted(self, now: datetime) -> datetime | None:
        """Nobody does."""
        del now
        return None

    def room_made(self) -> None:
        """Nobody waits for it."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything outside that a pass talks to."""

    specs: Specs
    policies: Policies
    engine: Engine
    host: Host
    ledger: Ledger
    crew: Crew
    errands: Errands = field(default_factory=NoErrands)
    sizes: Sizes = field(default_factory=NoSizes)
    gpus: Gpus = field(default_factory=NoGpus)
    slices: Slices = field(default_factory=NoSlices)
