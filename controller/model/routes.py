"""What leads from the site's proxy to a workspace's services: names, paths, and what has none and why.

Refuses addresses: a name belongs to a spec in force, whether its workspace runs or not.
"""

from dataclasses import dataclass

from controller.model.plan import NotEnforced


@dataclass(frozen=True, slots=True)
class Route:
    """The name of one service at the site's proxy.

    Attributes:
        port: on which the container listens.
        host: fully qualified, lower case.
        path: prefix that is taken off before the service sees it, such as `/alice/code`; empty: none.
        url: what people type.
        entry_points, cert_resolver: names from the proxy's configuration.
    """

    service: str
    port: int
    host: str
    path: str
    url: str
    entry_points: tuple[str, ...] = ()
    cert_resolver: str | None = None


@dataclass(frozen=True, slots=True)
class Names:
    """The routes of one workspace, and its services that shall have one and do not."""

    routes: tuple[Route, ...] = ()
    gaps: tuple[NotEnforced, ...] = ()

    def url_of(self, service: str) -> str | None:
        """Return what people type for a service, None if it has no name."""
        return next((route.url for route in self.routes if route.service == service), None)


NO_NAMES = Names()
"""Of a workspace that asks for none."""
