"""Knows everything about one workspace that its decision rests on: of spec, Engine, host and ledger.

Refuses to decide: it only puts side by side what belongs together.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from controller.api import labels
from controller.api.conditions import DriftKind, Reason
from controller.api.config import GpuAttach, SliceDriver
from controller.api.presets import Enforcement, LimitName
from controller.model import slicestatus
from controller.model.actions import Action, Expected
from controller.model.desired import AcceptedSpec, RejectedFile
from controller.model.effective import Effective, Refusal
from controller.model.memory import Cause, Intent, Memory, Suspension
from controller.model.observed import Container, EngineView, HostView, Unseen
from controller.model.plan import Decision, Drift, Note, NotEnforced, Remedy, Verdict
from controller.model.routes import NO_NAMES, Names
from controller.model.sizes import Usage
from controller.model.slices import UNLIMITED, SliceLimits
from controller.model.slicestatus import SlicesStatus
from controller.model.status import ServiceAddress
from controller.model.template import Template
from controller.planning import belonging, devices, gear, identity, sizes
from controller.planning.budget import Budget
from controller.planning.fitting import Stock
from controller.planning.gear import Gear
from controller.planning.ports import Assignment

_BESIDE: Final = {DriftKind.GPU: "gpus", DriftKind.SLICE: "slice"}
"""What of a new container its template does not tell, and what it is called in a change."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What of the controller's configuration deciding depends on.

    Attributes:
        runtime_secrets: host directory that holds one directory of secrets for each workspace.
        subnet: of the private network.
        deletion_grace: a spec must be gone this long.
        budget: how many running workspaces may be disrupted.
        retain: a kept container stays at least this long.
        high_watermark: percent of the Engine's disk above which nothing new is made.
        low_watermark: percent down to which images are removed when a person asks for room.
        gpus_clean_after: how long a GPU must be without trouble until it is granted again.
        proxied: there is a directory in which the site's proxy reads what is to be reached by a name.
        gpu_attach: how GPUs reach a container.
        gpu_monitors: names of containers of others that only watch the GPUs that they were given.
        slice_driver: who makes the slices of owners; AUTO: as the Engine makes its own.
        slice_root: name of the slice above all owners' slices.
    """

    runtime_secrets: str
    subnet: str
    deletion_grace: timedelta
    budget: Budget
    retain: timedelta
    high_watermark: int = 90
    low_watermark: int = 80
    gpus_clean_after: timedelta = timedelta(minutes=10)
    proxied: bool = False
    gpu_attach: GpuAttach = GpuAttach.AUTO
    gpu_monitors: tuple[str, ...] = ()
    slice_driver: SliceDriver = SliceDriver.NONE
    slice_root: str = "wharf"


@dataclass(frozen=True, slots=True)
class Ours:
    """Our containers of one workspace, and those of others on its name.

    Attributes:
        main: has the workspace's container name.
        others: under other names, newest first: predecessors, kept and renamed ones.
        foreign: a container that is not ours has the name.
        unknown: a container of the workspace is there and could not be inspected.
    """

    main: Container | None = None
    others: tuple[Container, ...] = ()
    foreign: Container | None = None
    unknown: bool = False

    def all(self) -> tuple[Container, ...]:
        """Return every container of ours, the main one first."""
        return self.others if self.main is None else (self.main, *self.others)

    def running(self) -> tuple[Container, ...]:
        """Return those that run, the main one first."""
        return tuple(c for c in self.all() if c.running)

    def predecessors(self, memory: Memory) -> tuple[Container, ...]:
        """Return those that run under their retained name: a replacement is half done."""
        return tuple(c for c in self.others if c.running and is_kept(c, memory))

    def strays(self, memory: Memory) -> tuple[Container, ...]:
        """Return those that somebody renamed, running ones first: they have another name and are not kept."""
        found = [c for c in self.others if not is_kept(c, memory)]
        return tuple(sorted(found, key=lambda c: not c.running))


def is_kept(container: Container, memory: Memory) -> bool:
    """Tell whether a container is a kept one: by the ledger, or, where that was lost, by its name."""
    if container.id in memory.retained:
        return True
    workspace = container.labels.get(labels.WORKSPACE, "")
    instance = container.labels.get(labels.INSTANCE) or container.id
    return container.name == labels.retained_name(workspace, instance)


@dataclass(frozen=True, slots=True)
class Within:
    """Which slice a container is made in.

    Attributes:
        parent: as the Engine is told, empty for its own choice.
        limits: within which the container's own must be, as version 1 of the cgroups wants it.
    """

    parent: str = ""
    limits: SliceLimits = UNLIMITED


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A resolved workspace with its ports, its names at the site's proxy, its slice, and its template."""

    effective: Effective
    assignment: Assignment
    template: Template
    identity: Mapping[str, str]
    optional_targets: frozenset[str]
    services: tuple[ServiceAddress, ...] = ()
    names: Names = NO_NAMES
    within: Within = Within()


