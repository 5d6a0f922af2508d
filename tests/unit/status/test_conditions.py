"""What is said of a workspace in each situation."""

from dataclasses import replace

import pytest

from controller.api.conditions import ConditionStatus, ConditionType, DriftKind, Reason
from controller.model.desired import Finding, RejectedFile
from controller.model.gpus import Wish
from controller.model.gpustatus import WorkspaceGpus
from controller.model.memory import Suspension
from controller.model.observed import Container, ContainerState, Health, Unseen
from controller.model.plan import Decision, Drift, Note, NotEnforced, Remedy, Verdict
from controller.model.status import Condition, ServiceAddress
from controller.status import summary
from tests.support import reports

JUPYTER = ServiceAddress("jupyter", 8888, 10003)
BLIND = Unseen(Reason.NOT_SEEN, "cannot read /proc", reports.NOW)
EXITED = reports.container(state=ContainerState.EXITED, exit_code=137, oom_killed=True)


def condition(
    kind: ConditionType, container: Container | None, decision: Decision | None = None, **facts: object
) -> Condition:
    status = summary.summarize(
        None,
        reports.spec(),
        decision or reports.decision(),
        container,
        summary.Facts(services=(JUPYTER,))._replace(**facts),  # type: ignore[arg-type] # by name
        reports.NOW,
    )
    return status.conditions[kind]


@pytest.mark.parametrize(
    ("container", "status", "reason"),
    [
        (reports.container(), "True", Reason.AS_SPECIFIED),
        (reports.container(listening=frozenset({22})), "False", Reason.NOT_YET_LISTENING),
        (reports.container(listening=BLIND), "Unknown", Reason.NOT_SEEN),
        (reports.container(health=Health.UNHEALTHY), "False", Reason.UNHEALTHY),
        (reports.container(health=Health.STARTING), "False", Reason.STARTING),
        (reports.container(health=Health.HEALTHY), "True", Reason.AS_SPECIFIED),
        (reports.container(state=ContainerState.PAUSED), "False", Reason.CONTAINER_PAUSED),
        (EXITED, "False", Reason.CONTAINER_EXITED),
    ],
)
def test_ready_follows_the_container(container: Container, status: str, reason: Reason) -> None:
    ready = condition(ConditionType.READY, container)
    assert (ready.status, ready.reason) == (status, reason)


def test_a_silent_service_is_named() -> None:
    ready = condition(ConditionType.READY, reports.container(listening=frozenset()))
    assert "jupyter" in ready.message
    assert "8888" in ready.message


def test_without_services_nothing_needs_to_listen() -> None:
    ready = condition(ConditionType.READY, reports.container(listening=BLIND), services=())
    assert ready.status is ConditionStatus.TRUE


def test_a_workspace_that_does_not_run_tells_the_decision() -> None:
    held = reports.decision(
        verdict=Verdict.HOLD, reason=Reason.IMAGE_UNAVAILABLE, message="no such image: sample:2"
    )
    ready = condition(ConditionType.READY, None, held)
    assert (ready.status, ready.reason, ready.message) == (
        "False",
        "ImageUnavailable",
        "no such image: sample:2",
    )


def test_a_stopped_spec_is_ready_once_it_is_stopped() -> None:
    stop = reports.decision(verdict=Verdict.STOP, reason=Reason.SPEC_STOPPED)
    kept = reports.decision(reason=Reason.STOPPED)
    running = condition(ConditionType.READY, reports.container(), stop, spec_running=False)
    assert (running.status, running.reason) == ("False", "SpecStopped")
    for container in (EXITED, None):
        stopped = condition(ConditionType.READY, container, kept, spec_running=False)
        assert (stopped.status, stopped.reason) == ("True", "Stopped")


def test_a_workspace_stopped_by_request_is_not_ready_and_says_so() -> None:
    word = Suspension(running=False, desired_state="Running", at=reports.NOW, by="alice")
    kept = reports.decision(reason=Reason.STOPPED_BY_REQUEST)
    ready = condition(ConditionType.READY, EXITED, kept, suspension=word)
    assert (ready.status, ready.reason) == ("False", "StoppedByRequest")


def test_a_request_that_repeats_the_spec_changes_nothing() -> None:
    word = Suspension(running=False, desired_state="Stopped", at=reports.NOW, by="alice")
    kept = reports.decision(reason=Reason.STOPPED)
    ready = condition(ConditionType.READY, EXITED, kept, suspension=word, spec_running=False)
    assert (ready.status, ready.reason) == ("True", "Stopped")


