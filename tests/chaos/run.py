"""Knows how a chaos run goes: something goes wrong, heals, and comes to rest with nothing lost.

It refuses to print: it gives figures, or the story of what went wrong.
"""

import contextlib
import dataclasses
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.chaos import acts, vitals, watch, writers
from tests.chaos import rig as rigs
from tests.chaos.acts import Act
from tests.chaos.rig import Rig, Row, ViolationError

LIMIT = 30.0
"""Seconds from the healing of a fault until all is as specified."""
PATIENCE = 60.0
"""Seconds for which that is waited for, to be able to say how long it took."""
START = 90.0
STEP = 0.1
LINES = 40


@dataclass(frozen=True)
class Result:
    """What a run found: figures, what was done, and the story of a violation if there was one."""

    figures: dict[str, Any]
    acts: list[str]
    story: str

    @property
    def line(self) -> str:
        """The figures that count."""
        found, healed = self.figures, self.figures.get("healed s", {})
        rest = ", ".join(f"{name} {seconds} s" for name, seconds in healed.items()) or "never"
        return (
            f"{found['rounds']} rounds, {found['controller_kills']} controller kills, "
            f"{found['engine_kills']} Engine kills; {found['lost_bytes']} bytes lost, "
            f"{found['doubled']} doubled, {found['removed']} removed; at rest after {rest}"
        )


@dataclass
class Run:
    """One run on one host."""

    rig: Rig
    rng: random.Random
    watched: watch.Watch

    def settle(self, what: str, began: float, patience: float = PATIENCE) -> float:
        """Wait until all is as specified and every writer writes; seconds since `began`.

        Raises:
            ViolationError: it does not come to that.
        """
        before = {name: truth.acknowledged for name, truth in self.rig.truths.items()}
        while True:
            unsettled = self.rig.unsettled(self.rig.rows()) or [
                f"{name}: it does not write"
                for name, truth in self.rig.truths.items()
                if truth.acknowledged <= before[name]
            ]
            if not unsettled:
                return time.monotonic() - began
            controller = self.rig.controller
            if controller is not None and controller.process.poll() is not None:
                raise ViolationError(f"the controller ended by itself after {what}")
            if time.monotonic() - began > patience:
                raise ViolationError(f"not at rest {patience:.0f} s after {what}: {unsettled}")
            self.rig.over.wait(STEP)

    def judge(self, explained: frozenset[str]) -> None:
        """Compare all that is there with all that was there.

        Raises:
            ViolationError: something is lost, doubled, or was restarted without a cause.
        """
        rows = self.rig.rows()
        assert rows is not None
        self.watched.judge()
        self._judge_restarts(rows, explained)
        for name, place in self.rig.strangers.items():
            if self.rig.inspect(name).get("Id") != place:
                raise ViolationError(f"{name} is not ours, and is gone")
        uppers = self.rig.uppers(rows)
        try:
            values = sum(truth.judge(uppers[name]) for name, truth in self.rig.truths.items())
        except writers.LossError as error:
            self.rig.count.lost_bytes += writers.LINE * error.values
            raise ViolationError(f"lost: {error}") from None
        self.rig.count.values = values

    def _judge_restarts(self, rows: Sequence[Row], explained: frozenset[str]) -> None:
        for name in self.rig.names:
            found = self.rig.inspect(f"workspace-{name}")
            now, before = (found["Id"], found["State"]["StartedAt"]), self.rig.mains.get(name)
            self.rig.mains[name] = now
            if before is None or now == before:
                continue
            self.rig.count.restarts += 1
            if name not in explained:
                raise ViolationError(f"{name} was restarted without a cause: {before} -> {now}")
            if now[0] == before[0]:
                self.rig.ends[now[0]] = self.rig.ends.get(now[0], 0) + 1

    def round(self, act: Act) -> None:
        """One thing goes wrong, the controller is killed amid it, and all heals.

        Raises:
            ViolationError: a promise is broken.
        """
        rig, rng = self.rig, self.rng
        rig.tell(f"--- round {rig.count.rounds}: {act.__name__}")
        with act(rig, rng) as explained:
            rig.over.wait(rng.choice((rng.uniform(0, 0.3), rng.uniform(0, 2))))
            rig.kill_controller()
            if rng.random() < 1 / 2:
                rig.over.wait(rng.uniform(0, 1))
                rig.start_controller()
        if rig.controller is None:
            rig.start_controller()
        seconds = self.settle(act.__name__, time.monotonic())
        rig.tell(f"at rest after {seconds:.1f} s")
        rig.count.healed.append((act.__name__, seconds))
        rig.count.rounds += 1
        self.judge(explained)
        if seconds > LIMIT:
            raise ViolationError(f"at rest only {seconds:.1f} s after {act.__name__}")


