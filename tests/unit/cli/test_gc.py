"""`wharf gc`: what it says before and after, and how it ends."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from controller.model.images import Judged, StoredImage
from controller.model.observed import NOT_LOOKED_AT, Disk, Unseen
from controller.status import garbage
from tests.support import builders, controller_stand_in, wharf_host

GIB = 1 << 30


def image(number: int, days: int, size: int, kept: str = "") -> Judged:
    arrived = builders.NOW - timedelta(days=days)
    return Judged(StoredImage(f"sha256:{number}", (f"lab/image:{number}",), arrived, size), kept)


IMAGES = (
    image(1, 90, 4 * GIB),
    image(2, 60, GIB, "container workspace-alice"),
    image(3, 30, 4 * GIB),
    image(4, 9, 2 * GIB),
)


def told(percent: int | None, *images: Judged) -> dict[str, Any]:
    disk: Disk | Unseen = NOT_LOOKED_AT if percent is None else builders.disk(percent)
    return {**garbage.garbage_object(images or IMAGES, disk, 80)}


@pytest.fixture
def full(world: controller_stand_in.World) -> controller_stand_in.World:
    """A disk of 100 GiB at 86 %; when asked, the first and the third image go."""

    def collect(name: str, body: Mapping[str, Any]) -> controller_stand_in.Reply:
        world.answers["garbage"] = told(79, IMAGES[1], IMAGES[3])
        return 200, {"accepted": True, "needed": True}

    world.answers |= {"garbage": told(86), "collection": {"underWay": False}}
    world.on_post["collect"] = collect
    return world


def test_a_dry_run_tells_what_would_go_in_which_order_and_asks_for_nothing(
    wharf: wharf_host.Wharf, full: controller_stand_in.World
) -> None:
    done = wharf("gc", "--dry-run")
    assert done.code == 0
    assert done.out.splitlines() == [
        "ACTION   IMAGE         SIZE     AGE   WHY",
        "Remove   lab/image:1   4.0GiB   90d   nothing uses it",
        "Remove   lab/image:3   4.0GiB   30d   nothing uses it",
        "Next     lab/image:4   2.0GiB   9d    nothing uses it",
        "Keep     lab/image:2   1.0GiB   60d   container workspace-alice",
    ]
    assert "86 % full; images go down to 80 %" in done.err
    assert full.requested == []


def test_what_went_and_what_stays_is_told_with_the_bytes(
    wharf: wharf_host.Wharf, full: controller_stand_in.World
) -> None:
    done = wharf("gc")
    assert done.code == 0
    assert [line.split()[:2] for line in done.out.splitlines()[1:]] == [
        ["Removed", "lab/image:1"],
        ["Removed", "lab/image:3"],
        ["Keep", "lab/image:2"],
        ["Keep", "lab/image:4"],
    ]
    expected = "2 images removed, 7.0GiB freed: the disk of /var/lib/docker was 86 % full and is 79 %"
    assert expected in done.err
    assert [verb for verb, *_ in full.requested] == ["collect"]


def test_too_little_room_although_all_went_is_said(
    wharf: wharf_host.Wharf, full: controller_stand_in.World
) -> None:
    def collect(name: str, body: Mapping[str, Any]) -> controller_stand_in.Reply:
        full.answers["garbage"] = told(82, IMAGES[1])
        return 200, {"needed": True}

    full.on_post["collect"] = collect
    done = wharf("gc")
    assert "no other image may go" in done.err
    assert "3 images removed" in done.err


def test_what_could_not_go_is_not_called_needed(
    wharf: wharf_host.Wharf, full: controller_stand_in.World
) -> None:
    """The wish is given up after a while, and an image may have been refused."""
    full.on_post["collect"] = lambda *_: (200, {"needed": True})
    done = wharf("gc")
    assert "0 images removed" in done.err
    assert "not all that may go went; see: wharf get events, and run wharf gc again" in done.err
    assert "no other image may go" not in done.err


def test_where_there_is_room_nothing_is_removed(
    wharf: wharf_host.Wharf, full: controller_stand_in.World
) -> None:
    full.answers["garbage"] = told(70)
    full.on_post["collect"] = lambda *_: (200, {"needed": False})
    done = wharf("gc")
    assert done.code == 0
    assert "70 % full; images go down to 80 %, so none goes" in done.err


def test_a_disk_that_nobody_can_see_is_said(wharf: wharf_host.Wharf, full: controller_stand_in.World) -> None:
    full.answers["garbage"] = told(None)
    done = wharf("gc", "--dry-run")
    assert done.code == 0
    assert "nobody can tell how full it is, and nothing is removed" in done.err
    assert {line.split()[0] for line in done.out.splitlines()[1:]} == {"Keep"}


def test_who_waits_too_long_is_told_so(wharf: wharf_host.Wharf, full: controller_stand_in.World) -> None:
    full.answers["collection"] = {"underWay": True}
    done = wharf("gc", "--timeout", "1s")
    assert done.code == 6
    assert "still being removed after 1s" in done.err


def test_a_refusal_is_exit_code_5(wharf: wharf_host.Wharf, full: controller_stand_in.World) -> None:
    refusal = {"error": {"reason": "Paused", "message": "the host is paused"}}
    full.on_post["collect"] = lambda *_: (409, refusal)
    assert wharf("gc").code == 5
