"""How containers are tied to networks while they run and while they do not, and what is told of it."""

from datetime import datetime, timedelta

import pytest

from tests.contract import backends
from tests.contract.backends import Backend, row


@pytest.fixture
def network(backend: Backend) -> str:
    subnet = {"Config": [{"Subnet": backend.world.subnet}]}
    backend.client.create_network({"Name": "wharf", "Driver": "bridge", "IPAM": subnet})
    return "wharf"


def tie(backend: Backend, verb: str, network: str, box: str) -> tuple[int, str]:
    answer = backend.call("POST", f"/networks/{network}/{verb}", {"Container": box})
    return answer.status, answer.message if answer.status >= 400 else ""


def networks(backend: Backend, box: str) -> dict[str, bool]:
    """Names, and whether there is an address."""
    shown = backend.inspect(box)["NetworkSettings"]["Networks"]
    return {name: bool(item["IPAddress"]) for name, item in shown.items()}


def told(backend: Backend, since: datetime) -> list[tuple[str, str]]:
    """Events of networks: what, and of which network."""
    events = backend.events(since)
    return [(e["Action"], e["Actor"]["Attributes"]["name"]) for e in events if e["Type"] == "network"]


@row("RIG-network")
def test_what_does_not_run_has_networks_and_no_address(backend: Backend, network: str) -> None:
    box = backend.create("box")
    assert tie(backend, "connect", network, box) == (200, "")
    assert networks(backend, box) == {"bridge": False, "wharf": False}
    backend.client.start(box)
    assert networks(backend, box) == {"bridge": True, "wharf": True}
    backend.client.stop(box, timedelta(seconds=5))
    assert networks(backend, box) == {"bridge": False, "wharf": False}


@row("RIG-network")
def test_what_does_not_run_can_be_tied_twice(backend: Backend, network: str) -> None:
    box = backend.create("box")
    assert tie(backend, "connect", network, box) == (200, "")
    assert tie(backend, "connect", network, box) == (200, "")


@row("RIG-network")
def test_what_does_not_run_can_be_tied_to_what_is_not_there(backend: Backend) -> None:
    box = backend.create("box")
    assert tie(backend, "connect", "nowhere", box) == (200, "")
    answer = backend.call("POST", f"/containers/{box}/start")
    assert (answer.status, answer.message) == (404, "network nowhere not found")


@row("RIG-network")
def test_what_runs_cannot_be_tied_to_what_is_not_there(backend: Backend) -> None:
    box = backend.run("box")
    assert tie(backend, "connect", "nowhere", box) == (404, "network nowhere not found")
    assert networks(backend, box) == {"bridge": True}


@row("RIG-network")
def test_nobody_cannot_be_tied(backend: Backend, network: str) -> None:
    assert tie(backend, "connect", network, "nobody") == (404, "No such container: nobody")


@row("RIG-network")
def test_what_runs_loses_a_network_and_its_address_at_once(backend: Backend, network: str) -> None:
    box = backend.run("box", HostConfig={"NetworkMode": network})
    assert tie(backend, "disconnect", network, box) == (200, "")
    assert networks(backend, box) == {}
    assert backend.status(box) == "running"


@row("RIG-network")
@pytest.mark.parametrize("runs", [True, False])
def test_an_untied_network_cannot_be_untied(backend: Backend, network: str, runs: bool) -> None:
    box = backend.run("box") if runs else backend.create("box")
    status, message = tie(backend, "disconnect", network, box)
    assert (status, f"container {box} is not connected to" in message) == (500, True)


@row("RIG-network")
def test_a_network_in_use_is_not_removed(backend: Backend, network: str) -> None:
    box = backend.run("box", HostConfig={"NetworkMode": network})
    answer = backend.call("DELETE", f"/networks/{network}")
    assert (answer.status, "has active endpoints" in answer.message) == (403, True)
    backend.client.stop(box, timedelta(seconds=5))
    assert backend.call("DELETE", f"/networks/{network}").status == 204


@row("RIG-network")
def test_a_start_after_the_network_was_made_anew_fails_not(backend: Backend, network: str) -> None:
    box = backend.create("box", HostConfig={"NetworkMode": network})
    assert backend.call("DELETE", f"/networks/{network}").status == 204
    assert backend.call("POST", f"/containers/{box}/start").status == 404
    subnet = {"Config": [{"Subnet": backend.world.subnet}]}
    backend.client.create_network({"Name": network, "Driver": "bridge", "IPAM": subnet})
    assert backend.client.start(box) is True
    assert networks(backend, box) == {network: True}


@row("EV11")
def test_an_end_is_told_by_the_networks_too(backend: Backend, network: str) -> None:
    box = backend.run("box", HostConfig={"NetworkMode": network})
    begin = backend.facts().time
    backend.client.stop(box, timedelta(seconds=5))
    backends.until(lambda: told(backend, begin) == [("disconnect", network)])


@row("EV11")
def test_a_start_that_fails_is_told_by_the_networks_alone(backend: Backend) -> None:
    box = backend.create("box", ["/nope"], HostConfig={"Init": False})
    begin = backend.facts().time
    assert backend.call("POST", f"/containers/{box}/start").status == 400
    backends.until(lambda: told(backend, begin) == [("connect", "bridge"), ("disconnect", "bridge")])
    assert [event["Type"] for event in backend.events(begin)] == ["network", "network"]


@row("EV11")
def test_the_end_of_a_tie_is_told_twice_of_what_runs_and_a_tie_of_what_does_not_run_not_at_all(
    backend: Backend, network: str
) -> None:
    expected = {"running": ["connect", "disconnect", "disconnect"], "idle": ["disconnect"]}
    boxes = {"running": backend.run("running"), "idle": backend.create("idle")}
    for name, box in boxes.items():
        begin = backend.facts().time
        assert tie(backend, "connect", network, box) == (200, "")
        assert tie(backend, "disconnect", network, box) == (200, "")
        assert [action for action, _ in told(backend, begin)] == expected[name]
