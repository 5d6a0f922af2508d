"""The status of one workspace: what the pass found, decided and knows about it, with its history.

Refuses to make a new value where nothing changed: then the status of the pass before is returned itself.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from controller.api.conditions import ConditionType, DriftKind, Reason
from controller.api.workspace import DesiredState
from controller.model.desired import AcceptedSpec, RejectedFile
from controller.model.gpustatus import WorkspaceGpus
from controller.model.memory import BackOff, Suspension
from controller.model.observed import Container, Unseen
from controller.model.plan import Decision, Verdict
from controller.model.sizes import Usage
from controller.model.status import Condition, EffectiveValue, ServiceAddress, WorkspaceStatus
from controller.status import conditions

_BLIND: Final = frozenset(
    {Reason.IN_PROGRESS, Reason.ENGINE_UNAVAILABLE, Reason.LEDGER_UNAVAILABLE, Reason.NOT_SEEN}
)
"""Reasons of decisions that looked for no drift, so that no drift means nothing."""


class Facts(NamedTuple):
    """What a status shows beside decision and container.

    Attributes:
        effective: values in force with their origins.
        services: every declared service, with its host port where it has one.
        rejected: the newer file that is not in force.
        suspension: a person's word in force.
        backoff: of the last failure, while it counts.
        image_reference: what the Engine is asked for.
        image_id: what that means on this host.
        image_digest: by which a registry knows what the container was made from.
        spec_running: what the spec says after inheritance; None: what its own text says.
        engine: why containers could not be looked at, if so.
        created_at: of the workspace object; None: as before, else when its spec was accepted.
        usage: bytes that it takes, as they were measured last.
        gpus: what it wants of the GPUs and has.
    """

    effective: tuple[EffectiveValue, ...] = ()
    services: tuple[ServiceAddress, ...] = ()
    rejected: RejectedFile | None = None
    suspension: Suspension | None = None
    backoff: BackOff | None = None
    image_reference: str | None = None
    image_id: str | None = None
    image_digest: str | None = None
    spec_running: bool | None = None
    engine: Unseen | None = None
    created_at: datetime | None = None
    usage: Usage | None = None
    gpus: WorkspaceGpus | None = None


def summarize(
    prior: WorkspaceStatus | None,
    spec: AcceptedSpec | None,
    decision: Decision,
    container: Container | None,
    facts: Facts,
    now: datetime,
) -> WorkspaceStatus:
    """What is to be said of a workspace now.

    `prior` is the status of the pass before, returned itself if nothing changes but the times of looking;
    else conditions whose status is as before keep their times. `spec` is None if none was ever accepted.
    """
    prior = _of_the_same(prior, spec)
    (running, requested), generation = _desired(spec, facts), spec.generation if spec else 0
    situation = _situation(decision, container, facts, running=running, requested=requested)
    fresh = WorkspaceStatus(
        workspace=decision.workspace,
        owner=_owner(spec),
        uid=spec.uid if spec else "",
        generation=generation,
        observed_generation=generation,
        created_at=_created_at(prior, spec, facts, now),
        desired_running=running,
        conditions=_conditions(prior, situation, generation, now),
        decision=decision,
        drift_since=_drift_since(prior, decision, now),
        container=container,
        image_reference=facts.image_reference,
        image_id=facts.image_id,
        image_digest=facts.image_digest,
        services=facts.services,
        effective=facts.effective,
        rejected=facts.rejected,
        spec=spec,
        next_attempt=_next_attempt(decision, facts.backoff),
        usage=facts.usage,
        gpus=facts.gpus,
    )
    return prior if prior is not None and _says_nothing_new(prior, fresh) else fresh


def _of_the_same(prior: WorkspaceStatus | None, spec: AcceptedSpec | None) -> WorkspaceStatus | None:
    """Leave out the status of another workspace that had the name."""
    return None if prior is not None and spec is not None and prior.uid != spec.uid else prior


def _situation(
    decision: Decision, container: Container | None, facts: Facts, *, running: bool, requested: bool
) -> conditions.Situation:
    return conditions.Situation(
        decision, container, running, requested, facts.services, facts.rejected, facts.engine, facts.gpus
    )


def _says_nothing_new(prior: WorkspaceStatus, fresh: WorkspaceStatus) -> bool:
    return (
        fresh.conditions is prior.conditions
        and fresh.drift_since is prior.drift_since
        and fresh.desired_running == prior.desired_running
        and fresh.created_at == prior.created_at
        and fresh.next_attempt == prior.next_attempt
        and fresh.decision == prior.decision
        and fresh.image_reference == prior.image_reference
        and fresh.image_id == prior.image_id
        and fresh.image_digest == prior.image_digest
        and fresh.rejected == prior.rejected
        and fresh.services == prior.services
        and fresh.effective == prior.effective
        and fresh.usage == prior.usage
        and fresh.gpus == prior.gpus
        and _same_spec(prior.spec, fresh.spec)
        and _same_container(prior.container, fresh.container)
    )


def _desired(spec: AcceptedSpec | None, facts: Facts) -> tuple[bool, bool]:
    running = facts.spec_running
    if running is None:
        running = spec is None or spec.workspace.spec.desired_state is not DesiredState.STOPPED
    if facts.suspension is None or facts.suspension.running == running:
        return running, False
    return facts.suspension.running, True


def _owner(spec: AcceptedSpec | None) -> str:
    return (spec.workspace.spec.owner or spec.name) if spec else ""


def _created_at(
    prior: WorkspaceStatus | None, spec: AcceptedSpec | None, facts: Facts, now: datetime
) -> datetime:
    if facts.created_at is not None:
        return facts.created_at
    if prior is not None:
        return prior.created_at
    return spec.since if spec else now


def _conditions(
    prior: WorkspaceStatus | None, situation: conditions.Situation, generation: int, now: datetime
) -> Mapping[ConditionType, Condition]:
    before: Mapping[ConditionType, Condition] = prior.conditions if prior else {}
    spoken: dict[ConditionType, Condition] = {}
    changed = False
    for claim in conditions.claims(situation):
        old = before.get(claim.type)
        if old is not None and _says_the_same(old, claim, generation):
            spoken[claim.type] = old
            continue
        changed = True
        since = old.last_transition if old is not None and old.status is claim.status else now
        spoken[claim.type] = Condition(
            claim.type, claim.status, claim.reason, claim.message, since, generation
        )
    return before if not changed and len(spoken) == len(before) else spoken


def _says_the_same(old: Condition, claim: conditions.Claim, generation: int) -> bool:
    return (
        old.status is claim.status
        and old.reason is claim.reason
        and old.message == claim.message
        and old.observed_generation == generation
    )


def _drift_since(
    prior: WorkspaceStatus | None, decision: Decision, now: datetime
) -> Mapping[DriftKind, datetime]:
    before: Mapping[DriftKind, datetime] = prior.drift_since if prior else {}
    if not decision.drifts and (not before or decision.reason in _BLIND):
        return before
    since = {drift.kind: before.get(drift.kind, now) for drift in decision.drifts}
    return before if since == before else since


def _next_attempt(decision: Decision, backoff: BackOff | None) -> datetime | None:
    if decision.verdict not in {Verdict.WAIT, Verdict.HOLD}:
        return None
    return backoff.next_attempt if backoff is not None else decision.retry_at


def _same_spec(before: AcceptedSpec | None, after: AcceptedSpec | None) -> bool:
    if before is after:
        return True
    if before is None or after is None:
        return False
    return (before.uid, before.generation, before.digest, before.file) == (
        after.uid,
        after.generation,
        after.digest,
        after.file,
    )


def _same_container(before: Container | None, after: Container | None) -> bool:
    """Whether two looks show the same; what changes with every look and is shown nowhere does not count."""
    if before is after:
        return True
    if before is None or after is None:
        return False
    return (
        before.id == after.id
        and before.state is after.state
        and before.started_at == after.started_at
        and before.finished_at == after.finished_at
        and before.exit_code == after.exit_code
        and before.health is after.health
        and before.image_id == after.image_id
        and before.name == after.name
        and before.address == after.address
    )
