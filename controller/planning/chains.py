"""Knows which actions, in which order, carry out each verdict; a chain ends where it must look first.

Refuses to choose the verdict, and to touch any workspace but its own.
"""

from collections.abc import Iterator
from dataclasses import replace as changed
from datetime import timedelta

from controller.api import labels, references
from controller.api.conditions import DriftKind, Reason
from controller.api.workspace import PullPolicy
from controller.model import actions
from controller.model.actions import Action
from controller.model.memory import GivenLimits, Replacement, Restarts
from controller.model.observed import Container, ContainerState
from controller.model.plan import Remedy
from controller.planning import asking, claims, confining, devices, template, tightening
from controller.planning.case import Blueprint, Case, expected, main_name

DEFAULT_GRACE = timedelta(seconds=60)
"""Time to stop for a workspace whose spec cannot be resolved any more."""


def ports(case: Case) -> tuple[Action, ...]:
    """Write new port grants before anything uses them."""
    assignment = case.design.assignment
    if not assignment.new_grants:
        return ()
    return (actions.GrantPorts(case.name, assignment.new_blocks, assignment.new_grants),)


def mounts(case: Case) -> tuple[Action, ...]:
    """Check the sources of mounts once more, and make those that may be made."""
    effective, left_out = case.design.effective, _left_out(case)
    uid, gid = _identity(case)
    return tuple(
        actions.PrepareMount(
            workspace=case.name,
            mount=mount.name,
            source=mount.source,
            roots=effective.mount_roots,
            create=mount.create,
            nosuid=effective.nosuid_mounts,
            uid=uid,
            gid=gid,
        )
        for mount in effective.mounts
        if mount.target not in left_out
    )


def sources(case: Case, container: Container) -> tuple[Action, ...]:
    """Check the sources of a container's own mounts before anything is stopped for it.

    Those that are not beneath today's roots, as an adopted container may have, are the Engine's to check.
    """
    effective = case.design.effective
    uid, gid = _identity(case)
    return tuple(
        actions.PrepareMount(
            workspace=case.name,
            mount=bind.target,
            source=bind.source,
            roots=effective.mount_roots,
            create=False,
            nosuid=effective.nosuid_mounts,
            uid=uid,
            gid=gid,
        )
        for bind in container.configuration.binds
        if any(bind.source.startswith(f"{root.rstrip('/')}/") for root in effective.mount_roots)
    )


def secrets(case: Case) -> tuple[Action, ...]:
    """Write the workspace's secrets anew."""
    wanted = case.design.effective.secrets
    return (actions.WriteSecrets(case.name, wanted, *_identity(case)),) if wanted else ()


def _identity(case: Case) -> tuple[int, int]:
    account = case.design.effective.account
    return (account.uid, account.gid) if account else (0, 0)


def _left_out(case: Case) -> frozenset[str]:
    """Targets of the mounts that may be missing and are."""
    missing = {
        mount.target
        for mount in case.design.effective.mounts
        if not mount.required and not _usable(case, mount.name)
    }
    return frozenset(missing)


def _usable(case: Case, mount: str) -> bool:
    check = case.scene.host.mounts.get((case.name, mount))
    return check is None or check.usable or check.to_create


def pull(case: Case) -> tuple[Action, ...]:
    """Fetch the image, before anything that runs is touched."""
    return (actions.PullImage(case.name, case.design.effective.image),)


def create(case: Case) -> tuple[Action, ...]:
    """Make a container under the workspace's name, not started."""
    return (*ports(case), *_refresh(case), *mounts(case), *secrets(case), _make(case))


def replace(case: Case, container: Container, reason: Reason) -> tuple[Action, ...]:
    """Make a container in the place of another, which is put aside when all else that can fail is done.

    Secrets that a running container sees stay as they are until it has stopped.
    """
    shown = any(bind.target == labels.SECRETS_TARGET for bind in container.configuration.binds)
    written = () if container.running and shown else secrets(case)
    begun = begin(case, container.id)
    aside = set_aside(case, container, reason)
    return (begun, *ports(case), *_refresh(case), *mounts(case), *written, *aside, _make(case))


def remake(case: Case, container: Container, old_id: str | None) -> tuple[Action, ...]:
    """Make a container anew that never ran and so holds nothing; `old_id` is the one that both replace."""
    begun = () if old_id is None else (begin(case, old_id),)
    gone = discard(case, container)
    return (*begun, *ports(case), *_refresh(case), *mounts(case), *gone, _make(case))


def discard(case: Case, container: Container) -> tuple[Action, ...]:
    """Remove a container that never ran and so holds nothing."""
    return (actions.RemoveContainer(case.name, container.id, container.name, expected(container)),)


def begin(case: Case, old_id: str) -> Action:
    """Write down which container makes way for which template, so that it can be undone."""
    design = case.design
    image = case.scene.view.images.get(design.template.image) or ""
    template_hash = design.identity[labels.TEMPLATE_HASH]
    begun = Replacement(case.name, old_id, template_hash, image, case.now)
    return actions.BeginReplacement(case.name, begun)


def _refresh(case: Case) -> tuple[Action, ...]:
    """Ask the registry again where the spec says so, unless it answered a moment ago; a digest stays."""
    effective = case.design.effective
    if effective.pull is not PullPolicy.ALWAYS or references.read(effective.image).digest:
        return ()
    return () if asking.answered(effective, case.memory, case.now) else pull(case)


