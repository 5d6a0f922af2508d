"""Knows how to choose one offer of each GPU so that all is given by the fewest changes.

Refuses to know what an offer does. The search is exact: it goes from GPU to GPU, and follows first what can
end cheapest by a lower bound of what the rest will cost (A*). The bound is that of Lagrangian relaxation.
"""

import heapq
import itertools
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from controller.planning.migoffers import Counts, Offer

Weights: TypeAlias = tuple[int, ...]
"""A number for each profile that is asked for."""

_Node: TypeAlias = tuple[int, int, int, int, int, Counts, tuple[Offer, ...]]
"""What is followed first comes first: the least changes in all, the last GPU, the most that is made on it."""
_UNIT: Final = 840
"""What one change costs, so that parts of it are whole numbers, too."""
_ROUNDS: Final = 80
"""Enough for prices that do not get better any more; a bound that is less sharp costs time only."""


@dataclass(frozen=True, slots=True)
class _Prices:
    """What an instance of each profile is worth, and the bound that follows.

    Giving something away for less than its price is a gain of a GPU; nobody can gain more than the best offer
    does. So what is still to be given, at these prices, less what the GPUs that are left can gain at most, is
    less than what it will cost. That holds for any prices; good ones make the bound sharp.

    Attributes:
        gains: of all GPUs from one on, at most; the last is 0.
    """

    each: Weights
    gains: tuple[int, ...]

    def bound(self, at: int, left: Counts) -> int:
        """Return by how many changes at least the GPUs from one on can give what is left."""
        worth = sum(map(operator.mul, self.each, left)) - self.gains[at]
        return -(-worth // _UNIT) if worth > 0 else 0


@dataclass(frozen=True, slots=True)
class _Capacity:
    """Instances weighed by what they take of a GPU, and how much the GPUs from one on can give at most."""

    weights: Weights
    most: tuple[int, ...]


def cheapest(
    wanted: Counts, offers: Sequence[Sequence[Offer]], weights: Sequence[Weights]
) -> tuple[Offer, ...] | None:
    """Return one offer of each GPU that together give all that is wanted by the fewest changes, or None.

    Args:
        wanted: how many instances of each profile.
        offers: of each GPU. Of equally few changes those come first that take much of the first GPUs.
        weights: what it takes of a GPU to give an instance of each profile, by several measures; any will do,
            and good ones show early that something cannot be given.
    """
    if not offers:
        return None
    prices = _prices(wanted, offers)
    capacities = [_capacity(each, offers) for each in weights]
    steps = [[(offer.gives, offer.changes, -offer.size, offer) for offer in of_gpu] for of_gpu in offers]
    numbers = itertools.count()
    waiting: list[_Node] = [(0, 0, 0, next(numbers), 0, wanted, ())]
    reached: dict[tuple[int, Counts], int] = {}
    while waiting:
        _, minus_at, _, _, so_far, left, chosen = heapq.heappop(waiting)
        if not any(left):
            return chosen + tuple(of_gpu[0] for of_gpu in offers[len(chosen) :])
        at = -minus_at
        if at == len(offers) or any(_dot(one.weights, left) > one.most[at] for one in capacities):
            continue
        for gives, changes, minus_size, offer in steps[at]:
            rest = tuple([need - given if need > given else 0 for need, given in zip(left, gives)])  # noqa: B905
            cost = so_far + changes
            if reached.get((at + 1, rest), cost + 1) <= cost:
                continue
            reached[at + 1, rest] = cost
            total = cost + prices.bound(at + 1, rest)
            node = (total, minus_at - 1, minus_size, next(numbers), cost, rest, (*chosen, offer))
            heapq.heappush(waiting, node)
    return None


def _prices(wanted: Counts, offers: Sequence[Sequence[Offer]]) -> _Prices:
    """Look for good prices: what is short becomes dearer, and what is left over cheaper.

    Each step is as long as it takes to gain `hope`, which shrinks when that was too much.
    """
    each = best = tuple(_UNIT for _ in wanted)
    bound, hope = 0, _UNIT * sum(wanted)
    for _ in range(_ROUNDS):
        taken = [max(of_gpu, key=lambda offer: _gain(each, offer)) for of_gpu in offers]
        found = _dot(each, wanted) - sum(_gain(each, offer) for offer in taken)
        if found > bound:
            best, bound = each, found
        else:
            hope = hope * 4 // 5
        given = [sum(numbers) for numbers in zip(*(offer.gives for offer in taken), strict=True)]
        short = [need - number for need, number in zip(wanted, given, strict=True)]
        norm = sum(number * number for number in short)
        if not norm:
            break
        step = bound + hope - found
        each = tuple(max(0, price + step * number // norm) for price, number in zip(each, short, strict=True))
    gains = [max(_gain(best, offer) for offer in of_gpu) for of_gpu in offers]
    return _Prices(best, _from_each_on(gains))


def _gain(prices: Weights, offer: Offer) -> int:
    return _dot(prices, offer.gives) - _UNIT * offer.changes


def _capacity(weights: Weights, offers: Sequence[Sequence[Offer]]) -> _Capacity:
    return _Capacity(
        weights, _from_each_on([max(_dot(weights, offer.gives) for offer in of_gpu) for of_gpu in offers])
    )


def _from_each_on(numbers: Sequence[int]) -> tuple[int, ...]:
    """Return the sum of the numbers from each place to the end, and 0 for the end itself."""
    return (*list(itertools.accumulate(reversed(numbers)))[::-1], 0)


def _dot(one: Sequence[int], other: Sequence[int]) -> int:
    return sum(map(operator.mul, one, other))
