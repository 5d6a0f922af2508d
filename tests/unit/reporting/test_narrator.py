"""What the log tells of passes."""

import typing
from collections.abc import Mapping, MutableMapping
from dataclasses import replace
from typing import Any

import structlog.testing

from controller.api.conditions import DriftKind, Reason
from controller.model.desired import Finding, RejectedFile
from controller.model.outcomes import Failed, Outcome, Skipped, Succeeded
from controller.model.plan import Drift, HostFinding, Remedy, Verdict
from controller.model.status import ChainReport, PassReport, WorkspaceStatus
from controller.reporting.narrator import Narrator
from controller.status import summary
from tests.support import reports

START = reports.start("alice")
ENV = Drift(DriftKind.ENV, "API_TOKEN", "hunter2", "hunter3", Remedy.REPLACE)
QUIET = reports.report([reports.status()])

Line = MutableMapping[str, Any]


def told(*passes: PassReport) -> list[Line]:
    """The lines of the last pass, debug ones apart."""
    narrator = Narrator()
    for report in passes[:-1]:
        with structlog.testing.capture_logs():
            narrator.narrate(report)
    processors = [structlog.contextvars.merge_contextvars]
    with structlog.testing.capture_logs(processors=processors) as captured:
        narrator.narrate(passes[-1])
    return [line for line in captured if line["log_level"] != "debug"]


def the_one(*passes: PassReport) -> Mapping[str, Any]:
    (line,) = told(*passes)
    return line


def held(pass_id: int = 1) -> PassReport:
    decision = reports.decision(
        verdict=Verdict.HOLD, reason=Reason.MOUNT_MISSING, message="/mnt is not there"
    )
    return reports.report([replace(reports.status(), decision=decision)], pass_id=pass_id)


def after_chain(*outcomes: Outcome) -> PassReport:
    decision = reports.decision(verdict=Verdict.START, reason=Reason.FIRST_START)
    chain = ChainReport(decision, outcomes, reports.NOW, reports.later(1))
    return reports.report([reports.status()], chains=(chain,))


def test_a_quiet_host_is_silent() -> None:
    assert told(QUIET, QUIET) == []


def test_a_changed_decision_is_one_line() -> None:
    line = the_one(QUIET, held(pass_id=7))
    assert (line["event"], line["log_level"], line["pass_id"]) == ("decision", "warning", 7)
    assert (line["workspace"], line["verdict"], line["reason"]) == ("alice", "Hold", "MountMissing")
    assert line["message"] == "/mnt is not there"
    assert told(held(), held()) == []
    assert the_one(held(), QUIET)["log_level"] == "info"


def test_actions_are_told_with_their_results() -> None:
    done = the_one(QUIET, after_chain(Succeeded(START, 0.25)))
    assert (done["event"], done["action"], done["result"]) == ("action", "start_container", "success")
    assert done["duration_s"] == 0.25
    assert the_one(QUIET, after_chain(Succeeded(START, 0.1, already=True)))["reason"] == "AlreadySo"
    assert the_one(QUIET, after_chain(Skipped(START, 0.1, "restarted")))["result"] == "skipped"


def test_an_error_is_told_once_until_it_changes() -> None:
    failed = Failed(START, 0.1, Reason.REFUSED_BY_ENGINE, "no such program", retryable=True)
    final = replace(failed, retryable=False, message="another")
    first = after_chain(failed)
    assert (the_one(QUIET, first)["log_level"], the_one(QUIET, first)["result"]) == ("warning", "error")
    assert told(QUIET, first, first) == []
    assert the_one(QUIET, first, after_chain(final))["log_level"] == "error"
    again = told(QUIET, first, after_chain(Succeeded(START, 0.1)), first)
    assert [line["event"] for line in again] == ["action"]


def test_a_spec_is_told_when_it_is_accepted_or_rejected() -> None:
    accepted = the_one(reports.report(decisions=[reports.decision()]), QUIET)
    assert (accepted["event"], accepted["workspace"], accepted["generation"]) == ("spec_accepted", "alice", 1)
    findings = (Finding("alice.yaml", 3, 5, "spec.env.A", 'write "1"'),)
    file = RejectedFile("alice.yaml", "alice", Reason.SPEC_REJECTED, findings)
    bad = reports.report([replace(reports.status(), rejected=file)], file_findings=findings)
    rejected = the_one(QUIET, bad)
    assert (rejected["event"], rejected["workspace"]) == ("spec_rejected", "alice")
    assert "alice.yaml:3:5" in rejected["message"]
    assert told(bad, bad) == []
    assert the_one(bad, QUIET)["event"] == "spec_accepted"


def test_a_drift_is_told_without_its_secret() -> None:
    clean = reports.status()

    def with_drifts(prior: WorkspaceStatus, *drifts: Drift) -> WorkspaceStatus:
        decision = reports.decision(drifts=drifts)
        return summary.summarize(
            prior, prior.spec, decision, prior.container, summary.Facts(), reports.later(1)
        )

    dirty = with_drifts(clean, ENV)
    found = the_one(QUIET, reports.report([dirty]))
    assert (found["event"], found["drift.kind"], found["field"]) == ("drift_detected", "env", "API_TOKEN")
    assert "hunter" not in str(found)
    repaired = the_one(reports.report([dirty]), reports.report([with_drifts(dirty)]))
    assert (repaired["event"], repaired["drift.kind"]) == ("drift_repaired", "env")


def test_lost_parts_come_back() -> None:
    lost = reports.report(unseen=(("engine", Reason.ENGINE_UNAVAILABLE, "no answer"),))
    assert the_one(reports.report(), lost)["event"] == "engine_lost"
    assert told(lost, lost) == []
    assert the_one(lost, reports.report())["event"] == "engine_back"
    other = reports.report(unseen=(("host", Reason.NOT_SEEN, "?"),))
    line = the_one(reports.report(), other)
    assert (line["event"], line["part"]) == ("part_lost", "host")


def test_findings_about_the_host_are_told_once() -> None:
    found = reports.report(findings=(HostFinding(Reason.FOREIGN_CONTAINER, "copy", "no valid claim"),))
    assert the_one(reports.report(), found)["subject"] == "copy"
    assert told(found, found) == []


def test_a_start_with_everything_in_order_tells_only_the_specs() -> None:
    assert [line["event"] for line in told(QUIET)] == ["spec_accepted"]


def test_every_kind_of_outcome_has_a_line() -> None:
    examples: tuple[Outcome, ...] = (
        Succeeded(START, 0.1),
        Skipped(START, 0.1, "x"),
        Failed(START, 0.1, Reason.INTERNAL_ERROR, "x", retryable=True),
    )
    assert {type(one) for one in examples} == set(typing.get_args(Outcome))
    for outcome in examples:
        assert the_one(QUIET, after_chain(outcome))["action"] == "start_container"
