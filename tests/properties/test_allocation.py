"""What holds for every host's devices: none is given twice, who has some keeps them, nobody waits for ever.

No part beside its whole, nothing alone and shared, nothing that is withheld; who waits has a cause; the order
of what is seen makes no difference; the bound of waiting holds where far more is asked for than there is.
`make test` tries some thousands of worlds, `make test-full` 100,000.
"""

import random
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.planning import queueing
from controller.planning.allocation import Allotment
from tests.properties import allocation

EVERY_ANSWER = {"kept", "given", "GpuQueued", "OwnGPUBusy", "GpuUnavailable"}
SITES = range(1, 16)


def checked(seeds: Iterable[int]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for seed in seeds:
        lot = random.Random(seed)
        seen = allocation.world(lot)
        counts += allocation.check(seen)
        allocation.check_order(seen, lot)
    return counts


def test_devices_are_given_by_the_rules_in_every_world() -> None:
    counts = checked(range(1, 3001))
    assert set(counts) == EVERY_ANSWER
    assert min(counts.values()) > 300


@pytest.mark.full
def test_devices_are_given_by_the_rules_in_100000_worlds() -> None:
    assert set(checked(range(10_000, 110_000))) == EVERY_ANSWER


@given(st.randoms(use_true_random=False))
def test_a_world_that_breaks_a_rule_is_shrunk(lot: random.Random) -> None:
    seen = allocation.world(lot)
    allocation.check(seen)
    allocation.check_order(seen, lot)


def test_nobody_waits_longer_than_the_bound() -> None:
    ran = [allocation.site(random.Random(seed)) for seed in SITES]
    assert sum(one.served for one in ran) > 500
    assert max(one.longest for one in ran) > 24, "somebody waited until nobody could go before"


def broken(seeds: Iterable[int]) -> int:
    """How many hosts keep somebody waiting for too long."""
    count = 0
    for seed in seeds:
        try:
            allocation.site(random.Random(seed))
        except allocation.WrongError:
            count += 1
    return count


def test_without_setting_aside_somebody_waits_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Allotment, "_could_be_served", lambda *_: False)
    assert broken(SITES[:5])


def test_without_ageing_somebody_waits_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queueing, "AGEING", queueing.AGEING * 1000)
    assert broken(SITES[:5])
