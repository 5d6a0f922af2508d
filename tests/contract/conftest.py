"""Gives every check of the contract both Engines, one after the other."""

from collections.abc import Iterator

import pytest

from tests.contract import backends


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        metafunc.parametrize("backend", ["sim", "dockerd"], indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        callspec = getattr(item, "callspec", None)
        if callspec is not None and callspec.params.get("backend") == "dockerd":
            item.add_marker(pytest.mark.engine)


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> Iterator[backends.Backend]:
    """An Engine with the sample images and nothing else."""
    if request.param == "sim":
        yield backends.Backend(backends.SimWorld())
        return
    world = backends.RealWorld(request.getfixturevalue("engine"))
    yield backends.Backend(world)
    world.carrier.close()
