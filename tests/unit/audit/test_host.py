from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from controller.api import labels
from controller.audit import host, invariants
from controller.audit.evidence import Evidence
from controller.model.observed import Bind, ContainerState, PublishedPort
from tests.support import reports
from tests.support.histories import BEGAN, ID, NOON, OTHER, later

EXPECTED = {"running": True, "started_at": BEGAN.isoformat(), "pid": 77}
DONE = {"result": "Succeeded", "already": False}


@dataclass(frozen=True)
class Chain:
    """A chain as the journal has it."""

    actions: tuple[dict[str, object], ...]
    outcomes: tuple[dict[str, object], ...] = (DONE,)
    id: int = 5
    workspace: str = "alice"
    opened_at: datetime = NOON
    resolved_at: datetime | None = NOON + timedelta(seconds=3)
    abandoned: bool = False
    epoch: int = 3
    verdict: str = "Stop"
    reason: str = "SpecStopped"
    cause: str | None = None
    disrupts: bool = True
    message: str = field(default="")


def action(kind: str, **facts: object) -> dict[str, object]:
    return {"action": kind, "workspace": "alice", "container_id": ID, "name": "workspace-alice", **facts}


STOP = action("StopContainer", expected=EXPECTED)
CREATE = action("CreateContainer", labels={labels.INSTANCE: "i" * 32})


def seen(**changes: object) -> host.Seen:
    marks = {labels.INSTANCE: "i" * 32, labels.EPOCH: "3"}
    container = replace(reports.container(), id=ID, labels=marks, created=later(0.5), started_at=later(1))
    found = host.Seen(container, "alice", kept=False, adopted=False)
    return replace(found, **changes)  # type: ignore[arg-type]


