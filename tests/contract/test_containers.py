"""How an Engine treats containers: names, states, starts that fail, and removal."""

import threading
from datetime import timedelta
from pathlib import Path

import pytest

from controller.api.conditions import Reason
from controller.engine import transport
from controller.model import errors
from tests.contract import backends
from tests.contract.backends import Backend, row


@row("AP1")
def test_a_stop_goes_on_when_its_client_no_longer_waits(backend: Backend) -> None:
    box = backend.run("box", HostConfig={"Init": False})
    request = transport.Request("stop", "POST", f"/containers/{box}/stop", {"t": "2"}, timeout=0.5)
    with pytest.raises(transport.UnansweredError) as caught:
        backend.world.carrier.call(request)
    assert caught.value.silence is transport.Silence.TIMEOUT
    backends.until(lambda: backend.status(box) == "exited")


@row("AP2")
def test_of_eight_creates_of_one_name_one_wins(backend: Backend) -> None:
    won: list[str] = []
    lost: list[Reason] = []

    def create() -> None:
        try:
            won.append(backend.create("box"))
        except errors.EffectError as error:
            lost.append(error.reason)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (len(won), lost) == (1, [Reason.NAME_TAKEN] * 7)
    assert backend.inspect("box")["Id"] == won[0]


@row("AP3")
def test_a_taken_name_is_a_conflict_that_names_its_holder(backend: Backend) -> None:
    box = backend.create("box")
    answer = backend.call("POST", "/containers/create", {"Image": backends.IMAGE}, name="box")
    assert answer.status == 409
    assert box in answer.message
    assert '"/box" is already in use by container' in answer.message


@row("AP4")
def test_a_running_container_is_not_removed_without_force(backend: Backend) -> None:
    box = backend.run("box")
    answer = backend.call("DELETE", f"/containers/{box}", force="false", v="false")
    said = "container is running" if backend.newer else "cannot remove a running container"
    assert (answer.status, said in answer.message) == (409, True)
    assert backend.status(box) == "running"


@row("AP4")
def test_a_paused_container_is_not_removed_either(backend: Backend) -> None:
    box = backend.run("box")
    backend.call("POST", f"/containers/{box}/pause")
    with pytest.raises(errors.Retryable) as caught:
        backend.client.remove(box)
    assert caught.value.reason is Reason.CHANGED_MEANWHILE
    assert backend.status(box) == "paused"


@row("AP5")
def test_starting_what_runs_is_already_so(backend: Backend) -> None:
    box = backend.run("box")
    pid = backend.pid(box)
    assert backend.call("POST", f"/containers/{box}/start").status == 304
    assert backend.client.start(box) is False
    assert backend.pid(box) == pid


@row("AP5")
def test_stopping_what_does_not_run_is_already_so(backend: Backend) -> None:
    box = backend.create("box")
    assert backend.call("POST", f"/containers/{box}/stop").status == 304
    assert backend.client.stop(box, timedelta(seconds=1)) is False
    assert backend.status(box) == "created"


@row("AP5")
def test_what_is_not_there_is_404_to_every_verb(backend: Backend) -> None:
    nobody = "0" * 64
    verbs = [("POST", "start"), ("POST", "stop"), ("POST", "unpause"), ("GET", "json"), ("POST", "update")]
    for method, verb in verbs:
        answer = backend.call(method, f"/containers/{nobody}/{verb}", {} if verb == "update" else None)
        assert (verb, answer.status, answer.message) == (verb, 404, f"No such container: {nobody}")


@row("AP6")
def test_a_removal_can_be_repeated_until_it_is_gone(backend: Backend) -> None:
    box = backend.create("box")
    backend.client.remove(box)
    assert backend.call("DELETE", f"/containers/{box}").status == 404
    assert backend.listed(box) is None


@row("AP8")
def test_the_list_alone_tells_name_state_image_and_labels(backend: Backend) -> None:
    box = backend.create("box", Labels={"mine": "yes"})
    listed = backend.listed(box)
    assert listed is not None
    assert (listed["Names"], listed["State"], listed["Image"]) == (["/box"], "created", backends.IMAGE)
    assert listed["Labels"] == {"mine": "yes", "sample": "1"}
    assert listed["ImageID"] == backend.inspect(box)["Image"]


