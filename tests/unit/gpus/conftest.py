"""A host with simulated GPUs, looked at by the real reader through the real pynvml."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controller.gpus.looker import Looker
from controller.gpus.processes import Processes
from controller.model.gpus import GpuView
from controller.model.observed import Unseen
from tests.support.nvml.library import SimulatedNvml, simulated
from tests.support.nvml.scenario import Scenario

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@dataclass
class Lab:
    """One host: what its driver answers, what is seen of that, and what time it is.

    Attributes:
        patience: seconds that the driver has for an answer.
    """

    nvml: SimulatedNvml
    now: datetime = START
    patience: float = 10.0
    lookers: list[Looker] = field(default_factory=list)

    def looker(self) -> Looker:
        """One that has not looked yet."""
        environment = {**os.environ, **self.nvml.environment}
        processes = Processes({0: "root"}.__getitem__)
        self.lookers.append(Looker(processes, lambda: self.now, environment, self.patience))
        return self.lookers[-1]

    def look(self, scenario: Scenario | None = None, wait: float = 0.0) -> GpuView | Unseen:
        """What the same looker sees as before, if there was one."""
        if scenario is not None:
            self.nvml.write(scenario)
        looker = self.lookers[-1] if self.lookers else self.looker()
        return looker.look(wait)

    def see(self, scenario: Scenario | None = None, wait: float = 0.0) -> GpuView:
        """The same, where something is to be seen."""
        found = self.look(scenario, wait)
        assert isinstance(found, GpuView), found
        return found

    def miss(self, scenario: Scenario | None = None) -> Unseen:
        """The same, where nothing is to be seen."""
        found = self.look(scenario)
        assert isinstance(found, Unseen), found
        return found

    def later(self, **time: float) -> None:
        """Time goes by."""
        self.now += timedelta(**time)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(simulated(tmp_path, Scenario()))
    yield made
    for looker in made.lookers:
        looker.close()


@pytest.fixture
def proc(tmp_path: Path) -> Callable[..., Path]:
    """Makes processes below a /proc of its own, which it returns."""
    root = tmp_path / "proc"

    def make(pid: int | str, cgroup: str = "0::/\n", command: str = "python") -> Path:
        folder = root / str(pid)
        folder.mkdir(parents=True)
        (folder / "cgroup").write_text(cgroup)
        (folder / "comm").write_text(command + "\n")
        return root

    return make
