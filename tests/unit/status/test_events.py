"""What people are told between two passes, and that they are told it once."""

from dataclasses import replace

from controller.api.conditions import DriftKind, Reason
from controller.model.desired import Finding, RejectedFile
from controller.model.gpus import Ailment, Device, Fence, Wish
from controller.model.gpustatus import DeviceStatus, GpuStatus, WorkspaceGpus
from controller.model.observed import Unseen
from controller.model.outcomes import Failed, Outcome, Skipped, Succeeded
from controller.model.plan import Decision, Drift, HostFinding, Note, Remedy, Verdict
from controller.model.status import ChainReport, Event, PassReport, WorkspaceStatus
from controller.status import events, summary
from tests.support import reports

START = reports.start("alice")
QUIET = reports.report([reports.status()])
ENV = Drift(DriftKind.ENV, "API_TOKEN", "hunter2", "hunter3", Remedy.REPLACE)


def told(before: PassReport | None, report: PassReport) -> list[tuple[str, Reason, bool]]:
    return [(event.subject, event.reason, event.warning) for event in events.derive(before, report)]


def decided(verdict: Verdict, reason: Reason, **fields: object) -> PassReport:
    decision: Decision = replace(reports.decision(verdict=verdict, reason=reason), **fields)  # type: ignore[arg-type] # by name
    return reports.report([replace(reports.status(), decision=decision)])


def drifted(status: WorkspaceStatus, *drifts: Drift) -> WorkspaceStatus:
    decision = reports.decision(drifts=drifts)
    return summary.summarize(
        status, status.spec, decision, status.container, summary.Facts(), reports.later(1)
    )


def chain(*outcomes: Outcome) -> ChainReport:
    decision = reports.decision(verdict=Verdict.START, reason=Reason.FIRST_START, actions=(START,))
    return ChainReport(decision, outcomes, reports.NOW, reports.later(1))


def test_nothing_is_told_of_a_quiet_host() -> None:
    assert told(None, QUIET) == []
    assert told(QUIET, QUIET) == []


def test_a_hold_is_told_once_and_its_end_too() -> None:
    held = decided(Verdict.HOLD, Reason.MOUNT_MISSING, message="/mnt/alice is not there")
    (event,) = events.derive(QUIET, held)
    assert event == Event(
        reports.NOW,
        "alice",
        Reason.MOUNT_MISSING,
        "/mnt/alice is not there",
        warning=True,
        first_at=reports.NOW,
    )
    assert told(held, held) == []
    assert told(held, QUIET) == [("alice", Reason.AS_SPECIFIED, False)]


def test_what_runs_with_more_than_it_may_is_told_once_and_its_end_too() -> None:
    """Whatever else is decided for it meanwhile."""
    notes = (Note(Reason.OVER_QUOTA, "alice has 2 of 1 running workspaces"),)
    over = decided(Verdict.KEEP, Reason.OVER_QUOTA, message=notes[0].message, notes=notes)
    pending = decided(Verdict.WAIT, Reason.CHANGE_PENDING, notes=notes)
    assert told(QUIET, over) == [("alice", Reason.OVER_QUOTA, True)]
    assert told(over, over) == told(pending, over) == []
    assert told(over, pending) == [("alice", Reason.CHANGE_PENDING, False)]
    assert told(QUIET, pending)[1:] == [("alice", Reason.OVER_QUOTA, True)]
    assert told(over, QUIET) == [("alice", Reason.AS_SPECIFIED, False)]


def test_other_numbers_in_what_was_found_of_a_slice_are_no_news() -> None:
    def found(*findings: HostFinding) -> PassReport:
        return reports.report(findings=findings)

    three, four = (HostFinding(Reason.SLICE_CONTESTED, "slice/alice", f"{n} times") for n in (3, 4))
    pids = [HostFinding(Reason.SLICE_STRANGER, "slice/alice", f"process {pid}") for pid in (1, 2)]
    assert told(found(), found(three)) == [("host", Reason.SLICE_CONTESTED, True)]
    assert told(found(three, pids[0]), found(four, pids[1])) == []
    other = HostFinding(Reason.SLICE_CONTESTED, "slice/bob", "3 times")
    assert told(found(three), found(three, other)) == [("host", Reason.SLICE_CONTESTED, True)]


def test_a_limit_that_cannot_be_lowered_yet_is_told_once() -> None:
    notes = (Note(Reason.MEMORY_LOWERING, "300m are in use, above the new limit of 200m"),)
    lowering = decided(Verdict.KEEP, Reason.AS_SPECIFIED, notes=notes)
    assert told(QUIET, lowering) == [("alice", Reason.MEMORY_LOWERING, True)]
    assert told(lowering, lowering) == told(lowering, QUIET) == []


def test_a_hold_is_told_at_startup() -> None:
    assert told(None, decided(Verdict.HOLD, Reason.NAME_TAKEN)) == [("alice", Reason.NAME_TAKEN, True)]


def test_work_under_way_is_no_news() -> None:
    assert (
        told(decided(Verdict.CREATE, Reason.IMAGE_MISSING), decided(Verdict.WAIT, Reason.IN_PROGRESS)) == []
    )


def test_a_crash_loop_is_a_warning() -> None:
    assert told(QUIET, decided(Verdict.WAIT, Reason.CRASH_LOOP)) == [("alice", Reason.CRASH_LOOP, True)]


def test_a_drift_is_told_when_it_appears_and_when_it_is_gone() -> None:
    clean = reports.status()
    dirty = drifted(clean, ENV)
    before, during = reports.report([clean]), reports.report([dirty])
    after = reports.report([drifted(dirty)])
    (appeared,) = events.derive(before, during)
    assert (appeared.subject, appeared.reason) == ("alice", Reason.DRIFTED)
    assert "API_TOKEN" in appeared.message
    assert "hunter" not in appeared.message
    assert told(during, during) == []
    (gone,) = events.derive(during, after)
    assert "env" in gone.message


