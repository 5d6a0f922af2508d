"""Knows what befalls GPUs: by their hardware and driver, by people, by strangers; each by a name.

It refuses to go by the controller, and to do harm for ever.
"""

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from controller.model.gpus import Ailment, Trouble
from controller.planning.fencing import APPLICATION_FAULTS
from controller.reporting import control
from tests.simulation import acts, laws
from tests.simulation.board import Board, Tenant
from tests.simulation.engine import PERSON
from tests.simulation.scenario import Disturb
from tests.support.sim_container import SimContainer

if TYPE_CHECKING:
    from tests.simulation.world import World

HARDWARE: Final = (48, 63, 74, 79, 94)
"""Some XIDs that are no program's mistake."""


def _wholes(board: Board) -> list[str]:
    return sorted(uuid for uuid, one in board.devices.items() if one.parent is None)


def _wake(world: "World") -> None:
    """The controllers' readers find that something changed, within seconds."""

    def tell() -> None:
        for process in world.processes:
            process.queue.add("gpus")

    world.after(5.1, tell, "the GPUs are looked at")


def _for_a_while(field: str, values: tuple[object, ...], normal: object) -> Disturb:
    def act(world: "World", chance: random.Random) -> str | None:
        board = world.board
        if board is None or getattr(board, field) != normal:
            return None
        value = chance.choice(values)
        setattr(board, field, value)
        world.after(
            chance.choice((3.0, 10.0, 40.0)), lambda: setattr(board, field, normal), "a driver is well"
        )
        _wake(world)
        return str(value)

    act.__name__ = f"gpu_{field}"
    return act


gpu_silence = _for_a_while(
    "silence", ("it hangs", "NVML_ERROR_UNKNOWN", "NVML_ERROR_GPU_IS_LOST", "garbage", "no permission"), ""
)
gpu_slow = _for_a_while("slow", (True,), False)
gpu_shy = _for_a_while("shy", (True,), False)
gpu_mismatch = _for_a_while("mismatch", (True,), False)


def gpu_reports(world: "World", chance: random.Random) -> str | None:
    """A device reports a fault, of a program or of its own."""
    board = world.board
    if board is None or not board.devices:
        return None
    uuid = chance.choice(_wholes(board))
    code = chance.choice((*HARDWARE, *sorted(APPLICATION_FAULTS)))
    trouble = Trouble(uuid, Ailment.XID, f"XID {code}", world.wall(), code, lasts=False)
    board.reported.append((world.true_time(), trouble))
    _wake(world)
    return f"XID {code} of {uuid}"


def gpu_ails(world: "World", chance: random.Random) -> str | None:
    """Something is wrong with a device for a while."""
    board = world.board
    if board is None or not board.devices:
        return None
    uuid = chance.choice(_wholes(board))
    ailment = chance.choice((Ailment.ECC, Ailment.REMAP, Ailment.LOST))
    board.troubles[uuid, ailment] = Trouble(uuid, ailment, f"{ailment}", world.wall())
    world.after(chance.choice((5.0, 60.0, 300.0)), lambda: board.cure(uuid, ailment), "a GPU is well")
    _wake(world)
    return f"{ailment} of {uuid}"


def gpu_vanishes(world: "World", chance: random.Random) -> str | None:
    """A GPU falls off the bus: no list has it, and who uses it cannot be told."""
    board = world.board
    if board is None or board.hidden or len(_wholes(board)) == 0:
        return None
    uuid = chance.choice(_wholes(board))
    board.hide(uuid)
    world.after(chance.choice((10.0, 120.0)), board.show, "a GPU is there again")
    _wake(world)
    return uuid


def gpu_divided_anew(world: "World", chance: random.Random) -> str | None:
    """A person makes the instances of an unused GPU anew, or divides another one (GP9)."""
    board = world.board
    if board is None or not any(one.divided for one in board.devices.values()):
        return None
    free = [uuid for uuid in _wholes(board) if board.devices[uuid].divided and not board.in_use({uuid})]
    if not free:
        return None
    uuid = chance.choice(free)
    board.divide(uuid, chance.choice((("1g.10gb", "1g.10gb"), ("3g.40gb", "1g.10gb"), ("1g.10gb",))))
    _wake(world)
    return uuid


def gpu_access_lost(world: "World", chance: random.Random) -> str | None:
    """What a hook gave a container is taken away: `docker update`, or `systemctl daemon-reload` (GP1)."""
    board = world.board
    if board is None or world.engine.gpus.cdi:
        return None
    having = [item for item in world.engine.containers.values() if board.holds(item)]
    board.severed.update(item.id for item in having)
    _wake(world)
    return f"{len(having)} containers" if having else None


# strangers


def host_process(world: "World", chance: random.Random) -> str | None:
    """A process of the host uses a device, and leaves later."""
    board = world.board
    if board is None or not board.devices:
        return None
    uuid = chance.choice(sorted(board.devices))
    tenant = Tenant(uuid, board.new_pid(), world.true_time())
    board.tenants.append(tenant)
    world.after(chance.choice((4.0, 40.0, 300.0)), lambda: _leaves(world, tenant), "a process leaves")
    _wake(world)
    return f"{tenant.pid} on {uuid}"


