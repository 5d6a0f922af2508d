"""Knows when a workspace has settled, for those who wait for what they asked for.

Refuses to wait: it judges one report.
"""

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Final

from controller.api.conditions import ConditionStatus, ConditionType, Reason
from controller.model.plan import Verdict
from controller.model.status import PassReport, WorkspaceStatus
from controller.reporting import control

PATIENT: Final = frozenset({Reason.CHANGE_PENDING, Reason.PACED, Reason.CRASH_LOOP, Reason.BACKING_OFF}) | {
    *(Reason.GPU_QUEUED, Reason.OWN_GPU_BUSY, Reason.GPU_ACCESS_LOST, Reason.GPU_DRIVER_MISMATCH)
}
"""Waits that last longer than anybody who asks wants to wait."""
REREAD: Final = timedelta(seconds=1)
"""A rejection is of the file's present text if it was read this long after the last change."""


def has_settled(
    status: WorkspaceStatus, awaited: control.Awaited, report: PassReport, spec_dir: Path
) -> bool:
    """Tell whether what is awaited of a workspace is in force, or will not be without a person."""
    if awaited.digest is not None:
        rejected = status.rejected
        if rejected is not None and rejected.reason is not Reason.SPEC_CONFLICT:  # of an older text?
            return _is_of(spec_dir / rejected.file, awaited.digest, report)
        if status.spec is None or status.spec.digest != awaited.digest:
            return rejected is not None and _is_of(spec_dir / rejected.file, awaited.digest, report)
    if awaited.generation is not None and status.generation < awaited.generation:
        return False
    verdict, reason = status.decision.verdict, status.decision.reason
    if verdict is Verdict.KEEP:
        return status.conditions[ConditionType.READY].status is ConditionStatus.TRUE or (
            not status.desired_running
        )
    return verdict is Verdict.HOLD or (verdict is Verdict.WAIT and reason in PATIENT)


def _is_of(path: Path, digest: str, report: PassReport) -> bool:
    """Tell whether a rejection is of the text that is awaited."""
    try:
        text, changed = path.read_bytes(), path.stat().st_mtime
    except OSError:
        return False
    fresh = report.at.timestamp() - changed > REREAD.total_seconds()
    return fresh and hashlib.sha256(text).hexdigest() == digest
