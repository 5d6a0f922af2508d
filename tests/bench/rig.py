"""Knows the Engine and the directory that a run measures in, and how both are emptied between measurements.

It refuses to use an Engine that was there before.
"""

import contextlib
import dataclasses
import itertools
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.bench import fleet, floor, keeper, watching
from tests.support import dockerd

_numbers = itertools.count(1)


@dataclasses.dataclass
class Rig:
    """One run's surroundings."""

    url: str
    subnet: str
    base: Path
    homes: Path
    watch: watching.Watch

    @contextlib.contextmanager
    def controller(self, settings: Mapping[str, object], url: str | None = None) -> Iterator[keeper.Keeper]:
        """A controller that is up and has seen an empty spec directory; ended and discarded afterwards."""
        place = self.prepare(settings, url)
        kept = keeper.Keeper(place)
        try:
            kept.wait_ready()
            keeper.wait_for("three passes", lambda: kept.passes() >= 3, 30)
            yield kept
        finally:
            kept.stop()
            floor.remove_all(self.url, ("workspace-",))
            fleet.discard(place)

    def prepare(self, settings: Mapping[str, object], url: str | None = None) -> fleet.Place:
        """The files of a new controller."""
        return fleet.prepare(self.base / f"c{next(_numbers)}", url or self.url, self.subnet, settings)

    def bring_up(self, kept: keeper.Keeper, names: tuple[str, ...]) -> None:
        """Have these workspaces run."""
        mark = self.watch.mark()
        fleet.rename_in(kept.place, names)
        self.watch.wait(mark, is_start, len(names))


def is_start(event: watching.Event) -> bool:
    """A workspace of the controller, or a bare container, runs."""
    return event.action == "start"


@contextlib.contextmanager
def open_rig() -> Iterator[Rig]:
    """A private Engine with the image, and a directory that only root can change; removed afterwards."""
    engine = dockerd.Dockerd(dockerd.BASE / f"{os.getpid()}-bench")
    with contextlib.ExitStack() as stack:
        stack.callback(engine.stop)
        engine.start()
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/run", prefix="wharf-bench-")))
        homes = base / "homes"
        homes.mkdir()
        watch = watching.Watch(engine.base_url)
        stack.callback(watch.close)
        yield Rig(engine.base_url, engine.free_subnet(), base, homes, watch)