def test_a_chain_is_told_by_its_end() -> None:
    done = reports.report([reports.status()], chains=(chain(Succeeded(START, 0.1)),))
    (event,) = events.derive(QUIET, done)
    assert (event.reason, event.warning) == (Reason.EXECUTED, False)
    assert "start workspace-alice" in event.message
    failed = Failed(START, 0.1, Reason.REFUSED_BY_ENGINE, "no such program: httpd", retryable=True)
    refused = reports.report([reports.status()], chains=(chain(failed),))
    (event,) = events.derive(QUIET, refused)
    assert (event.reason, event.warning) == (Reason.REFUSED_BY_ENGINE, True)
    assert "no such program" in event.message
    skipped = reports.report([reports.status()], chains=(chain(Skipped(START, 0.1, "it was restarted")),))
    assert told(QUIET, skipped) == [("alice", Reason.CHANGED_MEANWHILE, False)]


def test_a_spec_is_told_when_it_comes_into_force() -> None:
    changed = replace(reports.status(), generation=2, spec=reports.spec(generation=2))
    assert told(QUIET, reports.report([changed])) == [("alice", Reason.ACCEPTED, False)]
    assert told(reports.report(), QUIET) == [("alice", Reason.ACCEPTED, False)]
    assert told(None, QUIET) == []


def test_a_rejected_file_is_told_once_for_each_change_of_it() -> None:
    def rejected(message: str) -> PassReport:
        findings = (Finding("alice.yaml", 3, 5, "spec.env.A", message),)
        file = RejectedFile("alice.yaml", "alice", Reason.SPEC_REJECTED, findings)
        return reports.report([replace(reports.status(), rejected=file)], file_findings=findings)

    (event,) = events.derive(QUIET, rejected('write "1"'))
    assert (event.subject, event.reason, event.warning) == ("alice", Reason.SPEC_REJECTED, True)
    assert "alice.yaml:3:5" in event.message
    assert told(rejected('write "1"'), rejected('write "1"')) == []
    assert told(rejected('write "1"'), rejected("unknown key")) == [("alice", Reason.SPEC_REJECTED, True)]


def test_a_file_of_nobody_is_told_under_its_own_name() -> None:
    broken = reports.report(file_findings=(Finding("x.yaml", 1, 1, "", "not YAML"),))
    assert told(reports.report(), broken) == [("x.yaml", Reason.SPEC_REJECTED, True)]
    assert told(broken, broken) == []
    assert told(broken, reports.report()) == [("x.yaml", Reason.ACCEPTED, False)]


def test_a_lost_part_of_the_world_is_told_with_its_return() -> None:
    lost = reports.report(unseen=(("engine", Reason.ENGINE_UNAVAILABLE, "no answer since 12:00"),))
    still = reports.report(unseen=(("engine", Reason.ENGINE_UNAVAILABLE, "no answer since 12:01"),))
    assert told(None, lost) == [("host", Reason.ENGINE_UNAVAILABLE, True)]
    assert told(lost, still) == []
    assert told(still, reports.report()) == [("host", Reason.AS_SPECIFIED, False)]


def test_a_finding_about_the_host_is_told_once() -> None:
    found = HostFinding(Reason.FOREIGN_CONTAINER, "copy-of-alice", "its claim is not ours")
    foreign = reports.report(findings=(found,))
    (event,) = events.derive(reports.report(), foreign)
    assert event.subject == "host"
    assert "copy-of-alice" in event.message
    assert told(foreign, foreign) == []


GPU = Device("GPU-1", "A100", 1)
FENCE = Fence("GPU-1", Ailment.XID, "XID 79", reports.NOW, reports.NOW, 79)


def with_gpus(*uuids: str) -> PassReport:
    return reports.report([reports.status(gpus=WorkspaceGpus(Wish(), uuids, (GPU,)))])


def fenced(fence: Fence | None = FENCE) -> PassReport:
    part = replace(GPU, uuid="MIG-2", parent="GPU-1")
    devices = tuple(DeviceStatus(device, fence=fence) for device in (GPU, part))
    return reports.report(gpus=GpuStatus(devices=devices))


def test_gpus_are_told_when_they_are_given() -> None:
    assert told(with_gpus(), with_gpus("GPU-1")) == [("alice", Reason.GPUS_GRANTED, False)]
    assert told(with_gpus("GPU-1"), with_gpus("GPU-1")) == []
    assert told(with_gpus("GPU-1"), with_gpus()) == []
    assert told(None, with_gpus("GPU-1")) == []
    (event,) = events.derive(with_gpus("GPU-2"), with_gpus("GPU-1"))
    assert event.message == "it was given GPU-1 (A100)"


def test_a_fence_is_told_once_for_the_whole_gpu_and_its_end_too() -> None:
    assert told(None, fenced()) == [("gpu/GPU-1", Reason.GPU_FENCED, True)]
    assert told(fenced(None), fenced()) == [("gpu/GPU-1", Reason.GPU_FENCED, True)]
    assert told(fenced(), fenced(replace(FENCE, last=reports.later(60)))) == []
    assert told(fenced(), fenced(replace(FENCE, code=48))) == [("gpu/GPU-1", Reason.GPU_FENCED, True)]
    assert told(fenced(), fenced(None)) == [("gpu/GPU-1", Reason.GPU_UNFENCED, False)]


def test_a_fence_that_cannot_be_seen_is_not_over() -> None:
    unseen = GpuStatus(unseen=Unseen(Reason.NOT_SEEN, "the driver hangs", reports.NOW))
    assert told(fenced(), reports.report(gpus=unseen)) == []