def deal(rng: random.Random, deck: Sequence[Act]) -> Iterator[Act]:
    """Acts without end: each of the deck once, in any order, then again."""
    while True:
        yield from rng.sample(deck, len(deck))


def play(seed: int, seconds: float, workspaces: int = 8, script: Sequence[Act] = ()) -> Result:
    """Run for so long, or through a script of acts; figures, and a story if a promise was broken."""
    rng = random.Random(seed)
    with rigs.open_rig(workspaces) as rig:
        watched = watch.Watch(rig)
        run, figures = Run(rig, rng, watched), dict[str, Any]()
        watched.start()
        try:
            figures |= _play(run, seconds, script)
            story = ""
        except (ViolationError, AssertionError) as error:
            story = _story(run, error)
        finally:
            watched.stop()
        return Result(figures | _figures(run), rig.acts, story)


def _play(run: Run, seconds: float, script: Sequence[Act]) -> dict[str, Any]:
    rig = run.rig
    first = rig.start_controller()
    run.settle("the start", time.monotonic(), START)
    run.judge(frozenset(rig.names))
    before = vitals.of(first.process.pid)
    end = time.monotonic() + seconds
    for act in script or deal(run.rng, acts.DECK):
        if not script and time.monotonic() > end:
            break
        run.round(act)
    assert rig.controller is not None
    after = vitals.of(rig.controller.process.pid)
    vitals.compare(before, after)
    lists = vitals.list_times(rig)
    run.settle("the end", time.monotonic())
    run.judge(frozenset())
    return {
        "controller before": dataclasses.asdict(before),
        "controller after": dataclasses.asdict(after),
        "list ms": lists,
    }


def _figures(run: Run) -> dict[str, Any]:
    count = dataclasses.asdict(run.rig.count)
    healed = sorted(count.pop("healed"), key=lambda one: one[1])
    if healed:
        seconds = [one for _, one in healed]
        count["healed s"] = {
            "p50": round(statistics.median(seconds), 1),
            "p95": round(seconds[min(len(seconds) - 1, int(0.95 * len(seconds)))], 1),
            "max": round(seconds[-1], 1),
        }
        count["slowest s"] = {what: round(one, 1) for what, one in healed}
    watched = run.watched
    return count | {"doubled": watched.doubled, "removed": watched.removed, "looks": watched.looks}


def _story(run: Run, error: Exception) -> str:
    """What happened before a promise was broken, from everybody's view."""
    rig = run.rig
    logs = sorted(rig.site.root.glob("log-*.jsonl"), key=lambda path: path.stat().st_mtime)[-2:]
    parts = [("acts", rig.acts), ("containers, as listed", run.watched.changes)]
    parts += [(f"controller {path.stem}", path.read_text().splitlines()) for path in logs]
    with contextlib.suppress(Exception):  # an Engine that is broken has no more to say
        parts.append(
            ("Engine events", [_event(one) for one in rig.engine.events(time.time() - 60, time.time())])
        )
    parts.append(("Engine log", rig.engine.log.read_text(errors="replace").splitlines()))
    text = "\n".join(f"== {title}\n" + "\n".join(lines[-LINES:]) for title, lines in parts)
    return f"{text}\n== {type(error).__name__}: {error}"


def _event(one: dict[str, object]) -> str:
    actor = one["Actor"]
    assert isinstance(actor, dict)
    return f"{one['time']} {one['Type']} {one['Action']} {actor['Attributes'].get('name')} {actor['ID'][:12]}"
