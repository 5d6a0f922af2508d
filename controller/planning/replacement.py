"""Knows how one container takes the place of another, from each state in which a replacement may be left.

Refuses to give up what runs before its successor is made: what cannot be made brings the old one back.
"""

from typing import Final

from controller.api import labels
from controller.api.conditions import DriftKind, Reason
from controller.model import actions as actions_of
from controller.model.actions import Action
from controller.model.memory import BackOff, Cause, FailedTemplate
from controller.model.observed import Container
from controller.model.plan import Decision, Drift, Remedy, Verdict
from controller.planning import chains, devices, obstacles, regranting, stops, template
from controller.planning.case import Case, is_kept

_BY_ITSELF: Final = frozenset({labels.TEMPLATE_HASH, labels.GPUS})
"""Labels that are compared by what they mean."""


def needed(drifts: tuple[Drift, ...]) -> bool:
    """Tell whether a difference needs a new container."""
    return any(found.remedy is Remedy.REPLACE for found in drifts)


def change_text(drifts: tuple[Drift, ...]) -> str:
    """Name what changed."""
    kinds = sorted({found.kind.value for found in drifts if found.remedy is Remedy.REPLACE})
    return f"{', '.join(kinds)} changed"


def replace(case: Case, container: Container, message: str = "") -> Decision:
    """Put the main container aside and make a new one; what runs goes on until the new one is there."""
    unused = container.started_at is None and not container.running  # its successor takes no more room
    hold = obstacles.anew(case) if unused else obstacles.new(case)
    if hold is not None:
        given_back = regranting.released(case, hold.message) if hold.verdict is Verdict.HOLD else None
        return given_back or hold
    if unused:
        begun = case.memory.replacements.get(case.name)
        actions = chains.remake(case, container, begun.old_id if begun else None)
    else:
        actions = chains.replace(case, container, Reason.SPEC_CHANGED)
    return case.decide(
        Verdict.REPLACE,
        Reason.SPEC_CHANGED,
        message or change_text(case.drifts),
        actions=actions,
        disrupts=container.running,
        cause=cause(case) if container.running else None,
    )


def unequipped(case: Case, container: Container) -> Decision | None:
    """Decide about a container that is to be started and cannot have the devices that it was made with."""
    gear = case.gear
    if gear is None or gear.own_lack is None:
        return obstacles.own_devices(case)
    if gear.rival and not regranting.has_run(container):
        return regranting.give_way(case, container, gear.rival)
    if gear.grant is not None:  # it never ran, or a person let it go
        return replace(case, container, f"it gets other devices than {', '.join(devices.of(container))}")
    return obstacles.own_devices(case)


def cause(case: Case) -> Cause:
    """Tell why a running container is to be replaced, for the budget."""
    found = {drift.kind for drift in case.drifts if drift.remedy is Remedy.REPLACE}
    same_reference = case.container.configuration.image == case.design.template.image
    return Cause.IMAGE_MOVED if found == {DriftKind.IMAGE} and same_reference else Cause.EDITED


def half_done(case: Case) -> Decision | None:
    """A replacement is under way: the old container still runs under its retained name."""
    running = case.ours.predecessors(case.memory) if case.ours.others else ()
    if not running:
        return None
    old, main = running[0], case.ours.main
    if main is None:
        return _carry_on(case, old)
    if not main.running:
        return _hand_over(case, main, running)
    return case.decide(
        Verdict.REPLACE,
        Reason.REPLACEMENT_UNDER_WAY,
        f"{old.name} still runs beside its replacement",
        actions=tuple(action for c in running for action in chains.stop(case, c)),
        disrupts=True,
    )


def _carry_on(case: Case, old: Container) -> Decision:
    """The old one has its retained name, and the new one is not made yet: make it, or give up."""
    hold = obstacles.new(case)
    failed = case.memory.backoffs.get(case.name)
    gave_up = failed is not None and failed.key.startswith(f"{case.key}:")
    never = hold is not None and (hold.verdict is Verdict.HOLD or obstacles.is_short(case))
    if gave_up or _same_template(case, old) or never:
        return case.decide(
            Verdict.UPDATE,
            Reason.REPLACEMENT_UNDER_WAY,
            "its replacement is given up before the new container was made",
            actions=(_give_up(case, failed if gave_up else None), *chains.bring_back(case, old)),
        )
    return hold or _create(case, Reason.REPLACEMENT_UNDER_WAY)


