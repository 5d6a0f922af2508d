"""Whatever happens at any request to the Engine, a change ends as it would have, with nothing made twice.

The oracle: what is on the Engine at the end, and the numbers of containers made and removed, are those of the
same story without harm.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from tests.support import dockerd as dockerd_support
from tests.support import herd, kills
from tests.support.kills import Case, Ending, Fate

pytestmark = pytest.mark.engine

AT_ONCE = 8
"""Stories are mostly waits: a replacement must run for 10 s."""
CALM = {story.name: Case(story, 0, Fate.CALM) for story in kills.STORIES}
KILLED = [
    Case(story, at, fate)
    for story in kills.STORIES
    for at in range(len(story.requests))
    for fate in (Fate.KILLED_BEFORE, Fate.KILLED_AFTER)
]
UNANSWERED = [
    Case(story, at, fate)
    for story in kills.STORIES
    if story.name in {"create", "replace"}
    for at in range(len(story.requests))
    for fate in (Fate.CUT, Fate.LATE)
]
Endings = Callable[[Case], Ending]


def _parameters(cases: list[Case]) -> list[Any]:  # the library does not publish the type
    return [pytest.param(case, id=case.id, marks=[pytest.mark.full] * _rare(case)) for case in cases]


def _rare(case: Case) -> bool:
    """Whether its like is among the others.

    To the Engine, before one request is after the one before it, and before the first of a change before that
    of any other; what fails begins as any other replacement; a late answer is cut off in the end.
    """
    match case.fate:
        case Fate.KILLED_BEFORE:
            return case.at > 0 or case.story.name in {"failure", "rollback"}
        case Fate.KILLED_AFTER:
            return case.story.name == "failure" and case.at < len(kills.REPLACING) - 1
        case Fate.LATE:
            return case.story.name == "replace" and case.story.requests[case.at] in {
                kills.CREATE,
                kills.START,
            }
        case _:
            return True


def _case(item: pytest.Function) -> Case:
    case = item.callspec.params["case"]
    assert isinstance(case, Case)
    return case


@pytest.fixture(scope="module")
def killed_dockerd() -> Iterator[dockerd_support.Dockerd]:
    """An Engine of these stories' own: one whose clients die amid their calls may miscount what is in use."""
    dockerd_support.remove_leftovers()
    started = dockerd_support.Dockerd(dockerd_support.BASE / f"{os.getpid()}-kills")
    try:
        started.start()
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="module")
def ending(
    killed_dockerd: dockerd_support.Dockerd,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Endings]:
    """Tells how a case ends; all that are wanted are under way at the same time, each with its controller."""
    items = [item for item in request.session.items if item.nodeid.startswith(request.node.nodeid)]
    chosen = [_case(item) for item in items if isinstance(item, pytest.Function)]
    stories = {case.story.name for case in chosen}
    cases = {case.id: case for case in (*(CALM[name] for name in CALM if name in stories), *chosen)}
    order = sorted(cases.values(), key=lambda case: kills.STORIES.index(case.story))
    root = tmp_path_factory.mktemp("kills")
    with herd.listening(killed_dockerd) as chronicle, ThreadPoolExecutor(AT_ONCE) as pool:
        stage = kills.Stage(killed_dockerd, chronicle, killed_dockerd.free_subnet())
        futures: dict[str, Future[Ending]] = {
            case.id: pool.submit(kills.play, case, root / case.id, stage) for case in order
        }
        yield lambda case: futures[case.id].result()
        for future in futures.values():
            future.cancel()


def _same(found: Ending, calm: Ending) -> None:
    assert found.containers == calm.containers
    assert (found.made, found.removed) == (calm.made, calm.removed)


@pytest.mark.parametrize("case", list(CALM.values()), ids=lambda case: case.id)
def test_a_story_takes_these_requests(case: Case, ending: Endings) -> None:
    assert tuple(ending(case).requests) == case.story.requests


@pytest.mark.parametrize("case", _parameters(KILLED))
def test_a_kill_at_any_request_changes_neither_the_end_nor_what_is_made(case: Case, ending: Endings) -> None:
    _same(ending(case), ending(CALM[case.story.name]))


@pytest.mark.parametrize("case", _parameters(UNANSWERED))
def test_an_answer_that_never_comes_changes_neither_the_end_nor_what_is_made(
    case: Case, ending: Endings
) -> None:
    _same(ending(case), ending(CALM[case.story.name]))
