"""Knows the GPUs that the configuration names: devices of any make, known by their CDI names.

Refuses to look at them: who uses them, how much, and what ails them cannot be told. So its views have no
processes: nobody is found there who uses a device without a grant.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from controller.api.config import StaticGpu
from controller.gpus.looker import SIMULATED
from controller.gpus.room import Canary
from controller.model.gpus import Device, GpuView
from controller.model.observed import NO_GPUS, Seen, Unseen


class Static:
    """The GPUs of an inventory; none of them where it is empty. It has no thread of its own."""

    def __init__(self, inventory: Iterable[StaticGpu], canary: Canary | None = None) -> None:
        devices = {gpu.uuid: _device(gpu, index) for index, gpu in enumerate(inventory)}
        simulated = any(one.model.startswith(SIMULATED) for one in devices.values())
        self._view = GpuView(MappingProxyType(devices), simulated=simulated)
        self._canary = canary

    def start(self) -> None:
        """Begin to try whether containers can open their devices."""
        if self._canary is not None:
            self._canary.start()

    def stop(self) -> None:
        """End."""
        if self._canary is not None:
            self._canary.stop()

    @property
    def any(self) -> bool:
        """Whether there are GPUs."""
        return bool(self._view.devices)

    def look(self) -> None:
        """Nothing is to be looked at."""

    def wait(self, seconds: float) -> None:
        """Nothing is to be waited for."""

    def observe(self, running: Mapping[str, int], now: datetime) -> Seen[GpuView] | Unseen:
        """Return the inventory; `running` are our running containers with devices: pid by full id."""
        if not self._view.devices:
            return NO_GPUS
        if self._canary is None:
            return Seen(self._view, now)
        self._canary.watch(running)
        return Seen(replace(self._view, access=self._canary.access()), now)


def _device(gpu: StaticGpu, index: int) -> Device:
    return Device(gpu.uuid, gpu.product, gpu.memory, str(index), cdi=gpu.cdi)
