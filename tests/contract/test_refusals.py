"""In which words an Engine refuses what does not go, and what it looks at first."""

import pytest

from controller.api.conditions import Reason
from controller.model import errors
from tests.contract import backends
from tests.contract.backends import Backend, row

MIB = 2**20
NOBODY = "0" * 64


def refuse(backend: Backend, path: str, **query: str) -> tuple[int, str]:
    answer = backend.call("POST", f"/containers/{path}", None, **query)
    return answer.status, answer.message


def worded(backend: Backend, text: str) -> str:
    """The newer Engine begins its sentences small."""
    return text.replace("Cannot", "cannot").replace("Container", "container") if backend.newer else text


@row("AP5")
def test_a_kill_of_what_does_not_run_is_a_conflict_that_repeats_the_given_name(backend: Backend) -> None:
    box = backend.create("box")
    text = f"Cannot kill container: box: Container {box} is not running"
    assert refuse(backend, "box/kill") == (409, worded(backend, text))


@row("AP5")
def test_a_signal_that_does_not_exist_is_refused_before_the_container_is_looked_for(backend: Backend) -> None:
    text = (
        f"cannot kill container: {NOBODY}: invalid signal: NONE" if backend.newer else "Invalid signal: NONE"
    )
    assert refuse(backend, f"{NOBODY}/kill", signal="NONE") == (400, text)


@row("AP5")
def test_a_pause_of_what_does_not_run_is_a_conflict(backend: Backend) -> None:
    box = backend.create("box")
    assert refuse(backend, f"{box}/pause") == (409, worded(backend, f"Container {box} is not running"))


@row("AP5")
def test_a_second_pause_is_a_conflict(backend: Backend) -> None:
    box = backend.run("box")
    assert refuse(backend, f"{box}/pause")[0] == 204
    assert refuse(backend, f"{box}/pause") == (409, f"Container {box} is already paused")


@row("AP5")
def test_a_start_of_a_paused_container_says_what_to_do(backend: Backend) -> None:
    box = backend.run("box")
    assert refuse(backend, f"{box}/pause")[0] == 204
    assert refuse(backend, f"{box}/start") == (409, "cannot start a paused container, try unpause instead")


@row("AP4")
def test_a_removal_of_a_paused_container_says_what_to_do(backend: Backend) -> None:
    box = backend.run("box")
    assert refuse(backend, f"{box}/pause")[0] == 204
    answer = backend.call("DELETE", f"/containers/{box}", force="false")
    advice = "Unpause and then stop the container before attempting removal or force remove"
    text = f"You cannot remove a paused container {box}. {advice}"
    if backend.newer:
        text = 'cannot remove container "/box": container is paused and must be unpaused first'
    assert (answer.status, answer.message) == (409, text)


@row("AP4")
def test_force_removes_what_runs(backend: Backend) -> None:
    box = backend.run("box", HostConfig={"Init": False})
    assert backend.call("DELETE", f"/containers/{box}", force="true").status == 204
    assert (backend.listed(box), backend.client.inspect_container(box)) == (None, None)


@row("AP5")
def test_a_removal_of_nobody_is_404(backend: Backend) -> None:
    answer = backend.call("DELETE", f"/containers/{NOBODY}")
    assert (answer.status, answer.message) == (404, f"No such container: {NOBODY}")


@row("RIG-rename")
@pytest.mark.parametrize("name", ["a b", "-box", "x", "böx"])
def test_a_name_of_other_letters_is_refused_by_a_create(backend: Backend, name: str) -> None:
    answer = backend.call("POST", "/containers/create", {"Image": backends.IMAGE}, name=name)
    text = f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
    assert (answer.status, answer.message) == (400, text)


@row("RIG-rename")
def test_a_name_of_other_letters_is_refused_by_a_rename_which_keeps_the_old_one(backend: Backend) -> None:
    box = backend.create("box")
    status, message = refuse(backend, f"{box}/rename", name="a b")
    assert (status, "Invalid container name (/a b)" in message) == (400, True)
    assert backend.inspect(box)["Name"] == "/box"


@row("RIG-rename")
def test_a_rename_to_nothing_is_refused(backend: Backend) -> None:
    box = backend.create("box")
    assert refuse(backend, f"{box}/rename", name="") == (400, "Neither old nor new names may be empty")


@row("RIG-rename")
def test_a_slash_before_a_new_name_is_not_part_of_it(backend: Backend) -> None:
    box = backend.create("box")
    assert refuse(backend, f"{box}/rename", name="/other")[0] == 204
    assert backend.inspect("other")["Name"] == "/other"


@row("AP16")
def test_impossible_limits_are_refused_before_the_image_is_looked_for(backend: Backend) -> None:
    body = {"Image": "lab/nothing:1", "HostConfig": {"Memory": 1000}}
    answer = backend.call("POST", "/containers/create", body, name="box")
    assert (answer.status, answer.message) == (400, "Minimum memory limit allowed is 6MB")


@row("AP3")
def test_an_absent_image_is_told_before_a_taken_name(backend: Backend) -> None:
    backend.create("box")
    answer = backend.call("POST", "/containers/create", {"Image": "lab/nothing:1"}, name="box")
    assert (answer.status, answer.message) == (404, "No such image: lab/nothing:1")


@row("AP3")
def test_a_refused_create_leaves_the_name_free(backend: Backend) -> None:
    answer = backend.call("POST", "/containers/create", {"Image": "lab/nothing:1"}, name="box")
    assert answer.status == 404
    assert backend.inspect(backend.create("box"))["Name"] == "/box"


@row("AP3")
def test_a_removed_container_s_name_is_free_at_once(backend: Backend) -> None:
    first = backend.create("box")
    backend.client.remove(first)
    assert backend.create("box") != first


@row("RS2")
def test_a_policy_that_does_not_exist_is_refused(backend: Backend) -> None:
    with pytest.raises(errors.Terminal) as caught:
        backend.create("box", HostConfig={"RestartPolicy": {"Name": "sometimes"}})
    assert caught.value.reason is Reason.REFUSED_BY_ENGINE
    text = "invalid restart policy 'sometimes'"
    if backend.newer:
        known = "use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        text = f"invalid restart policy: unknown policy 'sometimes'; {known}"
    assert caught.value.message == text


@row("AP5")
def test_a_restart_starts_what_does_not_run_and_renews_what_does(backend: Backend) -> None:
    box = backend.create("box")
    assert refuse(backend, f"{box}/restart", t="5")[0] == 204
    first = backend.pid(box)
    assert refuse(backend, f"{box}/restart", t="5")[0] == 204
    assert backend.status(box) == "running"
    assert backend.pid(box) not in {0, first}


@row("AP8")
def test_the_short_list_has_what_runs_paused_or_not(backend: Backend) -> None:
    backend.create("created")
    running, paused = backend.run("running"), backend.run("paused")
    assert refuse(backend, f"{paused}/pause")[0] == 204
    rows = backend.call("GET", "/containers/json").body
    assert {item["Id"] for item in rows} == {running, paused}


@row("AP8")
def test_the_list_begins_with_the_newest(backend: Backend) -> None:
    made = [backend.create(f"box-{number}") for number in range(3)]
    backend.client.rename(made[0], "renamed")
    assert [item["Id"] for item in backend.client.list_containers()] == made[::-1]