def _leaves(world: "World", tenant: Tenant) -> None:
    board = world.board
    if board is not None and tenant in board.tenants:
        board.tenants.remove(tenant)
        _wake(world)


def survivor(world: "World", chance: random.Random) -> str | None:
    """A container is removed by force, and a process of it goes on using its device."""
    board = world.board
    having = [item for item in world.engine.containers.values() if board is not None and board.holds(item)]
    if board is None or not having or world.engine.down:
        return None
    container = chance.choice(having)
    uuid = chance.choice(sorted(board.holds(container)))
    world.engine.asker = PERSON
    if world.engine.by_hand("DELETE", f"/containers/{container.id}", {"force": "1"}).status >= 300:  # noqa: PLR2004
        return None
    tenant = Tenant(uuid, board.new_pid(), world.true_time(), container.id)
    board.tenants.append(tenant)
    world.after(chance.choice((4.0, 40.0, 300.0)), lambda: _leaves(world, tenant), "a survivor ends")
    _wake(world)
    return container.name


def foreign_container(world: "World", chance: random.Random) -> str | None:
    """Somebody starts a container with a device, with all, or with a runtime that reads its environment."""
    board = world.board
    if board is None or world.engine.down or not board.devices:
        return None
    name, uuid = f"foreign-{world.number}", chance.choice(sorted(board.devices))
    cdi = world.engine.gpus.cdi
    one = {"Driver": "cdi", "DeviceIDs": [f"nvidia.com/gpu={uuid}"]} if cdi else _by_hook([uuid])
    host, env = chance.choice(
        (
            ({"DeviceRequests": [one]}, []),
            ({"DeviceRequests": [_by_hook([], count=-1)]}, []),
            ({"Runtime": "nvidia"}, [f"NVIDIA_VISIBLE_DEVICES={uuid}"]),
            ({"Runtime": "nvidia"}, ["NVIDIA_VISIBLE_DEVICES=all"]),
        )
    )
    world.engine.asker = PERSON
    made = {"Image": "sample:1", "Labels": {}, "HostConfig": host, "Env": env}
    answer = world.engine.by_hand("POST", "/containers/create", {"name": name}, made)
    if answer.status >= 300:  # noqa: PLR2004 - of HTTP
        return None
    world.engine.by_hand("POST", f"/containers/{name}/start")
    world.after(chance.choice((5.0, 40.0, 200.0)), lambda: _clear(world, answer.body["Id"]), f"{name} goes")
    return name


def _by_hook(uuids: list[str], count: int = 0) -> dict[str, object]:
    return {"Driver": "nvidia", "Count": count, "DeviceIDs": uuids or None, "Capabilities": [["gpu"]]}


def _clear(world: "World", container_id: str) -> None:
    if world.engine.down:
        world.after(1.0, lambda: _clear(world, container_id), "again")
        return
    world.engine.asker = PERSON
    world.engine.by_hand("DELETE", f"/containers/{container_id}", {"force": "1"})


def starts_stopped_one(world: "World", chance: random.Random) -> str | None:
    """Somebody starts one of ours that is stopped, whoever has its devices now (GP17)."""
    board = world.board
    if board is None or world.engine.down:
        return None
    stopped = [item for item in world.engine.containers.values() if _has_stopped(world, item)]
    if not stopped:
        return None
    container = chance.choice(stopped)
    world.engine.asker = PERSON
    answer = world.engine.by_hand("POST", f"/containers/{container.id}/start")
    return container.name if answer.status < 300 else None  # noqa: PLR2004 - of HTTP


def _has_stopped(world: "World", container: SimContainer) -> bool:
    owned = world.engine.owner(container) and container.started is not None
    return bool(owned and not container.running and container.host_config.get("DeviceRequests"))


# words to the controller


def wharf_cordon(world: "World", chance: random.Random) -> str | None:
    """A person takes a device out of use, or asks who has it to leave, and later takes it back."""
    board = world.board
    if board is None or world.process is None or not board.devices:
        return None
    uuid = chance.choice(sorted(board.devices))
    try:
        world.process.service.cordon(uuid, "to look at it", acts.CALLER, drain=chance.random() < 0.3)  # noqa: PLR2004
    except control.ControlError:
        return None
    board.cordons.setdefault(uuid, world.true_time())
    world.after(chance.choice((10.0, 60.0, 300.0)), lambda: uncordon(world, uuid), "uncordon")
    return uuid


def uncordon(world: "World", uuid: str) -> None:
    """Take it back; try again while nobody listens."""
    board = world.board
    assert board is not None
    board.cordons.pop(uuid, None)
    try:
        if world.process is None:
            raise control.BadRequest("nobody listens")
        world.process.service.uncordon(uuid, acts.CALLER)
    except control.NotFound:
        return
    except control.ControlError:
        world.after(5.0, lambda: uncordon(world, uuid), "uncordon again")


GPU_DEEDS: Final[Mapping[str, Disturb]] = {
    deed.__name__: deed
    for deed in (
        gpu_silence,
        gpu_slow,
        gpu_shy,
        gpu_mismatch,
        gpu_reports,
        gpu_ails,
        gpu_vanishes,
        gpu_divided_anew,
        gpu_access_lost,
        host_process,
        survivor,
        foreign_container,
        starts_stopped_one,
        wharf_cordon,
        laws.edit_gpu_rules,
    )
}
