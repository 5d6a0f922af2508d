"""Knows what can go wrong on a host, one thing at a time: it begins, lasts, and heals.

It refuses to judge. An act names the workspaces whose container it ended, or had ended: their restart is
explained.
"""

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from http import HTTPStatus
from pathlib import Path

from tests.chaos.rig import MEMORY, STRANGER, Rig, ViolationError
from tests.support import plans, process
from tests.support.plans import Deed

NOBODY: frozenset[str] = frozenset()
STRANGERS = 3
"""How many containers that only look like ours there are at most."""
STRIKING = 4.0
"""Seconds that a plan has."""
TOLERATED = 2
"""A container that ended oftener is in a crash loop to the controller, and waits for longer than a round."""

Act = Callable[[Rig, random.Random], AbstractContextManager[frozenset[str]]]


@contextlib.contextmanager
def calm(rig: Rig, rng: random.Random) -> Iterator[frozenset[str]]:
    """Nothing but the kills of the controller: one more, while the next one starts."""
    rig.kill_controller()
    rig.start_controller()
    yield NOBODY


@contextlib.contextmanager
def engine_killed(rig: Rig, rng: random.Random) -> Iterator[frozenset[str]]:
    """Dockerd is killed; containers outlive it."""
    rig.engine.kill9()
    rig.count.engine_kills += 1
    rig.tell("dockerd killed")
    yield NOBODY
    rig.engine.start(live_restore=True)
    rig.tell("dockerd started with live restore")


@contextlib.contextmanager
def engine_and_containerd_killed(rig: Rig, rng: random.Random) -> Iterator[frozenset[str]]:
    """Containerd is killed, then dockerd; containers outlive both."""
    rig.engine.kill9_containerd()
    rig.count.containerd_kills += 1
    rig.tell("containerd killed")
    rig.over.wait(rng.uniform(0, 1))
    with engine_killed(rig, rng):
        yield NOBODY


@contextlib.contextmanager
def engine_killed_without_live_restore(rig: Rig, rng: random.Random) -> Iterator[frozenset[str]]:
    """Dockerd is killed; as it starts again it ends every container, unless that would be a crash loop."""
    if max(map(rig.often_ended, rig.names)) > TOLERATED:
        with engine_killed(rig, rng) as ended:
            yield ended
        return
    rig.engine.kill9()
    rig.count.engine_kills += 1
    rig.count.without_live_restore += 1
    rig.tell("dockerd killed")
    yield frozenset(rig.names)
    rig.engine.start(live_restore=False)
    rig.tell("dockerd started without live restore")


@contextlib.contextmanager
def engine_paused(rig: Rig, rng: random.Random) -> Iterator[frozenset[str]]:
    """Dockerd is stopped amid whatever it does: it takes connections and answers none."""
    with _stopped(rig, "dockerd", rig.engine.pid()):
        yield NOBODY
        rig.over.wait(rng.uniform(0, 4))


@contextlib.contextmanager
def controller_paused(rig: Rig, rng: random.Random) -> Iterator[frozenset[str]]:
    """The controller is stopped while a person changes something, and goes on with what it knew."""
    controller = rig.controller or rig.start_controller()
    with _stopped(rig, "controller", controller.process.pid), stopped(rig, rng) as ended:
        yield ended
        rig.over.wait(rng.uniform(0, 4))


@contextlib.contextmanager
def _stopped(rig: Rig, what: str, pid: int | None) -> Iterator[None]:
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    rig.count.pauses += 1
    rig.tell(f"{what} paused")
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):  # it was killed meanwhile
            os.kill(pid, signal.SIGCONT)
        rig.tell(f"{what} goes on")


@contextlib.contextmanager
def disk_full(rig: Rig, rng: random.Random) -> Iterator[frozenset[str]]:
    """Nothing is left of the Engine's disk, and a person stops something meanwhile."""
    ballast = rig.engine.directory / "data" / "ballast"
    _fill(ballast)
    rig.count.full_disks += 1
    rig.tell("disk full")
    try:
        with stopped(rig, rng) as ended:
            yield ended
            rig.over.wait(rng.uniform(0, 3))
    finally:
        ballast.unlink()
        rig.tell("disk freed")
    _free_endpoints(rig)


