"""What is worth telling people about the step from one pass to the next.

Refuses to repeat itself: while nothing changes there is no event, however often it is looked at.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from controller.api.conditions import Reason
from controller.model.desired import Finding, RejectedFile
from controller.model.outcomes import Failed, Skipped
from controller.model.plan import Decision, HostFinding, Verdict
from controller.model.status import ChainReport, Event, PassReport, WorkspaceStatus
from controller.status import phrases, wording

HOST: Final = "host"
"""Subject of what concerns no single workspace."""


def subject_of_gpu(uuid: str) -> str:
    """Return the subject of what concerns one GPU."""
    return f"gpu/{uuid}"


_QUIET: Final = frozenset({Reason.AS_SPECIFIED, Reason.STOPPED, Reason.STOPPED_BY_REQUEST})
_NOTED: Final = (Verdict.KEEP, Reason.OVER_QUOTA)
"""Its note tells it, which may have been there before."""
_TOLD_OF_NOTES: Final = frozenset(
    {
        Reason.STORAGE_HIGH,
        Reason.OVER_QUOTA,
        Reason.GPU_UNHEALTHY,
        Reason.GPU_DRAINING,
        Reason.GPU_CONFLICT,
        Reason.GPU_ACCESS_LOST,
        Reason.MEMORY_LOWERING,
    }
)
_ONCE: Final = frozenset({Reason.SLICE_CONTESTED, Reason.SLICE_STRANGER})
"""Reasons of findings whose words have numbers of processes, or of times."""
_TROUBLE: Final = frozenset({Reason.CRASH_LOOP, Reason.BACKING_OFF, Reason.ROLLING_BACK})


def derive(report_before: PassReport | None, report: PassReport) -> tuple[Event, ...]:
    """Events of this pass, compared with the pass before; None: the first pass of this controller."""
    return tuple(dict.fromkeys(_derive(report_before, report)))


def _derive(before: PassReport | None, report: PassReport) -> Iterator[Event]:
    yield from _parts(before, report)
    for found in sorted(_new_findings(before, report), key=str):
        yield _event(report.at, HOST, found.reason, f"{found.subject}: {found.message}", warning=True)
    yield from _files(before, report)
    yield from _fences(before, report)
    told = _news(before.statuses if before else {}, report.statuses)
    for name in told:
        yield from _spec(before, report.statuses[name], report.at)
        yield from _gpus(before, report.statuses[name], report.at)
    for chain in report.chains:
        yield from _chain(chain, report.at)
    for name in _news(before.plan.decisions if before else {}, report.plan.decisions):
        yield from _decision(before, report.plan.decisions[name], report.at)
        yield from _notes(before, report.plan.decisions[name], report.at)
    for name in told:
        yield from _drifts(before, report.statuses[name], report.at)


def _news(before: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """Return the names, in order, of all but the very objects of the pass before: they tell nothing new."""
    return sorted(name for name, found in now.items() if before.get(name) is not found)


def _event(at: datetime, subject: str, reason: Reason, message: str, *, warning: bool) -> Event:
    return Event(at=at, subject=subject, reason=reason, message=message, warning=warning, first_at=at)


def _parts(before: PassReport | None, report: PassReport) -> Iterator[Event]:
    lost_before = {part: reason for part, reason, _ in before.unseen} if before else {}
    for part, reason, message in report.unseen:
        if lost_before.get(part) is not reason:
            yield _event(report.at, HOST, reason, f"{part}: {message}", warning=True)
    lost = {part for part, _, _ in report.unseen}
    for part in sorted(lost_before.keys() - lost):
        yield _event(report.at, HOST, Reason.AS_SPECIFIED, f"{part} can be seen again", warning=False)


def _new_findings(before: PassReport | None, report: PassReport) -> Iterator[HostFinding]:
    """What was not found in the pass before, in other words; of some it is no news that the words differ."""
    known = _host_findings(before) if before else set()
    same = {(one.reason, one.subject) for one in known if one.reason in _ONCE}
    return (one for one in _host_findings(report) - known if (one.reason, one.subject) not in same)


def _host_findings(report: PassReport) -> set[HostFinding]:
    return {*report.findings, *report.plan.findings}


def _files(before: PassReport | None, report: PassReport) -> Iterator[Event]:
    """Files that belong to no workspace; those that do are told with it."""
    known_before = _first_findings(before) if before else {}
    known = _first_findings(report)
    for file in sorted(known):
        if known_before.get(file) != known[file]:
            yield _event(report.at, file, Reason.SPEC_REJECTED, str(known[file]), warning=True)
    for file in sorted(known_before.keys() - known.keys()):
        yield _event(report.at, file, Reason.ACCEPTED, "nothing is wrong with it any more", warning=False)


def _first_findings(report: PassReport) -> Mapping[str, Finding]:
    told = {one.rejected.file for one in report.statuses.values() if one.rejected is not None}
    first: dict[str, Finding] = {}
    for finding in report.file_findings:
        if finding.file not in told:
            first.setdefault(finding.file, finding)
    return first


def _spec(before: PassReport | None, status: WorkspaceStatus, at: datetime) -> Iterator[Event]:
    prior = before.statuses.get(status.workspace) if before else None
    if status.rejected is not None and (prior is None or prior.rejected != status.rejected):
        yield _event(at, status.workspace, status.rejected.reason, _why(status.rejected), warning=True)
    known = prior is not None and (prior.uid, prior.generation) == (status.uid, status.generation)
    if before is not None and not known and status.spec is not None:
        message = f"generation {status.generation} of {status.spec.file} is in force"
        yield _event(at, status.workspace, Reason.ACCEPTED, message, warning=False)


def _gpus(before: PassReport | None, status: WorkspaceStatus, at: datetime) -> Iterator[Event]:
    """That a workspace was given GPUs, or others than before."""
    prior = before.statuses.get(status.workspace) if before else None
    had = prior.gpus.uuids if prior is not None and prior.gpus is not None else ()
    if before is not None and status.gpus is not None and set(status.gpus.uuids) - set(had):
        models = {device.uuid: f" ({device.model})" for device in status.gpus.devices}
        given = ", ".join(f"{uuid}{models.get(uuid, '')}" for uuid in status.gpus.uuids)
        yield _event(at, status.workspace, Reason.GPUS_GRANTED, f"it was given {given}", warning=False)


def _fences(before: PassReport | None, report: PassReport) -> Iterator[Event]:
    """That devices were taken out of use by themselves, for something else than before, or came back."""
    if before is None and not report.gpus.devices:
        return
    had, has = (
        {one.device.uuid: one.fence for one in told.gpus.devices if one.fence and not one.device.parent}
        if told
        else {}
        for told in (before, report)
    )
    for uuid, fence in has.items():
        old = had.get(uuid)
        if old is None or (old.ailment, old.code) != (fence.ailment, fence.code):
            yield _event(report.at, subject_of_gpu(uuid), Reason.GPU_FENCED, fence.message, warning=True)
    if report.gpus.unseen is None:
        for uuid in sorted(had.keys() - has.keys()):
            message = "it was without a fault for long enough, and is granted again"
            yield _event(report.at, subject_of_gpu(uuid), Reason.GPU_UNFENCED, message, warning=False)


def _why(rejected: RejectedFile) -> str:
    return str(rejected.findings[0]) if rejected.findings else f"{rejected.file} is not in force"


def _chain(chain: ChainReport, at: datetime) -> Iterator[Event]:
    name, stopped_early = chain.decision.workspace, False
    for outcome in chain.outcomes:
        what = phrases.describe(outcome.action)
        if isinstance(outcome, Failed):
            stopped_early = True
            yield _event(at, name, outcome.reason, f"{what}: {outcome.message}", warning=True)
        elif isinstance(outcome, Skipped):
            stopped_early = True
            message = f"{what}: {outcome.message}"
            yield _event(at, name, Reason.CHANGED_MEANWHILE, message, warning=False)
    if chain.outcomes and not stopped_early:
        done = "; ".join(phrases.describe(outcome.action) for outcome in chain.outcomes)
        yield _event(at, name, Reason.EXECUTED, f"{chain.decision.verdict}: {done}", warning=False)


def _decision(before: PassReport | None, decision: Decision, at: datetime) -> Iterator[Event]:
    if decision.reason is Reason.IN_PROGRESS or (decision.verdict, decision.reason) == _NOTED:
        return
    prior = before.plan.decisions.get(decision.workspace) if before else None
    if prior is None and decision.reason in _QUIET:
        return
    if prior is not None and (prior.verdict, prior.reason) == (decision.verdict, decision.reason):
        return
    warning = decision.verdict is Verdict.HOLD or decision.reason in _TROUBLE
    yield _event(
        at, decision.workspace, decision.reason, decision.message or decision.verdict, warning=warning
    )


def _notes(before: PassReport | None, decision: Decision, at: datetime) -> Iterator[Event]:
    """That a workspace grew beyond its soft limit, or runs with more than it may, once."""
    prior = before.plan.decisions.get(decision.workspace) if before else None
    known = {note.reason for note in prior.notes} if prior is not None else set()
    for note in decision.notes:
        if note.reason in _TOLD_OF_NOTES and note.reason not in known:
            yield _event(at, decision.workspace, note.reason, note.message, warning=True)


def _drifts(before: PassReport | None, status: WorkspaceStatus, at: datetime) -> Iterator[Event]:
    prior = before.statuses.get(status.workspace) if before else None
    if prior is None or prior.uid != status.uid:
        return
    appeared = status.drift_since.keys() - prior.drift_since.keys()
    for drift in status.decision.drifts:
        if drift.kind in appeared:
            message = f"drift: {wording.drift_in_words(drift)}"
            yield _event(at, status.workspace, Reason.DRIFTED, message, warning=False)
    for kind in sorted(prior.drift_since.keys() - status.drift_since.keys()):
        yield _event(at, status.workspace, Reason.AS_SPECIFIED, f"drift is gone: {kind}", warning=False)
