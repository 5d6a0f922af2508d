"""Knows how a pass looks at specs, policy, accounts, Engine and host, and writes down what is seen first.

Refuses to decide about a workspace and to change anything but the ledger: which specs are in force, accounts,
identities, and that the host was seen whole.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from controller.api.conditions import Reason
from controller.bookkeeping import Bookkeeping
from controller.model import errors
from controller.model.desired import AcceptedPolicy, AcceptedSpec, Desired
from controller.model.effective import Effective
from controller.model.images import Collection
from controller.model.memory import Memory
from controller.model.observed import Account, AccountSeen, Disk, EngineView, Layer, Observed, Seen, Unseen
from controller.model.sizes import Usage
from controller.model.slices import SliceView
from controller.planning import (
    acceptance,
    case,
    choice,
    claims,
    collection,
    contents,
    devices,
    inventory,
    resolve,
    retention,
    sizes,
    slicing,
)
from controller.planning.case import Rules
from controller.planning.planner import Planner
from controller.surroundings import Surroundings

LAYERS_A_PASS = 3
"""Kept containers whose layers are looked into in one pass."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one pass saw.

    Attributes:
        wanted: what wants an image, by the image's reference.
    """

    desired: Desired
    observed: Observed
    memory: Memory
    ledger: Unseen | None
    next_look: datetime | None
    wanted: Mapping[str, str] | Unseen

    def unseen(self) -> tuple[tuple[str, Reason, str], ...]:
        """Return each part that could not be seen; GPUs and slices are none: they hold who needs them."""
        parts: dict[str, object] = {
            "specs": self.desired.scan,
            "policy": self.desired.policy,
            "engine": self.observed.engine,
            "host": self.observed.host,
            "ledger": self.ledger,
        }
        return tuple((n, p.reason, p.message) for n, p in parts.items() if isinstance(p, Unseen))

    def disk(self) -> Disk | Unseen:
        """Return how full the Engine's disk is."""
        engine = self.observed.engine
        return engine if isinstance(engine, Unseen) else engine.value.disk


@dataclass(frozen=True, slots=True)
class Host:
    """What of configuration and host a look depends on.

    Attributes:
        identity: of this boot and this schema; another one is looked at before it is touched.
    """

    rules: Rules
    identity: str


