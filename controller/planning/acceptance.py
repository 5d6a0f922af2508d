"""Knows which spec is in force for each workspace: of what the files say now and what was accepted before.

Refuses to take a rejected, half-written or vanished file for a wish: the last accepted spec stays in force.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from controller.api.conditions import Reason
from controller.api.workspace import Workspace
from controller.model.desired import AcceptedSpec, Finding, RejectedFile, SpecFile, SpecScan
from controller.model.memory import Memory
from controller.model.observed import Seen, Unseen
from controller.planning import resolve
from controller.planning.budget import Budget

CONFIRM_AFTER = timedelta(seconds=5)
"""A change that disturbs a running workspace waits until its file has read the same for this long."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Specs in force after a scan.

    Attributes:
        specs: by name.
        changed: those that the ledger must write before anything rests on them.
        rejected: files not in force, by workspace name, or by file where no name can be told.
        removals_held: why nothing is removed now, or empty.
        accident: why removals need a person's approval, or empty.
        identity: of the directory, when it is proven to be the one that the accepted specs came from.
    """

    specs: Mapping[str, AcceptedSpec]
    changed: tuple[AcceptedSpec, ...]
    rejected: Mapping[str, RejectedFile]
    removals_held: str
    accident: str
    identity: tuple[int, int] | None
    next_look: datetime | None


def accept(
    scan: Seen[SpecScan] | Unseen,
    memory: Memory,
    new_uid: Callable[[str], str],
    budget: Budget,
    now: datetime,
) -> Acceptance:
    """Lay a scan over what was accepted before; `new_uid` gives the uid of a workspace that is new.

    When more specs vanish than the budget allows, none is removed: that is an accident, not a wish.
    """
    if isinstance(scan, Unseen):
        return Acceptance(memory.accepted, (), {}, scan.message, "", None, None)
    rejected = _rejected(scan.value, memory)
    specs: dict[str, AcceptedSpec] = {}
    for name, file in scan.value.files.items():
        before = memory.accepted.get(name)
        if before is not None and _moves(before, file):
            rejected[name] = _owner_changed(file, before)
            specs[name] = _present(before)
            continue
        specs[name] = _accepted(file, before, new_uid, now)
    settling = {*scan.value.settling, *(file for file, _ in scan.value.ignored)}
    for name, before in memory.accepted.items():
        if name not in specs:
            there = name in rejected or before.file in settling
            specs[name] = _present(before) if there else _missing(before, scan.at)
    held = _removals_held(scan.value, memory, specs, rejected)
    changed = tuple(spec for name, spec in specs.items() if spec is not memory.accepted.get(name))
    return Acceptance(
        specs=specs if changed else memory.accepted,
        changed=changed,
        rejected=rejected,
        removals_held=held,
        accident=_accident(scan.value, memory, specs, budget),
        identity=None if _gone(specs) else scan.value.identity,
        next_look=_next_look(scan.value, specs, now),
    )


def _moves(before: AcceptedSpec, file: SpecFile) -> bool:
    """Tell whether a file gives a workspace to somebody else."""
    was, will_be = before.workspace, file.workspace
    return was is not will_be and resolve.owner_of(was) != resolve.owner_of(will_be)


def _accepted(
    file: SpecFile, before: AcceptedSpec | None, new_uid: Callable[[str], str], now: datetime
) -> AcceptedSpec:
    if before is None:
        return AcceptedSpec(
            workspace=file.workspace,
            uid=new_uid(file.workspace.metadata.name),
            generation=1,
            digest=file.digest,
            file=file.file,
            accepted_at=now,
            confirmed=file.terminated,
            lines=file.lines,
        )
    if before.digest != file.digest and not same(before.workspace, file.workspace):
        return replace(
            before,
            workspace=file.workspace,
            generation=before.generation + 1,
            digest=file.digest,
            file=file.file,
            accepted_at=now,
            confirmed=file.terminated,
            missing_since=None,
            lines=file.lines,
            created_at=before.since,
        )
    waited = abs(now - max(before.accepted_at, file.settled_at))  # a clock set back is not waited for
    confirmed = before.confirmed or file.terminated or waited >= CONFIRM_AFTER
    unchanged = (before.digest, before.file, before.confirmed) == (file.digest, file.file, confirmed)
    if unchanged and before.missing_since is None:
        return before
    return replace(
        before,
        digest=file.digest,
        file=file.file,
        confirmed=confirmed,
        missing_since=None,
        lines=file.lines,
    )


def same(before: Workspace, after: Workspace) -> bool:
    """Tell whether two specs say the same; to say null is not to say nothing."""
    return before == after and before.model_dump(exclude_unset=True) == after.model_dump(exclude_unset=True)


def _present(before: AcceptedSpec) -> AcceptedSpec:
    return before if before.missing_since is None else replace(before, missing_since=None)


def _missing(before: AcceptedSpec, at: datetime) -> AcceptedSpec:
    """A grace that a clock set back would make longer begins anew."""
    since = before.missing_since
    return before if since is not None and since <= at else replace(before, missing_since=at)


def _rejected(scan: SpecScan, memory: Memory) -> dict[str, RejectedFile]:
    by_file = {spec.file: name for name, spec in memory.accepted.items()}
    return {file.name or by_file.get(file.file) or file.file: file for file in scan.rejected}


def _owner_changed(file: SpecFile, before: AcceptedSpec) -> RejectedFile:
    was, now = resolve.owner_of(before.workspace), resolve.owner_of(file.workspace)
    message = f'the owner is for life: it was "{was}" and the file now says "{now}"; put "{was}" back'
    line = file.lines.get("spec.owner", 0)
    finding = Finding(file.file, line, 1 if line else 0, "spec.owner", message)
    return RejectedFile(file.file, file.workspace.metadata.name, Reason.OWNER_CHANGED, (finding,))


def _gone(specs: Mapping[str, AcceptedSpec]) -> list[str]:
    return sorted(name for name, spec in specs.items() if spec.missing_since is not None)


def _removals_held(
    scan: SpecScan,
    memory: Memory,
    specs: Mapping[str, AcceptedSpec],
    rejected: Mapping[str, RejectedFile],
) -> str:
    gone = _gone(specs)
    if not gone:
        return ""
    nameless = [file.file for name, file in rejected.items() if file.name is None and name == file.file]
    if nameless:
        return f"{nameless[0]} cannot be read, and it may be the file of one of {', '.join(gone)}"
    known = {spec.file for spec in memory.accepted.values()}
    unread = sorted(set(scan.settling) - known)
    if unread:
        return f"{unread[0]} is being written, and it may be the file of one of {', '.join(gone)}"
    return ""


def _accident(scan: SpecScan, memory: Memory, specs: Mapping[str, AcceptedSpec], budget: Budget) -> str:
    """Say why the loss of specs looks like an accident, or nothing; a person must approve it then.

    What a person deleted is no loss.
    """
    gone = [name for name in _gone(specs) if name not in memory.removal_requests]
    if scan.deliberate:
        return ""
    if gone and memory.spec_identity is not None and memory.spec_identity != scan.identity:
        return f"the spec directory was replaced by another one, and {len(gone)} specs are not in it"
    if len(gone) > budget.share(len(specs)):
        return f"{len(gone)} of {len(specs)} specs vanished at once"
    return ""


def _next_look(scan: SpecScan, specs: Mapping[str, AcceptedSpec], now: datetime) -> datetime | None:
    times = [scan.next_look] if scan.next_look else []
    for name, file in scan.files.items():
        spec = specs[name]
        due = max(spec.accepted_at, file.settled_at) + CONFIRM_AFTER
        if not spec.confirmed and due > now:
            times.append(due)
    return min(times, default=None)
