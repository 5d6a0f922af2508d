"""Knows the whole host: one decision for each workspace, from specs, Engine, host and ledger as one pass saw them.

Refuses every effect. What it remembers between passes are results of pure functions for the very same arguments.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from controller.api import labels
from controller.api.conditions import Reason
from controller.model.actions import EnsureNetwork
from controller.model.desired import AcceptedPolicy, AcceptedSpec, Desired
from controller.model.effective import Effective, Refusal
from controller.model.memory import Memory
from controller.model.observed import Account, EngineView, HostView, Observed, Unseen
from controller.model.plan import Drift, Plan
from controller.model.status import ServiceAddress
from controller.planning import case as case_module
from controller.planning import classify, drift, inventory, ports, resolve, template
from controller.planning.case import Blueprint, Case, Ours, Rules
from controller.planning.memo import Memo

_NOTHING = Ours()


class Planner:
    """`plan()` with a memory of pure results; two planners give equal plans for equal arguments."""

    def __init__(self, rules: Rules) -> None:
        self.designs: Mapping[str, Blueprint | Refusal] = {}
        """What every workspace of the latest plan gets, or why it gets nothing; for those who tell."""
        self._rules = rules
        self._effective: Memo[Effective | Refusal] = Memo()
        self._blueprints: Memo[Blueprint] = Memo()
        self._drifts: Memo[tuple[Drift, ...]] = Memo()
        self._inventory = inventory.Inventory()

    def effective(
        self, spec: AcceptedSpec, policy: AcceptedPolicy, account: Account | None
    ) -> Effective | Refusal:
        """Resolve one workspace."""
        return self._effective.get(
            spec.name, (spec, policy, account), lambda: resolve.resolve(spec, policy, account)
        )

    def account(self, spec: AcceptedSpec, host: HostView, memory: Memory) -> Account | None:
        """Return the owner's account: as recorded at first sight, else as the host knows it now."""
        owner = resolve.owner_of(spec.workspace)
        return memory.accounts.get(owner) or host.accounts.get(owner)

    def plan(self, desired: Desired, observed: Observed, memory: Memory | Unseen, now: datetime) -> Plan:
        """Decide for every workspace that has a spec, a rejected file or a container of ours."""
        names = sorted({*desired.specs, *(name for name in desired.rejected if _is_name(name))})
        if isinstance(memory, Unseen):
            return _hold_all(names, Reason.LEDGER_UNAVAILABLE, memory.message)
        if isinstance(observed.engine, Unseen):
            return _hold_all(names, observed.engine.reason, observed.engine.message)
        if isinstance(observed.host, Unseen):
            return _hold_all(names, observed.host.reason, observed.host.message)
        return self._plan(desired, observed.engine.value, observed.host.value, memory, now)

    def _plan(
        self, desired: Desired, view: EngineView, host: HostView, memory: Memory, now: datetime
    ) -> Plan:
        index, findings = self._inventory.index(view, memory)
        designs = self._design(desired, host, memory)
        self.designs = designs
        names = {*desired.specs, *(name for name in desired.rejected if _is_name(name))}
        names |= {name for name, ours in index.items() if ours.main is not None}
        scene = _Scene(desired, view, host, memory, now)
        decisions = {
            name: classify.classify(self._case(name, designs.get(name), index.get(name, _NOTHING), scene))
            for name in sorted(names)
        }
        self._forget(frozenset(names))
        return Plan(
            decisions=decisions,
            host_actions=() if memory.host_pause else self._networks(designs, view),
            findings=findings,
            next_look=min((d.retry_at for d in decisions.values() if d.retry_at), default=None),
        )

    def _design(self, desired: Desired, host: HostView, memory: Memory) -> dict[str, Blueprint | Refusal]:
        """Resolve every workspace, give it its ports and render its template; older specs choose first."""
        policy = desired.policy
        if isinstance(policy, Unseen):
            return dict.fromkeys(desired.specs, Refusal(policy.reason, policy.message))
        book = ports.Book(memory.port_blocks, memory.port_grants, tuple(policy.policy.spec.port_pools))
        designs: dict[str, Blueprint | Refusal] = {}
        for spec in sorted(desired.specs.values(), key=lambda spec: (spec.accepted_at, spec.name)):
            effective = self.effective(spec, policy, self.account(spec, host, memory))
            if isinstance(effective, Refusal):
                designs[spec.name] = effective
                continue
            assignment = book.assign(effective)
            if isinstance(assignment, Refusal):
                designs[spec.name] = assignment
                continue
            designs[spec.name] = self._blueprint(spec, effective, assignment, memory)
        return designs

    def _blueprint(
        self, spec: AcceptedSpec, effective: Effective, assignment: ports.Assignment, memory: Memory
    ) -> Blueprint:
        secrets = f"{self._rules.runtime_secrets}/{spec.name}"
        arguments = (spec, effective, memory.port_grants, *assignment.new_grants)
        return self._blueprints.get(
            spec.name, arguments, lambda: _render(spec, effective, assignment, secrets, memory.epoch)
        )

    def _case(self, name: str, blueprint: Blueprint | Refusal | None, ours: Ours, scene: "_Scene") -> Case:
        spec = scene.desired.specs.get(name)
        return Case(
            name=name,
            spec=spec,
            rejected=scene.desired.rejected.get(name),
            blueprint=blueprint,
            ours=ours,
            view=scene.view,
            host=scene.host,
            memory=scene.memory,
            rules=self._rules,
            removals_held=scene.desired.removals_held,
            key=f"{spec.uid}:{spec.generation}:{scene.policy_digest}" if spec else "",
            drifts=self._differences(name, blueprint, ours, scene),
            now=scene.now,
        )

    def _differences(
        self, name: str, blueprint: Blueprint | Refusal | None, ours: Ours, scene: "_Scene"
    ) -> tuple[Drift, ...]:
        if not isinstance(blueprint, Blueprint):
            return ()
        container, view, template_ = ours.main, scene.view, blueprint.template
        should_run = case_module.should_run(blueprint.effective, scene.memory.suspensions.get(name))
        if container is None:
            return drift.of_state(None, should_run=should_run)
        image, detail = view.images.get(template_.image), view.image_details.get(container.image_id)

        def compute() -> tuple[Drift, ...]:
            subject = drift.subject(
                template_, blueprint.identity, blueprint.optional_targets, container, view
            )
            return drift.of_state(container, should_run=should_run) + drift.detect(subject)

        return self._drifts.get(name, (container, blueprint, image, detail, should_run), compute)

    def _networks(
        self, designs: Mapping[str, Blueprint | Refusal], view: EngineView
    ) -> tuple[EnsureNetwork, ...]:
        wanted = {d.template.network for d in designs.values() if isinstance(d, Blueprint)}
        private = labels.NETWORK_PRIVATE
        return tuple(
            EnsureNetwork(
                name, self._rules.subnet if name == private else None, inter_container=name != private
            )
            for name in sorted(wanted - view.networks.keys())
        )

    def _forget(self, names: frozenset[str]) -> None:
        for memo in (self._effective, self._blueprints, self._drifts):
            memo.keep_only(names)


@dataclass(frozen=True, slots=True)
class _Scene:
    """What all cases of one pass share."""

    desired: Desired
    view: EngineView
    host: HostView
    memory: Memory
    now: datetime

    @property
    def policy_digest(self) -> str:
        """Digest of the policy in force, empty where there is none."""
        policy = self.desired.policy
        return "" if isinstance(policy, Unseen) else policy.digest


def _render(
    spec: AcceptedSpec, effective: Effective, assignment: ports.Assignment, secrets: str, epoch: int
) -> Blueprint:
    made = template.render(effective, assignment.ports, secrets)
    identity = template.identity(spec, effective, template.digest(made), epoch)
    optional = frozenset(mount.target for mount in effective.mounts if not mount.required)
    services = tuple(
        ServiceAddress(service.name, service.port, assignment.by_service.get(service.name))
        for service in effective.services
    )
    return Blueprint(effective, assignment, made, identity, optional, services)


def _is_name(text: str) -> bool:
    return "/" not in text and "." not in text


def _hold_all(names: list[str], reason: Reason, message: str) -> Plan:
    return Plan({name: classify.unseen(name, reason, message) for name in names})
