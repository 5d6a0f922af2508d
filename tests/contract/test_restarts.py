"""What becomes of containers, list and events when the Engine dies and comes back, with live restore."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import pytest

from controller.api import labels
from controller.engine import calls, client, events
from tests.contract import backends
from tests.contract.backends import Backend, row
from tests.support import dockerd as dockerd_support


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """An Engine that may be killed."""
    if request.param == "sim":
        yield Backend(backends.SimWorld())
        return
    daemon: dockerd_support.Dockerd = request.getfixturevalue("own_dockerd")
    world = backends.RealWorld(daemon)
    yield Backend(world)
    world.carrier.close()


@row("RS3")
@row("EV2")
@row("EV7")
def test_containers_outlive_the_engine_and_the_reader_reports_the_loss(backend: Backend) -> None:
    box = backend.run("workspace-alice", Labels={labels.WORKSPACE: "alice"})
    pid = backend.pid(box)
    begin = backend.facts().time
    reconnects = threading.Semaphore(0)

    def connect() -> calls.EngineClient:
        if isinstance(backend.world, backends.RealWorld):
            return client.connect(backend.world.daemon.base_url, timedelta(seconds=10), lambda *_: None)
        return backend.client

    reader = events.EventReader(connect, lambda *_: None, reconnects.release, lambda: None)
    reader.start()
    assert reconnects.acquire(timeout=backends.DEADLINE)
    backend.world.restart()
    assert reconnects.acquire(timeout=backends.DEADLINE)
    reader.stop()
    assert (backend.status(box), backend.pid(box)) == ("running", pid)
    told = [event for event in backend.events(begin) if event["Actor"]["ID"] == box]
    assert told == []


def stopped(backend: Backend, box: str) -> bool:
    return backend.status(box) == "exited"


@row("EV2")
@row("RS2")
@row("RS3")
def test_a_death_while_the_engine_is_away_is_seen_and_not_told_and_policies_start_what_was_stopped(
    backend: Backend,
) -> None:
    policies = {"killed": "no", "always": "always", "unless": "unless-stopped", "idle": "always"}
    boxes = {
        name: backend.create(name, HostConfig={"Init": False, "RestartPolicy": {"Name": policy}})
        for name, policy in policies.items()
    }
    for name in ("killed", "always", "unless"):
        backend.client.start(boxes[name])
    for name in ("always", "unless"):
        assert backend.call("POST", f"/containers/{boxes[name]}/kill").status == 204
        backends.until(partial(stopped, backend, boxes[name]))
    begin = backend.facts().time
    backend.world.restart(killed=boxes["killed"])
    backends.until(lambda: backend.status(boxes["always"]) == "running")
    states = {name: backend.status(box) for name, box in boxes.items()}
    assert states == {"killed": "exited", "always": "running", "unless": "exited", "idle": "created"}
    assert backend.inspect(boxes["killed"])["State"]["ExitCode"] == 137
    told = [event["Action"] for event in backend.events(begin) if event["Actor"]["ID"] == boxes["killed"]]
    assert told == []
