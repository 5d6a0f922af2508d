"""Knows what one pass costs inside the controller's own process: `python -m tests.bench.inside CONFIG COUNT`.

It builds the controller as the command does, lets it bring the fleet up, then makes passes by hand at times
of its own choosing and weighs them. It prints one JSON object. It refuses to change what it weighs.
"""

import argparse
import contextlib
import cProfile
import dataclasses
import gc
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import docker

from controller import footprint, manager, settings
from controller.model.plan import Verdict
from tests.bench import keeper

RESYNC = timedelta(seconds=15)


@dataclasses.dataclass
class Weigher:
    """Passes of one controller, weighed: processor seconds of all threads, and of the planning in them."""

    controller: Any
    planning: float = 0.0

    def __post_init__(self) -> None:
        planner = self.controller._reconciler._planner
        planner.plan = self._weighed(planner.plan)

    def _weighed(self, plan: Callable[..., Any]) -> Callable[..., Any]:
        def weighed(*arguments: object) -> object:
            before = time.thread_time()
            try:
                return plan(*arguments)
            finally:
                self.planning += time.thread_time() - before

        return weighed

    def make(self, now: datetime, cause: str) -> tuple[Any, float, float]:
        """Make a pass as of `now`: its report, processor seconds in all, and of planning."""
        self.planning = 0.0
        before = time.process_time()
        report = self.controller._reconciler.run_pass(now, cause)
        self.controller._tell(report)
        return report, time.process_time() - before, self.planning


def _settle(weigher: Weigher, count: int) -> float:
    """Make passes until the whole fleet is as specified; the seconds that took."""
    began = time.monotonic()

    def settled() -> bool:
        report, _, _ = weigher.make(manager.clock(), "resync")
        kept = [d for d in report.plan.decisions.values() if d.verdict is Verdict.KEEP]
        return len(kept) == count

    keeper.wait_for(f"{count} workspaces are as specified", settled, 240, 0.05)
    return time.monotonic() - began


def _weigh(weigher: Weigher, passes: int, step: timedelta, cause: str, url: str) -> dict[str, Any]:
    now = manager.clock() + (timedelta(hours=2) if step == RESYNC else timedelta(hours=1))
    weigher.make(now, cause)
    before = _counts(url)
    all_, planning = [], []
    for _ in range(passes):
        now += step
        report, cost, planned = weigher.make(now, cause)
        assert not any(d.actions for d in report.plan.decisions.values()), (
            "a pass with nothing to do had something"
        )
        all_.append(cost)
        planning.append(planned)
    calls = {name: value - before.get(name, 0) for name, value in _counts(url).items()}
    return {
        "all": all_,
        "planning": planning,
        "calls": {name: value / passes for name, value in calls.items()},
    }


def _counts(url: str) -> dict[str, int]:
    with contextlib.closing(docker.APIClient(base_url=url, version="1.41")) as client:
        answer: dict[str, int] = client.get(f"{client.base_url}/counts").json()
        return answer


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main(arguments: list[str]) -> int:
    """Weigh, and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("config", type=Path)
    parser.add_argument("count", type=int)
    parser.add_argument("--passes", type=int, default=20)
    parser.add_argument("--profile", type=Path)
    options = parser.parse_args(arguments)
    chosen = settings.load(options.config, {}, {})
    footprint.keep_small()
    with contextlib.ExitStack() as stack:
        controller = manager.Controller(chosen, stack)
        weigher = Weigher(controller)
        seconds = _settle(weigher, options.count)
        gc.collect()
        url = chosen.config.docker.host
        quiet = _weigh(weigher, options.passes, timedelta(milliseconds=1), "event", url)
        profile = cProfile.Profile()
        if options.profile:
            profile.enable()
        resync = _weigh(weigher, options.passes, RESYNC, "resync", url)
        if options.profile:
            profile.disable()
            profile.dump_stats(options.profile)
        print(json.dumps({"settled": seconds, "quiet": quiet, "resync": resync, "resident": _resident()}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