@dataclass(frozen=True, slots=True)
class Beyond:
    """Why a workspace finds no room beneath its owner's quotas, in a sentence with the numbers.

    Attributes:
        stop: the policy says that what runs is stopped for it.
        uncovered: limits, by their name in the policy, that cannot grow while it runs.
    """

    reason: Reason
    message: str
    stop: bool
    uncovered: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Scene:
    """What all cases of one pass share.

    Attributes:
        removals_held: why nothing is removed now, or empty.
        accident: why removals need a person's approval, or empty.
        unseen: specs or policy, where they cannot be read: nobody is disturbed for them.
        seen_at: when the Engine was looked at.
        under_way: the open intent of each workspace that has one.
        beyond: workspaces that find no room beneath their owners' quotas.
        enforce: which tightened limits reach what runs.
        usage: bytes of each workspace, as they were measured last.
        stock: which GPUs the host has; none where they are unseen.
        slices: how the slices of owners stand.
    """

    view: EngineView
    host: HostView
    memory: Memory
    rules: Rules
    policy_digest: str
    removals_held: str
    accident: str
    unseen: Unseen | None
    seen_at: datetime
    under_way: Mapping[str, Intent]
    now: datetime
    beyond: Mapping[str, Beyond] = field(default_factory=dict)
    enforce: Mapping[LimitName, Enforcement] = field(default_factory=dict)
    usage: Mapping[str, Usage] = field(default_factory=dict)
    stock: Stock = gear.EMPTY
    slices: SlicesStatus = slicestatus.NONE


