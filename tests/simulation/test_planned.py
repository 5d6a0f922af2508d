"""Each deed of a plan file means at the simulated Engine what it means at the proxy."""

from datetime import UTC, datetime

import pytest

from controller.engine.transport import Answer, Request, Silence, UnansweredError
from tests.simulation.carrier import Call
from tests.simulation.engine import PERSON, WatchedEngine
from tests.simulation.planned import InexpressibleError, PlannedWire, path_of
from tests.support import plans
from tests.support.plans import Boundary, Deed, Fault, Trigger

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CREATE = Request("create_container", "POST", "/containers/create", {"name": "one"}, {"Image": "sample:1"})
LIST = Request("list_containers", "GET", "/containers/json", {"all": "1"})


class Rig:
    """One call at a time; `kills` are the deeds that were left to somebody."""

    def __init__(self, *plan: Fault) -> None:
        self.now = 0.0
        self.kills: list[Deed] = []
        self.engine = WatchedEngine(lambda: NOW, lambda: NOW, b"key")
        self.engine.add_image("sample:1")
        hands = {Deed.KILL_CONTROLLER: self._kill, Deed.KILL_ENGINE: self._cut}
        self.wire = PlannedWire(self.engine, lambda: self.now, plan, hands)

    def _kill(self) -> None:
        self.kills.append(Deed.KILL_CONTROLLER)
        self.wire.abandon("owner")

    def _cut(self) -> None:
        self.kills.append(Deed.KILL_ENGINE)
        self.wire.cut()

    def ask(self, request: Request, *, opens_stream: bool = False) -> object:
        """What who asks gets, or None if it died."""
        got: list[object] = []
        call = Call(request, PERSON, "owner", got.append, opens_stream)
        self.wire.calls.append(call)
        while call in self.wire.calls:
            self.now = max(self.now, call.due)
            self.wire.advance(call)
        return got[0] if got else None

    def outcome(self, request: Request) -> str:
        """The same in a word."""
        got = self.ask(request)
        if isinstance(got, UnansweredError):
            return got.silence.value
        return str(got.status) if isinstance(got, Answer) else "dead"


def fault(boundary: Boundary, do: Deed, seconds: float = 1.0, at_byte: int = 20) -> Fault:
    on = Trigger(operation="POST containers/create")
    return Fault(on=on, boundary=boundary, do=do, seconds=seconds, status=503, at_byte=at_byte)


MEANING = {
    (Boundary.RECEIVED, Deed.DELAY): (True, "201"),
    (Boundary.RECEIVED, Deed.DROP): (False, Silence.BROKEN.value),
    (Boundary.RECEIVED, Deed.TIMEOUT): (False, Silence.TIMEOUT.value),
    (Boundary.RECEIVED, Deed.ANSWER): (False, "503"),
    (Boundary.RECEIVED, Deed.KILL_CONTROLLER): (False, "dead"),
    (Boundary.RECEIVED, Deed.KILL_ENGINE): (False, Silence.BROKEN.value),
    (Boundary.APPLIED, Deed.DELAY): (True, "201"),
    (Boundary.APPLIED, Deed.DROP): (True, Silence.BROKEN.value),
    (Boundary.APPLIED, Deed.TIMEOUT): (True, Silence.TIMEOUT.value),
    (Boundary.APPLIED, Deed.ANSWER): (True, "503"),
    (Boundary.APPLIED, Deed.TRUNCATE): (True, Silence.BROKEN.value),
    (Boundary.APPLIED, Deed.KILL_CONTROLLER): (True, "dead"),
    (Boundary.APPLIED, Deed.KILL_ENGINE): (True, Silence.BROKEN.value),
    (Boundary.ANSWERED, Deed.KILL_CONTROLLER): (True, "201"),
    (Boundary.ANSWERED, Deed.KILL_ENGINE): (True, "201"),
}
"""Whether the Engine has done it, and what the controller got."""


def test_every_deed_that_a_plan_can_name_has_a_meaning() -> None:
    assert set(MEANING) == {(boundary, do) for boundary, deeds in plans.LEGAL.items() for do in deeds}


@pytest.mark.parametrize(("boundary", "do"), MEANING, ids=lambda word: word.value)
def test_a_deed_is_done_at_its_boundary(boundary: Boundary, do: Deed) -> None:
    planned = fault(boundary, do)
    rig = Rig(planned)
    outcome = rig.outcome(CREATE)
    assert (rig.engine.find("one") is not None, outcome) == MEANING[boundary, do]
    assert rig.wire.struck == [planned]
    assert rig.kills == [do] * (do in {Deed.KILL_CONTROLLER, Deed.KILL_ENGINE})


@pytest.mark.parametrize(("do", "seconds"), [(Deed.DELAY, 7.0), (Deed.TIMEOUT, CREATE.timeout)])
def test_what_comes_late_takes_its_time(do: Deed, seconds: float) -> None:
    rig = Rig(fault(Boundary.APPLIED, do, seconds=7.0))
    rig.ask(CREATE)
    assert rig.now == seconds


def test_only_the_requests_that_are_meant_are_met() -> None:
    lists = Trigger(path="/containers/json*", nth=1, times=2)
    planned = Fault(on=lists, boundary=Boundary.RECEIVED, do=Deed.ANSWER, status=500)
    rig = Rig(planned)
    assert [rig.outcome(request) for request in (LIST, CREATE, LIST, LIST, LIST)] == [
        "200",
        "201",
        "500",
        "500",
        "200",
    ]
    assert rig.wire.requests == ["POST containers/create"]
    assert plans.missed((planned,), rig.wire.struck) == []


def test_a_fault_that_meets_too_little_is_told() -> None:
    planned = Fault(on=Trigger(path="/containers/json*", times=3), boundary=Boundary.RECEIVED, do=Deed.DROP)
    rig = Rig(planned)
    rig.ask(LIST)
    (told,) = plans.missed((planned,), rig.wire.struck)
    assert told.startswith("1 of 3 times")


def test_a_path_is_as_it_goes_over_a_socket() -> None:
    assert path_of(CREATE) == "/containers/create?name=one"
    assert path_of(Request("info", "GET", "/info")) == "/info"


@pytest.mark.parametrize(
    "planned",
    [
        fault(Boundary.RECEIVED, Deed.DELAY, seconds=60),
        fault(Boundary.APPLIED, Deed.TRUNCATE, at_byte=5000),
    ],
    ids=["longer than anybody waits", "behind the end"],
)
def test_what_only_bytes_can_tell_is_refused(planned: Fault) -> None:
    with pytest.raises(InexpressibleError):
        Rig(planned).ask(CREATE)


def test_a_stream_cannot_be_cut_amid_its_lines() -> None:
    cut = Fault(on=Trigger(), boundary=Boundary.APPLIED, do=Deed.TRUNCATE, at_byte=1)
    pull = Request("pull", "POST", "/images/create", {"fromImage": "sample", "tag": "1"})
    rig = Rig(cut)
    rig.engine.registry["sample:1"] = rig.engine.images["sample:1"]
    with pytest.raises(InexpressibleError):
        rig.ask(pull, opens_stream=True)


def test_an_answer_without_a_body_cannot_be_cut() -> None:
    cut = Fault(on=Trigger(), boundary=Boundary.APPLIED, do=Deed.TRUNCATE, at_byte=2)
    rig = Rig(cut)
    rig.engine.by_hand("POST", "/containers/create", {"name": "one"}, {"Image": "sample:1"})
    with pytest.raises(InexpressibleError):
        rig.ask(Request("rename", "POST", "/containers/one/rename", {"name": "two"}))