def _give_up(case: Case, failed: BackOff | None) -> Action:
    """A container that the Engine refuses to make is not asked for again by itself."""
    begun = case.memory.replacements.get(case.name)
    if failed is None or begun is None or failed.reason is not Reason.REFUSED_BY_ENGINE:
        return actions_of.EndReplacement(case.name, None)
    why = FailedTemplate(case.name, begun.template_hash, begun.image_id, failed.message, case.now)
    return actions_of.EndReplacement(case.name, why)


def _hand_over(case: Case, main: Container, running: tuple[Container, ...]) -> Decision:
    """The new one is made: stop the old one and start it, unless the spec has changed again meanwhile."""
    if needed(case.drifts):
        return _taken_back(case, main, running[0]) or replace(case, main)
    if not case.accepted.confirmed:
        return stops.confirming(case, "handing over to the new container")
    hold = obstacles.host(case) or unequipped(case, main)
    if hold is not None:
        return hold
    known = case.name in case.memory.replacements  # else the ledger was lost
    begun = () if known else (chains.begin(case, running[0].id),)
    ends = tuple(action for c in running for action in chains.stop(case, c))
    return case.decide(
        Verdict.REPLACE,
        Reason.REPLACEMENT_UNDER_WAY,
        f"{running[0].name} makes way for its replacement",
        actions=(*begun, *chains.start(case, 0, before=(*chains.confine(case, main), *ends))),
        disrupts=True,
    )


def _taken_back(case: Case, main: Container, old: Container) -> Decision | None:
    """The spec asks for what still runs: the new container goes, which never ran, and nobody is disturbed."""
    wanted = case.scene.view.images.get(case.design.template.image)
    if main.started_at is not None or not _same_template(case, old) or old.image_id != wanted:
        return None
    end = (actions_of.EndReplacement(case.name, None), *chains.discard(case, main))
    return case.decide(
        Verdict.UPDATE,
        Reason.REPLACEMENT_UNDER_WAY,
        "the change was taken back",
        actions=(*end, *chains.bring_back(case, old)),
    )


def renamed(case: Case) -> Decision | None:
    """Somebody renamed its container."""
    if case.ours.main is not None:
        return None
    strays = case.ours.strays(case.memory)
    if not strays:
        return None
    message = f"somebody renamed its container to {strays[0].name}; it gets its name back"
    return case.decide(Verdict.UPDATE, Reason.DRIFTED, message, actions=chains.bring_back(case, strays[0]))


def returned(case: Case) -> Decision | None:
    """The spec came back and a kept container of the same template is there."""
    if case.ours.main is not None:
        return None
    for container in case.ours.others:
        kept = case.memory.retained.get(container.id)
        by_removal = (
            kept.reason is Reason.SPEC_REMOVED if kept is not None else is_kept(container, case.memory)
        )
        if by_removal and _same_template(case, container) and not container.running:
            message = f"{container.name} is put back under its name"
            actions = chains.bring_back(case, container)
            return case.decide(Verdict.CREATE, Reason.RETURNED, message, actions=actions)
    return None


def _same_template(case: Case, container: Container) -> bool:
    """Tell whether it is as the workspace shall be, as far as the version that made it knew of that."""
    wanted, made = case.design.identity, container.labels
    named = all(made.get(name) == wanted[name] for name in labels.COMPARED if name not in _BY_ITSELF)
    return (
        named
        and case.keeps_devices(container)
        and template.is_digest_of(made.get(labels.TEMPLATE_HASH, ""), case.design.template)
    )


def missing(case: Case) -> Decision | None:
    """There is no container."""
    return None if case.ours.main is not None else _create_first(case)


def _create_first(case: Case) -> Decision:
    return obstacles.new(case) or _create(case, Reason.CONTAINER_MISSING)


def _create(case: Case, reason: Reason) -> Decision:
    message = f"from {case.design.effective.image}"
    return case.decide(Verdict.CREATE, reason, message, actions=chains.create(case))
