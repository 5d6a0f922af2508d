"""Knows what one GPU can give of the MIG instances that are asked for, and how many changes each way takes.

Refuses to know other GPUs, and to touch what is held. Every way is tried: a GPU has some hundreds of them.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from controller.model.mig import Divisible, Instance
from controller.planning import migtables
from controller.planning.migtables import Profile, Table, mask

Counts: TypeAlias = tuple[int, ...]
"""Of instances, in the order of the profiles that are asked for."""
Place: TypeAlias = tuple[Profile, int]
"""An instance that could be made, and its first slice."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One way to change a GPU.

    Attributes:
        gives: instances that then can be given, made ones and those that were there.
        created: in the order of their slices.
        room: how many instances of each profile could then be made if nothing else were, large ones first.
    """

    gives: Counts
    created: tuple[Place, ...] = ()
    destroyed: tuple[Instance, ...] = ()
    room: tuple[int, ...] = ()

    @property
    def changes(self) -> int:
        """How many instances are made or destroyed."""
        return len(self.created) + len(self.destroyed)

    @property
    def size(self) -> int:
        """Slices of memory of what is made."""
        return sum(profile.size for profile, _ in self.created)


def offers(gpu: Divisible, wanted: Mapping[str, int]) -> tuple[Offer, ...]:
    """Return the best way for each set of instances that it can give, first the one that changes nothing.

    Among ways that give the same by as many changes the one that leaves more room is best, then the one with
    lower slices. A GPU whose MIG mode is off is treated as if it were on.
    """
    return _offers(gpu.model, gpu.instances, tuple(wanted.items()))


@functools.lru_cache(maxsize=1024)
def _offers(
    model: str, there: tuple[Instance, ...], asked_for: tuple[tuple[str, int], ...]
) -> tuple[Offer, ...]:
    wanted = dict(asked_for)
    table = migtables.table_of(model)
    if table is None:
        return (Offer(_counts((one.profile for one in there if one.holder is None), wanted)),)
    best: dict[Counts, Offer] = {}
    for created in _ways(table, there, wanted):
        offer = _offer(table, there, created, wanted)
        known = best.get(offer.gives)
        if known is None or (offer.changes, known.room) < (known.changes, offer.room):
            best[offer.gives] = offer
    return tuple(best.values())


@functools.cache
def _room(places: tuple[tuple[int, ...], ...], taken: int) -> tuple[int, ...]:
    return tuple(sum(1 for slices in of_profile if not slices & taken) for of_profile in places)


def slices_of(instances: Sequence[Instance]) -> int:
    """Return the slices of several instances as bits."""
    taken = 0
    for one in instances:
        taken |= mask(one.start, one.size)
    return taken


def _ways(table: Table, there: Sequence[Instance], wanted: Mapping[str, int]) -> Iterator[tuple[Place, ...]]:
    """Yield every set of instances that could be made beside the held ones, none first."""
    held = [one for one in there if one.holder is not None]
    has_media = any(_has_media(table, one) for one in held)
    places = sorted(
        (
            (profile, start)
            for profile in table.profiles.values()
            if profile.name in wanted and not (profile.media and has_media)
            for start in profile.starts
        ),
        key=lambda place: (place[1], place[0].name),
    )
    return _sets(places, slices_of(held), wanted)


def _sets(places: Sequence[Place], taken: int, left: Mapping[str, int]) -> Iterator[tuple[Place, ...]]:
    yield ()
    for index, (profile, start) in enumerate(places):
        if left[profile.name] and not mask(start, profile.size) & taken:
            behind = places[index + 1 :]
            if profile.media:
                behind = [place for place in behind if not place[0].media]
            rest = {**left, profile.name: left[profile.name] - 1}
            for others in _sets(behind, taken | mask(start, profile.size), rest):
                yield ((profile, start), *others)


def _offer(
    table: Table, there: Sequence[Instance], created: tuple[Place, ...], wanted: Mapping[str, int]
) -> Offer:
    needed = 0
    for profile, start in created:
        needed |= mask(start, profile.size)
    media = any(profile.media for profile, _ in created)
    destroyed = tuple(
        one for one in there if mask(one.start, one.size) & needed or (media and _has_media(table, one))
    )
    kept = [one for one in there if one not in destroyed]
    names = [one.profile for one in kept if one.holder is None] + [profile.name for profile, _ in created]
    return Offer(_counts(names, wanted), created, destroyed, _room(table.places, needed | slices_of(kept)))


def _has_media(table: Table, instance: Instance) -> bool:
    """Tell whether an instance may have the media extensions: an unknown profile with any extras may."""
    profile = table.profiles.get(instance.profile)
    return "+" in instance.profile if profile is None else profile.media


def _counts(names: Iterable[str], wanted: Mapping[str, int]) -> Counts:
    """Count what is asked for, and no more than is."""
    found = list(names)
    return tuple(min(count, found.count(name)) for name, count in wanted.items())


def takes(table: Table, wanted: Iterable[str]) -> tuple[Counts, ...]:
    """Return how many instances of one profile are lost at least by making one of another, for each pair.

    Each row tells of one profile that is asked for what it loses by each of them.
    """
    names = tuple(wanted)
    known = [table.profiles[name] for name in names if name in table.profiles]
    return tuple(
        tuple(_lost(table.profiles[name], one) if name in table.profiles else 0 for name in names)
        for one in known
    )


def _lost(made: Profile, lost: Profile) -> int:
    most = _fitting(lost, 0)
    return min(most - _fitting(lost, mask(start, made.size)) for start in made.starts)


def _fitting(profile: Profile, taken: int) -> int:
    """Count how many of a profile fit; none of its places overlaps another in part."""
    return sum(1 for start in profile.starts if not mask(start, profile.size) & taken)
