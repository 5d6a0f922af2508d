"""A plan of MIG instances is right and the shortest: compared with trying everything, change by change."""

import functools
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.model.mig import Create, Destroy, Divisible, Instance, Layout, SwitchOn
from controller.planning import mig, migtables
from controller.planning.migtables import Profile, Table

A30, H100, A100, T4 = "NVIDIA A30", "NVIDIA H100 80GB HBM3", "NVIDIA A100-SXM4-40GB", "NVIDIA T4"
Places: TypeAlias = frozenset[tuple[str, int]]


def table_of(model: str) -> Table:
    table = migtables.table_of(model)
    assert table is not None
    return table


# What holds for hardware, said again in another way than the planner says it.


def fits(table: Table, there: Places, profile: Profile, start: int) -> bool:
    """Whether the driver would make an instance beside those that are there."""
    others = [(table.profiles[name], at) for name, at in there]
    overlaps = any(at < start + profile.size and start < at + other.size for other, at in others)
    return not overlaps and not (profile.media and any(other.media for other, _ in others))


def carried_out(gpus: Sequence[Divisible], layout: Layout) -> dict[str, Counter[str]]:
    """What each GPU has free after the changes; every change must be possible when its turn comes."""
    on = {gpu.uuid: gpu.divided for gpu in gpus}
    models = {gpu.uuid: gpu.model for gpu in gpus}
    kept = {gpu.uuid: gpu.kept for gpu in gpus}
    free = {
        gpu.uuid: {(one.profile, one.start) for one in gpu.instances if one.holder is None} for gpu in gpus
    }
    held = {gpu.uuid: {(one.profile, one.start) for one in gpu.instances if one.holder} for gpu in gpus}
    for change in layout.changes:
        assert not kept[change.gpu]
        match change:
            case SwitchOn(gpu):
                assert not on[gpu]
                on[gpu] = True
            case Destroy(gpu, instance):
                free[gpu].remove((instance.profile, instance.start))
            case Create(gpu, name, start):
                table = table_of(models[gpu])
                assert on[gpu]
                assert start in table.profiles[name].starts
                assert fits(table, frozenset(free[gpu] | held[gpu]), table.profiles[name], start)
                free[gpu].add((name, start))
    for gpu, instance in layout.used:
        assert instance.holder is None
        assert (instance.profile, instance.start) in free[gpu]
    return {gpu: Counter(name for name, _ in places) for gpu, places in free.items()}


@functools.cache
def after_any_changes(model: str, free: Places, held: Places) -> Mapping[tuple[str, ...], int]:
    """How few changes lead to each set of free profiles, found by walking from state to state."""
    table = table_of(model)
    distance, edge = {free: 0}, [free]
    while edge:
        nearer, edge = edge, []
        for there in nearer:
            for following in _neighbours(table, there, held):
                if following not in distance:
                    distance[following] = distance[there] + 1
                    edge.append(following)
    fewest: dict[tuple[str, ...], int] = {}
    for there, steps in distance.items():
        names = tuple(sorted(name for name, _ in there))
        fewest[names] = min(steps, fewest.get(names, steps))
    return fewest


def _neighbours(table: Table, free: Places, held: Places) -> Iterator[Places]:
    for place in free:
        yield free - {place}
    for profile in table.profiles.values():
        for start in profile.starts:
            if fits(table, free | held, profile, start):
                yield free | {(profile.name, start)}


def fewest_changes(wanted: Mapping[str, int], gpus: Sequence[Divisible]) -> tuple[int, int] | None:
    """How many GPUs must be switched on, and how many instances changed; None: it cannot be had at all."""
    need = tuple(wanted.values())
    known = {need: (0, 0)}
    for gpu in gpus:
        following: dict[tuple[int, ...], tuple[int, int]] = {}
        for left, (switches, changes) in known.items():
            for gives, more, steps in _choices(gpu, tuple(wanted)):
                rest = tuple(max(0, want - given) for want, given in zip(left, gives, strict=True))
                cost = (switches + more, changes + steps)
                following[rest] = min(cost, following.get(rest, cost))
        known = following
    return known.get(tuple(0 for _ in need))


@functools.cache
def _choices(gpu: Divisible, names: tuple[str, ...]) -> tuple[tuple[tuple[int, ...], int, int], ...]:
    if gpu.kept or migtables.table_of(gpu.model) is None:
        free = Counter(one.profile for one in gpu.instances if one.holder is None and not gpu.kept)
        return ((tuple(free[name] for name in names), 0, 0),)
    places = {
        is_held: frozenset(
            (one.profile, one.start) for one in gpu.instances if (one.holder is not None) is is_held
        )
        for is_held in (True, False)
    }
    best: dict[tuple[int, ...], int] = {}
    for found, steps in after_any_changes(gpu.model, places[False], places[True]).items():
        gives = tuple(found.count(name) for name in names)
        best[gives] = min(steps, best.get(gives, steps))
    return tuple((gives, int(not gpu.divided and steps > 0), steps) for gives, steps in best.items())


def check(wanted: Mapping[str, int], gpus: Sequence[Divisible]) -> None:
    found = mig.plan(wanted, gpus)
    expected = fewest_changes(wanted, gpus)
    if expected is None:
        assert not isinstance(found, Layout)
        assert found.reasons
        assert set(found.reasons) <= set(wanted)
        return
    assert isinstance(found, Layout)
    free = sum(carried_out(gpus, found).values(), Counter())
    assert all(free[name] >= count for name, count in wanted.items())
    made = Counter(change.profile for change in found.changes if isinstance(change, Create))
    assert made + Counter(one.profile for _, one in found.used) == Counter(wanted)
    switches = sum(isinstance(change, SwitchOn) for change in found.changes)
    assert (switches, len(found.changes) - switches) == expected


