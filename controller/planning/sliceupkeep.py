"""Knows what is done to slices: one that differs is set, one that nobody uses goes; and what is said of them.

Refuses to remove a slice in which anything runs, or whose owner has anything that is to run.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from controller.api import quantities
from controller.api.conditions import Reason
from controller.model.actions import RemoveSlice, SetSlice
from controller.model.memory import Memory
from controller.model.plan import Decision, HostFinding, Verdict
from controller.model.slices import ROOT, UNLIMITED, SliceView, subject
from controller.model.slicestatus import OwnerSlice, SlicesStatus
from controller.planning import aggregates, backoff, ownerslices

CONTESTED: Final = 3
"""A slice that had to be set again this often within an hour has somebody else who sets it."""
_SHOWN: Final = 5


def upkeep(
    status: SlicesStatus, owner_of: Mapping[str, str], memory: Memory, now: datetime, *, fresh: bool
) -> Iterator[Decision]:
    """Yield what is done to which slice, the one above all first.

    `owner_of` names each workspace's owner; nothing is removed unless what was seen is `fresh`.
    """
    if status.unseen is not None or status.root is None:
        return
    begun = {one.workspace for one in memory.open_intents}
    removing = any(o.workspace == subject(ROOT) and o.verdict == Verdict.REMOVE for o in memory.open_intents)
    if removing:
        return
    using = {owner_of.get(name) for name in begun if "/" not in name}
    for slice_ in (status.root, *status.owners.values()):
        if subject(slice_.owner) in begun:
            continue
        used = bool(begun) if slice_.owner == ROOT else bool(using & {None, slice_.owner})
        if slice_.differences and slice_.now is not None:
            yield _held_back(_set(status, slice_), memory, now)
        elif fresh and _is_over(slice_) and not used:
            yield _held_back(_removed(status, slice_), memory, now)


def _is_over(slice_: OwnerSlice) -> bool:
    return slice_.found is not None and not slice_.active and not slice_.found.populated


def _set(status: SlicesStatus, slice_: OwnerSlice) -> Decision:
    assert slice_.now is not None, "what differs has something to be"
    whose = _whose(slice_.owner)
    if slice_.found is None:
        verdict, message = Verdict.CREATE, f"{whose} is made with {_words(slice_)}"
    else:
        verdict, message = Verdict.UPDATE, f"{whose} has {ownerslices.in_place(slice_)}"
    action = SetSlice(status.driver, slice_.owner, slice_.name, slice_.now)
    return Decision(
        workspace=subject(slice_.owner),
        verdict=verdict,
        reason=Reason.SLICE_DRIFTED,
        message=f"{message}; {slice_.lowering}" if slice_.lowering else message,
        actions=(action,),
        key=f"{subject(slice_.owner)}: {_words(slice_)}",
    )


def _removed(status: SlicesStatus, slice_: OwnerSlice) -> Decision:
    what = "nothing is in it" if slice_.owner == ROOT else f"nothing of {slice_.owner} runs or is to run"
    return Decision(
        workspace=subject(slice_.owner),
        verdict=Verdict.REMOVE,
        reason=Reason.SLICE_EMPTY,
        message=f"{_whose(slice_.owner)} goes: {what}",
        actions=(RemoveSlice(status.driver, slice_.owner, slice_.name),),
        key=f"{subject(slice_.owner)}: removed",
    )


def _held_back(decision: Decision, memory: Memory, now: datetime) -> Decision:
    return backoff.held_back(decision, memory.backoffs.get(decision.workspace), now)


def _whose(owner: str) -> str:
    return "the slice of all owners" if owner == ROOT else f"the slice of {owner}"


def _words(slice_: OwnerSlice) -> str:
    limits = slice_.now or UNLIMITED
    return aggregates.words(limits, aggregates.asked_for(limits)) or "no limits"


def findings(
    status: SlicesStatus, view: SliceView, memory: Memory, root: str, total: int
) -> Iterator[HostFinding]:
    """Yield what a person should know: who else sets limits of slices, who else is in them, and promises.

    `total` is the host's memory, bytes.
    """
    promised = sum(slice_.now.memory_low for slice_ in status.owners.values() if slice_.now and slice_.active)
    if promised > total:
        amounts = [quantities.format_bytes(amount) for amount in (promised, total)]
        message = f"{amounts[0]} is guaranteed to owners in all, and the host has {amounts[1]}"
        yield HostFinding(Reason.MEMORY_PROMISED, subject(ROOT), message)
    for owner, times in sorted(memory.slice_repairs.items()):
        if len(times) >= CONTESTED:
            message = (
                f"{_whose(owner)} had to be set {len(times)} times within an hour: somebody else sets it"
            )
            yield HostFinding(Reason.SLICE_CONTESTED, subject(owner), message)
    found = {slice_.name: slice_.strangers for slice_ in view.slices.values()}
    found[root] = (*found.get(root, ()), *view.strangers)
    for name, strangers in sorted(found.items()):
        if strangers:
            shown = ", ".join(strangers[:_SHOWN]) + (", ..." if len(strangers) > _SHOWN else "")
            message = f"in the slice {name} there is what is no container of ours: {shown}"
            yield HostFinding(Reason.SLICE_STRANGER, name, message)
