"""Knows how journal, containers and events of a real host read as evidence, and what they cannot tell.

Refuses to read them itself, and to make up what nobody recorded: the Engine says neither who asked it for
something nor which run a call met, and the journal not what people said.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol, get_args

from controller.api import labels
from controller.audit import tracing
from controller.audit.evidence import Ask, Deed, Evidence, Happening, Standing
from controller.model.actions import LedgerAction
from controller.model.observed import Container

SLACK: Final = timedelta(seconds=2)
"""How far the times of journal and Engine may be apart for one and the same thing."""
UNHEARD: Final = frozenset(
    {"stop", "start", "restart", "rollback", "forget", "delete", "edit", "remove", "tag"}
)
"""What people say of which the ledger keeps only the last, or nothing: all but their approvals."""

_WHAT: Final[Mapping[str, str]] = {
    kind: what for what, kinds in tracing.KINDS.items() if what != "die" for kind in kinds
}
_WRITTEN: Final = frozenset(word.__name__ for word in get_args(LedgerAction))


class Chain(Protocol):
    """One chain as the intent journal has it; see `controller.ledger.journal.Entry`."""

    @property
    def id(self) -> int:
        """Number of the intent."""

    @property
    def workspace(self) -> str:
        """Workspace that it is for."""

    @property
    def opened_at(self) -> datetime:
        """Time of the pass that opened it, which began with a look."""

    @property
    def resolved_at(self) -> datetime | None:
        """When it was resolved."""

    @property
    def abandoned(self) -> bool:
        """Its controller died before."""

    @property
    def epoch(self) -> int:
        """Of its controller."""

    @property
    def verdict(self) -> str:
        """Of its decision."""

    @property
    def reason(self) -> str:
        """Of its decision."""

    @property
    def cause(self) -> str | None:
        """Of a disruption that nobody asked for."""

    @property
    def disrupts(self) -> bool:
        """Whether it stops something that runs."""

    @property
    def actions(self) -> tuple[Mapping[str, object], ...]:
        """JSON objects with the key `action`."""

    @property
    def outcomes(self) -> tuple[Mapping[str, object], ...]:
        """JSON objects with the key `result`, in the order of the actions that were tried."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One container that there is.

    Attributes:
        workspace: by its valid claim or by adoption; empty for what is not ours.
        adopted: a person declared it ours, so another than the controller may have made it.
    """

    container: Container
    workspace: str
    kept: bool
    adopted: bool


@dataclass(frozen=True, slots=True)
class Told:
    """One event of the Engine about a container of ours."""

    at: datetime
    what: str
    container_id: str
    name: str
    workspace: str


@dataclass(frozen=True, slots=True)
class Host:
    """All that there is to be had of a host.

    Attributes:
        since: what is older is not judged.
        chains: oldest first.
        complete_since: from then on no chain is missing; None where nobody can tell.
    """

    at: datetime
    since: datetime
    chains: Sequence[Chain]
    complete_since: datetime | None
    containers: Sequence[Seen]
    told: Sequence[Told]
    approvals: tuple[Ask, ...] = ()
    per_minute: int | None = None
    percent: int | None = None
    retain: timedelta | None = None
    roots: tuple[str, ...] | None = None
    texts: tuple[str, ...] = ()
    canaries: tuple[str, ...] = ()


def evidence(host: Host) -> Evidence:
    """Return what can be judged by; what was done after `host.since` is fresh."""
    deeds = tuple(deed for chain in host.chains for deed in _deeds(chain))
    happenings = sorted((*_made(host), *_done(host)), key=lambda happening: happening.at)
    return Evidence(
        at=host.at,
        deeds=deeds,
        happenings=happenings,
        standings=tuple(_standing(seen) for seen in host.containers),
        asks=host.approvals,
        unheard=UNHEARD,
        fresh_deeds=sum(1 for deed in deeds if deed.at < host.since),
        fresh_happenings=sum(1 for happening in happenings if happening.at < host.since),
        per_minute=host.per_minute,
        percent=host.percent,
        retain=host.retain,
        roots=host.roots,
        texts=host.texts,
        canaries=host.canaries,
    )


def _deeds(chain: Chain) -> Iterator[Deed]:
    for place, (action, outcome) in enumerate(_tried(chain)):
        yield Deed(
            at=chain.opened_at,
            epoch=chain.epoch,
            intent=chain.id,
            place=place,
            workspace=chain.workspace,
            verdict=chain.verdict,
            reason=chain.reason,
            cause=chain.cause,
            disrupts=chain.disrupts,
            kind=str(action["action"]),
            facts=action,
            result=str(outcome.get("result", "Abandoned" if chain.abandoned else "")),
            resolved_at=chain.resolved_at,
        )


def _tried(chain: Chain) -> Iterator[tuple[Mapping[str, object], Mapping[str, object]]]:
    """Return each action with what came of it; ledger actions at the beginning came with the intent."""
    leading = True
    outcomes = iter(chain.outcomes)
    for action in chain.actions:
        leading = leading and action["action"] in _WRITTEN
        yield action, {"result": "Succeeded"} if leading else next(outcomes, {})


def _standing(seen: Seen) -> Standing:
    container = seen.container
    published = container.configuration.ports
    return Standing(
        container_id=container.id,
        name=container.name,
        workspace=seen.workspace,
        owned=bool(seen.workspace),
        running=container.running,
        kept=seen.kept,
        started_at=container.started_at,
        pid=container.pid,
        units=frozenset(f"port/{port.host_port}" for port in published if port.host_port),
        binds=tuple(bind.source for bind in container.configuration.binds),
    )


def _made(host: Host) -> Iterator[Happening]:
    """Return the creation of each container of ours that there is: only a controller can sign a claim."""
    intents = {
        _instance(action): chain.id
        for chain in host.chains
        for action in chain.actions
        if action["action"] == "CreateContainer"
    }
    for seen in host.containers:
        container = seen.container
        if not seen.workspace:
            continue
        instance = container.labels.get(labels.INSTANCE, "")
        known = host.complete_since is not None and container.created >= host.complete_since
        ours = instance in intents or (known and not seen.adopted)
        yield Happening(
            at=container.created,
            what="create",
            container_id=container.id,
            name=labels.container_name(seen.workspace),
            workspace=seen.workspace,
            by=tracing.CONTROLLER if ours else None,
            intent=intents.get(instance),
        )


def _instance(action: Mapping[str, object]) -> str:
    written = action.get("labels")
    return str(written.get(labels.INSTANCE, "")) if isinstance(written, Mapping) else ""


def _done(host: Host) -> Iterator[Happening]:
    """Return what the Engine said to controllers that it did, and what it tells besides."""
    told = list(host.told)
    seen = {one.container.id: one.workspace for one in host.containers}
    for chain in host.chains:
        for action, outcome in _tried(chain):
            what = _WHAT.get(str(action["action"]), "create")
            if what != "create" and outcome.get("result") == "Succeeded" and not outcome.get("already"):
                happening = _happening(seen, chain, what, action)
                event = _take(told, happening, chain, host.at)
                yield replace(happening, at=event.at) if event is not None else happening
    for event in told:
        yield Happening(event.at, event.what, event.container_id, event.name, event.workspace)


def _happening(seen: Mapping[str, str], chain: Chain, what: str, action: Mapping[str, object]) -> Happening:
    identifier = str(action["container_id"])
    expected = action.get("expected")
    ran = isinstance(expected, Mapping) and expected.get("started_at") is not None
    return Happening(
        at=chain.resolved_at or chain.opened_at,
        what=what,
        container_id=identifier,
        name=str(action.get("name") or action.get("old_name")),
        workspace=seen.get(identifier, str(action["workspace"])),
        by=tracing.CONTROLLER,
        epoch=chain.epoch,
        intent=chain.id,
        ever_ran=ran,
        seen_at=chain.opened_at if what == "start" else None,
        run_known=False,
        claim_known=identifier in seen,
    )


def _take(told: list[Told], happening: Happening, chain: Chain, now: datetime) -> Told | None:
    """Take the event that tells of the same, if the Engine still has it."""
    begin, end = chain.opened_at - SLACK, (chain.resolved_at or now) + SLACK
    for index, event in enumerate(told):
        same = event.what == happening.what and event.container_id == happening.container_id
        if same and begin <= event.at <= end:
            return told.pop(index)
    return None
