"""Knows what happens to a workspace that shall run and has a container: start, repair, replace, or nothing.

Refuses to stop a running container, but for a person's restart and for a confirmed `changes: Immediate`.
"""

from datetime import datetime, timedelta

from controller.api.conditions import Reason
from controller.api.workspace import ChangePolicy, PullPolicy
from controller.model import actions as actions_of
from controller.model.actions import Action
from controller.model.observed import Container, ContainerState, Unseen
from controller.model.plan import Decision, Remedy, Verdict
from controller.planning import (
    asking,
    backoff,
    chains,
    obstacles,
    proving,
    regranting,
    replacement,
    stops,
)
from controller.planning.case import Case

EXPECTED_TO_LISTEN = timedelta(seconds=10)
"""A service that takes longer from the start of its container is noticed by the next periodic pass."""
LOOKED_FOR_EVERY = timedelta(seconds=1)
"""Until then; a look costs little, and nothing else tells."""


def not_running(case: Case) -> Decision | None:
    """It does not run: replace it if it is outdated, else start it."""
    container = case.container
    if container.running:
        return None
    hold = obstacles.beside(case) or obstacles.host(case) or asking.first(case)
    if hold is not None:
        kept = hold.verdict is Verdict.HOLD and regranting.released(case, hold.message)
        return kept or hold
    if replacement.needed(case.drifts) and _may_replace(case, container):
        return replacement.replace(case, container)
    lacking = replacement.unequipped(case, container) or _unfit(case, container)
    if lacking is not None:
        return lacking
    repairs = chains.repair(case)
    if case.name in case.memory.restart_requests:
        return case.decide(
            Verdict.START, Reason.RESTART_REQUESTED, actions=chains.start(case, 0, before=repairs)
        )
    if container.state is ContainerState.CREATED and container.started_at is None:
        return case.decide(Verdict.START, Reason.FIRST_START, actions=chains.start(case, 0, before=repairs))
    wish, ended = case.wish, container.finished_at
    if wish is not None and wish.running and (ended is None or wish.at >= ended):
        message = f"{wish.by} asked for it"
        actions = chains.start(case, 0, before=repairs)
        return case.decide(Verdict.START, Reason.CONTAINER_EXITED, message, actions=actions)
    return _restart(case, container, repairs)


def _unfit(case: Case, container: Container) -> Decision | None:
    """The Engine does not start it any more; what would take its place may have failed."""
    unfit, failed = obstacles.parent(case, container), proving.has_failed(case)
    if unfit is None or failed is None:
        return unfit
    message = (
        f"{unfit.message}, but that failed at {failed.at:%H:%M:%S}: {failed.message}; "
        f"`wharf restart {case.name}` tries it again"
    )
    return case.decide(Verdict.HOLD, Reason.REPLACEMENT_FAILED, message)


def _restart(case: Case, container: Container, repairs: tuple[Action, ...]) -> Decision:
    """It ended by itself: start it again, later each time."""
    count, at = backoff.next_restart(case.memory.restarts.get(case.name), container, case.now)
    text = _exit_text(container)
    if at > case.now:
        message = f"{text}; started again at {at:%H:%M:%S} (restart {count})"
        return case.decide(Verdict.WAIT, Reason.CRASH_LOOP, message, retry_at=at)
    message = f"{text}; `wharf stop {case.name}` would keep it stopped"
    actions = chains.start(case, count, before=repairs)
    return case.decide(Verdict.START, Reason.CONTAINER_EXITED, message, actions=actions)


def _may_replace(case: Case, container: Container) -> bool:
    """With `changes: Manual` only a person's word replaces; a container that never ran holds nothing.

    On a full disk what ran before is not replaced: that is no reason not to start it.
    """
    if proving.is_pinned(case) or proving.has_failed(case) is not None:
        return False
    if container.started_at is not None and obstacles.space(case) is not None:
        return False  # it is started as it is
    manual = case.design.effective.changes is ChangePolicy.MANUAL and not case.approved
    return not manual or case.name in case.memory.restart_requests or container.started_at is None


def _exit_text(container: Container) -> str:
    if container.oom_killed:
        return "the kernel killed it for want of memory"
    return container.error or f"it exited with code {container.exit_code}"


def frozen(case: Case) -> Decision | None:
    """Somebody froze it with `docker pause`."""
    if case.container.state is not ContainerState.PAUSED:
        return None
    message = "it was frozen with docker pause"
    return case.decide(Verdict.START, Reason.CONTAINER_PAUSED, message, actions=chains.thaw(case))


