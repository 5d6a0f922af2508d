"""A plan file says what goes wrong; what cannot happen is refused when it is read."""

import random

import pytest

from tests.chaos import acts
from tests.support import plans

TEXT = """\
- on: {operation: POST containers/start, nth: 2}
  boundary: applied
  do: kill-controller
- on: {path: /containers/json*, times: 5}
  boundary: received
  do: answer
  status: 503
"""


def test_a_plan_is_the_same_after_it_was_written_and_read() -> None:
    plan = plans.parse(TEXT)
    assert [fault.do for fault in plan] == [plans.Deed.KILL_CONTROLLER, plans.Deed.ANSWER]
    assert (plan[0].on.nth, plan[1].on.times, plan[1].status) == (2, 5, 503)
    assert plans.parse(plans.word(plan)) == plan
    assert plans.parse(plans.word(())) == plans.parse("") == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("- {on: {}, boundary: answered, do: drop}", "drop is not possible at answered"),
        ("- {on: {}, boundary: received, do: truncate}", "truncate is not possible at received"),
        ("- {on: {}, boundary: received, do: answer, status: 404}", "409, 500 or 503"),
        ("- {on: {}, boundary: received, do: explode}", "kill-controller"),
        ("- {on: {name: alice}, boundary: received, do: drop}", "name"),
        ("- {boundary: received, do: drop}", "on"),
        ("- [", "not YAML"),
    ],
)
def test_what_cannot_happen_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        plans.parse(text)


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", "/containers/3f/stop?t=1", "POST containers/stop"),
        ("POST", "/containers/create?name=workspace-a", "POST containers/create"),
        ("DELETE", "/containers/3f?v=0", "DELETE containers"),
        ("GET", "/_ping", "GET _ping"),
    ],
)
def test_a_request_has_a_short_name(method: str, path: str, name: str) -> None:
    assert plans.name_of(method, path) == name


def test_patterns_choose_requests() -> None:
    changes = plans.Trigger(operation=plans.CHANGES)
    assert changes.matches("POST", "/containers/3f/start")
    assert changes.matches("DELETE", "/containers/3f")
    assert not changes.matches("GET", "/containers/json?all=1")
    alice = plans.Trigger(path="/containers/create[?]name=workspace-alice")
    assert alice.matches("POST", "/containers/create?name=workspace-alice")
    assert not alice.matches("POST", "/containers/create?name=workspace-bob")
    second = plans.Trigger(nth=1, times=2)
    assert [second.is_due(number) for number in range(4)] == [False, True, True, False]


def test_a_plan_of_chance_can_be_kept_and_played_again() -> None:
    found = [acts.random_plan(random.Random(seed)) for seed in range(200)]
    assert [plans.parse(plans.word(plan)) for plan in found] == found
    assert acts.random_plan(random.Random(7)) == found[7]
    faults = {(fault.boundary, fault.do) for plan in found for fault in plan}
    wanted = {(boundary, deed) for boundary, deeds in plans.LEGAL.items() for deed in deeds}
    assert faults == {one for one in wanted if one[1] is not plans.Deed.KILL_ENGINE}