@dataclass(frozen=True, slots=True)
class Case:
    """One workspace and all that its decision rests on.

    Attributes:
        excess: in words what it runs with that the policy does not allow any more, or empty.
        gear: what it can have of the GPUs; None where it neither wants nor has any.
        notes: what a person should know of its limits.
    """

    name: str
    spec: AcceptedSpec | None
    rejected: RejectedFile | None
    blueprint: Blueprint | Refusal | None
    ours: Ours
    drifts: tuple[Drift, ...]
    scene: Scene
    excess: str = ""
    gear: Gear | None = None
    notes: tuple[Note, ...] = ()

    @property
    def now(self) -> datetime:
        """Time of the pass."""
        return self.scene.now

    @property
    def memory(self) -> Memory:
        """The ledger."""
        return self.scene.memory

    @property
    def design(self) -> Blueprint:
        """The blueprint of a workspace that has one."""
        assert isinstance(self.blueprint, Blueprint)
        return self.blueprint

    @property
    def accepted(self) -> AcceptedSpec:
        """The spec of a workspace that has one."""
        assert self.spec is not None
        return self.spec

    @property
    def container(self) -> Container:
        """The main container of a workspace that has one."""
        assert self.ours.main is not None
        return self.ours.main

    @property
    def wish(self) -> Suspension | None:
        """What a person asked for last, unless the spec's own word was edited since."""
        wish = self.memory.suspensions.get(self.name)
        if wish is None or self.spec is None:
            return None
        if isinstance(self.blueprint, Blueprint):
            return in_force(wish, self.blueprint.effective)
        said = self.spec.workspace.spec.desired_state
        return wish if said is None or said == wish.desired_state else None

    @property
    def deleted_by(self) -> str:
        """Who deleted the workspace by a word to the controller, or empty: that counts in no budget."""
        request = self.memory.removal_requests.get(self.name)
        return "" if request is None or self.spec is None or self.spec.missing_since is None else request.by

    @property
    def should_run(self) -> bool:
        """What spec and requests say together."""
        return should_run(self.design.effective, self.memory.suspensions.get(self.name))

    @property
    def beyond(self) -> Beyond | None:
        """Why it finds no room beneath its owner's quotas, if it finds none."""
        return self.scene.beyond.get(self.name)

    @property
    def key(self) -> str:
        """What a decision rests on but for verdict and reason: uid, generation, policy."""
        spec = self.spec
        return f"{spec.uid}:{spec.generation}:{self.scene.policy_digest}" if spec else ""

    @property
    def change(self) -> str:
        """Name what would come of which container: an approval is for this change, once, and for no other."""
        if self.spec is not None and self.spec.missing_since is not None:
            return f"removed:{self.spec.uid}:{self.spec.missing_since.isoformat()}"
        if not isinstance(self.blueprint, Blueprint):
            return ""
        template, identity = self.blueprint.template, self.blueprint.identity
        image = self.scene.view.images.get(template.image) or ""
        before = f"{self.accepted.generation}:{self.ours.main.id if self.ours.main else ''}"
        ends = ":beyond" if self.beyond is not None and self.beyond.stop else ""
        ends += self._change_of_devices()
        return f"{before}:{identity[labels.TEMPLATE_HASH]}:{image}:{self.blueprint.effective.running}{ends}"

    def _change_of_devices(self) -> str:
        """Name which other devices or slice it would have, or that it is restarted to reach its own."""
        others = [one for one in self.drifts if one.kind in _BESIDE and one.remedy is Remedy.REPLACE]
        wanted = "".join(f":{_BESIDE[one.kind]}={one.desired}" for one in others)
        if self.gear is None or self.ours.main is None:
            return wanted
        if self.gear.lost:
            return f"{wanted}:access={self.ours.main.started_at}"
        return f"{wanted}:other-gpus" if self.gear.own_lack is not None else wanted

    def keeps_devices(self, container: Container) -> bool:
        """Tell whether a container of ours has GPUs as the workspace asks for, whoever else uses them."""
        wish, own = self.design.effective.gpu, devices.of(container)
        return not own if wish is None else gear.fits(self.scene.stock, wish, own)

    @property
    def approved(self) -> bool:
        """Whether a person let this very change go."""
        approval = self.memory.approvals.get(self.name)
        return approval is not None and approval.change == self.change

    def decide(  # noqa: PLR0913 - a decision has this many parts
        self,
        verdict: Verdict,
        reason: Reason,
        message: str = "",
        *,
        actions: tuple[Action, ...] = (),
        retry_at: datetime | None = None,
        disrupts: bool = False,
        cause: Cause | None = None,
    ) -> Decision:
        """Return a decision about this workspace, with what every decision carries."""
        effective = self.blueprint.effective if isinstance(self.blueprint, Blueprint) else None
        return Decision(
            workspace=self.name,
            verdict=verdict,
            reason=reason,
            message=message,
            drifts=self.drifts,
            actions=actions,
            retry_at=retry_at,
            disrupts=disrupts,
            container_id=self.ours.main.id if self.ours.main else None,
            key=f"{self.key}:{verdict}:{reason}",
            not_enforced=self._not_enforced(),
            notes=(*(effective.notes if effective else ()), *self._own_notes()),
            cause=Cause.APPROVED if cause is not None and self.approved else cause,
            change=self.change,
        )

    @property
    def account_trouble(self) -> tuple[Reason, str] | None:
        """What became of the owner's account since it was recorded, if that keeps it from a start."""
        if not isinstance(self.blueprint, Blueprint):
            return None
        effective, told = self.blueprint.effective, self.scene.host.accounts
        return identity.trouble(effective, self.memory.accounts.get(effective.owner), told)

    def _account_note(self) -> tuple[Note, ...]:
        """What runs is left alone, and says why it would not be started again."""
        found = self.account_trouble if self.ours.running() else None
        return () if found is None else (Note(found[0], f"{found[1]}; until then it is not started again"),)

    def _over_quota(self) -> tuple[Note, ...]:
        return (Note(Reason.OVER_QUOTA, self.excess),) if self.excess else ()

    def _storage_note(self) -> tuple[Note, ...]:
        usage = self.scene.usage.get(self.name)
        if usage is None or not isinstance(self.blueprint, Blueprint):
            return ()
        excess = sizes.excess(usage, self.blueprint.effective)
        return (Note(Reason.STORAGE_HIGH, excess),) if excess else ()

    def _own_notes(self) -> Iterator[Note]:
        yield from (*self._over_quota(), *self._account_note(), *self._storage_note())
        if isinstance(self.blueprint, Blueprint) and self.scene.slices.owners:
            template, owner = self.blueprint.template, self.blueprint.effective.owner
            yield from belonging.notes(self.ours.running(), template, owner, self.scene.slices)
        yield from (*self.notes, *(self.gear.notes if self.gear is not None else ()))

    def _not_enforced(self) -> tuple[NotEnforced, ...]:
        found = self.blueprint
        return (*found.effective.not_enforced, *found.names.gaps) if isinstance(found, Blueprint) else ()


def in_force(wish: Suspension, effective: Effective) -> Suspension | None:
    """Return a person's request unless the spec says another word than it did at that time."""
    return wish if wish.desired_state == ("Running" if effective.running else "Stopped") else None


def should_run(effective: Effective, wish: Suspension | None) -> bool:
    """Tell whether a workspace shall run: the last word wins, until the spec's own word is edited."""
    last = in_force(wish, effective) if wish is not None else None
    return effective.running if last is None else last.running


def expected(container: Container) -> Expected:
    """Return what a disturbing action may expect of a container that was seen."""
    return Expected(container.running, container.started_at, container.pid)


def main_name(workspace: str) -> str:
    """Name that the container of a workspace has."""
    return labels.container_name(workspace)
