"""Knows when a workspace is stopped, and when it ends: by a person's word, by its spec, or with its spec.

Refuses to stop anything on a spec that was not confirmed, and to remove a container: it is kept.
"""

from controller.api.conditions import DriftKind, Reason
from controller.model import actions as actions_of
from controller.model.actions import Action
from controller.model.memory import Cause
from controller.model.observed import Container, ContainerState
from controller.model.plan import Decision, Verdict
from controller.planning import chains, obstacles, regranting
from controller.planning.acceptance import CONFIRM_AFTER
from controller.planning.case import Case, is_kept


def asked(case: Case) -> Decision | None:
    """A person's stop is carried out whatever is wrong with spec, policy or host."""
    wish = case.wish
    if wish is None or wish.running or not case.ours.running():
        return None
    if case.ours.unknown:
        return obstacles.busy(case, "the container is there and cannot be inspected")
    return _stop(case, f"{wish.by} asked for it")


def _stop(case: Case, message: str, cause: Cause | None = None) -> Decision:
    actions = tuple(action for container in case.ours.running() for action in chains.stop(case, container))
    return case.decide(
        Verdict.STOP, Reason.SPEC_STOPPED, message, actions=actions, disrupts=True, cause=cause
    )


def stopped(case: Case) -> Decision | None:
    """It shall not run."""
    if case.should_run:
        return None
    if case.ours.running():
        return (
            _stop(case, "its spec says Stopped", Cause.EDITED)
            if case.accepted.confirmed
            else confirming(case, "stopping it")
        )
    main = case.ours.main
    if main is not None and any(found.kind is DriftKind.RESTART_POLICY for found in case.drifts):
        clear = (actions_of.ClearRestartPolicy(case.name, main.id, main.name),)
        return case.decide(Verdict.UPDATE, Reason.DRIFTED, "the Engine would start it again", actions=clear)
    released = regranting.released(case, "it is not to run, and keeps devices from others")
    if released is not None:
        return released
    wish = case.wish
    if wish is not None:
        return case.decide(Verdict.KEEP, Reason.STOPPED_BY_REQUEST, f"stopped by {wish.by}")
    return case.decide(Verdict.KEEP, Reason.STOPPED, "its spec says Stopped")


def confirming(case: Case, what: str) -> Decision:
    """A disturbing change waits until its file has read the same for a while."""
    due = case.accepted.accepted_at + CONFIRM_AFTER
    message = f"{what} waits until {case.accepted.file} has read the same for 5 s"
    retry_at = due if due > case.now else None  # the scan itself asks for its next look
    return case.decide(Verdict.WAIT, Reason.CONFIRMING, message, retry_at=retry_at)


def removed(case: Case) -> Decision | None:
    """Its file is gone: after the grace it is stopped and kept."""
    missing = case.accepted.missing_since
    if missing is None:
        return None
    due = missing + case.scene.rules.deletion_grace
    hold = _hold_on_removal(case)
    if hold:
        return case.decide(Verdict.HOLD, Reason.REMOVALS_HELD, hold)
    if case.now < due:
        message = f"{case.accepted.file} is gone since {missing:%H:%M:%S}"
        return case.decide(Verdict.WAIT, Reason.DELETION_GRACE, message, retry_at=due)
    if case.ours.unknown or any(c.state is ContainerState.REMOVING for c in case.ours.all()):
        return obstacles.busy(case, "a container of it cannot be inspected, or is being removed")
    return _remove(case)


def _hold_on_removal(case: Case) -> str:
    """Say why it is not removed: now, or not without a person's approval."""
    if case.scene.removals_held or case.approved or case.deleted_by:
        return case.scene.removals_held
    before = case.memory.held.get(case.name)
    was_accident = before is not None and before.change == case.change and before.cause is Cause.REMOVED
    if not case.scene.accident and not was_accident:
        return ""
    why = case.scene.accident or "more specs vanished at once than the budget allows"
    return f"{why}; `wharf approve {case.name}` lets it go"


def _remove(case: Case) -> Decision:
    actions: list[Action] = []
    for container in case.ours.running():
        actions += chains.stop(case, container)
    for container in case.ours.all():
        if _in_use(case, container):
            actions += chains.set_aside(case, container, Reason.SPEC_REMOVED)
    if not actions:  # a look has shown that nothing of it runs or is in use: it may be forgotten
        actions.append(actions_of.ForgetWorkspace(case.name))
    kept = "; its container is kept and no data is touched" if case.ours.all() else ""
    asked = f"{case.deleted_by} deleted it: " if case.deleted_by else ""
    return case.decide(
        Verdict.REMOVE,
        Reason.SPEC_REMOVED,
        f"{asked}{case.accepted.file} is gone{kept}",
        actions=tuple(actions),
        disrupts=bool(case.ours.running()),
        cause=None if case.deleted_by else Cause.REMOVED,
    )


def _in_use(case: Case, container: Container) -> bool:
    return container is case.ours.main or not is_kept(container, case.memory)
