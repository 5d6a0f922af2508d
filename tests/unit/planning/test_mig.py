"""What a plan of MIG instances says: which changes, in which words and commands, or what is in the way."""

import random
import time
from collections.abc import Mapping, Sequence

import pytest

from controller.model.mig import Create, Divisible, Instance, Layout, NoLayout, SwitchOn
from controller.planning import mig, migtables, migwords
from controller.planning.migtables import mask

H100, A100, A30, T4 = "NVIDIA H100 80GB HBM3", "NVIDIA A100-SXM4-80GB", "NVIDIA A30", "NVIDIA T4"
TARGET = 1
"""Seconds for the largest host that this is made for, on an idle machine."""
NOISE = 3
"""A shared machine may be this much slower."""
ALICE = Instance("1g.10gb", 0, 1, 7, ("MIG-a",), "alice")
FREE = Instance("1g.10gb", 4, 1, 8, ("MIG-f",))
ON, OFF = Divisible("GPU-on", H100, divided=True), Divisible("GPU-off", H100, divided=False)


def having(*instances: Instance, uuid: str = "GPU-0", model: str = H100) -> Divisible:
    return Divisible(uuid, model, divided=True, instances=instances)


def told(wanted: Mapping[str, int], gpus: Sequence[Divisible]) -> list[str]:
    found = mig.plan(wanted, gpus)
    if isinstance(found, NoLayout):
        return list(migwords.reasons(found))
    used = [f"use the free {one.profile} at slice {one.start} of {gpu}" for gpu, one in found.used]
    return [migwords.words(change) for change in found.changes] + used


def test_what_is_free_serves_as_it_is() -> None:
    assert told({"1g.10gb": 1}, [ON, having(ALICE, FREE)]) == ["use the free 1g.10gb at slice 4 of GPU-0"]


def test_a_free_instance_goes_only_where_it_must() -> None:
    assert told({"3g.40gb": 1}, [having(ALICE, FREE), ON]) == ["create a 3g.40gb at slice 4 of GPU-on"]
    assert told({"3g.40gb": 1}, [having(ALICE, FREE)]) == [
        "destroy the free 1g.10gb at slice 4 of GPU-0 (MIG-f)",
        "create a 3g.40gb at slice 4 of GPU-0",
    ]


@pytest.mark.parametrize(
    ("profile", "start"),
    [("1g.10gb", 6), ("1g.10gb+me", 6), ("1g.20gb", 6), ("2g.20gb", 4), ("3g.40gb", 4), ("4g.40gb", 0)],
)
def test_an_empty_gpu_keeps_the_most_room(profile: str, start: int) -> None:
    assert mig.plan({profile: 1}, [ON]) == Layout((Create("GPU-on", profile, start),), ())


def test_a_gpu_that_is_divided_already_is_filled_up_first() -> None:
    small = Instance("2g.20gb", 4, 2, holder="alice")

    assert told({"3g.40gb": 1}, [ON, having(small)]) == ["create a 3g.40gb at slice 0 of GPU-0"]
    assert told({"1g.10gb": 1}, [ON, having(small)]) == ["create a 1g.10gb at slice 6 of GPU-0"]


def test_a_gpu_is_switched_on_only_if_nothing_else_helps() -> None:
    full = having(Instance("7g.80gb", 0, 8))

    assert SwitchOn("GPU-off") not in _layout({"1g.10gb": 7}, [OFF, full]).changes
    assert told({"1g.10gb": 1}, [OFF, having(Instance("7g.80gb", 0, 8, holder="alice"))]) == [
        "switch on the MIG mode of GPU-off, which nobody holds",
        "create a 1g.10gb at slice 6 of GPU-off",
    ]


def test_no_more_gpus_are_switched_on_than_needed_and_of_the_better_model() -> None:
    others = [Divisible(f"GPU-{number}", A30, divided=False) for number in range(3)]

    found = _layout({"1g.10gb": 7}, [*others, OFF])

    assert [change.gpu for change in found.changes if isinstance(change, SwitchOn)] == ["GPU-off"]


def test_the_media_extensions_are_given_once() -> None:
    plain, media = Instance("1g.10gb", 0, 1), Instance("1g.10gb+me", 1, 1)

    assert "1 can be had" in told({"1g.10gb+me": 2}, [having(plain)])[0]
    assert _layout({"1g.10gb+me": 1}, [having(plain, media)]).changes == ()
    held = Instance("1g.10gb+me", 1, 1, holder="alice")
    assert isinstance(mig.plan({"1g.10gb+me": 1}, [having(held)]), NoLayout)
    unknown = Instance("1g.10gb+gfx", 1, 1, holder="alice")
    assert isinstance(mig.plan({"1g.10gb+me": 1}, [having(unknown)]), NoLayout)
    assert isinstance(mig.plan({"1g.10gb": 6}, [having(unknown)]), Layout)


