"""Knows how steps of a small host are judged: by the product's own invariants, and by what else must hold.

It refuses to judge what a model without time cannot tell: paces, graces and how old a look is.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from controller.api import labels
from controller.api.conditions import Reason
from controller.audit.evidence import Deed as Written
from controller.audit.evidence import Evidence, Happening, Standing
from controller.audit.invariants import SAFETY
from controller.model import actions
from controller.model.observed import Container
from controller.model.plan import Plan
from controller.planning import claims
from tests.simulation.small_host import KEYS, TICK, Deed, Program, Scope, Whole
from tests.support import builders

LACKS: Final = frozenset({Reason.PORT_POOL_EXHAUSTED, Reason.GPU_QUEUED, Reason.OWN_GPU_BUSY})
"""Reasons of those who wait for a unit."""
JUDGED: Final = ("S1", "S2", "S5", "S6", "S7", "S8")
_OF_STEPS: Final = tuple(one for one in SAFETY if one.id in JUDGED)
_WHAT: Final = {
    actions.CreateContainer: "create",
    actions.StartContainer: "start",
    actions.StopContainer: "stop",
    actions.RemoveContainer: "destroy",
    actions.RenameContainer: "rename",
    actions.UpdateLimits: "update",
    actions.ClearRestartPolicy: "update",
    actions.UnpauseContainer: "unpause",
}


class FoundError(Exception):
    """Something is as it must never be."""

    def __init__(self, invariant: str, message: str, whole: Whole) -> None:
        super().__init__(f"{invariant}: {message}\n{described(whole)}")
        self.invariant = invariant


def described(whole: Whole) -> str:
    """A host in a few lines, for people."""
    lines = [f"{c.name} {c.state} {c.labels[labels.INSTANCE]}" for c in whole.containers]
    lines += [f"files {whole.files}, {whole.leaps} leaps"]
    return "\n".join(lines)


def mirrored(whole: Whole) -> Whole:
    """The same host, the controllers exchanged."""
    return replace(whole, ledgers=whole.ledgers[::-1])


def later(whole: Whole) -> Whole:
    """The same host when the clock has gone on."""
    return replace(whole, leaps=whole.leaps + 1)


def judge_host(scope: Scope, whole: Whole) -> None:
    """Judge what is so, however it came about.

    Raises:
        FoundError: two containers of one workspace run, two have one name, or two have one unit.
    """
    names = Counter(c.name for c in whole.containers)
    if len(names) != len(whole.containers):
        raise FoundError("names", "two containers have one name", whole)
    running = Counter(c.labels[labels.WORKSPACE] for c in whole.containers if c.running)
    if any(count > 1 for count in running.values()):
        raise FoundError("S7", "two containers of one workspace run", whole)
    _check(Evidence(at=builders.NOW, standings=_standings(scope, whole)), whole)


def judge_look(whole: Whole, program: Program) -> None:
    """Judge what was decided, as far as that can be told before it is done.

    Raises:
        FoundError: a chain starts what its look did not see.
    """
    known = {c.id for c in whole.containers}
    for chain in program:
        for action in chain.actions:
            if isinstance(action, actions.StartContainer) and action.container_id not in known:
                raise FoundError("S8", f"{action.name} is started and was not seen", whole)


def judge(scope: Scope, after: Whole, deed: Deed) -> None:
    """Judge an action that was done.

    Raises:
        FoundError: it must never be done so.
    """
    subject = deed.before or deed.after
    what = _WHAT.get(type(deed.action))
    if what is None or subject is None or deed.before == deed.after:
        return
    made = tuple(
        Happening(_order(_number(c)), "create", c.id, c.name, c.labels[labels.WORKSPACE])
        for c in after.containers
    )
    happening = Happening(
        at=builders.NOW,
        what=what,
        container_id=subject.id,
        name=subject.name,
        workspace=subject.labels[labels.WORKSPACE] if claims.is_ours(deed.key, subject.labels) else "",
        by="controller",
        intent=1,
        started_at=subject.started_at,
        pid=subject.pid,
        ever_ran=subject.started_at is not None,
        bytes_held=1,
        seen_at=_order(deed.chain.seen),
    )
    evidence = Evidence(
        at=builders.NOW,
        deeds=(_written(deed),),
        happenings=(*made, happening),
        fresh_happenings=len(made),
        standings=_standings(scope, after),
        asks=(),
        retain=builders.RULES.retain,
    )
    _check(evidence, after)


def judge_rest(scope: Scope, whole: Whole, plans: Sequence[Plan]) -> None:
    """Judge a host that is left alone.

    Raises:
        FoundError: what is said to be as specified is not, or a unit is withheld from who wants it.
    """
    for controller, plan in enumerate(plans):
        for name, decision in plan.decisions.items():
            of_it = [c.name for c in whole.containers if c.running and c.labels[labels.WORKSPACE] == name]
            if decision.reason is Reason.AS_SPECIFIED and of_it != [labels.container_name(name)]:
                raise FoundError("L1", f"{name} is said to be as specified, and {of_it} run", whole)
        waiting = [d for d in plan.decisions.values() if d.reason in LACKS]
        given = {f"port/{g.port}" for g in whole.ledgers[controller % len(whole.ledgers)].memory.port_grants}
        given |= {unit for c in whole.containers for unit in scope.units_of(c)}
        if waiting and len(given) < scope.units:
            raise FoundError("L1", f"{waiting[0].workspace} waits, and a unit is free", whole)


def _check(evidence: Evidence, whole: Whole) -> None:
    for invariant in _OF_STEPS:
        for violation in invariant.check(evidence):
            raise FoundError(violation.invariant, violation.message, whole)


def _written(deed: Deed) -> Written:
    """The deed as the journal has it."""
    expected = getattr(deed.action, "expected", None)
    facts: dict[str, object] = {
        "workspace": getattr(deed.action, "workspace", ""),
        "name": getattr(deed.action, "name", ""),
        "container_id": getattr(deed.action, "container_id", ""),
    }
    if isinstance(expected, actions.Expected):
        started = expected.started_at.isoformat() if expected.started_at else None
        facts["expected"] = {"started_at": started, "pid": expected.pid}
    return Written(
        at=builders.NOW,
        epoch=1,
        intent=1,
        place=0,
        workspace=deed.chain.workspace,
        verdict="",
        reason=deed.chain.reason,
        cause=deed.chain.cause,
        disrupts=False,
        kind=type(deed.action).__name__,
        facts=facts,
        result="Done",
    )


def _standings(scope: Scope, whole: Whole) -> tuple[Standing, ...]:
    return tuple(
        Standing(
            container_id=c.id,
            name=c.name,
            workspace=c.labels[labels.WORKSPACE],
            owned=any(claims.is_ours(key, c.labels) for key in KEYS),
            running=c.running,
            kept=False,
            started_at=c.started_at,
            pid=c.pid,
            units=scope.units_of(c),
        )
        for c in whole.containers
    )


def _number(container: Container) -> int:
    """Return the how-manieth of its workspace a container is."""
    return int(container.labels[labels.INSTANCE][:8], 16)


def _order(number: int) -> datetime:
    """Containers and looks in their order."""
    return builders.NOW + number * TICK
