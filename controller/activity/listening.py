"""Knows which TCP ports somebody listens on, in a process's network namespace and on the host.

It refuses to connect: a connection would always be accepted by the Engine's proxy, and would look like use.
It asks by sock_diag, and where that cannot be had reads the tables (the kernel's networking/proc_net_tcp).
"""

import contextlib
from pathlib import Path

from controller.activity import socket_diag
from controller.api.conditions import Reason
from controller.model import errors

PROC = Path("/proc")
LISTEN = "0A"


def listening(pid: int, proc: Path = PROC) -> frozenset[int]:
    """Ports on which a process listens, on any address, in the network namespace of a host process.

    Raises:
        errors.Retryable: the process is gone, or its namespace cannot be read.
    """
    with contextlib.suppress(OSError):
        return socket_diag.listening(pid, proc)
    folder = proc / str(pid) / "net"
    try:
        return _ports(folder / "tcp") | (
            _ports(folder / "tcp6") if (folder / "tcp6").exists() else frozenset()
        )
    except (OSError, ValueError, IndexError) as error:
        raise errors.Retryable(Reason.NOT_SEEN, f"ports of process {pid}: {error}") from error


def host_listeners(proc: Path = PROC) -> frozenset[int]:
    """Ports on which any process of this process's network namespace listens.

    Raises:
        errors.Retryable: the namespace cannot be read.
    """
    try:
        own = int((proc / "self").readlink().name)
    except (OSError, ValueError) as error:
        raise errors.Retryable(Reason.NOT_SEEN, f"ports of the host: {error}") from error
    return listening(own, proc)


def host_listeners_if_known() -> frozenset[int] | None:
    """The same, None where the namespace cannot be read."""
    try:
        return host_listeners()
    except errors.EffectError:
        return None


def _ports(table: Path) -> frozenset[int]:
    with table.open(encoding="ascii") as lines:
        next(lines, None)  # the heading
        rows = (line.split(None, 4) for line in lines)
        return frozenset(int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == LISTEN)