def _free_endpoints(rig: Rig) -> None:
    """What an admin does after a full disk: restart an Engine that did not forget who has left a network.

    It could not write that down; each start is refused then, for ever, with "endpoint with name workspace-x
    already exists in network wharf". `docker network disconnect` does not help while there is a container of
    that name.
    """
    status, network = rig.ask("GET", "/networks/wharf")
    holders = network["Containers"] if status == HTTPStatus.OK else {}
    if any(holder.startswith("ep-") for holder in holders):  # the Engine's word for one without a container
        rig.engine.kill9()
        rig.engine.start(live_restore=True)
        rig.count.stale_endpoints += 1
        rig.tell("dockerd restarted for a stale endpoint")


def _fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    if os.statvfs(ballast.parent).f_bavail:
        raise ViolationError("the disk cannot be filled")


def _admin(rig: Rig, rng: random.Random, verb: str, how: Callable[[str, str], tuple[int, object]]) -> str:
    """Let an admin do something to a container; the workspace's name."""
    name = _victim(rig, rng, oftenest=verb == "rm -f")
    status, said = how(name, f"workspace-{name}")
    rig.count.admin += 1
    rig.tell(f"admin: {verb} {name}: {status} {said or ''}".rstrip())
    return name


def _victim(rig: Rig, rng: random.Random, *, oftenest: bool = False) -> str:
    """A workspace whose container ended least often, or oftenest: a new one begins to count anew."""
    order = sorted(rng.sample(rig.names, len(rig.names)), key=rig.often_ended)
    return order[-1 if oftenest else 0]


@contextlib.contextmanager
def stopped(rig: Rig, rng: random.Random) -> Iterator[frozenset[str]]:
    """`docker stop`; `docker rm -f` where each one ended so often that it would be in a crash loop."""
    if min(map(rig.often_ended, rig.names)) > TOLERATED:
        with removed(rig, rng) as ended:
            yield ended
        return
    name = _admin(rig, rng, "stop", lambda _, one: rig.ask("POST", f"/containers/{one}/stop?t=1"))
    yield frozenset({name})


@contextlib.contextmanager
def removed(rig: Rig, rng: random.Random) -> Iterator[frozenset[str]]:
    """`docker rm -f`: the layer is lost by the admin, and by nobody else."""

    def remove(name: str, container: str) -> tuple[int, object]:
        found = rig.inspect(container)
        rig.lost.add(found["Id"])
        rig.truths[name].gone.add(found["Id"])
        return rig.ask("DELETE", f"/containers/{found['Id']}?force=1")

    yield frozenset({_admin(rig, rng, "rm -f", remove)})


@contextlib.contextmanager
def renamed(rig: Rig, rng: random.Random) -> Iterator[frozenset[str]]:
    """`docker rename`."""
    new = f"mine-{rng.randrange(10**6)}"
    _admin(rig, rng, "rename", lambda _, one: rig.ask("POST", f"/containers/{one}/rename?name={new}"))
    yield NOBODY


@contextlib.contextmanager
def frozen(rig: Rig, rng: random.Random) -> Iterator[frozenset[str]]:
    """`docker pause`."""
    _admin(rig, rng, "pause", lambda _, one: rig.ask("POST", f"/containers/{one}/pause"))
    yield NOBODY


@contextlib.contextmanager
def updated(rig: Rig, rng: random.Random) -> Iterator[frozenset[str]]:
    """`docker update` of the memory."""
    other = {"Memory": 2 * MEMORY, "MemorySwap": 2 * MEMORY}
    _admin(rig, rng, "update", lambda _, one: rig.ask("POST", f"/containers/{one}/update", other))
    yield NOBODY