def a_host(*chains: Chain, **changes: object) -> host.Host:
    made = host.Host(
        at=later(60),
        since=NOON - timedelta(days=1),
        chains=chains,
        complete_since=NOON - timedelta(days=9),
        containers=(),
        told=(),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def violations(evidence: Evidence) -> list[str]:
    return [found.invariant for found in invariants.judge(evidence)]


def lacking(evidence: Evidence) -> set[str]:
    return {one.id for one in invariants.SAFETY if one.lacks(evidence)}


def test_what_a_chain_did_happened() -> None:
    evidence = host.evidence(a_host(Chain((STOP,)), containers=(seen(),)))
    stop = evidence.happenings[-1]
    assert (stop.what, stop.by, stop.intent, stop.workspace) == ("stop", "controller", 5, "alice")
    assert (stop.at, stop.epoch, stop.claim_known) == (later(3), 3, True)
    (deed,) = evidence.deeds
    assert (deed.kind, deed.result, deed.resolved_at) == ("StopContainer", "Succeeded", later(3))


@pytest.mark.parametrize(
    "outcomes", [(), ({"result": "Skipped"},), ({"result": "Failed"},), ({**DONE, "already": True},)]
)
def test_what_was_not_done_did_not_happen(outcomes: tuple[dict[str, object], ...]) -> None:
    assert host.evidence(a_host(Chain((STOP,), outcomes))).happenings == []


def test_ledger_actions_that_lead_a_chain_have_no_outcome_of_their_own() -> None:
    chain = Chain((action("RecordRestarts"), action("BeginReplacement"), STOP))
    results = [deed.result for deed in host.evidence(a_host(chain)).deeds]
    assert results == ["Succeeded", "Succeeded", "Succeeded"]
    undone = replace(chain, outcomes=(), abandoned=True)
    assert [deed.result for deed in host.evidence(a_host(undone)).deeds][-1] == "Abandoned"


def test_an_event_gives_the_exact_time_and_is_no_second_happening() -> None:
    told = host.Told(later(2.5), "stop", ID, "workspace-alice", "alice")
    (stop,) = host.evidence(a_host(Chain((STOP,)), told=(told,))).happenings
    assert (stop.at, stop.by) == (later(2.5), "controller")


@pytest.mark.parametrize("changes", [{"at": later(30)}, {"container_id": OTHER}, {"what": "start"}])
def test_any_other_event_is_somebody_elses_and_nobody_knows_whose(changes: dict[str, object]) -> None:
    told = replace(host.Told(later(2.5), "stop", ID, "workspace-alice", "alice"), **changes)  # type: ignore[arg-type]
    evidence = host.evidence(a_host(Chain((STOP,)), told=(told,)))
    assert sorted(str(one.by) for one in evidence.happenings) == ["None", "controller"]
    assert "S11" in lacking(evidence)
    assert violations(evidence) == []


def test_a_container_of_ours_was_made_by_the_intent_that_has_its_instance() -> None:
    evidence = host.evidence(a_host(Chain((CREATE,)), containers=(seen(),)))
    (made,) = evidence.happenings
    assert (made.what, made.at, made.by, made.intent) == ("create", later(0.5), "controller", 5)
    assert violations(evidence) == []


def test_a_container_of_ours_without_an_intent_is_a_violation() -> None:
    assert violations(host.evidence(a_host(containers=(seen(),)))) == ["S11"]


@pytest.mark.parametrize(
    "changes",
    [
        {"complete_since": later(1)},
        {"complete_since": None},
        {"since": later(1)},
        {"containers": (seen(adopted=True),)},
        {"containers": (seen(workspace=""),)},
    ],
)
def test_unless_the_journal_does_not_reach_back_or_somebody_else_may_have_made_it(
    changes: dict[str, object],
) -> None:
    assert violations(host.evidence(replace(a_host(containers=(seen(),)), **changes))) == []  # type: ignore[arg-type]


def test_a_start_on_the_look_of_its_creation_is_a_violation() -> None:
    start = Chain((action("StartContainer"),), id=6, reason="FirstStart", verdict="Start", disrupts=False)
    there = a_host(Chain((CREATE,)), start, containers=(seen(),))
    assert violations(host.evidence(there)) == ["S8"]
    later_look = replace(start, opened_at=later(0.6))
    assert violations(host.evidence(replace(there, chains=(Chain((CREATE,)), later_look)))) == []


def test_a_call_on_what_is_not_ours_is_a_violation_and_on_what_is_gone_not_known() -> None:
    assert violations(host.evidence(a_host(Chain((STOP,)), containers=(seen(workspace=""),)))) == ["S5"]
    gone = host.evidence(a_host(Chain((STOP,))))
    assert violations(gone) == []
    assert "S5" in lacking(gone)


def test_two_containers_of_one_workspace_that_run() -> None:
    second = replace(seen().container, id=OTHER, name="workspace-alice.0123abcd", started_at=BEGAN)
    start = Chain((action("StartContainer"),), reason="FirstStart", disrupts=False)
    evidence = host.evidence(a_host(start, containers=(seen(), seen(container=second, kept=True))))
    assert "S7" in violations(evidence)
    ended = replace(second, state=ContainerState.EXITED)
    evidence = host.evidence(a_host(start, containers=(seen(), seen(container=ended, kept=True))))
    assert "S7" not in violations(evidence)


def test_ports_and_mounts_are_those_of_the_containers() -> None:
    made = replace(
        seen().container.configuration,
        ports=(PublishedPort(22, "127.0.0.1", 10022), PublishedPort(80, "127.0.0.1", 0)),
        binds=(Bind("/data", "/srv/alice", read_only=False),),
    )
    (standing,) = host.evidence(
        a_host(containers=(seen(container=replace(seen().container, configuration=made)),))
    ).standings
    assert standing.units == {"port/10022"}
    assert standing.binds == ("/srv/alice",)


def test_only_what_was_done_since_then_is_fresh() -> None:
    old = Chain((STOP,), id=4, reason="AsSpecified")
    new = Chain((STOP,), opened_at=later(20), resolved_at=later(21))
    evidence = host.evidence(a_host(old, new, since=later(10)))
    assert (evidence.fresh_deeds, evidence.fresh_happenings) == (1, 1)
    assert violations(evidence) == []
    assert violations(host.evidence(a_host(old, new))) == ["S3"]


def test_what_a_host_cannot_tell_is_said() -> None:
    evidence = host.evidence(a_host(Chain((STOP,)), containers=(seen(),)))
    assert lacking(evidence) == {"S3", "S4", "S6", "S9", "S10", "S12", "S13", "S14"}
