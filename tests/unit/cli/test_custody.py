"""Adopting and forgetting containers: what is shown, what is asked, and what is then requested."""

import io
import sys

import pytest

from controller.api.conditions import Reason
from controller.model.memory import Memory, Retained
from controller.model.observed import Stranger
from controller.status import records
from tests.support import controller_stand_in, reports, wharf_host

FOREIGN = Stranger("e" * 64, "workspace-alice", "old:1", reports.NOW, {"team": "vision"}, running=True)
KEPT = {
    identifier: Retained(identifier, workspace, name, reports.NOW, Reason.SPEC_CHANGED)
    for identifier, workspace, name in (
        ("a" * 64, "alice", "workspace-alice.aaaaaaaa"),
        ("b" * 64, "alice", "workspace-alice.bbbbbbbb"),
        ("c" * 64, "carol", "workspace-carol.cccccccc"),
    )
}


class Terminal(io.StringIO):
    """A person at a keyboard."""

    def isatty(self) -> bool:
        return True


def types(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(text))


def memory(*identifiers: str) -> Memory:
    return Memory(1, b"", b"", retained={one: KEPT[one] for one in identifiers})


@pytest.fixture
def strange(world: controller_stand_in.World) -> controller_stand_in.World:
    world.answers["adoptable/alice"] = records.adoptable_object(FOREIGN, "alice", owned=False)
    world.on_post["adopt"] = lambda name, body: (200, {})
    return world


@pytest.fixture
def crowded(world: controller_stand_in.World) -> controller_stand_in.World:
    """Three kept containers, each gone as soon as that is asked for."""
    left = list(KEPT)

    def show() -> None:
        world.answers["retained"] = {"items": records.retained_objects(memory(*left), {"a" * 64: 2048})}

    def forget(name: str, body: controller_stand_in.Body) -> controller_stand_in.Reply:
        left.remove(name)
        show()
        return 200, {}

    world.on_post["forget"] = forget
    show()
    return world


def test_what_is_adopted_is_shown_first_and_recorded_by_its_full_id(
    wharf: wharf_host.Wharf, strange: controller_stand_in.World
) -> None:
    done = wharf("adopt", "alice", "--yes")
    assert (done.code, done.out) == (0, "workspace/alice adopted\n")
    for shown in ("e" * 64, "old:1", "2026-11-22T12:00:00Z", "team=vision", "running"):
        assert shown in done.err
    assert strange.requested == [("adopt", "", {"name": "alice", "id": "e" * 64})]


@pytest.mark.parametrize(("answer", "code", "orders"), [("y\n", 0, 1), ("n\n", 130, 0)])
def test_a_person_is_asked(
    wharf: wharf_host.Wharf,
    strange: controller_stand_in.World,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    code: int,
    orders: int,
) -> None:
    types(monkeypatch, answer)
    assert wharf("adopt", "alice").code == code
    assert len(strange.requested) == orders


@pytest.mark.parametrize("line", [["adopt", "alice"], ["forget", "alice"]])
def test_where_nobody_can_be_asked_nothing_happens(
    wharf: wharf_host.Wharf,
    strange: controller_stand_in.World,
    crowded: controller_stand_in.World,
    monkeypatch: pytest.MonkeyPatch,
    line: list[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    done = wharf(*line)
    assert done.code == 5
    assert "--yes" in done.err
    assert strange.requested == []


def test_one_that_is_ours_already_is_said_so(
    wharf: wharf_host.Wharf, strange: controller_stand_in.World
) -> None:
    strange.answers["adoptable/alice"] = records.adoptable_object(FOREIGN, "alice", owned=True)
    done = wharf("adopt", "alice")
    assert (done.code, done.out) == (0, "workspace/alice adopted already\n")
    assert strange.requested == []


def test_a_container_that_is_not_there_is_3(
    wharf: wharf_host.Wharf, strange: controller_stand_in.World
) -> None:
    assert wharf("adopt", "alice", "dave", "--yes").code == 3
    assert strange.requested == []


def test_adopting_needs_a_controller(wharf: wharf_host.Wharf) -> None:
    assert wharf("adopt", "alice", "--yes").code == 7


def test_all_kept_containers_of_a_workspace_go(
    wharf: wharf_host.Wharf, crowded: controller_stand_in.World
) -> None:
    done = wharf("forget", "alice", "--yes")
    assert done.code == 0
    assert done.out.splitlines() == [
        "retained/workspace-alice.aaaaaaaa removed",
        "retained/workspace-alice.bbbbbbbb removed",
    ]
    assert "2.0KiB of its own" in done.err
    assert [asked[1] for asked in crowded.requested] == ["a" * 64, "b" * 64]


def test_one_goes_by_its_own_name(wharf: wharf_host.Wharf, crowded: controller_stand_in.World) -> None:
    assert wharf("forget", "workspace-alice.bbbbbbbb", "--yes").code == 0
    assert [asked[1] for asked in crowded.requested] == ["b" * 64]


@pytest.mark.parametrize(("typed", "code", "orders"), [("carol\n", 0, 1), ("y\n", 130, 0)])
def test_the_name_must_be_typed(
    wharf: wharf_host.Wharf,
    crowded: controller_stand_in.World,
    monkeypatch: pytest.MonkeyPatch,
    typed: str,
    code: int,
    orders: int,
) -> None:
    types(monkeypatch, typed)
    assert wharf("forget", "carol").code == code
    assert len(crowded.requested) == orders


def test_what_is_not_kept_is_3(wharf: wharf_host.Wharf, crowded: controller_stand_in.World) -> None:
    done = wharf("forget", "dave", "--yes")
    assert (done.code, crowded.requested) == (3, [])


def test_one_that_does_not_go_in_time_is_6(
    wharf: wharf_host.Wharf, crowded: controller_stand_in.World
) -> None:
    crowded.on_post["forget"] = lambda name, body: (200, {})
    done = wharf("forget", "carol", "--yes", "--timeout", "100ms")
    assert (done.code, done.out) == (6, "")
    assert wharf("forget", "carol", "--yes", "--no-wait").out.endswith("removal requested\n")
