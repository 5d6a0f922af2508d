"""Knows the words of golden cases about changes: approvals, roll-backs, budgets, kept containers, programs.

It refuses to decide anything: it only writes down what people did and how the host is.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import durationpy

from controller.api import labels, quantities
from controller.model.memory import Adoption, Approval, Cause, Disruption, RemovalRequest, Retained, Rollback
from controller.model.observed import Layer
from controller.planning.budget import Budget
from tests.support import builders
from tests.support.world import World


def length(text: str) -> timedelta:
    """A length of time as a spec writes it."""
    found: timedelta = durationpy.from_str(text)
    return found


def kept(world: World, name: str) -> Retained:
    """The newest kept container of a workspace."""
    found = [one for one in world.memory.retained.values() if one.workspace == name]
    return max(found, key=lambda one: (one.at, one.name))


def approve(world: World, name: str, rest: dict[str, Any]) -> None:
    """Let go what the plan holds or parks now, as `wharf approve` does."""
    change = rest.pop("change", "") or world.plan().decisions[name].change
    approval = Approval(name, change, world.now, "root")
    held = {n: one for n, one in world.memory.held.items() if n != name}
    pins = {n: one for n, one in world.memory.pins.items() if n != name}
    world.remember(approvals={**world.memory.approvals, name: approval}, held=held, pins=pins)


def _roll_back(world: World, name: str, _: dict[str, Any]) -> None:
    """A person wants the kept container back; `changes.roll_back` refuses who has no spec."""
    spec = world.specs.get(name)
    if spec is None or spec.missing_since is not None:
        return
    wish = Rollback(name, kept(world, name).container_id, requested=True, at=world.now, by="root")
    world.remember(rollbacks={**world.memory.rollbacks, name: wish})


def _deleted(world: World, name: str, _: dict[str, Any]) -> None:
    """A person took its file away with `wharf delete`."""
    request = RemovalRequest(name, world.now, "root")
    world.remember(removal_requests={**world.memory.removal_requests, name: request})


def _forget_asked(world: World, name: str, _: dict[str, Any]) -> None:
    identifier = kept(world, name).container_id
    world.remember(forget_requests={**world.memory.forget_requests, identifier: world.now})


def _kept_gone(world: World, name: str, _: dict[str, Any]) -> None:
    del world.containers[kept(world, name).container_id]


def _layer(world: World, name: str, rest: dict[str, Any]) -> None:
    size, complete = quantities.parse_bytes(rest.pop("size", "1m")), rest.pop("complete", True)
    layer = Layer(size, tuple(rest.pop("changed", ())), complete)
    world.layers[kept(world, name).container_id] = layer


def _adopted(world: World, container: str, rest: dict[str, Any]) -> None:
    found = next(c for c in world.containers.values() if c.name == container)
    adoption = Adoption(found.id, rest.pop("as"), world.now, "root")
    world.remember(adopted={**world.memory.adopted, found.id: adoption})


def _claim_lost(world: World, name: str, _: dict[str, Any]) -> None:
    for found in world.of(name):
        world.containers[found.id] = replace(found, labels={**found.labels, labels.CLAIM: "0" * 64})


def _program(world: World, reference: str, rest: dict[str, Any]) -> None:
    identifier = world.images.get(reference) or builders.image_id(reference)
    does = rest.pop("does")
    assert does in {"cannot start", "ends", "unhealthy", "starting", "well"}, does
    world.programs[identifier] = does


def _port_taken(world: World, port: int, _: dict[str, Any]) -> None:
    world.taken_ports |= {port}


def _budget(world: World, _: None, rest: dict[str, Any]) -> None:
    before = world.rules.budget
    budget = Budget(rest.pop("per_minute", before.per_minute), rest.pop("percent", before.percent))
    world.rules = replace(world.rules, budget=budget)


def _disrupted(world: World, name: str, rest: dict[str, Any]) -> None:
    one = Disruption(name, Cause(rest.pop("cause", "Edited")), world.now - length(rest.pop("ago")))
    world.remember(disruptions=(*world.memory.disruptions, one))


def _accident(world: World, why: str, _: dict[str, Any]) -> None:
    world.accident = why


def _unproven(world: World, why: str, _: dict[str, Any]) -> None:
    world.unproven = why


VERBS: dict[str, Callable[[World, Any, dict[str, Any]], None]] = {
    "approve": approve,
    "rollback asked": _roll_back,
    "deleted": _deleted,
    "forget asked": _forget_asked,
    "kept container gone": _kept_gone,
    "layer": _layer,
    "adopt": _adopted,
    "claim lost": _claim_lost,
    "program": _program,
    "port taken": _port_taken,
    "budget": _budget,
    "disrupted": _disrupted,
    "accident": _accident,
    "unproven": _unproven,
}
