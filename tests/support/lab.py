"""Knows one host in memory that runs the real controller: simulated Engine and clock, real files and ledger.

It refuses threads: chains run between passes, one effect at a time, so that a crash can be put at each.
"""

import contextlib
import hashlib
import itertools
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from controller.api import labels
from controller.api.conditions import Reason
from controller.api.config import SliceDriver
from controller.engine import calls, executor, observer
from controller.ledger.ledger import Ledger
from controller.model import actions, slices
from controller.model.actions import Action
from controller.model.gpus import GpuView
from controller.model.observed import NO_GPUS, Seen, Unseen
from controller.model.outcomes import Outcome, Succeeded
from controller.model.plan import Decision, Verdict
from controller.model.status import ChainReport, PassReport
from controller.planning import inventory
from controller.planning.budget import Budget
from controller.planning.case import Rules
from controller.planning.planner import Planner
from controller.reconciler import Reconciler, Setup
from controller.sources import directory, host, policies, preparation
from controller.surroundings import NoSlices, Surroundings
from controller.workers import Finished
from tests.support import specfiles
from tests.support.sim_engine import ManualClock, SimEngine
from tests.support.slice_maker import SliceMaker, limit
from tests.support.slice_tree import SliceTree

SETTLE = timedelta(milliseconds=100)
POLICY = b"""\
apiVersion: wharfinger.dev/v1
kind: ResourcePolicy
metadata: {name: lab}
spec:
  defaultClass: small
  classes:
    small: {image: "sample:1", security: {runAs: Image}, lifecycle: {stopGrace: 5s}}
  portPools:
    - {name: main, from: 10000, to: 10299}
  hostnames: {domain: lab.test}
"""


class CrashError(BaseException):
    """The controller is killed here."""


@dataclass
class Fuse:
    """Counts effects, and kills the controller at one of them.

    Attributes:
        at: number of the effect, from 0; None never.
        applied: the effect happens first.
    """

    at: int | None = None
    applied: bool = False
    count: int = 0

    @contextlib.contextmanager
    def effect(self) -> Iterator[None]:
        """Wrap one effect."""
        mine, self.count = self.count, self.count + 1
        if mine == self.at and not self.applied:
            raise CrashError
        yield
        if mine == self.at:
            raise CrashError


class FusedLedger(Ledger):
    """The real ledger, whose every transaction is an effect."""

    fuse = Fuse()
    _depth = 0

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        """One transaction; those inside of another are part of it."""
        if self._depth:
            with super().batch():
                yield
            return
        self._depth = 1
        try:
            with self.fuse.effect(), super().batch():
                yield
        finally:
            self._depth = 0


@dataclass
class Inline:
    """A crew that runs chains when it is told to."""

    execute: "Executor"
    clock: ManualClock
    waiting: deque[tuple[Decision, tuple[Action, ...], int]] = field(default_factory=deque)
    ended: list[Finished] = field(default_factory=list)

    def submit(self, decision: Decision, rest: tuple[Action, ...], intent_id: int) -> None:
        """Keep a chain for `work`."""
        self.waiting.append((decision, rest, intent_id))

    def busy(self) -> frozenset[str]:
        """Subjects with a chain that was not collected."""
        ended = {finished.report.decision.workspace for finished in self.ended}
        return frozenset({decision.workspace for decision, _, _ in self.waiting} | ended)

    def collect(self) -> tuple[Finished, ...]:
        """Chains that have ended."""
        ended, self.ended = tuple(self.ended), []
        return ended

    def work(self) -> None:
        """Run all chains to their ends."""
        while self.waiting:
            decision, rest, intent_id = self.waiting.popleft()
            done: list[Outcome] = []
            for action in rest:
                done.append(self.execute(action))
                if not isinstance(done[-1], Succeeded):
                    break
            report = ChainReport(decision, tuple(done), self.clock(), self.clock())
            self.ended.append(Finished(intent_id, report))


