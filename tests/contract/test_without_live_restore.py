"""What becomes of containers when the Engine dies and comes back without live restore, by their policies."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import pytest

from tests.contract import backends
from tests.contract.backends import Backend, row
from tests.support import dockerd as dockerd_support

OBEDIENT = ["/bin/sh", "-c", 'trap "exit 0" TERM; while :; do sleep 0.1; done']


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """An Engine that may be killed, and takes its containers along when it comes back."""
    if request.param == "sim":
        model = backends.SimWorld()
        model.engine.live_restore = False
        yield Backend(model)
        return
    daemon: dockerd_support.Dockerd = request.getfixturevalue("forgetful_dockerd")
    world = backends.RealWorld(daemon)
    yield Backend(world)
    world.carrier.close()


@pytest.fixture
def forgetful_dockerd(dockerd: dockerd_support.Dockerd) -> Iterator[dockerd_support.Dockerd]:
    """An Engine of the test's own without live restore."""
    directory = dockerd.directory.with_name(f"{dockerd.directory.name}-forgetful")
    started = dockerd_support.Dockerd(directory, live_restore=False)
    try:
        started.start()
        yield started
    finally:
        started.stop()


def policy(name: str) -> dict[str, object]:
    return {"Init": False, "RestartPolicy": {"Name": name}}


@row("RS1")
@row("RS2")
def test_what_survived_is_ended_and_only_some_policies_start_it_again(backend: Backend) -> None:
    names = ["no", "on-failure", "unless-stopped", "always"]
    boxes = {name: backend.run(f"box-{name}", OBEDIENT, HostConfig=policy(name)) for name in names}
    stopped = backend.run("box-stopped", OBEDIENT, HostConfig=policy("always"))
    for box in (*boxes.values(), stopped):
        backends.until(partial(backend.world.handles_term, backend.pid(box)))
    before = {name: backend.pid(box) for name, box in boxes.items()}
    backend.client.stop(stopped, timedelta(seconds=8))
    assert backend.client.info()["LiveRestoreEnabled"] is False
    begin = backend.facts().time
    backend.world.restart()
    backends.until(lambda: backend.status(boxes["always"]) == backend.status(stopped) == "running")
    seen = {
        name: (backend.status(box), backend.inspect(box)["State"]["ExitCode"]) for name, box in boxes.items()
    }
    ended = ("exited", 0)
    assert seen == {"no": ended, "on-failure": ended, "unless-stopped": ended, "always": ("running", 0)}
    assert backend.pid(boxes["always"]) != before["always"]
    told = [(event["Action"], event["Actor"]["ID"]) for event in backend.events(begin)]
    assert {action for action, box in told if box == boxes["no"]} == {"kill", "die", "stop"}
    assert "disconnect" not in {action for action, _ in told}
