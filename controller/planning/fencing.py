"""Knows which GPUs are out of use by themselves, for what ails them, and when they are of use again.

Refuses to stop what runs on them, and to call a device well that was not seen.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from controller.model.gpus import Ailment, Fence, GpuView, Trouble
from controller.model.observed import Seen, Unseen

APPLICATION_FAULTS: Final = frozenset({13, 31, 43, 45, 68, 109})
"""XIDs that a program causes by its own mistakes: a GPU works on after them, and they never fence one."""


@dataclass(frozen=True, slots=True)
class Fencing:
    """Which devices are fenced as of a look.

    Attributes:
        fences: all that hold, by UUID of the whole GPU.
        changed: those of them that are to be written down.
        ended: UUIDs whose fence is over.
    """

    fences: Mapping[str, Fence] = field(default_factory=dict)
    changed: tuple[Fence, ...] = ()
    ended: tuple[str, ...] = ()


NOTHING: Final = Fencing()
"""Of most hosts."""


def fencing(
    gpus: Seen[GpuView] | Unseen, known: Mapping[str, Fence], clean_after: timedelta, now: datetime
) -> Fencing:
    """Say which devices are fenced, of those that were, `known`, and of what ails them now.

    A fence begins with a trouble. It ends when the device was seen without one for `clean_after`; while it
    cannot be seen, or is not there, its fence stays.
    """
    if isinstance(gpus, Unseen):
        return Fencing(known) if known else NOTHING
    troubles = _by_device(gpus.value.troubles)
    if not known and not troubles:
        return NOTHING
    fences: dict[str, Fence] = {}
    for uuid in sorted({*known, *troubles}):
        before = known.get(uuid)
        fence = _fence(uuid, before, troubles.get(uuid, ()), now)
        if fence.lasts or uuid not in gpus.value.devices or now - fence.last < clean_after:
            fences[uuid] = fence
    changed = tuple(fence for uuid, fence in fences.items() if fence != known.get(uuid))
    return Fencing(fences, changed, tuple(sorted(known.keys() - fences.keys())))


def until(fence: Fence, clean_after: timedelta) -> datetime | None:
    """Return when a fence ends if nothing more happens, None while its cause lasts."""
    return None if fence.lasts else fence.last + clean_after


def _by_device(troubles: Iterable[Trouble]) -> Mapping[str, list[Trouble]]:
    """Troubles that fence, what was reported last first."""
    found: dict[str, list[Trouble]] = {}
    for trouble in troubles:
        if trouble.ailment is not Ailment.XID or trouble.code not in APPLICATION_FAULTS:
            found.setdefault(trouble.uuid, []).append(trouble)
    for of_one in found.values():
        of_one.sort(key=lambda one: (one.at, one.ailment, one.code or 0), reverse=True)
    return found


def _fence(uuid: str, before: Fence | None, troubles: Sequence[Trouble], now: datetime) -> Fence:
    """Return the fence of a device that has a trouble, or had one; it is the same while nothing is new."""
    lasting = [trouble for trouble in troubles if trouble.lasts]
    if before is not None and before.lasts:
        if any((one.ailment, one.code) == (before.ailment, before.code) for one in lasting):
            return before
        if not lasting:
            return replace(before, last=now, lasts=False)
    worst = next(iter(lasting or troubles), None)
    if worst is not None:
        at = min(worst.at, now)
        since = at if before is None else before.since
        if before is None or worst.lasts or at > before.last:
            return Fence(uuid, worst.ailment, worst.message, since, at, worst.code, worst.lasts)
    assert before is not None, "a device is looked at for a trouble or for its fence"
    return before if before.last <= now else replace(before, last=now)  # the clock was set back
