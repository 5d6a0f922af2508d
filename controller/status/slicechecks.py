"""Judges whether the limits on what owners use together can be enforced on a host.

Refuses to look: the facts are given.
"""

from collections.abc import Iterator

from controller.api.config import SliceDriver
from controller.model.observed import Unseen
from controller.model.preflight import EngineFacts, SliceFacts
from controller.model.slices import HARD, SliceLimit, SliceView
from controller.status.checks import Check, fail, ok, warn

_WHAT = "slices"
_ENGINES = {"systemd": SliceDriver.SYSTEMD, "cgroupfs": SliceDriver.CGROUPFS}
"""By what the Engine calls the driver of its own cgroups."""


def judge(facts: SliceFacts, engine: EngineFacts) -> Iterator[Check]:
    """Who makes slices, whether that works, and what of the policy this kernel cannot."""
    view = facts.view
    if isinstance(view, Unseen):
        yield fail(_WHAT, view.message, "until then nobody with limits in the policy's aggregate is started")
        return
    if view.driver is SliceDriver.NONE:
        yield _nobody(facts)
        return
    engines = _ENGINES.get(engine.cgroup_driver)
    if engines is not view.driver:
        detail = f"made by {view.driver.lower()}, and the Engine's driver is {engine.cgroup_driver}"
        yield fail(_WHAT, f"{detail}: it makes no container in them", "set slices.driver: Auto")
    elif facts.refused:
        yield fail(_WHAT, facts.refused, "until then no limit of the policy's aggregate is set")
    else:
        yield ok(_WHAT, f"made by {view.driver.lower()}, version {view.version}{_rest(facts, view)}")
    for limit in SliceLimit:
        if limit in view.cannot and limit in facts.asked:
            yield _gap(limit, view.cannot[limit])
    for path, why in sorted(view.no_device.items()):
        yield warn(_WHAT, f"io of {path}: {why}", "name another path in the policy's aggregate")


def _nobody(facts: SliceFacts) -> Check:
    why = "slices.driver is None" if facts.configured is SliceDriver.NONE else "the Engine names no driver"
    if not facts.asked:
        return ok(_WHAT, f"{why}: owners are not limited together")
    said = ", ".join(limit for limit in SliceLimit if limit in facts.asked)
    detail = f"{why}, so the policy's aggregate ({said}) has no effect"
    if facts.configured is SliceDriver.NONE:
        return warn(_WHAT, detail, "set slices.driver: Auto")
    if facts.asked & HARD:
        remedy = "run an Engine with the cgroup driver systemd or cgroupfs, or set slices.driver: None"
        return fail(_WHAT, f"{detail}, and nobody with a hard limit in it is started", remedy)
    return warn(_WHAT, detail, "run an Engine with the cgroup driver systemd or cgroupfs")


def _gap(limit: SliceLimit, why: str) -> Check:
    if limit in HARD:
        remedy = "enable it, or drop it from the policy: until then none of those owners' is started"
        return fail(_WHAT, f"{limit}: {why}", remedy)
    return warn(_WHAT, f"{limit}: {why}", "it has no effect, and the workspaces say so")


def _rest(facts: SliceFacts, view: SliceView) -> str:
    """What this kernel cannot and nobody asks for."""
    rest = ", ".join(limit for limit in SliceLimit if limit in view.cannot and limit not in facts.asked)
    return f"; this kernel cannot {rest}, which nobody asks for" if rest else ""
