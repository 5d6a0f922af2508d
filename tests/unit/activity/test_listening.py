"""Who listens, from tables as the kernel writes them and from real sockets."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from controller.activity import listening, socket_diag
from controller.api.conditions import Reason
from controller.model import errors

HEADING = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def line(number: int, address: str, port: int, state: str) -> str:
    return (
        f"   {number}: {address}:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 0 0 0 9 1\n"
    )


def write(proc: Path, tcp: str, tcp6: str | None) -> None:
    folder = proc / "7" / "net"
    folder.mkdir(parents=True)
    (folder / "tcp").write_text(HEADING + tcp)
    if tcp6 is not None:
        (folder / "tcp6").write_text(HEADING + tcp6)


def test_listeners_of_both_families_and_nobody_else(tmp_path: Path) -> None:
    four = line(0, "00000000", 22, "0A") + line(1, "0100007F", 8888, "01") + line(2, "0100007F", 443, "06")
    write(tmp_path, four, line(0, "0" * 32, 8080, "0A"))
    assert listening.listening(7, tmp_path) == {22, 8080}


def test_a_host_without_version_6(tmp_path: Path) -> None:
    write(tmp_path, line(0, "00000000", 22, "0A"), None)
    assert listening.listening(7, tmp_path) == {22}


def test_nobody(tmp_path: Path) -> None:
    write(tmp_path, "", "")
    assert listening.listening(7, tmp_path) == frozenset()


@pytest.mark.parametrize("table", ["nonsense\n", "   0: 00000000:ZZZZ 0:0 0A 1 2\n"])
def test_a_table_that_makes_no_sense_is_not_an_empty_one(tmp_path: Path, table: str) -> None:
    write(tmp_path, table, None)
    with pytest.raises(errors.Retryable) as caught:
        listening.listening(7, tmp_path)
    assert caught.value.reason is Reason.NOT_SEEN


def test_a_process_that_is_gone_is_not_silent(tmp_path: Path) -> None:
    with pytest.raises(errors.Retryable):
        listening.listening(7, tmp_path)


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_socket_of_this_host_is_seen_while_it_listens(address: str) -> None:
    with socket.create_server((address, 0)) as server:
        port = server.getsockname()[1]
        assert port in listening.host_listeners()
        assert port in listening.listening(os.getpid())
    assert port not in listening.host_listeners()


CHILD = """
import socket, sys
server = socket.create_server((sys.argv[1], 7001), family=int(sys.argv[2]))
print("listening", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(("address", "family"), [("", socket.AF_INET), ("::", socket.AF_INET6)])
def test_a_listener_in_another_network_namespace_is_seen_there_alone(
    address: str, family: socket.AddressFamily
) -> None:
    here = Path("/proc/thread-self/ns/net").readlink()
    command = ["unshare", "--net", sys.executable, "-c", CHILD, address, str(int(family))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"listening\n"
        assert socket_diag.listening(child.pid, listening.PROC) == {7001}
        assert listening.listening(child.pid) == {7001}
        assert Path("/proc/thread-self/ns/net").readlink() == here
        child.communicate()


def test_a_process_without_a_namespace_raises(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        socket_diag.listening(7, tmp_path)
