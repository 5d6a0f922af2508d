"""Knows one pass: look, decide, do, tell, in this order, against the protocols of `surroundings`.

Refuses to know an adapter, to wait for an effect, and to need anything that it remembers: killed anywhere,
the next pass of the next process repairs.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from controller.api.conditions import Reason
from controller.bookkeeping import Bookkeeping
from controller.looking import Host, Look, Looker
from controller.model.actions import Action, LedgerAction, PullImage
from controller.model.desired import AcceptedPolicy
from controller.model.gpustatus import GpuStatus, WorkspaceGpus
from controller.model.memory import Memory
from controller.model.observed import Container, EngineView, Seen, Unseen
from controller.model.outcomes import Failed, Succeeded
from controller.model.plan import Decision, Plan, Verdict
from controller.model.status import ChainReport, OwnerStatus, PassReport, WorkspaceStatus
from controller.planning import backoff, collection, contents, oversight, owners
from controller.planning.case import Blueprint, Rules
from controller.planning.planner import Planner
from controller.status import files, summary
from controller.surroundings import Surroundings
from controller.workers import Finished


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
        self._monotonic = monotonic
        self._mode = setup.mode
        self._clean_after = setup.rules.gpus_clean_after
        self._books = Bookkeeping(surroundings.ledger)
        host = Host(setup.rules, setup.host_identity)
        self._looker = Looker(surroundings, planner, self._books, nonce, host)
        self._passes = 0
        self._unwritten: tuple[Finished, ...] = ()
        self._statuses: dict[str, WorkspaceStatus] = {}
        self._told: dict[str, tuple[object, ...]] = {}  # what each of them was worded from

    def run_pass(self, now: datetime, cause: str) -> PassReport:
        """Make one pass and report it; effects go on after it has returned."""
        began = self._monotonic()
        self._passes += 1
        chains = self._collect(now)
        look = self._looker.look(now, cause)
        then = now + timedelta(seconds=self._monotonic() - began)  # a look may have taken long
        plan = self._planner.plan(look.desired, look.observed, look.ledger or look.memory, then)
        acts = self._mode == "Enforce" and look.ledger is None
        begun = self._do(plan, look.memory, then) if acts else frozenset[str]()
        if collection.is_over(plan.upkeep, look.observed, look.memory, then):
            self._around.errands.room_made()
        gpus = self._oversee(plan, look)
        self._summarize(plan, look, gpus, now)
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
            findings=(*plan.findings, *oversight.findings(gpus)),
            chains=chains,
            in_progress=begun | self._around.crew.busy(),
            disk=look.disk(),
            policy=look.desired.policy if isinstance(look.desired.policy, AcceptedPolicy) else None,
            owners=self._owners(look, then),
            images=look.observed.engine.value.images if isinstance(look.observed.engine, Seen) else {},
            wanted_images=look.wanted,
            gpus=gpus,
            slices=self._planner.slices.where_seen(look.ledger, look.observed.engine, look.observed.host),
            groups=self._groups(look, then),
        )

    def _groups(self, look: Look, now: datetime) -> Mapping[str, str]:
        policy = look.desired.policy
        if isinstance(policy, Unseen):
            return {}
        standing = self._planner.standing(policy, now)
        return owners.groups(standing, {status.owner for status in self._statuses.values()})

    def _owners(self, look: Look, now: datetime) -> Mapping[str, OwnerStatus]:
        policy = look.desired.policy
        if isinstance(policy, Unseen):
            return {}
        return owners.Owners(
            self._planner.standing(policy, now),
            now,
            look.desired.specs,
            self._planner.designs,
            dict(self._statuses),
            look.memory.accounts,
        )

    # do

    def _do(self, plan: Plan, memory: Memory, now: datetime) -> frozenset[str]:
        """Write what is about to be done, then hand it to the crew."""
        waits = None if plan.gpu_waits == memory.gpu_waits else plan.gpu_waits
        busy = self._around.crew.busy()
        ready = [d for d in (*_host_decisions(plan), *plan.upkeep, *plan.decisions.values()) if d.actions]
        ready = [decision for decision in ready if decision.workspace not in busy]
        begun: list[tuple[Decision, tuple[Action, ...], int]] = []

        def write() -> None:
            with self._around.ledger.batch():
                self._around.ledger.hold(plan.held)
                self._around.ledger.fence(plan.fences, plan.fences_ended)
                if waits is not None:
                    self._around.ledger.note_gpu_waits(waits)
                begun.extend(chain for d in ready if (chain := self._begin(d, now)) is not None)

        noted = plan.held or plan.fences or plan.fences_ended or waits is not None
        if (ready or noted) and self._books.write(write, now):
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
                    self._note_answers(chain.report)

        self._unwritten = () if not finished or self._books.write(write, now) else finished
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

    def _note_answers(self, chain: ChainReport) -> None:
        """Write when registries were asked and answered."""
        for outcome in chain.outcomes:
            if isinstance(outcome, Succeeded) and isinstance(outcome.action, PullImage):
                self._around.ledger.record_asked(outcome.action.reference, chain.started_at)

    def _back_off(self, decision: Decision, failure: Failed, now: datetime) -> None:
        before = self._around.ledger.recall(b"", now).backoffs.get(decision.workspace)
        after = backoff.after_failure(before, failure.reason, failure.message, decision.key, now)
        self._around.ledger.set_backoff(decision.workspace, after)

    # tell

    def _oversee(self, plan: Plan, look: Look) -> GpuStatus:
        """Tell who holds and uses the GPUs; who holds them is known where Engine and host were seen."""
        seen, equipment = look.observed, self._planner.equipment
        blind = isinstance(seen.engine, Unseen) or isinstance(seen.host, Unseen)
        held = None if blind or equipment is None else equipment.holdings
        return oversight.overseen(held, seen, look.memory, plan, self._clean_after)

    def _summarize(self, plan: Plan, look: Look, gpus: GpuStatus, now: datetime) -> None:
        engine = look.observed.engine
        view = engine.value if isinstance(engine, Seen) else None
        digests = contents.of_images(view, look.memory) if view else {}
        concerned = self._planner.equipment.concerned if self._planner.equipment else frozenset()
        gone = self._statuses.keys() - plan.decisions.keys()
        for name in gone:
            del self._statuses[name], self._told[name]
        for name, decision in plan.decisions.items():
            container = view.containers.get(decision.container_id or "") if view else None
            made_from = (container.configuration.image, container.image_id) if container else ("", "")
            spec, facts = look.desired.specs.get(name), self._facts(name, look, view, digests.get(made_from))
            if name in concerned:
                facts = facts._replace(gpus=self._gpus(name, container, (plan, look, gpus)))
            told = (spec, decision, container, facts)
            if self._told.get(name) == told:
                continue  # the same would be said again
            self._told[name] = told
            prior = self._statuses.get(name)
            self._statuses[name] = summary.summarize(prior, spec, decision, container, facts, now)

    def _gpus(
        self, name: str, container: Container | None, told: tuple[Plan, Look, GpuStatus]
    ) -> WorkspaceGpus | None:
        (plan, look, gpus), design = told, self._planner.designs.get(name)
        waits = look.memory.gpu_waits if plan.gpu_waits is None else plan.gpu_waits
        wanted = design.effective if isinstance(design, Blueprint) else None
        return oversight.of_workspace(wanted, container, gpus, waits.get(name), look.observed.gpus)

    def _facts(self, name: str, look: Look, view: EngineView | None, digest: str | None) -> summary.Facts:
        design = self._planner.designs.get(name)
        memory, engine = look.memory, look.observed.engine
        known = design if isinstance(design, Blueprint) else None
        return summary.Facts(
            effective=known.effective.values if known else (),
            services=known.services if known else (),
            rejected=look.desired.rejected.get(name),
            suspension=memory.suspensions.get(name),
            backoff=memory.backoffs.get(name),
            image_reference=known.effective.image if known else None,
            image_id=view.images.get(known.effective.image) if view and known else None,
            image_digest=digest,
            spec_running=known.effective.running if known else None,
            engine=engine if isinstance(engine, Unseen) else None,
            usage=look.observed.usage.get(name),
        )


def _host_decisions(plan: Plan) -> Iterable[Decision]:
    for action in plan.host_actions:
        yield Decision(
            workspace=f"network/{action.name}",
            verdict=Verdict.CREATE,
            reason=Reason.NETWORK_PENDING,
            actions=(action,),
            key=f"network/{action.name}",
        )
