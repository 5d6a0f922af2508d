"""One plan file, two Engines: what goes wrong at a request ends alike before a simulated and a real one.

The oracle: what is on the Engine at the end, and the numbers of containers made and removed, are those of the
same workload when nothing goes wrong; where only looks fail, so are the changing requests. Every fault of the
plan was done as often as it says.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.faults import real, registry, simulated, workload
from tests.faults.workload import CALM, Ending, Story
from tests.support import dockerd as dockerd_support
from tests.support import herd, plans, proxy

AT_ONCE = 8
"""Stories are mostly waits: a replacement must run for 10 s."""
SEEDS = range(5)
STORIES = [workload.tell(path) for path in workload.FILES]
RARE = {
    "engine-killed-before-stop",
    "inspects-late-and-lost",
    "kill-behind-rename",
    "lists-answer-500",
    "pull-cut",
    "start-lost-and-refused",
    "two-kills-in-a-replacement",
}
"""Stories that have a like among the others or in test_kills.py, or that wait long until a new attempt."""
Endings = Callable[[Story], Ending]


def _same(story: Story, found: Ending) -> None:
    calm = simulated.play(story.calm)
    assert found.missed == ()
    assert found.standings == calm.standings
    assert (found.made, found.removed) == (calm.made, calm.removed)
    if story.only_blinds:
        assert found.requests == calm.requests


def _stories(items: Sequence[pytest.Item]) -> Iterator[Story]:
    """Return the stories that are to be told on real Engines."""
    for item in items:
        if isinstance(item, pytest.Function) and {"story", "ending"} <= set(item.fixturenames):
            story = item.callspec.params["story"]
            assert isinstance(story, Story)
            yield story


def _parameters() -> list[Any]:  # the library does not publish the type
    return [
        pytest.param(story, id=story.name, marks=[pytest.mark.full] * (story.name in RARE))
        for story in STORIES
    ]


@pytest.fixture(scope="module")
def shared_dockerd() -> Iterator[dockerd_support.Dockerd]:
    """An Engine of these stories' own: one whose clients die amid their calls may miscount what is in use."""
    dockerd_support.remove_leftovers()
    started = dockerd_support.Dockerd(dockerd_support.BASE / f"{os.getpid()}-faults")
    try:
        started.start()
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="module")
def ending(
    shared_dockerd: dockerd_support.Dockerd,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Endings]:
    """Tells how a story ends; all that are wanted go on at the same time, each with its controller."""
    items = [item for item in request.session.items if item.nodeid.startswith(request.node.nodeid)]
    order = sorted((CALM, *_stories(items)), key=lambda story: not story.kills_engine)
    root = tmp_path_factory.mktemp("faults")
    with (
        herd.listening(shared_dockerd) as chronicle,
        registry.serving(shared_dockerd, "wharf-sample:2") as address,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        stage = real.Stage(shared_dockerd, chronicle, shared_dockerd.free_subnet())
        futures: dict[str, Future[Ending]] = {}
        for story in (replace(one, registry=address) for one in order):
            where = root / story.name
            if story.kills_engine:
                futures[story.name] = pool.submit(real.play_alone, story, where)
            else:
                futures[story.name] = pool.submit(real.play, story, where, stage)
        yield lambda story: futures[story.name].result()
        for future in futures.values():
            future.cancel()


@pytest.mark.parametrize("path", workload.FILES, ids=lambda path: path.stem)
def test_a_plan_file_says_what_its_story_is(path: Path) -> None:
    assert path.read_text().startswith("# ")
    assert workload.tell(path).plan


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_a_fault_of_the_simulated_engine_changes_neither_the_end_nor_what_is_made(story: Story) -> None:
    for seed in SEEDS:
        _same(story, simulated.play(story, seed))


@pytest.mark.engine
def test_both_engines_are_asked_for_the_same_when_nothing_goes_wrong(ending: Endings) -> None:
    assert ending(CALM) == simulated.play(CALM)


@pytest.mark.engine
@pytest.mark.parametrize("story", _parameters())
def test_a_fault_before_a_real_engine_ends_as_before_the_simulated_one(story: Story, ending: Endings) -> None:
    _same(story, ending(story))


@pytest.mark.engine
def test_a_cut_behind_the_end_of_an_answer_is_no_fault_that_was_done(
    shared_dockerd: dockerd_support.Dockerd,
) -> None:
    plan = plans.parse("- {on: {path: /version}, boundary: applied, do: truncate, at_byte: 1000000}")
    between = proxy.Proxy(shared_dockerd.socket)
    try:
        between.follow(plan)
        client = docker.APIClient(base_url=between.url, version="1.41")
        assert client.version(api_version=False)["ApiVersion"]
        client.close()
        assert len(plans.missed(plan, between.strikes())) == 1
    finally:
        between.close()
