"""What a person reads of slices: as rows, of one owner, of one workspace, and live."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from controller.api.conditions import Reason
from controller.cli import rates, top
from controller.model.observed import Unseen
from controller.model.slices import UNLIMITED, ContainerUse, SliceLimit, SliceLimits, Use
from controller.model.slicestatus import Difference
from controller.model.status import EffectiveValue, OwnerStatus
from controller.status import owners, slices, wording
from tests.support import reports, sliced
from tests.support.controller_stand_in import World
from tests.support.wharf_host import Wharf

DIFFERENCES = (Difference(SliceLimit.MEMORY, "512m", "400m"), Difference(SliceLimit.PIDS, "max", "100"))
LIMITS = replace(sliced.LIMITS, memory_high=350 * sliced.MEBI, memory_low=64 * sliced.MEBI)
SLICES = [
    sliced.owned(limits=LIMITS),
    sliced.owned("bob", use=Use(memory=0), limits=UNLIMITED),
    sliced.owned("carol", differences=DIFFERENCES, waits="it is being set"),
    sliced.owned("dave", found=None, gaps=("memoryHigh: version 1 of the cgroups has none",)),
]


@pytest.fixture
def lab(world: World) -> World:
    report = sliced.report([sliced.running("vision")], SLICES, {"vision": ContainerUse(sliced.USE, "alice")})
    found = slices.slices_object(replace(report, groups={"alice": "students"}), {"alice": 0.97})
    world.answers["slices"] = json.loads(json.dumps(found))
    return world


def test_rows_show_what_is_used_and_of_how_much(lab: World, wharf: Wharf) -> None:
    assert lab.requested == []
    header, alice, bob, carol, dave = wharf("get", "slices").out.splitlines()
    assert header.split() == [
        *("OWNER", "GROUP", "SLICE", "CPUS", "MEMORY", "SWAP", "PIDS", "WORKSPACES", "STATE"),
    ]
    assert alice.split() == [
        *("alice", "students", "/wharf/alice", "0.97/1", "300MiB/400MiB", "1.0MiB", "7/100", "1"),
        "AsSpecified",
    ]
    assert bob.split() == ["bob", "<none>", "/wharf/bob", "-", "0B", "-", "-", "0", "Unlimited"]
    assert carol.split()[-1] == "Differs:memory,pids"
    assert dave.split()[3:] == ["-/1", "-/400MiB", "-", "-/100", "0", "Pending"]


def test_wide_rows_say_why(lab: World, wharf: Wharf) -> None:
    out = wharf("get", "slices", "alice", "dave", "-o", "wide").out
    assert "350MiB   64MiB   2     <none>" in out
    assert "memoryHigh: version 1 of the cgroups has none" in out
    assert lab.requested == []


def test_an_owner_is_found_by_name_or_not_at_all(lab: World, wharf: Wharf) -> None:
    assert wharf("get", "slices", "-o", "name").out.splitlines() == [
        *("slice/alice", "slice/bob", "slice/carol", "slice/dave"),
    ]
    one = json.loads(wharf("get", "slice", "slice/alice", "-o", "json").out)
    assert one == next(item for item in trees_of(lab) if item["name"] == "alice")
    missing = wharf("get", "slices", "zoe")
    assert (missing.code, missing.err) == (3, "wharf: slice/zoe: not found\n")


def trees_of(world: World) -> list[dict[str, Any]]:
    found: Any = world.answers["slices"]
    return list(found["items"])


def test_where_nobody_makes_slices_that_is_said(world: World, wharf: Wharf) -> None:
    world.answers["slices"] = {"items": [], "driver": "None"}
    result = wharf("get", "slices")
    assert result.out == ""
    assert "nobody makes slices here" in result.err
    unseen = Unseen(Reason.NOT_SEEN, "no cgroups", reports.NOW)
    world.answers["slices"] = json.loads(json.dumps(slices.slices_object(sliced.report(unseen=unseen))))
    assert "could not be looked at: NotSeen: no cgroups" in wharf("get", "slices").err


def test_a_watch_shows_no_workspace_again_because_it_uses_more(
    world: World, wharf: Wharf, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = sliced.running("vision")

    def told(memory: int) -> object:
        uses = {"vision": ContainerUse(Use(memory=memory), "alice")}
        return wording.object_of(status, sliced.report([status], [sliced.owned()], uses).slices)

    left = iter(range(3))

    def wait(_: float) -> None:
        if next(left) == 2:
            raise KeyboardInterrupt
        world.workspaces["vision"] = told(next(left) + 10)

    world.workspaces["vision"] = told(1)
    monkeypatch.setattr("controller.cli.get.time.sleep", wait)
    out = wharf("get", "workspaces", "-w").out
    assert [line.split()[0] for line in out.splitlines()] == ["NAME", "vision"]


def test_a_user_is_shown_with_what_is_used_of_each_limit(world: World, wharf: Wharf) -> None:
    said = tuple(
        EffectiveValue(path, value, f"policy.yaml:{line} (group students)")
        for line, (path, value) in enumerate([("cpus", "1"), ("ioWeight", "50"), ("memory", "400m")])
    )
    owner = OwnerStatus("alice", None, "", (), "no group lists the owner", (), (), (), said, ())
    report = sliced.report([], [sliced.owned(differences=DIFFERENCES, gaps=("no memoryHigh",))])
    report = replace(report, owners={"alice": owner})
    world.answers["users/alice"] = owners.user_object(report, "alice", {"alice": 0.5})
    lines = [line.strip() for line in wharf("describe", "user", "alice").out.splitlines()]
    start = lines.index("Limits on all workspaces together:")
    assert [line.split()[:3] for line in lines[start + 1 : start + 5]] == [
        ["LIMIT", "USED", "OF"],
        ["cpus", "0.5", "1"],
        ["ioWeight", "-", "50"],
        ["memory", "300MiB", "400m"],
    ]
    start = lines.index("Slice:")
    assert lines[start + 1 : start + 6] == [
        "/wharf/alice: Differs",
        "memory 512m -> 400m",
        "pids max -> 100",
        "not enforced: no memoryHigh",
        "in it: nothing",
    ]


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (ContainerUse(sliced.USE, "alice"), "/wharf/alice (inside), memory 300MiB, 7 processes"),
        (ContainerUse(Use(), None), "/wharf/alice (OUTSIDE: no limit of the owner's holds it)"),
        (None, "/wharf/alice"),
    ],
)
def test_a_workspace_is_shown_with_its_slice(
    world: World, wharf: Wharf, use: ContainerUse | None, words: str
) -> None:
    status = sliced.running("vision")
    report = sliced.report([status], [sliced.owned()], {} if use is None else {"vision": use})
    world.workspaces["vision"] = wording.object_of(status, report.slices)
    lines = wharf("describe", "workspace", "vision").out.splitlines()
    assert next(line for line in lines if line.startswith("Slice:")).split(maxsplit=1)[1] == words


# top


def usage(seconds: float, **uses: Use) -> dict[str, Any]:
    """A look: two owners with a workspace each, which use the same."""
    used = {f"{owner}-1": ContainerUse(use, owner) for owner, use in uses.items()}
    statuses = [sliced.running(f"{owner}-1", owner) for owner in uses]
    report = sliced.report(statuses, [sliced.owned(owner, use) for owner, use in uses.items()], used)
    return dict(json.loads(json.dumps(slices.usage_object(report, reports.later(seconds)))))


def busy(cpu: float, memory: int, io: int, waited: float = 0) -> Use:
    return Use(cpu_seconds=cpu, memory=memory, io_read=io, io_written=0, pressure={"cpu some": waited})


FIRST = usage(0, alice=busy(10, 5 * sliced.MEBI, 100, 1), bob=busy(10, 9 * sliced.MEBI, 100))
SECOND = usage(
    2, alice=busy(12.5, 5 * sliced.MEBI, 4196, 2), bob=busy(10, 9 * sliced.MEBI, 100), carol=busy(3, 1, 1)
)


@pytest.fixture
def looks(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """A controller whose second look differs; the times that somebody waited for it."""
    world.answers["usage"] = FIRST
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) > 2:
            raise KeyboardInterrupt
        world.answers["usage"] = SECOND

    monkeypatch.setattr("controller.cli.top.time.sleep", wait)
    return iter([waited])


def test_top_shows_what_was_used_between_two_looks(looks: Iterator[list[float]], wharf: Wharf) -> None:
    lines = [line.split() for line in wharf("top").out.splitlines()]
    assert next(looks) == [top.INTERVAL]
    assert lines[0][:8] == ["OWNER", "CPU", "MEMORY", "SWAP", "PIDS", "READ/s", "WRITE/s", "OOM"]
    assert lines[1] == [
        *("alice", "1.25/1", "5.0MiB/400MiB", "-", "-/100", "2.0KiB", "0B", "-", "50%/-/-"),
    ]
    assert [line[0:2] for line in lines[2:]] == [["bob", "0/1"], ["carol", "-/1"]]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--sort", "memory"], ["bob", "alice", "carol"]),
        (["--sort", "io"], ["alice", "bob", "carol"]),
        (["bob"], ["bob"]),
        (["--by", "workspace"], ["alice-1", "bob-1", "carol-1"]),
        (["--by", "workspace", "bob"], ["bob-1"]),
    ],
)
def test_top_shows_who_was_asked_for_in_the_order_that_was(
    looks: Iterator[list[float]], wharf: Wharf, arguments: list[str], names: list[str]
) -> None:
    assert [line.split()[0] for line in wharf("top", *arguments).out.splitlines()[1:]] == names
    assert next(looks)


@pytest.mark.usefixtures("looks")
def test_top_gives_a_script_plain_numbers(wharf: Wharf) -> None:
    told = json.loads(wharf("top", "-o", "json", "alice").out)
    assert (told["at"], told["by"]) == ("2026-11-22T12:00:02.000000Z", "owner")
    (alice,) = told["items"]
    assert (alice["cpus"], alice["readPerSecond"], alice["writtenPerSecond"]) == (1.25, 2048, 0)
    assert (alice["memory"], alice["pressure"], alice["limits"]["cpus"]) == (5 * sliced.MEBI, {"cpu": 0.5}, 1)


@pytest.mark.usefixtures("looks")
def test_top_is_live_until_it_is_interrupted_and_that_is_no_failure(
    wharf: Wharf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(top, "_is_live", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")  # so that the library takes this for a terminal, too
    result = wharf("top")
    assert result.code == 0
    assert "1.25/1" in result.out


def test_what_is_drawn_fits_the_terminal_and_says_what_does_not() -> None:
    found: list[dict[str, Any]] = [{"name": f"user{n}", "memory": sliced.MEBI} for n in range(200)]
    wide, narrow = top.drawn("owner", found, 120, 30), top.drawn("owner", found, 50, 30)
    assert "OOM" in wide[0]
    assert "OOM" not in narrow[0]
    assert narrow[0].split()[:3] == ["OWNER", "CPU", "MEMORY"]
    for lines in (wide, narrow):
        assert len(lines) == 30
        assert lines[-1] == "… and 172 more"
        assert lines[-2].startswith("user27 ")
    assert max(map(len, narrow)) <= 50
    assert len(top.drawn("owner", found[:2], 120, 30)) == 3


def test_top_shows_nothing_that_the_second_look_could_not_see(world: World, wharf: Wharf) -> None:
    unseen = Unseen(Reason.NOT_SEEN, "no cgroups", reports.NOW)
    world.answers["usage"] = FIRST
    blind = json.loads(json.dumps(slices.usage_object(sliced.report(unseen=unseen), reports.later(2))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("controller.cli.top.time.sleep", lambda _: world.answers.update(usage=blind))
        result = wharf("top", "--once")
    assert (result.code, result.out) == (7, "")
    assert "no cgroups" in result.err


@pytest.mark.usefixtures("looks")
def test_top_knows_no_owner_of_whom_nothing_is_known(wharf: Wharf) -> None:
    missing = wharf("top", "zoe")
    assert (missing.code, missing.err) == (3, "wharf: owner/zoe: not found\n")


def test_top_where_nothing_can_be_seen_says_so(world: World, wharf: Wharf) -> None:
    unseen = Unseen(Reason.NOT_SEEN, "no cgroups", reports.NOW)
    report = sliced.report([], [sliced.owned()], unseen=unseen)
    world.answers["usage"] = json.loads(json.dumps(slices.usage_object(report, reports.NOW)))
    result = wharf("top")
    assert (result.code, result.out) == (7, "")
    assert "no cgroups" in result.err


def test_without_controller_and_engine_nothing_is_known_and_that_is_said(wharf: Wharf) -> None:
    rows, use = wharf("get", "slices"), wharf("top")
    for result in (rows, use):
        assert "the slices could not be looked at: EngineUnavailable" in result.err
        assert "nobody makes slices" not in result.err
        assert result.out == ""
    assert (rows.code, use.code) == (0, 7)


def test_a_new_cgroup_has_no_rate_yet() -> None:
    again = usage(2, alice=busy(1, 1, 1))
    (row,) = rates.rows("owner", FIRST, again, ())
    assert "cpus" not in row
    assert "readPerSecond" not in row
    assert rates.rows("owner", FIRST, FIRST, ())[0].keys() >= {"memory"}
    assert "cpus" not in rates.rows("owner", FIRST, FIRST, ())[0], "no time went by"


def test_all_limits_that_have_a_use_are_known_by_the_policys_names() -> None:
    """What `describe user` shows beside a limit is found by the name that the policy gives it."""
    limits = {str(limit) for limit in SliceLimit}
    told = slices.slices_object(sliced.report([], [sliced.owned(limits=LIMITS)]))
    assert set(told["items"][0]["limits"]) <= limits
    assert SliceLimits() == UNLIMITED
