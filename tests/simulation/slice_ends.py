"""Knows what is not as people want it of the slices of a healed host.

It refuses to ask the controller: it holds the kernel's limits against the policy's own words.
"""

from collections import Counter
from collections.abc import Collection
from typing import TYPE_CHECKING

from controller.model.slices import FIELDS, ROOT, SliceLimits, subject
from tests.simulation import slice_verdicts
from tests.simulation.acts import OWNERS
from tests.support.slice_tree import SliceTree

if TYPE_CHECKING:
    from tests.simulation.world import World


def owner_of(workspace: str) -> str:
    """Return whose workspace it is."""
    return OWNERS.get(workspace, workspace)


def subjects(world: "World", wanted: Collection[str]) -> tuple[str, ...]:
    """Return under which names slices are decided about that are to be there."""
    if world.slices is None:
        return ()
    owners = sorted({owner_of(name) for name in wanted})
    return tuple(map(subject, (ROOT, *owners))) if owners else ()


def amiss(world: "World", wanted: Collection[str], poisoned: str) -> dict[str, str]:
    """Return what is not as wanted, in a sentence for each slice.

    Who is poisoned may be stopped, and then has no part in what is guaranteed.
    """
    if world.slices is None:
        return {}
    tree, found = world.slices.tree, {}
    due = _due(world, wanted, poisoned)
    for owner, either in due.items():
        group = tree.groups.get(tree.name(owner))
        limits = group.limits if group is not None else SliceLimits()
        if limits not in either:
            found[subject(owner)] = f"{tree.name(owner)} has {_differing(limits, either[0])}"
    kept = {*due, *map(owner_of, wanted)} if wanted else set[str]()
    for name in tree.groups:
        left = tree.owner(name)
        if left is not None and left not in kept and not tree.populated(name):
            found[subject(left)] = f"{name} is of nobody and still there"
    return found


def _due(world: "World", wanted: Collection[str], poisoned: str) -> dict[str, list[SliceLimits]]:
    """Return what slices may have, by owner."""
    assert world.slices is not None
    tree, due = world.slices.tree, dict[str, list[SliceLimits]]()
    for owner, number in Counter(owner_of(name) for name in wanted).items():
        numbers = [number, number - 1] if poisoned and owner_of(poisoned) == owner else [number]
        if not all(numbers) and not tree.populated(tree.name(owner)):
            continue  # nothing of the owner's runs or has to
        due[owner] = [slice_verdicts.due(world.law, owner, one, tree, world.wall()) for one in numbers]
    going = (tree.owner(name) for name in tree.groups if tree.populated(name))  # it takes turns to be stopped
    owners = {*map(owner_of, wanted), *(owner for owner in going if owner)}
    groups = [tree.groups.get(tree.name(owner)) for owner in sorted(owners)]
    low = sum(group.limits.memory_low for group in groups if group is not None)
    return {**due, ROOT: [SliceLimits(memory_low=low)]}


def _differing(found: SliceLimits, limits: SliceLimits) -> str:
    fields = (name for name in FIELDS.values() if getattr(found, name) != getattr(limits, name))
    return ", ".join(f"{name} {getattr(found, name)} in place of {getattr(limits, name)}" for name in fields)


def is_held(world: "World", owner: str, stuck: str) -> bool:
    """Tell whether a container that cannot be inspected keeps its owner's slice from getting less.

    On version 1 it may have more processors than the slice is to have, and then goes first.
    """
    return (
        bool(stuck)
        and world.slices is not None
        and world.slices.tree.version == 1
        and owner_of(stuck) == owner
    )


def is_impossible(world: "World", workspace: str) -> bool:
    """Tell whether the kernel cannot enforce what a workspace must not run without."""
    if world.slices is None:
        return False
    asked = slice_verdicts.hard(slice_verdicts.asked(world.law, owner_of(workspace), world.wall()))
    return any(FIELDS[limit] in asked for limit in world.slices.tree.cannot)


def outside(tree: SliceTree, workspace: str, parent: str) -> str:
    """Say that a container is not in the slice of its owner; empty if it is."""
    name = tree.name(owner_of(workspace))
    return "" if parent == name else f"{workspace} is in {parent or 'no slice'} and not in {name}"
