"""Knows one pass: look, decide, do, tell, in this order, against the protocols of `surroundings`.

Refuses to know an adapter, to wait for an effect, and to need anything that it remembers: killed anywhere,
the next pass of the next process repairs.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from controller.api.conditions import Reason
from controller.model import errors
from controller.model.actions import Action, LedgerAction
from controller.model.desired import AcceptedPolicy, Desired
from controller.model.effective import Effective
from controller.model.memory import Memory
from controller.model.observed import Account, EngineView, Layer, Observed, Seen, Unseen
from controller.model.outcomes import Failed
from controller.model.plan import Decision, Plan, Verdict
from controller.model.status import ChainReport, PassReport, WorkspaceStatus
from controller.planning import acceptance, backoff, case, claims, inventory, resolve, retention
from controller.planning.case import Blueprint, Rules
from controller.planning.planner import Planner
from controller.status import files, summary
from controller.surroundings import Surroundings
from controller.workers import Finished

LAYERS_A_PASS = 3
"""Kept containers whose layers are looked into in one pass."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What one pass saw."""

    desired: Desired
    observed: Observed
    memory: Memory
    ledger: Unseen | None
    next_look: datetime | None

    def unseen(self) -> tuple[tuple[str, Reason, str], ...]:
        """Return each part that could not be seen."""
        parts: dict[str, object] = {
            "specs": self.desired.scan,
            "policy": self.desired.policy,
            "engine": self.observed.engine,
            "host": self.observed.host,
            "ledger": self.ledger,
        }
        return tuple((n, p.reason, p.message) for n, p in parts.items() if isinstance(p, Unseen))


@dataclass(frozen=True, slots=True)
class Setup:
    """What of configuration and host a pass depends on.

    Attributes:
        mode: Enforce or Observe.
        host_identity: of this boot and this schema; another one is looked at before it is touched.
    """

    mode: str
    rules: Rules
    host_identity: str


