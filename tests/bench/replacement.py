"""Knows for how long a workspace is away while one container takes the place of another.

From the signal that ends the old container to the start of the new one, by the Engine's own times. It refuses
to count what comes before and after: then one of the two runs.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import docker

from tests.bench import fleet, floor
from tests.bench.figures import Figure, percentile
from tests.bench.keeper import Keeper
from tests.bench.rig import Rig

FREELY = {"safety.maxDisruptionsPerMinute": 1000, "safety.maxDisruptionsPercent": 100}
CHANGE = "  env: {CHANGED: yes}\n  lifecycle: {changes: Immediate}\n...\n"


def downtimes(rig: Rig, samples: int) -> Iterator[Figure]:
    """Replacements by the controller, each beside a bare stop and start of two containers."""
    names = fleet.names("r", samples)
    with rig.controller(FREELY) as kept, contextlib.ExitStack() as stack:
        rig.bring_up(kept, names)
        engine = stack.enter_context(contextlib.closing(docker.APIClient(base_url=rig.url, version="auto")))
        bare = floor.Floor(rig.url, rig.homes)
        stack.callback(bare.close)
        stack.callback(floor.remove_all, rig.url, (floor.PREFIX,))
        ours, alone = [], []
        for number, name in enumerate(names):
            alone.append(_bare(rig, bare, engine, number))
            ours.append(_replaced(rig, kept, name))
    least = percentile(alone, 0.5)
    beyond = tuple(one - least for one in ours)
    title = "downtime of a replacement"
    yield Figure("9", f"{title}, beyond a bare stop and start's median", "ms", beyond, "p95", 200.0)
    yield Figure("9", title, "ms", tuple(ours), "p95")
    yield Figure("9", "the same by a bare stop and start", "ms", tuple(alone), "p95")


def _replaced(rig: Rig, kept: Keeper, name: str) -> float:
    """Milliseconds for which a workspace is away while its environment changes."""
    mark = rig.watch.mark()
    text = fleet.SPEC.format(name=name).removesuffix("...\n") + CHANGE.replace("yes", '"yes"')
    new = kept.place.base / f"{name}.yaml"
    new.write_text(text, encoding="utf-8")
    new.rename(kept.place.specs / new.name)
    return _away(rig, mark, f"workspace-{name}")


def _bare(rig: Rig, bare: floor.Floor, engine: Any, number: int) -> float:  # noqa: ANN401 - its types lack this call
    """Milliseconds between the same two events when nothing is done but a stop and a start."""
    old = bare.make(number)
    name = f"{floor.PREFIX}{number:04}"
    engine.rename(old, f"{name}.old")
    new = engine.create_container_from_config(floor.body(name, 15000 + number, rig.homes), name)
    mark = rig.watch.mark()
    engine.stop(old, timeout=2)
    engine.start(new["Id"])
    away = _away(rig, mark, name)
    engine.remove_container(new["Id"], force=True)
    engine.remove_container(old, force=True)
    return away


def _away(rig: Rig, mark: int, name: str) -> float:
    """Milliseconds from the end of the old container to the start of the one that has its name."""
    start = rig.watch.wait(mark, lambda event: (event.action, event.name) == ("start", name))
    kill = rig.watch.wait(mark, lambda event: event.action == "kill" and event.name.startswith(f"{name}."))
    return 1000 * (start.at - kill.at)
