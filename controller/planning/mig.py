"""Knows how to have MIG instances that are asked for by the fewest changes, or why they cannot all be had.

Refuses to touch what is held or could not be seen, and to make any change: a person makes them.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from controller.model.mig import Change, Create, Destroy, Divisible, Instance, Layout, NoLayout, SwitchOn
from controller.planning import migoffers, migreasons, migsearch, migtables
from controller.planning.migoffers import Offer

Choice: TypeAlias = Mapping[str, Offer]
"""What is done to each GPU, by UUID."""


def plan(wanted: Mapping[str, int], gpus: Sequence[Divisible]) -> Layout | NoLayout:
    """Return the changes after which all that is asked for can be given, the fewest there are, or why not.

    The MIG mode of a GPU is switched on only if nothing else helps, and then of as few as possible. Among
    equally few changes those are taken that leave large parts of a GPU together: exactly so on each GPU, and
    by a rule of thumb from one to the next, which is to fill up first what has least room.

    Args:
        wanted: how many instances of each profile, at least one of each.
        gpus: of the host; their order decides what nothing else does.
    """
    on = [gpu for gpu in gpus if gpu.divided and not gpu.kept]
    off = [gpu for gpu in gpus if not gpu.divided and not gpu.kept and migtables.table_of(gpu.model)]
    choice = _cheapest(wanted, on) or _switching(wanted, on, off)
    if choice is None:
        return migreasons.why(wanted, gpus, lambda some: _cheapest(some, on + off) is not None)
    return _layout(wanted, [gpu for gpu in gpus if gpu.uuid in choice], choice)


def _cheapest(wanted: Mapping[str, int], gpus: Sequence[Divisible]) -> Choice | None:
    """Return what is done to each of these GPUs, or None where it cannot all be had of them."""
    fullest_first = sorted(gpus, key=lambda gpu: -sum(one.size for one in gpu.instances))
    offers = [migoffers.offers(gpu, wanted) for gpu in fullest_first]
    weights = [row for table in _tables(gpus) for row in migoffers.takes(table, wanted)]
    chosen = migsearch.cheapest(tuple(wanted.values()), offers, weights)
    if chosen is None:
        return None
    return {gpu.uuid: offer for gpu, offer in zip(fullest_first, chosen, strict=True)}


def _tables(gpus: Sequence[Divisible]) -> list[migtables.Table]:
    found = {gpu.model: migtables.table_of(gpu.model) for gpu in gpus}
    return [table for table in found.values() if table is not None]


def _switching(wanted: Mapping[str, int], on: Sequence[Divisible], off: Sequence[Divisible]) -> Choice | None:
    """Return what is done if the MIG mode of as few GPUs as possible is switched on, or None."""
    if not off or _cheapest(wanted, [*on, *off]) is None:
        return None
    for count in range(1, len(off) + 1):
        found = [
            choice
            for switched in _alike(off, count)
            if (choice := _cheapest(wanted, [*on, *switched])) is not None
        ]
        if found:
            return min(found, key=lambda choice: sum(offer.changes for offer in choice.values()))
    raise AssertionError("with all of them on, all could be had")


def _alike(off: Sequence[Divisible], count: int) -> Iterator[tuple[Divisible, ...]]:
    """Yield so many GPUs in every mixture of models; of one model the first, since they are all empty."""
    models = {gpu.model: [one for one in off if one.model == gpu.model] for gpu in off}
    for numbers in itertools.product(*(range(len(same) + 1) for same in models.values())):
        if sum(numbers) == count:
            picked = zip(models.values(), numbers, strict=True)
            yield tuple(gpu for same, number in picked for gpu in same[:number])


def _layout(wanted: Mapping[str, int], gpus: Sequence[Divisible], choice: Choice) -> Layout:
    changes = tuple(change for gpu in gpus for change in _changes(gpu, choice[gpu.uuid]))
    made = [change.profile for change in changes if isinstance(change, Create)]
    left = {name: count - made.count(name) for name, count in wanted.items()}
    used = []
    for gpu in sorted(gpus, key=lambda gpu: choice[gpu.uuid].room):
        for one in _kept(gpu, choice[gpu.uuid]):
            if left.get(one.profile, 0) > 0:
                left[one.profile] -= 1
                used.append((gpu.uuid, one))
    return Layout(changes, tuple(used))


def _changes(gpu: Divisible, offer: Offer) -> Iterator[Change]:
    if not gpu.divided and offer.created:
        yield SwitchOn(gpu.uuid)
    for instance in offer.destroyed:
        yield Destroy(gpu.uuid, instance)
    for profile, start in offer.created:
        yield Create(gpu.uuid, profile.name, start)


def _kept(gpu: Divisible, offer: Offer) -> Iterator[Instance]:
    """Yield the free instances that stay, those at lower slices first."""
    free = (one for one in gpu.instances if one.holder is None and one not in offer.destroyed)
    return iter(sorted(free, key=lambda one: one.start))
