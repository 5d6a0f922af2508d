"""Whose a process is: by its cgroups, its owner and its name, as the kernel shows them."""

import os
from collections.abc import Callable
from pathlib import Path

from controller.gpus.inventory import Using
from controller.gpus.processes import Processes
from controller.model.gpus import Process

OUTER, INNER, OWN = "a" * 64, "b" * 64, "c" * 64


def using(pid: int) -> Using:
    return Using("GPU-a", pid, None, graphics=False)


def test_a_process_is_in_the_outermost_container_that_its_cgroups_name(proc: Callable[..., Path]) -> None:
    rows = {
        1: ("0::/\n", ""),
        2: (f"0::/system.slice/docker-{OUTER}.scope\n", OUTER),
        3: (f"12:devices:/docker/{OUTER}\n11:memory:/docker/{OUTER}\n0::/\n", OUTER),
        4: (f"0::/docker/{OUTER}/docker/{INNER}/init\n", OUTER),
        5: (f"2:pids:/user.slice\n1:devices:/wharf/alice/{OUTER}/x/{INNER}\n", OUTER),
        6: (f"0::/user.slice/{'a' * 65}\n", ""),
    }
    for pid, (cgroup, _) in rows.items():
        root = proc(pid, cgroup)
    found = Processes(str, root).describe(map(using, rows))
    assert {one.pid: one.container_id for one in found} == {pid: id_ for pid, (_, id_) in rows.items()}


def test_a_user_s_own_cgroup_is_no_container_whatever_its_name(proc: Callable[..., Path]) -> None:
    """systemd lets each user name cgroups below its own: as somebody's container, to have him blamed."""
    below = "/user.slice/user-1000.slice/user@1000.service"
    proc(1, f"0::{below}/docker-{OUTER}.scope\n")
    root = proc(2, f"2:devices:/docker/{OUTER}\n1:name=systemd:{below}/{INNER}/{INNER}\n0::/\n")
    found = Processes(str, root).describe([using(1), using(2)])
    assert [one.container_id for one in found] == ["", OUTER]


def test_a_controller_in_a_container_does_not_take_its_own_for_theirs(proc: Callable[..., Path]) -> None:
    proc("self", f"0::/docker/{OWN}\n")
    proc(1, f"0::/docker/{OWN}\n")
    root = proc(2, f"0::/docker/{OWN}/docker/{OUTER}\n")
    found = Processes(str, root).describe([using(1), using(2)])
    assert [one.container_id for one in found] == ["", OUTER]


def test_its_user_is_named_as_the_host_does(proc: Callable[..., Path]) -> None:
    root = proc(7, command="a name with blanks")
    (found,) = Processes(lambda uid: f"user {uid}", root).describe([using(7)])
    assert found == Process("GPU-a", 7, user=f"user {os.getuid()}", command="a name with blanks")


def test_a_name_that_moves_a_terminal_is_told_without_that(proc: Callable[..., Path]) -> None:
    """Every process chooses its own."""
    root = proc(7, command="a\x1b[2J\tb\nc\x9b\u202e")
    (found,) = Processes(str, root).describe([using(7)])
    assert found.command == "a?[2J?b?c??"


def test_one_that_is_not_shown_has_neither(proc: Callable[..., Path]) -> None:
    here = Processes(str, proc(7))
    assert here.describe([using(8)]) == (Process("GPU-a", 8),)
    assert (here.exists(7), here.exists(8)) == (True, False)


def test_the_largest_number_is_the_kernel_s(proc: Callable[..., Path]) -> None:
    root = proc(7)
    assert Processes(str, root).pid_max() == 2**22
    (root / "sys/kernel").mkdir(parents=True)
    (root / "sys/kernel/pid_max").write_text("32768\n")
    assert Processes(str, root).pid_max() == 32768
