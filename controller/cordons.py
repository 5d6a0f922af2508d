"""Knows what people order about GPUs: to take one out of use, to have it left, to let it be granted again.

Refuses to act on anything but the ledger, and to take an index for a device: it means another one tomorrow.
"""

from collections.abc import Mapping
from typing import Protocol

from controller.api.conditions import Reason
from controller.changes import Order
from controller.model.gpus import Cordon
from controller.model.gpustatus import GpuStatus
from controller.model.memory import Memory
from controller.model.status import Event
from controller.planning import allocation
from controller.reporting import control
from controller.status import events, gpus


class Ledger(Protocol):
    """What of the ledger these orders touch."""

    def cordon(self, cordon: Cordon) -> None:
        """Write that a device is out of use."""

    def uncordon(self, uuid: str) -> None:
        """Write that it is of use again."""

    def record_event(self, event: Event) -> Event:
        """Write an event."""


def find(status: GpuStatus, memory: Memory, name: str) -> str:
    """Return the UUID of a device that is there, or that is out of use, by the beginning of it.

    Raises:
        control.NotFound: there is no such device.
        control.BadRequest: several begin so, or it is an index.
        control.Unavailable: the devices could not be looked at.
    """
    known: Mapping[str, str] = {
        **dict.fromkeys((*memory.cordons, *memory.fences), ""),
        **{one.device.uuid: one.device.index for one in status.devices},
    }
    try:
        return gpus.find(name, known)
    except ValueError as error:
        raise control.BadRequest(str(error)) from error
    except LookupError as error:
        if status.unseen is not None:
            raise control.Unavailable(status.unseen.reason, status.unseen.message) from error
        raise control.NotFound(str(error)) from error


def cordon(ledger: Ledger, uuid: str, reason: str, order: Order, *, drain: bool) -> None:
    """Take a device out of use, in place of what was said of it before."""
    ledger.cordon(Cordon(uuid, reason, order.at, order.by, drain))
    kind, words = (
        (Reason.GPU_DRAINING, "asked those who have it to leave")
        if drain
        else (Reason.GPU_CORDONED, "took it out of use")
    )
    message = f"{order.by} {words}: {reason}"
    ledger.record_event(Event(order.at, events.subject_of_gpu(uuid), kind, message, warning=False))


def uncordon(ledger: Ledger, uuid: str, before: Cordon | None, order: Order) -> bool:
    """Let a device be granted again; False if it was not out of use by a person."""
    if before is None:
        return False
    ledger.uncordon(uuid)
    message = f"{order.by} put it back into use (it was out of use for: {before.reason})"
    event = Event(order.at, events.subject_of_gpu(uuid), Reason.GPU_UNCORDONED, message, warning=False)
    ledger.record_event(event)
    return True


def still_out_of_use(status: GpuStatus, memory: Memory, uuid: str) -> str:
    """Say why nobody gets a device that a person put back, or nothing: for a fault, or with its GPU."""
    whole = next((one.device.whole for one in status.devices if one.device.uuid == uuid), uuid)
    left = {name: cordon for name, cordon in memory.cordons.items() if name != uuid}
    reasons = allocation.withheld(left, memory.fences)
    if uuid in reasons:
        return f"it is {reasons[uuid]}"
    return f"{whole} is {reasons[whole]}" if whole in reasons else ""


def told_to_leave(status: GpuStatus, uuid: str) -> list[str]:
    """Return the workspaces that have a device or an instance of it."""
    found = (
        name
        for one in status.devices
        if uuid in {one.device.uuid, one.device.whole}
        for name in one.workspaces
    )
    return sorted(set(found))
