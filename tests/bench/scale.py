"""Knows what large fleets cost: on a recorded Engine, inside the controller and as a process.

It refuses to measure time that the recorded Engine takes: processor time and memory of the controller count.
"""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from controller.model.gpus import Device, Wish
from controller.planning import resolve
from controller.planning.allocation import Allotment, Offer
from controller.planning.claimed import Claim
from controller.planning.queueing import Request
from controller.planning.standing import Standing
from tests.bench import fleet, keeper, recorded
from tests.bench.figures import Figure
from tests.support import builders, population

SUBNET = "172.28.0.0/16"
MEGA = 1e6


def calls(base: Path, count: int) -> Iterator[Figure]:
    """Engine calls of a pass with nothing to do, a resync interval after the one before."""
    weighed = _weigh(base, count, 20)["resync"]["calls"]
    lists = weighed.pop("list")
    yield Figure("6", f"lists of a pass with nothing to do, {count} workspaces", "", (lists,), "max", 1.0)
    yield Figure("6", "all other calls of that pass", "", (sum(weighed.values()),), "max", 10.0)


def passes(base: Path, count: int, repeats: int) -> Iterator[Figure]:
    """Processor time of such passes for each workspace, and the process's memory."""
    weighed = _weigh(base, count, repeats)
    for kind, words in (("quiet", "between inspects"), ("resync", "with its share of inspects")):
        samples = weighed[kind]
        for part, target in (("planning", 0.04), ("all", 0.1)):
            each = tuple(1000 * cost / count for cost in samples[part])
            title = f"{part} of a pass with nothing to do, {count} workspaces, {words}"
            yield Figure("7", title, "ms/workspace", each, "median", target)


def memory(base: Path, count: int) -> Iterator[Figure]:
    """Resident memory of the controller's process, after it brought such a fleet up and made ten passes."""
    with _place(base, count) as place, contextlib.ExitStack() as stack:
        kept = keeper.Keeper(place)
        stack.callback(kept.stop)
        kept.wait_ready()
        keeper.wait_for(f"{count} were started", lambda: _started(kept) >= count, 300, 0.5)
        for _ in range(10):
            before = kept.passes()
            kept.wake()
            keeper.wait_for("a pass", lambda before=before: kept.passes() > before, 60, 0.1)  # type: ignore[misc]
        yield Figure(
            "8", f"resident memory, {count} workspaces", "MB", (kept.resident_bytes() / MEGA,), "max", 120.0
        )


def resolution(people: int, each: int, repeats: int) -> Iterator[Figure]:
    """Processor time to resolve all workspaces of a site anew, as after an edit of its policy."""
    policy, specs = population.policy(people), list(population.workspaces(people, each))
    accounts = {name: builders.account(name) for name in population.logins(people)}
    times = []
    for _ in range(repeats):
        began = time.process_time()
        standing = Standing(policy, builders.NOW)
        for spec in specs:
            resolve.resolve(spec, standing, accounts[resolve.owner_of(spec.workspace)])
        times.append((time.process_time() - began) * 1000)
    title = f"all {len(specs)} workspaces of {people} people resolved anew"
    yield Figure("10", title, "ms", tuple(times), "median", 300.0)


def allocation(gpus: int, requests: int, repeats: int) -> Iterator[Figure]:
    """Processor time to say to everybody which of the GPUs it gets, or its place in the queue.

    Each GPU has 7 MIG instances. A tenth of the requests is of those who run, a tenth of stopped containers;
    a fourth shares; the rest asks for one or two instances, some of them of a size.
    """
    devices = {device.uuid: device for number in range(gpus) for device in _divided(number)}
    parts = [uuid for uuid, device in devices.items() if device.parent is not None]
    wanted = [_request(number, parts) for number in range(requests)]
    claims = [
        Claim(uuid, f"workspace {one.workspace}", one.workspace)
        for one in wanted
        if one.runs
        for uuid in one.own
    ]
    times = []
    for _ in range(repeats):
        began = time.process_time()
        allotment = Allotment(devices, claims, {}, wanted, builders.NOW)
        for request in allotment.order:
            answer = allotment.offer(request)
            if isinstance(answer, Offer):
                allotment.take(request, answer)
            else:
                allotment.join(request, answer)
        assert allotment.messages()
        times.append((time.process_time() - began) * 1000)
    title = f"one allocation: {gpus} GPUs of 7 MIG instances each, {requests} requests"
    yield Figure("11", title, "ms", tuple(times), "max", 200.0)


def _divided(number: int) -> Iterator[Device]:
    whole = f"GPU-{number:02}"
    yield Device(whole, "NVIDIA H100 80GB HBM3", 80 << 30, divided=True)
    for part in range(7):
        yield Device(
            f"MIG-{number:02}-{part}", "NVIDIA H100 80GB HBM3", 10 << 30, parent=whole, profile="1g.10gb"
        )


def _request(number: int, parts: list[str]) -> Request:
    kind, since = number % 20, builders.NOW - timedelta(minutes=number % 300)
    wish = Wish(profile="1g.10gb", sharers=4, memory=(number % 3) << 30)
    if kind < 4:
        own = (parts[number * 7 % len(parts)],) if number * 7 < 10 * len(parts) else ()
        return Request(
            f"w{number}", wish, 10, own=own, runs=bool(own) and kind < 2, must_own=bool(own) and kind > 1
        )
    wish = replace(wish, shared=kind < 9, count=2 if kind > 17 else 1)
    return Request(f"w{number}", wish, number % 100 + 1, waiting_since=since if number % 2 else None)


def _started(kept: keeper.Keeper) -> int:
    """How many starts have succeeded."""
    for line in kept.ask("/metrics")[1].splitlines():
        if line.startswith("wharfinger_actions_total{") and "start_container" in line and "success" in line:
            return int(float(line.rpartition(" ")[2]))
    return 0


def _weigh(base: Path, count: int, repeats: int) -> dict[str, Any]:
    with _place(base, count) as place:
        command = [
            sys.executable,
            "-m",
            "tests.bench.inside",
            str(place.config),
            str(count),
            "--passes",
            str(repeats),
        ]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=400, check=False
        )
        if done.returncode:
            raise keeper.BenchError(f"{command[1:]} ended with {done.returncode}: {done.stderr[-1500:]}")
        weighed: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return weighed


@contextlib.contextmanager
def _place(base: Path, count: int) -> Iterator[fleet.Place]:
    """Files of so many workspaces, for a recorded Engine that runs meanwhile."""
    directory = base / f"recorded-{count}"
    directory.mkdir()
    engine = recorded.Engine(directory / "docker.sock")
    place = fleet.prepare(directory / "c", engine.url, SUBNET, {})
    try:
        fleet.rename_in(place, fleet.names("w", count))
        yield place
    finally:
        engine.close()
        fleet.discard(fleet.Place(directory))
