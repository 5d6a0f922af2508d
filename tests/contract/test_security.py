"""What a container may do, as the kernel says, on both Engines."""

from typing import Any

import pytest

from controller.api.conditions import Reason
from controller.model import actions, observed, outcomes
from controller.model.template import Template
from controller.planning import security
from controller.planning.identity import MAX_RUN_AS
from tests.contract.backends import Backend, row
from tests.support import dockerd, sim_security
from tests.support import engine_actions as act

STANDARD = tuple(security.CAPABILITIES)


def make(backend: Backend, **changes: Any) -> observed.Container:  # noqa: ANN401 - fields of a template
    """The one container there is, made and started by the executor and seen by the observer."""
    assert isinstance(backend.executor.execute(act.create(**changes)), outcomes.Succeeded)
    started = backend.executor.execute(act.start(look(backend)))
    assert isinstance(started, outcomes.Succeeded), started
    return look(backend)


def look(backend: Backend) -> observed.Container:
    (container,) = view(backend).containers.values()
    return container


def view(backend: Backend) -> observed.EngineView:
    seen = backend.observer().observe(frozenset(), backend.world.now())
    assert isinstance(seen, observed.Seen), seen
    return seen.value


@row("SEC-capabilities")
@pytest.mark.parametrize("user", [None, "1234:1234", f"{MAX_RUN_AS}:{MAX_RUN_AS}"])
def test_nothing_comes_beyond_the_capabilities_of_a_template(backend: Backend, user: str | None) -> None:
    container = make(backend, capabilities=STANDARD, user=user)
    assert backend.world.bounding(container.pid) == set(STANDARD)
    made = container.configuration
    assert (made.capabilities, made.privileged, made.other) == (STANDARD, False, ())


@row("SEC-capabilities")
def test_without_a_word_the_engine_gives_what_it_always_gave(backend: Backend) -> None:
    container = make(backend)
    assert backend.world.bounding(container.pid) == sim_security.OWN
    assert container.configuration.capabilities is None


@row("SEC-privileged")
def test_a_privileged_container_has_everything_or_does_not_start(backend: Backend) -> None:
    """An Engine that itself lacks a capability of the kernel, as in a container, cannot give all of them.

    The newer one gives what it has.
    """
    assert isinstance(backend.executor.execute(act.create(privileged=True)), outcomes.Succeeded)
    made = look(backend).configuration
    assert (made.capabilities, made.privileged, made.other) == (None, True, ())
    started = backend.executor.execute(act.start(look(backend)))
    if backend.newer or backend.world.bounding() == set(sim_security.KERNEL):
        assert backend.world.bounding(look(backend).pid) == backend.world.bounding()
    else:
        assert isinstance(started, outcomes.Failed)
        assert "unable to apply caps" in started.message


@row("SEC-runtime")
def test_a_container_is_run_by_the_runtime_that_it_names(backend: Backend) -> None:
    assert view(backend).runtimes >= {"runc", dockerd.RUNTIME}
    assert view(backend).default_runtime == "runc"
    assert make(backend, runtime=dockerd.RUNTIME).configuration.runtime == dockerd.RUNTIME


@row("SEC-runtime")
def test_without_a_word_it_is_the_default_that_shows(backend: Backend) -> None:
    assert make(backend).configuration.runtime == view(backend).default_runtime


@row("SEC-runtime")
@pytest.mark.parametrize(
    "template",
    [act.template(runtime="nobody-s"), act.template(capabilities=("FLY",))],
    ids=["runtime", "cap"],
)
def test_what_the_engine_does_not_know_is_refused_at_once(backend: Backend, template: Template) -> None:
    outcome = backend.executor.execute(actions.CreateContainer("alice", "workspace-alice", template, {}))
    assert isinstance(outcome, outcomes.Failed)
    assert outcome.reason is Reason.REFUSED_BY_ENGINE
    assert view(backend).containers == {}


@row("SEC-capabilities")
def test_names_may_be_written_in_any_way_and_stay_so(backend: Backend) -> None:
    given = {"CapDrop": ["all"], "CapAdd": ["kill", "CAP_CHOWN"]}
    made = backend.run("box", HostConfig=given)
    host = backend.inspect(made)["HostConfig"]
    assert {field: host[field] for field in given} == given
    assert backend.world.bounding(backend.pid(made)) == {"KILL", "CHOWN"}
