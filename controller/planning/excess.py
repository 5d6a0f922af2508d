"""Knows what becomes of a workspace that is beyond its owner's quotas: it waits, or is stopped, or goes on.

Refuses to stop what runs, unless the policy says so of that very limit.
"""

from controller.api.conditions import DriftKind, Reason
from controller.model import actions as actions_of
from controller.model.memory import Cause
from controller.model.plan import Decision, Verdict
from controller.planning import chains, regranting, stops
from controller.planning.case import Case


def waits(case: Case) -> Decision | None:
    """What does not run is not started; nor may the Engine start it by itself."""
    beyond, main = case.beyond, case.ours.main
    if beyond is None or case.ours.running() or not case.should_run:
        return None
    if main is not None and any(found.kind is DriftKind.RESTART_POLICY for found in case.drifts):
        clear = (actions_of.ClearRestartPolicy(case.name, main.id, main.name),)
        return case.decide(Verdict.UPDATE, beyond.reason, beyond.message, actions=clear)
    released = regranting.released(case, beyond.message)
    return released or case.decide(Verdict.HOLD, beyond.reason, beyond.message)


def ends(case: Case) -> Decision | None:
    """What runs is stopped where the policy says that this limit holds now."""
    beyond = case.beyond
    if beyond is None or not beyond.stop or not case.ours.running() or not case.should_run:
        return None
    if not case.accepted.confirmed:
        return stops.confirming(case, f"stopping it ({beyond.message})")
    stop = tuple(action for container in case.ours.running() for action in chains.stop(case, container))
    return case.decide(
        Verdict.STOP, Reason.OVER_QUOTA, beyond.message, actions=stop, disrupts=True, cause=Cause.EDITED
    )
