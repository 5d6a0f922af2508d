"""Knows what every test may ask for: amounts of generated examples, and real Engines of the tests' own.

It refuses to skip: where an Engine cannot be had, the tests that need one fail and say why.
"""

import itertools
import os
from collections.abc import Iterator

import hypothesis
import pytest

from tests.support import dockerd as dockerd_support

hypothesis.settings.register_profile("small", max_examples=60, deadline=None, print_blob=True)
hypothesis.settings.register_profile("large", max_examples=2000, deadline=None, print_blob=True)
hypothesis.settings.load_profile("small")

_numbers = itertools.count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the option of `make golden`."""
    parser.addoption(
        "--update-golden", action="store_true", help="write the golden files anew instead of comparing"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests that use an Engine, so that `-m 'not engine'` leaves them out."""
    for item in items:
        if {"dockerd", "own_dockerd"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.engine)


@pytest.fixture(scope="session")
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be written anew."""
    return bool(request.config.getoption("--update-golden"))


def _new_engine() -> dockerd_support.Dockerd:
    return dockerd_support.Dockerd(dockerd_support.BASE / f"{os.getpid()}-{next(_numbers)}")


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
