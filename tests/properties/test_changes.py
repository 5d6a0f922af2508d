"""What holds whatever people change, whatever fails, and whoever else acts: no data lost, nobody disturbed.

S2 no data loss, S3 no wrong stop, S5 ownership, S6 identity, S7 at most one, S10 budget, S12 spec integrity.
"""

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from hypothesis import Phase, given, note, settings
from hypothesis import strategies as st

from controller.api.conditions import Reason
from controller.model import actions
from controller.model.actions import Action
from controller.model.memory import Cause
from controller.model.plan import Decision, Plan
from controller.planning import backoff
from tests.support import stories
from tests.support.world import RefusedError, World

NAMES = ("w00", "w01", "w02", "w03")
SPECS: list[dict[str, Any]] = [
    {},
    {"env": {"A": "a"}},
    {"env": {"A": "b"}},
    {"image": {"reference": "other:2"}},
    {"desiredState": "Stopped"},
]
EXPECTING = (actions.StartContainer, actions.StopContainer, actions.RemoveContainer, actions.UpdateLimits)
Event = dict[str, Any]


def _immediate(spec: dict[str, Any]) -> dict[str, Any]:
    return {**spec, "lifecycle": {"changes": "Immediate"}}


def happenings(name: str) -> st.SearchStrategy[Event]:
    """What people and programs do."""
    edits = st.sampled_from(SPECS).map(lambda spec: {"edit": name, "spec": _immediate(spec)})
    programs = st.tuples(
        st.sampled_from(["sample:1", "other:2"]), st.sampled_from(["ends", "unhealthy", "well"])
    )
    fixed: list[Event] = [
        {"edit each": "all", "spec": _immediate({"env": {"A": "c"}})},
        {"spec gone": name, "ago": "1m"},
        {"rejected": f"{name}.yaml", "name": name},
        {"stop asked": name, "ago": "0s"},
        {"start asked": name, "ago": "0s"},
        {"restart asked": name, "ago": "0s"},
        {"approve": name},
        {"rollback asked": name},
        {"forget asked": name},
        {"main container": name, "state": "exited"},
        {"layer": name, "changed": ["/tmp"]},
        {"layer": name, "changed": ["/srv/thesis"]},
        {"wait": "73h"},
        {"wait": "30s"},
        {"wait": "2m"},
    ]
    return st.one_of(
        st.sampled_from(fixed), edits, programs.map(lambda found: {"program": found[0], "does": found[1]})
    )


histories = st.lists(
    st.tuples(st.sampled_from(NAMES).flatmap(happenings), st.integers(0, 4), st.integers(0, 25)), max_size=7
)


def tell(world: World, event: Event) -> None:
    """Let it happen if it can: to a workspace that there is, with a container that there is."""
    verb = next(iter(event))
    about = event[verb]
    if (
        verb in {"edit", "spec gone", "restart asked", "approve", "stop asked", "start asked"}
        and about not in world.specs
    ):
        return
    if verb in {"rollback asked", "forget asked", "layer"} and not _kept(world, about):
        return
    if verb == "main container" and world.main(about) is None:
        return
    stories.tell_more(world, [event])


def _kept(world: World, name: str) -> bool:
    return any(
        one.workspace == name and one.container_id in world.containers
        for one in world.memory.retained.values()
    )


