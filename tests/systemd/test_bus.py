"""systemd answers on the bus, and where no bus runs on a socket of its own."""

from pathlib import Path

import pytest

from controller.model.slices import SliceLimits
from controller.slices.bus import PRIVATE, SYSTEM_BUS, Bus
from controller.slices.systemd import Driver

pytestmark = pytest.mark.systemd
NAME = "waybus.slice"


@pytest.mark.parametrize("socket", [SYSTEM_BUS, PRIVATE], ids=["bus", "private"])
def test_a_slice_is_made_limited_and_removed_by_each_way(socket: Path) -> None:
    bus = Bus((socket,))
    try:
        driver = Driver(bus, populated=lambda _: False)
        driver.ensure(NAME, SliceLimits(pids=77))
        (path,) = bus.call("GetUnit", "s", (NAME,))
        assert bus.unit(path, "TasksMax", "Slice") == 77
        assert driver.remove(NAME) == ""
        assert driver.path(NAME) is None
    finally:
        bus.close()
