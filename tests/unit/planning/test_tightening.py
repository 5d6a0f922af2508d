"""How far limits of what runs are changed at once: by the policy, its own file, or somebody's hand."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.api import quantities
from controller.api.conditions import Reason
from controller.api.presets import Enforcement, LimitName
from controller.api.workspace import Resources
from controller.model.observed import Limits, Unseen
from controller.planning import tightening
from controller.planning.tightening import Terms
from tests.support import builders
from tests.support.world import World

GIB = 2**30
RUNNING = World().add(builders.accepted()).main("alice")
NOW = dict.fromkeys(LimitName, Enforcement.NOW)


def reach(want: Limits, have: Limits, **terms: Any) -> Limits:  # noqa: ANN401 - fields of one class
    """What a container that has some limits may have at once."""
    assert RUNNING is not None
    configuration = replace(RUNNING.configuration, limits=have)
    container = replace(RUNNING, configuration=configuration, kernel_limits=have)
    own = Resources.model_validate(terms.pop("own", {}))
    return tightening.reachable(want, container, Terms(own, **{"given": None, "enforce": {}, **terms}))


def gib(memory: int | None, swap: int | None = 0, reservation: int | None = None) -> Limits:
    """Limits of memory in GiB."""
    size = None if memory is None else memory * GIB
    both = None if size is None or swap is None else size + swap * GIB
    return Limits(
        memory=size, memory_swap=both, memory_reservation=None if reservation is None else reservation * GIB
    )


@pytest.mark.parametrize(
    ("want", "have", "terms", "reached"),
    [
        # raised, by whomever
        (gib(8), gib(4), {}, gib(8)),
        (gib(None), gib(4), {}, gib(None)),
        # lowered by the policy
        (gib(4), gib(8), {"given": gib(8)}, gib(8)),
        (gib(4), gib(8), {"given": None}, gib(8)),
        (gib(4), gib(None), {"given": gib(None)}, gib(None)),
        (gib(4), gib(8), {"given": gib(8), "enforce": NOW}, gib(4)),
        # lowered by its own file, and further by the policy
        (gib(4), gib(8), {"own": {"memory": "4g"}, "given": gib(8)}, gib(4)),
        (gib(2), gib(8), {"own": {"memory": "4g"}, "given": gib(8)}, gib(4)),
        (gib(2), gib(8), {"own": {"memory": "16g"}, "given": gib(8)}, gib(8)),
        # raised by hand
        (gib(4), gib(64), {"given": gib(4)}, gib(4)),
        (gib(4), gib(64), {"given": gib(8)}, gib(8)),
        # swap and guaranteed memory go with it
        (gib(4, 0), gib(8, 4), {"given": gib(8, 4)}, gib(8, 4)),
        (gib(16, 0), gib(8, 4), {"given": gib(8, 4)}, gib(16, 0)),
        (gib(4, 8), gib(8, 4), {"given": gib(8, 4)}, gib(8, 4)),
        (gib(4, 0, 4), gib(8, 0, 8), {"given": gib(8, 0, 8)}, gib(8, 0, 8)),
        (gib(4, 0, 4), gib(8, 0, 8), {"own": {"memory": "4g"}, "given": gib(8, 0, 8)}, gib(4, 0, 4)),
        (gib(4, 0, None), gib(4, 0, 2), {"given": gib(4, 0, None)}, gib(4, 0, None)),
        # what the owner's quotas do not cover does not grow
        (gib(8), gib(4), {"uncovered": frozenset({"memory"})}, gib(4)),
        # processors
        (Limits(cpuset="0-3"), Limits(cpuset="0-7"), {"given": Limits(cpuset="0-7")}, Limits(cpuset="0-7")),
        (Limits(cpuset="0-7"), Limits(cpuset="0-3"), {"given": Limits(cpuset="0-3")}, Limits(cpuset="0-7")),
        (Limits(cpuset="0-3"), Limits(), {"given": Limits()}, Limits()),
        (Limits(cpuset="0-3"), Limits(cpuset="0-7"), {"given": Limits(cpuset="0-3")}, Limits(cpuset="0-3")),
        (Limits(cpuset="0-1"), Limits(cpuset="0-9"), {"given": Limits(cpuset="0-3")}, Limits(cpuset="0-3")),
        (Limits(cpuset="0-3"), Limits(cpuset="0-7"), {"own": {"cpuset": "0-3"}}, Limits(cpuset="0-3")),
        (Limits(cpuset="0-3"), Limits(cpuset="0-7"), {"enforce": NOW}, Limits(cpuset="0-3")),
        (
            Limits(nano_cpus=quantities.NANO, pids=100),
            Limits(nano_cpus=2 * quantities.NANO, pids=200),
            {"enforce": {LimitName.PIDS: Enforcement.NOW}},
            Limits(nano_cpus=2 * quantities.NANO, pids=100),
        ),
    ],
)
def test_what_a_running_container_may_have(
    want: Limits, have: Limits, terms: dict[str, Any], reached: Limits
) -> None:
    assert reach(want, have, **terms) == reached


def test_without_the_kernels_word_the_engines_counts() -> None:
    assert RUNNING is not None
    have = replace(RUNNING.configuration, limits=gib(8))
    blind = replace(
        RUNNING, configuration=have, kernel_limits=Unseen(Reason.NOT_SEEN, "no control group", builders.NOW)
    )
    assert tightening.present(blind) == gib(8)
    unaccounted = replace(RUNNING, configuration=have, kernel_limits=Limits(memory=8 * GIB))
    assert tightening.present(unaccounted) == gib(8)


AMOUNTS = st.none() | st.integers(1, 8)
LIMITS = st.builds(
    lambda memory, swap, cpus, pids: replace(
        gib(memory, swap), nano_cpus=None if cpus is None else cpus * quantities.NANO, pids=pids
    ),
    AMOUNTS,
    st.none() | st.integers(0, 8),
    AMOUNTS,
    AMOUNTS,
)


@given(LIMITS, LIMITS, st.none() | LIMITS, st.booleans())
def test_once_done_there_is_nothing_left_to_do(
    want: Limits, have: Limits, given_: Limits | None, enforced: bool
) -> None:
    """Else the controller would change a container for ever; what it gives is also what it remembers."""
    terms: dict[str, Any] = {"enforce": NOW if enforced else {}}
    reached = reach(want, have, given=given_, **terms)
    assert reach(want, reached, given=reached, **terms) == reached


@given(LIMITS, LIMITS, st.none() | LIMITS)
def test_the_policy_takes_nothing_that_was_given(want: Limits, have: Limits, given_: Limits | None) -> None:
    """No limit falls below both what the container has and what it had been given."""
    reached = reach(want, have, given=given_)
    for name in ("nano_cpus", "memory", "pids"):
        bounds = [getattr(have, name), getattr(given_, name) if given_ else None]
        floor = min((bound for bound in bounds if bound is not None), default=None)
        value = getattr(reached, name)
        assert value is None or (floor is not None and value >= floor) or value >= (getattr(want, name) or 0)
    if reached.memory is not None and reached.memory_swap is not None:
        assert reached.memory_swap >= reached.memory
