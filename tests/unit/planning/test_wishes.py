"""What a wish for GPUs counts in its owner's quota; what becomes of each field is in tests/policies/rows."""

from fractions import Fraction

import pytest

from controller.model.gpus import Wish


@pytest.mark.parametrize(
    ("wish", "share"),
    [
        (Wish(), Fraction(1)),
        (Wish(count=3), Fraction(3)),
        (Wish(profile="1g.10gb"), Fraction(1, 7)),
        (Wish(count=2, profile="3g.40gb"), Fraction(6, 7)),
        (Wish(profile="1g.10gb+me"), Fraction(1, 7)),
        (Wish(profile="1c.3g.40gb"), Fraction(1, 7)),
        (Wish(profile="7g.80gb"), Fraction(1)),
        (Wish(shared=True, sharers=4), Fraction(1, 4)),
        (Wish(count=2, shared=True, sharers=4), Fraction(1, 2)),
        (Wish(shared=True, sharers=4, profile="2g.20gb"), Fraction(1, 14)),
        (Wish(shared=True, all=True, sharers=4), Fraction(0)),
    ],
)
def test_what_a_workspace_takes_of_the_gpus(wish: Wish, share: Fraction) -> None:
    assert wish.equivalents == share


def test_seven_slices_are_one_gpu_and_so_are_all_who_share_one() -> None:
    assert 7 * Wish(profile="1g.10gb").equivalents == 1
    assert 4 * Wish(shared=True, sharers=4).equivalents == 1
