"""Whatever is seen and decided, the invariants of a status hold, and quiet stays quiet."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from controller.api.conditions import DriftKind, Reason
from controller.model.gpus import AccessState, Wish
from controller.model.gpustatus import WorkspaceGpus
from controller.model.memory import BackOff, Suspension
from controller.model.observed import Container, ContainerState, Health, Unseen
from controller.model.plan import Decision, Drift, NotEnforced, Remedy, Verdict
from controller.model.status import ServiceAddress, WorkspaceStatus
from controller.status import events, summary, wording
from tests.support import reports, status_invariants

UNSEEN = Unseen(Reason.NOT_SEEN, "out of sight", reports.NOW)

drifts = st.builds(
    Drift,
    kind=st.sampled_from(DriftKind),
    field=st.sampled_from(["FOO", "memory"]),
    observed=st.just("a"),
    desired=st.just("b"),
    remedy=st.sampled_from(Remedy),
)
decisions = st.builds(
    Decision,
    workspace=st.just("alice"),
    verdict=st.sampled_from(Verdict),
    reason=st.sampled_from(Reason),
    message=st.sampled_from(["", "because"]),
    drifts=st.lists(drifts, max_size=2).map(tuple),
    retry_at=st.none() | st.just(reports.later(60)),
    not_enforced=st.just(()) | st.just((NotEnforced("spec.gpu", "later"),)),
)
containers = st.none() | st.builds(
    lambda state, health, listening: reports.container(state=state, health=health, listening=listening),
    st.sampled_from(ContainerState),
    st.sampled_from(Health),
    st.sampled_from([frozenset({8888}), frozenset(), UNSEEN]),
)
facts = st.builds(
    summary.Facts,
    services=st.just(()) | st.just((ServiceAddress("jupyter", 8888, 10003),)),
    suspension=st.none()
    | st.builds(
        Suspension,
        running=st.booleans(),
        desired_state=st.just("Running"),
        at=st.just(reports.NOW),
        by=st.just("alice"),
    ),
    backoff=st.none() | st.just(BackOff(1, reports.later(10), Reason.REFUSED_BY_ENGINE, "no", "key")),
    spec_running=st.sampled_from([None, True, False]),
    engine=st.none() | st.just(UNSEEN),
    effective=st.just(()),
    rejected=st.none(),
    image_reference=st.none(),
    image_id=st.none(),
    image_digest=st.none(),
    created_at=st.none(),
    usage=st.none(),
    gpus=st.none()
    | st.builds(
        WorkspaceGpus,
        wish=st.none() | st.just(Wish()) | st.just(Wish(shared=True, all=True)),
        uuids=st.sampled_from([(), ("GPU-1",), ("GPU-1", "GPU-2")]),
        devices=st.just(()),
        waiting_since=st.none() | st.just(reports.NOW),
        access=st.none() | st.sampled_from(AccessState),
        simulated=st.booleans(),
        unseen=st.none() | st.just(UNSEEN),
    ),
)
situations = st.tuples(st.integers(1, 3), decisions, containers, facts)


def step(
    prior: WorkspaceStatus | None,
    situation: tuple[int, Decision, Container | None, summary.Facts],
    seconds: int,
) -> WorkspaceStatus:
    generation, decision, container, told = situation
    spec = reports.spec(generation=generation)
    return summary.summarize(prior, spec, decision, container, told, reports.later(seconds))


@given(st.lists(situations, min_size=1, max_size=5))
def test_every_status_keeps_the_invariants(
    history: list[tuple[int, Decision, Container | None, summary.Facts]],
) -> None:
    status: WorkspaceStatus | None = None
    for seconds, situation in enumerate(history):
        following = step(status, situation, seconds)
        assert status_invariants.violations(status, following) == []
        assert step(following, situation, seconds + 1) is following
        status = following


@given(situations, situations)
def test_the_same_situation_says_the_same_whatever_came_before(
    earlier: tuple[int, Decision, Container | None, summary.Facts],
    situation: tuple[int, Decision, Container | None, summary.Facts],
) -> None:
    fresh, grown = step(None, situation, 1), step(step(None, earlier, 0), situation, 1)
    said = [
        {kind: (one.status, one.reason, one.message) for kind, one in status.conditions.items()}
        for status in (fresh, grown)
    ]
    assert said[0] == said[1]


@given(situations, situations)
def test_nothing_is_told_twice(
    earlier: tuple[int, Decision, Container | None, summary.Facts],
    situation: tuple[int, Decision, Container | None, summary.Facts],
) -> None:
    before = step(None, earlier, 0)
    after = step(before, situation, 1)
    first, second = reports.report([before]), reports.report([after])
    told = events.derive(first, second)
    assert len(set(told)) == len(told)
    assert events.derive(second, replace(second, pass_id=2, at=reports.later(9))) == ()


@given(situations)
def test_every_status_can_be_shown(
    situation: tuple[int, Decision, Container | None, summary.Facts],
) -> None:
    row = wording.row(wording.object_of(step(None, situation, 0)), reports.later(5))
    assert len(row) == len(wording.COLUMNS)
    assert all(cell and " " not in cell for cell in row)