class Reconciler:
    """Passes over one host. `nonce` gives 32 random bytes."""

    def __init__(
        self,
        surroundings: Surroundings,
        planner: Planner,
        nonce: Callable[[], bytes],
        monotonic: Callable[[], float],
        setup: Setup,
    ) -> None:
        self._around = surroundings
        self._planner = planner
        self._nonce = nonce
        self._monotonic = monotonic
        self._mode = setup.mode
        self._rules = setup.rules
        self._host_identity = setup.host_identity
        self._proven = False
        self._passes = 0
        self._ledger_trouble: Unseen | None = None
        self._intents_settled = False
        self._unwritten: tuple[Finished, ...] = ()
        self._statuses: dict[str, WorkspaceStatus] = {}
        self._told: dict[str, tuple[object, ...]] = {}  # what each of them was worded from

    def run_pass(self, now: datetime, cause: str) -> PassReport:
        """Make one pass and report it; effects go on after it has returned."""
        began = self._monotonic()
        self._passes += 1
        chains = self._collect(now)
        look = self._look(now, cause)
        then = now + timedelta(seconds=self._monotonic() - began)  # a look may have taken long
        plan = self._planner.plan(look.desired, look.observed, look.ledger or look.memory, then)
        begun: frozenset[str] = frozenset()
        if self._mode == "Enforce" and look.ledger is None:
            begun = self._do(plan, then)
        self._summarize(plan, look, now)
        times = [t for t in (plan.next_look, look.next_look) if t is not None and t > now]
        return PassReport(
            pass_id=self._passes,
            at=now,
            seconds=self._monotonic() - began,
            cause=cause,
            mode="Paused" if look.memory.host_pause else self._mode,
            plan=replace(plan, next_look=min(times, default=None)),
            statuses=dict(self._statuses),
            complete=not look.unseen(),
            unseen=look.unseen(),
            spec_files=files.counts(look.desired, self._around.policies.files()),
            file_findings=files.findings(look.desired),
            ignored_files=look.desired.scan.value.ignored if isinstance(look.desired.scan, Seen) else (),
            findings=plan.findings,
            chains=chains,
            in_progress=begun | self._around.crew.busy(),
        )

    # look

    def _look(self, now: datetime, cause: str) -> _Look:
        ports = self._around
        deleted = ports.ledger.recall(b"", now).removal_requests
        scan = ports.specs.observe(now)
        policy = self._policy(now)
        nonce = self._nonce()
        memory = ports.ledger.recall(nonce, now)
        self._probe(now, cause)
        accepted = acceptance.accept(
            scan, memory, lambda name: claims.instance(nonce, name, "uid"), self._rules.budget, now
        )
        memory = self._accept(accepted, memory, nonce, now)
        if isinstance(scan, Seen):
            found = accepted.specs  # of a scan that began after these were deleted
            back = [name for name in deleted if name in found and found[name].missing_since is None]
            self._write_each(ports.ledger.clear_removal, back, now)
        specs = accepted.specs if self._ledger_trouble is None else memory.accepted
        desired = Desired(specs, scan, accepted.rejected, accepted.removals_held, accepted.accident, policy)
        accounts = self._accounts(desired, memory, now)
        effectives = self._resolve(desired, accounts)
        self._drop_wishes(effectives, memory, now)
        engine = ports.engine.observe(frozenset(e.image for e in effectives.values()), now)
        if isinstance(engine, Seen) and not self._intents_settled and self._ledger_trouble is None:
            self._intents_settled = self._write(lambda: ports.ledger.abandon_intents(now), now)
        memory = self._identify(engine, ports.ledger.recall(nonce, now), now)
        waiting, running = _by_state(effectives, engine)
        host = ports.host.observe(accounts, waiting, running, now)
        next_look = min((t for t in (accepted.next_look, ports.policies.next_look) if t), default=None)
        layers = self._layers(engine, memory, cause, now)
        look = _Look(desired, Observed(engine, host, layers), memory, self._ledger_trouble, next_look)
        return replace(look, observed=replace(look.observed, unproven=self._unproven(look)))

    def _identify(self, engine: Seen[EngineView] | Unseen, memory: Memory, now: datetime) -> Memory:
        """Keep for good which container is the first with an instance, so that no copy takes its place."""
        if isinstance(engine, Unseen) or self._ledger_trouble is not None:
            return memory
        seen, gone = inventory.identities(engine.value, memory)
        if not (seen or gone) or not self._write(lambda: self._around.ledger.identify(seen, gone), now):
            return memory
        return self._around.ledger.recall(memory.nonce, now)

    def _layers(
        self, engine: Seen[EngineView] | Unseen, memory: Memory, cause: str, now: datetime
    ) -> Mapping[str, Layer]:
        """Look into a few of the kept containers whose time is over; that is costly, so not at every pass."""
        if cause != "resync" or isinstance(engine, Unseen):
            return {}
        due = retention.expired(memory, self._rules.retain, now)
        return self._around.engine.layers([i for i in due if i in engine.value.containers][:LAYERS_A_PASS])

    def _unproven(self, look: _Look) -> str:
        """Say why nothing may rest on this look; a host is proven by one complete look since it changed."""
        engine, ledger = look.observed.engine, self._around.ledger
        if self._proven or isinstance(engine, Unseen) or look.ledger is not None:
            return ""
        identity = f"{self._host_identity}/{engine.value.engine_id}"
        if ledger.proven_host() != identity:
            unseen = look.unseen()
            if unseen:
                name, reason, message = unseen[0]
                return (
                    f"the host is new or changed and not all of it was seen yet: {name}: {reason}: {message}"
                )
            self._write(lambda: ledger.prove_host(identity), engine.at)
        self._proven = True
        return ""

    def _policy(self, now: datetime) -> AcceptedPolicy | Unseen:
        try:
            return self._around.policies.observe(now)
        except errors.EffectError as error:
            self._trouble(error, now)
            return Unseen(error.reason, error.message, now)

    def _probe(self, now: datetime, cause: str) -> None:
        if self._ledger_trouble is None and cause not in {"resync", "startup"}:
            return
        if self._write(lambda: self._around.ledger.probe(now), now):
            self._ledger_trouble = None

    def _accept(self, accepted: acceptance.Acceptance, memory: Memory, nonce: bytes, now: datetime) -> Memory:
        ledger, identity = self._around.ledger, accepted.identity
        moved = identity is not None and identity != memory.spec_identity
        if self._ledger_trouble is not None or not (accepted.changed or moved):
            return memory

        def write() -> None:
            with ledger.batch():
                ledger.accept(accepted.changed)
                if moved and identity is not None:
                    ledger.record_spec_identity(identity)

        self._write(write, now)
        return ledger.recall(nonce, now)

    def _accounts(self, desired: Desired, memory: Memory, now: datetime) -> dict[str, Account | None]:
        """Return the owners' accounts; one that is seen for the first time is recorded for good."""
        owners = {resolve.owner_of(spec.workspace) for spec in desired.specs.values()}
        accounts: dict[str, Account | None] = {
            owner: memory.accounts[owner] for owner in owners if owner in memory.accounts
        }
        found = self._around.host.accounts(sorted(owners - accounts.keys()), now)
        new = [account for account in found.values() if account is not None]
        if new and self._ledger_trouble is None:

            def write() -> None:
                with self._around.ledger.batch():
                    for account in new:
                        self._around.ledger.record_account(account)

            self._write(write, now)
        return accounts | dict(found)

    def _resolve(self, desired: Desired, accounts: Mapping[str, Account | None]) -> dict[str, Effective]:
        policy = desired.policy
        if isinstance(policy, Unseen):
            return {}
        resolved = {
            name: self._planner.effective(spec, policy, accounts.get(resolve.owner_of(spec.workspace)))
            for name, spec in desired.specs.items()
        }
        return {name: found for name, found in resolved.items() if isinstance(found, Effective)}

    def _drop_wishes(self, effectives: Mapping[str, Effective], memory: Memory, now: datetime) -> None:
        """Forget a person's start or stop for good once the spec's own word is another one."""
        ended = [
            name
            for name, wish in memory.suspensions.items()
            if name in effectives and case.in_force(wish, effectives[name]) is None
        ]
        self._write_each(self._around.ledger.clear_suspension, ended, now)

    # do

    def _do(self, plan: Plan, now: datetime) -> frozenset[str]:
        """Write what is about to be done, then hand it to the crew."""
        busy = self._around.crew.busy()
        ready = [d for d in (*_host_decisions(plan), *plan.upkeep, *plan.decisions.values()) if d.actions]
        ready = [decision for decision in ready if decision.workspace not in busy]
        begun: list[tuple[Decision, tuple[Action, ...], int]] = []

        def write() -> None:
            with self._around.ledger.batch():
                self._around.ledger.hold(plan.held)
                begun.extend(chain for d in ready if (chain := self._begin(d, now)) is not None)

        if (ready or plan.held) and self._write(write, now):
            for decision, rest, intent_id in begun:
                self._around.crew.submit(decision, rest, intent_id)
        return frozenset(decision.workspace for decision, _, _ in begun)

    def _begin(self, decision: Decision, now: datetime) -> tuple[Decision, tuple[Action, ...], int] | None:
        """Write the ledger actions that a chain begins with, and its intent, in one transaction."""
        rest = decision.actions
        while rest and isinstance(rest[0], LedgerAction):
            outcome = self._around.ledger.execute(rest[0], now)
            if isinstance(outcome, Failed):
                self._back_off(decision, outcome, now)
                return None
            rest = rest[1:]
        return decision, rest, self._around.ledger.open_intent(decision, now)

    def _collect(self, now: datetime) -> tuple[ChainReport, ...]:
        """Write what came of the chains that have ended; what could not be written is written later."""
        ended = self._around.crew.collect()
        finished = (*self._unwritten, *ended)

        def write() -> None:
            with self._around.ledger.batch():
                for chain in finished:
                    self._around.ledger.resolve_intent(chain.intent_id, chain.report.outcomes, now)
                    self._settle(chain.report, now)

        self._unwritten = () if not finished or self._write(write, now) else finished
        return tuple(chain.report for chain in ended)

    def _settle(self, chain: ChainReport, now: datetime) -> None:
        last = chain.outcomes[-1] if chain.outcomes else None
        if isinstance(last, Failed):
            if last.reason is not Reason.ENGINE_UNAVAILABLE:
                self._back_off(chain.decision, last, now)
            return
        name = chain.decision.workspace
        before = self._around.ledger.recall(b"", now).backoffs.get(name)
        if before is not None and before.key == chain.decision.key:
            self._around.ledger.set_backoff(name, None)

    def _back_off(self, decision: Decision, failure: Failed, now: datetime) -> None:
        before = self._around.ledger.recall(b"", now).backoffs.get(decision.workspace)
        after = backoff.after_failure(before, failure.reason, failure.message, decision.key, now)
        self._around.ledger.set_backoff(decision.workspace, after)

    def _write(self, write: Callable[[], object], now: datetime) -> bool:
        try:
            write()
        except errors.EffectError as error:
            self._trouble(error, now)
            return False
        return True

    def _write_each(self, write: Callable[[str], None], names: Sequence[str], now: datetime) -> None:
        """Write something about each of the names, all at once."""

        def together() -> None:
            with self._around.ledger.batch():
                for name in names:
                    write(name)

        if names and self._ledger_trouble is None:
            self._write(together, now)

    def _trouble(self, error: errors.EffectError, now: datetime) -> None:
        since = self._ledger_trouble.since if self._ledger_trouble else now
        self._ledger_trouble = Unseen(Reason.LEDGER_UNAVAILABLE, error.message, since)

    # tell

    def _summarize(self, plan: Plan, look: _Look, now: datetime) -> None:
        engine = look.observed.engine
        view = engine.value if isinstance(engine, Seen) else None
        gone = self._statuses.keys() - plan.decisions.keys()
        for name in gone:
            del self._statuses[name], self._told[name]
        for name, decision in plan.decisions.items():
            container = view.containers.get(decision.container_id or "") if view else None
            spec, facts = look.desired.specs.get(name), self._facts(name, look, view)
            told = (spec, decision, container, facts)
            if self._told.get(name) == told:
                continue  # the same would be said again
            self._told[name] = told
            prior = self._statuses.get(name)
            self._statuses[name] = summary.summarize(prior, spec, decision, container, facts, now)

    def _facts(self, name: str, look: _Look, view: EngineView | None) -> summary.Facts:
        design = self._planner.designs.get(name)
        memory, engine = look.memory, look.observed.engine
        known = design if isinstance(design, Blueprint) else None
        return summary.Facts(
            effective=known.effective.values if known else (),
            services=known.services if known else (),
            rejected=look.desired.rejected.get(name),
            suspension=memory.suspensions.get(name),
            backoff=memory.backoffs.get(name),
            image_id=view.images.get(known.effective.image) if view and known else None,
            spec_running=known.effective.running if known else None,
            engine=engine if isinstance(engine, Unseen) else None,
        )


def _by_state(
    effectives: Mapping[str, Effective], engine: Seen[EngineView] | Unseen
) -> tuple[tuple[Effective, ...], tuple[Effective, ...]]:
    """Return the workspaces whose container does not run, which may be started, and those whose does."""
    if isinstance(engine, Unseen):
        return (), ()
    names = {c.name for c in engine.value.containers.values() if c.running}
    running = tuple(e for name, e in effectives.items() if case.main_name(name) in names)
    return tuple(e for name, e in effectives.items() if case.main_name(name) not in names), running


def _host_decisions(plan: Plan) -> Iterable[Decision]:
    for action in plan.host_actions:
        yield Decision(
            workspace=f"network/{action.name}",
            verdict=Verdict.CREATE,
            reason=Reason.NETWORK_PENDING,
            actions=(action,),
            key=f"network/{action.name}",
        )
