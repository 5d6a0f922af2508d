"""Knows what every test may ask for: amounts of generated examples, and real Engines of the tests' own.

It refuses to skip: where an Engine cannot be had, the tests that need one fail and say why.
"""

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from deploy.dev import machine, userland
from tests.support import dockerd as dockerd_support
from tests.support import gpus, machines

hypothesis.settings.register_profile("small", max_examples=60, deadline=None, print_blob=True)
hypothesis.settings.register_profile("large", max_examples=2000, deadline=None, print_blob=True)
hypothesis.settings.load_profile("small")

_numbers = itertools.count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the option of `make golden`."""
    parser.addoption(
        "--update-golden", action="store_true", help="write the golden files anew instead of comparing"
    )


ENGINES = {"dockerd", "own_dockerd", "dockerd_cdi", "dockerd_hook", "dockerd_systemd"}
OF_THE_USERLAND = {"dockerd_cdi", "systemd_machine"}
"""Those that need the other userland; it takes a minute to be made."""


def _uses(item: pytest.Item, fixtures: set[str]) -> bool:
    """Whether it uses one of these, itself or by a parameter that names it."""
    parameters = getattr(getattr(item, "callspec", None), "params", {}).values()
    named = {value for value in parameters if isinstance(value, str)}
    return bool(fixtures & {*getattr(item, "fixturenames", ()), *named})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests that use an Engine, so that `-m 'not engine'` leaves them out.

    Those that need the other userland come last.
    """
    for item in items:
        if _uses(item, ENGINES):
            item.add_marker(pytest.mark.engine)
    items.sort(key=lambda item: _uses(item, OF_THE_USERLAND))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begins to make the other userland beside the first tests, if one of the tests needs it."""
    needed = any(_uses(item, OF_THE_USERLAND) for item in session.items)
    if needed and not session.config.option.collectonly and not userland.PLACE.is_dir():
        subprocess.run(
            ["setsid", "--fork", sys.executable, "-m", "deploy.dev.userland"],
            cwd=dockerd_support.ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # the fixture would make it too, and says why it cannot be made
            stderr=subprocess.DEVNULL,
            check=True,
        )


@pytest.fixture(scope="session")
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be written anew."""
    return bool(request.config.getoption("--update-golden"))


def _new_directory() -> Path:
    return dockerd_support.BASE / f"{os.getpid()}-{next(_numbers)}"


def _new_engine() -> dockerd_support.Dockerd:
    return dockerd_support.Dockerd(_new_directory())


@pytest.fixture(scope="session")
def dockerd() -> Iterator[dockerd_support.Dockerd]:
    """The Engine of this test run, with the sample images, started by the first test that asks for it."""
    dockerd_support.remove_leftovers()
    started = _new_engine()
    try:
        started.start()
        yield started
    finally:
        started.stop()


@pytest.fixture
def engine(dockerd: dockerd_support.Dockerd) -> Iterator[dockerd_support.Dockerd]:
    """The run's Engine, empty but for images; what the test leaves in it is removed. Do not kill it."""
    yield dockerd
    dockerd.remove_everything()
    dockerd.close_clients()


@pytest.fixture
def own_dockerd() -> Iterator[dockerd_support.Dockerd]:
    """An Engine of the test's own, to be killed and restarted at will."""
    started = _new_engine()
    try:
        started.start()
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="session")
def dockerd_cdi() -> Iterator[gpus.GpuDockerd]:
    """An Engine 26.1 with simulated GPUs by CDI, started by the first test that asks for it."""
    yield from gpus.with_cdi(_new_directory())


@pytest.fixture(scope="session")
def dockerd_hook() -> Iterator[gpus.GpuDockerd]:
    """The host's Engine with simulated GPUs by NVIDIA's hook, started by the first test that asks for it."""
    yield from gpus.with_hook(_new_directory())


@pytest.fixture(scope="session")
def systemd_machine() -> Iterator[machine.Machine]:
    """A machine with systemd, without controllers; it shares the folder of the tests' Engines."""
    dockerd_support.BASE.mkdir(parents=True, exist_ok=True)
    with machine.booted(userland.ensure(), shared=dockerd_support.BASE) as booted:
        yield booted


@pytest.fixture(scope="session")
def dockerd_systemd(systemd_machine: machine.Machine) -> Iterator[machines.MachineDockerd]:
    """That machine's Engine, whose driver for cgroups is systemd's; started by the first test that asks."""
    started = machines.MachineDockerd(_new_directory(), systemd_machine)
    try:
        started.start()
        yield started
    finally:
        started.stop()


@pytest.fixture
def engine_systemd(dockerd_systemd: machines.MachineDockerd) -> Iterator[machines.MachineDockerd]:
    """That Engine, empty but for images; what the test leaves in it is removed."""
    yield dockerd_systemd
    dockerd_systemd.remove_everything()
    dockerd_systemd.close_clients()


@pytest.fixture
def engine_cdi(dockerd_cdi: gpus.GpuDockerd) -> Iterator[gpus.GpuDockerd]:
    """That Engine with its usual GPUs, empty but for images; what the test leaves in it is removed."""
    yield from _lent(dockerd_cdi)


@pytest.fixture
def engine_hook(dockerd_hook: gpus.GpuDockerd) -> Iterator[gpus.GpuDockerd]:
    """That Engine with its usual GPUs, empty but for images; what the test leaves in it is removed."""
    yield from _lent(dockerd_hook)


def _lent(engine: gpus.GpuDockerd) -> Iterator[gpus.GpuDockerd]:
    yield engine
    engine.remove_everything()
    engine.close_clients()
    engine.set_gpus(gpus.USUAL)
