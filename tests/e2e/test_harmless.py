"""What goes wrong around running workspaces stops none of them: lost specs, clocks, dead Engines, doubles."""

import contextlib
import itertools
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import clocks, herd, plans, process, proxy
from tests.support import dockerd as dockerd_support

MakeSite = Callable[[dockerd_support.Dockerd], process.Site]
AT_ONCE: process.Tree = {"lifecycle": {"changes": "Immediate", "stopGrace": "1s"}}
DAY = 86400
PASS = ("controller", "pass")


def passes(controller: process.Controller, count: int) -> None:
    """Lets so many passes go by."""

    def made() -> float:
        found = controller.metrics().items()
        return sum(n for (name, labels), n in found if name == "reconcile_total" and PASS in labels)

    wanted = made() + count
    controller.until(lambda: made() >= wanted, f"{count} passes")


@contextlib.contextmanager
def mounted(path: Path) -> Iterator[Path]:
    """A file system of its own at a place, which the caller may take away before the end."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "specs", str(path)], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=False, capture_output=True)


def test_specs_that_are_lost_by_accident_stop_none_of_thirty_workspaces(
    site: process.Site, engine: dockerd_support.Dockerd
) -> None:
    site.configure(safety={"deletionGrace": "1s"})
    herd.tag(engine, "1")
    with mounted(site.specs):
        names = herd.gather(site, 30)
        controller = site.run().ready()
        for name in names:
            controller.runs(name)
        before = herd.lives(engine)
        assert len(before) == len(names)

        copy = site.root / "copy"
        shutil.copytree(site.specs, copy)
        subprocess.run(["umount", "-l", str(site.specs)], check=True)
        held = controller.decided(names[-1], "RemovalsHeld")
        assert "wharf approve" in held["message"]
        passes(controller, 3)
        assert herd.lives(engine) == before, "an unmounted directory stops nothing"

    for path in copy.iterdir():
        shutil.copy(path, site.specs)
    for name in names:
        controller.runs(name)

    for path in site.specs.iterdir():
        path.unlink()
    for name in names:
        controller.decided(name, "RemovalsHeld")
    passes(controller, 3)
    assert herd.lives(engine) == before, "specs that are removed all at once stop nothing"
    chosen, *others = names
    approved = site.wharf("approve", chosen)
    assert approved.code == 0, approved
    controller.gone(chosen)
    passes(controller, 3)
    left = {name: found for name, found in before.items() if name != f"workspace-{chosen}"}
    assert herd.lives(engine) == left, "an approval is for one"
    for name in others:
        assert controller.status(name)["decision"]["reason"] == "RemovalsHeld"

    shutil.rmtree(site.specs)
    passes(controller, 3)
    assert herd.lives(engine) == left, "a directory that is gone stops nothing"
    controller.kill()
    again = site.run()
    again.decided(others[0], "RemovalsHeld")
    passes(again, 2)
    assert herd.lives(engine) == left, "nor does a controller that starts without it"


def test_a_clock_that_is_a_day_behind_or_ahead_disturbs_nothing(
    site: process.Site, engine: dockerd_support.Dockerd
) -> None:
    site.spec("calm")
    site.spec("changed", AT_ONCE)
    site.spec("resting")
    site.spec("leaving")
    first = site.run().ready()
    for name in ("calm", "changed", "resting", "leaving"):
        first.runs(name)
    site.spec("changed", {**AT_ONCE, "image": "second"})
    assert site.wharf("stop", "resting").code == 0
    (site.specs / "leaving.yaml").unlink()
    first.gone("leaving")
    first.until(lambda: len(engine.client().containers(all=True)) == 5, "it is replaced")
    first.runs("changed")
    assert first.stop()[0] == 0
    before = clocks.everything(engine)
    with herd.listening(engine) as chronicle:
        for shift in (-DAY, DAY):
            other = site.run(**clocks.shifted(shift)).ready()
            for name in ("calm", "changed"):
                other.runs(name)
            other.decided("resting", "StoppedByRequest")
            passes(other, 3)
            stamp = other.said("controller_started")["timestamp"]
            assert clocks.day(stamp) == clocks.today(shift), "the clock was really another one"
            assert other.stop()[0] == 0
        assert clocks.everything(engine) == before
        assert chronicle.of("create", "start", "die", "destroy", "rename") == []


def test_a_second_controller_amid_a_change_ends_and_nothing_is_doubled(
    site: process.Site, engine: dockerd_support.Dockerd
) -> None:
    site.spec("only", AT_ONCE)
    first = site.run().ready()
    first.runs("only")
    with herd.listening(engine) as chronicle:
        site.spec("only", {**AT_ONCE, "image": "second"})
        first.until(lambda: chronicle.of("rename"), "the change has begun")
        second = site.run()
        assert second.process.wait(timeout=process.DEADLINE) == 5
        assert "another controller uses" in second.said_at_the_end("engine_occupied")["error"]
        first.until(lambda: len(chronicle.of("start")) == 1, "the new one is started")
        first.runs("only")
        assert chronicle.counts("only") == (1, 0)
        assert len(chronicle.of("die")) == 1
    assert site.wharf("get", "workspaces", "only").code == 0, "the first one still answers"


def _overlaps(chronicle: herd.Chronicle) -> list[str]:
    """Workspaces of which two containers ran at the same time."""
    running: set[str] = set()
    workspaces = {one.container: one.workspace for one in chronicle.happenings}
    found = []
    for one in chronicle.of("start", "die"):
        if one.action == "die":
            running.discard(one.container)
            continue
        running.add(one.container)
        if sum(workspaces.get(other) == one.workspace for other in running) > 1:
            found.append(one.workspace)
    return found


def _all_run(controllers: list[process.Controller], names: list[str]) -> None:
    for controller, name in itertools.product(controllers, names):
        controller.ready().runs(name)


def test_two_controllers_without_a_lock_double_nothing_and_lose_nothing(
    engine: dockerd_support.Dockerd, make_site: MakeSite
) -> None:
    """The lock is one line of defence; names, claims and comparisons are the others."""
    one, other = make_site(engine), make_site(engine)
    names = [f"twin-{number}" for number in range(4)]
    one.spec("seed")
    first = one.run_apart().ready()
    first.runs("seed")
    assert first.stop()[0] == 0
    shutil.copytree(one.state, other.state)
    other.configure(slices={"root": one.slices})
    other.spec("seed")
    with herd.listening(engine) as chronicle:
        for site, name in itertools.product((one, other), names):
            site.spec(name, AT_ONCE)
        both = [site.run_apart() for site in (one, other)]
        _all_run(both, names)
        made = {item["Names"][0] for item in engine.client().containers(all=True)}
        assert made == {f"/workspace-{name}" for name in ("seed", *names)}
        ran = {happening.container for happening in chronicle.of("start")}

        for site, name in itertools.product((one, other), names):
            site.spec(name, {**AT_ONCE, "image": "second"})
        wanted = {f"workspace-{name}": "wharf-sample:2" for name in names}
        both[0].until(lambda: wanted.items() <= herd.running(engine).items(), "all are replaced", deadline=90)
        _all_run(both, names)
        passes(both[0], 3)
        assert sorted(herd.running(engine)) == sorted(f"workspace-{name}" for name in ("seed", *names))
        assert _overlaps(chronicle) == []
        ever = {happening.container for happening in chronicle.of("start")}
        lost = {happening.container for happening in chronicle.of("destroy")} & ever
        assert lost == set(), "what has run is kept"
        assert len(ever) == 2 * len(ran), "each was replaced once"


@pytest.mark.parametrize("at", [pytest.param(1, marks=pytest.mark.full), 3])
def test_an_engine_that_dies_amid_a_change_finds_it_finished_later(
    own_dockerd: dockerd_support.Dockerd, make_site: MakeSite, at: int
) -> None:
    between = proxy.Proxy(own_dockerd.socket)
    site = make_site(own_dockerd)
    site.configure(docker={"host": between.url, "requestTimeout": "5s"})
    try:
        site.spec("work", AT_ONCE)
        site.spec("calm")
        controller = site.run().ready()
        controller.runs("work")
        controller.runs("calm")
        calm = herd.lives(own_dockerd)["workspace-calm"]
        image = "wharf-sample:2"
        met = plans.Trigger(operation=plans.CHANGES, nth=at)
        fault = plans.Fault(on=met, boundary=plans.Boundary.APPLIED, do=plans.Deed.KILL_ENGINE)
        between.follow((fault,), {plans.Deed.KILL_ENGINE: own_dockerd.kill9})
        site.spec("work", {**AT_ONCE, "image": {"reference": image}})
        process.until(between.struck.is_set, f"change {at}")
        own_dockerd.start()
        controller.until(
            lambda: herd.running(own_dockerd).get("workspace-work") == image,
            f"{image} runs after the Engine died at change {at}",
            deadline=60,
        )
        controller.runs("work")
        assert len(own_dockerd.client().containers(all=True)) == 3, "each was made once and is kept"
        assert herd.lives(own_dockerd)["workspace-calm"] == calm
    finally:
        site.close()
        between.close()
