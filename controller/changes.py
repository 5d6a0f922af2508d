"""Knows what people order about changes: to let one go, to go back, to forget a kept container, to adopt one.

Refuses to act on anything but the ledger, and to take an order that would come to nothing.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from controller.api import labels
from controller.api.conditions import Reason
from controller.model.memory import Adoption, Approval, Memory, RemovalRequest, Retained, Rollback
from controller.model.observed import Stranger
from controller.model.plan import Decision
from controller.model.status import Event, WorkspaceStatus
from controller.planning import claims
from controller.reporting import control

APPROVABLE: Final = frozenset(
    {
        Reason.CHANGE_PENDING,
        Reason.BUDGET_EXCEEDED,
        Reason.REMOVALS_HELD,
        Reason.PACED,
        Reason.PINNED,
        Reason.OWN_GPU_BUSY,
        Reason.GPU_ACCESS_LOST,
    }
)
"""Reasons of decisions that a person's approval overcomes."""
_OUR_NAME: Final = re.compile(r"workspace-([a-z0-9](?:[a-z0-9-]*[a-z0-9])?)(?:\.[0-9a-f]{8})?")


class Ledger(Protocol):
    """What of the ledger these orders touch."""

    def recall(self, nonce: bytes, now: datetime) -> Memory:
        """Return all of it."""

    def approve(self, approval: Approval) -> None:
        """Write that a change may go."""

    def request_rollback(self, rollback: Rollback) -> None:
        """Write that a kept container shall come back."""

    def adopt(self, adoption: Adoption) -> None:
        """Write that a container is ours."""

    def request_forgetting(self, container_id: str, at: datetime) -> None:
        """Write that a kept container shall go."""

    def request_removal(self, request: RemovalRequest) -> None:
        """Write that a person deleted a workspace."""

    def record_event(self, event: Event) -> Event:
        """Write an event."""


class Inquiries(Protocol):
    """Single questions to the Engine; each may raise `errors.EffectError`."""

    def container(self, name: str) -> Stranger | None:
        """Return the container of that name."""

    def layer_sizes(self, ids: Iterable[str]) -> Mapping[str, int]:
        """Return bytes by container; those that cannot be asked for are left out."""


@dataclass(frozen=True, slots=True)
class Order:
    """Who asks, and when."""

    by: str
    at: datetime


def is_approvable(decision: Decision) -> bool:
    """Tell whether an approval would let something go."""
    return decision.reason in APPROVABLE and bool(decision.change)


def approve(ledger: Ledger, status: WorkspaceStatus, order: Order) -> bool:
    """Let the change of a workspace go; False if it was let go before.

    Raises:
        control.Refused: there is nothing to approve.
    """
    name, decision = status.workspace, status.decision
    if decision.reason is Reason.REPLACEMENT_FAILED:
        message = f"the change of {name} failed; `wharf restart {name}` tries it again"
        raise control.Refused(decision.reason, message)
    memory = ledger.recall(b"", order.at)
    before = memory.approvals.get(name)
    if before is not None and before.change == decision.change and name not in memory.pins:
        return False
    if not is_approvable(decision):
        message = f"nothing of {name} is held or waits for its time"
        raise control.Refused(decision.reason, message)
    ledger.approve(Approval(name, decision.change, order.at, order.by))
    message = f"{order.by} lets it go: {decision.message or decision.reason}"
    ledger.record_event(Event(order.at, name, Reason.APPROVED, message, warning=False))
    return True


def delete(ledger: Ledger, name: str, order: Order) -> None:
    """Take that a person took the spec file of a workspace away: that is a wish, and counts in no budget.

    Raises:
        control.NotFound: no spec asks for the workspace any more.
    """
    if name not in ledger.recall(b"", order.at).accepted:
        raise control.NotFound(f'there is no workspace "{name}"')
    ledger.request_removal(RemovalRequest(name, order.at, order.by))


