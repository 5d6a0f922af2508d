"""Simulated GPUs look like none that are real, and are had on no Engine of others."""

from pathlib import Path

import pytest

from deploy.dev import host, simulated, workbench
from tests.support.nvml import scenario


def test_every_simulated_gpu_says_so_in_its_name() -> None:
    assert all("SIMULATED" in gpu.uuid for gpu in simulated.GPUS)
    assert len({gpu.uuid for gpu in simulated.GPUS}) == len(simulated.GPUS)


def test_the_driver_tells_of_the_gpus_that_the_engine_gives(tmp_path: Path) -> None:
    told = Path(simulated.driver(tmp_path)[scenario.VARIABLE]).read_text(encoding="utf-8")
    rows = [line for line in told.splitlines() if line.startswith("gpu\t")]
    assert [
        f"uuid={gpu.uuid}\t" in row and f"minor={gpu.minor}\t" in row
        for gpu, row in zip(simulated.GPUS, rows, strict=True)
    ] == [True, True]


def test_an_engine_that_a_person_names_is_not_taken_for_simulated_gpus() -> None:
    with pytest.raises(host.SetupError, match="GPUS=sim or DOCKER_HOST"):
        workbench.run("unix:///somewhere.sock", gpus=True)
    with pytest.raises(host.SetupError, match="GPUS=sim or DOCKER_HOST"):
        workbench.demo("unix:///somewhere.sock", gpus=True)
