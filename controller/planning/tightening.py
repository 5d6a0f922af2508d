"""Knows how far the limits of a running container may be changed at once, and what waits for its next start.

Refuses to lower what runs because the policy was tightened, and to raise what its owner's quotas lack.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Final

from controller.api import quantities, workspace
from controller.api.conditions import DriftKind, Reason
from controller.api.presets import Enforcement, LimitName
from controller.api.workspace import Resources
from controller.model.observed import Container, Limits
from controller.model.plan import Drift, Note, Remedy
from controller.planning import aggregates, confining, devices, drift, origins
from controller.planning.case import Blueprint, Case
from controller.planning.confining import Reach

CLASS_OF: Final[Mapping[str, LimitName]] = {
    "nano_cpus": LimitName.CPUS,
    "cpuset": LimitName.CPUS,
    "memory": LimitName.MEMORY,
    "memory_reservation": LimitName.MEMORY,
    "memory_swap": LimitName.SWAP,
    "pids": LimitName.PIDS,
}
"""By which word of `enforce` each limit goes."""
PATHS: Final[Mapping[str, str]] = {
    "nano_cpus": "cpus",
    "cpuset": "cpuset",
    "memory": "memory",
    "memory_reservation": "memoryReservation",
    "memory_swap": "swap",
    "pids": "pids",
}
"""What each limit is called in files."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What is said of the limits of one workspace, beside what they shall be.

    Attributes:
        own: what the workspace's own file says; that is done at once.
        given: what the controller gave to this very container last; None if nobody knows. What the container
            has above it, somebody else gave to it, and that is taken back at once.
        enforce: which limits the policy lowers at once.
        uncovered: limits, by their name in the policy, that its owner's quotas do not let grow.
    """

    own: Resources
    given: Limits | None
    enforce: Mapping[LimitName, Enforcement]
    uncovered: frozenset[str] = frozenset()

    def at_once(self, field: str) -> bool:
        """Tell whether the policy lowers a limit while the container runs."""
        return self.enforce.get(CLASS_OF[field]) is Enforcement.NOW


def reachable(want: Limits, container: Container, terms: Terms) -> Limits:
    """Return what a running container may have now; None is unlimited.

    What is to grow grows. What is to shrink shrinks as far as the workspace's own file says, or as far as the
    controller had given it, and the rest of the way at the next start.
    """
    have, own, given = present(container), terms.own, terms.given or Limits()
    memory = _amount("memory", want.memory, have.memory, (own.memory, given.memory), terms)
    swap = _swap(want)
    if have.memory is not None and (terms.given is None or given.memory is not None):  # else it had no bounds
        swap = _amount("memory_swap", swap, _swap(have), (own.swap, _swap(given)), terms)
    return Limits(
        nano_cpus=_amount("nano_cpus", want.nano_cpus, have.nano_cpus, (own.cpus, given.nano_cpus), terms),
        cpuset=_cpuset(want.cpuset, have.cpuset, terms),
        memory=memory,
        memory_reservation=_reservation(want.memory_reservation, have.memory_reservation, memory, terms),
        memory_swap=_with_swap(memory, swap, _most(want.memory_swap, have.memory_swap)),
        pids=_amount("pids", want.pids, have.pids, (own.pids, given.pids), terms),
    )


def reach(case: Case) -> Reach:
    """Return what the container of a workspace may have now: all that it shall have, unless it runs."""
    design, container, slices = case.design, case.container, case.scene.slices
    want = design.template.limits
    if not container.running:
        return Reach(want)
    now = reachable(want, container, _terms(case))
    within = confining.within(now, container, design.within, design.effective.owner, slices)
    version = slices.version or case.scene.view.cgroup_version
    found = confining.reach(within, present(container), container, slices, version)
    confined = {one for one in ("nano_cpus", "cpuset") if getattr(now, one) != getattr(within, one)}
    return replace(found, soon=found.soon | confined)


def _terms(case: Case) -> Terms:
    given = case.memory.given_limits.get(case.name)
    known = given.limits if given is not None and given.container_id == case.container.id else None
    own = case.accepted.workspace.spec.resources or Resources()
    rules = {one.path: one.rule for one in case.design.effective.values}
    if known is None and rules.get("resources.swap") == origins.DEFAULT:  # no policy tightened it
        own = own.model_copy(update={"swap": workspace.CONTRACT_DEFAULTS["resources.swap"]})
    return Terms(
        own=own,
        given=known,
        enforce=case.scene.enforce,
        uncovered=case.beyond.uncovered if case.beyond is not None else frozenset(),
    )


def weighed(case: Case) -> Case:
    """Return the case of a workspace that runs with what of its limits waits, and what it has too much of."""
    if case.ours.main is None or not case.container.running or not isinstance(case.blueprint, Blueprint):
        return case
    drifts, by_hook = case.drifts, bool(case.drifts) and devices.by_hook(case.container)
    reclaimed = confining.observed_high(case.container, case.scene.slices)
    differs = any(map(is_limit, drifts))
    if not (differs or by_hook or reclaimed is not None or case.beyond is not None):
        return case
    now = reach(case) if differs or reclaimed is not None else None
    if differs and now is not None:
        drifts = soften(drifts, _subject(case, now.limits, by_hook=by_hook), now.limits)
    if by_hook:
        drifts = tuple(map(_at_next_start, drifts))
    drifts = _told(case, drifts, now.soon if now is not None else frozenset(), by_hook=by_hook)
    waits = _tightened(case, drifts)
    excess = (case.beyond.message if case.beyond is not None else "", waits)
    notes = [*_noted(case, drifts)] if by_hook else []
    if now is not None:
        notes += [Note(Reason.MEMORY_LOWERING, text) for text in (now.lowering,) if text]
        drifts += _high(reclaimed, now.high)
    return replace(case, drifts=drifts, excess="; ".join(filter(None, excess)), notes=tuple(notes))


def _subject(case: Case, now: Limits, *, by_hook: bool) -> drift.Subject:
    """Return what is compared; of a container that an update would cost its GPUs only what the kernel has."""
    design, container = case.design, case.container
    if by_hook:
        container = replace(container, configuration=replace(container.configuration, limits=now))
    return drift.subject(
        design.template,
        design.identity,
        design.optional_targets,
        container,
        case.scene.view,
        wish=design.effective.gpu,
        stock=case.scene.stock,
    )


def _high(observed: int | None, wanted: int | None) -> tuple[Drift, ...]:
    """Return the difference in what is above its limit reclaimed of a container's memory."""
    if observed == wanted or (observed and wanted and observed // drift.PAGE == wanted // drift.PAGE):
        return ()
    texts = ["unlimited" if one is None else quantities.format_bytes(one) for one in (observed, wanted)]
    return (Drift(DriftKind.RESOURCES, confining.MEMORY_HIGH, texts[0], texts[1], Remedy.LIVE),)


def _at_next_start(found: Drift) -> Drift:
    """An update of a running container takes from it the GPUs that a hook gave it: so there is none."""
    waits = found.remedy is Remedy.LIVE and found.kind is DriftKind.RESTART_POLICY
    return replace(found, remedy=Remedy.RESTART) if waits else found


def _noted(case: Case, drifts: tuple[Drift, ...]) -> Iterator[Note]:
    """Say what waits for the next start because a hook gave the container its GPUs.

    Limits that the kernel has already, and the Engine will only hear of, are no news.
    """
    blind = not isinstance(case.container.kernel_limits, Limits)
    waiting = [
        f"{one.field} {one.observed} -> {one.desired}"
        for one in drifts
        if one.remedy is Remedy.RESTART and (blind or one.kind is not DriftKind.RESOURCES)
    ]
    if waiting:
        message = f"from its next start on: {', '.join(waiting)}; an update now would take its GPUs from it"
        yield Note(Reason.UPDATE_WAITS, message)


def _told(case: Case, drifts: tuple[Drift, ...], soon: frozenset[str], *, by_hook: bool) -> tuple[Drift, ...]:
    """Return the differences, those only reported that wait for no start.

    These are what is changed as soon as something else is (`soon`), and what the kernel has already and only
    the Engine has not heard of.
    """
    unmet = set(PATHS)
    if by_hook and any(one.remedy is Remedy.RESTART and one.field in PATHS for one in drifts):
        unmet = {
            one.field for one in drift.detect(_subject(case, case.design.template.limits, by_hook=by_hook))
        }
        unmet = unmet if isinstance(case.container.kernel_limits, Limits) else set(PATHS)
    waits = unmet - soon
    return tuple(
        replace(one, remedy=Remedy.REPORT)
        if one.remedy is Remedy.RESTART and one.field in PATHS and one.field not in waits
        else one
        for one in drifts
    )


def _tightened(case: Case, drifts: tuple[Drift, ...]) -> str:
    """Say which limits wait for the next start, and who tightened them; the sum with swap follows memory."""
    uncovered = case.beyond.uncovered if case.beyond is not None else frozenset()
    waits = {one.field: one for one in drifts if one.remedy is Remedy.RESTART and one.field in PATHS}
    if "memory" in waits:
        waits.pop("memory_swap", None)
    waiting = [
        f"{PATHS[field]} {one.observed} -> {one.desired} ({_origin(case, field)})"
        for field, one in waits.items()
        if CLASS_OF[field].value not in uncovered
    ]
    return f"from its next start on: {', '.join(waiting)}" if waiting else ""


def _origin(case: Case, field: str) -> str:
    path = f"resources.{PATHS[field]}"
    return next((one.origin for one in case.design.effective.values if one.path == path), "policy")


def soften(found: tuple[Drift, ...], subject: drift.Subject, now: Limits) -> tuple[Drift, ...]:
    """Mark the limits that wait for the next start: those in which a container is already as it may be."""
    compared = drift.detect(replace(subject, template=replace(subject.template, limits=now)))
    changed = {one.field for one in compared if is_limit(one)}
    return tuple(
        replace(one, remedy=Remedy.RESTART) if is_limit(one) and one.field not in changed else one
        for one in found
    )


def is_limit(found: Drift) -> bool:
    """Tell whether a difference is one of limits that can be changed in place."""
    return found.kind is DriftKind.RESOURCES and found.remedy is Remedy.LIVE


def present(container: Container) -> Limits:
    """Return the limits of a container as the kernel has them, or, where it cannot tell, the Engine."""
    configured, kernel = container.configuration.limits, container.kernel_limits
    if not isinstance(kernel, Limits):
        return configured
    unreadable = {
        item.name: getattr(configured, item.name)
        for item in fields(Limits)
        if getattr(kernel, item.name) is None and item.name in drift.MAY_BE_UNREADABLE
    }
    return replace(kernel, **unreadable)


def _swap(limits: Limits) -> int | None:
    """Return the swap alone; None is unlimited."""
    if limits.memory is None or limits.memory_swap is None:
        return None
    return max(0, limits.memory_swap - limits.memory)


def _with_swap(memory: int | None, swap: int | None, most: int | None) -> int | None:
    """Return memory and swap together, no more than the larger of what is and what shall be."""
    return None if memory is None or swap is None else _least(memory + swap, most)


def _amount(
    field: str, want: int | None, have: int | None, bounds: tuple[int | None, ...], terms: Terms
) -> int | None:
    if _most(want, have) == want:  # it grows, or stays
        return have if CLASS_OF[field].value in terms.uncovered else want
    if terms.at_once(field):
        return want
    return _most(want, _least(have, *bounds))


def _reservation(want: int | None, have: int | None, memory: int | None, terms: Terms) -> int | None:
    """Return the guaranteed part: None is nothing, and no more than all of it can be."""
    given = None if terms.given is None else terms.given.memory_reservation or 0
    bounds = terms.own.memory_reservation, given
    amount = _amount("memory_reservation", want or 0, have or 0, bounds, terms)
    return _least(amount, memory) or None


def _most(*amounts: int | None) -> int | None:
    known = [amount for amount in amounts if amount is not None]
    return max(known) if len(known) == len(amounts) else None


def _least(*amounts: int | None) -> int | None:
    return min((amount for amount in amounts if amount is not None), default=None)


def _cpuset(want: str | None, have: str | None, terms: Terms) -> str | None:
    given = terms.given.cpuset if terms.given is not None else have
    wider = want is None or (have is not None and aggregates.processors(have) <= aggregates.processors(want))
    if wider or terms.at_once("cpuset") or want in {terms.own.cpuset, given}:
        return want
    return given  # what somebody else changed since is put back
