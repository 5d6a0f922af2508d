"""Knows what admins do with the Engine's socket, and what programs in containers do; each by a name.

It refuses to go by the controller: whatever is done here the controller must find.
"""

import random
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from controller.api import labels
from tests.simulation.engine import PERSON, PROCESS
from tests.simulation.scenario import NAMES, Disturb
from tests.support.sim_container import SimContainer

if TYPE_CHECKING:
    from tests.simulation.world import World


def _ours(world: "World", chance: random.Random) -> SimContainer | None:
    found = [item for item in world.engine.containers.values() if item.name.startswith("workspace-")]
    return chance.choice(found) if found and not world.engine.down else None


def _by_hand(verb: str, method: str, path: str, query: Callable[[random.Random], dict[str, str]]) -> Disturb:
    def act(world: "World", chance: random.Random) -> str | None:
        container = _ours(world, chance)
        if container is None:
            return None
        world.engine.asker = PERSON
        answer = world.engine.by_hand(method, f"/containers/{container.id}{path}", query(chance))
        return container.name if answer.status < 300 else None  # noqa: PLR2004 - of HTTP

    act.__name__ = f"docker_{verb}"
    return act


docker_stop = _by_hand("stop", "POST", "/stop", lambda _: {"t": "1"})
docker_start = _by_hand("start", "POST", "/start", lambda _: {})
docker_rm = _by_hand("rm", "DELETE", "", lambda _: {"force": "1"})
docker_pause = _by_hand("pause", "POST", "/pause", lambda _: {})
docker_rename = _by_hand(
    "rename",
    "POST",
    "/rename",
    lambda chance: {"name": chance.choice(("mine", "workspace-alice", "workspace-bob"))},
)


def docker_restart(world: "World", chance: random.Random) -> str | None:
    """An admin restarts a container."""
    container = _ours(world, chance)
    if container is None or not container.running:
        return None
    world.engine.asker = PERSON
    world.engine.by_hand("POST", f"/containers/{container.id}/stop", {"t": "1"})
    world.engine.by_hand("POST", f"/containers/{container.id}/start")
    return container.name


def docker_update(world: "World", chance: random.Random) -> str | None:
    """An admin changes limits or the restart policy."""
    container = _ours(world, chance)
    if container is None:
        return None
    memory = {"Memory": 32 << 20, "MemorySwap": 32 << 20}
    wanted = chance.choice((memory, {"RestartPolicy": {"Name": "always"}}))
    if "wharf" not in world.engine.networks:
        wanted = memory
    world.engine.asker = PERSON
    answer = world.engine.by_hand("POST", f"/containers/{container.id}/update", body=wanted)
    return container.name if answer.status < 300 else None  # noqa: PLR2004 - of HTTP


def look_alike(world: "World", chance: random.Random) -> str | None:
    """Somebody makes a container with the labels of one of ours, or on one of our names."""
    container = _ours(world, chance)
    if container is None:
        return None
    older = container.created < world.wall()  # a clock that was set back makes the copy the older one
    known = older and _is_known(world, container)
    copied = dict(container.config["Labels"]) if known and chance.random() < 0.6 else {}  # noqa: PLR2004
    if chance.random() < 0.3:  # noqa: PLR2004 - less often
        copied[labels.WORKSPACE] = chance.choice(NAMES)
    name = chance.choice((f"copy-{world.number}", labels.container_name(chance.choice(NAMES))))
    made = {"Image": "sample:1", "Labels": copied, "HostConfig": {}}
    world.engine.asker = PERSON
    answer = world.engine.by_hand("POST", "/containers/create", {"name": name}, made)
    if answer.status >= 300:  # noqa: PLR2004 - of HTTP
        return None
    world.engine.by_hand("POST", f"/containers/{name}/start")
    world.after(chance.uniform(5, 100), lambda: _clear(world, answer.body["Id"]), f"{name} goes")
    return name


def _is_known(world: "World", container: SimContainer) -> bool:
    """Whether a look at it was written: before that nobody can tell a copy from it once it is gone."""
    process = world.process
    known = process.ledger.recall(b"", world.wall()).identities if process is not None else {}
    return container.config["Labels"].get(labels.INSTANCE, "") in known


def _clear(world: "World", container_id: str) -> None:
    if world.engine.down:
        world.after(1.0, lambda: _clear(world, container_id), "again")
        return
    world.engine.asker = PERSON
    world.engine.by_hand("DELETE", f"/containers/{container_id}", {"force": "1"})


# programs


def exits(world: "World", chance: random.Random) -> str | None:
    """A main process ends by itself, or is killed for want of memory; perhaps while nobody looks."""
    running = [item for item in world.engine.containers.values() if item.status == "running"]
    if not running:
        return None
    container = chance.choice(running)
    container.oom_killed = chance.random() < 0.2  # noqa: PLR2004 - seldom
    world.engine.die(container, chance.choice((0, 1, 137)), heard=not world.engine.down)
    return container.name


def works(world: "World", chance: random.Random) -> str | None:
    """A user writes into the layer of a container."""
    running = [item for item in world.engine.containers.values() if item.status == "running"]
    if not running:
        return None
    container = chance.choice(running)
    world.engine.asker = PROCESS
    held = world.engine.written.get(container.id, 0)
    world.engine.written[container.id] = held + chance.choice((1, 4096, 1 << 27))
    return container.name


def hour(world: "World", chance: random.Random) -> str | None:
    """Time goes by while nothing happens."""
    if world.writers:
        return None
    seconds = chance.choice((20, 120, 700))
    world.microseconds += int(timedelta(seconds=seconds) / timedelta(microseconds=1))
    return f"{seconds} s"


HANDS: Final[Mapping[str, Disturb]] = {
    act.__name__: act
    for act in (
        docker_stop,
        docker_start,
        docker_rm,
        docker_pause,
        docker_rename,
        docker_restart,
        docker_update,
        look_alike,
        exits,
        works,
        hour,
    )
}
