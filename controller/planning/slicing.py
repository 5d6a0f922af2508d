"""Knows which slices there should be on a host, and what a look at them is to find out.

Refuses to touch one: what differs becomes actions, one owner at a time.
"""

from controller.api.config import SliceDriver
from controller.api.presets import Grant, Group, User
from controller.model.desired import AcceptedPolicy
from controller.model.observed import EngineView, Unseen
from controller.model.slices import Question
from controller.planning.case import Rules


def driver_of(rules: Rules, view: EngineView) -> SliceDriver:
    """Return who makes the slices: as configured, else who makes the Engine's own cgroups; never AUTO."""
    if rules.slice_driver is not SliceDriver.AUTO:
        return rules.slice_driver
    match view.cgroup_driver:
        case "systemd":
            return SliceDriver.SYSTEMD
        case "cgroupfs":
            return SliceDriver.CGROUPFS
        case _:
            return SliceDriver.NONE


def question(rules: Rules, view: EngineView, policy: AcceptedPolicy | Unseen) -> Question:
    """Return what is to be looked at: slices, the devices that the policy names, and what of ours runs."""
    driver = driver_of(rules, view)
    if driver is SliceDriver.NONE:
        return Question(driver, rules.slice_root)
    running = {c.id: c.pid for c in view.containers.values() if c.running and c.pid}
    return Question(driver, rules.slice_root, _paths(policy), running)


def _paths(policy: AcceptedPolicy | Unseen) -> frozenset[str]:
    """Return for which paths the policy limits IO, of whomever."""
    if isinstance(policy, Unseen):
        return frozenset()
    rules = policy.policy.spec
    entries: tuple[Group | User | Grant, ...] = (
        *rules.groups.values(),
        *rules.users.values(),
        *rules.grants,
    )
    said = [rules.aggregate, *(one.aggregate for one in entries if one.aggregate is not None)]
    return frozenset(one.path for aggregate in said for one in aggregate.io or ())