def restart_requested(case: Case) -> Decision | None:
    """A person asked for a restart: stop it, once it is sure that it can be started again."""
    asked = case.memory.restart_requests.get(case.name)
    if asked is None:
        return None
    started = case.container.started_at
    if started is not None and started >= asked:
        done = (actions_of.CompleteRestart(case.name),)
        return case.decide(Verdict.UPDATE, Reason.RESTART_REQUESTED, "done already", actions=done)
    outdated = replacement.needed(case.drifts)
    other_devices = case.gear is not None and case.gear.grant is not None  # a person let it have them
    as_it_is = obstacles.host(case) or (None if other_devices else obstacles.own_devices(case))
    hold = asking.first(case) or (obstacles.new(case) if outdated else as_it_is)
    if hold is not None:
        return hold
    return case.decide(
        Verdict.STOP,
        Reason.RESTART_REQUESTED,
        "it is started again at once",
        actions=(*chains.mounts(case), *chains.stop(case, case.container)),
        disrupts=True,
    )


def image_wanted(case: Case) -> Decision | None:
    """The spec names an image that this host lacks: fetch it before anything is decided on it."""
    effective = case.design.effective
    lacking = case.scene.view.images.get(effective.image, "") is None
    if not lacking or case.container.configuration.image == effective.image:
        return None
    repairs = chains.repair(case)
    if effective.pull is PullPolicy.NEVER or obstacles.space(case) is not None:
        return drifted(case) if repairs else obstacles.image(case)
    message = f"{effective.image} is pulled first"
    return case.decide(Verdict.UPDATE, Reason.IMAGE_MISSING, message, actions=(*repairs, *chains.pull(case)))


def outdated(case: Case) -> Decision | None:
    """It differs in something that needs a new container."""
    if not replacement.needed(case.drifts):
        return None
    change = replacement.change_text(case.drifts)
    kept = _stays(case, change)
    if kept is not None:
        return kept
    policy = case.design.effective.changes
    if policy is ChangePolicy.IMMEDIATE or case.approved:
        if not case.accepted.confirmed:
            return stops.confirming(case, change)
        return replacement.replace(case, case.container)
    by_itself = "" if policy is ChangePolicy.MANUAL else "when the workspace is stopped, or "
    message = f"{change}; it happens {by_itself}with `wharf approve {case.name}`"
    live = chains.repair(case)
    verdict = Verdict.UPDATE if live else Verdict.WAIT
    return case.decide(verdict, Reason.CHANGE_PENDING, message, actions=live)


def _stays(case: Case, change: str) -> Decision | None:
    """A change that failed, or from which a person went back, is not tried again by itself."""
    failed = proving.has_failed(case)
    if failed is None and not proving.is_pinned(case):
        return None
    live = chains.repair(case)
    if failed is None:
        message = f"{change}, but a person put this container back; `wharf approve {case.name}` replaces it"
        verdict = Verdict.UPDATE if live else Verdict.KEEP
        return case.decide(verdict, Reason.PINNED, message, actions=live)
    message = (
        f"{change}, but that failed at {failed.at:%H:%M:%S}: {failed.message}; mend the spec or the image, "
        f"or `wharf restart {case.name}` tries it again"
    )
    verdict = Verdict.UPDATE if live else Verdict.HOLD
    return case.decide(verdict, Reason.REPLACEMENT_FAILED, message, actions=live)


def rotated(case: Case) -> Decision | None:
    """Its secrets were rotated: what it sees under /run/secrets changes with them."""
    if case.name not in case.scene.host.stale_secrets:
        return None
    actions = (*chains.repair(case), *chains.secrets(case))
    return case.decide(Verdict.UPDATE, Reason.DRIFTED, "its secrets changed", actions=actions)


def drifted(case: Case) -> Decision | None:
    """It differs in something that can be changed in place."""
    actions = chains.repair(case)
    if not actions:
        return None
    message = "; ".join(str(drift) for drift in case.drifts if drift.remedy is Remedy.LIVE)
    return case.decide(Verdict.UPDATE, Reason.DRIFTED, message, actions=actions)


def as_specified(case: Case) -> Decision:
    """It runs as its spec says."""
    if case.container.id in case.memory.retained:
        forget = (actions_of.ForgetRetained(case.name, case.container.id),)
        return case.decide(Verdict.UPDATE, Reason.RETURNED, "it is in use again", actions=forget)
    reason = Reason.OVER_QUOTA if case.excess else Reason.AS_SPECIFIED
    return case.decide(Verdict.KEEP, reason, case.excess, retry_at=_next_look(case))


def _next_look(case: Case) -> datetime | None:
    """Soon, if it started lately and a declared service does not listen yet: no event would tell of it."""
    container = case.container
    if container.started_at is None or case.now - container.started_at >= EXPECTED_TO_LISTEN:
        return None
    if isinstance(container.listening, Unseen):
        return None
    silent = any(service.container_port not in container.listening for service in case.design.services)
    return case.now + LOOKED_FOR_EVERY if silent else None