class Looker:
    """Looks at one host, pass after pass. `nonce` gives 32 random bytes."""

    def __init__(
        self,
        surroundings: Surroundings,
        planner: Planner,
        books: Bookkeeping,
        nonce: Callable[[], bytes],
        host: Host,
    ) -> None:
        self._around = surroundings
        self._planner = planner
        self._books = books
        self._nonce = nonce
        self._host = host
        self._proven = False
        self._intents_settled = False
        self._usage: Mapping[str, Usage] = {}
        self._looked_into: dict[str, datetime] = {}  # kept containers, by id

    def look(self, now: datetime, cause: str) -> Look:
        """Look at everything once; `cause` says why there is a pass."""
        ports = self._around
        deleted = ports.ledger.recall(b"", now).removal_requests
        scan = ports.specs.observe(now)
        nonce = self._nonce()
        memory = ports.ledger.recall(nonce, now)
        self._books.probe(now, cause)
        accepted = acceptance.accept(
            scan, memory, lambda name: claims.instance(nonce, name, "uid"), self._host.rules.budget, now
        )
        memory = self._accept(accepted, memory, nonce, now)
        if isinstance(scan, Seen):
            self._take_back(deleted, accepted.specs, now)
        specs = accepted.specs if self._books.trouble is None else memory.accepted
        accounts = self._accounts(specs, memory, now)
        policy = self._policy(accounts, now)
        desired = Desired(specs, scan, accepted.rejected, accepted.removals_held, accepted.accident, policy)
        effectives = self._resolve(desired, {**accounts, **memory.accounts}, now)
        self._drop_wishes(effectives, memory, now)
        engine = self._engine(effectives, policy, now)
        memory = self._identify(engine, ports.ledger.recall(nonce, now), now)
        memory = self._record_contents(engine, memory, now)
        host = ports.host.observe(accounts, *_by_state(effectives, engine), now)
        next_look = min((t for t in (accepted.next_look, ports.policies.next_look) if t), default=None)
        wants = _wants(desired, effectives, memory)
        observed = Observed(
            engine,
            host,
            layers=self._layers(engine, memory, cause, now),
            collection=self._collection(engine, wants, now),
            usage=self._sizes(engine, effectives, cause, now),
            gpus=self._around.gpus.observe(self._with_gpus(engine), now),
            slices=self._slices(engine, policy, now),
        )
        look = Look(desired, observed, memory, self._books.trouble, next_look, wants)
        return replace(look, observed=replace(look.observed, unproven=self._unproven(look)))

    def _engine(
        self, effectives: Mapping[str, Effective], policy: AcceptedPolicy | Unseen, now: datetime
    ) -> Seen[EngineView] | Unseen:
        """Look at the Engine; chains of controllers before this one ended with them."""
        ledger, wanted = self._around.ledger, frozenset(e.image for e in effectives.values())
        catalog = frozenset[str]() if isinstance(policy, Unseen) else choice.references_of(policy)
        engine = self._around.engine.observe(wanted | catalog, now)
        if isinstance(engine, Seen) and not self._intents_settled and self._books.trouble is None:
            self._intents_settled = self._books.write(lambda: ledger.abandon_intents(now), now)
        return engine

    def _take_back(self, deleted: Iterable[str], found: Mapping[str, AcceptedSpec], now: datetime) -> None:
        """Forget that workspaces were deleted whose files a scan found that began after that."""
        back = [name for name in deleted if name in found and found[name].missing_since is None]
        self._books.write_each(self._around.ledger.clear_removal, back, now)

    def _identify(self, engine: Seen[EngineView] | Unseen, memory: Memory, now: datetime) -> Memory:
        """Keep for good which container is the first with an instance, so that no copy takes its place."""
        if isinstance(engine, Unseen) or self._books.trouble is not None:
            return memory
        seen, gone = inventory.identities(engine.value, memory)
        if not (seen or gone) or not self._books.write(lambda: self._around.ledger.identify(seen, gone), now):
            return memory
        return self._around.ledger.recall(memory.nonce, now)

    def _record_contents(self, engine: Seen[EngineView] | Unseen, memory: Memory, now: datetime) -> Memory:
        """Keep which content references have, for the time when the Engine cannot tell any more."""
        if isinstance(engine, Unseen) or self._books.trouble is not None:
            return memory
        new = contents.unrecorded(engine.value, memory, now)
        if not new or not self._books.write(lambda: self._around.ledger.record_contents(new), now):
            return memory
        return self._around.ledger.recall(memory.nonce, now)

    def _layers(
        self, engine: Seen[EngineView] | Unseen, memory: Memory, cause: str, now: datetime
    ) -> Mapping[str, Layer]:
        """Look into a few of the kept containers whose time is over; that is costly, so not at every pass."""
        if cause != "resync" or isinstance(engine, Unseen):
            return {}
        due = retention.expired(memory, self._host.rules.retain, now)
        self._looked_into = {i: at for i, at in self._looked_into.items() if i in due}
        there = [i for i in due if i in engine.value.containers]
        chosen = retention.next_looks(there, self._looked_into, now)[:LAYERS_A_PASS]
        self._looked_into |= dict.fromkeys(chosen, now)
        return self._around.engine.layers(chosen)

    def _collection(
        self, engine: Seen[EngineView] | Unseen, wanted: Mapping[str, str] | Unseen, now: datetime
    ) -> Collection | None:
        """Look at all images, if somebody wants some to go; that is costly, so else never."""
        asked = self._around.errands.room_wanted(now)
        if asked is None or isinstance(engine, Unseen) or isinstance(wanted, Unseen):
            return None
        store = self._around.engine.images(wanted, now)
        return None if isinstance(store, Unseen) else Collection(asked, store, wanted)

    def _sizes(
        self,
        engine: Seen[EngineView] | Unseen,
        effectives: Mapping[str, Effective],
        cause: str,
        now: datetime,
    ) -> Mapping[str, Usage]:
        """Return what was measured of the workspaces; it changes slowly, so not every pass asks."""
        if isinstance(engine, Seen) and cause in {"resync", "startup"}:
            self._usage = self._around.sizes.observe(sizes.wanted(effectives, engine.value), now)
        return self._usage

    def _with_gpus(self, engine: Seen[EngineView] | Unseen) -> Mapping[str, int]:
        """Return the running containers with devices: the pid of the main process by full id."""
        if isinstance(engine, Unseen) or self._planner.equipment is None:  # the pass before saw none
            return {}
        containers = engine.value.containers.values()
        return {c.id: c.pid for c in containers if c.pid and c.running and devices.has_any(c)}

    def _slices(
        self, engine: Seen[EngineView] | Unseen, policy: AcceptedPolicy | Unseen, now: datetime
    ) -> Seen[SliceView] | Unseen:
        """Look at the slices; which there are to be depends on the Engine."""
        if isinstance(engine, Unseen):
            return engine
        return self._around.slices.observe(slicing.question(self._host.rules, engine.value, policy), now)

    def _unproven(self, look: Look) -> str:
        """Say why nothing may rest on this look; a host is proven by one complete look since it changed."""
        engine, ledger = look.observed.engine, self._around.ledger
        if self._proven or isinstance(engine, Unseen) or look.ledger is not None:
            return ""
        identity = f"{self._host.identity}/{engine.value.engine_id}"
        if ledger.proven_host() != identity:
            unseen = look.unseen()
            if unseen:
                name, reason, message = unseen[0]
                return (
                    f"the host is new or changed and not all of it was seen yet: {name}: {reason}: {message}"
                )
            self._books.write(lambda: ledger.prove_host(identity), engine.at)
        self._proven = True
        return ""

    def _policy(self, accounts: Mapping[str, AccountSeen], now: datetime) -> AcceptedPolicy | Unseen:
        try:
            return self._around.policies.observe(accounts, now)
        except errors.EffectError as error:
            self._books.note(error, now)
            return Unseen(error.reason, error.message, now)

    def _accept(self, accepted: acceptance.Acceptance, memory: Memory, nonce: bytes, now: datetime) -> Memory:
        ledger, identity = self._around.ledger, accepted.identity
        moved = identity is not None and identity != memory.spec_identity
        if self._books.trouble is not None or not (accepted.changed or moved):
            return memory

        def write() -> None:
            with ledger.batch():
                ledger.accept(accepted.changed)
                if moved and identity is not None:
                    ledger.record_spec_identity(identity)

        self._books.write(write, now)
        return ledger.recall(nonce, now)

    def _accounts(
        self, specs: Mapping[str, AcceptedSpec], memory: Memory, now: datetime
    ) -> Mapping[str, AccountSeen]:
        """Return the owners' accounts; one that is seen for the first time is recorded for good."""
        owners = {resolve.owner_of(spec.workspace) for spec in specs.values()}
        told = self._around.host.accounts(sorted(owners), now)
        found = [seen for seen in told.values() if isinstance(seen, Account)]
        new = [account for account in found if account.name not in memory.accounts]
        if new and self._books.trouble is None:

            def write() -> None:
                with self._around.ledger.batch():
                    for account in new:
                        self._around.ledger.record_account(account)

            self._books.write(write, now)
        return told

    def _resolve(
        self, desired: Desired, accounts: Mapping[str, AccountSeen], now: datetime
    ) -> dict[str, Effective]:
        if isinstance(desired.policy, Unseen):
            return {}
        standing = self._planner.standing(desired.policy, now)
        resolved = {
            name: self._planner.effective(spec, standing, accounts.get(resolve.owner_of(spec.workspace)))
            for name, spec in desired.specs.items()
        }
        return {name: found for name, found in resolved.items() if isinstance(found, Effective)}

    def _drop_wishes(self, effectives: Mapping[str, Effective], memory: Memory, now: datetime) -> None:
        """Forget a person's start or stop for good once the spec's own word is another one."""
        ended = [
            name
            for name, wish in memory.suspensions.items()
            if name in effectives and case.in_force(wish, effectives[name]) is None
        ]
        self._books.write_each(self._around.ledger.clear_suspension, ended, now)


def _wants(
    desired: Desired, effectives: Mapping[str, Effective], memory: Memory
) -> Mapping[str, str] | Unseen:
    """Return what wants an image, by reference."""
    policy = desired.policy
    if isinstance(policy, Unseen):
        return policy
    return collection.wanted(policy, desired.specs.values(), effectives.values(), memory)


def _by_state(
    effectives: Mapping[str, Effective], engine: Seen[EngineView] | Unseen
) -> tuple[tuple[Effective, ...], tuple[Effective, ...]]:
    """Return the workspaces whose container does not run, which may be started, and those whose does."""
    if isinstance(engine, Unseen):
        return (), ()
    names = {c.name for c in engine.value.containers.values() if c.running}
    running = tuple(e for name, e in effectives.items() if case.main_name(name) in names)
    return tuple(e for name, e in effectives.items() if case.main_name(name) not in names), running
