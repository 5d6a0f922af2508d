"""Knows how a blueprint is drawn: template, labels and addresses of a resolved workspace, and its network.

Refuses to choose ports, names and slices, which are given to it, and devices, which come last.
"""

from collections.abc import Mapping
from dataclasses import replace

from controller.api import labels
from controller.model.actions import EnsureNetwork
from controller.model.desired import AcceptedSpec
from controller.model.effective import Effective, Refusal
from controller.model.observed import EngineView
from controller.model.routes import Names
from controller.model.status import ServiceAddress
from controller.planning import aggregates, ports, template
from controller.planning.case import Blueprint, Rules, Within


def draw(  # noqa: PLR0913 - a blueprint has this many parts
    spec: AcceptedSpec,
    effective: Effective,
    assignment: ports.Assignment,
    names: Names,
    *,
    within: Within,
    secrets: str,
    epoch: int,
) -> Blueprint:
    """Return what a workspace gets; `secrets` is the host directory that holds its secrets."""
    made = replace(
        template.render(effective, assignment.ports, secrets),
        limits=aggregates.confined(effective.limits, within.limits),
        cgroup_parent=within.parent,
    )
    identity = template.identity(spec, effective, template.digest(made), epoch)
    optional = frozenset(mount.target for mount in effective.mounts if not mount.required)
    services = tuple(
        ServiceAddress(
            service.name,
            service.port,
            assignment.by_service.get(service.name),
            names.url_of(service.name),
        )
        for service in effective.services
    )
    return Blueprint(effective, assignment, made, identity, optional, services, names, within)


def networks(
    designs: Mapping[str, Blueprint | Refusal], view: EngineView, rules: Rules
) -> tuple[EnsureNetwork, ...]:
    """Return the networks that are to be made first."""
    wanted = {d.template.network for d in designs.values() if isinstance(d, Blueprint)}
    private = labels.NETWORK_PRIVATE
    return tuple(
        EnsureNetwork(name, rules.subnet if name == private else None, inter_container=name != private)
        for name in sorted(wanted - view.networks.keys())
    )
