"""Two controllers without the lock, each with a workspace that wants the same device alone: one starts.

They have nothing in common but the Engine, so that only the containers tell one of the other. Strangers have
a key each. Twins have one, as after a restore from a backup: each takes the other's containers for its own.
"""

import contextlib
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from controller.api.conditions import Reason
from tests.support import dockerd as dockerd_support
from tests.support import gpus, herd, process, rivals
from tests.support.nvml import library
from tests.support.nvml import scenario as nvml

SLICES = 7
DEVICES = tuple(
    gpus.Gpu(
        f"GPU-0ace0000-0000-4000-8000-{minor:012d}",
        minor,
        tuple(f"MIG-0ace0000-0000-5000-8000-{minor:06d}{number:06d}" for number in range(SLICES)),
    )
    for minor in range(3)
)
DRIVER = nvml.Scenario(
    gpus=tuple(nvml.Gpu(one.uuid, minor=one.minor, bus=f"0000:0{one.minor}:00.0", mig=1) for one in DEVICES),
    migs=tuple(
        nvml.Mig(uuid, one.uuid, "1g.10gb", gi=number)
        for one in DEVICES
        for number, uuid in enumerate(one.instances, 7)
    ),
)
INSTANCES = tuple(uuid for one in DEVICES for uuid in one.instances)
LONGEST = 60.0
"""Seconds within which all rivals of one heat are to have come to rest."""

MakeSite = Callable[[dockerd_support.Dockerd], process.Site]


@dataclass(frozen=True)
class Side:
    """One controller, with its way to the Engine."""

    name: str
    site: process.Site
    controller: process.Controller
    road: rivals.Road

    def decision(self, workspace: str) -> dict[str, Any]:
        decision: dict[str, Any] = self.controller.status(workspace)["decision"]
        return decision


@dataclass(frozen=True)
class Heat:
    """One race for each of some devices, all at once.

    Attributes:
        entrants: of each device, two workspaces, each with the side that has its spec.
    """

    entrants: dict[str, dict[str, Side]]
    moments: dict[str, rivals.Moment]

    @classmethod
    def of(cls, number: int, races: int, sides: tuple[Side, ...]) -> "Heat":
        """Every other race is between strangers, the others between twins."""
        one, *others = sides
        entrants: dict[str, dict[str, Side]] = {}
        moments: dict[str, rivals.Moment] = {}
        for place, uuid in enumerate(INSTANCES[:races]):
            pair = (one, others[place % len(others)])
            names = [f"{side.name}-{number}-{place}" for side in pair]
            entrants[uuid] = dict(zip(names, pair, strict=True))
            moment = list(rivals.Moment)[place % len(rivals.Moment)]
            late = names if moment is rivals.Moment.TOGETHER else [names[place // 2 % 2]]
            moments |= dict.fromkeys(late, moment)
        return cls(entrants, moments)

    def each(self) -> Iterator[tuple[str, str, Side]]:
        """Device, workspace and side of every entrant."""
        for uuid, pair in self.entrants.items():
            for name, side in pair.items():
                yield uuid, name, side

    def crossing(self) -> rivals.Crossing:
        rival: dict[str, str] = {}
        for one, other in self.entrants.values():
            rival |= {one: other, other: one}
        return rivals.Crossing(rival, self.moments)


@pytest.fixture
def sides(engine_hook: gpus.GpuDockerd, make_site: MakeSite) -> Iterator[tuple[Side, ...]]:
    """A controller, a stranger to it, and a twin of it."""
    engine_hook.set_gpus(DEVICES)
    docker: Any = engine_hook.client()

    def named(container: str) -> str:
        return str(docker.inspect_container(container)["Name"]).removeprefix("/")

    names = ("one", "stranger", "twin")
    sites = [make_site(engine_hook) for _ in names]  # before there is a network, so that all have the same
    made: list[Side] = []
    with contextlib.ExitStack() as stack:
        for name, site in zip(names, sites, strict=True):
            road = rivals.Road(engine_hook.socket, named)
            stack.callback(road.close)
            stack.callback(site.close)
            site.configure(gpus={"source": "Nvml"}, docker={"host": road.url, "workers": 32})
            site.spec(f"calm-{name}")
            if name == "twin":
                site.state.mkdir(mode=0o700)
                shutil.copy(sites[0].state / "claim.key", site.state)
            driver = library.simulated(site.root, DRIVER)
            made.append(Side(name, site, site.run_apart(**driver.environment).ready(), road))
        for side in made:
            side.controller.runs(f"calm-{side.name}")
        yield tuple(made)


def run(heat: Heat) -> None:
    """All controllers get their specs, and one of each two workspaces runs, the other waits."""
    crossing = heat.crossing()
    for uuid, name, side in heat.each():
        side.road.crossing = crossing
        side.site.spec(name, {"gpu": {"mode": "Exclusive", "uuids": [uuid]}})
    under_way = set(heat.entrants)

    def over() -> bool:
        under_way.difference_update([uuid for uuid in under_way if at_rest(uuid)])
        return not under_way

    def at_rest(uuid: str) -> bool:
        pair = heat.entrants[uuid].items()
        reasons = Counter(side.decision(name).get("reason") for name, side in pair)
        assert reasons[Reason.AS_SPECIFIED] < len(pair), f"both run: {heat.entrants[uuid].keys()}"
        return reasons == {Reason.AS_SPECIFIED: 1, Reason.GPU_QUEUED: 1}

    process.until(over, f"one runs and one waits for each of {under_way}", LONGEST)


def judge(heat: Heat, chronicle: herd.Chronicle) -> tuple[int, int]:
    """In how many races there were two containers, and how many were withdrawn; only one ever started."""
    contested = withdrawn = 0
    for pair in heat.entrants.values():
        starts = [one.workspace for name in pair for one in chronicle.of("start", workspace=name)]
        assert len(starts) == 1, f"of {set(pair)} started: {starts}"
        (loser,) = set(pair) - set(starts)
        assert starts[0] in pair[loser].decision(loser)["message"], "it says who has what it waits for"
        made, removed = zip(*map(chronicle.counts, pair), strict=True)
        contested += all(made)
        withdrawn += sum(removed)
    return contested, withdrawn


def clear(heat: Heat, engine: dockerd_support.Dockerd) -> None:
    """Nothing is left of a heat."""
    for _, name, side in heat.each():
        (side.site.specs / f"{name}.yaml").unlink()
    docker = engine.client()
    for _, name, side in heat.each():
        side.controller.gone(name)
        for one in docker.containers(all=True, filters={"label": f"{herd.WORKSPACE}={name}"}):
            docker.remove_container(one["Id"], force=True)


@pytest.mark.parametrize(("heats", "races"), [(1, 8), pytest.param(10, 20, marks=pytest.mark.full)])
def test_of_two_who_want_one_device_at_once_only_one_starts(
    sides: tuple[Side, ...], engine_hook: gpus.GpuDockerd, heats: int, races: int
) -> None:
    contested = withdrawn = 0
    for number in range(heats):
        heat = Heat.of(number, races, sides)
        with herd.listening(engine_hook) as chronicle:
            run(heat)
            found = judge(heat, chronicle)
        contested, withdrawn = contested + found[0], withdrawn + found[1]
        clear(heat, engine_hook)
    print(f"{heats * races} races, {contested} of them with two containers, {withdrawn} withdrawals")
    assert withdrawn >= contested >= heats * races // 4, "two of three are made to be close"
