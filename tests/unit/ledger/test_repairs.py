"""A repair of a slice is that it is set to the very limits that it was set to before; nothing else is."""

from collections.abc import Callable
from pathlib import Path

import pytest

from controller.api.conditions import Reason
from controller.api.config import SliceDriver
from controller.ledger.ledger import Ledger
from controller.model import actions, outcomes, plan, slices
from controller.model.plan import Verdict
from tests.support.ledgers import MINUTE, NONCE, NOW

ONE, TWO = slices.SliceLimits(nano_cpus=10**9), slices.SliceLimits(nano_cpus=2 * 10**9)
Outcome = Callable[[actions.Action], outcomes.Outcome]


def done(action: actions.Action) -> outcomes.Outcome:
    return outcomes.Succeeded(action, 0.1)


def failed(action: actions.Action) -> outcomes.Outcome:
    return outcomes.Failed(action, 0.1, Reason.NOT_APPLIED, "it has another", retryable=True)


def skipped(action: actions.Action) -> outcomes.Outcome:
    return outcomes.Skipped(action, 0.1, "more is in use")


def begin(
    ledger: Ledger, minute: int, limits: slices.SliceLimits | None, verdict: Verdict, owner: str = "alice"
) -> tuple[int, actions.Action]:
    name = f"/wharf/{owner}"
    action: actions.Action = (
        actions.RemoveSlice(SliceDriver.CGROUPFS, owner, name)
        if limits is None
        else actions.SetSlice(SliceDriver.CGROUPFS, owner, name, limits)
    )
    reason = Reason.SLICE_EMPTY if limits is None else Reason.SLICE_DRIFTED
    chain = plan.Decision(slices.subject(owner), verdict, reason, actions=(action,))
    return ledger.open_intent(chain, NOW + minute * MINUTE), action


def do(
    ledger: Ledger,
    minute: int,
    limits: slices.SliceLimits | None,
    verdict: Verdict = Verdict.UPDATE,
    *,
    came: Outcome = done,
    owner: str = "alice",
) -> None:
    intent, action = begin(ledger, minute, limits, verdict, owner)
    ledger.resolve_intent(intent, (came(action),), NOW + minute * MINUTE)


def repairs(ledger: Ledger, minute: int, owner: str = "alice") -> list[int]:
    """The minutes of the repairs that are known at a minute."""
    found = ledger.recall(NONCE, NOW + minute * MINUTE).slice_repairs.get(owner, ())
    return [(at - NOW) // MINUTE for at in found]


def test_a_slice_that_is_set_to_what_it_was_set_to_before_was_changed_by_another_hand(
    ledger: Ledger,
) -> None:
    do(ledger, 0, ONE, Verdict.CREATE)
    assert repairs(ledger, 0) == []
    do(ledger, 1, ONE)
    do(ledger, 2, ONE)
    assert repairs(ledger, 2) == [1, 2]
    assert repairs(ledger, 2, owner="bob") == []


def test_the_slice_above_all_counts_like_the_others(ledger: Ledger) -> None:
    do(ledger, 0, ONE, Verdict.CREATE, owner=slices.ROOT)
    do(ledger, 1, ONE, owner=slices.ROOT)
    assert repairs(ledger, 1, owner=slices.ROOT) == [1]


def test_repairs_are_forgotten_after_an_hour(ledger: Ledger) -> None:
    do(ledger, 0, ONE, Verdict.CREATE)
    do(ledger, 1, ONE)
    do(ledger, 30, ONE)
    assert repairs(ledger, 60) == [1, 30]
    assert repairs(ledger, 61) == [30]
    assert repairs(ledger, 90) == []
    unchanged = ledger.recall(NONCE, NOW + 30 * MINUTE).slice_repairs
    assert ledger.recall(NONCE, NOW + 31 * MINUTE).slice_repairs is unchanged


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([(TWO, Verdict.UPDATE, done)], id="an edit of the policy"),
        pytest.param([(TWO, Verdict.UPDATE, done), (ONE, Verdict.UPDATE, done)], id="and the edit undone"),
        pytest.param([(ONE, Verdict.CREATE, done)], id="made anew"),
        pytest.param([(None, Verdict.REMOVE, done), (ONE, Verdict.UPDATE, done)], id="after it was removed"),
        pytest.param(
            [(TWO, Verdict.UPDATE, failed), (TWO, Verdict.UPDATE, failed)], id="tried again after a failure"
        ),
        pytest.param([(TWO, Verdict.UPDATE, skipped), (TWO, Verdict.UPDATE, done)], id="not possible before"),
    ],
)
def test_what_is_no_repair(
    ledger: Ledger, steps: list[tuple[slices.SliceLimits | None, Verdict, Outcome]]
) -> None:
    do(ledger, 0, ONE, Verdict.CREATE)
    for minute, (limits, verdict, came) in enumerate(steps, 1):
        do(ledger, minute, limits, verdict, came=came)
    assert repairs(ledger, len(steps)) == []


def test_repairs_survive_a_restart_and_what_was_under_way_counts_as_not_done(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, NOW)
    ledger.next_epoch("E", NOW)
    for owner in ("alice", "bob"):
        do(ledger, 0, ONE, Verdict.CREATE, owner=owner)
        do(ledger, 1, ONE, owner=owner)
    begin(ledger, 2, ONE, Verdict.UPDATE)
    assert repairs(ledger, 2) == [1, 2]
    ledger.close()
    ledger = Ledger.open(tmp_path, NOW)
    try:
        assert repairs(ledger, 2) == [1, 2]
        ledger.next_epoch("E", NOW)
        ledger.abandon_intents(NOW + 3 * MINUTE)
        do(ledger, 3, ONE)
        do(ledger, 3, ONE, owner="bob")
        assert repairs(ledger, 3) == [1, 2]
        assert repairs(ledger, 3, owner="bob") == [1, 3]
        do(ledger, 4, ONE)
        assert repairs(ledger, 4) == [1, 2, 4]
    finally:
        ledger.close()
