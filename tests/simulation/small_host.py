"""Knows a small host that two controllers share, as one value, and every step that can follow from it.

A controller looks, decides and writes to its ledger in one step (unless `split`), then each action of each
chain is a step, in any order of the chains; it looks again when all of them have ended. Planning and what
actions do are those of `tests.support.world`; what becomes of a failed one is as in the reconciler.

It refuses time between steps: all happens at one instant, until the clock leaps. So a file that is gone is
gone for longer than the grace, an edit is confirmed, and how old a look is cannot be told. Controllers do not
see each other's open intents.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from types import MappingProxyType
from typing import Final

from controller.api import labels
from controller.api.conditions import Reason
from controller.model import actions
from controller.model.actions import Action
from controller.model.desired import AcceptedSpec
from controller.model.gpus import Device, GpuView
from controller.model.memory import Cause, Disruption, Memory
from controller.model.observed import Container, ContainerState
from controller.model.plan import Decision, Plan
from controller.planning import backoff, devices, template
from controller.planning.planner import Planner
from tests.support import builders
from tests.support.world import REMEMBERED, RefusedError, World

NAMES = ("w0", "w1", "w2")
LEAP = timedelta(minutes=6)
"""Longer than the longest back-off."""
TICK = timedelta(microseconds=1)
"""Tells runs and containers of one instant apart."""
FIRST_PORT = 10000
KEYS = (b"k" * 32, b"j" * 32)


def ports_of(container: Container) -> frozenset[str]:
    """The exclusive units of a container: its host ports."""
    return frozenset(f"port/{port.host_port}" for port in container.configuration.ports)


def gpus_of(container: Container) -> frozenset[str]:
    """The GPUs of a container."""
    return frozenset(devices.of(container))


@dataclass(frozen=True)
class Scope:
    """What a search is about.

    Attributes:
        workspaces, units: how many, and how many of them can have what each wants.
        faults: how many at most.
        ledgers: 1 if both controllers share one, 2 if each has its own.
        one_key: both sign with one key.
        guarded: the Engine refuses to start what wants a unit that something running has.
        split: a pass writes in a step of its own, so that both may look before one of them writes.
        made: how many containers a workspace has at most, ever; without a lock there is no end of them.
        units_of: the exclusive units of a container.
        gpus: what each wants alone is a GPU, and there are as many as `units`; else it is a host port.
    """

    workspaces: int
    units: int
    faults: int
    ledgers: int = 1
    one_key: bool = True
    guarded: bool = True
    split: bool = False
    made: int = 3
    units_of: Callable[[Container], frozenset[str]] = ports_of
    gpus: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The workspaces."""
        return NAMES[: self.workspaces]

    def key(self, controller: int) -> bytes:
        """Return what a controller signs with."""
        return KEYS[0 if self.one_key else controller]


@dataclass(frozen=True, slots=True)
class Ledger:
    """What one state directory remembers; `known`: whose spec was accepted, and after how many others."""

    memory: Memory
    known: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class File:
    """A spec file: how often it was edited, and whether it is there."""

    edits: int
    there: bool


@dataclass(frozen=True, slots=True)
class Whole:
    """All that is durable; `made` counts the containers that each workspace ever had."""

    containers: tuple[Container, ...]
    made: tuple[int, ...]
    files: tuple[File, ...]
    ledgers: tuple[Ledger, ...]
    leaps: int


@dataclass(frozen=True, slots=True)
class Chain:
    """What is left of a chain of actions; `seen`: how many containers of its workspace its look knew of."""

    workspace: str
    key: str
    reason: str
    cause: Cause | None
    actions: tuple[Action, ...]
    seen: int
    begun: bool = False


Program = tuple[Chain, ...]
"""What a controller has yet to do; all that dies with it."""


@dataclass(frozen=True, slots=True)
class Deed:
    """An action that was done: with which key, and to what, as it was before and after."""

    chain: Chain
    action: Action
    key: bytes
    before: Container | None
    after: Container | None


def empty(scope: Scope) -> Whole:
    """A host with every spec file and nothing else."""
    ledgers = tuple(
        Ledger(replace(builders.memory(), claim_key=scope.key(number)), {}) for number in range(scope.ledgers)
    )
    files = (File(0, there=True),) * scope.workspaces
    return Whole((), (0,) * scope.workspaces, files, ledgers, 0)


def of_gpus(workspaces: int, units: int, faults: int, ledgers: int = 1, made: int = 3) -> Scope:
    """Return a scope in which workspaces want GPUs; no Engine guards these."""
    return Scope(workspaces, units, faults, ledgers, guarded=False, made=made, units_of=gpus_of, gpus=True)


_WANTED: Final[Mapping[bool, Mapping[str, object]]] = {
    False: {"services": [{"name": "web", "port": 8080}], "lifecycle": {"changes": "Immediate"}},
    True: {"gpu": {"mode": "Exclusive"}, "lifecycle": {"changes": "Immediate", "gpuHold": "1s"}},
}
"""What specs ask for, by whether it is a GPU."""