def roll_back(ledger: Ledger, status: WorkspaceStatus, order: Order) -> Retained:
    """Ask for the newest kept container of a workspace.

    Raises:
        control.NotFound: none is kept.
        control.Refused: no spec asks for the workspace.
    """
    name, memory = status.workspace, ledger.recall(b"", order.at)
    spec = memory.accepted.get(name)
    if spec is None or spec.missing_since is not None:
        message = f"the spec of {name} is gone; put it back and its container returns"
        raise control.Refused(Reason.SPEC_REMOVED, message)
    kept = [one for one in memory.retained.values() if one.workspace == name]
    if status.container is not None:
        kept = [one for one in kept if one.container_id != status.container.id]
    if not kept:
        raise control.NotFound(f"no container of {name} is kept, so there is nothing to go back to")
    newest = max(kept, key=lambda one: (one.at, one.container_id))
    ledger.request_rollback(Rollback(name, newest.container_id, requested=True, at=order.at, by=order.by))
    return newest


def forget(ledger: Ledger, container: str, order: Order) -> Retained:
    """Ask for a kept container, by full id or name, to be removed.

    Raises:
        control.NotFound: no such container is kept.
        control.Refused: it may be needed to undo a replacement, or the host or its workspace is paused.
    """
    memory = ledger.recall(b"", order.at)
    kept = memory.retained.get(container) or _by_name(memory, container)
    if kept is None:
        raise control.NotFound(f'no container "{container}" is kept')
    rollback = memory.rollbacks.get(kept.workspace)
    if rollback is not None and rollback.to_id == kept.container_id:
        raise control.Refused(Reason.ROLLING_BACK, f"{kept.name} is being put back")
    pause = memory.host_pause or memory.pauses.get(kept.workspace)
    if pause is not None:
        what = "the host" if memory.host_pause is not None else f"the workspace {kept.workspace}"
        raise control.Refused(Reason.PAUSED, f"{what} is paused ({pause.reason}), and nothing is removed")
    ledger.request_forgetting(kept.container_id, order.at)
    return kept


def _by_name(memory: Memory, name: str) -> Retained | None:
    return next((one for one in memory.retained.values() if one.name == name), None)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A container that could be adopted, the workspace that it would belong to, and whether it is ours."""

    workspace: str
    container: Stranger
    owned: bool


def candidate(ledger: Ledger, inquiries: Inquiries, name: str, at: datetime) -> Candidate:
    """Find the foreign container on a workspace's name, or the one of that very name.

    Raises:
        control.NotFound: there is no such container.
        control.Refused: nothing says which workspace it would be of.
        errors.EffectError: the Engine does not answer.
    """
    found = inquiries.container(labels.container_name(name)) or inquiries.container(name)
    if found is None:
        raise control.NotFound(f"there is neither a container {labels.container_name(name)} nor {name}")
    memory = ledger.recall(b"", at)
    owned = claims.judge(memory.claim_key, found.labels) is claims.Ownership.OWNED
    match = _OUR_NAME.fullmatch(found.name)
    workspace = match[1] if match else found.labels.get(labels.WORKSPACE, "")
    if not workspace:
        message = (
            f"neither name nor labels of {found.name} say which workspace it is of; "
            f"rename it to {labels.container_name('NAME')} first"
        )
        raise control.Refused(Reason.FOREIGN_CONTAINER, message)
    return Candidate(workspace, found, owned=owned or found.id in memory.adopted)


def adopt(ledger: Ledger, inquiries: Inquiries, name: str, container_id: str, order: Order) -> Candidate:
    """Declare a container ours: the one that was shown, by its full id.

    Raises:
        control.Refused: another container has the name by now; else as `candidate`.
    """
    found = candidate(ledger, inquiries, name, order.at)
    if found.container.id != container_id:
        message = f"{found.container.name} is another container now than the one that was shown"
        raise control.Refused(Reason.CHANGED_MEANWHILE, message)
    if found.owned:
        return found
    ledger.adopt(Adoption(container_id, found.workspace, order.at, order.by))
    message = f"{order.by} made {found.container.name} ({container_id[:12]}) ours"
    ledger.record_event(Event(order.at, found.workspace, Reason.ADOPTED, message, warning=False))
    return found