def test_a_free_instance_of_a_model_without_rules_can_be_given() -> None:
    strange = having(Instance("1g.23gb", 0, 1), model="NVIDIA B200")

    assert _layout({"1g.23gb": 1}, [strange]).changes == ()
    assert told({"1g.23gb": 2}, [strange]) == [
        "1g.23gb: 2 asked for, and 1 can be had even if nothing else is asked for",
        '1g.23gb: GPU-0: how a "NVIDIA B200" can be divided is not known here',
    ]


def test_a_profile_that_no_gpu_has_is_told_with_those_that_there_are() -> None:
    known = "4g.24gb, 2g.12gb, 2g.12gb+me, 1g.6gb, 1g.6gb+me"

    assert told({"3g.20gb": 1}, [having(model=A30)]) == [
        f"3g.20gb: no GPU here can be divided so; there can be: {known}"
    ]
    assert told({"3g.20gb": 1}, []) == [
        "3g.20gb: no GPU here can be divided so; none of a model whose rules are known is here"
    ]


def test_what_blocks_is_told_gpu_by_gpu() -> None:
    kept = Divisible("GPU-k", H100, divided=False, kept="bob has the whole of it")

    assert told({"7g.80gb": 2, "1g.10gb": 1}, [having(ALICE), ON, kept]) == [
        "7g.80gb: 2 asked for, and 1 can be had even if nothing else is asked for",
        "7g.80gb: GPU-0: no room beside 1g.10gb at slice 0 (alice); the largest that fits is 3g.40gb",
        "7g.80gb: GPU-on: room for 1",
        "7g.80gb: GPU-k: bob has the whole of it",
    ]


def test_who_finds_no_room_beside_the_others_is_told() -> None:
    assert told({"4g.40gb": 2, "7g.80gb": 1}, [ON, having(uuid="GPU-1")]) == [
        "4g.40gb: 2 asked for, and only these fit together: 1x7g.80gb, 1x4g.40gb",
        "4g.40gb: the largest that fits beside them is 3g.40gb",
    ]
    assert told({"4g.40gb": 1, "7g.80gb": 1}, [ON]) == [
        "4g.40gb: none fits beside 1x7g.80gb",
        "4g.40gb: nothing else fits beside them",
    ]
    assert told({"3g.40gb": 1, "2g.20gb": 2}, [having(ALICE)])[2:] == [
        "2g.20gb: GPU-0: 1g.10gb at slice 0 (alice)"
    ]


def test_commands_destroy_before_they_create_and_name_gpus_by_uuid() -> None:
    bare = Instance("1g.10gb", 5, 1, 9)
    unnumbered = Instance("1g.10gb", 6, 1, None, ("MIG-u",))

    found = _layout({"7g.80gb": 2, "3g.40gb": 1}, [having(ALICE, FREE, bare, unnumbered), ON, OFF])

    assert migwords.commands(found) == (
        "nvidia-smi mig -i GPU-0 -dci -gi 8",
        "nvidia-smi mig -i GPU-0 -dgi -gi 8",
        "nvidia-smi mig -i GPU-0 -dgi -gi 9",
        "# ID of the 1g.10gb at 6:1 is told by: nvidia-smi mig -i GPU-0 -lgi",
        "nvidia-smi mig -i GPU-0 -dci -gi ID",
        "nvidia-smi mig -i GPU-0 -dgi -gi ID",
        "nvidia-smi mig -i GPU-0 -cgi 3g.40gb:4 -C",
        "nvidia-smi mig -i GPU-on -cgi 7g.80gb:0 -C",
        "nvidia-smi -i GPU-off -mig 1",
        "nvidia-smi mig -i GPU-off -cgi 7g.80gb:0 -C",
    )


@pytest.mark.parametrize("seed", range(4))
def test_a_large_host_is_planned_within_a_second(seed: int) -> None:
    rng = random.Random(seed)
    host = [_filled(rng, f"GPU-{number}") for number in range(16)]
    names = [name for name in _profiles() if not name.endswith("+me")]
    wanted = dict.fromkeys(names, 0)
    for _ in range(28):
        wanted[rng.choice(names)] += 1

    before = time.process_time()
    mig.plan({name: count for name, count in wanted.items() if count}, host)
    took = time.process_time() - before

    print(f"{took * 1000:.0f} ms")
    assert took < TARGET * NOISE


def _layout(wanted: Mapping[str, int], gpus: Sequence[Divisible]) -> Layout:
    found = mig.plan(wanted, gpus)
    assert isinstance(found, Layout)
    return found


def _profiles() -> Mapping[str, migtables.Profile]:
    table = migtables.table_of(H100)
    assert table is not None
    return table.profiles


def _filled(rng: random.Random, uuid: str) -> Divisible:
    """A GPU full of instances of all sizes, of which one in ten is held."""
    places = [(profile, start) for profile in _profiles().values() for start in profile.starts]
    rng.shuffle(places)
    taken, instances = 0, []
    for profile, start in places:
        if not profile.media and not mask(start, profile.size) & taken:
            taken |= mask(start, profile.size)
            holder = "alice" if rng.random() < 0.1 else None
            instances.append(Instance(profile.name, start, profile.size, holder=holder))
    return having(*instances, uuid=uuid)
