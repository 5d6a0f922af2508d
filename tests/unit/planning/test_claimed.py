"""Whom a device admits beside those who have it, case by case."""

import pytest

from controller.model.gpus import Device, Wish
from controller.planning.claimed import Claim, Hold, Holders

WHOLE = Device("GPU-a", "Card", 40)
DIVIDED = Device("GPU-m", "Card", 40, divided=True)
SLICES = tuple(
    Device(f"MIG-{letter}", "Card", 10, parent="GPU-m", profile="1g.10gb") for letter in ("x", "y")
)
DEVICES = {device.uuid: device for device in (WHOLE, DIVIDED, *SLICES)}


def alone(uuid: str, workspace: str = "bob") -> Claim:
    return Claim(uuid, f"workspace {workspace}", workspace)


def share(uuid: str, workspace: str = "bob") -> Claim:
    return Claim(uuid, f"workspace {workspace}", workspace, Hold.SHARE)


def every(uuid: str, workspace: str = "bob") -> Claim:
    return Claim(uuid, f"workspace {workspace}", workspace, Hold.ALL)


def stranger(uuid: str, hold: Hold = Hold.ALONE) -> Claim:
    return Claim(uuid, "process 7 of root", hold=hold)


@pytest.mark.parametrize(
    ("claims", "uuid", "admitted"),
    [
        pytest.param([], "GPU-a", {Hold.ALONE, Hold.SHARE, Hold.ALL}, id="nobody has it"),
        pytest.param([alone("GPU-a")], "GPU-a", set(), id="one has it alone"),
        pytest.param([share("GPU-a")], "GPU-a", {Hold.SHARE, Hold.ALL}, id="one of two seats is taken"),
        pytest.param(
            [share("GPU-a"), share("GPU-a")], "GPU-a", {Hold.SHARE, Hold.ALL}, id="by one, seen twice"
        ),
        pytest.param([share("GPU-a"), share("GPU-a", "eve")], "GPU-a", {Hold.ALL}, id="both seats are taken"),
        pytest.param([every("GPU-a")], "GPU-a", {Hold.SHARE, Hold.ALL}, id="one who has all takes no seat"),
        pytest.param([stranger("GPU-a")], "GPU-a", set(), id="a stranger has it"),
        pytest.param([stranger("GPU-a", Hold.SHARE)], "GPU-a", set(), id="a stranger shares with nobody"),
        pytest.param([share("GPU-m")], "MIG-x", set(), id="its GPU is claimed"),
        pytest.param([share("MIG-x")], "GPU-m", set(), id="a part of it is claimed"),
        pytest.param([alone("MIG-x")], "MIG-y", {Hold.ALONE, Hold.SHARE, Hold.ALL}, id="a sister is claimed"),
        pytest.param(
            [alone("GPU-gone")], "GPU-a", {Hold.ALONE, Hold.SHARE, Hold.ALL}, id="one that is gone is claimed"
        ),
    ],
)
def test_whom_a_device_admits(claims: list[Claim], uuid: str, admitted: set[Hold]) -> None:
    for order in (claims, claims[::-1]):
        holders = Holders(DEVICES, order)
        assert {hold for hold in Hold if holders.admits(uuid, hold, 2)} == admitted
        assert {hold for hold in Hold if not holders.rivals(uuid, "alice", hold, 2)} == admitted


def test_nobody_is_a_rival_of_itself() -> None:
    holders = Holders(DEVICES, [alone("GPU-a", "alice"), share("MIG-x", "alice")])
    assert [holders.rivals(uuid, "alice", hold, 1) for uuid in DEVICES for hold in Hold] == [()] * 12
    assert holders.of("alice") == {"GPU-a", "MIG-x"}
    assert holders.around("alice") == {"GPU-a", "MIG-x", "GPU-m"}
    assert holders.of("bob") == holders.around("bob") == set()


def test_the_rivals_are_those_who_are_in_the_way() -> None:
    ours, theirs = (
        share("GPU-a", "alice"),
        [share("GPU-a", "bob"), share("GPU-a", "eve"), every("GPU-a", "root")],
    )
    holders = Holders(DEVICES, [ours, *theirs])
    assert holders.rivals("GPU-a", "alice", Hold.ALONE, 9) == tuple(theirs)
    assert holders.rivals("GPU-a", "alice", Hold.SHARE, 2) == tuple(theirs[:2])
    assert holders.rivals("GPU-a", "alice", Hold.SHARE, 3) == ()
    assert holders.on("GPU-a") == (ours, *theirs)
    assert holders.seats("GPU-a") == 3


def test_strangers_are_not_one_another() -> None:
    holders = Holders(DEVICES, [stranger("GPU-a")])
    assert holders.rivals("GPU-a", "", Hold.ALONE, 1) == (stranger("GPU-a"),)


def test_a_wish_says_how_its_devices_are_held() -> None:
    wishes = [Wish(), Wish(shared=True), Wish(shared=True, all=True), Wish(all=True)]
    assert [Hold.of(wish) for wish in wishes] == [Hold.ALONE, Hold.SHARE, Hold.ALL, Hold.ALL]
