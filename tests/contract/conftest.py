"""Gives every check of the contract both Engines, one after the other, and those of GPUs their own."""

from collections.abc import Iterator

import pytest

from tests.contract import backends, gpu_backends

WITH_GPUS = {"by_hook": ["sim", "dockerd_hook"], "by_cdi": ["sim-cdi", "dockerd_cdi"]}
WITH_GPUS["by_any"] = [*WITH_GPUS["by_hook"], *WITH_GPUS["by_cdi"]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        metafunc.parametrize("backend", ["sim", "dockerd"], indirect=True)
    for name, engines in WITH_GPUS.items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, engines, indirect=True)


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> Iterator[backends.Backend]:
    """An Engine with the sample images and nothing else."""
    if request.param == "sim":
        yield backends.Backend(backends.SimWorld())
        return
    world = backends.RealWorld(request.getfixturevalue("engine"))
    yield backends.Backend(world)
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