@row("AP10")
def test_the_list_tells_a_death_in_the_end(backend: Backend) -> None:
    box = backend.run("box")
    backend.call("POST", f"/containers/{box}/kill")
    backends.until(lambda: (backend.listed(box) or {})["State"] == "exited")
    state = backend.inspect(box)["State"]
    assert (state["Status"], state["ExitCode"], state["Pid"]) == ("exited", 137, 0)


@row("AP13")
def test_a_running_container_has_a_pid_and_a_start_time_and_loses_the_pid(backend: Backend) -> None:
    box = backend.run("box")
    state = backend.inspect(box)["State"]
    assert state["Pid"] > 1
    assert state["FinishedAt"] == "0001-01-01T00:00:00Z"
    backend.client.stop(box, timedelta(seconds=5))
    after = backend.inspect(box)["State"]
    assert (after["Pid"], after["StartedAt"]) == (0, state["StartedAt"])
    assert after["FinishedAt"] > state["StartedAt"]


@row("AP15")
def test_a_port_that_another_container_holds_fails_the_start_alone(backend: Backend) -> None:
    port = {"PortBindings": {"8888/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(backends.free_port())}]}}
    first = backend.run("first", HostConfig=port)
    second = backend.create("second", HostConfig=port)
    answer = backend.call("POST", f"/containers/{second}/start")
    assert (answer.status, "port is already allocated" in answer.message) == (500, True)
    backend.client.rename(first, "aside")
    backend.client.stop(first, timedelta(seconds=5))
    assert backend.client.start(second) is True


@row("AP15")
def test_a_port_on_which_the_host_listens_fails_the_start_until_it_is_free(backend: Backend) -> None:
    port = backends.free_port()
    binding = {"PortBindings": {"8888/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}}
    box = backend.create("box", HostConfig=binding)
    with backend.taken(port), pytest.raises(errors.Retryable) as caught:
        backend.client.start(box)
    assert caught.value.reason is Reason.PORT_TAKEN
    assert "address already in use" in caught.value.message
    assert backend.client.start(box) is True


@row("AP16")
def test_a_program_that_is_not_there_is_found_out_by_the_start(backend: Backend) -> None:
    box = backend.create("box", ["/nope"], HostConfig={"Init": False})
    with pytest.raises(errors.Terminal) as caught:
        backend.client.start(box)
    assert caught.value.reason is Reason.REFUSED_BY_ENGINE
    state = backend.inspect(box)["State"]
    assert (state["Status"], state["ExitCode"], "no such file" in state["Error"]) == ("created", 127, True)


@row("AP16")
def test_a_start_that_failed_for_a_port_leaves_created_and_its_text(backend: Backend) -> None:
    port = backends.free_port()
    binding = {"PortBindings": {"8888/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}}
    box = backend.create("box", HostConfig=binding)
    with backend.taken(port), pytest.raises(errors.Retryable):
        backend.client.start(box)
    state = backend.inspect(box)["State"]
    assert (state["Status"], state["ExitCode"], state["Pid"]) == ("created", 128, 0)
    assert "address already in use" in state["Error"]


@row("AP16")
def test_a_program_that_ends_leaves_its_exit_code(backend: Backend) -> None:
    good, bad = backend.run("good", ["/bin/true"]), backend.run("bad", ["/bin/false"])
    backends.until(lambda: backend.status(good) == backend.status(bad) == "exited")
    assert backend.inspect(good)["State"]["ExitCode"] == 0
    assert backend.inspect(bad)["State"]["ExitCode"] == 1


@row("AP18")
def test_a_name_wins_over_the_beginning_of_an_id(backend: Backend) -> None:
    first = backend.create("first")
    second = backend.create(first[:12])
    assert backend.inspect(first[:12])["Id"] == second
    assert backend.inspect(first)["Id"] == first


@row("AP18")
def test_the_beginning_of_an_id_finds_a_container_where_no_name_does(backend: Backend) -> None:
    box = backend.create("box")
    assert backend.inspect(box[:12])["Id"] == box


@row("RS4")
def test_a_bind_source_that_is_not_there_fails_the_create(backend: Backend, tmp_path: Path) -> None:
    source = tmp_path / "home"
    source.mkdir()
    backend.world.break_source(source)
    mount = {"Type": "bind", "Source": str(source), "Target": "/home"}
    with pytest.raises(errors.Retryable) as caught:
        backend.create("box", HostConfig={"Mounts": [mount]})
    assert caught.value.reason is Reason.MOUNT_MISSING
    assert backend.client.inspect_container("box") is None


@row("RS4")
def test_a_bind_source_that_vanished_fails_the_start_and_is_not_made(
    backend: Backend, tmp_path: Path
) -> None:
    source = tmp_path / "home"
    source.mkdir()
    mount = {"Type": "bind", "Source": str(source), "Target": "/home"}
    box = backend.create("box", HostConfig={"Mounts": [mount]})
    backend.world.break_source(source)
    answer = backend.call("POST", f"/containers/{box}/start")
    assert (answer.status, answer.message) == (
        400,
        f'invalid mount config for type "bind": bind source path does not exist: {source}',
    )
    assert backend.status(box) == "created"


@row("RIG-stop-grace")
def test_pid_1_without_a_handler_is_killed_after_the_grace(backend: Backend) -> None:
    box = backend.run("box", HostConfig={"Init": False})
    with backend.elapsed() as seconds:
        backend.client.stop(box, timedelta(seconds=1.2))
        assert 2.0 <= seconds() < 6.0
    assert backend.inspect(box)["State"]["ExitCode"] == 137


@row("RIG-stop-grace")
def test_docker_init_passes_the_term_on(backend: Backend) -> None:
    box = backend.run("box")
    with backend.elapsed() as seconds:
        backend.client.stop(box, timedelta(seconds=8))
        assert seconds() < 5.0
    assert backend.inspect(box)["State"]["ExitCode"] == 143


@row("RIG-stop-grace")
def test_a_handler_ends_with_its_own_code(backend: Backend) -> None:
    script = 'trap "exit 0" TERM; httpd -p 7777 -h /srv; while :; do sleep 0.1; done'
    box = backend.run("box", ["/bin/sh", "-c", script], HostConfig={"Init": False})
    backends.until(lambda: backend.world.listening(backend.pid(box)) == {7777})
    backend.client.stop(box, timedelta(seconds=8))
    assert backend.status(box) == "exited"
    assert backend.inspect(box)["State"]["ExitCode"] == 0


@row("RIG-rename")
def test_a_rename_to_a_taken_name_is_a_conflict(backend: Backend) -> None:
    first, second = backend.create("first"), backend.create("second")
    answer = backend.call("POST", f"/containers/{second}/rename", name="first")
    assert (answer.status, first in answer.message) == (409, True)
    assert backend.inspect(second)["Name"] == "/second"


@row("RIG-rename")
def test_a_rename_to_its_own_name_is_refused_in_known_words(backend: Backend) -> None:
    box = backend.create("box")
    answer = backend.call("POST", f"/containers/{box}/rename", name="box")
    assert (answer.status, answer.message) == (
        400,
        "Renaming a container with the same name as its current name",
    )


@row("RIG-rename")
def test_a_running_container_can_be_renamed_and_its_name_is_free(backend: Backend) -> None:
    box = backend.run("box")
    backend.client.rename(box, "aside")
    again = backend.create("box")
    assert again != box
    assert (backend.status(box), backend.inspect("aside")["Id"]) == ("running", box)


@row("AP5")
def test_thawing_what_is_not_frozen_is_an_error_in_known_words(backend: Backend) -> None:
    box = backend.run("box")
    answer = backend.call("POST", f"/containers/{box}/unpause")
    assert (answer.status, answer.message) == (500, f"Container {box} is not paused")


@row("AP5")
def test_a_frozen_container_is_not_started_but_thawed(backend: Backend) -> None:
    box = backend.run("box")
    pid = backend.pid(box)
    backend.call("POST", f"/containers/{box}/pause")
    assert backend.call("POST", f"/containers/{box}/start").status == 409
    backend.client.unpause(box)
    assert (backend.status(box), backend.pid(box)) == ("running", pid)
