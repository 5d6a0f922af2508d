"""Knows which actions, in which order, carry out each verdict; a chain ends where the next step must look first.

Refuses to choose the verdict, and to touch any workspace but its own.
"""

from dataclasses import replace
from datetime import timedelta

from controller.api import labels
from controller.api.conditions import DriftKind, Reason
from controller.model import actions
from controller.model.actions import Action
from controller.model.memory import Restarts
from controller.model.observed import Container, ContainerState, Limits
from controller.model.plan import Drift, Remedy
from controller.planning import claims, template
from controller.planning.case import Case, expected, main_name

DEFAULT_GRACE = timedelta(seconds=60)
"""Time to stop for a workspace whose spec cannot be resolved any more."""


def ports(case: Case) -> tuple[Action, ...]:
    """Write new port grants before anything uses them."""
    assignment = case.design.assignment
    if not assignment.new_grants:
        return ()
    return (actions.GrantPorts(case.name, assignment.new_blocks, assignment.new_grants),)


def prepare(case: Case) -> tuple[Action, ...]:
    """Make what a container needs on the host: mount sources and secrets."""
    effective, steps = case.design.effective, list[Action]()
    account = effective.account
    uid, gid = (account.uid, account.gid) if account else (0, 0)
    for mount in effective.mounts:
        if mount.target in _left_out(case):
            continue
        steps.append(
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
        )
    if effective.secrets:
        steps.append(actions.WriteSecrets(case.name, effective.secrets, uid, gid))
    return tuple(steps)


def _left_out(case: Case) -> frozenset[str]:
    """Targets of the mounts that may be missing and are."""
    missing = {
        mount.target
        for mount in case.design.effective.mounts
        if not mount.required and not _usable(case, mount.name)
    }
    return frozenset(missing)


def _usable(case: Case, mount: str) -> bool:
    check = case.host.mounts.get((case.name, mount))
    return check is None or check.usable or check.to_create


def pull(case: Case) -> tuple[Action, ...]:
    """Fetch the image, before anything that runs is touched."""
    return (actions.PullImage(case.name, case.design.effective.image),)


def create(case: Case) -> tuple[Action, ...]:
    """Make a container under the workspace's name, not started."""
    design, memory = case.design, case.memory
    instance = claims.instance(memory.nonce, case.name, case.accepted.uid)
    left_out = _left_out(case)
    binds = tuple(bind for bind in design.template.binds if bind.target not in left_out)
    made = actions.CreateContainer(
        workspace=case.name,
        name=main_name(case.name),
        template=replace(design.template, binds=binds),
        labels=template.signed(design.identity, instance, memory.claim_key),
    )
    return (*ports(case), *prepare(case), made)


def start(case: Case, restarts: int, before: tuple[Action, ...] = ()) -> tuple[Action, ...]:
    """Start the main container, after `before`, with all that can be prepared done first.

    `restarts` is how often it was started again since it last ran well.
    """
    container = case.container
    record = actions.RecordRestarts(case.name, Restarts(container.id, restarts, case.now))
    begin = actions.StartContainer(case.name, container.id, container.name)
    return (record, *ports(case), *prepare(case), *before, begin)


def stop(case: Case, container: Container) -> tuple[Action, ...]:
    """Stop a running container with its workspace's grace."""
    return halt(case, container, case.design.effective.stop_grace)


def halt(case: Case, container: Container, grace: timedelta) -> tuple[Action, ...]:
    """Stop a running container; one that is frozen cannot hear TERM, so it is thawed first."""
    end = actions.StopContainer(case.name, container.id, container.name, grace, expected(container))
    if container.state is ContainerState.PAUSED:
        return (actions.UnpauseContainer(case.name, container.id, container.name), end)
    return (end,)


def thaw(case: Case) -> tuple[Action, ...]:
    """Let a frozen container run on."""
    return (actions.UnpauseContainer(case.name, case.container.id, case.container.name),)


def set_aside(case: Case, container: Container, reason: Reason) -> tuple[Action, ...]:
    """Keep a container under its retained name, so that the workspace's name is free."""
    name = labels.retained_name(case.name, container.labels[labels.INSTANCE])
    return (
        actions.RetainContainer(case.name, container.id, name, reason),
        actions.RenameContainer(case.name, container.id, container.name, name),
    )


def bring_back(case: Case, container: Container) -> tuple[Action, ...]:
    """Give a kept container the workspace's name again."""
    return (
        actions.RenameContainer(case.name, container.id, container.name, main_name(case.name)),
        actions.ForgetRetained(case.name, container.id),
    )


def repair(case: Case, drifts: tuple[Drift, ...]) -> tuple[Action, ...]:
    """Change in place what differs and can be changed in place."""
    container, steps = case.container, list[Action]()
    kinds = {found.kind for found in drifts if found.remedy is Remedy.LIVE}
    if DriftKind.RESOURCES in kinds:
        steps.append(_limits(case, container))
    if DriftKind.RESTART_POLICY in kinds:
        steps.append(actions.ClearRestartPolicy(case.name, container.id, container.name))
    if DriftKind.NETWORK in kinds:
        network = case.design.template.network
        steps.append(actions.ConnectNetwork(case.name, container.id, container.name, network))
    return tuple(steps)


def _limits(case: Case, container: Container) -> Action:
    limits: Limits = case.design.template.limits
    return actions.UpdateLimits(case.name, container.id, container.name, limits, expected(container))
