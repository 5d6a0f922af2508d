"""Knows what befalls slices: by systemd, by people, by programs that take memory; each by a name.

It refuses to go by the controller, and to do harm for ever.
"""

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from controller.api.config import SliceDriver
from controller.model.slices import FIELDS, ROOT, UNLIMITED, SliceLimit
from tests.simulation import faults, laws
from tests.simulation.scenario import NAMES, Disturb
from tests.simulation.slice_host import SliceHost

if TYPE_CHECKING:
    from tests.simulation.world import World

MIB: Final = 1 << 20
BY_HAND: Final[tuple[tuple[SliceLimit, object], ...]] = (
    (SliceLimit.MEMORY, 700 * MIB),
    (SliceLimit.MEMORY, 20 * MIB),
    (SliceLimit.MEMORY, None),
    (SliceLimit.MEMORY_HIGH, None),
    (SliceLimit.MEMORY_LOW, 0),
    (SliceLimit.CPUS, 3 * 10**9),
    (SliceLimit.CPUS, None),
    (SliceLimit.CPUSET, None),
    (SliceLimit.CPU_WEIGHT, 7),
    (SliceLimit.SWAP, None),
    (SliceLimit.PIDS, 12345),
    (SliceLimit.PIDS, None),
    (SliceLimit.IO_WEIGHT, 900),
    (SliceLimit.IO, ()),
)


def _named(host: SliceHost) -> list[str]:
    """The slices that there are, by the driver of now."""
    return sorted(name for name in host.tree.groups if host.tree.owner(name) is not None)


def slice_by_hand(world: "World", chance: random.Random) -> str | None:
    """Somebody changes a limit of a slice, in its file."""
    host = world.slices
    if host is None or not _named(host):
        return None
    name, (limit, value) = chance.choice(_named(host)), chance.choice(BY_HAND)
    if getattr(host.tree.groups[name].limits, FIELDS[limit]) == value:
        return None
    host.by_hand = True
    try:
        host.tree.write(name, limit, value)
    except OSError:
        return None
    finally:
        host.by_hand = False
    host.touch(name)
    return f"{limit} of {name}: {value}"


def slice_removed(world: "World", chance: random.Random) -> str | None:
    """Somebody removes an empty slice."""
    host = world.slices
    empty = [name for name in _named(host) if not host.tree.populated(name)] if host is not None else []
    if host is None or not empty:
        return None
    name = chance.choice(empty)
    try:
        host.tree.remove(name)
    except OSError:
        return None
    host.touch(name)
    return name


def slice_stopped(world: "World", chance: random.Random) -> str | None:
    """Somebody stops the unit of a slice: all that is in it ends, and the slice is gone."""
    host = world.slices
    if host is None or host.tree.driver is not SliceDriver.SYSTEMD or not _named(host):
        return None
    name = chance.choice(_named(host))
    host.touch(*(_named(host) if name == host.tree.name(ROOT) else (name,)))
    host.by_hand = True
    host.tree.stop(name)
    host.by_hand = False
    return name


def slice_of_nobody(world: "World", chance: random.Random) -> str | None:
    """Somebody makes a slice for an owner who has nothing."""
    host = world.slices
    name = host.tree.name(chance.choice(("erin", "a-b", "x@y"))) if host is not None else ""
    if host is None or name in host.tree.groups:
        return None
    host.tree.make(name)
    host.touch(name)
    return name


def slice_stranger(world: "World", chance: random.Random) -> str | None:
    """A process of somebody else moves into a slice, and leaves later."""
    host = world.slices
    if host is None or not _named(host):
        return None
    name = chance.choice(_named(host))
    group, stranger = host.tree.groups[name], f"process {world.number} (python)"
    group.strangers.append(stranger)

    def leave() -> None:
        if stranger in group.strangers:
            group.strangers.remove(stranger)

    world.after(chance.choice((4.0, 40.0, 100.0)), leave, "a stranger leaves")
    return f"{stranger} in {name}"


def slice_refused(world: "World", chance: random.Random) -> str | None:
    """The next setting of a slice fails."""
    del chance
    if world.slices is None:
        return None
    world.slices.strikes.append("refused")
    return "the next one"


def slice_write_lost(world: "World", chance: random.Random) -> str | None:
    """The next setting of a slice succeeds, and something of it is lost in the same moment."""
    del chance
    if world.slices is None:
        return None
    world.slices.strikes.append("lost")
    return "the next one"


def slices_unseen(world: "World", chance: random.Random) -> str | None:
    """Nobody can look at slices for a while."""
    host = world.slices
    if host is None or host.unseen:
        return None
    host.unseen = "the files cannot be read"
    world.after(chance.choice((3.0, 20.0, 60.0)), lambda: setattr(host, "unseen", ""), "slices are seen")
    return host.unseen


