"""Knows what to tell a person when MIG instances cannot all be had: which, what is in the way, what fits.

Refuses to look for a plan: whether some of them fit is asked of whoever gives the question.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from controller.model.mig import Divisible, NoLayout
from controller.planning import migoffers, migtables

Wanted: TypeAlias = Mapping[str, int]
Fits: TypeAlias = Callable[[Wanted], bool]

_ENOUGH: Final = 8
"""More instances than a GPU can have of any profile."""


def why(wanted: Wanted, gpus: Sequence[Divisible], fits: Fits) -> NoLayout:
    """Return the reasons for the profiles that are in the way of a request that cannot be satisfied.

    Those of which there can never be as many are told first, alone. If there are none, large ones go before
    small ones, and who finds no room beside those before it is told.
    """
    most = {name: sum(_most(gpu, name, count) for gpu in gpus) for name, count in wanted.items()}
    short = {name: count for name, count in wanted.items() if most[name] < count}
    if short:
        return NoLayout({name: tuple(_alone(name, short[name], most[name], gpus)) for name in short})
    return NoLayout(dict(_together(wanted, gpus, fits)))


def _most(gpu: Divisible, name: str, count: int) -> int:
    """Return how many instances of a profile the GPU could give if nothing else were asked for."""
    if gpu.kept:
        return 0
    return max(offer.gives[0] for offer in migoffers.offers(gpu, {name: count}))


def _alone(name: str, count: int, most: int, gpus: Sequence[Divisible]) -> Iterator[str]:
    known = _profiles(gpus)
    if not most and name not in known:
        there = (
            f"there can be: {', '.join(known)}" if known else "none of a model whose rules are known is here"
        )
        yield f"no GPU here can be divided so; {there}"
    else:
        yield f"{count} asked for, and {most or 'none'} can be had even if nothing else is asked for"
    for gpu in gpus:
        table = migtables.table_of(gpu.model)
        if gpu.kept:
            yield f"{gpu.uuid}: {gpu.kept}"
        elif table is None:
            yield f'{gpu.uuid}: how a "{gpu.model}" can be divided is not known here'
        elif name in table.profiles:
            yield f"{gpu.uuid}: {_room(gpu, name)}"


def _room(gpu: Divisible, name: str) -> str:
    number = _most(gpu, name, _ENOUGH)
    held = _held(gpu)
    if number or not held:
        return f"room for {number}" + (f" beside {held}" if held else "")
    largest = next((other for other in _profiles([gpu]) if _most(gpu, other, 1)), None)
    return f"no room beside {held}; " + (f"the largest that fits is {largest}" if largest else "nothing fits")


def _together(wanted: Wanted, gpus: Sequence[Divisible], fits: Fits) -> Iterator[tuple[str, tuple[str, ...]]]:
    order = _profiles(gpus)
    fitting: dict[str, int] = {}
    for name in sorted(wanted, key=lambda name: order.index(name) if name in order else len(order)):
        more = (count for count in range(wanted[name]) if not fits({**fitting, name: count + 1}))
        most = next(more, wanted[name])
        if most:
            fitting[name] = most
        if most < wanted[name]:
            yield name, tuple(_beside(wanted[name], most, fitting, gpus, fits))


def _beside(count: int, most: int, fitting: Wanted, gpus: Sequence[Divisible], fits: Fits) -> Iterator[str]:
    said = ", ".join(f"{number}x{name}" for name, number in fitting.items())
    yield f"{count} asked for, and only these fit together: {said}" if most else f"none fits beside {said}"
    larger = (name for name in _profiles(gpus) if fits({**fitting, name: fitting.get(name, 0) + 1}))
    largest = next(larger, None)
    yield f"the largest that fits beside them is {largest}" if largest else "nothing else fits beside them"
    for gpu in gpus:
        if gpu.kept or _held(gpu):
            yield f"{gpu.uuid}: {gpu.kept or _held(gpu)}"


def _held(gpu: Divisible) -> str:
    """Name what is held, empty for nothing."""
    return ", ".join(
        f"{one.profile} at slice {one.start} ({one.holder})"
        for one in gpu.instances
        if one.holder is not None
    )


def _profiles(gpus: Sequence[Divisible]) -> list[str]:
    """Return the profiles that these GPUs can have, large ones first."""
    tables = [table for gpu in gpus if (table := migtables.table_of(gpu.model)) is not None]
    found = {
        name: (profile.size / table.memory, profile.compute, not profile.media)
        for table in tables
        for name, profile in table.profiles.items()
    }
    return sorted(found, key=lambda name: found[name], reverse=True)