@contextlib.contextmanager
def copied(rig: Rig, rng: random.Random) -> Iterator[frozenset[str]]:
    """`docker run` with all labels of a workspace's container."""

    def copy(_: str, container: str) -> tuple[int, object]:
        found = rig.inspect(container)
        body = {"Image": found["Image"], "Cmd": ["sleep", "100000"], "Labels": found["Config"]["Labels"]}
        new = f"{STRANGER}-{rng.randrange(STRANGERS)}"
        rig.ask("DELETE", f"/containers/{new}?force=1")
        rig.strangers.pop(new, None)
        status, said = rig.ask("POST", f"/containers/create?name={new}", body)
        if status != 201:
            return status, said
        rig.strangers[new] = said["Id"]
        return rig.ask("POST", f"/containers/{new}/start")

    _admin(rig, rng, "run a copy of", copy)
    yield NOBODY


@contextlib.contextmanager
def edited(rig: Rig, rng: random.Random) -> Iterator[frozenset[str]]:
    """A person edits a spec and restarts the workspace: the container is replaced, and kept."""
    name = _victim(rig, rng, oftenest=True)
    rig.rounds[name] = str(int(rig.rounds[name]) + 1)
    rig.write_spec(name)
    process.until(
        lambda: rig.said().get(name, {}).get("spec", {}).get("env") == {"ROUND": rig.rounds[name]},
        f"{name}'s spec is accepted",
    )
    done = rig.site.wharf("restart", "--no-wait", name)
    rig.count.edits += 1
    rig.tell(f"person: edit and restart {name}: {done.code}")
    if done.code:
        raise ViolationError(f"wharf restart {name}: {done}")
    yield frozenset({name})


@contextlib.contextmanager
def planned(rig: Rig, rng: random.Random) -> Iterator[frozenset[str]]:
    """Requests go wrong as a plan says, while the controller mends what an admin did."""
    plan = random_plan(rng)
    rig.kill_controller()
    rig.start_controller(proxied=True).ready()
    rig.between.follow(plan, {Deed.KILL_CONTROLLER: rig.kill_controller})
    rig.tell(f"plan:\n{plans.word(plan)}")
    with rng.choice((stopped, removed, renamed, updated))(rig, rng) as ended:
        end = time.monotonic() + STRIKING
        while len(rig.between.strikes()) < len(plan) and time.monotonic() < end:
            if rig.controller is None:
                rig.start_controller(proxied=True)
            rig.over.wait(0.05)
        yield ended
    strikes = rig.between.strikes()
    rig.between.follow()
    rig.count.plan_faults += len(strikes)
    rig.tell(f"plan over: {[fault.do.value for fault in strikes]}")


def random_plan(rng: random.Random) -> plans.Plan:
    """Up to three faults, most of them at requests that change something; none that kills the Engine."""
    faults = []
    for _ in range(rng.randint(1, 3)):
        boundary = rng.choice(list(plans.Boundary))
        deed = rng.choice(sorted(plans.LEGAL[boundary] - {Deed.KILL_ENGINE}, key=lambda one: one.value))
        operation = rng.choice((plans.CHANGES, plans.CHANGES, "POST *", "GET containers/json", "GET *"))
        trigger = plans.Trigger(operation=operation, nth=rng.randrange(2), times=rng.randint(1, 2))
        fault = {"on": trigger, "boundary": boundary, "do": deed, "at_byte": rng.randrange(400)}
        faults.append(plans.Fault.model_validate({**fault, "status": rng.choice((409, 500, 503))}))
    return tuple(faults)


ENGINE: tuple[Act, ...] = (engine_killed, engine_and_containerd_killed)
DECK: tuple[Act, ...] = (
    *(calm, calm, calm, *ENGINE, engine_killed_without_live_restore),
    *(engine_paused, controller_paused, disk_full, edited, planned, planned, planned),
    *(stopped, removed, renamed, frozen, updated, copied),
)
"""Each is done once before any is done again."""
