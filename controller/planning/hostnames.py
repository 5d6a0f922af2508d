"""Knows what services with expose: Hostname are called at the site's proxy, and who has what two want.

Refuses to know what runs: a name belongs to a spec in force. Of two that want one the older has it.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Final

from controller.api.conditions import Reason
from controller.api.hostnames import Hostnames, Scheme
from controller.model.effective import Effective, Service
from controller.model.plan import NotEnforced
from controller.model.routes import NO_NAMES, Names, Route

LONGEST_LABEL: Final = 63
"""Characters between two dots of a host name: RFC 1035, 2.3.4."""
LONGEST_NAME: Final = 253
"""Characters of a host name without its last dot: the same in its text form."""
_DIGITS: Final = 8
"""Of the digest that takes the place of what is cut off."""


def label(login: str) -> str:
    """Return a login name as a DNS label: lower case, a dash for each run of anything but letters and digits.

    What is left of a name without any is empty, and of one with more than 63 characters too long: both get a
    part of their digest. `Alice.Smith@lab` is `alice-smith-lab`.
    """
    plain = re.sub(r"[^a-z0-9]+", "-", login.lower()).strip("-")
    return _short(plain, login) if plain else f"u-{_digest(login)}"


def assign(
    effectives: Iterable[Effective], rules: Hostnames | None, *, published: bool
) -> Mapping[str, Names]:
    """Return the names of every workspace that asks for some; `effectives` come oldest first.

    `rules` are the policy's, None where it has none; `published` says that there is a proxy to tell of them.
    """
    registry = _Registry()
    asking = [one for one in effectives if any(service.named for service in one.services)]
    if rules is None or not published:
        return {one.workspace: _nowhere(one, rules, published=published) for one in asking}
    return {one.workspace: registry.names(one, rules) for one in asking}


def names_of(workspace: str, assigned: Mapping[str, Names]) -> Names:
    """Return the names of one workspace."""
    return assigned.get(workspace, NO_NAMES)


class _Registry:
    """Who has which host and path."""

    def __init__(self) -> None:
        self._taken: dict[tuple[str, str], tuple[str, str]] = {}

    def names(self, effective: Effective, rules: Hostnames) -> Names:
        """Return the names of one workspace; those that an earlier one has are gaps."""
        routes: list[Route] = []
        gaps: list[NotEnforced] = []
        for service in effective.services:
            if service.named:
                found = self._claim(effective, service, rules)
                if isinstance(found, Route):
                    routes.append(found)
                else:
                    gaps.append(found)
        return Names(tuple(routes), tuple(gaps))

    def _claim(self, effective: Effective, service: Service, rules: Hostnames) -> Route | NotEnforced:
        route = _route(effective, service, rules)
        if len(route.host) > LONGEST_NAME:
            message = f"{route.host} has {len(route.host)} characters; a host name has {LONGEST_NAME} at most"
            return NotEnforced(_path(service), message)
        mine = effective.workspace, service.name
        holder = self._taken.setdefault((route.host, route.path), mine)
        if holder != mine:
            other = f'the service "{holder[1]}" of the workspace {holder[0]}'
            message = f"{route.url} leads to {other}, which is older"
            return NotEnforced(_path(service), message, Reason.HOSTNAME_TAKEN)
        return route


def _route(effective: Effective, service: Service, rules: Hostnames) -> Route:
    words = {
        "{owner}": label(effective.owner),
        "{name}": effective.workspace,
        "{service}": service.name,
        "{domain}": rules.domain,
    }
    host = _fill(rules.patterns.get(service.name, rules.pattern), words)
    host = ".".join(_short(part, part) for part in host.split("."))
    path = _fill(rules.path_prefix or "", words)
    scheme = rules.scheme or (Scheme.HTTPS if rules.cert_resolver else Scheme.HTTP)
    url = f"{scheme.lower()}://{host}{path}/"
    return Route(service.name, service.port, host, path, url, rules.entry_points, rules.cert_resolver)


def _nowhere(effective: Effective, rules: Hostnames | None, *, published: bool) -> Names:
    lacking = [] if rules is not None else ["the policy has no hostnames"]
    lacking += [] if published else ["the configuration has no proxy.directory"]
    message = f"it is not published: {', and '.join(lacking)}"
    named = (service for service in effective.services if service.named)
    return Names(gaps=tuple(NotEnforced(_path(service), message) for service in named))


def _path(service: Service) -> str:
    return f"spec.services.{service.name}.expose"


def _fill(pattern: str, words: Mapping[str, str]) -> str:
    return re.sub(r"\{[a-z]+\}", lambda found: words[found[0]], pattern)


def _short(text: str, whole: str) -> str:
    """Cut a label that is too long; the digest of the whole keeps different ones different."""
    if len(text) <= LONGEST_LABEL:
        return text
    return f"{text[: LONGEST_LABEL - _DIGITS - 1].rstrip('-')}-{_digest(whole)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