@cache
def spec(name: str, file: File, order: int, *, gpus: bool = False) -> AcceptedSpec:
    """A spec in force; those of a lower order were accepted before.

    An edit is taken back by the next. What is not there is gone for longer than the grace.
    """
    written = builders.accepted(
        name,
        file.edits + 1,
        owner="lab",
        env={"A": "b" if file.edits % 2 else "a"},
        **_WANTED[gpus],
    )
    since = None if file.there else builders.LONG_AGO
    return replace(written, accepted_at=builders.LONG_AGO + order * TICK, missing_since=since)


@dataclass(repr=False)
class Host(World):
    """A whole host as one controller meets it, for one step."""

    scope: Scope = field(default_factory=lambda: Scope(1, 1, 0))
    made: dict[str, int] = field(default_factory=dict)

    def apply(self, action: Action, fault: Callable[[Action], bool] = lambda _: False) -> None:
        """Do one action; what is already so is done, as the executor has it."""
        if isinstance(action, actions.StopContainer | actions.RemoveContainer):
            found = self.containers.get(action.container_id)
            if found is None or (isinstance(action, actions.StopContainer) and not found.running):
                return
        super().apply(action, fault)

    def _create(self, action: actions.CreateContainer) -> None:
        """Make a container; its random instance is the next number, whoever drew it."""
        number = self.made[action.workspace] + 1
        bare = {n: v for n, v in action.labels.items() if n not in {labels.INSTANCE, labels.CLAIM}}
        instance = f"{number:08x}{action.workspace}"
        signed = template.signed(bare, instance, self.memory.claim_key)
        before = set(self.containers)
        super()._create(replace(action, labels=signed))
        self.made[action.workspace] = number
        (built,) = self.containers.keys() - before
        self.change(built, created=self.now + number * TICK)

    def _start(self, found: Container, action: actions.StartContainer) -> Container:
        """Start a container; each of its runs can be told from the one before."""
        after = super()._start(found, action)
        runs = 0 if found.started_at is None else found.started_at.microsecond
        return replace(after, started_at=self.now + (runs + 1) * TICK)

    def _free_ports(self, starting: Container) -> None:
        if self.scope.guarded:
            super()._free_ports(starting)


