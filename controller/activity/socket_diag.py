"""Knows how to ask the kernel which TCP ports somebody listens on in another network namespace: sock_diag(7).

It refuses to connect, to stay in that namespace, and to list anything but listeners: that is why it costs a
tenth of a millisecond where the tables below /proc, which walk every connection's bucket, cost ten.
"""

import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_CLONE_NEWNET: Final = 0x40000000
_NETLINK_SOCK_DIAG: Final = 4
_SOCK_DIAG_BY_FAMILY: Final = 20
_DUMP: Final = 0x301  # NLM_F_REQUEST | NLM_F_ROOT | NLM_F_MATCH, netlink(7)
_ERROR, _DONE = 2, 3
_LISTEN: Final = 1 << 10  # TCP_LISTEN as a bit
_HEADER: Final = struct.Struct("=IHHII")
_REQUEST: Final = struct.Struct("=BBBBI48x")  # inet_diag_req_v2 for any socket
_PORT: Final = struct.Struct(">4xH")  # inet_diag_msg up to the local port
_PATIENCE: Final = 2.0
_LARGEST: Final = 65536

_libc = ctypes.CDLL(None, use_errno=True)


def listening(pid: int, proc: Path) -> frozenset[int]:
    """Ports on which anybody listens, on any address, in the network namespace of a host process.

    Raises:
        OSError: the process is gone, the caller may not enter its namespace, or the kernel has no sock_diag.
    """
    with _socket_in(proc / str(pid) / "ns/net", proc / "thread-self/ns/net") as connection:
        connection.settimeout(_PATIENCE)
        return frozenset(
            port for family in (socket.AF_INET, socket.AF_INET6) for port in _listeners(connection, family)
        )


def _socket_in(there: Path, here: Path) -> socket.socket:
    """Return a socket of another network namespace; the calling thread is back in its own afterwards."""
    home = os.open(here, os.O_RDONLY | os.O_CLOEXEC)
    try:
        abroad = os.open(there, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(abroad)
        finally:
            os.close(abroad)
        try:
            return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG)
        finally:
            _enter(home)
    finally:
        os.close(home)


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _listeners(connection: socket.socket, family: int) -> Iterator[int]:
    request = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, 0, _LISTEN)
    connection.send(_HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _DUMP, 1, 0) + request)
    while True:
        answer = connection.recv(_LARGEST)
        while answer:
            length, kind, _, _, _ = _HEADER.unpack_from(answer)
            if kind == _DONE:
                return
            if kind == _ERROR:
                number = -struct.unpack_from("=i", answer, _HEADER.size)[0]
                raise OSError(number, os.strerror(number))
            yield _PORT.unpack_from(answer, _HEADER.size)[0]
            answer = answer[(length + 3) & ~3 :]
