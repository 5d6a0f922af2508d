"""What is used right now: asked of the slices beside the passes, and told of those who are known."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from controller import accounting
from controller.api.conditions import Reason
from controller.api.config import SliceDriver
from controller.model.observed import Seen, Unseen
from controller.model.slices import UNLIMITED, ContainerUse, Question, Slice, SliceView, Use
from controller.model.status import PassReport
from tests.support import reports, sliced


@dataclass
class Room:
    """Slices that a test says; it notes what it is asked."""

    answer: Seen[SliceView] | Unseen
    asked: list[Question] = field(default_factory=list)

    def observe(self, question: Question, now: datetime) -> Seen[SliceView] | Unseen:
        assert now == reports.later(3)
        self.asked.append(question)
        return self.answer


def seen(**slices: Use) -> Seen[SliceView]:
    found = {name: Slice(name, f"/wharf/{name}", UNLIMITED, use) for name, use in slices.items()}
    containers = {sliced.container_id("vision"): ContainerUse(Use(memory=5), "alice")}
    view = SliceView(SliceDriver.CGROUPFS, 1, slices=found, containers=containers)
    return Seen(view, reports.later(2.5))


def test_who_is_known_is_told_with_what_is_used_now() -> None:
    report = sliced.report([sliced.running("vision")], [sliced.owned(), sliced.owned("bob")])
    room = Room(seen(alice=Use(memory=7), carol=Use(memory=9)))
    told = accounting.look(report, room, "wharf", reports.later(3))
    (question,) = room.asked
    assert (question.driver, question.root) == (SliceDriver.CGROUPFS, "wharf")
    assert question.running == {sliced.container_id("vision"): 42}
    assert told["at"] == "2026-11-22T12:00:02.500000Z"
    assert {one["name"]: one.get("use") for one in told["items"]} == {
        "alice": {"memory": 7},
        "bob": None,
        "carol": {"memory": 9},
    }
    assert told["items"][0]["limits"]["memory"] == 400 * sliced.MEBI
    assert [one["use"] for one in told["workspaces"]] == [{"memory": 5}]


def test_what_cannot_be_looked_at_now_is_said() -> None:
    room = Room(Unseen(Reason.NOT_SEEN, "no cgroups", reports.NOW))
    used = {"vision": ContainerUse(sliced.USE, "alice")}
    report = sliced.report([sliced.running("vision")], [sliced.owned()], used)
    told = accounting.look(report, room, "wharf", reports.later(3))
    assert told["unseen"] == "NotSeen: no cgroups"
    assert told["workspaces"] == []
    assert "use" not in told["items"][0], "what was used before is not what is used now"


def test_where_nobody_makes_slices_nobody_is_asked() -> None:
    room = Room(seen())
    told = accounting.look(reports.report([]), room, "wharf", reports.later(3))
    assert (told["items"], told["driver"], room.asked) == ([], "None", [])


def used(seconds: float, **cpu_seconds: float) -> PassReport:
    slices = [sliced.owned(name, Use(cpu_seconds=used)) for name, used in cpu_seconds.items()]
    return replace(sliced.report([], slices), at=reports.later(seconds))


def test_processors_in_use_are_measured_between_two_passes() -> None:
    shares = accounting.Shares()
    assert shares.cpus() == {}
    shares.note(used(0, alice=10, bob=5))
    assert shares.cpus() == {}
    shares.note(used(1, alice=1000))
    assert shares.cpus() == {}, "too soon to tell"
    shares.note(used(10, alice=15, bob=5, carol=7))
    assert shares.cpus() == {"alice": 0.5, "bob": 0.0}
    shares.note(used(20, alice=1, carol=17))
    assert shares.cpus() == {"carol": 1.0}, "a new cgroup was not seen twice"
    blind = replace(used(30).slices, unseen=Unseen(Reason.NOT_SEEN, "x", reports.NOW))
    shares.note(replace(used(30), slices=blind))
    assert shares.cpus() == {}
