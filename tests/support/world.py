"""Knows a whole host as plain values: what planning sees of it, and what each action does to it.

It refuses what an Engine or the ledger would refuse: a taken name or port, a container that changed.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, assert_never

from controller.api import labels
from controller.api.conditions import Reason
from controller.api.config import SliceDriver
from controller.model import actions
from controller.model.desired import AcceptedPolicy, AcceptedSpec, Desired, RejectedFile, SpecScan
from controller.model.gpus import Attachment, Bystander, Driver, GpuView
from controller.model.memory import Disruption, Memory, Retained
from controller.model.observed import (
    NOT_LOOKED_AT,
    AccountSeen,
    Container,
    ContainerState,
    Disk,
    EngineView,
    Health,
    HostView,
    Layer,
    MountCheck,
    Network,
    Observed,
    Obstacle,
    Seen,
    Unseen,
)
from controller.model.plan import Decision, Plan
from controller.planning import backoff, inventory, template
from controller.planning.case import Blueprint, Rules
from controller.planning.planner import Planner
from tests.support import builders
from tests.support.slice_world import Slices

Fault = Callable[[actions.Action], bool]
_DRIVERS = {SliceDriver.NONE: "", SliceDriver.SYSTEMD: "systemd", SliceDriver.CGROUPFS: "cgroupfs"}
"""What the Engine calls them."""
REMEMBERED = timedelta(minutes=15)
"""How long the ledger remembers a disruption."""
CHANGES = ("held", "approvals", "replacements", "rollbacks", "pins", "failed")
OF_A_WORKSPACE = (
    "suspensions",
    "pauses",
    "restarts",
    "given_limits",
    "backoffs",
    "restart_requests",
    "removal_requests",
    "gpu_waits",
    *CHANGES,
)
"""What the ledger forgets with a workspace."""


class RefusedError(Exception):
    """The Engine or the ledger did not do it."""


@dataclass(repr=False)
class World:
    """One host. All of it may be changed between passes."""

    now: datetime = builders.NOW
    policy: AcceptedPolicy | Unseen = field(default_factory=builders.policy)
    specs: dict[str, AcceptedSpec] = field(default_factory=dict)
    rejected: dict[str, RejectedFile] = field(default_factory=dict)
    removals_held: str = ""
    accident: str = ""
    rules: Rules = builders.RULES
    containers: dict[str, Container] = field(default_factory=dict)
    images: dict[str, str | None] = field(
        default_factory=lambda: {builders.IMAGE: builders.image_id(builders.IMAGE)}
    )
    registry: dict[str, str] = field(default_factory=dict)
    """What a reference names at its registry, by the name of the image, where that is not the reference."""
    networks: dict[str, Network] = field(default_factory=builders.networks)
    accounts: dict[str, AccountSeen] = field(default_factory=dict)
    mounts: dict[tuple[str, str], MountCheck] = field(default_factory=dict)
    secrets: dict[str, Obstacle] = field(default_factory=dict)
    listeners: frozenset[int] | None = None
    taken_ports: frozenset[int] = frozenset()
    """Only the Engine finds out that these are taken, when it starts a container."""
    programs: dict[str, str] = field(default_factory=dict)
    """What containers of an image id do at their start: `cannot start`, `ends`, `unhealthy`, `starting`."""
    refusal: Reason = Reason.REFUSED_BY_ENGINE
    """Why an action fails that shall fail."""
    layers: dict[str, Layer] = field(default_factory=dict)
    unproven: str = ""
    stale_secrets: frozenset[str] = frozenset()
    routes: dict[str, str] | Unseen | None = None
    unknown: frozenset[str] = frozenset()
    runtimes: frozenset[str] = frozenset({"io.containerd.runc.v2", "runc"})
    disk: Disk | Unseen = NOT_LOOKED_AT
    memory: Memory = field(default_factory=builders.memory)
    unseen: dict[str, Unseen] = field(default_factory=dict)
    seen_ago: timedelta = timedelta(0)
    gpus: GpuView = field(default_factory=GpuView)
    bystanders: dict[str, Bystander] | Unseen = field(default_factory=dict)
    cdi: frozenset[str] | None = None
    """Names that the Engine attaches devices by; None where it cannot."""
    slices: Slices = field(default_factory=Slices)
    done: list[actions.Action] = field(default_factory=list)

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:  # noqa: ANN401 - the example's printer
        """Say little: a failing example tells its story instead."""
        printer.text("World(...)")

    # what planning sees

    def desired(self) -> Desired:
        """The specs as a complete scan and the ledger give them."""
        scan: Seen[SpecScan] | Unseen = self.unseen.get("specs") or builders.scan(at=self.now)
        held = scan.message if isinstance(scan, Unseen) else self.removals_held
        policy = self.unseen.get("policy") or self.policy
        return Desired(dict(self.specs), scan, dict(self.rejected), held, self.accident, policy)

    def observed(self) -> Observed:
        """The Engine and the host as one look finds them."""
        images = {c.image_id for c in self.containers.values()}
        view = EngineView(
            engine_id="engine",
            containers=dict(self.containers),
            images=dict(self.images),
            image_details={identifier: builders.image(identifier) for identifier in images},
            networks=dict(self.networks),
            total_memory=builders.HOST_MEMORY,
            total_cpus=builders.HOST_CPUS,
            unknown=self.unknown,
            runtimes=self.runtimes,
            default_runtime="runc",
            disk=self.disk,
            bystanders=dict(self.bystanders) if isinstance(self.bystanders, dict) else self.bystanders,
            cdi=self.cdi,
            cgroup_driver=_DRIVERS[self.slices.driver],
            cgroup_version=self.slices.version if self.slices.driver is not SliceDriver.NONE else 0,
        )
        owners = {spec.workspace.spec.owner or spec.name for spec in self.specs.values()}
        known = {owner: self.accounts.get(owner, builders.account(owner)) for owner in owners}
        routes = dict(self.routes) if isinstance(self.routes, dict) else self.routes
        host = HostView(known, self.mounts, self.secrets, self.listeners, self.stale_secrets, routes=routes)
        return Observed(
            engine=self.unseen.get("engine") or Seen(view, self.now - self.seen_ago),
            host=self.unseen.get("host") or Seen(host, self.now),
            layers=dict(self.layers),
            unproven=self.unproven,
            gpus=self.unseen.get("gpus") or Seen(self.gpus, self.now),
            slices=self.unseen.get("slices") or Seen(self.slices.view(self.containers), self.now),
        )

    def recall(self) -> Memory | Unseen:
        """The ledger, with a nonce that no other moment has."""
        nonce = self.now.isoformat().encode()
        return self.unseen.get("ledger") or replace(self.memory, accepted=dict(self.specs), nonce=nonce)

    def plan(self, planner: Planner | None = None) -> Plan:
        """Decide; without a planner by one that remembers nothing. A defect of ours fails the test."""
        self._identify()
        plan = (planner or Planner(self.rules)).plan(self.desired(), self.observed(), self.recall(), self.now)
        defects = [d.message for d in plan.decisions.values() if d.reason is Reason.INTERNAL_ERROR]
        assert not defects, defects
        return plan

    def _identify(self) -> None:
        """Write which containers are the first with their instance, as each pass does."""
        seen = self.observed().engine
        if isinstance(seen, Seen) and "ledger" not in self.unseen:
            new, gone = inventory.identities(seen.value, self.memory)
            kept = {name: one for name, one in self.memory.identities.items() if name not in gone}
            self.remember(identities={**kept, **{one.instance: one for one in new}})

    # building

    def add(
        self,
        spec: AcceptedSpec,
        state: ContainerState | None = ContainerState.RUNNING,
        gpus: tuple[str, ...] | None = None,
    ) -> "World":
        """Put a spec in force and, unless `state` is None, a container exactly as specified."""
        self.specs[spec.name] = spec
        if state is not None:
            self.build(spec.name, state, gpus)
        return self

    def build(
        self,
        name: str,
        state: ContainerState = ContainerState.RUNNING,
        gpus: tuple[str, ...] | None = None,
    ) -> Container:
        """Make the container of a workspace as its spec says now, and grant its ports; None: its own GPUs."""
        planner = Planner(self.rules)
        calm = replace(self.memory, backoffs={}, suspensions={}, open_intents=(), pauses={}, host_pause=None)
        desired = replace(self.desired(), rejected={})
        memory = replace(calm, accepted=dict(self.specs))
        plan = planner.plan(desired, self.observed(), memory, self.now)
        design = planner.designs[name]
        if not isinstance(design, Blueprint):
            raise RefusedError(f"{name} gets nothing: {design.message}")
        blocks = [b for b in design.assignment.new_blocks if b not in self.memory.port_blocks]
        self.memory = replace(
            self.memory,
            port_blocks=(*self.memory.port_blocks, *blocks),
            port_grants=(*self.memory.port_grants, *design.assignment.new_grants),
        )
        instance = f"{len(self.containers):08x}" + name.encode().hex()[:24].ljust(24, "0")
        attachment = _granted(plan, name) if gpus is None else None
        if gpus:
            there = planner.equipment is not None and self.gpus.devices.keys() >= {*gpus}
            hook = Attachment(Driver.NVIDIA, gpus, gpus)
            attachment = planner.equipment.attachment(gpus) if there and planner.equipment else hook
        uuids = attachment.uuids if attachment is not None else ()
        made = actions.CreateContainer(
            name,
            labels.container_name(name),
            replace(design.template, gpus=attachment),
            template.signed(
                {**design.identity, labels.GPUS: ",".join(uuids)}, instance, self.memory.claim_key
            ),
        )
        reference = design.template.image
        identifier = self.images.get(reference) or builders.image_id(reference)
        built = builders.in_state(builders.container(made, identifier), state)
        self.containers[built.id] = built
        if built.running:
            self.slices.enter(built)
        return built

    def change(self, identifier: str, **fields: Any) -> Container:  # noqa: ANN401 - fields of one class
        """Change a container."""
        self.containers[identifier] = replace(self.containers[identifier], **fields)
        return self.containers[identifier]

    def of(self, name: str) -> tuple[Container, ...]:
        """The containers with a workspace's label."""
        return tuple(c for c in self.containers.values() if c.labels.get(labels.WORKSPACE) == name)

    def main(self, name: str) -> Container | None:
        """The container with the workspace's name."""
        return next((c for c in self.containers.values() if c.name == labels.container_name(name)), None)

    # doing

    def execute(self, plan: Plan, fault: Fault = lambda _: False) -> bool:
        """Carry out every chain until its first failure, as a reconciler does; tell whether all succeeded."""
        whole = True
        for action in plan.host_actions:
            self.networks[action.name] = Network(
                "n", action.name, "bridge", action.subnet or "172.29.0.0/16", action.inter_container
            )
        self.remember(held={**self.memory.held, **{one.workspace: one for one in plan.held}})
        left = {uuid: one for uuid, one in self.memory.fences.items() if uuid not in plan.fences_ended}
        self.remember(fences={**left, **{one.uuid: one for one in plan.fences}})
        if plan.gpu_waits is not None:
            self.remember(gpu_waits=dict(plan.gpu_waits))
        for decision in (*plan.upkeep, *plan.decisions.values()):
            whole &= self._chain(decision, fault)
        return whole

    def _chain(self, decision: Decision, fault: Fault) -> bool:
        name = decision.workspace
        before = self.memory.backoffs.get(name)
        leading = [isinstance(action, actions.LedgerAction) for action in decision.actions]
        for place, action in enumerate(decision.actions):
            if place == (*leading, False).index(False):
                self._count(decision)
            try:
                self.apply(action, fault)
            except RefusedError as refused:
                after = backoff.after_failure(before, self.refusal, str(refused), decision.key, self.now)
                self.remember(backoffs={**self.memory.backoffs, name: after})
                return False
        if decision.actions and before is not None and before.key == decision.key:
            self.remember(backoffs={n: b for n, b in self.memory.backoffs.items() if n != name})
        return True

    def _count(self, decision: Decision) -> None:
        """Open the intent, by which a disruption that nobody asked for is counted."""
        if decision.disrupts and decision.cause is not None:
            recent = (d for d in self.memory.disruptions if self.now - d.at < REMEMBERED)
            new = Disruption(decision.workspace, decision.cause, self.now)
            self.remember(disruptions=(*recent, new))

    def remember(self, **fields: Any) -> None:  # noqa: ANN401 - fields of one class
        """Write to the ledger."""
        self.memory = replace(self.memory, **fields)

    def apply(self, action: actions.Action, fault: Fault = lambda _: False) -> None:
        """Do one action, or raise `RefusedError`."""
        if fault(action):
            raise RefusedError("fault")
        match action:
            case actions.PullImage():
                found = self.registry.get(action.reference, action.reference)
                self.images[action.reference] = builders.image_id(found)
                self.remember(asked={**self.memory.asked, action.reference: self.now})
            case (
                actions.PrepareMount() | actions.WriteSecrets() | actions.WriteRoute() | actions.RemoveRoute()
            ):
                self._prepare(action)
            case actions.EnsureNetwork() | actions.RemoveImage():
                pass
            case actions.CreateContainer():
                self._create(action)
            case (
                actions.GrantPorts()
                | actions.ReturnPorts()
                | actions.RecordRestarts()
                | actions.RecordLimits()
                | actions.RetainContainer()
                | actions.ForgetRetained()
                | actions.ForgetWorkspace()
                | actions.CompleteRestart()
                | actions.BeginReplacement()
                | actions.EndReplacement()
                | actions.BeginRollback()
                | actions.EndRollback()
            ):
                self._write(action)
            case actions.SetSlice() | actions.RemoveSlice() | actions.LimitCgroup():
                self._confine(action)
            case _:
                self._touch(action)
        self.done.append(action)

    def _may(self, refusal: str) -> None:
        if refusal:
            raise RefusedError(refusal)

    def _confine(self, action: actions.SliceAction) -> None:
        match action:
            case actions.SetSlice():
                self._may(self.slices.set(action, self.containers))
            case actions.RemoveSlice():
                self.slices.remove(action, self.containers)
            case actions.LimitCgroup():
                self._limit(action)
            case _:
                assert_never(action)

    def _limit(self, action: actions.LimitCgroup) -> None:
        found = self.containers[action.container_id]
        self._compare(found, action.expected)
        if action.limits is not None:
            self._may(self.slices.refusal(found, action.limits))
            self.slices.lower(found, action.limits)
            self.containers[found.id] = replace(found, kernel_limits=action.limits)
        self.slices.high.pop(found.id, None)
        if action.memory_high is not None:
            self.slices.high[found.id] = action.memory_high

    def _prepare(self, action: actions.HostAction) -> None:
        match action:
            case actions.PrepareMount():
                self.mounts.pop((action.workspace, action.mount), None)
            case actions.WriteSecrets():
                self.stale_secrets -= {action.workspace}
            case actions.WriteRoute():
                assert isinstance(self.routes, dict)
                self.routes[action.file] = action.text
            case actions.RemoveRoute():
                assert isinstance(self.routes, dict)
                self.routes.pop(action.file, None)
            case _:
                assert_never(action)

    def _create(self, action: actions.CreateContainer) -> None:
        identifier = self.images.get(action.template.image)
        if identifier is None:
            raise RefusedError("no such image")
        self._free_name(action.name, "")
        built = builders.container(action, identifier, self.now)
        self.containers[built.id] = built

    def _free_name(self, name: str, unless: str) -> None:
        if any(c.name == name and c.id != unless for c in self.containers.values()):
            raise RefusedError(f"{name} is taken")

    def _touch(  # noqa: C901 - one case for each word
        self,
        action: actions.StartContainer
        | actions.StopContainer
        | actions.UnpauseContainer
        | actions.RenameContainer
        | actions.RemoveContainer
        | actions.UpdateLimits
        | actions.ClearRestartPolicy
        | actions.ConnectNetwork,
    ) -> None:
        found = self.containers.get(action.container_id)
        if found is None:
            raise RefusedError("no such container")
        configuration = found.configuration
        match action:
            case actions.StartContainer():
                after = found if found.running else self._start(found, action)
            case actions.StopContainer():
                self._compare(found, action.expected)
                after = builders.in_state(found, ContainerState.EXITED, self.now) if found.running else found
            case actions.UnpauseContainer():
                after = replace(found, state=ContainerState.RUNNING)
            case actions.RenameContainer():
                self._free_name(action.new_name, found.id)
                after = replace(found, name=action.new_name)
            case actions.RemoveContainer():
                self._compare(found, action.expected)
                del self.containers[found.id]
                return
            case actions.UpdateLimits():
                self._compare(found, action.expected)
                if found.running:
                    self._may(self.slices.refusal(found, action.limits))
                    self.slices.lower(found, action.limits)
                after = replace(found, configuration=replace(configuration, limits=action.limits))
                if found.running:
                    after = replace(after, kernel_limits=action.limits)
            case actions.ClearRestartPolicy():
                after = replace(found, configuration=replace(configuration, restart_policy="no"))
            case actions.ConnectNetwork():
                joined = configuration.networks | {action.network}
                after = replace(found, configuration=replace(configuration, networks=joined))
            case _:
                assert_never(action)
        self.containers[found.id] = after

    def _start(self, found: Container, action: actions.StartContainer) -> Container:
        self._compare(found, action.expected)
        others = [c.name for c in self._owned(action.workspace) if c.running]
        if found.name != action.name or others:
            raise RefusedError(f"{found.name} is not {action.name}, or {others} run")
        program = self.programs.get(found.image_id, "")
        if program == "cannot start":
            raise self._broken(found, "exec: no such file or directory")
        self._free_ports(found)
        self._may(self.slices.refusal(found, found.configuration.limits))
        self.slices.enter(found)
        after = builders.in_state(found, ContainerState.RUNNING, self.now)
        if program == "ends":
            after = replace(builders.in_state(after, ContainerState.EXITED, self.now), exit_code=1)
        health = {"unhealthy": Health.UNHEALTHY, "starting": Health.STARTING}.get(program, Health.NONE)
        return replace(after, health=health, error="")

    def _owned(self, name: str) -> list[Container]:
        """Containers of a workspace with a claim of ours, copies of one left out."""
        found = self.of(name)
        times = Counter(c.labels.get(labels.INSTANCE) for c in found)
        return [
            c
            for c in found
            if times[c.labels.get(labels.INSTANCE)] == 1 and inventory.is_ours(self.memory, c.id, c.labels)
        ]

    def _broken(self, found: Container, error: str) -> RefusedError:
        """Docker writes down why a start failed."""
        self.containers[found.id] = replace(found, error=error, exit_code=127)
        return RefusedError(error)

    def _free_ports(self, starting: Container) -> None:
        wanted = {port.host_port for port in starting.configuration.ports}
        if wanted & self.taken_ports:
            raise self._broken(starting, "port is already allocated")
        for other in self.containers.values():
            held = {port.host_port for port in other.configuration.ports}
            if other.running and other.id != starting.id and wanted & held:
                raise self._broken(starting, f"ports {wanted & held} are held by {other.name}")

    def _compare(self, found: Container, expected: actions.Expected) -> None:
        if actions.Expected(found.running, found.started_at, found.pid) != expected:
            raise RefusedError("it changed meanwhile")

    def _write(self, action: actions.LedgerAction) -> None:  # noqa: C901 - one case for each word
        name = action.workspace
        match action:
            case actions.GrantPorts():
                self._grant(action)
            case actions.ReturnPorts():
                left = tuple(one for one in self.memory.port_grants if one not in action.grants)
                self.remember(port_grants=left)
            case actions.RecordRestarts() | actions.RecordLimits():
                self._record(action)
            case actions.RetainContainer():
                known = self.memory.retained.get(action.container_id)
                since = known.at if known else self.now
                kept = Retained(action.container_id, name, action.name, since, Reason(action.reason))
                self._put("retained", action.container_id, kept)
            case actions.ForgetRetained():
                self._put("forget_requests", action.container_id, None)
                self._put("retained", action.container_id, None)
            case actions.CompleteRestart():
                self._put("restart_requests", name, None)
                self._put("failed", name, None)
            case actions.BeginReplacement():
                self._put("replacements", name, action.replacement)
            case actions.EndReplacement():
                self._put("replacements", name, None)
                self._put("failed", name, action.failed)
            case actions.BeginRollback():
                self._put("rollbacks", name, action.rollback)
            case actions.EndRollback():
                self._put("rollbacks", name, None)
                self._put("pins", name, action.pin)
            case actions.ForgetWorkspace():
                self._forget(name)
            case _:
                assert_never(action)

    def _record(self, action: actions.RecordRestarts | actions.RecordLimits) -> None:
        if isinstance(action, actions.RecordRestarts):
            self._put("restarts", action.workspace, action.restarts)
        if action.given is not None:
            self._put("given_limits", action.workspace, action.given)

    def _put(self, shelf: str, key: str, value: object) -> None:
        known: dict[str, object] = {k: v for k, v in getattr(self.memory, shelf).items() if k != key}
        self.remember(**{shelf: known if value is None else {**known, key: value}})

    def _forget(self, name: str) -> None:
        self.specs.pop(name, None)
        for shelf in OF_A_WORKSPACE:
            self._put(shelf, name, None)
        self.remember(port_grants=tuple(g for g in self.memory.port_grants if g.workspace != name))

    def _grant(self, action: actions.GrantPorts) -> None:
        services = {(g.workspace, g.service) for g in action.grants}
        rest = [g for g in self.memory.port_grants if (g.workspace, g.service) not in services]
        mine = {g.port for g in action.grants}
        rest = [g for g in rest if not (g.workspace == action.workspace and g.port in mine)]
        if {g.port for g in rest} & mine:
            raise RefusedError("a port is granted to another workspace")
        blocks = [b for b in action.blocks if b not in self.memory.port_blocks]
        for new in blocks:
            for old in self.memory.port_blocks:
                if new.base < old.base + old.size and old.base < new.base + new.size:
                    raise RefusedError("a block overlaps another")
        self.remember(port_blocks=(*self.memory.port_blocks, *blocks), port_grants=(*rest, *action.grants))


def _granted(plan: Plan, name: str) -> Attachment | None:
    """The GPUs that a plan gives to the new container of a workspace."""
    made = (one for one in plan.decisions[name].actions if isinstance(one, actions.CreateContainer))
    return next((one.template.gpus for one in made), None)
