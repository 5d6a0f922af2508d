"""Knows which case a workspace is: an ordered table of rules, the first that matches decides.

Refuses to read anything but its case, to leave a workspace without a reason, and to disturb on old evidence.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from controller.api.conditions import DriftKind, Reason
from controller.model.actions import RemoveContainer
from controller.model.effective import Refusal
from controller.model.memory import Pause
from controller.model.observed import ContainerState
from controller.model.plan import Decision, Remedy, Verdict
from controller.planning import (
    backoff,
    chains,
    excess,
    obstacles,
    proving,
    regranting,
    replacement,
    rollback,
    running,
    stops,
)
from controller.planning.case import Blueprint, Case

Rule = Callable[[Case], Decision | None]

OLD = timedelta(seconds=30)
"""Nothing that runs is stopped on evidence older than this."""
_HANDS_OFF = frozenset(
    {
        Reason.IN_PROGRESS,
        Reason.PAUSED,
        Reason.OWNER_CHANGED,
        Reason.NAME_TAKEN,
        Reason.CONTAINER_BUSY,
        Reason.REMOVALS_HELD,
        Reason.DELETION_GRACE,
    }
)
"""Reasons for which nothing at all is done to what runs."""
_ENDING = frozenset({ContainerState.REMOVING, ContainerState.DEAD})


def in_progress(case: Case) -> Decision | None:
    """A chain for it is under way: what it does is seen when it has ended."""
    intent = case.scene.under_way.get(case.name)
    if intent is None:
        return None
    message = f"{intent.verdict} ({intent.reason}) is under way"
    return case.decide(Verdict.WAIT, Reason.IN_PROGRESS, message)


def paused(case: Case) -> Decision | None:
    """A person said: hands off. A stop that a person asked for after that is not automatic and goes on."""
    host, own = case.memory.host_pause, case.memory.pauses.get(case.name)
    pause = host or own
    if pause is None or _asked_since(case, pause):
        return None
    what = "the host" if host is not None else "the workspace"
    return case.decide(Verdict.HOLD, Reason.PAUSED, f"{what} is paused by {pause.by}: {pause.reason}")


def _asked_since(case: Case, pause: Pause) -> bool:
    wish = case.wish
    return wish is not None and not wish.running and wish.at >= pause.at and bool(case.ours.running())


def without_spec(case: Case) -> Decision | None:
    """No spec is in force: a rejected one, or a container that nobody asks for."""
    if case.spec is not None:
        return None
    if case.rejected is not None:
        first = str(case.rejected.findings[0]) if case.rejected.findings else case.rejected.file
        return case.decide(Verdict.HOLD, case.rejected.reason, first)
    container = case.ours.main
    text = f"{container.name} ({container.id[:12]})" if container else case.name
    return case.decide(Verdict.HOLD, Reason.ORPHANED, f"no spec asks for {text}")


def owner_changed(case: Case) -> Decision | None:
    """An edit of the owner holds the workspace until it is put back."""
    if case.rejected is None or case.rejected.reason is not Reason.OWNER_CHANGED:
        return None
    return case.decide(Verdict.HOLD, Reason.OWNER_CHANGED, str(case.rejected.findings[0]))


def refused(case: Case) -> Decision | None:
    """Spec, class and policy together cannot be had."""
    if not isinstance(case.blueprint, Refusal):
        return None
    verdict = Verdict.WAIT if case.blueprint.reason is Reason.SETTLING else Verdict.HOLD
    return case.decide(verdict, case.blueprint.reason, case.blueprint.message)


def foreign(case: Case) -> Decision | None:
    """A container that is not ours has the name."""
    stranger = case.ours.foreign
    if stranger is None:
        return None
    message = f"the container {stranger.name} ({stranger.id[:12]}) is not ours and is left alone"
    return case.decide(Verdict.HOLD, Reason.NAME_TAKEN, message)


def busy(case: Case) -> Decision | None:
    """The Engine is at work on the container, or cannot tell about it."""
    if case.ours.unknown:
        return obstacles.busy(case, "the container is there and cannot be inspected")
    main = case.ours.main
    if main is None:
        return None
    restarts = main.state is ContainerState.RESTARTING and not _restarts_itself(case)
    if restarts or main.state in _ENDING:
        return obstacles.busy(case, f"the Engine says that the container is {main.state}")
    return None


def _restarts_itself(case: Case) -> bool:
    """Tell whether a restart policy keeps the Engine busy: that ends only when it is cleared."""
    return any(found.kind is DriftKind.RESTART_POLICY for found in case.drifts)


RULES: tuple[Rule, ...] = (
    in_progress,  # what a chain does is seen when it has ended
    paused,  # a person's word comes before everything that changes something
    without_spec,  # nothing below this line lacks a spec
    stops.asked,  # a person's stop needs nothing but a container
    stops.removed,
    owner_changed,
    refused,  # nothing below this line lacks a blueprint
    foreign,
    busy,
    excess.waits,  # nothing below this line starts what is beyond its owner's quotas
    excess.ends,
    rollback.under_way,  # a kept container on its way back is not one that somebody renamed
    replacement.renamed,
    stops.stopped,  # nothing below this line shall be stopped
    replacement.half_done,  # before anything new is begun
    proving.under_way,
    replacement.returned,
    replacement.missing,  # nothing below this line lacks a container
    running.not_running,
    running.frozen,
    running.restart_requested,
    running.image_wanted,  # what is not there cannot be compared
    running.outdated,
    regranting.unreachable,
    running.rotated,
    running.drifted,
)
"""The first rule that answers decides; `running.as_specified` answers when none does."""


def classify(case: Case) -> Decision:
    """Return the decision for a workspace; every workspace gets one, and every one has a reason."""
    for rule in RULES:
        decision = rule(case)
        if decision is not None:
            return _on_evidence(case, backoff.hold_back(case, _meanwhile(case, decision)))
    return running.as_specified(case)


def _meanwhile(case: Case, decision: Decision) -> Decision:
    """What runs is brought within its slice, whatever it waits for: the slice waits for just that."""
    if decision.actions or decision.reason in _HANDS_OFF or not isinstance(case.blueprint, Blueprint):
        return decision
    slice_ = case.scene.slices.owners.get(case.design.effective.owner)
    if slice_ is None or not slice_.waits:
        return decision
    main, whole = case.ours.main, decision.reason is Reason.SLICE_PENDING
    repairs = chains.repair(case) if whole and main is not None and main.running else ()
    rest = [one for one in case.ours.running() if one is not main or not whole]
    actions = (*repairs, *(action for one in rest for action in chains.confine(case, one)))
    if not actions:
        return decision
    words = [str(found) for found in case.drifts if found.remedy is Remedy.LIVE] or ["what runs is confined"]
    message = f"{'; '.join(words)}; then: {decision.message}"
    return case.decide(Verdict.UPDATE, Reason.DRIFTED, message, actions=actions)


def _on_evidence(case: Case, decision: Decision) -> Decision:
    """Take the actions of a decision that stops or removes on what was not seen, or not lately."""
    if not _takes_away(decision):
        return decision
    scene = case.scene
    if scene.now - scene.seen_at > OLD:
        message = f"the Engine was last looked at {scene.seen_at:%H:%M:%S}; it is looked at again first"
        return _without_actions(decision, Verdict.WAIT, Reason.NOT_SEEN, message)
    if scene.unseen is not None and not _by_person(case, decision):
        return _without_actions(decision, Verdict.HOLD, scene.unseen.reason, scene.unseen.message)
    return decision


def _takes_away(decision: Decision) -> bool:
    removes = any(isinstance(action, RemoveContainer) for action in decision.actions)
    return decision.disrupts or removes or decision.verdict is Verdict.REMOVE


def _by_person(case: Case, decision: Decision) -> bool:
    wish = case.wish
    stop = decision.verdict is Verdict.STOP and wish is not None and not wish.running
    return stop or decision.reason is Reason.RESTART_REQUESTED


def _without_actions(decision: Decision, verdict: Verdict, reason: Reason, message: str) -> Decision:
    return replace(decision, verdict=verdict, reason=reason, message=message, actions=(), disrupts=False)


def unproven(decision: Decision, why: str) -> Decision:
    """Take the actions of a decision on a host that was not seen completely since it changed."""
    if not decision.actions:
        return decision
    return _without_actions(decision, Verdict.HOLD, Reason.NOT_SEEN, why)


def unseen(name: str, reason: Reason, message: str) -> Decision:
    """Return the decision for a workspace while a part of the world that it needs cannot be seen."""
    return Decision(name, Verdict.HOLD, reason, message)