def _make(case: Case) -> Action:
    design, memory, left_out = case.design, case.memory, _left_out(case)
    gpus = case.gear.grant if case.gear is not None else None
    named = {**design.identity, labels.GPUS: ",".join(gpus.uuids)} if gpus is not None else design.identity
    instance = claims.instance(memory.nonce, case.name, case.accepted.uid)
    binds = tuple(bind for bind in design.template.binds if bind.target not in left_out)
    return actions.CreateContainer(
        workspace=case.name,
        name=main_name(case.name),
        template=changed(design.template, binds=binds, gpus=gpus),
        labels=template.signed(named, instance, memory.claim_key),
    )


def start(case: Case, restarts: int, before: tuple[Action, ...] = ()) -> tuple[Action, ...]:
    """Start the main container, after `before`, with all that can be prepared done first.

    `restarts` is how often it was started again since it last ran well.
    """
    container = case.container
    given = GivenLimits.of(container.id, case.design.template.limits)
    record = actions.RecordRestarts(case.name, Restarts(container.id, restarts, case.now), given)
    asked = case.name in case.memory.restart_requests
    done = (actions.CompleteRestart(case.name),) if asked else ()
    gpus = devices.given(container, case.scene.stock.devices)
    begin = actions.StartContainer(case.name, container.id, container.name, expected(container), gpus)
    return (record, *done, *ports(case), *mounts(case), *before, *secrets(case), begin)


def stop(case: Case, container: Container) -> tuple[Action, ...]:
    """Stop a running container with its workspace's grace; a frozen one cannot hear TERM, so it is thawed."""
    known = isinstance(case.blueprint, Blueprint)
    grace = case.design.effective.stop_grace if known else DEFAULT_GRACE
    end = actions.StopContainer(case.name, container.id, container.name, grace, expected(container))
    if container.state is ContainerState.PAUSED:
        return (actions.UnpauseContainer(case.name, container.id, container.name), end)
    return (end,)


def thaw(case: Case) -> tuple[Action, ...]:
    """Let a frozen container run on."""
    return (actions.UnpauseContainer(case.name, case.container.id, case.container.name),)


def set_aside(case: Case, container: Container, reason: Reason) -> tuple[Action, ...]:
    """Keep a container under its retained name, so that the workspace's name is free."""
    name = labels.retained_name(case.name, container.labels.get(labels.INSTANCE) or container.id)
    return (
        actions.RetainContainer(case.name, container.id, name, reason),
        actions.RenameContainer(case.name, container.id, container.name, name),
    )


def bring_back(case: Case, container: Container) -> tuple[Action, ...]:
    """Give a kept container the workspace's name again."""
    back = actions.RenameContainer(case.name, container.id, container.name, main_name(case.name))
    if container.id not in case.memory.retained:
        return (back,)
    return (back, actions.ForgetRetained(case.name, container.id))


def repair(case: Case) -> tuple[Action, ...]:
    """Change in place what differs and can be changed in place."""
    if not case.drifts:
        return ()
    container, steps = case.container, list[Action]()
    live = [found for found in case.drifts if found.remedy is Remedy.LIVE]
    kinds = {found.kind for found in live}
    if DriftKind.RESOURCES in kinds:
        steps += _limit(case, {found.field for found in live if found.kind is DriftKind.RESOURCES})
    if DriftKind.RESTART_POLICY in kinds:
        steps.append(actions.ClearRestartPolicy(case.name, container.id, container.name))
    if DriftKind.NETWORK in kinds:
        network = case.design.template.network
        steps.append(actions.ConnectNetwork(case.name, container.id, container.name, network))
    return tuple(steps)


def _limit(case: Case, differing: set[str]) -> Iterator[Action]:
    """Set limits: through the Engine, unless that takes GPUs from what runs, or it has no word for them."""
    container, reach = case.container, tightening.reach(case)
    given, seen = GivenLimits.of(container.id, reach.limits), expected(container)
    past = container.running and devices.by_hook(container)
    others = differing - {confining.MEMORY_HIGH}
    if others and container.running and case.memory.given_limits.get(case.name) != given:
        yield actions.RecordLimits(case.name, given)  # else its start does it
    if others and not past:
        yield actions.UpdateLimits(case.name, container.id, container.name, reach.limits, seen)
    if (others and past) or confining.MEMORY_HIGH in differing:
        limits = reach.limits if others and past else None
        yield actions.LimitCgroup(case.name, container.id, container.name, limits, reach.high, seen)


def confine(case: Case, container: Container) -> tuple[Action, ...]:
    """Bring a container within its slice, as version 1 of the cgroups wants before either is begun or set."""
    design, seen = case.design, expected(container)
    have = tightening.present(container) if container.running else container.configuration.limits
    limits = confining.within(have, container, design.within, design.effective.owner, case.scene.slices)
    if limits == have:
        return ()
    if container.running and devices.by_hook(container):
        return (actions.LimitCgroup(case.name, container.id, container.name, limits, None, seen),)
    return (actions.UpdateLimits(case.name, container.id, container.name, limits, seen),)