def test_an_engine_out_of_sight_makes_nobody_ready_or_not() -> None:
    lost = Unseen(Reason.ENGINE_UNAVAILABLE, "no answer", reports.NOW)
    held = reports.decision(verdict=Verdict.HOLD, reason=Reason.ENGINE_UNAVAILABLE)
    for kind in (ConditionType.READY, ConditionType.CONTAINER_RUNNING):
        told = condition(kind, None, held, engine=lost)
        assert (told.status, told.reason, told.message) == ("Unknown", "EngineUnavailable", "no answer")


def _kinds(decision: Decision) -> set[ConditionType]:
    status = summary.summarize(
        None, reports.spec(), decision, reports.container(), summary.Facts(), reports.NOW
    )
    return set(status.conditions)


@pytest.mark.parametrize(
    ("verdict", "reason", "progress"),
    [
        (Verdict.REPLACE, Reason.SPEC_CHANGED, ConditionType.RECONCILING),
        (Verdict.WAIT, Reason.IN_PROGRESS, ConditionType.RECONCILING),
        (Verdict.WAIT, Reason.CHANGE_PENDING, None),
        (Verdict.HOLD, Reason.MOUNT_UNSAFE, ConditionType.STALLED),
        (Verdict.HOLD, Reason.ENGINE_UNAVAILABLE, None),
        (Verdict.KEEP, Reason.AS_SPECIFIED, None),
    ],
)
def test_progress_is_told_only_while_there_is_some(
    verdict: Verdict, reason: Reason, progress: ConditionType | None
) -> None:
    shown = _kinds(reports.decision(verdict=verdict, reason=reason))
    assert shown & {ConditionType.RECONCILING, ConditionType.STALLED} == ({progress} if progress else set())


def test_a_parked_replacement_is_a_pending_change() -> None:
    drift = Drift(DriftKind.IMAGE, "image", "a", "b", Remedy.REPLACE)
    parked = reports.decision(verdict=Verdict.WAIT, reason=Reason.CHANGE_PENDING, drifts=(drift,))
    begun = reports.decision(verdict=Verdict.REPLACE, reason=Reason.SPEC_CHANGED, drifts=(drift,))
    kind = ConditionType.CHANGE_PENDING
    assert condition(kind, reports.container(), parked).status is ConditionStatus.TRUE
    assert condition(kind, reports.container(), begun).status is ConditionStatus.FALSE


def test_a_rejected_file_is_told_with_its_place() -> None:
    findings = (Finding("alice.yaml", 3, 5, "spec.env.A", 'write "1"'), Finding("alice.yaml", 4, 1, "", "x"))
    rejected = RejectedFile("alice.yaml", "alice", Reason.SPEC_REJECTED, findings)
    told = condition(ConditionType.SPEC_ACCEPTED, reports.container(), rejected=rejected)
    assert (told.status, told.reason) == ("False", "SpecRejected")
    assert "alice.yaml:3:5" in told.message
    assert "1 more" in told.message


def test_what_has_no_effect_yet_is_told() -> None:
    gap = NotEnforced("spec.gpu", "GPUs come later")
    told = condition(ConditionType.NOT_ENFORCED, reports.container(), reports.decision(not_enforced=(gap,)))
    assert told.status is ConditionStatus.TRUE
    assert "spec.gpu" in told.message


def test_an_image_that_should_not_be_used_is_a_condition_and_other_notes_are_none() -> None:
    notes = (Note(Reason.IMAGE_WANTS_GPU, "a"), Note(Reason.IMAGE_DEPRECATED, "gone in May"))
    told = condition(ConditionType.IMAGE_DEPRECATED, reports.container(), reports.decision(notes=notes))
    assert (told.status, told.reason) == (ConditionStatus.TRUE, Reason.IMAGE_DEPRECATED)
    assert told.message == "gone in May"


