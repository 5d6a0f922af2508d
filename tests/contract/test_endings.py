"""How a process ends, with which code, and what is left of it."""

from datetime import timedelta

import pytest

from tests.contract import backends
from tests.contract.backends import Backend, row

MIB = 2**20
GREEDY = ["/bin/sh", "-c", "x=a; while :; do x=$x$x; done"]
OBEDIENT = ["/bin/sh", "-c", 'trap "exit 0" TERM; while :; do sleep 0.1; done']


def ended(backend: Backend, box: str) -> tuple[int, bool]:
    """Exit code, and whether the kernel took the memory, once both views say that it ended."""
    backends.until(lambda: (backend.listed(box) or {}).get("State") == "exited")
    state = backend.inspect(box)["State"]
    assert (state["Status"], state["Pid"]) == ("exited", 0)
    return int(state["ExitCode"]), bool(state["OOMKilled"])


@row("RIG-exit")
@pytest.mark.parametrize(("program", "code"), [("/bin/true", 0), ("/bin/false", 1)])
def test_a_program_s_own_code_is_kept(backend: Backend, program: str, code: int) -> None:
    box = backend.run("box", [program], HostConfig={"Init": False})
    assert ended(backend, box) == (code, False)


@row("RIG-exit")
def test_a_process_that_is_killed_behind_the_engine_s_back_is_found_out(backend: Backend) -> None:
    box = backend.run("box", HostConfig={"Init": False})
    backend.world.end_process(box)
    assert ended(backend, box) == (137, False)


@row("RIG-exit")
def test_memory_that_ran_out_is_told_apart_from_a_kill(backend: Backend) -> None:
    limits = {"Init": False, "Memory": 16 * MIB, "MemorySwap": 16 * MIB}
    box = backend.run("box", GREEDY, HostConfig=limits)
    backend.world.fill_memory(box)
    assert ended(backend, box) == (137, True)


@row("EV11")
def test_the_engine_tells_that_memory_ran_out(backend: Backend) -> None:
    limits = {"Init": False, "Memory": 16 * MIB, "MemorySwap": 16 * MIB}
    begin = backend.facts().time
    box = backend.run("box", GREEDY, HostConfig=limits)
    backend.world.fill_memory(box)
    ended(backend, box)
    told = [event["Action"] for event in backend.events(begin) if event["Actor"]["ID"] == box]
    assert sorted(told) == ["create", "die", "oom", "start"]


@row("RIG-exit")
def test_a_new_start_forgets_code_and_cause_of_the_last_end(backend: Backend) -> None:
    box = backend.run("box", HostConfig={"Init": False})
    backend.world.end_process(box)
    assert ended(backend, box) == (137, False)
    backend.client.start(box)
    state = backend.inspect(box)["State"]
    assert (state["ExitCode"], state["OOMKilled"], state["Error"]) == (0, False, "")
    assert state["FinishedAt"] != "0001-01-01T00:00:00Z"


@row("RIG-stop-grace")
def test_a_frozen_process_is_thawed_by_a_stop_and_ends_well(backend: Backend) -> None:
    box = backend.run("box", OBEDIENT, HostConfig={"Init": False})
    backends.until(lambda: backend.world.handles_term(backend.pid(box)))
    assert backend.call("POST", f"/containers/{box}/pause").status == 204
    assert backend.client.stop(box, timedelta(seconds=8)) is True
    assert ended(backend, box) == (0, False)


@row("RIG-stop-grace")
def test_a_frozen_process_is_killed_too(backend: Backend) -> None:
    box = backend.run("box", HostConfig={"Init": False})
    assert backend.call("POST", f"/containers/{box}/pause").status == 204
    assert backend.call("POST", f"/containers/{box}/kill").status == 204
    assert ended(backend, box) == (137, False)


@row("AP13")
def test_a_frozen_process_that_is_killed_behind_the_engine_s_back_ends_when_it_is_thawed(
    backend: Backend,
) -> None:
    box = backend.run("box", HostConfig={"Init": False})
    assert backend.call("POST", f"/containers/{box}/pause").status == 204
    backend.world.end_process(box)
    assert (backend.status(box), backend.pid(box) > 0) == ("paused", True)
    backend.client.unpause(box)
    assert ended(backend, box) == (137, False)


@row("RIG-stop-grace")
def test_no_grace_at_all_kills_at_once(backend: Backend) -> None:
    box = backend.run("box", HostConfig={"Init": False})
    with backend.elapsed() as seconds:
        assert backend.call("POST", f"/containers/{box}/stop", t="0").status == 204
        assert seconds() < 2.0
    assert ended(backend, box) == (137, False)


@row("RIG-stop-grace")
def test_a_container_s_own_grace_counts_where_none_is_given(backend: Backend) -> None:
    box = backend.run("box", HostConfig={"Init": False}, StopTimeout=1)
    with backend.elapsed() as seconds:
        assert backend.call("POST", f"/containers/{box}/stop").status == 204
        assert 0.9 <= seconds() < 5.0
    assert ended(backend, box) == (137, False)


@row("RIG-stop-grace")
def test_a_signal_that_pid_1_does_not_handle_is_lost(backend: Backend) -> None:
    box = backend.run("box", HostConfig={"Init": False})
    pid = backend.pid(box)
    assert backend.call("POST", f"/containers/{box}/kill", signal="TERM").status == 204
    assert (backend.status(box), backend.pid(box)) == ("running", pid)


@row("RIG-stop-grace")
def test_docker_init_ends_with_the_signal_of_its_child(backend: Backend) -> None:
    box = backend.run("box")
    backends.until(lambda: backend.world.handles_term(backend.pid(box)))
    assert backend.call("POST", f"/containers/{box}/kill", signal="SIGUSR1").status == 204
    assert ended(backend, box) == (138, False)


@row("AP16")
def test_a_start_that_fails_keeps_the_code_of_the_last_end(backend: Backend) -> None:
    port = backends.free_port()
    binding = {"8888/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}
    box = backend.run("box", HostConfig={"Init": False, "PortBindings": binding})
    backend.world.end_process(box)
    assert ended(backend, box) == (137, False)
    with backend.taken(port):
        assert backend.call("POST", f"/containers/{box}/start").status == 500
    state = backend.inspect(box)["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 137)
    assert "address already in use" in state["Error"]


@row("AP16")
def test_the_list_shows_addresses_of_a_start_that_failed(backend: Backend) -> None:
    box = backend.create("box", ["/nope"], HostConfig={"Init": False})
    assert backend.call("POST", f"/containers/{box}/start").status == 400
    listed = backend.listed(box)
    assert listed is not None
    assert listed["NetworkSettings"]["Networks"]["bridge"]["IPAddress"] != ""
    assert backend.inspect(box)["NetworkSettings"]["Networks"]["bridge"]["IPAddress"] == ""
