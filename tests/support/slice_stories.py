"""Knows the words of golden cases about slices: who makes them, what they have, and who else sets them.

It refuses to decide anything: it only says how the host is.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from controller.api import quantities
from controller.api.config import SliceDriver
from controller.model.slices import FIELDS, UNLIMITED, SliceLimit
from tests.support.world import World

_READ: dict[SliceLimit, Callable[[Any], Any]] = {
    SliceLimit.CPUS: quantities.parse_cpus,
    **dict.fromkeys(
        (SliceLimit.MEMORY, SliceLimit.MEMORY_HIGH, SliceLimit.MEMORY_LOW, SliceLimit.SWAP),
        quantities.parse_bytes,
    ),
}
_DRIVERS = {"systemd": SliceDriver.SYSTEMD, "cgroupfs": SliceDriver.CGROUPFS, "none": SliceDriver.NONE}


def _slices(world: World, driver: str, rest: dict[str, Any]) -> None:
    """The Engine makes its cgroups so, and owners' slices are made in the same way."""
    world.rules = replace(world.rules, slice_driver=SliceDriver.AUTO)
    world.slices.driver = _DRIVERS[driver]
    world.slices.version = rest.pop("version", world.slices.version)
    world.slices.cannot |= {SliceLimit(name): why for name, why in rest.pop("cannot", {}).items()}
    world.slices.no_device |= rest.pop("no_device", {})


def _slice(world: World, owner: str, rest: dict[str, Any]) -> None:
    """Somebody sets limits of a slice, empties it, or is in it; `all` is the one above all."""
    owner = "" if owner == "all" else owner
    if rest.pop("gone", False):
        world.slices.limits.pop(owner, None)
        return
    if rest.pop("unlimited", False):
        world.slices.limits[owner] = UNLIMITED
    if "strangers" in rest:
        world.slices.strangers[owner] = tuple(rest.pop("strangers"))
    said = {
        FIELDS[limit]: value if value is None else _READ.get(limit, lambda one: one)(value)
        for limit in SliceLimit
        if (value := rest.pop(limit.value, rest)) is not rest
    }
    world.slices.by_hand(owner, **said)


def _elsewhere(world: World, name: str, _: dict[str, Any]) -> None:
    found = world.main(name)
    assert found is not None
    world.slices.elsewhere.add(found.id)


def _use(world: World, name: str, rest: dict[str, Any]) -> None:
    """What the container of a workspace uses."""
    found = world.main(name)
    assert found is not None
    world.slices.used[found.id] = quantities.parse_bytes(rest.pop("memory"))
    if "high" in rest:
        world.slices.high[found.id] = quantities.parse_bytes(rest.pop("high"))


def _repaired(world: World, owner: str, rest: dict[str, Any]) -> None:
    times = tuple(world.now - timedelta(minutes=one) for one in range(rest.pop("times"), 0, -1))
    world.remember(slice_repairs={**world.memory.slice_repairs, owner: times})


VERBS: dict[str, Callable[[World, Any, dict[str, Any]], None]] = {
    "slices": _slices,
    "slice": _slice,
    "uses": _use,
    "in no slice": _elsewhere,
    "slice repaired": _repaired,
}
