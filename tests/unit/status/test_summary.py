"""A status and its history."""

import timeit
from dataclasses import replace

import pytest

from controller.api.conditions import ConditionType, DriftKind, Reason
from controller.model.memory import BackOff
from controller.model.observed import ContainerState, Health
from controller.model.plan import Drift, Remedy, Verdict
from controller.model.status import ServiceAddress, WorkspaceStatus
from controller.status import summary
from tests.support import reports, status_invariants

SERVICES = (ServiceAddress("jupyter", 8888, 10003),)
FACTS = summary.Facts(services=SERVICES)
ENV = Drift(DriftKind.ENV, "FOO", "a", "b", Remedy.REPLACE)


def first() -> WorkspaceStatus:
    return summary.summarize(
        None, reports.spec(), reports.decision(), reports.container(), FACTS, reports.NOW
    )


def test_while_nothing_changes_the_status_before_is_returned_itself() -> None:
    prior = first()
    looked_again = reports.container(inspected_at=reports.later(5), listening=frozenset({8888, 40000}))
    same = summary.summarize(
        prior, reports.spec(), reports.decision(), looked_again, FACTS._replace(), reports.later(5)
    )
    assert same is prior


@pytest.mark.parametrize(
    "change",
    [
        {"container": None},
        {"container": reports.container(address="172.28.0.9")},
        {"container": reports.container(health=Health.HEALTHY)},
        {"spec": reports.spec(generation=2)},
        {"facts": summary.Facts(services=(ServiceAddress("jupyter", 8888, 10004),))},
        {"facts": summary.Facts(services=SERVICES, image_id="sha256:b")},
        {"facts": summary.Facts(services=SERVICES, spec_running=False)},
        {"decision": reports.decision(message="other words")},
        {"decision": reports.decision(drifts=(ENV,))},
    ],
)
def test_each_change_makes_a_new_status(change: dict[str, object]) -> None:
    prior = first()
    given = {
        "spec": reports.spec(),
        "decision": reports.decision(),
        "container": reports.container(),
        "facts": FACTS,
        **change,
    }
    changed = summary.summarize(prior, **given, now=reports.later(1))  # type: ignore[arg-type] # by name
    assert changed != prior
    assert status_invariants.violations(prior, changed) == []


def test_a_transition_time_moves_with_the_status_alone() -> None:
    prior = first()
    exited = reports.container(state=ContainerState.EXITED, exit_code=1)
    start = reports.decision(verdict=Verdict.START, reason=Reason.CONTAINER_EXITED)
    down = summary.summarize(prior, reports.spec(), start, exited, FACTS, reports.later(1))
    loop = reports.decision(verdict=Verdict.WAIT, reason=Reason.CRASH_LOOP, message="again in 10s")
    still = summary.summarize(down, reports.spec(), loop, exited, FACTS, reports.later(2))
    ready = still.conditions[ConditionType.READY]
    assert down.conditions[ConditionType.READY].last_transition == reports.later(1)
    assert (ready.reason, ready.last_transition) == (Reason.CRASH_LOOP, reports.later(1))
    assert still.conditions[ConditionType.SPEC_ACCEPTED].last_transition == reports.NOW


def test_a_drift_keeps_its_beginning_until_it_is_gone() -> None:
    prior = first()
    parked = reports.decision(verdict=Verdict.WAIT, reason=Reason.CHANGE_PENDING, drifts=(ENV,))
    busy = reports.decision(verdict=Verdict.WAIT, reason=Reason.IN_PROGRESS)

    def after(status: WorkspaceStatus, decided: object, seconds: float) -> WorkspaceStatus:
        return summary.summarize(
            status,
            reports.spec(),
            decided,  # type: ignore[arg-type] # a decision
            reports.container(),
            FACTS,
            reports.later(seconds),
        )

    drifted = after(prior, parked, 1)
    working = after(after(drifted, parked, 2), busy, 3)
    assert working.drift_since == {DriftKind.ENV: reports.later(1)}
    assert after(working, reports.decision(), 4).drift_since == {}


def test_a_name_that_is_used_again_has_no_history() -> None:
    prior = first()
    again = replace(reports.spec(), uid="another", accepted_at=reports.later(60))
    status = summary.summarize(
        prior, again, reports.decision(), reports.container(), FACTS, reports.later(60)
    )
    assert status.created_at == reports.later(60)
    assert status.conditions[ConditionType.READY].last_transition == reports.later(60)


def test_the_next_attempt_is_told_while_something_waits() -> None:
    failure = BackOff(2, reports.later(20), Reason.REFUSED_BY_ENGINE, "no", "key")
    facts = FACTS._replace(backoff=failure)
    waits = reports.decision(verdict=Verdict.WAIT, reason=Reason.BACKING_OFF, message="no")
    status = summary.summarize(None, reports.spec(), waits, None, facts, reports.NOW)
    assert status.next_attempt == reports.later(20)
    works = reports.decision(verdict=Verdict.CREATE, reason=Reason.CONTAINER_MISSING)
    assert summary.summarize(None, reports.spec(), works, None, facts, reports.NOW).next_attempt is None


def test_a_file_that_was_never_accepted_has_a_status_too() -> None:
    held = reports.decision("carol", verdict=Verdict.HOLD, reason=Reason.SPEC_REJECTED, message="line 3")
    status = summary.summarize(None, None, held, None, summary.Facts(), reports.NOW)
    assert status.generation == 0
    assert status.conditions[ConditionType.READY].reason is Reason.SPEC_REJECTED
    assert status_invariants.violations(None, status) == []


def test_a_status_without_news_costs_microseconds() -> None:
    prior, spec = first(), reports.spec()
    again, decision, facts = (
        reports.container(inspected_at=reports.later(5)),
        reports.decision(),
        FACTS._replace(),
    )

    def quiet() -> object:
        return summary.summarize(prior, spec, decision, again, facts, reports.NOW)

    assert quiet() is prior
    assert min(timeit.repeat(quiet, number=1000, repeat=7)) / 1000 < 30e-6