def slices_mute(world: "World", chance: random.Random) -> str | None:
    """No slice can be set for a while: the bus is gone, or the files are read-only."""
    host = world.slices
    if host is None or host.mute:
        return None
    host.mute = "no answer" if host.tree.driver is SliceDriver.SYSTEMD else "Read-only file system"
    world.after(chance.choice((3.0, 20.0, 60.0)), lambda: setattr(host, "mute", ""), "slices can be set")
    return host.mute


def slices_slow(world: "World", chance: random.Random) -> str | None:
    """Setting a slice takes seconds for a while."""
    host = world.slices
    if host is None or host.slow:
        return None
    host.slow = chance.choice((0.3, 2.0, 8.0))
    world.after(chance.choice((10.0, 60.0)), lambda: setattr(host, "slow", 0.0), "slices are set at once")
    return f"{host.slow} s"


def killed_at_a_slice(world: "World", chance: random.Random) -> str | None:
    """The controller is killed before, amid or after what it does to the next slice."""
    if world.slices is None or world.slices.kills:
        return None
    world.slices.kills.append(chance.randrange(4))
    return f"after {world.slices.kills[-1]}"


def daemon_reload(world: "World", chance: random.Random) -> str | None:
    """`systemctl daemon-reload`: what was written past systemd goes, by lot; with it what hooks gave (GP1).

    Slices that are no units of its own lose, by lot, the processors' controller.
    """
    host = world.slices
    if host is None:
        return None
    board = world.board
    if board is not None and not world.engine.gpus.cdi and host.tree.driver is SliceDriver.SYSTEMD:
        board.severed.update(item.id for item in world.engine.containers.values() if board.holds(item))
    if host.tree.driver is SliceDriver.SYSTEMD:
        return ", ".join(name for name in _named(host) if chance.random() < 0.5 and _as_unit(host, name))  # noqa: PLR2004
    if host.tree.version == 1 or chance.random() < 0.5:  # noqa: PLR2004 - as often as not
        return "nothing is lost"
    for name in _named(host):
        for limit in (SliceLimit.CPUS, SliceLimit.CPU_WEIGHT):
            host.tree.write(name, limit, getattr(UNLIMITED, FIELDS[limit]))
    host.touch(*_named(host))
    return "no limits of processors"


def scope_changed(world: "World", chance: random.Random) -> str | None:
    """A property of a scope is changed: systemd writes those of the slices above it again."""
    host = world.slices
    if host is None or host.tree.driver is not SliceDriver.SYSTEMD:
        return None
    having = [name for name in _named(host) if host.tree.members(name)]
    return chance.choice(having) if having and _as_unit(host, chance.choice(having)) else None


def _as_unit(host: SliceHost, name: str) -> bool:
    """Whether systemd wrote a slice's properties again."""
    group = host.tree.groups[name]
    host.by_hand = True
    try:
        for limit, field in FIELDS.items():
            host.tree.write(name, limit, getattr(group.unit, field))
    except OSError:
        return False
    finally:
        host.by_hand = False
        host.touch(name)
    return True


def engine_reconfigured(world: "World", chance: random.Random) -> str | None:
    """Somebody gives the Engine another driver for its cgroups, and starts it anew: all that runs ends."""
    host = world.slices
    if host is None or world.engine.down:
        return None
    other = SliceDriver.CGROUPFS if host.tree.driver is SliceDriver.SYSTEMD else SliceDriver.SYSTEMD
    world.engine.down = True
    world.wire.cut()
    world.engine.pending.clear()

    def back() -> None:
        if world.engine.down:
            host.tree.use_driver(other)
            host.touch(*map(host.tree.name, (ROOT, *NAMES)))
            faults.rise(world, kills=True)

    world.after(chance.choice((0.2, 3.0, 40.0)), back, "the Engine is back")
    return other


def takes_memory(world: "World", chance: random.Random) -> str | None:
    """A program takes memory, or gives some back."""
    host = world.slices
    running = [item for item in world.engine.containers.values() if item.running]
    if host is None or not running:
        return None
    container = chance.choice(running)
    got = host.tree.take(container, chance.choice((4, 30, 60, 120, 300)) * MIB)
    return f"{container.name} has {got}"


SLICE_DEEDS: Final[Mapping[str, Disturb]] = {
    deed.__name__: deed
    for deed in (
        slice_by_hand,
        slice_removed,
        slice_stopped,
        slice_of_nobody,
        slice_stranger,
        slice_refused,
        slice_write_lost,
        slices_unseen,
        slices_mute,
        slices_slow,
        killed_at_a_slice,
        daemon_reload,
        scope_changed,
        engine_reconfigured,
        takes_memory,
        laws.edit_aggregate,
    )
}
