"""Knows which case a workspace is: an ordered table of rules, the first that matches decides.

Refuses to read anything but its case, and to leave a workspace without a reason.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from controller.api import labels
from controller.api.conditions import Reason
from controller.api.workspace import ChangePolicy, PullPolicy
from controller.model import actions as actions_of
from controller.model.actions import Action
from controller.model.effective import Refusal
from controller.model.observed import Container, ContainerState
from controller.model.plan import Decision, Drift, Remedy, Verdict
from controller.planning import backoff, chains
from controller.planning.case import Case

Rule = Callable[[Case], Decision | None]

RENAME_BACK_MESSAGE = "the replacement was given up before its new container was made"
BUSY_LOOK = timedelta(seconds=1)
"""How soon a container that the Engine is busy with is looked at again."""


def in_progress(case: Case) -> Decision | None:
    """A chain for it is under way: what it does is seen when it has ended."""
    for intent in case.memory.open_intents:
        if intent.workspace == case.name:
            return case.decide(
                Verdict.WAIT, Reason.IN_PROGRESS, f"{intent.verdict} ({intent.reason}) is under way"
            )
    return None


def paused(case: Case) -> Decision | None:
    """A person said: hands off."""
    pause = case.memory.host_pause or case.memory.pauses.get(case.name)
    if pause is None:
        return None
    what = "the host" if pause is case.memory.host_pause else "the workspace"
    return case.decide(
        Verdict.HOLD, Reason.PAUSED, f"{what} is paused by {pause.by}: {pause.reason}", drifts=case.drifts
    )


def without_spec(case: Case) -> Decision | None:
    """No spec is in force: a rejected one, or a container that nobody asks for."""
    if case.spec is not None:
        return None
    if case.rejected is not None:
        first = str(case.rejected.findings[0]) if case.rejected.findings else case.rejected.file
        return case.decide(Verdict.HOLD, case.rejected.reason, first)
    container = case.ours.main
    text = f"{container.name} ({container.id[:12]})" if container else case.name
    return case.decide(Verdict.HOLD, Reason.ORPHANED, f"no spec asks for {text}", drifts=case.drifts)


def removed(case: Case) -> Decision | None:
    """Its file is gone: after the grace it is stopped and kept."""
    missing = case.accepted.missing_since
    if missing is None:
        return None
    due = missing + case.rules.deletion_grace
    if case.removals_held:
        return case.decide(Verdict.HOLD, Reason.REMOVALS_HELD, case.removals_held)
    if case.now < due:
        message = f"{case.accepted.file} is gone since {missing:%H:%M:%S}"
        return case.decide(Verdict.WAIT, Reason.DELETION_GRACE, message, retry_at=due)
    return _remove(case)


def _remove(case: Case) -> Decision:
    main = case.ours.main
    message = f"{case.accepted.file} is gone; its container is kept and no data is touched"
    if case.ours.unknown or (main is not None and main.state is ContainerState.REMOVING):
        return _busy(case, "the container cannot be inspected, or is being removed")
    actions: list[Action] = []
    for container in (main, *case.ours.others):
        if container is not None and container.running:
            actions += chains.halt(case, container, chains.DEFAULT_GRACE)
    if main is not None and labels.INSTANCE in main.labels:
        actions += chains.set_aside(case, main, Reason.SPEC_REMOVED)
    return case.decide(
        Verdict.REMOVE,
        Reason.SPEC_REMOVED,
        message,
        drifts=case.drifts,
        actions=(*actions, actions_of.ForgetWorkspace(case.name)),
        disrupts=any(c is not None and c.running for c in (main, *case.ours.others)),
    )


def owner_changed(case: Case) -> Decision | None:
    """An edit of the owner holds the workspace until it is put back."""
    if case.rejected is None or case.rejected.reason is not Reason.OWNER_CHANGED:
        return None
    return case.decide(Verdict.HOLD, Reason.OWNER_CHANGED, str(case.rejected.findings[0]))


def refused(case: Case) -> Decision | None:
    """Spec, class and policy together cannot be had."""
    if isinstance(case.blueprint, Refusal):
        return case.decide(Verdict.HOLD, case.blueprint.reason, case.blueprint.message)
    return None


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
        return _busy(case, "the container is there and cannot be inspected")
    main = case.ours.main
    if main is not None and main.state in {
        ContainerState.REMOVING,
        ContainerState.RESTARTING,
        ContainerState.DEAD,
    }:
        return _busy(case, f"the Engine says that the container is {main.state}")
    return None


def _busy(case: Case, message: str) -> Decision:
    return case.decide(Verdict.WAIT, Reason.CONTAINER_BUSY, message, retry_at=case.now + BUSY_LOOK)


def stopped(case: Case) -> Decision | None:
    """It shall not run."""
    if case.should_run:
        return None
    asked = case.memory.suspensions.get(case.name)
    running = [c for c in (case.ours.main, *case.ours.others) if c is not None and c.running]
    if running:
        by = f"{asked.by} asked for it" if asked is not None else "its spec says Stopped"
        if asked is None and not case.accepted.confirmed:
            return confirming(case, "stopping it")
        actions = tuple(action for c in running for action in chains.stop(case, c))
        return case.decide(
            Verdict.STOP, Reason.SPEC_STOPPED, by, drifts=case.drifts, actions=actions, disrupts=True
        )
    if asked is not None:
        return case.decide(Verdict.KEEP, Reason.STOPPED_BY_REQUEST, f"stopped by {asked.by}")
    return case.decide(Verdict.KEEP, Reason.STOPPED)


def confirming(case: Case, what: str) -> Decision:
    """A disturbing change waits until its file has read the same for a while."""
    due = case.accepted.accepted_at + backoff.CONFIRM_AFTER
    message = f"{what} waits until {case.accepted.file} has read the same for 5 s"
    return case.decide(Verdict.WAIT, Reason.CONFIRMING, message, drifts=case.drifts, retry_at=due)


def half_replaced(case: Case) -> Decision | None:
    """A replacement is under way: the old container still runs under its retained name."""
    running = case.ours.predecessors(case.memory)
    if not running:
        return None
    old, main = running[0], case.ours.main
    if main is None:
        if case.memory.backoffs.get(case.name) is not None:
            actions = chains.bring_back(case, old)
            return case.decide(
                Verdict.START, Reason.REPLACEMENT_UNDER_WAY, RENAME_BACK_MESSAGE, actions=actions
            )
        return _create(case, Reason.REPLACEMENT_UNDER_WAY)
    if main.running:
        stops = tuple(action for c in running for action in chains.stop(case, c))
        message = f"{old.name} still runs beside its replacement"
        return case.decide(Verdict.REPLACE, Reason.REPLACEMENT_UNDER_WAY, message, actions=stops)
    stops = tuple(action for c in running for action in chains.stop(case, c))
    return case.decide(
        Verdict.REPLACE,
        Reason.REPLACEMENT_UNDER_WAY,
        f"{old.name} makes way for its replacement",
        drifts=case.drifts,
        actions=chains.start(case, 0, before=stops),
        disrupts=True,
    )


def renamed(case: Case) -> Decision | None:
    """Somebody renamed its container."""
    strays = case.ours.strays(case.memory)
    if case.ours.main is not None or not strays:
        return None
    stray = strays[0]
    message = f"somebody renamed its container to {stray.name}; it gets its name back"
    return case.decide(
        Verdict.UPDATE, Reason.DRIFTED, message, drifts=case.drifts, actions=chains.bring_back(case, stray)
    )


def returned(case: Case) -> Decision | None:
    """The spec came back and a kept container of the same template is there."""
    if case.ours.main is not None:
        return None
    wanted = case.design.identity
    for container in case.ours.others:
        kept = case.memory.retained.get(container.id)
        same = container.labels.get(labels.TEMPLATE_HASH) == wanted[labels.TEMPLATE_HASH]
        if kept is not None and kept.reason is Reason.SPEC_REMOVED and same and not container.running:
            message = f"{container.name} is put back under its name"
            return case.decide(
                Verdict.CREATE, Reason.RETURNED, message, actions=chains.bring_back(case, container)
            )
    return None


def missing(case: Case) -> Decision | None:
    """There is no container."""
    return None if case.ours.main is not None else _create(case, Reason.CONTAINER_MISSING)


def _create(case: Case, reason: Reason) -> Decision:
    hold = _obstacle(case) or _image_wait(case)
    if hold is not None:
        return hold
    return case.decide(
        Verdict.CREATE,
        reason,
        f"from {case.design.effective.image}",
        drifts=case.drifts,
        actions=chains.create(case),
    )


def _obstacle(case: Case) -> Decision | None:
    """What stands in the way of a start on this host."""
    effective = case.design.effective
    for mount in effective.mounts:
        check = case.host.mounts.get((case.name, mount.name))
        if (
            check is not None
            and check.obstacle is not None
            and (mount.required or not _is_missing(check.obstacle))
        ):
            return case.decide(
                Verdict.HOLD, check.obstacle.reason, check.obstacle.message, drifts=case.drifts
            )
    secret = case.host.secrets.get(case.name)
    if secret is not None:
        return case.decide(Verdict.HOLD, secret.reason, secret.message, drifts=case.drifts)
    taken = _taken_ports(case)
    if taken:
        message = f"another process listens on port {', '.join(map(str, taken))} of the host"
        return case.decide(Verdict.HOLD, Reason.PORT_TAKEN, message, drifts=case.drifts)
    return _network(case)


def _is_missing(obstacle: object) -> bool:
    return getattr(obstacle, "reason", None) is Reason.MOUNT_MISSING


def _taken_ports(case: Case) -> list[int]:
    """Ports of ours on which somebody else listens; while a container of ours runs it is the listener."""
    if case.host.listeners is None or any(c.running for c in (case.ours.main, *case.ours.others) if c):
        return []
    return [p.host_port for p in case.design.template.ports if p.host_port in case.host.listeners]


def _network(case: Case) -> Decision | None:
    name = case.design.template.network
    network = case.view.networks.get(name)
    if network is None:
        return case.decide(Verdict.WAIT, Reason.NETWORK_PENDING, f'the network "{name}" is made first')
    private = name == labels.NETWORK_PRIVATE
    wrong = network.driver != "bridge" or (private and network.subnet != case.rules.subnet)
    if wrong or network.inter_container is private:
        message = (
            f'the network "{name}" is there with other settings ({network.driver}, {network.subnet or "no subnet"}, '
            f"traffic between containers {'on' if network.inter_container else 'off'}); remove it and it is made anew"
        )
        return case.decide(Verdict.HOLD, Reason.NETWORK_UNUSABLE, message, drifts=case.drifts)
    return None


def _image_wait(case: Case) -> Decision | None:
    """Pull before anything else; a reference that was never looked up is looked up first."""
    effective = case.design.effective
    if effective.image not in case.view.images:
        return case.decide(Verdict.WAIT, Reason.IMAGE_PENDING, f"{effective.image} is looked up")
    if case.view.images[effective.image] is not None:
        return None
    if effective.pull is PullPolicy.NEVER:
        message = f"{effective.image} is not on this host and pull is Never"
        return case.decide(Verdict.HOLD, Reason.IMAGE_UNAVAILABLE, message, drifts=case.drifts)
    return case.decide(
        Verdict.CREATE,
        Reason.IMAGE_MISSING,
        f"{effective.image} is pulled first",
        drifts=case.drifts,
        actions=chains.pull(case),
    )


def not_running(case: Case) -> Decision | None:
    """There is a container and it does not run: replace it if it is outdated, else start it."""
    container = case.container
    if container.running:
        return None
    hold = _obstacle(case)
    if hold is not None:
        return hold
    if _needs_replacement(case.drifts):
        return _replace_stopped(case, container)
    if container.state is ContainerState.CREATED and container.started_at is None:
        actions = (*chains.repair(case, case.drifts), *chains.start(case, 0))
        return case.decide(Verdict.START, Reason.FIRST_START, drifts=case.drifts, actions=actions)
    count, at = backoff.next_restart(case.memory.restarts.get(case.name), container)
    if at > case.now:
        message = f"{_exit_text(container)}; started again at {at:%H:%M:%S} (restart {count})"
        return case.decide(Verdict.WAIT, Reason.CRASH_LOOP, message, drifts=case.drifts, retry_at=at)
    actions = (*chains.repair(case, case.drifts), *chains.start(case, count))
    message = f"{_exit_text(container)}; `wharf stop {case.name}` would keep it stopped"
    return case.decide(Verdict.START, Reason.CONTAINER_EXITED, message, drifts=case.drifts, actions=actions)


def _exit_text(container: Container) -> str:
    if container.oom_killed:
        return "the kernel killed it for want of memory"
    return container.error or f"it exited with code {container.exit_code}"


def _needs_replacement(drifts: tuple[Drift, ...]) -> bool:
    return any(found.remedy is Remedy.REPLACE for found in drifts)


def _replace_stopped(case: Case, container: Container) -> Decision:
    """Nothing runs, so nothing is disturbed: keep the old one aside and make the new one."""
    wait = _image_wait(case)
    if wait is not None:
        return wait
    return case.decide(
        Verdict.REPLACE,
        Reason.SPEC_CHANGED,
        _change_text(case.drifts),
        drifts=case.drifts,
        actions=(*chains.set_aside(case, container, Reason.SPEC_CHANGED), *chains.create(case)),
    )


def frozen(case: Case) -> Decision | None:
    """Somebody froze it with `docker pause`."""
    if case.container.state is not ContainerState.PAUSED:
        return None
    message = "it was frozen with docker pause"
    actions = chains.thaw(case)
    return case.decide(Verdict.START, Reason.CONTAINER_PAUSED, message, drifts=case.drifts, actions=actions)


def restart_requested(case: Case) -> Decision | None:
    """A person asked for a restart after this run began."""
    asked = case.memory.restart_requests.get(case.name)
    if asked is None:
        return None
    started = case.container.started_at
    done = (actions_of.CompleteRestart(case.name),)
    if started is not None and started >= asked:
        return case.decide(Verdict.UPDATE, Reason.RESTART_REQUESTED, "done already", actions=done)
    return case.decide(
        Verdict.STOP,
        Reason.RESTART_REQUESTED,
        "it is started again at once",
        drifts=case.drifts,
        actions=(*done, *chains.stop(case, case.container)),
        disrupts=True,
    )


def outdated(case: Case) -> Decision | None:
    """It runs and differs in something that needs a new container."""
    if not _needs_replacement(case.drifts):
        return None
    live = chains.repair(case, case.drifts)
    change = _change_text(case.drifts)
    if case.design.effective.changes is not ChangePolicy.IMMEDIATE:
        message = f"{change}; it happens when the workspace is stopped, or with `wharf restart {case.name}`"
        if live:
            return case.decide(
                Verdict.UPDATE, Reason.CHANGE_PENDING, message, drifts=case.drifts, actions=live
            )
        return case.decide(Verdict.WAIT, Reason.CHANGE_PENDING, message, drifts=case.drifts)
    if not case.accepted.confirmed:
        return confirming(case, change)
    hold = _obstacle(case) or _image_wait(case)
    if hold is not None:
        return hold
    actions = (*chains.set_aside(case, case.container, Reason.SPEC_CHANGED), *chains.create(case))
    return case.decide(
        Verdict.REPLACE, Reason.SPEC_CHANGED, change, drifts=case.drifts, actions=actions, disrupts=True
    )


def _change_text(drifts: tuple[Drift, ...]) -> str:
    found = [drift for drift in drifts if drift.remedy is Remedy.REPLACE]
    kinds = sorted({drift.kind.value for drift in found})
    return f"{', '.join(kinds)} changed"


def image_wanted(case: Case) -> Decision | None:
    """It runs, and the spec names an image that this host lacks: fetch it before anything is decided on it."""
    effective = case.design.effective
    lacking = case.view.images.get(effective.image, "") is None
    if not lacking or case.container.configuration.image == effective.image:
        return None
    if effective.pull is PullPolicy.NEVER:
        message = f"{effective.image} is not on this host and pull is Never"
        return case.decide(Verdict.HOLD, Reason.IMAGE_UNAVAILABLE, message, drifts=case.drifts)
    message = f"{effective.image} is pulled first"
    return case.decide(
        Verdict.UPDATE, Reason.IMAGE_MISSING, message, drifts=case.drifts, actions=chains.pull(case)
    )


def drifted(case: Case) -> Decision | None:
    """It runs and differs in something that can be changed in place."""
    actions = chains.repair(case, case.drifts)
    if not actions:
        return None
    message = "; ".join(str(drift) for drift in case.drifts if drift.remedy is Remedy.LIVE)
    return case.decide(Verdict.UPDATE, Reason.DRIFTED, message, drifts=case.drifts, actions=actions)


def as_specified(case: Case) -> Decision:
    """It runs as its spec says."""
    if case.container.id in case.memory.retained:
        forget = (actions_of.ForgetRetained(case.name, case.container.id),)
        return case.decide(Verdict.UPDATE, Reason.RETURNED, "it is in use again", actions=forget)
    return case.decide(Verdict.KEEP, Reason.AS_SPECIFIED, drifts=case.drifts)


RULES: tuple[Rule, ...] = (
    in_progress,  # what a chain does is seen when it has ended
    paused,  # a person's word comes before everything that changes something
    without_spec,  # nothing below this line lacks a spec
    removed,
    owner_changed,
    refused,  # nothing below this line lacks a blueprint
    foreign,
    busy,
    stopped,
    half_replaced,  # before anything new is begun
    renamed,
    returned,
    missing,  # nothing below this line lacks a container
    not_running,
    frozen,
    restart_requested,
    outdated,
    image_wanted,
    drifted,
)
"""The first rule that answers decides; as_specified answers when none does."""


def classify(case: Case) -> Decision:
    """Return the decision for a workspace; every workspace gets one, and every one has a reason."""
    for rule in RULES:
        decision = rule(case)
        if decision is not None:
            return backoff.hold_back(case, decision)
    return as_specified(case)


def unseen(name: str, reason: Reason, message: str, before: Decision | None = None) -> Decision:
    """Return the decision for a workspace while a part of the world that it needs cannot be seen."""
    decision = Decision(name, Verdict.HOLD, reason, message)
    return replace(before, verdict=Verdict.HOLD, reason=reason, message=message) if before else decision
