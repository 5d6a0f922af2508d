"""Knows how a blueprint is drawn: the template, the labels and the addresses of a resolved workspace.

Refuses to choose ports and names, which are given to it, and devices, which come last.
"""

from controller.model.desired import AcceptedSpec
from controller.model.effective import Effective
from controller.model.routes import Names
from controller.model.status import ServiceAddress
from controller.planning import ports, template
from controller.planning.case import Blueprint


def draw(  # noqa: PLR0913 - a blueprint has this many parts
    spec: AcceptedSpec,
    effective: Effective,
    assignment: ports.Assignment,
    names: Names,
    secrets: str,
    epoch: int,
) -> Blueprint:
    """Return what a workspace gets; `secrets` is the host directory that holds its secrets."""
    made = template.render(effective, assignment.ports, secrets)
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
    return Blueprint(effective, assignment, made, identity, optional, services, names)
