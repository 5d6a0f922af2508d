"""A unix socket that only root and its group reach, made so that nobody ever sees it half made.

Refuses to take the place of one on which somebody listens, and to touch what is no socket.
"""

import contextlib
import os
import socket
import stat
import struct
from pathlib import Path
from typing import Final, Protocol

LONGEST_PATH: Final = 107
"""Bytes of a socket's path that the kernel takes; see unix(7)."""
_MODE: Final = 0o660
_UNFINISHED: Final = ".new"
_CREDENTIALS: Final = struct.Struct("3i")


class Connection(Protocol):
    """What of a socket is needed to know the other end."""

    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes:
        """As of a socket."""


class SocketError(Exception):
    """The socket cannot be made; the message says why and what to do."""


def listen(path: Path) -> socket.socket:
    """A listening socket at `path`, mode 0660; a stale one is replaced.

    Raises:
        SocketError: the path is too long, taken by another process or by something else, or not writable.
    """
    length = len(os.fsencode(path))
    if length > LONGEST_PATH:
        raise SocketError(
            f"{path}: the path of a socket has at most {LONGEST_PATH} bytes, this one has {length}; "
            "set runtimeDir to a shorter path"
        )
    _refuse_taken(path)
    unfinished = path.parent / _UNFINISHED
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        unfinished.unlink(missing_ok=True)
        made.bind(str(unfinished))
        unfinished.chmod(_MODE)
        made.listen()
        unfinished.rename(path)
    except OSError as error:
        made.close()
        raise SocketError(f"{path}: {error.strerror or error}") from error
    return made


def _refuse_taken(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise SocketError(f"{path}: {error.strerror or error}") from error
    if not stat.S_ISSOCK(mode):
        raise SocketError(f"{path}: there is something else than a socket; remove it")
    if _somebody_listens(path):
        raise SocketError(f"{path}: another process listens there; end it first")


def _somebody_listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except TimeoutError:
            return True
        except OSError as error:
            raise SocketError(f"{path}: {error.strerror or error}") from error
    return True


def remove(path: Path, inode: int) -> None:
    """Remove the socket at `path` if it is still the one with this inode."""
    with contextlib.suppress(OSError):
        if path.lstat().st_ino == inode:
            path.unlink()


def peer(connection: Connection) -> tuple[int, int]:
    """Uid and pid of the process at the other end of a unix socket, as the kernel knows them."""
    pid, uid, _ = _CREDENTIALS.unpack(
        connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    )
    return uid, pid
