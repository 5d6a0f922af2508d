"""Each promise of liveness is broken by something, and all are kept where all is well."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from controller.api.conditions import Reason
from controller.audit.evidence import Deed, Happening
from controller.model import actions
from controller.model.plan import Decision, Verdict
from tests.simulation import liveness

NOW = datetime(2026, 1, 1, tzinfo=UTC)
START = actions.CompleteRestart("alice")
GONE = {"alice": "alice has no container"}
WELL = liveness.Aftermath(
    seconds=700.0,
    due=100.0,
    wanted=("alice", "bob"),
    poisoned="",
    amiss={},
    at_work="",
    silent={},
    decisions={},
    settled=(0, 0),
)
STOPPED = Happening(NOW, "stop", "c1", "workspace-alice", "alice", by="controller")
PULLED = Deed(
    NOW, 1, 1, 0, "alice", "Create", "ContainerMissing", None, False, "PullImage", {}, "Succeeded", NOW
)


def _decided(verdict: Verdict, *to_do: actions.Action) -> Decision:
    return Decision("alice", verdict, Reason.CONTAINER_MISSING, "", actions=to_do)


@pytest.mark.parametrize(
    ("after", "broken"),
    [
        (WELL, []),
        (replace(WELL, amiss=GONE, settled=None), ["L1"]),
        (replace(WELL, amiss=GONE, seconds=99.0, settled=None), []),
        (replace(WELL, amiss=GONE, poisoned="alice"), []),
        (replace(WELL, at_work="an intent is open", settled=None), ["L1"]),
        (replace(WELL, happenings=[STOPPED]), ["L1"]),
        (replace(WELL, happenings=[STOPPED], settled=(1, 0)), []),
        (replace(WELL, happenings=[replace(STOPPED, by="person")]), []),
        (
            replace(WELL, amiss=GONE, poisoned="bob", decisions={"alice": _decided(Verdict.CREATE, START)}),
            ["L2"],
        ),
        (replace(WELL, amiss=GONE, poisoned="bob", decisions={"alice": _decided(Verdict.HOLD)}), ["L1"]),
        (replace(WELL, amiss={"carol": "carol still has a port"}), ["L3"]),
        (replace(WELL, amiss=GONE, poisoned="alice", silent={"alice": 21.0}), ["L6"]),
        (replace(WELL, amiss=GONE, poisoned="alice", silent={"alice": 19.0}), []),
        (replace(WELL, deeds=[PULLED]), ["L7"]),
        (replace(WELL, deeds=[PULLED], settled=(0, 1)), []),
        (replace(WELL, deeds=[replace(PULLED, workspace="route/alice")]), ["L7"]),
        (replace(WELL, deeds=[replace(PULLED, workspace="route/alice")], poisoned="alice"), []),
        (replace(WELL, deeds=[replace(PULLED, kind="RemoveContainer")]), []),
    ],
)
def test_a_promise_is_broken_by_what_is_not_as_it_says(after: liveness.Aftermath, broken: list[str]) -> None:
    assert [promise.id for promise in liveness.LIVENESS for _ in promise.check(after)] == broken


@pytest.mark.parametrize(
    ("decision", "silent"),
    [
        (None, True),
        (Decision("alice", Verdict.KEEP, Reason.AS_SPECIFIED, "a setting has no effect"), True),
        (Decision("alice", Verdict.HOLD, Reason.CONTAINER_MISSING, ""), True),
        (Decision("alice", Verdict.KEEP, Reason.STOPPED_BY_REQUEST, "stopped by root"), False),
        (_decided(Verdict.CREATE, START), False),
    ],
)
def test_a_decision_says_what_is_amiss_or_does_something_about_it(
    decision: Decision | None, silent: bool
) -> None:
    decisions = {"alice": decision} if decision else {}
    assert list(liveness.silent(GONE, decisions)) == (["alice"] if silent else [])
