"""Knows how long the controller takes on a real Engine: fleets, repairs, restarts.

It refuses to sum up: it gives samples.
"""

import contextlib
import time
from collections.abc import Iterator

import docker

from tests.bench import deaf, fleet, floor, keeper, watching
from tests.bench.figures import Figure
from tests.bench.rig import Rig, is_start

SETTLE = 0.3
MUTATIONS = {"create", "start", "die", "stop", "kill", "update", "rename", "destroy", "pause", "unpause"}
DRIFTED = 96 * 2**20
INTERVAL = 10.0


def cold_start(rig: Rig, count: int, pairs: int) -> Iterator[Figure]:
    """From specs being renamed in until the last container runs, against the bare loop, pair by pair."""
    ours, without, bare = [], [], []
    for number in range(pairs + 1):
        size = count if number else 2  # the first pair warms up and makes the network
        seconds = _cold(rig, size)
        least = _bare(rig, size)
        if number:
            ours.append(seconds)
            without.append((seconds - SETTLE) / least)
            bare.append(least)
    yield Figure(
        "1",
        f"{count} workspaces from nothing to running, without settle, against the bare loop",
        "x",
        tuple(without),
        "median",
        1.15,
    )
    yield Figure("1", "the same with settle, in seconds", "s", tuple(ours))
    yield Figure(
        "1",
        "the same with settle, against the bare loop",
        "x",
        tuple(one / least for one, least in zip(ours, bare, strict=True)),
    )
    yield Figure("1", "the bare loop, in seconds", "s", tuple(bare))


def _cold(rig: Rig, count: int) -> float:
    with rig.controller({}) as kept:
        mark, began = rig.watch.mark(), time.monotonic()
        fleet.rename_in(kept.place, fleet.names("w", count))
        return rig.watch.wait(mark, is_start, count).arrived - began


def _bare(rig: Rig, count: int) -> float:
    bare = floor.Floor(rig.url, rig.homes)
    mark, began = rig.watch.mark(), time.monotonic()
    bare.up(count)
    seconds = rig.watch.wait(mark, is_start, count).arrived - began
    floor.remove_all(rig.url, (floor.PREFIX,))
    bare.close()
    return seconds