@dataclass
class Executor:
    """Does actions, each of them an effect."""

    engine: executor.EngineExecutor
    files: preparation.HostExecutor
    ledger: FusedLedger
    clock: ManualClock
    fuse: Fuse
    slices: SliceMaker | None
    simulated: SimEngine

    def __call__(self, action: Action) -> Outcome:
        if isinstance(action, actions.LedgerAction):
            return self.ledger.execute(action, self.clock())
        self._check_intent(action)
        if isinstance(action, actions.SliceAction):
            return self._set_slice(action)
        with self.fuse.effect():
            if isinstance(action, actions.HostAction):
                return self.files.execute(action)
            return self.engine.execute(action)

    def _set_slice(self, action: actions.SliceAction) -> Outcome:
        """Each write into a slice is an effect of its own."""
        if self.slices is None:
            assert isinstance(action, actions.LimitCgroup), "nobody makes slices here"
            with self.fuse.effect():
                return limit(self.simulated, {}, action)
        work = self.slices.carry_out(action)
        while True:
            try:
                with self.fuse.effect():
                    next(work)
            except StopIteration as end:
                outcome: Outcome = end.value
                return outcome

    def _check_intent(self, action: Action) -> None:
        """Nothing is done that was not written down before, and is not resolved yet."""
        begun = {intent.workspace for intent in self.ledger.recall(b"", self.clock()).open_intents}
        subject = getattr(action, "workspace", None)
        if isinstance(action, actions.SetSlice | actions.RemoveSlice):
            subject = slices.subject(action.owner)
        if isinstance(action, actions.WriteRoute | actions.RemoveRoute):
            subject = f"route/{subject}"
        kept = any(name.startswith("retained/") for name in begun)
        assert begun, f"no intent for {action}"
        assert subject is None or subject in begun or kept, f"no intent for {action}"


class Board:
    """Tells of the GPUs what a test says."""

    def __init__(self) -> None:
        self.seen: Seen[GpuView] | Unseen = NO_GPUS

    @property
    def any(self) -> bool:
        """Whether there are GPUs, or that cannot be told."""
        return isinstance(self.seen, Unseen) or bool(self.seen.value.devices)

    def observe(self, running: Mapping[str, int], now: datetime) -> Seen[GpuView] | Unseen:
        """What was said last, seen just now."""
        del running
        if isinstance(self.seen, Unseen) or self.seen is NO_GPUS:
            return self.seen
        return replace(self.seen, at=now)


class Site:
    """One host. What is durable is here; `boot` starts a controller on it."""

    def __init__(self, root: Path, budget: Budget = Budget(100, 100)) -> None:  # noqa: B008 - frozen
        self.root, self.budget = root, budget
        self.clock = ManualClock(datetime.now(UTC) + timedelta(hours=1))
        self.engine = SimEngine(self.clock)
        self.images = {tag: self.engine.add_image(tag) for tag in ("sample:1", "sample:2")}
        self.fuse, self.gpus = Fuse(), Board()
        self.slices: SliceTree | None = None
        self.numbers = itertools.count()
        for name in ("specs", "state", "secrets", "run", "proxy"):
            (root / name).mkdir(parents=True)
        specfiles.rename_into_place(root / "policy.yaml", POLICY)
        self.process = self.boot()

    def write(self, name: str, body: str = "  class: small\n") -> None:
        """Drop a spec file whose end is certain."""
        text = specfiles.workspace(name, body) + b"...\n"
        specfiles.rename_into_place(self.root / "specs" / f"{name}.yaml", text)

    def remove(self, name: str) -> None:
        """Take a spec file away."""
        (self.root / "specs" / f"{name}.yaml").unlink()

    def make_slices(self, driver: SliceDriver, policy: bytes) -> None:
        """From now on owners have slices, with the limits of this policy; a controller is started anew."""
        rest = POLICY.split(b"spec:\n")[1]
        rename = specfiles.rename_into_place
        rename(self.root / "policy.yaml", POLICY.replace(rest, policy + rest))
        kill = lambda container: self.engine.exit(container.name, 137, oom_killed=True)  # noqa: E731 - short
        self.slices = SliceTree(self.engine, driver, 2, kill)
        self.crash()

    def boot(self) -> "Process":
        """Start a controller, after the end of the one before."""
        self.process = Process(self)
        return self.process

    def crash(self) -> "Process":
        """Kill the controller and start another one."""
        self.fuse.at = None
        self.process.ledger.close()
        return self.boot()

    def nonce(self) -> bytes:
        """32 bytes that are new each time and the same in each run."""
        return hashlib.sha256(str(next(self.numbers)).encode()).digest()

    def settle(self, horizon: timedelta = timedelta(minutes=20)) -> PassReport:
        """Make passes, and let time pass between them, until nothing more is due within `horizon`."""
        end = self.clock() + horizon
        for _ in range(400):
            try:
                report = self.process.step()
            except CrashError:
                self.crash()
                continue
            if self.process.crew.waiting or self.process.crew.ended or _acts(report):
                continue
            due = report.plan.next_look
            if due is None or due > end:
                return report
            self.clock.advance(max(due - self.clock(), timedelta(0)) + timedelta(milliseconds=1))
        raise AssertionError(f"it does not come to rest: {report.plan}")

    def picture(self) -> list[tuple[str, ...]]:
        """What is on the Engine, without ids: name or role, state, image, what it was made from; routes."""
        containers = (
            (
                _role(container.name),
                container.status,
                self._tag(container.image_id),
                container.config["Labels"].get(labels.TEMPLATE_HASH, ""),
                str(sorted(container.config["Env"])),
                str(container.host_config.get("Memory")),
                str(sorted(container.networks)),
            )
            for container in self.engine.containers.values()
        )
        return sorted((*containers, *map(self._route, (self.root / "proxy").iterdir())))

    def _route(self, document: Path) -> tuple[str, ...]:
        """A document for the proxy, with the name of the container in the place of its address."""
        text = document.read_text(encoding="utf-8")
        for container in self.engine.containers.values():
            for endpoint in container.networks.values():
                if endpoint["IPAddress"]:
                    text = text.replace(f"//{endpoint['IPAddress']}:", f"//{container.name}:")
        return "route", document.name, text

    def counts(self) -> Counter[str]:
        """How many containers were made and removed."""
        made = Counter(self.engine.calls)
        return Counter({name: made[name] for name in ("create_container", "remove_container")})

    def _tag(self, image_id: str) -> str:
        return next((tag for tag, found in self.images.items() if found == image_id), image_id)


