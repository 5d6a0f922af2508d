"""Knows every state that a small host with two controllers and no lock can come to, and walks through all.

It refuses to sample: each state's every next step is taken, once. Faults cost; a state is walked through with
the fewest that lead to it, since with more left more can follow. Steps that would make more containers than
the scope allows are counted and not followed: without a lock there is no end of them.

Each host at which both controllers have nothing under way must come to rest by passes of the one and of the
other. From any other state one of these is reached by letting both end what they have begun.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter

from controller.api.conditions import Reason
from tests.simulation import small_verdicts
from tests.simulation.pool import Pool, Shelf
from tests.simulation.small_host import Program, Scope, Steps, Whole, empty
from tests.simulation.small_verdicts import FoundError

WIDTH = 21
"""Bits of a program's number in a state's number."""
LOW = (1 << WIDTH) - 1
TRIES = 16
"""So many passes of both without any effect are enough to see that nothing comes of them."""
ROUNDS = 60
"""A host without faults comes to rest within this many passes of both controllers."""


@dataclass(frozen=True)
class Figures:
    """How large a search was.

    Attributes:
        cut: steps that would make more containers than the scope allows; they are not followed.
        depth: most steps on a shortest way from one fault to the next.
        rests: hosts at which nothing is left to do.
    """

    states: int
    transitions: int
    cut: int
    depth: int
    hosts: int
    programs: int
    rests: int
    seconds: float

    def __str__(self) -> str:
        """One line."""
        return (
            f"{self.states} states, {self.transitions} transitions ({self.cut} cut), depth {self.depth}; "
            f"{self.hosts} hosts, {self.programs} programs, {self.rests} at rest; {self.seconds:.1f} s"
        )


class Search:
    """One search; states are numbers made of those of a host and of two programs."""

    def __init__(self, scope: Scope, *, keep: bool = True) -> None:
        self.scope = scope
        self._keep = keep
        self._at = 0
        self.steps = Steps(scope)
        pool = Pool()
        self._hosts: Shelf[Whole] = Shelf(pool)
        self._programs: Shelf[Program] = Shelf(pool)
        self._idle = self._programs.place(())
        assert self._idle == 0
        self._looks: dict[int, tuple[int, int]] = {}
        self._own: dict[int, tuple[tuple[int, int], ...]] = {}
        self._faults: dict[int, tuple[tuple[int, int], ...]] = {}
        self._mishaps: dict[int, tuple[int, ...]] = {}
        self._mirrored: dict[int, int] = {}
        self._resting: set[int] = set()
        self._came_from: dict[int, int] = {}
        self._beyond: set[int] = set()
        self.transitions = 0
        self.cut = 0

    # states

    def _state(self, host: int, first: int, second: int) -> int:
        """Return the number of a state; states that differ in the controllers' names alone have one."""
        assert first <= LOW
        assert second <= LOW
        if self.scope.ledgers == 1:
            if first > second:
                first, second = second, first
        elif self.scope.one_key:
            other = self._mirror(host)
            host, first, second = min((host, first, second), (other, second, first))
        return (host << 2 * WIDTH) | (first << WIDTH) | second

    def _mirror(self, host: int) -> int:
        """Return the number of the host whose ledgers are exchanged."""
        found = self._mirrored.get(host)
        if found is None:
            found = self._hosts.place(small_verdicts.mirrored(self._hosts.values[host]))
            self._mirrored[host] = found
        return found

    # a controller's steps: of (host, program) to (host, program)

    def _looked(self, host: int, controller: int) -> tuple[int, int]:
        key = host << 1 | controller % self.scope.ledgers
        found = self._looks.get(key)
        if found is None:
            before = self._hosts.values[host]
            after, program, _ = self.steps.look(before, controller)
            small_verdicts.judge_look(before, program)
            if program and not self.scope.split:
                after, program = self.steps.begin(after, controller, program)
            found = self._place(after), self._programs.place(program)
            self._looks[key] = found
        return found

    def _next(self, host: int, program: int, controller: int) -> tuple[tuple[int, int], ...]:
        """Return every step of a controller with something to do."""
        key = (host << WIDTH | program) << 1 | controller % self.scope.ledgers
        found = self._own.get(key)
        if found is None:
            found = self._own[key] = tuple(self._steps_of(host, program, controller))
        return found

    def _steps_of(self, host: int, program: int, controller: int) -> Iterator[tuple[int, int]]:
        whole, chains = self._hosts.values[host], self._programs.values[program]
        if not chains[0].begun:
            after, left = self.steps.begin(whole, controller, chains)
            yield self._place(after), self._programs.place(left)
            return
        for place in range(len(chains)):
            after, left, deed = self.steps.act(whole, controller, chains, place)
            small_verdicts.judge(self.scope, after, deed)
            yield self._place(after), self._programs.place(left)

    def _failing(self, host: int, program: int, controller: int) -> tuple[tuple[int, int], ...]:
        """Return every way in which a step of a controller can go wrong."""
        key = (host << WIDTH | program) << 1 | controller % self.scope.ledgers
        found = self._faults.get(key)
        if found is None:
            found = self._faults[key] = tuple(self._failures_of(host, program, controller))
        return found

    def _failures_of(self, host: int, program: int, controller: int) -> Iterator[tuple[int, int]]:
        yield host, self._idle
        whole, chains = self._hosts.values[host], self._programs.values[program]
        if not chains[0].begun:
            return
        for place in range(len(chains)):
            failed, left = self.steps.fail(whole, controller, chains, place)
            yield self._place(failed), self._programs.place(left)
            after, left, deed = self.steps.act(whole, controller, chains, place, Reason.OUTCOME_UNKNOWN)
            small_verdicts.judge(self.scope, after, deed)
            yield self._place(after), self._programs.place(left)

    def _befalling(self, host: int) -> tuple[int, ...]:
        found = self._mishaps.get(host)
        if found is None:
            happened = self.steps.mishaps(self._hosts.values[host])
            found = self._mishaps[host] = tuple(self._place(after) for _, after in happened)
        return found

    def _place(self, whole: Whole) -> int:
        """Return the number of a host; a new one is judged."""
        known = len(self._hosts.values)
        place = self._hosts.place(whole)
        if place == known:
            if max(whole.made) > self.scope.made:
                self._beyond.add(place)
            small_verdicts.judge_host(self.scope, whole)
        return place

    # the walk

    def successors(self, state: int) -> Iterator[int]:
        """Return where a state's steps without a fault lead."""
        host, first, second = state >> 2 * WIDTH, state >> WIDTH & LOW, state & LOW
        for controller, mine, other in ((0, first, second), (1, second, first)):
            stepped = self._next(host, mine, controller) if mine else (self._looked(host, controller),)
            for after, left in stepped:
                yield self._state(after, *((left, other) if controller == 0 else (other, left)))

    def disturbed(self, state: int) -> Iterator[int]:
        """Return where a state's faults lead."""
        host, first, second = state >> 2 * WIDTH, state >> WIDTH & LOW, state & LOW
        for controller, mine, other in ((0, first, second), (1, second, first)):
            for after, left in self._failing(host, mine, controller) if mine else ():
                yield self._state(after, *((left, other) if controller == 0 else (other, left)))
        for after in self._befalling(host):
            yield self._state(after, first, second)

    def run(self) -> Figures:
        """Walk through all that can be; raise `FoundError` at the first thing that must never be."""
        began = perf_counter()
        start = self._state(self._place(empty(self.scope)), self._idle, self._idle)
        seen: set[int] = set()
        self._at = start
        try:
            depth = self._walk(start, seen)
            rests = self._come_to_rest(seen)
        except FoundError as found:
            found.add_note(self.story())
            raise
        hosts, programs = len(self._hosts.values), len(self._programs.values)
        seconds = perf_counter() - began
        return Figures(len(seen), self.transitions, self.cut, depth, hosts, programs, rests, seconds)

    def _walk(self, start: int, seen: set[int]) -> int:
        """Walk through all, with ever more faults; return the depth."""
        frontier, depth = [start], 0
        for left in range(self.scope.faults, -1, -1):
            layer = [state for state in frontier if state not in seen]
            seen.update(layer)
            level, steps = list(layer), 0
            while layer:
                layer, steps = self._closure(layer, seen), steps + 1
                level += layer
            depth = max(depth, steps)
            frontier = self._faulty(level, seen) if left else []
        return depth

    def _closure(self, layer: list[int], seen: set[int]) -> list[int]:
        """Return the states that are new one step on."""
        found = []
        for state in layer:
            self._at = state
            for after in self.successors(state):
                self.transitions += 1
                if after >> 2 * WIDTH in self._beyond:
                    self.cut += 1
                elif after not in seen:
                    seen.add(after)
                    found.append(after)
                    if self._keep:
                        self._came_from[after] = state
        return found

    def _faulty(self, level: list[int], seen: set[int]) -> list[int]:
        found: set[int] = set()
        for state in level:
            self._at = state
            for after in self.disturbed(state):
                self.transitions += 1
                if after >> 2 * WIDTH in self._beyond:
                    self.cut += 1
                elif after not in seen:
                    found.add(after)
                    if self._keep:
                        self._came_from.setdefault(after, state)
        return sorted(found)

    # stories

    def story(self) -> str:
        """Return the way to the state that is looked at now, a line for each step."""
        way = [self._at]
        while way[-1] in self._came_from:
            way.append(self._came_from[way[-1]])
        way.reverse()
        return "\n".join(self._told(before, after) for before, after in pairwise(way))

    def _told(self, before: int, after: int) -> str:
        host, first, second = before >> 2 * WIDTH, before >> WIDTH & LOW, before & LOW
        for text, whole in self.steps.mishaps(self._hosts.values[host]):
            if self._state(self._place(whole), first, second) == after:
                return text
        own = after in self.successors(before)
        now = after >> 2 * WIDTH, after >> WIDTH & LOW, after & LOW
        shown = [self._shown(program) for program in now[1:]]
        return f"{'a step' if own else 'a fault'}; left to do: {shown[0]} | {shown[1]}; {self._seen(now[0])}"

    def _shown(self, program: int) -> str:
        chains = self._programs.values[program]
        told = (f"{c.workspace} {'+'.join(type(a).__name__ for a in c.actions)}" for c in chains)
        return ", ".join(told) or "nothing"

    def _seen(self, host: int) -> str:
        whole = self._hosts.values[host]
        return ", ".join(f"{c.name} {c.state}" for c in whole.containers) or "no container"

    # rest

    def _come_to_rest(self, seen: set[int]) -> int:
        """Let every host that is reached with both controllers idle come to rest; count those at rest."""
        idle = {state >> 2 * WIDTH for state in seen if state & ((1 << 2 * WIDTH) - 1) == 0}
        known: set[int] = set()
        for host in sorted(idle):
            self._at = host << 2 * WIDTH
            known.update(self._way_to_rest(host, known))
        return len(self._resting)

    def _way_to_rest(self, host: int, known: set[int]) -> list[int]:
        """Return the hosts on the way from one to rest, or to one that is known to come to rest."""
        way: list[int] = []
        while host not in known:
            way.append(host)
            after = self._round(host)
            if after is None or (not self.scope.one_key and self._is_stuck(way)):
                break
            if after in way or len(way) > ROUNDS:
                raise FoundError("L1", "it never comes to rest", self._hosts.values[host])
            host = after
        return way

    def _is_stuck(self, way: list[int]) -> bool:
        """Tell whether nothing but failures has come of the last passes: the one is in the other's way."""
        last = [self._hosts.values[host].containers for host in way[-TRIES:]]
        return len(last) == TRIES and all(containers is last[0] for containers in last)

    def _round(self, host: int) -> int | None:
        """One pass of each controller, to its end; then time goes by if something waits. None at rest."""
        after = host
        for controller in (0, 1):
            after, program = self._looked(after, controller)
            while program:
                after, program = self._next(after, program, controller)[0]
        if after != host:
            return after
        whole = self._hosts.values[host]
        plans = [self.steps.look(whole, controller)[2] for controller in (0, 1)]
        if any(d.retry_at for plan in plans for d in plan.decisions.values()):
            return self._place(small_verdicts.later(whole))
        self._resting.add(host)
        small_verdicts.judge_rest(self.scope, whole, plans)
        return None


def search(scope: Scope, *, keep: bool = True) -> Figures:
    """Walk through one scope."""
    return Search(scope, keep=keep).run()