def repairs(rig: Rig, fleet_size: int, samples: int) -> Iterator[Figure]:
    """Removal, changed memory and new specs, with a fleet running; the removals beside a bare event loop."""
    names = fleet.names("w", fleet_size)
    with rig.controller({}) as kept, contextlib.ExitStack() as stack:
        rig.bring_up(kept, names)
        bare = floor.Floor(rig.url, rig.homes)
        stack.callback(bare.close)
        stack.callback(floor.remove_all, rig.url, (floor.PREFIX,))
        bare.up(3)
        loop = floor.EventLoop(bare, rig.url)
        stack.callback(loop.close)
        engine = stack.enter_context(contextlib.closing(docker.APIClient(base_url=rig.url, version="auto")))
        ours, least = [], []
        for number in range(samples):
            ours.append(_replaced(rig, engine, f"workspace-{names[number % len(names)]}"))
            least.append(_replaced(rig, engine, f"{floor.PREFIX}{number % 3:04}"))
        yield Figure(
            "2",
            "removal to replacement running, beyond the bare event loop's median",
            "ms",
            tuple(one - sorted(least)[len(least) // 2] for one in ours),
            "p95",
            300.0,
        )
        yield Figure("2", "removal to replacement running", "ms", tuple(ours), "p95")
        yield Figure("2", "the same by the bare event loop", "ms", tuple(least), "p95")
        changed = [_changed_back(rig, engine, f"workspace-{names[n % len(names)]}") for n in range(samples)]
        yield Figure("3", "memory changed by hand to changed back", "s", tuple(changed), "max", 1.0)
        appeared = [_created(rig, kept, f"x{number:04}") for number in range(samples)]
        yield Figure(
            "5",
            "spec renamed into place to the first change on the Engine, beyond settle",
            "ms",
            tuple(1000 * (one - SETTLE) for one in appeared),
            "p95",
            200.0,
        )


def _replaced(rig: Rig, engine: docker.APIClient, name: str) -> float:
    """Milliseconds from the removal's call until the replacement runs."""
    _await_quiet(rig)
    mark, began = rig.watch.mark(), time.monotonic()
    engine.remove_container(name, force=True)
    return 1000 * (rig.watch.wait(mark, lambda e: is_start(e) and e.name == name).arrived - began)


def _changed_back(rig: Rig, engine: docker.APIClient, name: str) -> float:
    """Seconds from the update by hand until the update back; its effect is read back."""
    _await_quiet(rig)
    mark, began = rig.watch.mark(), time.monotonic()
    engine.update_container(name, mem_limit=DRIFTED, memswap_limit=DRIFTED)
    seconds = rig.watch.wait(mark, lambda e: e.action == "update" and e.name == name, 2).arrived - began
    memory = engine.inspect_container(name)["HostConfig"]["Memory"]
    if memory != fleet.MEMORY:
        raise keeper.BenchError(f"{name} has {memory} bytes after its repair")
    return seconds


def _created(rig: Rig, kept: keeper.Keeper, name: str) -> float:
    """Seconds from the rename until the Engine made the container, by the Engine's own clock."""
    _await_quiet(rig)
    mark, began = rig.watch.mark(), time.time()
    fleet.rename_in(kept.place, (name,))
    at = rig.watch.wait(mark, lambda e: e.action == "create" and e.name == f"workspace-{name}").at
    rig.watch.wait(mark, lambda e: is_start(e) and e.name == f"workspace-{name}")
    return at - began


def _await_quiet(rig: Rig, seconds: float = 0.6) -> None:
    """Wait until the Engine has told nothing for a while."""
    mark, since = rig.watch.mark(), time.monotonic()
    while time.monotonic() - since < seconds:
        time.sleep(0.05)
        if rig.watch.mark() != mark:
            mark, since = rig.watch.mark(), time.monotonic()


def without_events(rig: Rig, samples: int) -> Iterator[Figure]:
    """The repair of changed memory by a controller that hears no events."""
    names = fleet.names("w", 5)
    proxy = deaf.DeafProxy(rig.base / "deaf.sock", rig.url)
    settings = {"resyncInterval": "1s", "inspectInterval": f"{INTERVAL:.0f}s"}
    with contextlib.closing(proxy), rig.controller(settings, proxy.url) as kept:
        rig.bring_up(kept, names)
        with contextlib.closing(docker.APIClient(base_url=rig.url, version="auto")) as engine:
            changed = [_changed_back(rig, engine, f"workspace-{names[n % 5]}") for n in range(samples)]
    yield Figure(
        "3",
        f"the same without events, inspectInterval {INTERVAL:.0f} s",
        "s",
        tuple(changed),
        "max",
        INTERVAL,
    )


def restarts_and_rest(rig: Rig, count: int, restarts: int, idle_seconds: float) -> Iterator[Figure]:
    """A controller restarted over a running fleet, and what it costs while nothing happens."""
    place = rig.prepare({})
    kept = keeper.Keeper(place)
    ready, mutations, idle = [], [], []
    try:
        kept.wait_ready()
        rig.bring_up(kept, fleet.names("w", count))
        _await_quiet(rig, 2.0)
        for _ in range(restarts):
            kept.stop()
            mark = rig.watch.mark()
            kept = keeper.Keeper(place)
            ready.append(kept.wait_ready())
            time.sleep(2.0)
            mutations.append(float(_count_mutations(rig.watch.since(mark))))
        time.sleep(5.0)
        before = kept.cpu_seconds()
        time.sleep(idle_seconds)
        idle.append(100 * (kept.cpu_seconds() - before) / idle_seconds)
    finally:
        kept.stop()
        floor.remove_all(rig.url, ("workspace-",))
        fleet.discard(place)
    yield Figure("4", f"restart with {count} running, process start to ready", "s", tuple(ready), "max", 2.0)
    yield Figure("4", "changes on the Engine by that restart", "", tuple(mutations), "max", 0.0)
    yield Figure(
        "8",
        f"processor while idle, {count} running, {idle_seconds:.0f} s",
        "% of a core",
        tuple(idle),
        "max",
        1.0,
    )


def _count_mutations(events: list[watching.Event]) -> int:
    return sum(event.action in MUTATIONS for event in events)
