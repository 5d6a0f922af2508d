"""Tells the log what each pass brought: one line for each thing that changed, none while nothing does.

Refuses to say an error twice while it stays the same: repeats are debug lines.
"""

from typing import Final

import structlog

from controller.api import secrecy
from controller.api.conditions import DriftKind, Reason
from controller.model.desired import Finding
from controller.model.outcomes import Failed, Outcome, Skipped, Succeeded
from controller.model.plan import Decision, Drift, Verdict
from controller.model.status import ChainReport, PassReport, WorkspaceStatus
from controller.reporting import instruments

_log = structlog.stdlib.get_logger("controller.pass")

_QUIET: Final = frozenset({Reason.AS_SPECIFIED, Reason.STOPPED, Reason.STOPPED_BY_REQUEST})
_TROUBLE: Final = frozenset({Reason.CRASH_LOOP, Reason.BACKING_OFF, Reason.ROLLING_BACK})
_NAMED_PARTS: Final = frozenset({"engine", "ledger"})


class Narrator:
    """Remembers the last pass, to know what is new."""

    def __init__(self) -> None:
        self._before: PassReport | None = None
        self._failures: dict[str, tuple[str, Reason, str]] = {}

    def narrate(self, report: PassReport) -> None:
        """Write the lines of one pass."""
        before, self._before = self._before, report
        with structlog.contextvars.bound_contextvars(pass_id=report.pass_id):
            _tell_parts(before, report)
            _tell_findings(before, report)
            _tell_files(before, report)
            for chain in report.chains:
                self._tell_chain(chain)
            for name, status in report.statuses.items():
                prior = before.statuses.get(name) if before else None
                if prior is not status:
                    _tell_spec(prior, status)
                    _tell_drifts(prior, status)
            for name, decision in report.plan.decisions.items():
                _tell_decision(before.plan.decisions.get(name) if before else None, decision)
            _log.debug(
                "pass",
                cause=report.cause,
                duration_s=round(report.seconds, 6),
                workspaces=len(report.plan.decisions),
                complete=report.complete,
            )
        for name in self._failures.keys() - report.plan.decisions.keys():
            del self._failures[name]

    def _tell_chain(self, chain: ChainReport) -> None:
        name = chain.decision.workspace
        for outcome in chain.outcomes:
            self._tell_outcome(name, outcome)
        if not any(isinstance(outcome, Failed) for outcome in chain.outcomes):
            self._failures.pop(name, None)

    def _tell_outcome(self, name: str, outcome: Outcome) -> None:
        action = instruments.action_label(type(outcome.action))
        line = _log.bind(workspace=name, action=action, duration_s=round(outcome.seconds, 6))
        match outcome:
            case Succeeded():
                reason = Reason.ALREADY_SO if outcome.already else Reason.EXECUTED
                line.info("action", result="success", reason=reason)
            case Skipped():
                line.info(
                    "action", result="skipped", reason=Reason.CHANGED_MEANWHILE, message=outcome.message
                )
            case Failed():
                failure = (action, outcome.reason, outcome.message)
                level = "debug" if self._failures.get(name) == failure else _level_of(outcome)
                self._failures[name] = failure
                result = "unknown" if outcome.unknown else "error"
                line = line.bind(result=result, reason=outcome.reason, message=outcome.message)
                line.log(_NUMBERS[level], "action", retryable=outcome.retryable)


_NUMBERS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def _level_of(outcome: Failed) -> str:
    return "error" if not outcome.retryable or outcome.reason is Reason.INTERNAL_ERROR else "warning"


def _tell_parts(before: PassReport | None, report: PassReport) -> None:
    lost_before, lost = _lost(before), _lost(report)
    for part, (reason, message) in lost.items():
        if part not in lost_before or lost_before[part][0] is not reason:
            _log.error(f"{_part(part)}_lost", part=part, reason=reason, message=message)
    for part in sorted(lost_before.keys() - lost.keys()):
        _log.info(f"{_part(part)}_back", part=part, reason=Reason.AS_SPECIFIED)


