"""Knows which host ports are given back: those of services that a workspace has no longer.

Refuses to give back a port that a container of the workspace publishes, a kept one too, or to do so for a
spec that was not confirmed: what somebody mends within seconds costs nothing.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from controller.api.conditions import Reason
from controller.model import actions
from controller.model.effective import Refusal
from controller.model.memory import Intent, Memory, PortGrant
from controller.model.plan import Decision, Verdict
from controller.planning.case import Blueprint, Ours

_NOTHING = Ours()


def upkeep(
    memory: Memory,
    designs: Mapping[str, Blueprint | Refusal],
    index: Mapping[str, Ours],
    under_way: Mapping[str, Intent],
) -> Iterator[Decision]:
    """Yield a decision for each workspace that has ports of services which it lacks."""
    idle: defaultdict[str, list[PortGrant]] = defaultdict(list)
    for grant in memory.port_grants:
        design = designs.get(grant.workspace)
        if isinstance(design, Blueprint) and grant.service not in design.assignment.by_service:
            idle[grant.workspace].append(grant)
    for workspace, left in sorted(idle.items()):
        spec, ours = memory.accepted.get(workspace), index.get(workspace, _NOTHING)
        if spec is None or not spec.confirmed or spec.missing_since is not None:
            continue
        if ours.unknown or workspace in under_way or workspace in memory.pauses:
            continue
        published = {port.host_port for c in ours.all() for port in c.configuration.ports}
        free = tuple(grant for grant in left if grant.port not in published)
        if free:
            yield _give_back(workspace, free)


def _give_back(workspace: str, grants: tuple[PortGrant, ...]) -> Decision:
    left = ", ".join(f"{grant.port} ({grant.service})" for grant in grants)
    return Decision(
        workspace=f"ports/{workspace}",
        verdict=Verdict.UPDATE,
        reason=Reason.PORTS_RETURNED,
        message=f"no service of {workspace} has any more: {left}",
        actions=(actions.ReturnPorts(workspace, grants),),
        key=f"ports/{workspace}",
    )
