"""What becomes of containers, list and events when the Engine dies and comes back, with live restore."""

import threading
from collections.abc import Iterator
from datetime import timedelta

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
