"""Gives every check of the contract the simulated Engine and real ones, and those of GPUs their own.

The newer real Engine is held to all of it by `make test-full`, and in every run to what we look at and do.
"""

from collections.abc import Iterator

import pytest

from tests.contract import backends, gpu_backends

WITH_GPUS = {"by_hook": ["sim", "dockerd_hook"], "by_cdi": ["sim-cdi", "dockerd_cdi"]}
WITH_GPUS["by_any"] = [*WITH_GPUS["by_hook"], *WITH_GPUS["by_cdi"]]


OFTEN = "test_looking_and_doing"
"""The checks that the newer Engine is held to in every run."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    own = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    if "backend" in metafunc.fixturenames and "backend" not in own:
        often = metafunc.module.__name__.endswith(OFTEN)
        newer = pytest.param("dockerd_cdi", marks=[] if often else [pytest.mark.full])
        metafunc.parametrize("backend", ["sim", "dockerd", newer], indirect=True)
    for name, engines in WITH_GPUS.items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, engines, indirect=True)


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> Iterator[backends.Backend]:
    """An Engine with the sample images and nothing else: 20.10, simulated or real, or 26.1."""
    if request.param == "sim":
        yield backends.Backend(backends.SimWorld())
        return
    newer = request.param == "dockerd_cdi"
    world = backends.RealWorld(request.getfixturevalue("engine_cdi" if newer else "engine"))
    yield backends.Backend(world, newer=newer)
    world.carrier.close()


def _with_gpus(request: pytest.FixtureRequest) -> Iterator[gpu_backends.GpuBackend]:
    cdi = request.param.endswith("cdi")
    if request.param.startswith("sim"):
        yield gpu_backends.GpuBackend(gpu_backends.SimGpuWorld(cdi=cdi), cdi=cdi)
        return
    world = gpu_backends.RealGpuWorld(request.getfixturevalue("engine_cdi" if cdi else "engine_hook"))
    yield gpu_backends.GpuBackend(world, cdi=cdi)
    world.carrier.close()


@pytest.fixture
def by_hook(request: pytest.FixtureRequest) -> Iterator[gpu_backends.GpuBackend]:
    """An Engine 20.10 with GPUs that NVIDIA's hook gives."""
    yield from _with_gpus(request)


@pytest.fixture
def by_cdi(request: pytest.FixtureRequest) -> Iterator[gpu_backends.GpuBackend]:
    """An Engine 26.1 with GPUs that are given by CDI."""
    yield from _with_gpus(request)


@pytest.fixture
def by_any(request: pytest.FixtureRequest) -> Iterator[gpu_backends.GpuBackend]:
    """Both, one after the other."""
    yield from _with_gpus(request)
