"""Knows the documents that the site's proxy shall read, one for each workspace that can be reached by a name.

Refuses to touch what is not ours, and to take a workspace that cannot be looked at for one that is gone.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from controller.api.conditions import Reason
from controller.model import actions
from controller.model.effective import Refusal
from controller.model.memory import Memory
from controller.model.observed import Container, Unseen
from controller.model.plan import Decision, HostFinding, Verdict
from controller.model.routes import Route
from controller.planning import backoff
from controller.planning.case import Blueprint, Ours

_PREFIX, _SUFFIX = "wharf-", ".yaml"
_SERVER = re.compile(r'^ *- url: "http://(\[[^\]]*\]|[^:"]*):\d+"$', re.MULTILINE)
_NOTHING = Ours()

Found = Mapping[str, str] | Unseen | None
"""Our documents, text by file name; None where there is no proxy."""


def upkeep(
    found: Found,
    designs: Mapping[str, Blueprint | Refusal],
    index: Mapping[str, Ours],
    memory: Memory,
    now: datetime,
) -> tuple[Decision, ...]:
    """Decide for each document whether it is written or goes. Those that are right have no decision."""
    if found is None or isinstance(found, Unseen):
        return ()
    named = {name for name, one in designs.items() if isinstance(one, Blueprint) and one.names.routes}
    names = sorted(named.union(map(_workspace_of, found)))
    told = (_decide(name, found, designs.get(name), index.get(name, _NOTHING), memory) for name in names)
    return tuple(
        backoff.held_back(decision, memory.backoffs.get(decision.workspace), now)
        for decision in told
        if decision is not None
    )


def findings(found: Found) -> tuple[HostFinding, ...]:
    """Say what is wrong with the proxy's directory."""
    return (HostFinding(found.reason, "proxy", found.message),) if isinstance(found, Unseen) else ()


def document(workspace: str, routes: Iterable[Route], address: str) -> str:
    """Write what Traefik's file provider reads: routers, services, and what takes a prefix off.

    The provider reads files as templates before they are YAML; nothing in here has a brace. Empty tables are
    left out: it refuses them. Texts are in quotes, as JSON and YAML have them alike.
    """
    ordered = sorted(routes, key=lambda route: route.service)
    stripped = [route for route in ordered if route.path]
    lines = [f"# Written by Wharfinger for the workspace {workspace}. What is changed here is changed back."]
    lines += ["http:", "  routers:", *(line for one in ordered for line in _router(workspace, one))]
    if stripped:
        lines += ["  middlewares:", *(line for one in stripped for line in _strip(workspace, one))]
    lines += ["  services:", *(line for one in ordered for line in _service(workspace, one, address))]
    return "".join(f"{line}\n" for line in lines)


def rule(route: Route) -> str:
    """Return which requests are for a service: its host, and nothing beside its path or below it.

    `PathPrefix` alone would take /alice2 for a part of /alice, and so one owner's requests for another's.
    """
    host = f"Host(`{route.host}`)"
    return f"{host} && (Path(`{route.path}`) || PathPrefix(`{route.path}/`))" if route.path else host


def _decide(
    name: str,
    found: Mapping[str, str],
    design: Blueprint | Refusal | None,
    ours: Ours,
    memory: Memory,
) -> Decision | None:
    file = f"{_PREFIX}{name}{_SUFFIX}"
    text = found.get(file)
    if name in memory.pauses or ours.unknown:
        return None
    wanted = _wanted(name, design, ours, text)
    if wanted == text:
        return None
    if wanted is None:
        remove = actions.RemoveRoute(name, file)
        return _decision(name, Verdict.REMOVE, "nothing runs that it could lead to", remove, "")
    verdict, message = (Verdict.CREATE, "") if text is None else (Verdict.UPDATE, "it is not as it should be")
    return _decision(name, verdict, message, actions.WriteRoute(name, file, wanted), wanted)


def _wanted(name: str, design: Blueprint | Refusal | None, ours: Ours, text: str | None) -> str | None:
    """Return what the document shall say, None if there shall be none.

    While nobody knows what a workspace that runs shall have, its document stays if it leads to it and nowhere
    else: an address that is free again is soon that of another's container.
    """
    runs = _reached(ours)
    if runs is None:
        return None
    if not isinstance(design, Blueprint):
        return text if text and set(_SERVER.findall(text)) == {_host(runs.address)} else None
    return document(name, design.names.routes, runs.address) if design.names.routes else None


def _reached(ours: Ours) -> Container | None:
    """Return the container that people reach: the one with the name, else its predecessor while that runs."""
    return next((container for container in ours.running() if container.address), None)


def _decision(
    name: str, verdict: Verdict, message: str, action: actions.WriteRoute | actions.RemoveRoute, text: str
) -> Decision:
    return Decision(
        workspace=f"route/{name}",
        verdict=verdict,
        reason=Reason.ROUTE_CHANGED,
        message=message,
        actions=(action,),
        key=f"{verdict}:{hashlib.sha256(text.encode()).hexdigest()}",
    )


def _workspace_of(file: str) -> str:
    return file.removeprefix(_PREFIX).removesuffix(_SUFFIX)


def _name(workspace: str, service: str) -> str:
    """Name of a router and of all that belongs to it; neither of the two has an underscore."""
    return _text(f"wharf_{workspace}_{service}")


def _router(workspace: str, route: Route) -> Iterator[str]:
    name = _name(workspace, route.service)
    yield f"    {name}:"
    yield f"      rule: {_text(rule(route))}"
    yield f"      service: {name}"
    if route.entry_points:
        yield f"      entryPoints: [{', '.join(map(_text, route.entry_points))}]"
    if route.path:
        yield f"      middlewares: [{name}]"
    if route.cert_resolver is not None:
        yield "      tls:"
        yield f"        certResolver: {_text(route.cert_resolver)}"


def _strip(workspace: str, route: Route) -> Iterator[str]:
    yield f"    {_name(workspace, route.service)}:"
    yield "      stripPrefix:"
    yield f"        prefixes: [{_text(route.path)}]"


def _service(workspace: str, route: Route, address: str) -> Iterator[str]:
    yield f"    {_name(workspace, route.service)}:"
    yield "      loadBalancer:"
    yield "        passHostHeader: true"
    yield "        servers:"
    yield f'          - url: "http://{_host(address)}:{route.port}"'


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _text(text: str) -> str:
    return json.dumps(text)
