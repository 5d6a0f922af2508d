"""Who gets which GPU, case by case, and what those are told who get none."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest

from controller.api.conditions import Reason
from controller.model.gpus import Ailment, Cordon, Device, Fence, Wish
from controller.planning import allocation, pleas
from controller.planning.allocation import Allotment, Offer, Waiting
from controller.planning.claimed import Claim, Hold
from controller.planning.queueing import AGEING, PATIENCE, Request
from tests.support.builders import NOW

GIB = 1 << 30
QUEUED, NEVER = Reason.GPU_QUEUED, Reason.GPU_UNAVAILABLE
LONG = NOW - PATIENCE - timedelta(minutes=1)


def gpu(
    name: str, memory: int = 40, model: str = "NVIDIA A100-SXM4-40GB", *, divided: bool = False
) -> Device:
    return Device(f"GPU-{name}", model, memory * GIB, divided=divided)


def part(name: str, parent: str, profile: str = "1g.10gb", memory: int = 10) -> Device:
    return Device(
        f"MIG-{name}", "NVIDIA A100-SXM4-80GB", memory * GIB, parent=f"GPU-{parent}", profile=profile
    )


FOUR = tuple(gpu(name) for name in "abcd")
PARTS = (
    gpu("m", 80, divided=True),
    gpu("n", 80, divided=True),
    *(part(name, "m") for name in "xyz"),
    *(part(name, "n") for name in "uvw"),
    part("large", "n", "3g.40gb", 40),
)


def claim(uuid: str, workspace: str, hold: Hold = Hold.ALONE) -> Claim:
    return Claim(uuid, f"workspace {workspace}", workspace, hold)


def request(workspace: str, wish: Wish | None = None, priority: int = 10, **more: object) -> Request:
    return replace(Request(workspace, wish or Wish(), priority), **more)  # type: ignore[arg-type]


def allot(
    devices: Iterable[Device],
    requests: Iterable[Request],
    claims: Iterable[Claim] = (),
    withheld: dict[str, str] | None = None,
) -> Allotment:
    return Allotment({one.uuid: one for one in devices}, claims, withheld or {}, requests, NOW)


def serve(allotment: Allotment) -> dict[str, tuple[str, ...] | Reason]:
    """Everybody uses what is offered."""
    found: dict[str, tuple[str, ...] | Reason] = {}
    for one in allotment.order:
        answer = allotment.offer(one)
        if isinstance(answer, Offer):
            allotment.take(one, answer)
            found[one.workspace] = answer.uuids
        else:
            allotment.join(one, answer)
            found[one.workspace] = answer.reason
    return found


def only(
    devices: Iterable[Device],
    wish: Wish,
    claims: Iterable[Claim] = (),
    withheld: dict[str, str] | None = None,
) -> tuple[str, ...] | Reason:
    """What one gets who comes alone."""
    return serve(allot(devices, [request("alice", wish)], claims, withheld))["alice"]


BIG, SMALL = gpu("a", 80, "NVIDIA H100 80GB HBM3"), gpu("b", 24, "NVIDIA L4")


@pytest.mark.parametrize(
    ("devices", "wish", "got"),
    [
        pytest.param(FOUR, Wish(), ("GPU-a",), id="one of equal ones: the first by UUID"),
        pytest.param(FOUR, Wish(count=2), ("GPU-a", "GPU-b"), id="two"),
        pytest.param(FOUR, Wish(count=5), NEVER, id="more than there are"),
        pytest.param((), Wish(), NEVER, id="the host has none"),
        pytest.param((BIG, SMALL), Wish(), ("GPU-b",), id="the smallest"),
        pytest.param((BIG, SMALL), Wish(memory=40 * GIB), ("GPU-a",), id="the smallest that suffices"),
        pytest.param((BIG, SMALL), Wish(memory=81 * GIB), NEVER, id="none is so large"),
        pytest.param((BIG, SMALL), Wish(model="h100 80gb"), ("GPU-a",), id="the words of the model"),
        pytest.param((BIG, SMALL), Wish(model="H100 40GB"), NEVER, id="one word of the model is missing"),
        pytest.param(FOUR, Wish(uuids=("GPU-c",)), ("GPU-c",), id="pinned"),
        pytest.param(FOUR, Wish(uuids=("GPU-d", "GPU-c")), ("GPU-c",), id="one of those that are pinned"),
        pytest.param(FOUR, Wish(uuids=("GPU-e",)), NEVER, id="pinned to what the host does not have"),
        pytest.param(PARTS, Wish(), NEVER, id="neither a divided GPU nor a part of one is a whole one"),
        pytest.param((*PARTS, BIG), Wish(), ("GPU-a",), id="a whole one beside divided ones"),
        pytest.param(PARTS, Wish(uuids=("GPU-m",)), NEVER, id="a divided one is not had by its UUID either"),
        pytest.param(PARTS, Wish(uuids=("MIG-y",)), ("MIG-y",), id="a part by its UUID"),
        pytest.param(
            PARTS, Wish(profile="1g.10gb"), ("MIG-x",), id="the GPU with the fewest other unused parts"
        ),
        pytest.param(
            PARTS, Wish(profile="1g.10gb", count=3), ("MIG-x", "MIG-y", "MIG-z"), id="parts stay together"
        ),
        pytest.param(PARTS, Wish(profile="3g.40gb"), ("MIG-large",), id="parts by their profile"),
        pytest.param(PARTS, Wish(profile="7g.80gb"), NEVER, id="a profile that nobody has made"),
        pytest.param(FOUR, Wish(shared=True, sharers=4), ("GPU-a",), id="shared"),
        pytest.param(FOUR, Wish(all=True), ("GPU-a", "GPU-b", "GPU-c", "GPU-d"), id="all"),
        pytest.param(
            PARTS,
            Wish(all=True),
            ("MIG-large", "MIG-u", "MIG-v", "MIG-w", "MIG-x", "MIG-y", "MIG-z"),
            id="all parts",
        ),
    ],
)
def test_what_fits_when_nobody_has_anything(
    devices: tuple[Device, ...], wish: Wish, got: tuple[str, ...] | Reason
) -> None:
    assert only(devices, wish) == only(devices[::-1], wish) == got


@pytest.mark.parametrize(
    ("claims", "wish", "got"),
    [
        pytest.param([claim("GPU-a", "bob")], Wish(), ("GPU-b",), id="the next"),
        pytest.param([claim("GPU-a", "bob", Hold.SHARE)], Wish(), ("GPU-b",), id="alone means alone"),
        pytest.param([claim("GPU-a", "bob", Hold.ALL)], Wish(), ("GPU-b",), id="who has all has it, too"),
        pytest.param(
            [Claim("GPU-a", "process 7 of root")], Wish(shared=True, sharers=9), ("GPU-b",), id="a stranger"
        ),
        pytest.param([claim("GPU-a", "bob"), claim("GPU-b", "eve")], Wish(), QUEUED, id="others have all"),
        pytest.param([claim("GPU-a", "alice")], Wish(), ("GPU-a",), id="its own claim is no obstacle"),
        pytest.param([claim("GPU-a", "bob")], Wish(count=2), QUEUED, id="one of two is not enough"),
        pytest.param(
            [claim("GPU-a", "bob", Hold.SHARE)], Wish(shared=True, sharers=2), ("GPU-b",), id="fewest sharers"
        ),
        pytest.param(
            [claim("GPU-b", "bob"), claim("GPU-a", "eve", Hold.SHARE)],
            Wish(shared=True, sharers=2),
            ("GPU-a",),
            id="the last seat",
        ),
        pytest.param(
            [claim("GPU-b", "bob"), claim("GPU-a", "eve", Hold.SHARE)],
            Wish(shared=True, sharers=1),
            QUEUED,
            id="no seat is left",
        ),
        pytest.param([claim("GPU-a", "bob")], Wish(all=True), ("GPU-b",), id="all that nobody has alone"),
        pytest.param(
            [claim("GPU-a", "bob", Hold.SHARE)], Wish(all=True), ("GPU-a", "GPU-b"), id="all takes no seat"
        ),
        pytest.param(
            [claim("GPU-a", "bob"), claim("GPU-b", "eve")], Wish(all=True), QUEUED, id="all of none"
        ),
    ],
)
def test_what_is_left_beside_others(claims: list[Claim], wish: Wish, got: tuple[str, ...] | Reason) -> None:
    assert only(FOUR[:2], wish, claims) == only(FOUR[:2], wish, claims[::-1]) == got


def test_shares_go_to_small_devices_before_they_spread_to_large_ones() -> None:
    claims = [claim("GPU-b", "bob", Hold.SHARE)]
    assert only((BIG, SMALL), Wish(shared=True, sharers=2), claims) == ("GPU-b",)
    assert only((BIG, SMALL), Wish(shared=True, sharers=1), claims) == ("GPU-a",)


def test_what_is_withheld_is_given_to_nobody() -> None:
    assert only(FOUR[:2], Wish(), withheld={"GPU-a": "cordoned"}) == ("GPU-b",)
    assert only(FOUR[:2], Wish(all=True), withheld={"GPU-a": "cordoned"}) == ("GPU-b",)
    assert only(FOUR[:1], Wish(), withheld={"GPU-a": "cordoned"}) == QUEUED
    assert only(PARTS, Wish(profile="1g.10gb"), withheld={"GPU-m": "fenced"}) == ("MIG-u",)
    assert only(PARTS, Wish(profile="1g.10gb"), withheld={"MIG-x": "cordoned"}) == ("MIG-y",)


def test_who_runs_keeps_what_it_has_whatever_is_found_of_it() -> None:
    runs = request("alice", Wish(count=2), own=("GPU-d", "GPU-gone"), runs=True)
    claims = [claim("GPU-d", "alice"), claim("GPU-gone", "alice"), Claim("GPU-d", "process 7 of root")]
    assert serve(allot(FOUR, [runs], claims, {"GPU-d": "fenced"})) == {"alice": ("GPU-d", "GPU-gone")}


def test_who_asks_for_something_else_gets_others_before_it_gives_up_its_own() -> None:
    runs = request("alice", Wish(memory=80 * GIB), own=("GPU-b",), runs=True)
    assert serve(allot((BIG, SMALL), [runs], [claim("GPU-b", "alice")])) == {"alice": ("GPU-a",)}


def test_who_had_devices_gets_the_same_before_others_get_any() -> None:
    back, new = request("zoe", priority=1, own=("GPU-a",)), request("alice", priority=100)
    assert serve(allot(FOUR[:2], [new, back])) == {"zoe": ("GPU-a",), "alice": ("GPU-b",)}


@pytest.mark.parametrize(
    ("wish", "claims"),
    [(Wish(count=2), []), (Wish(), [claim("GPU-a", "carol")]), (Wish(model="nvidia a100", count=2), [])],
)
def test_who_had_devices_and_gets_others_does_not_go_before_who_waits(
    wish: Wish, claims: list[Claim]
) -> None:
    had = request("alice", wish, own=("GPU-a",))
    waits = request("bob", waiting_since=NOW - PATIENCE / 2)
    allotment = allot(FOUR, [had, waits], claims)
    assert [one.workspace for one in allotment.order] == ["bob", "alice"]


def test_who_had_devices_and_asks_for_others_has_its_place_by_rank() -> None:
    fresh = request("alice", Wish(count=2), priority=100, own=("GPU-a",))
    waits = request("bob", Wish(count=4), waiting_since=LONG)
    allotment = allot(FOUR, [fresh, waits])
    assert [one.workspace for one in allotment.order] == ["alice", "bob"]


def test_who_had_devices_that_others_have_now_gets_others() -> None:
    back = request("zoe", own=("GPU-a",))
    assert serve(allot(FOUR, [back], [claim("GPU-a", "bob")])) == {"zoe": ("GPU-b",)}
    assert serve(allot(FOUR, [back], withheld={"GPU-a": "fenced"})) == {"zoe": ("GPU-b",)}


@pytest.mark.parametrize(
    ("claims", "withheld", "got"),
    [
        ([], {}, ("GPU-a", "GPU-c")),
        ([claim("GPU-a", "zoe"), claim("GPU-c", "zoe")], {}, ("GPU-a", "GPU-c")),
        ([claim("GPU-c", "bob")], {}, Reason.OWN_GPU_BUSY),
        ([], {"GPU-c": "fenced"}, Reason.OWN_GPU_BUSY),
    ],
)
def test_a_stopped_container_starts_with_its_own_or_not_at_all(
    claims: list[Claim], withheld: dict[str, str], got: tuple[str, ...] | Reason
) -> None:
    stopped = request("zoe", Wish(count=2), own=("GPU-c", "GPU-a"), must_own=True)
    assert serve(allot(FOUR, [stopped], claims, withheld)) == {"zoe": got}


def test_a_stopped_container_waits_for_a_device_that_vanished() -> None:
    stopped = request("zoe", own=("GPU-gone",), must_own=True)
    allotment = allot(FOUR, [stopped])
    assert serve(allotment) == {"zoe": Reason.OWN_GPU_BUSY}
    assert allotment.messages()["zoe"] == (
        "needs GPU-gone, with which its container was made; 1st of 1 in the queue; "
        "GPU-gone is not there any more"
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(request("b", priority=20), request("a", priority=10), id="priority"),
        pytest.param(request("b", waiting_since=NOW - AGEING), request("a"), id="waiting"),
        pytest.param(request("a"), request("b"), id="name"),
        pytest.param(
            request("b", priority=9, waiting_since=NOW - 2 * AGEING),
            request("a"),
            id="waiting beats priority in time",
        ),
        pytest.param(
            request("b", priority=9, waiting_since=NOW - AGEING),
            request("a"),
            id="equal by age: who waits longer",
        ),
        pytest.param(
            request("b", priority=1, waiting_since=NOW - 99 * AGEING),
            request("a", priority=100),
            id="after 20 hours nobody who comes goes before",
        ),
    ],
)
def test_who_is_first(first: Request, second: Request) -> None:
    for requests in ([first, second], [second, first]):
        assert allot(FOUR, requests).order == (first, second)


def test_a_wait_that_began_in_the_future_has_not_begun() -> None:
    odd = request("b", waiting_since=NOW + timedelta(days=1))
    assert allot(FOUR, [odd, request("a", waiting_since=NOW)]).order[0].workspace == "a"


def test_only_what_is_used_is_taken() -> None:
    requests = [request("a", priority=100), request("b")]
    allotment = allot(FOUR[:1], requests)
    assert allotment.offer(requests[0]) == Offer(("GPU-a",))
    assert allotment.offer(requests[1]) == Offer(("GPU-a",))
    allotment.take(requests[1], Offer(("GPU-a",)))
    assert isinstance(allotment.offer(requests[0]), Waiting)
    assert allotment.messages() == {}


def test_a_large_request_that_waits_long_gets_what_is_free_set_aside() -> None:
    large, small = request("large", Wish(count=2)), request("small", priority=11)
    claims = [claim("GPU-a", "bob")]
    assert serve(allot(FOUR[:2], [large, small], claims)) == {"large": QUEUED, "small": ("GPU-b",)}
    large = replace(large, waiting_since=LONG)
    allotment = allot(FOUR[:2], [large, small], claims)
    assert serve(allotment) == {"large": QUEUED, "small": QUEUED}
    assert allotment.messages() == {
        "large": "waits for 2 GPUs; 1st of 2 in the queue; workspace bob has GPU-a; "
        "what becomes free is set aside for it",
        "small": "waits for 1 GPU; 2nd of 2 in the queue; workspace bob has GPU-a; "
        "GPU-b is set aside for workspace large",
    }


def test_nothing_is_set_aside_for_who_has_somebody_fresh_before_it() -> None:
    large = request("large", Wish(count=2), waiting_since=LONG)
    fresh, small = request("fresh", Wish(count=3), 100), request("small")
    claims = [claim("GPU-a", "bob")]
    served = serve(allot(FOUR[:3], [large, fresh, small], claims))
    assert served == {"fresh": QUEUED, "large": ("GPU-b", "GPU-c"), "small": QUEUED}
    claims.append(claim("GPU-c", "bob"))
    served = serve(allot(FOUR[:3], [large, fresh, small], claims))
    assert served == {"fresh": QUEUED, "large": QUEUED, "small": ("GPU-b",)}


def test_as_many_shared_devices_are_set_aside_as_are_lacking() -> None:
    large = request("large", Wish(count=2), waiting_since=LONG)
    sharer = request("small", Wish(shared=True, sharers=4))
    claims = [claim(uuid, "bob", Hold.SHARE) for uuid in ("GPU-a", "GPU-b", "GPU-c")]
    assert serve(allot(FOUR[:3], [large, sharer], claims))["small"] == ("GPU-c",)
    assert serve(allot(FOUR, [large, sharer], claims))["small"] == ("GPU-b",)


def test_a_seat_is_set_aside_for_who_needs_several() -> None:
    two = request("two", Wish(count=2, shared=True, sharers=2), waiting_since=LONG)
    claims = [claim("GPU-a", "bob"), claim("GPU-b", "eve", Hold.SHARE)]
    sharer = request("small", Wish(shared=True, sharers=2))
    assert serve(allot(FOUR[:2], [two, sharer], claims)) == {"two": QUEUED, "small": QUEUED}
    assert serve(allot(FOUR[:2], [two, sharer], claims[:1])) == {"two": QUEUED, "small": ("GPU-b",)}


def test_who_stopped_does_not_come_before_who_waits_long_unless_it_still_holds_its_own() -> None:
    large = request("large", Wish(count=2), waiting_since=LONG)
    stopped = request("zoe", own=("GPU-b",), must_own=True)
    claims = [claim("GPU-a", "bob")]
    assert serve(allot(FOUR[:2], [large, stopped], claims)) == {"large": QUEUED, "zoe": Reason.OWN_GPU_BUSY}
    claims.append(claim("GPU-b", "zoe"))
    assert serve(allot(FOUR[:2], [large, stopped], claims)) == {"large": QUEUED, "zoe": ("GPU-b",)}


def test_a_stopped_container_gets_its_own_set_aside_too() -> None:
    stopped = request("zoe", Wish(count=2), own=("GPU-a", "GPU-b"), must_own=True, waiting_since=LONG)
    small = request("small")
    assert serve(allot(FOUR[:2], [stopped, small], [claim("GPU-a", "bob")]))["small"] == QUEUED


def test_nothing_is_set_aside_for_who_cannot_be_served_whoever_leaves() -> None:
    large, small = request("large", Wish(count=2), waiting_since=LONG), request("small")
    served = serve(allot(FOUR[:2], [large, small], withheld={"GPU-a": "cordoned"}))
    assert served == {"large": QUEUED, "small": ("GPU-b",)}
    stopped = request("zoe", Wish(count=2), own=("GPU-gone", "GPU-b"), must_own=True, waiting_since=LONG)
    assert serve(allot(FOUR[:2], [stopped, request("s", Wish(uuids=("GPU-b",)))]))["s"] == ("GPU-b",)


def test_what_can_never_be_had_is_not_in_the_queue() -> None:
    never, waits = request("a", Wish(count=9)), request("b")
    allotment = allot(FOUR[:1], [never, waits], [claim("GPU-a", "bob")])
    answer = allotment.offer(never)
    assert answer == Waiting(NEVER, "asks for 9 GPUs; this host has 1 such")
    serve(allotment)
    assert allotment.messages() == {"b": "waits for 1 GPU; 1st of 1 in the queue; workspace bob has GPU-a"}


def test_many_holders_are_counted() -> None:
    claims = [claim(one.uuid, f"w{n}") for n, one in enumerate(FOUR[:3])] + [
        Claim("GPU-d", "process 7 of root")
    ]
    claims += [claim("GPU-d", "w0", Hold.SHARE)]
    allotment = allot(
        FOUR, [request("alice", Wish(count=2)), request("eve")], claims, {"GPU-b": "cordoned by root"}
    )
    serve(allotment)
    assert allotment.messages()["eve"] == (
        "waits for 1 GPU; 2nd of 2 in the queue; workspace w0 has 2 of them, process 7 of root has GPU-d, "
        "workspace w1 has GPU-b and 1 more; GPU-b is cordoned by root"
    )


def test_nobody_is_told_of_what_it_has_itself() -> None:
    asks = request("alice", Wish(count=2), own=("GPU-a",), runs=True, waiting_since=LONG)
    allotment = allot(
        FOUR[:3], [asks], [claim("GPU-a", "alice"), claim("GPU-b", "bob"), claim("GPU-c", "bob")]
    )
    assert serve(allotment) == {"alice": QUEUED}
    assert allotment.messages() == {
        "alice": "waits for 2 GPUs; 1st of 1 in the queue; workspace bob has 2 of them; "
        "what becomes free is set aside for it"
    }


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Wish(), "1 GPU"),
        (Wish(count=2, memory=40 * GIB), "2 GPUs with at least 40 GiB"),
        (Wish(memory=GIB // 2), "1 GPU with at least 0.5 GiB"),
        (Wish(model="A100 80GB"), "1 GPU of A100 80GB"),
        (Wish(profile="1g.10gb", count=3), "3 MIG instances 1g.10gb"),
        (Wish(shared=True), "a share of 1 GPU"),
        (Wish(shared=True, count=2), "a share of 2 GPUs"),
        (Wish(all=True), "every GPU that nobody has alone"),
        (Wish(uuids=("GPU-b", "GPU-a")), "1 GPU out of GPU-a, GPU-b"),
        (Wish(uuids=tuple("abcde")), "1 GPU out of a, b, c and 2 more"),
    ],
)
def test_a_wish_in_words(wish: Wish, words: str) -> None:
    assert pleas.what(wish) == words


def test_places_in_words() -> None:
    words = [pleas.ordinal(place) for place in (1, 2, 3, 4, 11, 12, 13, 21, 22, 111)]
    assert words == ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "111th"]


def test_cordons_and_fences_in_words() -> None:
    cordons = {uuid: Cordon(uuid, reason, NOW, "root") for uuid, reason in (("GPU-a", "fan"), ("GPU-b", ""))}
    fences = {uuid: Fence(uuid, Ailment.XID, "XID 79", NOW, NOW, 79) for uuid in ("GPU-a", "GPU-c")}
    assert allocation.withheld(cordons, fences) == {
        "GPU-a": "cordoned by root: fan",
        "GPU-b": "cordoned by root",
        "GPU-c": "out of use: XID 79",
    }
