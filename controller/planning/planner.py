"""Knows the whole host: one decision for each workspace, from specs, Engine, host and ledger of one pass.

Refuses every effect. What it remembers between passes are results of pure functions for the same arguments.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TypeVar

from controller.api.conditions import Reason
from controller.model import slicestatus
from controller.model.desired import AcceptedPolicy, AcceptedSpec, Desired
from controller.model.effective import Effective, Refusal
from controller.model.memory import Cause, Held, Memory
from controller.model.observed import AccountSeen, EngineView, HostView, Image, Observed, Unseen
from controller.model.plan import Decision, HostFinding, Plan
from controller.model.routes import Names
from controller.planning import (
    asking,
    budget,
    classify,
    collection,
    drawing,
    fencing,
    granting,
    hostnames,
    inventory,
    obstacles,
    ports,
    quotas,
    resolve,
    retention,
    returning,
    routes,
    slicing,
    tightening,
)
from controller.planning.case import Blueprint, Case, Ours, Rules, Scene, Within
from controller.planning.comparing import Comparer
from controller.planning.drafts import Draft, Grounds
from controller.planning.equipment import Equipment, Outfitter, Sight
from controller.planning.gear import Gear
from controller.planning.memo import Memo, Same
from controller.planning.slicing import Slicing
from controller.planning.standing import Standing, Standings

T = TypeVar("T")
_NOTHING = Ours()


class Planner:
    """`plan()` with a memory of pure results; two planners give equal plans for equal arguments."""

    def __init__(self, rules: Rules) -> None:
        self.designs: Mapping[str, Blueprint | Refusal] = {}
        """What every workspace of the latest plan gets, or why it gets nothing; for those who tell."""
        self.equipment: Equipment | None = None
        """The GPUs of the latest plan and who holds them, None where nobody asks for any; likewise."""
        self.slices = slicestatus.NONE
        """How the slices of owners stand in the latest plan; likewise."""
        self._rules = rules
        self._slicing = Slicing(rules)
        self._draft, self._evasive = Draft(), Draft()
        self._effective: Memo[Effective | Refusal] = Memo()
        self._blueprints: Memo[Blueprint] = Memo()
        self._comparer = Comparer()
        self._images: Same[Image] = Same()
        self._inventory = inventory.Inventory()
        self._quotas = quotas.Register()
        self._standings = Standings()
        self._decided: Same[Decision] = Same()
        self._outfitter = Outfitter()

    def effective(self, spec: AcceptedSpec, standing: Standing, account: AccountSeen) -> Effective | Refusal:
        """Resolve one workspace."""
        return self._effective.get(
            spec.name,
            (spec, standing, account),
            lambda: _guarded(lambda: resolve.resolve(spec, standing, account)),
        )

    def standing(self, policy: AcceptedPolicy, now: datetime) -> Standing:
        """Return how everybody stands under a policy; the same object again while nothing in it changed."""
        return self._standings.at(policy, now)

    def account(self, spec: AcceptedSpec, host: HostView, memory: Memory) -> AccountSeen:
        """Return the owner's account: as recorded at first sight, else as the host knows it now."""
        owner = resolve.owner_of(spec.workspace)
        return memory.accounts.get(owner) or host.accounts.get(owner)

    def plan(self, desired: Desired, observed: Observed, memory: Memory | Unseen, now: datetime) -> Plan:
        """Decide for every workspace that has a spec, a rejected file or a container of ours."""
        if isinstance(memory, Unseen):
            return self._plan(desired, observed, memory, now)
        fenced = fencing.fencing(observed.gpus, memory.fences, self._rules.gpus_clean_after, now)
        if fenced is fencing.NOTHING:
            return self._plan(desired, observed, memory, now)
        plan = self._plan(desired, observed, replace(memory, fences=fenced.fences), now)
        return replace(plan, fences=fenced.changed, fences_ended=fenced.ended)

    def _plan(self, desired: Desired, observed: Observed, memory: Memory | Unseen, now: datetime) -> Plan:
        names = {*desired.specs, *(name for name in desired.rejected if _is_name(name))}
        if isinstance(memory, Unseen):
            return _hold_all(names, Reason.LEDGER_UNAVAILABLE, memory.message)
        if isinstance(observed.engine, Unseen):
            return _hold_all(names, observed.engine.reason, observed.engine.message)
        view, seen_at = self._steady(observed.engine.value), observed.engine.at
        index, findings = self._inventory.index(view, memory)
        names |= {name for name, ours in index.items() if ours.main is not None}
        if isinstance(observed.host, Unseen):
            return _hold_all(names, observed.host.reason, observed.host.message)
        standing = None if isinstance(desired.policy, Unseen) else self.standing(desired.policy, now)
        self.designs = self._design(desired, standing, observed.host.value, view, memory)
        self._evade(desired, observed.host.value, view, memory)
        scene = self._scene(desired, observed.host.value, view, memory, seen_at, now)
        scene = self._furnished(scene, desired, observed, index, standing)
        self.equipment = self._outfitter.equipment(
            Sight(observed.gpus, scene.view, index, self.designs, desired.specs, memory, self._rules, now)
        )
        granted = self._grant(names, index, desired, scene)
        self._forget(frozenset(names))
        decisions = dict(granted.rationing.decisions)
        if observed.unproven:
            decisions = {n: classify.unproven(d, observed.unproven) for n, d in decisions.items()}
        upkeep = self._upkeep(observed, index, scene)
        return Plan(
            decisions=self._decided.of(decisions),
            held=(*granted.rationing.held, *_held_removals(decisions, scene)),
            upkeep=upkeep,
            host_actions=()
            if memory.host_pause or observed.unproven
            else drawing.networks(self.designs, view, self._rules),
            findings=self._findings(findings, observed, scene, standing),
            next_look=_next_look((*decisions.values(), *upkeep), standing),
            gpu_waits=self._waits(
                decisions, granted.queued, known=not observed.unproven and standing is not None
            ),
        )

    def _waits(
        self, decisions: Mapping[str, Decision], queued: frozenset[str], *, known: bool
    ) -> Mapping[str, datetime] | None:
        """Return who waits for GPUs since when, None where not all of it is known."""
        if not known:
            return None
        return {} if self.equipment is None else self.equipment.waits(decisions, queued)

    def _grant(
        self, names: set[str], index: Mapping[str, Ours], desired: Desired, scene: Scene
    ) -> granting.Granted:
        """Decide for all, give devices to those who use them, and keep within the budget."""
        equipment, memory = self.equipment, scene.memory
        scene = scene if equipment is None else replace(scene, stock=equipment.stock)
        running = frozenset(n for n, ours in index.items() if ours.main is not None and ours.main.running)

        def decide(name: str, gear: Gear | None) -> Decision:
            return self._decide(name, index.get(name, _NOTHING), desired, scene, gear)

        def ration(decisions: Mapping[str, Decision]) -> budget.Rationing:
            return budget.ration(decisions, running, memory, self._rules.budget, scene.now)

        prospect = equipment.prospect if equipment is not None else _no_gear
        decisions = {name: decide(name, prospect(name)) for name in sorted(names)}
        if equipment is None:
            return granting.Granted(ration(decisions))
        return granting.grant(equipment, decisions, decide, ration)

    def _upkeep(self, observed: Observed, index: Mapping[str, Ours], scene: Scene) -> tuple[Decision, ...]:
        """Decide for tags that may have moved, kept containers, what leads to workspaces, and images."""
        memory, now = scene.memory, scene.now
        if memory.host_pause or observed.unproven:
            return ()
        fresh = now - scene.seen_at <= classify.OLD
        questions = (
            *asking.upkeep(self.designs, index, scene.view, memory, now),
            *self._slicing.upkeep(scene.slices, memory, now, fresh=fresh),
        )
        if not fresh:
            return questions
        return (
            *questions,
            *retention.upkeep(scene.view, observed.layers, memory, self._rules.retain, now),
            *routes.upkeep(scene.host.routes, self.designs, index, memory, now),
            *returning.upkeep(memory, self.designs, index, scene.under_way),
            *collection.upkeep(scene.view, observed.collection, self._rules, memory),
        )

    def _findings(
        self,
        found: tuple[HostFinding, ...],
        observed: Observed,
        scene: Scene,
        standing: Standing | None,
    ) -> tuple[HostFinding, ...]:
        """Say what of the host concerns everybody."""
        return (
            *found,
            *obstacles.pressure(scene.view, self._rules),
            *asking.findings(self.designs, scene.memory),
            *routes.findings(scene.host.routes),
            *self._slicing.findings(scene, observed.slices),
            *(standing.findings() if standing else ()),
        )

    def _scene(  # noqa: PLR0913 - a scene has this many sides
        self,
        desired: Desired,
        host: HostView,
        view: EngineView,
        memory: Memory,
        seen_at: datetime,
        now: datetime,
    ) -> Scene:
        return Scene(
            view=view,
            host=host,
            memory=memory,
            rules=self._rules,
            policy_digest="" if isinstance(desired.policy, Unseen) else desired.policy.digest,
            removals_held=desired.removals_held,
            accident=desired.accident,
            unseen=next((part for part in (desired.scan, desired.policy) if isinstance(part, Unseen)), None),
            seen_at=seen_at,
            under_way={intent.workspace: intent for intent in memory.open_intents},
            now=now,
        )

    def _furnished(
        self,
        scene: Scene,
        desired: Desired,
        observed: Observed,
        index: Mapping[str, Ours],
        standing: Standing | None,
    ) -> Scene:
        """Return a scene with what owners have together: quotas, and slices."""
        specs, designs, memory = desired.specs, self.designs, scene.memory
        enforce = {} if isinstance(desired.policy, Unseen) else desired.policy.policy.spec.enforce
        scene = replace(
            scene,
            usage=observed.usage,
            beyond=self._quotas.beyond(specs, designs, index, memory, enforce),
            enforce=enforce,
        )
        self.slices = self._slicing.status(specs, designs, index, standing, scene, observed.slices)
        return replace(scene, slices=self.slices)

    def _steady(self, view: EngineView) -> EngineView:
        """Give what says the same as before the very same objects, so that what rests on them stays."""
        return replace(view, image_details=self._images.of(view.image_details))

    def _decide(self, name: str, ours: Ours, desired: Desired, scene: Scene, gear: Gear | None) -> Decision:
        spec, blueprint = desired.specs.get(name), self.designs.get(name)
        try:
            drifts = self._comparer.differences(spec, ours, blueprint, scene, self.equipment)
            rejected = desired.rejected.get(name)
            case = Case(name, spec, rejected, blueprint, ours, drifts, scene, gear=gear)
            return classify.classify(tightening.weighed(case))
        except Exception as defect:  # noqa: BLE001 - our own defect holds one workspace and no other
            return classify.unseen(name, Reason.INTERNAL_ERROR, f"{type(defect).__name__}: {defect}")

    def _design(
        self,
        desired: Desired,
        standing: Standing | None,
        host: HostView,
        view: EngineView,
        memory: Memory,
    ) -> Mapping[str, Blueprint | Refusal]:
        """Resolve every workspace, give it its ports and render its template; older specs choose first."""
        if standing is None:
            assert isinstance(desired.policy, Unseen), "who has a policy has a standing"
            return dict.fromkeys(desired.specs, Refusal(desired.policy.reason, desired.policy.message))
        rests_on = Grounds(
            tuple(desired.specs.values()),
            standing,
            memory.epoch,
            memory.port_blocks,
            memory.port_grants,
            memory.accounts,
            host.accounts,
            (slicing.driver_of(self._rules, view), view.cgroup_version),
        )
        return self._draft.get(rests_on, lambda: self._design_anew(rests_on, desired, host, memory))

    def _evade(self, desired: Desired, host: HostView, view: EngineView, memory: Memory) -> None:
        """Design once more where somebody is on a port that would be given anew."""
        fresh = [d.assignment for d in self.designs.values() if isinstance(d, Blueprint)]
        fresh = [assignment for assignment in fresh if assignment.new_grants]
        if not fresh or self._draft.grounds is None:
            return
        busy = ports.busy(host.listeners or (), view.containers.values(), memory.port_grants)
        if any(ports.is_in_the_way(assignment, busy) for assignment in fresh):
            rests_on = replace(self._draft.grounds, busy=busy)
            self.designs = self._evasive.get(
                rests_on, lambda: self._design_anew(rests_on, desired, host, memory)
            )

    def _design_anew(
        self, grounds: Grounds, desired: Desired, host: HostView, memory: Memory
    ) -> Mapping[str, Blueprint | Refusal]:
        standing = grounds.standing
        pools = tuple(standing.policy.policy.spec.port_pools)
        book = ports.Book(memory.port_blocks, memory.port_grants, pools, grounds.busy)
        designs: dict[str, Blueprint | Refusal] = {}
        effectives = {
            spec.name: self.effective(spec, standing, self.account(spec, host, memory))
            for spec in sorted(desired.specs.values(), key=lambda spec: (spec.since, spec.name))
        }
        names = hostnames.assign(
            (one for one in effectives.values() if isinstance(one, Effective)),
            standing.policy.policy.spec.hostnames,
            published=self._rules.proxied,
        )
        for name, effective in effectives.items():
            if isinstance(effective, Refusal):
                designs[name] = effective
                continue
            named = hostnames.names_of(name, names)
            within = slicing.within(grounds, self._rules, effective.owner)
            draw = partial(self._blueprint, desired.specs[name], effective, book, named, within, memory.epoch)
            designs[name] = _guarded(draw)
        return designs

    def _blueprint(  # noqa: PLR0913 - a blueprint has this many parts
        self,
        spec: AcceptedSpec,
        effective: Effective,
        book: ports.Book,
        names: Names,
        within: Within,
        epoch: int,
    ) -> Blueprint | Refusal:
        assignment = book.assign(effective)
        if isinstance(assignment, Refusal):
            return assignment
        known = self.designs.get(spec.name)
        if isinstance(known, Blueprint):  # what is as before stays the same, so that what rests on it does
            assignment = known.assignment if known.assignment == assignment else assignment
            names = known.names if known.names == names else names
            within = known.within if known.within == within else within
        secrets = f"{self._rules.runtime_secrets}/{spec.name}"
        return self._blueprints.get(
            spec.name,
            (spec, effective, assignment, names, within, epoch),
            lambda: drawing.draw(
                spec, effective, assignment, names, within=within, secrets=secrets, epoch=epoch
            ),
        )

    def _forget(self, names: frozenset[str]) -> None:
        for memo in (self._effective, self._blueprints, self._comparer):
            memo.keep_only(names)


