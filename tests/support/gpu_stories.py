"""Knows the words of golden cases about GPUs: devices, who uses them, what ails them, who waits.

It refuses to decide anything: it only says how the host is, and what people did.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from controller.api import quantities
from controller.api.conditions import Reason
from controller.model.gpus import (
    Access,
    AccessState,
    Ailment,
    Attached,
    Bystander,
    Cordon,
    Device,
    Fence,
    Process,
    Trouble,
)
from controller.model.observed import Unseen
from tests.support.change_stories import length
from tests.support.world import World

MODEL = "SIMULATED H100"


def _gpus(world: World, uuids: list[str], rest: dict[str, Any]) -> None:
    """The host has these, of one kind."""
    model, memory = rest.pop("model", MODEL), quantities.parse_bytes(rest.pop("memory", "80g"))
    cdi = rest.pop("cdi", None)
    new = {
        uuid: Device(
            uuid,
            model,
            memory,
            index=str(len(world.gpus.devices) + place),
            minor=len(world.gpus.devices) + place,
            cdi=f"{cdi}={place}" if cdi else None,
        )
        for place, uuid in enumerate(uuids)
    }
    world.gpus = replace(world.gpus, devices={**world.gpus.devices, **new}, simulated=True)


def _instances(world: World, uuids: list[str], rest: dict[str, Any]) -> None:
    """A GPU is divided into these."""
    parent, profile = rest.pop("of"), rest.pop("profile")
    whole = world.gpus.devices[parent]
    memory = quantities.parse_bytes(rest.pop("memory", "10g"))
    new = {
        uuid: Device(uuid, whole.model, memory, f"{whole.index}:{place}", parent=parent, profile=profile)
        for place, uuid in enumerate(uuids)
    }
    known = {**world.gpus.devices, parent: replace(whole, divided=True), **new}
    world.gpus = replace(world.gpus, devices=known)


def _gone(world: World, uuid: str, _: dict[str, Any]) -> None:
    left = {name: device for name, device in world.gpus.devices.items() if name != uuid}
    world.gpus = replace(world.gpus, devices=left)


def _process(world: World, pid: int, rest: dict[str, Any]) -> None:
    """A process uses a device: of nobody in particular, or in a workspace's container."""
    where, identifier = rest.pop("in", ""), ""
    if where:
        identifier = next((c.id for c in world.of(where)), where)
    process = Process(
        rest.pop("device"),
        pid,
        container_id=identifier,
        user=rest.pop("of", ""),
        command=rest.pop("command", ""),
        graphics=rest.pop("graphics", False),
    )
    world.gpus = replace(world.gpus, processes=(*(world.gpus.processes or ()), process))


def _untold(world: World, what: str, rest: dict[str, Any]) -> None:
    """Who uses the devices cannot be told: the driver's processes, or the containers of others."""
    if what == "processes":
        world.gpus = replace(world.gpus, processes=None)
    else:
        message = rest.pop("message", "jupyter could not be inspected: it may use any GPU")
        world.bystanders = Unseen(Reason.NOT_SEEN, message, world.now)


def _container(world: World, name: str, rest: dict[str, Any]) -> None:
    """Somebody else's container was made with devices."""
    given = rest.pop("with", [])
    attached = Attached(
        names=() if given == "all" else tuple(sorted(given)),
        all=given == "all",
        visible=rest.pop("visible", ""),
        nodes=tuple(rest.pop("nodes", ())),
    )
    running, honours = not rest.pop("stopped", False), rest.pop("honours", False)
    assert isinstance(world.bystanders, dict)
    world.bystanders = {**world.bystanders, name: Bystander(name, name, running, attached, honours)}


def _cordon(world: World, uuid: str, rest: dict[str, Any]) -> None:
    cordon = Cordon(uuid, rest.pop("reason", "it is hot"), world.now, "root", rest.pop("drain", False))
    world.remember(cordons={**world.memory.cordons, uuid: cordon})


def _fence(world: World, uuid: str, rest: dict[str, Any]) -> None:
    last = world.now - length(rest.pop("last", "1m"))
    fence = Fence(uuid, Ailment.ECC, "2 memory errors that were not corrected", last, last, lasts=False)
    world.remember(fences={**world.memory.fences, uuid: fence})


def _trouble(world: World, uuid: str, rest: dict[str, Any]) -> None:
    message = rest.pop("message", "it fell off the bus")
    trouble = Trouble(uuid, Ailment.LOST, message, world.now)
    world.gpus = replace(world.gpus, troubles=(*world.gpus.troubles, trouble))


def _mismatch(world: World, message: str, _: dict[str, Any]) -> None:
    world.gpus = replace(world.gpus, mismatch=message)


def _access(world: World, name: str, rest: dict[str, Any]) -> None:
    """What a probe found of a workspace's container."""
    state, opens = AccessState(rest.pop("is", "lost")), tuple(rest.pop("opens", ()))
    message = rest.pop("message", "it cannot open /dev/nvidia0: Operation not permitted")
    main = world.main(name)
    assert main is not None
    found = {**world.gpus.access, main.id: Access(state, world.now, message, opens)}
    world.gpus = replace(world.gpus, access=found)


def _waits(world: World, name: str, rest: dict[str, Any]) -> None:
    since = world.now - length(rest.pop("for"))
    world.remember(gpu_waits={**world.memory.gpu_waits, name: since})


def _cdi(world: World, names: list[str] | None, _: dict[str, Any]) -> None:
    world.cdi = None if names is None else frozenset(names)


VERBS: dict[str, Callable[[World, Any, dict[str, Any]], None]] = {
    "gpus": _gpus,
    "instances": _instances,
    "gpu gone": _gone,
    "gpu process": _process,
    "gpu users unseen": _untold,
    "gpu container": _container,
    "cordon": _cordon,
    "fence": _fence,
    "gpu trouble": _trouble,
    "driver mismatch": _mismatch,
    "gpu access": _access,
    "waits for gpus": _waits,
    "cdi": _cdi,
}