class Watched(World):
    """A world that checks every action before it happens."""

    def check(self, decision: Decision) -> None:
        """S3, S6: what is stopped has a cause, and what disturbs expects what was seen."""
        for action in decision.actions:
            if isinstance(action, EXPECTING):
                found = self.containers[action.container_id]
                assert action.expected == actions.Expected(found.running, found.started_at, found.pid)
            if isinstance(action, actions.StopContainer):
                assert decision.disrupts
                assert decision.cause is not None or self._has_cause(decision)

    def _check_removal(self, decision: Decision, action: actions.RemoveContainer) -> None:
        """S2: what ever ran goes only when a person says so, or when it is old and empty."""
        assert decision.workspace.startswith("retained/")
        asked = action.container_id in self.memory.forget_requests
        kept = self.memory.retained[action.container_id]
        layer = self.layers.get(action.container_id)
        empty = layer is not None and "/srv/thesis" not in layer.changed
        assert asked or (empty and self.now - kept.at >= self.rules.retain)

    def _ever_ran(self, action: Action) -> bool:
        found = self.containers.get(getattr(action, "container_id", ""))
        return found is not None and found.started_at is not None

    def _has_cause(self, decision: Decision) -> bool:
        """A person asked, or a replacement or roll-back that was counted when it began is carried on."""
        name = decision.workspace
        wish = self.memory.suspensions.get(name)
        asked = (wish is not None and not wish.running) or name in self.memory.restart_requests
        begun = name in self.memory.replacements or name in self.memory.rollbacks
        begun |= any(isinstance(action, actions.BeginReplacement) for action in decision.actions)
        beside = sum(c.running for c in self.of(name)) > 1
        return asked or begun or beside or decision.reason is Reason.RESTART_REQUESTED

    def steps(self, plan: Plan) -> Iterator[str]:
        """Do what a plan says, one action at a time; yield the workspace of each."""
        decisions = (*plan.upkeep, *plan.decisions.values())
        for decision in decisions:
            self.check(decision)
        return self._steps(plan, decisions)

    def _steps(self, plan: Plan, decisions: tuple[Decision, ...]) -> Iterator[str]:
        self.remember(held={**self.memory.held, **{one.workspace: one for one in plan.held}})
        for decision in decisions:
            before, counted = self.memory.backoffs.get(decision.workspace), False
            for action in decision.actions:
                if not counted and not isinstance(action, actions.LedgerAction):
                    self._count(decision)
                    counted = True
                try:
                    ran = self._ever_ran(action)
                    self.apply(action)
                    if isinstance(action, actions.RemoveContainer) and ran:
                        self._check_removal(decision, action)
                except RefusedError as refused:
                    after = backoff.after_failure(
                        before, Reason.OUTCOME_UNKNOWN, str(refused), decision.key, self.now
                    )
                    self.remember(backoffs={**self.memory.backoffs, decision.workspace: after})
                    break
                yield decision.workspace

    def pass_(self, fault: int = 0) -> None:
        """One whole pass of a controller that knows only the ledger; the action number `fault` fails."""
        for number, _ in enumerate(self.steps(self.plan()), start=1):
            if number == fault:
                return  # killed behind it
        for name in NAMES:
            assert sum(c.running for c in self.of(name)) <= 1, name
        self.now += timedelta(seconds=7)


def host() -> Watched:
    world = Watched()
    stories.tell_more(world, [{"image": "other:2", "is": "other:2"}])
    stories.tell_more(world, [{"fleet": len(NAMES), "spec": _immediate({})}])
    return world


def _due(plan: Plan) -> bool:
    """Something is to be done, now or when its time has come."""
    return any(d.actions or d.retry_at for d in (*plan.decisions.values(), *plan.upkeep))


def rest(world: Watched) -> None:
    """Let all programs be good and time go by, until nothing is left to do."""
    world.programs.clear()
    last = world.plan()
    for _ in range(60):
        if not _due(last):
            break
        world.pass_()
        world.now += timedelta(minutes=1)
        last = world.plan()
    assert not any(d.actions for d in (*last.decisions.values(), *last.upkeep)), last
    assert not world.memory.rollbacks
    for name, decision in last.decisions.items():
        running = [c for c in world.of(name) if c.running]
        assert len(running) <= 1
        if decision.reason is Reason.AS_SPECIFIED:
            assert running == [world.main(name)]


@settings(max_examples=25, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(histories)
def test_no_history_of_changes_loses_data_or_stops_anything_for_nothing(
    history: list[tuple[Event, int, int]],
) -> None:
    world = host()
    note(str(history))
    ran = {c.id for c in world.containers.values()}
    gone: list[Any] = []
    for event, passes, fault in history:
        tell(world, event)
        for _ in range(passes):
            world.pass_(fault)
            gone += [one for one in world.memory.disruptions if one not in gone]
            ran |= {c.id for c in world.containers.values() if c.started_at is not None}
    rest(world)
    for first in gone:
        minute = [one for one in gone if timedelta(0) <= one.at - first.at < timedelta(minutes=1)]
        assert len(minute) <= 1
        ten = [one for one in gone if timedelta(0) <= one.at - first.at < timedelta(minutes=10)]
        for cause in set(Cause) - {Cause.APPROVED}:
            assert len({one.workspace for one in ten if one.cause is cause}) <= 2
    removed = {a.container_id for a in world.done if isinstance(a, actions.RemoveContainer)}
    assert ran - world.containers.keys() <= removed


@settings(max_examples=15, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(histories, st.randoms(use_true_random=False))
def test_two_controllers_without_a_lock_never_make_or_start_two_and_come_to_rest(
    history: list[tuple[Event, int, int]], chance: random.Random
) -> None:
    """Names are the mutex: nothing is started but what has the name, while nothing else runs."""
    world = host()
    chains: list[Iterator[str]] = [iter(()), iter(())]
    for event, passes, _ in history:
        tell(world, event)
        for _ in range(passes * 6):
            mine = chance.randrange(2)
            if next(chains[mine], None) is None:
                world.now += timedelta(seconds=1)
                chains[mine] = world.steps(world.plan())
            names = [c.name for c in world.containers.values()]
            assert len(names) == len(set(names))
            instances = [c.labels["dev.wharfinger.instance"] for c in world.containers.values()]
            assert len(instances) == len(set(instances))
            for name in NAMES:
                assert sum(c.running for c in world.of(name)) <= 1, name
    world.pass_()
    rest(world)