def _lost(report: PassReport | None) -> dict[str, tuple[Reason, str]]:
    """Reason and message of each part that is missed; a file that is read twice is not."""
    unseen = report.unseen if report else ()
    return {part: (reason, message) for part, reason, message in unseen if reason is not Reason.SETTLING}


def _part(part: str) -> str:
    return part if part in _NAMED_PARTS else "part"


def _tell_findings(before: PassReport | None, report: PassReport) -> None:
    known = {*before.findings, *before.plan.findings} if before else set()
    for found in sorted({*report.findings, *report.plan.findings} - known, key=str):
        _log.warning("host_finding", subject=found.subject, reason=found.reason, message=found.message)


def _tell_files(before: PassReport | None, report: PassReport) -> None:
    """Every finding once, those of a workspace's rejected file included."""
    known = _all_findings(before) if before else {}
    found = _all_findings(report)
    for finding in sorted(found.keys() - known.keys(), key=str):
        name, reason = found[finding]
        line = _log.bind(workspace=name) if name else _log
        line.warning("spec_rejected", file=finding.file, reason=reason, message=str(finding))
    ignored = {*report.ignored_files} - {*(before.ignored_files if before else ())}
    for file, message in sorted(ignored):
        _log.warning("spec_ignored", file=file, message=message)


def _all_findings(report: PassReport) -> dict[Finding, tuple[str, Reason]]:
    found = dict.fromkeys(report.file_findings, ("", Reason.SPEC_REJECTED))
    for status in report.statuses.values():
        if status.rejected is not None:
            found |= dict.fromkeys(status.rejected.findings, (status.workspace, status.rejected.reason))
    return found


def _tell_spec(prior: WorkspaceStatus | None, status: WorkspaceStatus) -> None:
    if status.spec is None:
        return
    known = prior is not None and (prior.uid, prior.generation) == (status.uid, status.generation)
    mended = prior is not None and prior.rejected is not None and status.rejected is None
    if not known or mended:
        _log.info(
            "spec_accepted",
            workspace=status.workspace,
            reason=Reason.ACCEPTED,
            generation=status.generation,
            file=status.spec.file,
        )


def _tell_drifts(prior: WorkspaceStatus | None, status: WorkspaceStatus) -> None:
    before = prior.drift_since.keys() if prior is not None and prior.uid == status.uid else set()
    for drift in status.decision.drifts:
        if drift.kind not in before:
            _log.info("drift_detected", workspace=status.workspace, **_drift(drift))
    for kind in sorted(before - status.drift_since.keys()):
        _log.info(
            "drift_repaired", workspace=status.workspace, reason=Reason.AS_SPECIFIED, **{"drift.kind": kind}
        )


def _drift(drift: Drift) -> dict[str, object]:
    hides = drift.kind is DriftKind.ENV
    return {
        "reason": Reason.DRIFTED,
        "drift.kind": drift.kind,
        "field": drift.field,
        "observed": secrecy.shown(drift.field, drift.observed) if hides else drift.observed,
        "desired": secrecy.shown(drift.field, drift.desired) if hides else drift.desired,
        "remedy": drift.remedy,
    }


def _tell_decision(prior: Decision | None, decision: Decision) -> None:
    if prior is not None and (prior.verdict, prior.reason) == (decision.verdict, decision.reason):
        return
    line = _log.bind(workspace=decision.workspace, verdict=decision.verdict, reason=decision.reason)
    if decision.message:
        line = line.bind(message=decision.message)
    if decision.verdict is Verdict.HOLD or decision.reason in _TROUBLE:
        line.warning("decision")
    elif decision.reason is Reason.IN_PROGRESS or (prior is None and decision.reason in _QUIET):
        line.debug("decision")
    else:
        line.info("decision", disrupts=decision.disrupts)
