"""What an Engine tells of itself while it works, and what it does not."""

from datetime import datetime, timedelta

from controller.engine import transport
from tests.contract import backends
from tests.contract.backends import Backend, row


def of(events: list[transport.Row], box: str) -> list[str]:
    return [str(event["Action"]) for event in events if event["Actor"]["ID"] == box]


def present(backend: Backend) -> datetime:
    return backend.facts().time


@row("EV1")
def test_only_the_last_256_events_are_told_again(backend: Backend) -> None:
    box = backend.create("box")
    begin = present(backend)
    for number in range(300):
        backend.client.rename(box, f"box-{number}")
    told = of(backend.events(begin), box)
    assert (len(told), set(told)) == (256, {"rename"})


@row("EV5")
def test_a_stream_that_begins_in_the_past_tells_what_was_before(backend: Backend) -> None:
    begin = present(backend)
    box = backend.create("box")
    assert of(backend.events(begin), box) == ["create"]


@row("EV8")
def test_a_stream_ends_by_itself_at_its_until(backend: Backend) -> None:
    begin = present(backend)
    told = list(backend.client.events(begin, begin + timedelta(seconds=1)))
    assert told == []
    assert present(backend) >= begin + timedelta(seconds=0.9)


@row("EV10")
def test_labels_overwrite_the_attributes_of_an_event(backend: Backend) -> None:
    begin = present(backend)
    box = backend.run("box", Labels={"exitCode": "0"})
    backend.call("POST", f"/containers/{box}/kill")
    backends.until(lambda: backend.status(box) == "exited")
    backends.until(lambda: "die" in of(backend.events(begin), box))
    died = next(event for event in backend.events(begin) if event["Action"] == "die")
    assert died["Actor"]["Attributes"]["exitCode"] == "0"
    assert backend.inspect(box)["State"]["ExitCode"] == 137


@row("EV11")
def test_a_stop_that_needs_force_is_told_in_this_order(backend: Backend) -> None:
    box = backend.run("box", HostConfig={"Init": False})
    begin = present(backend)
    backend.client.stop(box, timedelta(seconds=1))
    backends.until(lambda: "stop" in of(backend.events(begin), box))
    end = ["stop", "die"] if backend.newer else ["die", "stop"]
    backends.until(lambda: end[-1] in of(backend.events(begin), box))
    assert of(backend.events(begin), box) == ["kill", "kill", *end]


@row("EV11")
def test_a_removal_is_told_when_the_name_is_free(backend: Backend) -> None:
    box = backend.create("box")
    begin = present(backend)
    backend.client.remove(box)
    backend.create("box")
    assert of(backend.events(begin), box) == ["destroy"]


@row("EV11")
def test_changes_of_names_and_limits_are_told(backend: Backend) -> None:
    box = backend.run("box")
    begin = present(backend)
    backend.client.rename(box, "other")
    backend.client.update(box, {"PidsLimit": 50})
    backend.call("POST", f"/containers/{box}/pause")
    backend.client.unpause(box)
    assert of(backend.events(begin), box) == ["rename", "update", "pause", "unpause"]


@row("EV11")
def test_a_start_is_told_with_its_network(backend: Backend) -> None:
    box = backend.create("box")
    begin = present(backend)
    backend.client.start(box)
    told = [(event["Type"], event["Action"]) for event in backend.events(begin)]
    assert told == [("network", "connect"), ("container", "start")]


@row("EV10")
def test_labels_do_not_overwrite_the_name_and_the_image_of_an_event(backend: Backend) -> None:
    begin = present(backend)
    backend.create("box", Labels={"name": "x", "image": "y"})
    (event,) = backend.events(begin)
    attributes = event["Actor"]["Attributes"]
    assert (attributes["name"], attributes["image"]) == ("box", backends.IMAGE)


@row("EV11")
def test_a_rename_is_told_with_the_old_name_and_the_new(backend: Backend) -> None:
    box = backend.create("box")
    begin = present(backend)
    backend.client.rename(box, "other")
    (event,) = backend.events(begin)
    attributes = event["Actor"]["Attributes"]
    assert (attributes["name"], attributes["oldName"]) == ("other", "/box")


@row("EV11")
def test_a_kill_is_told_with_its_number_and_a_death_with_its_code(backend: Backend) -> None:
    box = backend.run("box", HostConfig={"Init": False})
    begin = present(backend)
    backend.call("POST", f"/containers/{box}/kill")
    backends.until(lambda: "die" in of(backend.events(begin), box))
    told = {event["Action"]: event["Actor"]["Attributes"] for event in backend.events(begin)}
    assert (told["kill"]["signal"], told["die"]["exitCode"]) == ("9", "137")


@row("EV11")
def test_a_signal_that_is_lost_is_told_all_the_same(backend: Backend) -> None:
    box = backend.run("box", HostConfig={"Init": False})
    begin = present(backend)
    backend.call("POST", f"/containers/{box}/kill", signal="TERM")
    assert of(backend.events(begin), box) == ["kill"]


@row("EV11")
def test_what_is_already_so_and_what_is_refused_is_not_told(backend: Backend) -> None:
    running, idle = backend.run("running"), backend.create("idle")
    begin = present(backend)
    assert backend.call("POST", f"/containers/{running}/start").status == 304
    assert backend.call("POST", f"/containers/{idle}/stop").status == 304
    assert backend.call("POST", f"/containers/{idle}/rename", name="running").status == 409
    assert backend.call("DELETE", f"/containers/{running}", force="false").status == 409
    assert backend.call("POST", f"/containers/{idle}/update", {"Memory": 1000}).status == 400
    assert backend.events(begin) == []


@row("EV11")
def test_a_removal_by_force_is_told_as_kill_death_and_removal(backend: Backend) -> None:
    box = backend.run("box", HostConfig={"Init": False})
    begin = present(backend)
    assert backend.call("DELETE", f"/containers/{box}", force="true").status == 204
    backends.until(lambda: "destroy" in of(backend.events(begin), box))
    assert of(backend.events(begin), box) == ["kill", "die", "destroy"]


@row("EV5")
def test_what_happened_before_the_beginning_of_a_stream_is_not_told(backend: Backend) -> None:
    box = backend.create("box")
    begin = present(backend)
    backend.client.rename(box, "other")
    assert of(backend.events(begin), box) == ["rename"]
