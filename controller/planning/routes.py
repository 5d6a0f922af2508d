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
_RULE = re.compile(r'^ *rule: (".*")$', re.MULTILINE)
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
    """Decide for each document whether it is written or goes. Those that are right have no decision.

    One that stays although nobody knows whether it should keeps its names: no other gets them meanwhile.
    """
    if found is None or isinstance(found, Unseen):
        return ()
    named = {name for name, one in designs.items() if isinstance(one, Blueprint) and one.names.routes}
    names = sorted(named.union(map(_workspace_of, found)))
    stays = {
        name: found.get(_file(name), "")
        for name in names
        if _stays(name, found.get(_file(name)), designs.get(name), index.get(name, _NOTHING), memory)
    }
    taken = frozenset(text for stay in stays.values() for text in _RULE.findall(stay))
    told = (
        _decide(name, found.get(_file(name)), designs.get(name), index.get(name, _NOTHING), taken)
        for name in names
        if name not in stays
    )
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


def _stays(
    name: str, text: str | None, design: Blueprint | Refusal | None, ours: Ours, memory: Memory
) -> bool:
    """Tell whether a document is left as it is, whatever it should be: hands off, or nobody knows.

    While nobody knows what a workspace that runs shall have, its document stays if it leads to it and nowhere
    else: an address that is free again is soon that of another's container.
    """
    if name in memory.pauses or ours.unknown:
        return True
    runs = _reached(ours)
    if isinstance(design, Blueprint) or runs is None or not text:
        return False
    return set(_SERVER.findall(text)) == {_host(runs.address)}


def _decide(
    name: str, text: str | None, design: Blueprint | Refusal | None, ours: Ours, taken: frozenset[str]
) -> Decision | None:
    wanted = _wanted(name, design, ours, taken)
    if wanted == text:
        return None
    if wanted is None:
        remove = actions.RemoveRoute(name, _file(name))
        return _decision(name, Verdict.REMOVE, "nothing is to be reached by it", remove, "")
    verdict, message = (Verdict.CREATE, "") if text is None else (Verdict.UPDATE, "it is not as it should be")
    return _decision(name, verdict, message, actions.WriteRoute(name, _file(name), wanted), wanted)


def _wanted(name: str, design: Blueprint | Refusal | None, ours: Ours, taken: frozenset[str]) -> str | None:
    """Return what the document shall say, None if there shall be none."""
    runs = _reached(ours)
    if runs is None or not isinstance(design, Blueprint):
        return None
    free = [route for route in design.names.routes if _text(rule(route)) not in taken]
    return document(name, free, runs.address) if free else None


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


def _file(workspace: str) -> str:
    return f"{_PREFIX}{workspace}{_SUFFIX}"


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