def test_memory_that_is_not_lowered_yet_is_a_change_that_is_pending() -> None:
    waits = Drift(DriftKind.RESOURCES, "memory", "600m", "400m", Remedy.RESTART)
    notes = (Note(Reason.MEMORY_LOWERING, "600m is in use"), Note(Reason.UPDATE_WAITS, "restart policy"))
    for drifts in ((waits,), ()):
        decided = reports.decision(drifts=drifts, notes=notes)
        told = condition(ConditionType.CHANGE_PENDING, reports.container(), decided)
        assert (told.status, told.reason) == (ConditionStatus.TRUE, Reason.MEMORY_LOWERING)
        assert told.message == "600m is in use; restart policy"
    parked = reports.decision(
        verdict=Verdict.WAIT, reason=Reason.CHANGE_PENDING, message="image changed", notes=notes
    )
    told = condition(ConditionType.CHANGE_PENDING, reports.container(), parked)
    assert (told.reason, told.message) == (Reason.CHANGE_PENDING, "image changed")


def test_what_only_the_engine_has_not_heard_of_is_no_pending_change() -> None:
    waits = Drift(DriftKind.RESOURCES, "memory", "1g", "2g", Remedy.RESTART)
    decided = reports.decision(drifts=(waits,))
    told = condition(ConditionType.CHANGE_PENDING, reports.container(), decided)
    assert (told.status, told.reason) == (ConditionStatus.FALSE, Reason.AS_SPECIFIED)


def test_all_limits_of_the_owner_that_have_no_effect_are_one_condition() -> None:
    notes = tuple(Note(Reason.LIMIT_NOT_ENFORCED, text) for text in ("no memoryHigh", "no memoryLow"))
    told = condition(ConditionType.LIMIT_NOT_ENFORCED, reports.container(), reports.decision(notes=notes))
    assert (told.status, told.reason) == (ConditionStatus.TRUE, Reason.LIMIT_NOT_ENFORCED)
    assert told.message == "no memoryHigh; no memoryLow"


def test_an_exit_is_told_with_its_code_and_cause() -> None:
    told = condition(ConditionType.CONTAINER_RUNNING, EXITED)
    assert "137" in told.message
    assert "memory" in told.message


@pytest.mark.parametrize(
    ("verdict", "reason", "progress"),
    [
        (Verdict.WAIT, Reason.CHANGE_PENDING, None),
        (Verdict.WAIT, Reason.PACED, None),
        (Verdict.KEEP, Reason.PINNED, None),
        (Verdict.HOLD, Reason.BUDGET_EXCEEDED, ConditionType.STALLED),
        (Verdict.HOLD, Reason.REMOVALS_HELD, ConditionType.STALLED),
        (Verdict.HOLD, Reason.REPLACEMENT_FAILED, ConditionType.STALLED),
        (Verdict.WAIT, Reason.CONFIRMING, ConditionType.RECONCILING),
    ],
)
def test_a_change_that_is_not_made_is_pending_and_the_workspace_stays_ready(
    verdict: Verdict, reason: Reason, progress: ConditionType | None
) -> None:
    decided = reports.decision(verdict=verdict, reason=reason, message="9 of 20")
    status = reports.status("alice", decided)
    pending = status.conditions[ConditionType.CHANGE_PENDING]
    assert (pending.status, pending.reason, pending.message) == (ConditionStatus.TRUE, reason, "9 of 20")
    assert status.conditions[ConditionType.READY].status is ConditionStatus.TRUE
    shown = {ConditionType.STALLED, ConditionType.RECONCILING} & status.conditions.keys()
    assert shown == ({progress} if progress else set())


def test_a_change_is_pending_since_it_was_first_even_if_its_reason_changes() -> None:
    parked = reports.status("alice", reports.decision(verdict=Verdict.WAIT, reason=Reason.PACED))
    held = reports.decision(verdict=Verdict.HOLD, reason=Reason.BUDGET_EXCEEDED)
    later = summary.summarize(
        parked, reports.spec(), held, reports.container(), summary.Facts(), reports.later(60)
    )
    pending = later.conditions[ConditionType.CHANGE_PENDING]
    assert (pending.reason, pending.last_transition) == (Reason.BUDGET_EXCEEDED, reports.NOW)


@pytest.mark.parametrize("reason", [Reason.PROVING, Reason.ROLLING_BACK])
def test_a_replacement_under_way_is_no_change_that_waits(reason: Reason) -> None:
    decided = reports.decision(verdict=Verdict.WAIT, reason=reason)
    assert condition(ConditionType.CHANGE_PENDING, reports.container(), decided).status == "False"
    assert condition(ConditionType.RECONCILING, reports.container(), decided).status == "True"