def divided(
    model: str, places: Sequence[tuple[Profile, int]], held: Sequence[bool], uuid: str = "GPU-0"
) -> Divisible:
    return Divisible(
        uuid,
        model,
        divided=True,
        instances=tuple(
            Instance(profile.name, start, profile.size, holder="alice" if taken else None)
            for (profile, start), taken in zip(places, held, strict=True)
        ),
    )


def layouts(table: Table) -> Iterator[tuple[tuple[Profile, int], ...]]:
    found: list[tuple[tuple[Profile, int], ...]] = [()]
    for profile in table.profiles.values():
        for start in profile.starts:
            found += [
                (*layout, (profile, start))
                for layout in found
                if fits(table, frozenset((one.name, at) for one, at in layout), profile, start)
            ]
    return iter(found)


def test_every_state_of_a_gpu_of_four_slices_with_every_request() -> None:
    table = table_of(A30)
    usual = [one for one in layouts(table) if not any("+me" in profile.name for profile, _ in one)]
    states = [
        divided(A30, places, held)
        for places in usual
        for held in itertools.product((False, True), repeat=len(places))
    ]
    requests = [
        {name: count for name, count in zip(("1g.6gb", "2g.12gb", "4g.24gb"), counts, strict=True) if count}
        for counts in itertools.product((0, 1, 4), (0, 1, 2), (0, 1))
        if any(counts)
    ]
    assert len(states) == 123
    for state, request in itertools.product(states, requests):
        check(request, [state])


@pytest.mark.full
def test_every_layout_of_a_gpu_of_seven_slices() -> None:
    table = table_of(H100)
    requests = [{"3g.40gb": 1, "1g.20gb": 1}, {"4g.40gb": 1, "2g.20gb": 1}, {"1g.10gb": 4, "1g.10gb+me": 1}]
    requests += [{"2g.20gb": 2, "1g.10gb": 2}, {"7g.80gb": 1}, {"3g.40gb": 1, "2g.20gb": 1, "1g.20gb": 1}]
    usual = [places for places in layouts(table) if not any("+me" in profile.name for profile, _ in places)]
    assert len(usual) == 723
    for places in usual:
        for number in (None, len(places) // 2):  # the one that is held
            held = [index == number for index in range(len(places))]
            for request in requests:
                check(request, [divided(H100, places, held)])


@st.composite
def gpus(draw: st.DrawFn, uuid: str = "GPU-0", models: Sequence[str] = (A30, H100, A100, T4)) -> Divisible:
    model = draw(st.sampled_from(models))
    kept = draw(st.sampled_from([*[""] * 7, "bob holds it"]))
    table = migtables.table_of(model)
    if table is None or draw(st.integers(0, 4)) == 0:
        return Divisible(uuid, model, divided=False, kept=kept)
    places: list[tuple[Profile, int]] = []
    for profile, start in draw(
        st.lists(
            st.sampled_from([(one, at) for one in table.profiles.values() for at in one.starts]), max_size=7
        )
    ):
        if fits(table, frozenset((one.name, at) for one, at in places), profile, start):
            places.append((profile, start))
    held = [draw(st.booleans()) for _ in places]
    return replace(divided(model, places, held, uuid), kept=kept)


@st.composite
def hosts(draw: st.DrawFn) -> list[Divisible]:
    models = draw(st.sampled_from([(H100,), (A30,), (H100, A100), (H100, A100, A30, T4)]))
    return [draw(gpus(f"GPU-{number}", models)) for number in range(draw(st.integers(1, 3)))]


@st.composite
def questions(draw: st.DrawFn) -> tuple[dict[str, int], list[Divisible]]:
    """A host, and what is asked of it: mostly little enough to be had."""
    host = draw(hosts())
    tables = [table for gpu in host if (table := migtables.table_of(gpu.model)) is not None]
    known = sorted({name for table in tables for name in table.profiles}) or ["1g.10gb"]
    names = draw(st.lists(st.sampled_from(known), min_size=1, max_size=4, unique=True))
    return {name: draw(st.sampled_from([1, 1, 1, 2, 3])) for name in names}, host


@given(questions())
def test_a_plan_is_right_and_the_shortest(question: tuple[dict[str, int], list[Divisible]]) -> None:
    wanted, host = question
    check(wanted, host)


@given(questions())
def test_the_same_question_has_the_same_answer(question: tuple[dict[str, int], list[Divisible]]) -> None:
    wanted, host = question
    renamed = [replace(gpu, uuid=gpu.uuid.replace("GPU", "XPU")) for gpu in host]

    assert mig.plan(wanted, host) == mig.plan(dict(wanted), list(host))
    assert str(mig.plan(wanted, renamed)) == str(mig.plan(wanted, host)).replace("GPU-", "XPU-")


@given(questions())
def test_what_a_plan_leads_to_needs_no_changes(question: tuple[dict[str, int], list[Divisible]]) -> None:
    wanted, host = question
    found = mig.plan(wanted, host)
    if not isinstance(found, Layout):
        return
    switched = {change.gpu for change in found.changes if isinstance(change, SwitchOn)}
    destroyed = [(change.gpu, change.instance) for change in found.changes if isinstance(change, Destroy)]
    made = [change for change in found.changes if isinstance(change, Create)]
    later = [
        replace(
            gpu,
            divided=gpu.divided or gpu.uuid in switched,
            instances=(
                *(one for one in gpu.instances if (gpu.uuid, one) not in destroyed),
                *(
                    Instance(one.profile, one.start, table_of(gpu.model).profiles[one.profile].size)
                    for one in made
                    if one.gpu == gpu.uuid
                ),
            ),
        )
        for gpu in host
    ]
    again = mig.plan(wanted, later)

    assert isinstance(again, Layout)
    assert not again.changes
