"""The lines that people copy to reach a workspace: `ssh -p 10022 alice@HOST`, `https://alice-code.DOMAIN/`.

It knows what the usual services speak, and guesses nothing about others: those get host and port.
"""

import socket
from collections.abc import Iterator
from typing import Final

from controller import settings
from controller.cli import trees

_LINES: Final = {
    "ssh": "ssh -p {port} {owner}@{host}",
    "vnc": "vnc://{host}:{port}",
    "rdp": "rdp://{host}:{port}",
}
_WEB: Final = frozenset({"jupyter", "code", "tensorboard", "novnc", "http", "web"})


def host_of(chosen: settings.Settings) -> str:
    """The name under which people reach this host: as configured, else what the host calls itself."""
    return chosen.config.network.advertise_address or socket.gethostname()


def connect_lines(item: trees.Object, host: str) -> Iterator[str]:
    """One line for each service of a workspace object that has a host port or a name at the site's proxy."""
    owner = trees.text(item, "status", "owner", default=trees.name_of(item))
    for service in trees.each(item, "status", "ports"):
        port, url = service.get("hostPort"), service.get("url")
        if isinstance(url, str):
            yield url
        if port is None:
            continue
        name = trees.text(service, "service")
        default = "http://{host}:{port}/" if name in _WEB else "{host}:{port} ({name})"
        yield _LINES.get(name, default).format(port=port, owner=owner, host=host, name=name)
