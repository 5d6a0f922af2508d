"""Knows what its owner's slice means for what runs of one workspace: what differs, and what to tell.

Refuses to blame a container for having been made before there were slices: it stays, and that is said.
"""

import re
from collections.abc import Iterator
from typing import Final

from controller.api import labels
from controller.api.conditions import DriftKind, Reason
from controller.api.config import SliceDriver
from controller.model import slicenames
from controller.model.observed import Container
from controller.model.plan import Drift, Note, Remedy
from controller.model.slices import ROOT
from controller.model.slicestatus import OwnerSlice, SlicesStatus
from controller.model.template import Template
from controller.planning import aggregates

_ROOTS: Final = {
    SliceDriver.SYSTEMD: re.compile(r"([a-z][a-z0-9]*)-.+\.slice"),
    SliceDriver.CGROUPFS: re.compile(r"/([a-z][a-z0-9]*)/[^/]+"),
}
"""In what form each driver names a slice below the one above all."""


def drifts(container: Container, template: Template, owner: str, status: SlicesStatus) -> tuple[Drift, ...]:
    """Return in what a container's slice differs, or that it is in another one of ours."""
    wanted, has = template.cgroup_parent, container.configuration.cgroup_parent
    if not wanted:
        return ()
    if has != wanted:
        other = (Drift(DriftKind.SLICE, "parent", has, wanted, Remedy.REPLACE),)
        made_by_us = labels.TEMPLATE_HASH in container.labels
        return other if has and _is_ours(has, wanted, owner, made_by_us=made_by_us) else ()
    slice_ = status.owners.get(owner) if container.running else None
    if slice_ is None or not slice_.differences:
        return ()
    return tuple(
        Drift(DriftKind.SLICE, one.limit.value, one.observed, one.desired, Remedy.OWNER)
        for one in slice_.differences
    )


def _is_ours(has: str, wanted: str, owner: str, *, made_by_us: bool) -> bool:
    """Tell whether a slice is the owner's by another driver or below another root, or another owner's.

    A root of before is only believed where we made the container: an adopted one may be in `lab-alice.slice`.
    """
    for driver, form in _ROOTS.items():
        found, now = form.fullmatch(has), form.fullmatch(wanted)
        if found is not None and made_by_us and slicenames.parent(driver, found[1], owner) == has:
            return True
        if now is not None and slicenames.owner_of(driver, now[1], has) not in {None, ROOT}:
            return True
    return False


def notes(
    running: tuple[Container, ...], template: Template, owner: str, status: SlicesStatus
) -> Iterator[Note]:
    """Say of a workspace that runs what of its owner's limits has no effect, and what is lowered later."""
    slice_ = status.owners.get(owner)
    if slice_ is None or not running:
        return
    gaps = [gap for gap in (slice_.refused, *slice_.gaps) if gap]
    told = [f"limits of {owner} have no effect: {'; '.join(gaps)}"] if gaps else []
    outside = _outside(running[0], template, slice_)
    if outside:
        told.append(outside)
    if told:
        yield Note(Reason.LIMIT_NOT_ENFORCED, "; ".join(told))
    if slice_.lowering:
        yield Note(Reason.MEMORY_LOWERING, f"the slice of {owner}: {slice_.lowering}")


def _outside(container: Container, template: Template, slice_: OwnerSlice) -> str:
    """Say that a container was not made in its owner's slice, where that has any limits."""
    has = container.configuration.cgroup_parent
    if has == template.cgroup_parent or slice_.wanted is None:
        return ""
    limits = aggregates.asked_for(slice_.wanted)
    if not limits:
        return ""
    where = f"in {has}" if has else "without a slice"
    return (
        f"the container was made {where}, and the limits of {slice_.owner} ({', '.join(limits)}) do not "
        "hold for it until it is made anew, as for a change of its image or environment"
    )