def _no_gear(_: str) -> Gear | None:
    return None


def _held_removals(decisions: Mapping[str, Decision], scene: Scene) -> tuple[Held, ...]:
    """Keep in mind which removals looked like an accident, however few are left of them later."""
    if not scene.accident:
        return ()
    return tuple(
        Held(name, Cause.REMOVED, decision.change, scene.now)
        for name, decision in decisions.items()
        if decision.reason is Reason.REMOVALS_HELD
        and (name not in scene.memory.held or scene.memory.held[name].change != decision.change)
    )


def _next_look(decisions: Iterable[Decision], standing: Standing | None) -> datetime | None:
    """Return when it is worth looking again although nothing changed."""
    times = [decision.retry_at for decision in decisions]
    times.append(standing.until if standing else None)
    return min(filter(None, times), default=None)


def _is_name(text: str) -> bool:
    return "/" not in text and "." not in text


def _guarded(compute: Callable[[], T | Refusal]) -> T | Refusal:
    """Compute; a defect of our own holds one workspace and no other."""
    try:
        return compute()
    except Exception as defect:  # noqa: BLE001 - the one guard of resolving and rendering
        return Refusal(Reason.INTERNAL_ERROR, f"{type(defect).__name__}: {defect}")


def _hold_all(names: set[str], reason: Reason, message: str) -> Plan:
    return Plan({name: classify.unseen(name, reason, message) for name in sorted(names)})
