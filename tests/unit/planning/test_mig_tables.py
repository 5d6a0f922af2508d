"""What each GPU model can be divided into: the published counts and starts, and what follows from them."""

import itertools
from collections.abc import Iterator

import pytest

from controller.planning import migtables
from controller.planning.migtables import Profile, Table, mask

SEVENTHS = (7, 1, 4, 3, 2, 1, 1)
"""Instances in all, as `nvidia-smi mig -lgip` lists them: 1g, 1g+me, 1g of double memory, 2g, 3g, 4g, 7g."""
PUBLISHED = [
    ("NVIDIA A30", "1g.6gb 1g.6gb+me 2g.12gb 2g.12gb+me 4g.24gb", (4, 1, 2, 1, 1)),
    ("NVIDIA A100-SXM4-40GB", "1g.5gb 1g.5gb+me 1g.10gb 2g.10gb 3g.20gb 4g.20gb 7g.40gb", SEVENTHS),
    ("NVIDIA A100-PCIE-40GB", "1g.5gb 1g.5gb+me 1g.10gb 2g.10gb 3g.20gb 4g.20gb 7g.40gb", SEVENTHS),
    ("NVIDIA A100-SXM4-80GB", "1g.10gb 1g.10gb+me 1g.20gb 2g.20gb 3g.40gb 4g.40gb 7g.80gb", SEVENTHS),
    ("NVIDIA A100 80GB PCIe", "1g.10gb 1g.10gb+me 1g.20gb 2g.20gb 3g.40gb 4g.40gb 7g.80gb", SEVENTHS),
    ("NVIDIA H100 80GB HBM3", "1g.10gb 1g.10gb+me 1g.20gb 2g.20gb 3g.40gb 4g.40gb 7g.80gb", SEVENTHS),
    ("NVIDIA H100 PCIe", "1g.10gb 1g.10gb+me 1g.20gb 2g.20gb 3g.40gb 4g.40gb 7g.80gb", SEVENTHS),
    ("NVIDIA H100 NVL", "1g.12gb 1g.12gb+me 1g.24gb 2g.24gb 3g.47gb 4g.47gb 7g.94gb", SEVENTHS),
    ("NVIDIA H200", "1g.18gb 1g.18gb+me 1g.35gb 2g.35gb 3g.71gb 4g.71gb 7g.141gb", SEVENTHS),
    ("NVIDIA H200 NVL", "1g.18gb 1g.18gb+me 1g.35gb 2g.35gb 3g.71gb 4g.71gb 7g.141gb", SEVENTHS),
]
STARTS_OF_SEVENTHS = (
    (0, 1, 2, 3, 4, 5, 6),
    (0, 1, 2, 3, 4, 5, 6),
    (0, 2, 4, 6),
    (0, 2, 4),
    (0, 4),
    (0,),
    (0,),
)


@pytest.mark.parametrize(("model", "names", "totals"), PUBLISHED, ids=[row[0] for row in PUBLISHED])
def test_profiles_and_their_numbers_are_the_published_ones(
    model: str, names: str, totals: tuple[int, ...]
) -> None:
    table = migtables.table_of(model)

    assert table is not None
    assert list(table.profiles) == names.split()
    assert tuple(_most(table, profile) for profile in table.profiles.values()) == totals


@pytest.mark.parametrize(
    "table", [one for one in migtables.TABLES if one.compute == 7], ids=lambda one: one.title
)
def test_gpus_of_seven_slices_have_the_starts_of_the_guide(table: Table) -> None:
    assert tuple(one.starts for one in table.profiles.values()) == STARTS_OF_SEVENTHS
    assert [one.size for one in table.profiles.values()] == [1, 1, 2, 2, 4, 4, 8]


@pytest.mark.parametrize(
    "model", ["NVIDIA T4", "NVIDIA A100-SXM-64GB", "NVIDIA GH200 480GB", "NVIDIA H100", "NVIDIA B200", ""]
)
def test_a_model_that_is_not_in_the_table_has_no_rules(model: str) -> None:
    assert migtables.table_of(model) is None


@pytest.mark.parametrize("table", migtables.TABLES, ids=lambda one: one.title)
def test_no_layout_takes_more_than_the_gpu_has(table: Table) -> None:
    layouts = list(_layouts(table))

    assert len(layouts) == len(set(layouts))
    for layout in layouts:
        assert sum(profile.compute for profile, _ in layout) <= table.compute
        assert all(start + profile.size <= table.memory for profile, start in layout)
        assert sum(profile.media for profile, _ in layout) <= 1


def test_a_gpu_of_seven_slices_can_be_filled_in_nineteen_ways_without_special_profiles() -> None:
    table = migtables.table_of("NVIDIA A100-SXM4-40GB")
    assert table is not None
    usual = {"1g.5gb", "2g.10gb", "3g.20gb", "4g.20gb", "7g.40gb"}
    layouts = {
        frozenset((profile.name, start) for profile, start in layout)
        for layout in _layouts(table)
        if {profile.name for profile, _ in layout} <= usual
    }
    full = [one for one in layouts if not any(one < other for other in layouts)]

    assert len(full) == 19


def _most(table: Table, profile: Profile) -> int:
    return max(sum(one is profile for one, _ in layout) for layout in _layouts(table))


def _layouts(table: Table) -> Iterator[tuple[tuple[Profile, int], ...]]:
    """Every set of places that do not overlap, with the media extensions at most once; by trying all."""
    places = [(profile, start) for profile in table.profiles.values() for start in profile.starts]
    found: list[tuple[tuple[Profile, int], ...]] = [()]
    for profile, start in places:
        found += [
            (*layout, (profile, start))
            for layout in found
            if not any(mask(start, profile.size) & mask(at, other.size) for other, at in layout)
            and not (profile.media and any(other.media for other, _ in layout))
        ]
    return itertools.chain(found)