def test_what_runs_with_more_than_it_may_says_so_and_is_ready() -> None:
    text = "from its next start on: memory 2g -> 1g (policy.yaml:7 (defaults))"
    waits = Drift(DriftKind.RESOURCES, "memory", "2g", "1g", Remedy.RESTART)
    over = replace(
        reports.decision(reason=Reason.OVER_QUOTA, message=text, drifts=(waits,)),
        notes=(Note(Reason.OVER_QUOTA, text),),
    )
    for kind in (ConditionType.OVER_QUOTA, ConditionType.READY, ConditionType.CHANGE_PENDING):
        said = condition(kind, reports.container(), over)
        assert (said.status, said.reason, said.message) == ("True", Reason.OVER_QUOTA, text)
    status = summary.summarize(
        None, reports.spec(), reports.decision(), reports.container(), summary.Facts(), reports.NOW
    )
    assert ConditionType.OVER_QUOTA not in status.conditions


ONE, BLIND_GPUS = WorkspaceGpus(Wish(), ("GPU-1",)), Unseen(Reason.NOT_SEEN, "the driver hangs", reports.NOW)
QUEUED = reports.decision(verdict=Verdict.WAIT, reason=Reason.GPU_QUEUED, message="1st of 2 in the queue")
HELD = reports.decision(verdict=Verdict.HOLD, reason=Reason.PAUSED, message="the workspace is paused by root")
NEW = replace(reports.container(state=ContainerState.CREATED), started_at=None)
ASKED_TO_STOP = Suspension(running=False, desired_state="Running", at=reports.NOW, by="root")


@pytest.mark.parametrize(
    ("gpus", "container", "decision", "facts", "expected"),
    [
        (ONE, reports.container(), None, {}, ("True", Reason.GPUS_GRANTED)),
        (ONE, reports.container(state=ContainerState.CREATED), None, {}, ("True", Reason.GPUS_GRANTED)),
        (replace(ONE, unseen=BLIND_GPUS), reports.container(), None, {}, ("True", Reason.GPUS_GRANTED)),
        (replace(ONE, uuids=()), None, QUEUED, {}, ("False", Reason.GPU_QUEUED)),
        (ONE, EXITED, replace(QUEUED, reason=Reason.OWN_GPU_BUSY), {}, ("False", Reason.OWN_GPU_BUSY)),
        (replace(ONE, wish=Wish(count=2)), reports.container(), None, {}, ("False", Reason.AS_SPECIFIED)),
        (
            WorkspaceGpus(Wish(shared=True, all=True), ("GPU-1", "GPU-2")),
            reports.container(),
            None,
            {},
            ("True", Reason.GPUS_GRANTED),
        ),
        (WorkspaceGpus(Wish(), unseen=BLIND_GPUS), None, None, {}, ("Unknown", Reason.NOT_SEEN)),
        (ONE, None, None, {"engine": BLIND}, ("Unknown", Reason.NOT_SEEN)),
        (ONE, EXITED, None, {}, ("True", Reason.GPUS_GRANTED)),
        (ONE, EXITED, HELD, {}, ("False", Reason.PAUSED)),
        (ONE, NEW, HELD, {}, ("True", Reason.GPUS_GRANTED)),
        (ONE, reports.container(), HELD, {}, ("True", Reason.GPUS_GRANTED)),
        (ONE, EXITED, None, {"spec_running": False}, ("False", Reason.STOPPED)),
        (ONE, EXITED, None, {"suspension": ASKED_TO_STOP}, ("False", Reason.STOPPED_BY_REQUEST)),
    ],
)
def test_gpus_are_granted_to_a_container_that_lives(
    gpus: WorkspaceGpus,
    container: Container | None,
    decision: Decision | None,
    facts: dict[str, object],
    expected: tuple[str, Reason],
) -> None:
    told = condition(ConditionType.GPUS_ALLOCATED, container, decision, gpus=gpus, **facts)
    assert (told.status, told.reason) == expected


@pytest.mark.parametrize("gpus", [None, WorkspaceGpus(None, ("GPU-1",))])
def test_who_wants_no_gpu_is_told_nothing_of_them(gpus: WorkspaceGpus | None) -> None:
    with pytest.raises(KeyError):
        condition(ConditionType.GPUS_ALLOCATED, reports.container(), gpus=gpus)
