"""Knows how a kept container is put back, from each state in which that may be left.

Refuses to remove what it replaces: the container that makes way is kept in its turn.
"""

from controller.api.conditions import Reason
from controller.model import actions
from controller.model.memory import FailedTemplate, Pin, Rollback
from controller.model.observed import Container
from controller.model.plan import Decision, Verdict
from controller.planning import chains, obstacles
from controller.planning.case import Case


def begin(case: Case, to_id: str, failed: FailedTemplate | None) -> tuple[actions.Action, ...]:
    """Give a replacement up and put the old container back; `failed` is not tried again by itself."""
    rollback = Rollback(case.name, to_id, requested=False, at=case.now, by="")
    return (
        actions.BeginRollback(case.name, rollback),
        actions.EndReplacement(case.name, failed),
    )


def under_way(case: Case) -> Decision | None:
    """A kept container is being put back."""
    rollback = case.memory.rollbacks.get(case.name)
    if rollback is None:
        return None
    kept = next((c for c in case.ours.all() if c.id == rollback.to_id), None)
    if kept is None:
        end = (actions.EndRollback(case.name, None),)
        return case.decide(Verdict.UPDATE, Reason.ROLLING_BACK, "the kept container is gone", actions=end)
    unfit = None if kept.running else obstacles.parent(case, kept)
    if unfit is not None:
        end = (actions.EndRollback(case.name, None),)
        return case.decide(
            Verdict.UPDATE, _reason(rollback)[0], f"it is given up: {unfit.message}", actions=end
        )
    if kept is not case.ours.main:
        return _swap_names(case, rollback, kept)
    return _hand_over(case, rollback, kept)


def _reason(rollback: Rollback) -> tuple[Reason, str]:
    if rollback.requested:
        return Reason.ROLLBACK_REQUESTED, f"{rollback.by} asked for the kept container"
    return Reason.ROLLING_BACK, "its replacement failed"


def _swap_names(case: Case, rollback: Rollback, kept: Container) -> Decision:
    """Give the kept container the workspace's name; what runs goes on until that is done."""
    main = case.ours.main
    asked = rollback.requested and case.should_run and case.ours.running()
    hold = obstacles.kept(case, kept) if asked else None
    if hold is not None:
        return hold
    reason, message = _reason(rollback)
    first = chains.sources(case, kept) if rollback.requested and case.should_run else ()
    aside = chains.set_aside(case, main, reason) if main is not None else ()
    actions_ = (*first, *aside, *chains.bring_back(case, kept))
    return case.decide(Verdict.REPLACE, reason, message, actions=actions_)


def _hand_over(case: Case, rollback: Rollback, kept: Container) -> Decision:
    """The kept container has its name: stop the other one, start it, and be done."""
    reason, message = _reason(rollback)
    others = tuple(c for c in case.ours.running() if c is not kept)
    stops = tuple(action for container in others for action in chains.stop(case, container))
    if kept.running or _was_tried(case, kept) or not case.should_run:
        end = (*stops, actions.EndRollback(case.name, _pin(case, rollback, kept)))
        return case.decide(Verdict.UPDATE, reason, message, actions=end, disrupts=bool(others))
    hold = obstacles.kept(case, kept) if others and rollback.requested else None
    hold = hold or obstacles.limits(case) or obstacles.own_devices(case)
    if hold is not None:
        return hold
    first = chains.sources(case, kept) if rollback.requested else ()
    begin_ = (*first, *chains.start(case, 0, before=(*chains.confine(case, kept), *stops)))
    return case.decide(Verdict.REPLACE, reason, message, actions=begin_, disrupts=bool(others))


def _was_tried(case: Case, kept: Container) -> bool:
    """Tell whether it was started since: if it ended again, that is like any other end, and backed off.

    A start that was recorded and never came about, because the controller died before it, is none.
    """
    restarts, started = case.memory.restarts.get(case.name), kept.started_at
    if restarts is None or restarts.container_id != kept.id:
        return False
    return started is not None and started >= restarts.last_start


def _pin(case: Case, rollback: Rollback, kept: Container) -> Pin | None:
    """A container that a person asked for stays until the spec is edited; there may be no spec to edit."""
    if not rollback.requested or case.spec is None:
        return None
    return Pin(case.name, kept.id, case.spec.generation, case.now, rollback.by)