class Steps:
    """The steps from one value to the next, for one scope."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self._planner = Planner(builders.RULES)
        pool = {"name": "main", "from": FIRST_PORT, "to": FIRST_PORT + scope.units - 1, "block": scope.units}
        self._policy = builders.policy(portPools=[pool])
        known = {
            uuid: Device(uuid, "SIMULATED H100", 80 << 30, str(index), minor=index)
            for index, uuid in enumerate(f"GPU-{letter}" for letter in "ab"[: scope.units])
        }
        self._gpus = GpuView(MappingProxyType(known if scope.gpus else {}), simulated=True)

    def host(self, whole: Whole, controller: int) -> Host:
        """The host as a controller meets it."""
        ledger = whole.ledgers[controller % len(whole.ledgers)]
        files = dict(zip(self.scope.names, whole.files, strict=True))
        return Host(
            now=builders.NOW + whole.leaps * LEAP,
            policy=self._policy,
            specs={
                name: spec(name, files[name], order, gpus=self.scope.gpus)
                for name, order in ledger.known.items()
            },
            containers={c.id: c for c in whole.containers},
            memory=ledger.memory,
            gpus=self._gpus,
            scope=self.scope,
            made=dict(zip(self.scope.names, whole.made, strict=True)),
        )

    def _whole(self, before: Whole, host: Host, controller: int) -> Whole:
        """The value of a host after a step of a controller."""
        ledgers = list(before.ledgers)
        known = {n: (one.accepted_at - builders.LONG_AGO) // TICK for n, one in sorted(host.specs.items())}
        ledgers[controller % len(ledgers)] = Ledger(host.memory, known)
        found = tuple(sorted(host.containers.values(), key=lambda c: c.id))
        made = tuple(host.made[name] for name in self.scope.names)
        return replace(before, containers=found, made=made, ledgers=tuple(ledgers))

    # a controller

    def look(self, whole: Whole, controller: int) -> tuple[Whole, Program, Plan]:
        """Accept the specs, look at everything and decide."""
        host = self.host(whole, controller)
        known = whole.ledgers[controller % len(whole.ledgers)].known
        order = max(known.values(), default=-1) + 1
        for name, file in zip(self.scope.names, whole.files, strict=True):
            if file.there and name not in known:
                host.specs[name] = spec(name, file, order, gpus=self.scope.gpus)
        host.specs = dict(sorted(host.specs.items()))
        plan = host.plan(self._planner)
        host.remember(held={**host.memory.held, **{one.workspace: one for one in plan.held}})
        if plan.gpu_waits is not None:
            host.remember(gpu_waits=dict(plan.gpu_waits))
        wanted = (d for d in (*plan.upkeep, *plan.decisions.values()) if d.actions)
        program = tuple(self._chain(decision, host) for decision in wanted)
        return self._whole(whole, host, controller), program, plan

    @staticmethod
    def _chain(decision: Decision, host: Host) -> Chain:
        cause = decision.cause if decision.disrupts else None
        seen = host.made.get(decision.workspace, 0)
        return Chain(decision.workspace, decision.key, decision.reason, cause, decision.actions, seen)

    def begin(self, whole: Whole, controller: int, program: Program) -> tuple[Whole, Program]:
        """Write what every chain writes before its first effect, in one transaction."""
        host = self.host(whole, controller)
        left = []
        for chain in program:
            rest = list(chain.actions)
            try:
                while rest and isinstance(rest[0], actions.LedgerAction):
                    host.apply(rest[0])
                    rest.pop(0)
            except RefusedError:
                _back_off(host, chain, Reason.PORT_TAKEN)
                continue
            if not rest:
                _settled(host, chain)
                continue
            if chain.cause is not None:
                recent = (d for d in host.memory.disruptions if host.now - d.at < REMEMBERED)
                new = Disruption(chain.workspace, chain.cause, host.now)
                host.remember(disruptions=(*recent, new))
            left.append(replace(chain, actions=tuple(rest), begun=True))
        return self._whole(whole, host, controller), tuple(left)

    def act(
        self, whole: Whole, controller: int, program: Program, place: int, told: Reason | None = None
    ) -> tuple[Whole, Program, Deed]:
        """Do the next action of one chain; with `told` the controller is told that it failed."""
        host, chain = self.host(whole, controller), program[place]
        action = chain.actions[0]
        identifier = getattr(action, "container_id", "")
        before, rest = host.containers.get(identifier), chain.actions[1:]
        known = host.containers.keys() | {""}
        try:
            host.apply(action)
        except RefusedError as refused:
            rest = ()
            _refused(host, chain, str(refused))
        else:
            if told is not None:
                rest = ()
                _back_off(host, chain, told)
            elif not rest:
                _settled(host, chain)
        made = next(iter(host.containers.keys() - known), identifier)
        deed = Deed(chain, action, host.memory.claim_key, before, host.containers.get(made))
        return self._whole(whole, host, controller), _with(program, place, rest), deed

    def fail(self, whole: Whole, controller: int, program: Program, place: int) -> tuple[Whole, Program]:
        """The next action of one chain fails and does nothing."""
        host, chain = self.host(whole, controller), program[place]
        _back_off(host, chain, Reason.REFUSED_BY_ENGINE)
        return self._whole(whole, host, controller), _with(program, place, ())

    # everybody else

    def mishaps(self, whole: Whole) -> Iterator[tuple[str, Whole]]:
        """Return all that people and programs can do, in words, and what comes of it."""
        now = builders.NOW + whole.leaps * LEAP
        for place, found in enumerate(whole.containers):
            rest = (*whole.containers[:place], *whole.containers[place + 1 :])
            yield f"{found.name} is removed by hand", replace(whole, containers=rest)
            if found.running:
                ended = replace(builders.in_state(found, ContainerState.EXITED, now), exit_code=1)
                yield f"{found.name} exits", _with_container(whole, place, ended)
            stray = f"stray-{found.labels[labels.INSTANCE]}"
            if found.name != stray:
                text = f"{found.name} is renamed to {stray}"
                yield text, _with_container(whole, place, replace(found, name=stray))
        for place, (name, file) in enumerate(zip(self.scope.names, whole.files, strict=True)):
            if file.there:
                yield f"{name}.yaml is edited", _with_file(whole, place, File(file.edits + 1, there=True))
                yield f"{name}.yaml is removed", _with_file(whole, place, File(file.edits, there=False))
            else:
                yield f"{name}.yaml comes back", _with_file(whole, place, File(file.edits, there=True))
        yield "the clock goes on by 6 min", replace(whole, leaps=whole.leaps + 1)


def _refused(host: Host, chain: Chain, why: str) -> None:
    """The Engine did not do it: a taken name or unit is a failure, what changed meanwhile is skipped."""
    if "is taken" in why:
        _back_off(host, chain, Reason.NAME_TAKEN)
    elif "are held by" in why:
        _back_off(host, chain, Reason.PORT_TAKEN)
    else:
        _settled(host, chain)


def _back_off(host: Host, chain: Chain, reason: Reason) -> None:
    before = host.memory.backoffs.get(chain.workspace)
    after = backoff.after_failure(before, reason, "it failed", chain.key, host.now)
    host.remember(backoffs={**host.memory.backoffs, chain.workspace: after})


def _settled(host: Host, chain: Chain) -> None:
    """A chain has ended without a failure."""
    before = host.memory.backoffs.get(chain.workspace)
    if before is not None and before.key == chain.key:
        host.remember(backoffs={n: b for n, b in host.memory.backoffs.items() if n != chain.workspace})


def _with(program: Program, place: int, rest: tuple[Action, ...]) -> Program:
    """The program after a step of one of its chains."""
    left = (replace(program[place], actions=rest),) if rest else ()
    return (*program[:place], *left, *program[place + 1 :])


def _with_container(whole: Whole, place: int, changed: Container) -> Whole:
    return replace(whole, containers=(*whole.containers[:place], changed, *whole.containers[place + 1 :]))


def _with_file(whole: Whole, place: int, changed: File) -> Whole:
    return replace(whole, files=(*whole.files[:place], changed, *whole.files[place + 1 :]))