def _role(name: str) -> str:
    return name.split(".", maxsplit=1)[0] + (".kept" if "." in name else "")


def _acts(report: PassReport) -> bool:
    soon = any(
        d.verdict is Verdict.WAIT and d.retry_at is None and d.actions for d in report.plan.decisions.values()
    )
    acting = any(decision.actions for decision in report.plan.decisions.values())
    return bool(soon or acting or report.plan.host_actions or any(d.actions for d in report.plan.upkeep))


class Process:
    """One controller process: everything in it is lost with it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        FusedLedger.fuse = Fuse()
        opened = FusedLedger.open(site.root / "state", site.clock())
        assert isinstance(opened, FusedLedger)
        self.ledger = opened
        self.ledger.next_epoch(site.engine.engine_id, site.clock())
        FusedLedger.fuse = site.fuse
        client = calls.EngineClient(site.engine, timedelta(seconds=60))
        seen = observer.Observer(
            client,
            timedelta(minutes=5),
            timedelta(seconds=15),
            site.engine.read_limits,
            site.engine.listening,
            gpus=lambda: site.gpus.any,
        )
        self.observer = seen
        made = SliceMaker(site.slices, lambda: site.clock().timestamp()) if site.slices is not None else None
        execute = Executor(
            executor.EngineExecutor(
                client,
                site.engine.read_limits,
                site.engine.read_memory_use,
                lambda found, marks: inventory.is_ours(opened.recall(b"", site.clock()), found, marks),
            ),
            preparation.HostExecutor(str(site.root / "secrets"), str(site.root / "run"), site.root / "proxy"),
            self.ledger,
            site.clock,
            site.fuse,
            made,
            site.engine,
        )
        self.crew = Inline(execute, site.clock)
        around = Surroundings(
            specs=directory.SpecDirectory(str(site.root / "specs"), SETTLE),
            policies=policies.Policies(
                str(site.root / "policy.yaml"),
                str(site.root / "images.yaml"),
                SETTLE,
                self.ledger.remembered_source,
                self.ledger.remember_source,
            ),
            engine=seen,
            host=host.Host(
                str(site.root / "secrets"),
                str(site.root / "run"),
                lambda: frozenset(site.engine.host_ports),
                site.root / "proxy",
            ),
            ledger=self.ledger,
            crew=self.crew,
            gpus=site.gpus,
            slices=made or NoSlices(),
        )
        rules = Rules(
            runtime_secrets=f"{site.root}/run/secrets",
            subnet="172.28.0.0/16",
            deletion_grace=timedelta(seconds=10),
            budget=site.budget,
            retain=timedelta(hours=72),
            proxied=True,
            slice_driver=site.slices.driver if site.slices is not None else SliceDriver.NONE,
        )
        setup = Setup("Enforce", rules, "one boot")
        self.reconciler = Reconciler(around, Planner(rules), site.nonce, lambda: 0.0, setup)

    def step(self, cause: str = "resync") -> PassReport:
        """One pass, and all that it began."""
        self.observer.forget()
        report = self.reconciler.run_pass(self.site.clock(), cause)
        decisions = report.plan.decisions.values()
        assert not [d.message for d in decisions if d.reason is Reason.INTERNAL_ERROR]
        self.crew.work()
        return report
