"""How many running workspaces may be disrupted, over simulated time and whatever controllers come and go."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from controller.api.conditions import Reason
from controller.model import actions
from controller.model.memory import Cause, Disruption, Held, Memory
from controller.model.plan import Decision, Verdict
from controller.planning import budget
from controller.planning.budget import Budget
from tests.support import builders

TEN = timedelta(minutes=10)
STEP = timedelta(seconds=25)
USUAL = Budget(1, 10)
STOP = actions.StopContainer(
    "w", "c" * 64, "workspace-w", timedelta(0), actions.Expected(running=True, started_at=None, pid=1)
)


def wish(name: str, cause: Cause, change: str = "a") -> Decision:
    """A decision that stops what runs."""
    return Decision(
        name,
        Verdict.REPLACE,
        Reason.SPEC_CHANGED,
        "env changed",
        actions=(STOP,),
        disrupts=True,
        cause=cause,
        change=change,
    )


def ration(wanted: list[Decision], running: int, rules: Budget = USUAL, **memory: object) -> budget.Rationing:
    names = frozenset(f"w{n:02}" for n in range(running))
    decisions = {decision.workspace: decision for decision in wanted}
    return budget.ration(decisions, names, builders.memory(**memory), rules, builders.NOW)


def going(found: budget.Rationing) -> list[str]:
    return sorted(name for name, decision in found.decisions.items() if decision.actions)


def test_a_share_of_few_is_two_and_of_many_the_percentage() -> None:
    assert [Budget(1, 10).share(count) for count in (0, 1, 19, 20, 30, 55)] == [2, 2, 2, 2, 3, 5]


def test_a_clock_that_was_set_back_does_not_keep_everybody_waiting_until_it_has_caught_up() -> None:
    later = builders.NOW + timedelta(hours=2)
    before = tuple(Disruption(name, Cause.EDITED, later) for name in ("w01", "w02"))
    assert going(ration([wish("w00", Cause.EDITED)], 3, disruptions=before)) == ["w00"]
    soon = (Disruption("w01", Cause.EDITED, builders.NOW + timedelta(seconds=30)),)
    assert going(ration([wish("w00", Cause.EDITED)], 3, disruptions=soon)) == []


def test_one_goes_one_waits_and_the_rest_is_held() -> None:
    found = ration([wish(f"w{n:02}", Cause.EDITED) for n in range(20)], 20)
    reasons = Counter(decision.reason for decision in found.decisions.values())
    assert going(found) == ["w00"]
    assert reasons == {Reason.SPEC_CHANGED: 1, Reason.PACED: 1, Reason.BUDGET_EXCEEDED: 18}
    assert len(found.held) == 18
    assert found.decisions["w01"].retry_at == builders.NOW + timedelta(minutes=1)
    assert "18 of 20" in found.decisions["w07"].message


def test_what_was_held_is_not_written_twice_and_stays_held() -> None:
    known = {"w00": Held("w00", Cause.EDITED, "a", builders.LONG_AGO)}
    found = ration([wish("w00", Cause.EDITED)], 20, held=known)
    assert (going(found), found.held) == ([], ())
    assert found.decisions["w00"].reason is Reason.BUDGET_EXCEEDED
    assert going(ration([wish("w00", Cause.EDITED, change="b")], 20, held=known)) == ["w00"]


def test_what_nobody_is_disturbed_by_is_left_alone() -> None:
    quiet = replace(wish("w00", Cause.EDITED), disrupts=False)
    asked = replace(wish("w01", Cause.EDITED), cause=None)
    found = ration([quiet, asked, wish("w02", Cause.APPROVED)], 3, Budget(1, 0))
    assert going(found) == ["w00", "w01", "w02"]


def test_without_a_pace_nothing_goes_and_no_time_is_promised() -> None:
    found = ration([wish("w00", Cause.APPROVED)], 3, Budget(0, 100))
    assert going(found) == []
    assert found.decisions["w00"].retry_at is None


@dataclass
class Host:
    """Twenty-odd workspaces over time; each controller knows only the journal and what was held."""

    count: int
    rules: Budget
    now: datetime = builders.NOW
    memory: Memory = field(default_factory=builders.memory)
    wanted: dict[str, Decision] = field(default_factory=dict)
    gone: list[Disruption] = field(default_factory=list)

    def pass_(self) -> None:
        """Decide, and do what may be done; what is done is no longer wanted."""
        running = frozenset(f"w{n:02}" for n in range(self.count))
        found = budget.ration(self.wanted, running, self.memory, self.rules, self.now)
        assert found.decisions.keys() == self.wanted.keys()
        held = {**self.memory.held, **{one.workspace: one for one in found.held}}
        new = [
            Disruption(name, decision.cause, self.now)
            for name, decision in found.decisions.items()
            if decision.actions and decision.cause is not None
        ]
        for one in new:
            change = self.wanted.pop(one.workspace).change
            before = self.memory.held.get(one.workspace)
            assert one.cause is Cause.APPROVED or before is None or before.change != change
        self.gone += new
        recent = tuple(d for d in self.gone if self.now - d.at < timedelta(minutes=15))
        self.memory = replace(self.memory, disruptions=recent, held=held)
        self.now += STEP

    def approve(self, name: str) -> None:
        """A person lets it go."""
        if name in self.wanted:
            self.wanted[name] = replace(self.wanted[name], cause=Cause.APPROVED)
            held = {n: one for n, one in self.memory.held.items() if n != name}
            self.memory = replace(self.memory, held=held)


def windows(gone: list[Disruption], length: timedelta) -> Iterator[list[Disruption]]:
    for first in gone:
        yield [one for one in gone if timedelta(0) <= one.at - first.at < length]


causes = st.sampled_from([Cause.EDITED, Cause.IMAGE_MOVED, Cause.REMOVED])
events = st.lists(
    st.one_of(
        st.tuples(st.just("want"), st.integers(0, 29), causes, st.sampled_from("abc")),
        st.tuples(st.just("all"), st.just(0), causes, st.sampled_from("abc")),
        st.tuples(st.just("approve"), st.integers(0, 29), causes, st.just("a")),
        st.tuples(st.just("wait"), st.integers(1, 12), causes, st.just("a")),
    ),
    max_size=12,
)


@given(st.integers(1, 30), st.integers(0, 3), st.integers(0, 30), events)
@example(
    20,
    1,
    10,
    [("all", 0, Cause.EDITED, "a"), ("wait", 40, Cause.EDITED, "a"), ("wait", 40, Cause.EDITED, "a")],
)
def test_never_more_than_the_pace_and_the_share(
    count: int, pace: int, percent: int, happened: list[tuple[str, int, Cause, str]]
) -> None:
    host = Host(count, Budget(pace, percent))
    for what, number, cause, change in happened:
        chosen = {"want": [number % count], "all": list(range(count))}.get(what, [])
        for one in chosen:
            host.wanted[f"w{one:02}"] = wish(f"w{one:02}", cause, change)
        if what == "approve":
            host.approve(f"w{number % count:02}")
        for _ in range(number if what == "wait" else 1):
            host.pass_()
    for minute in windows(host.gone, timedelta(minutes=1)):
        assert len(minute) <= pace
    for ten in windows(host.gone, TEN):
        for cause in budget.BROKEN:
            assert len({one.workspace for one in ten if one.cause is cause}) <= host.rules.share(count)


@given(st.integers(3, 30), st.integers(0, 30))
def test_all_that_is_approved_goes_in_the_end(count: int, percent: int) -> None:
    host = Host(count, Budget(2, percent))
    for number in range(count):
        host.wanted[f"w{number:02}"] = wish(f"w{number:02}", Cause.EDITED)
    host.pass_()
    for name in tuple(host.wanted):
        host.approve(name)
    for _ in range(count * 3):
        host.pass_()
    assert host.wanted == {}


def test_a_controller_that_was_restarted_counts_as_the_one_before() -> None:
    """The journal is all that there is to count, so a fresh one decides the very same."""
    host = Host(20, Budget(1, 10))
    for number in range(20):
        host.wanted[f"w{number:02}"] = wish(f"w{number:02}", Cause.EDITED)
    host.pass_()
    amnesia = replace(host.memory, disruptions=(), held={})
    running = frozenset(f"w{n:02}" for n in range(20))
    kept = budget.ration(host.wanted, running, host.memory, host.rules, host.now)
    lost = budget.ration(host.wanted, running, amnesia, host.rules, host.now)
    assert going(kept) == []
    assert going(lost) == ["w01"], "without the journal it would be wrong, so this test can fail"
