"""Knows which slices there should be on a host, and what a look at them is to find out.

Refuses to touch one: what differs becomes actions, one owner at a time.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from controller.api.config import SliceDriver
from controller.api.policy import PolicySpec
from controller.api.presets import Aggregate, Grant, Group, User
from controller.model import slicenames, slicestatus
from controller.model.desired import AcceptedPolicy, AcceptedSpec
from controller.model.effective import Refusal
from controller.model.memory import Memory
from controller.model.observed import EngineView, Seen, Unseen
from controller.model.plan import Decision, HostFinding
from controller.model.slices import ROOT, UNLIMITED, Question, SliceLimit, SliceView
from controller.model.slicestatus import SlicesStatus
from controller.planning import lowering, ownerslices, sliceupkeep, tenants
from controller.planning.case import Blueprint, Ours, Rules, Scene, Within
from controller.planning.drafts import Grounds
from controller.planning.standing import Standing

_NOBODY: Final = "the Engine makes no cgroups that a slice could be above (its CgroupDriver is {})"
NOWHERE: Final = Within()
"""The Engine's own choice."""


def driver_of(rules: Rules, view: EngineView) -> SliceDriver:
    """Return who makes the slices: as configured, else who makes the Engine's own cgroups; never AUTO."""
    return driver_for(rules.slice_driver, view.cgroup_driver)


def driver_for(configured: SliceDriver, engines: str) -> SliceDriver:
    """Return who makes slices by a configuration, for an Engine whose own cgroups are made by that driver."""
    if configured is not SliceDriver.AUTO:
        return configured
    match engines:
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
    return frozenset(one.path for aggregate in _aggregates(policy.policy.spec) for one in aggregate.io or ())


def asked(policy: PolicySpec) -> frozenset[SliceLimit]:
    """Return what the policy limits slices by, of whomever."""
    said = [aggregate.model_dump() for aggregate in _aggregates(policy)]
    return frozenset(limit for limit in SliceLimit for one in said if one.get(limit.value) is not None)


def _aggregates(policy: PolicySpec) -> Iterator[Aggregate]:
    yield policy.aggregate
    entries: tuple[Group | User | Grant, ...] = (
        *policy.groups.values(),
        *policy.users.values(),
        *policy.grants,
    )
    yield from (one.aggregate for one in entries if one.aggregate is not None)


def within(grounds: Grounds, rules: Rules, owner: str) -> Within:
    """Return which slice the containers of an owner are made in."""
    driver, version = grounds.slices
    if driver is SliceDriver.NONE:
        return NOWHERE
    asked = tenants.limits_of(grounds.standing, owner) if version == lowering.FIRST_VERSION else UNLIMITED
    return Within(slicenames.parent(driver, rules.slice_root, owner), asked or UNLIMITED)


class Slicing:
    """The slices of one host, pass after pass; it keeps in mind who owns what."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._tenants = tenants.Tenants()

    def status(  # noqa: PLR0913 - slices rest on this much
        self,
        specs: Mapping[str, AcceptedSpec],
        designs: Mapping[str, Blueprint | Refusal],
        index: Mapping[str, Ours],
        standing: Standing | None,
        scene: Scene,
        seen: Seen[SliceView] | Unseen,
    ) -> SlicesStatus:
        """Return how all of them stand; nothing where nobody makes any."""
        driver, view, memory = driver_of(self._rules, scene.view), scene.view, scene.memory
        if self._rules.slice_driver is SliceDriver.NONE:
            return slicestatus.NONE
        self._tenants.enter(specs, designs, standing)
        if driver is SliceDriver.NONE:
            return ownerslices.unmade(self._tenants, _NOBODY.format(view.cgroup_driver or "none"))
        tenancy = self._tenants.tenancy(designs, index, memory, scene.beyond, view.total_memory)
        sight = ownerslices.Sight(driver, self._rules.slice_root, seen, view, standing, memory, scene.now)
        return ownerslices.status(sight, self._tenants, tenancy)

    def upkeep(
        self, status: SlicesStatus, memory: Memory, now: datetime, *, fresh: bool
    ) -> Iterator[Decision]:
        """Yield what is done to slices."""
        return sliceupkeep.upkeep(status, self._tenants.owner_of, memory, now, fresh=fresh)

    def findings(self, scene: Scene, seen: Seen[SliceView] | Unseen) -> Iterator[HostFinding]:
        """Yield what a person should know of slices."""
        status = scene.slices
        if status.driver is not SliceDriver.NONE:
            view = seen.value if isinstance(seen, Seen) else SliceView()
            root = slicenames.parent(status.driver, self._rules.slice_root, ROOT)
            yield from sliceupkeep.findings(status, view, scene.memory, root, scene.view.total_memory)
