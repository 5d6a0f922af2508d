"""Whatever is done in whatever order, the ledger recalls what a dictionary would, also opened again."""

import dataclasses
import datetime as dt
import tempfile
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from controller.api.conditions import Reason
from controller.ledger.ledger import Ledger
from controller.model import actions, gpus, memory, outcomes
from controller.model.desired import AcceptedSpec
from controller.model.observed import Limits
from controller.model.status import Event
from tests.support import ledgers
from tests.support.ledgers import NONCE

NAMES = st.sampled_from(["alice", "bob", "carol", "dave"])
TEXT = st.text(max_size=20)
ZONES = st.integers(-12, 14).map(lambda hours: dt.timezone(dt.timedelta(hours=hours)))
TIMES = st.datetimes(dt.datetime(1970, 1, 2), dt.datetime(2100, 1, 1), timezones=ZONES)  # noqa: DTZ001 - Hypothesis adds the zone
SUSPENSIONS = st.builds(memory.Suspension, st.booleans(), TEXT, TIMES, TEXT)
PAUSES = st.builds(memory.Pause, TEXT, TIMES, TEXT)
REASONS = st.sampled_from(Reason)
BACKOFFS = st.none() | st.builds(memory.BackOff, st.integers(0, 99), TIMES, REASONS, TEXT, TEXT)
SIZES = st.none() | st.integers(1, 2**53)
LIMITS = st.builds(Limits, SIZES, st.none() | TEXT, SIZES, SIZES, SIZES, SIZES)
GIVEN = st.builds(memory.GivenLimits.of, TEXT, LIMITS)
SPECS = st.builds(
    ledgers.spec,
    NAMES,
    st.none() | NAMES,
    st.integers(1, 3),
    env=st.dictionaries(
        st.from_regex(r"[A-Z]{1,3}", fullmatch=True),
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5),
    ),
    lifecycle=st.sampled_from([{}, {"idleTimeout": None}, {"idleTimeout": "48h"}]),
)

CHANGES = ("held", "approvals", "replacements", "rollbacks", "pins", "failed")
HELD = st.builds(memory.Held, NAMES, st.sampled_from(memory.Cause), TEXT, TIMES)
APPROVALS = st.builds(memory.Approval, NAMES, TEXT, TIMES, TEXT)
REPLACEMENTS = st.builds(memory.Replacement, NAMES, TEXT, TEXT, TEXT, TIMES)
ROLLBACKS = st.builds(memory.Rollback, NAMES, TEXT, st.booleans(), TIMES, TEXT)
PINS = st.builds(memory.Pin, NAMES, TEXT, st.integers(1, 9), TIMES, TEXT)
DEVICES = st.sampled_from(["GPU-1", "GPU-2", "MIG-3"])
CORDONS = st.builds(gpus.Cordon, DEVICES, TEXT, TIMES, TEXT, st.booleans())
FENCES = st.builds(
    gpus.Fence,
    DEVICES,
    st.sampled_from(gpus.Ailment),
    TEXT,
    TIMES,
    TIMES,
    st.none() | st.integers(0, 200),
    st.booleans(),
)
FAILURES = st.builds(memory.FailedTemplate, NAMES, TEXT, TEXT, TEXT, TIMES)


@dataclasses.dataclass
class Expected:
    """The dictionary beside the ledger."""

    epoch: int = 0
    accepted: dict[str, AcceptedSpec] = dataclasses.field(default_factory=dict)
    identity: tuple[int, int] | None = None
    suspensions: dict[str, memory.Suspension] = dataclasses.field(default_factory=dict)
    pauses: dict[str | None, memory.Pause] = dataclasses.field(default_factory=dict)
    backoffs: dict[str, memory.BackOff] = dataclasses.field(default_factory=dict)
    restarts: dict[str, memory.Restarts] = dataclasses.field(default_factory=dict)
    given: dict[str, memory.GivenLimits] = dataclasses.field(default_factory=dict)
    requests: dict[str, object] = dataclasses.field(default_factory=dict)
    retained: dict[str, tuple[str, Reason]] = dataclasses.field(default_factory=dict)
    grants: dict[int, tuple[str, str]] = dataclasses.field(default_factory=dict)
    removals: dict[str, memory.RemovalRequest] = dataclasses.field(default_factory=dict)
    identities: dict[str, memory.Identity] = dataclasses.field(default_factory=dict)
    contents: dict[str, memory.Content] = dataclasses.field(default_factory=dict)
    asked: dict[str, dt.datetime] = dataclasses.field(default_factory=dict)
    cordons: dict[str, gpus.Cordon] = dataclasses.field(default_factory=dict)
    fences: dict[str, gpus.Fence] = dataclasses.field(default_factory=dict)
    gpu_waits: dict[str, dt.datetime] = dataclasses.field(default_factory=dict)
    forgetting: dict[str, dt.datetime] = dataclasses.field(default_factory=dict)
    changes: dict[str, dict[str, object]] = dataclasses.field(
        default_factory=lambda: {kind: {} for kind in CHANGES}
    )
    adopted: dict[str, memory.Adoption] = dataclasses.field(default_factory=dict)
    open: dict[int, tuple[str, int]] = dataclasses.field(default_factory=dict)
    events: dict[tuple[str, str], int] = dataclasses.field(default_factory=dict)


class LedgerMachine(RuleBasedStateMachine):
    """Does the same to a ledger and to `Expected`."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name)
        self.expected = Expected()

    @initialize()
    def begin(self) -> None:
        self.ledger = Ledger.open(self.path, ledgers.NOW)

    def teardown(self) -> None:
        self.ledger.close()
        self.directory.cleanup()

    @rule()
    def open_again(self) -> None:
        before = self.blocks()
        self.ledger.close()
        self.ledger = Ledger.open(self.path, ledgers.NOW)
        assert self.ledger.findings == ()
        assert self.blocks() == before

    def blocks(self) -> list[tuple[object, ...]]:
        """The blocks on each of the coming days, and until when those that run out are held."""
        days = (ledgers.NOW + dt.timedelta(days=day) for day in range(20))
        known = [self.ledger.recall(NONCE, day) for day in days]
        return [(one.port_blocks, one.port_holds) for one in known]

    @rule(specs=st.lists(SPECS, max_size=4))
    def accept(self, specs: list[AcceptedSpec]) -> None:
        self.ledger.accept(specs)
        self.expected.accepted.update({spec.name: spec for spec in specs})

    @rule(identity=st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)))
    def record_spec_identity(self, identity: tuple[int, int]) -> None:
        self.ledger.record_spec_identity(identity)
        self.expected.identity = identity

    @rule(name=NAMES, suspension=SUSPENSIONS)
    def suspend(self, name: str, suspension: memory.Suspension) -> None:
        self.ledger.suspend(name, suspension)
        self.expected.suspensions[name] = suspension

    @rule(name=NAMES)
    def clear_suspension(self, name: str) -> None:
        self.ledger.clear_suspension(name)
        self.expected.suspensions.pop(name, None)

    @rule(seen=st.dictionaries(NAMES, TEXT, max_size=2), gone=st.sets(NAMES, max_size=2))
    def identify(self, seen: dict[str, str], gone: set[str]) -> None:
        new = {instance: memory.Identity(instance, found) for instance, found in seen.items()}
        self.ledger.identify(new.values(), gone)
        kept = {name: one for name, one in self.expected.identities.items() if name not in gone}
        self.expected.identities = {**new, **kept}

    @rule(digests=st.sets(NAMES, max_size=2), reference=TEXT, at=TIMES)
    def record_contents(self, digests: set[str], reference: str, at: dt.datetime) -> None:
        new = {digest: memory.Content(digest, "sha256:1", reference, at) for digest in digests}
        self.ledger.record_contents(new.values())
        self.expected.contents = {**new, **self.expected.contents}

    @rule(reference=NAMES, at=TIMES)
    def record_asked(self, reference: str, at: dt.datetime) -> None:
        self.ledger.record_asked(reference, at)
        self.expected.asked[reference] = at

    @rule(cordon=CORDONS)
    def cordon(self, cordon: gpus.Cordon) -> None:
        self.ledger.cordon(cordon)
        self.expected.cordons[cordon.uuid] = cordon

    @rule(uuid=DEVICES)
    def uncordon(self, uuid: str) -> None:
        self.ledger.uncordon(uuid)
        self.expected.cordons.pop(uuid, None)

    @rule(fences=st.lists(FENCES, max_size=2), ended=st.sets(DEVICES, max_size=2))
    def fence(self, fences: list[gpus.Fence], ended: set[str]) -> None:
        self.ledger.fence(fences, ended)
        found = {**self.expected.fences, **{one.uuid: one for one in fences}}
        self.expected.fences = {uuid: one for uuid, one in found.items() if uuid not in ended}

    @rule(waits=st.dictionaries(NAMES, TIMES, max_size=3))
    def note_gpu_waits(self, waits: dict[str, dt.datetime]) -> None:
        self.ledger.note_gpu_waits(waits)
        self.expected.gpu_waits = dict(waits)

    @rule(name=NAMES, at=TIMES, by=TEXT)
    def request_removal(self, name: str, at: dt.datetime, by: str) -> None:
        self.expected.removals[name] = memory.RemovalRequest(name, at, by)
        self.ledger.request_removal(self.expected.removals[name])

    @rule(name=NAMES)
    def clear_removal(self, name: str) -> None:
        self.ledger.clear_removal(name)
        self.expected.removals.pop(name, None)

    @rule(name=st.none() | NAMES, pause=PAUSES)
    def pause(self, name: str | None, pause: memory.Pause) -> None:
        self.ledger.pause(name, pause)
        self.expected.pauses[name] = pause

    @rule(name=st.none() | NAMES)
    def resume(self, name: str | None) -> None:
        self.ledger.resume(name)
        self.expected.pauses.pop(name, None)

    @rule(name=NAMES, backoff=BACKOFFS)
    def set_backoff(self, name: str, backoff: memory.BackOff | None) -> None:
        self.ledger.set_backoff(name, backoff)
        self.expected.backoffs.pop(name, None)
        if backoff:
            self.expected.backoffs[name] = backoff

    @rule(name=NAMES, restarts=st.builds(memory.Restarts, TEXT, st.integers(0, 9), TIMES))
    def record_restarts(self, name: str, restarts: memory.Restarts) -> None:
        self.ledger.execute(actions.RecordRestarts(name, restarts), ledgers.NOW)
        self.expected.restarts[name] = restarts

    @rule(name=NAMES, given=GIVEN, start=st.booleans())
    def record_limits(self, name: str, given: memory.GivenLimits, start: bool) -> None:
        restarts = memory.Restarts(given.container_id, 1, ledgers.NOW)
        with_start = actions.RecordRestarts(name, restarts, given)
        self.ledger.execute(with_start if start else actions.RecordLimits(name, given), ledgers.NOW)
        self.expected.given[name] = given
        if start:
            self.expected.restarts[name] = restarts

    @rule(name=NAMES, complete=st.booleans())
    def restart(self, name: str, complete: bool) -> None:
        if complete:
            self.ledger.execute(actions.CompleteRestart(name), ledgers.NOW)
            self.expected.requests.pop(name, None)
            self.become("failed", name, None)
        else:
            self.ledger.request_restart(name, ledgers.NOW)
            self.expected.requests[name] = ledgers.NOW

    @rule(name=NAMES, container=st.sampled_from("xyz"), reason=REASONS)
    def retain(self, name: str, container: str, reason: Reason) -> None:
        self.ledger.execute(actions.RetainContainer(name, container, "n", reason), ledgers.NOW)
        self.expected.retained[container] = (name, reason)

    @rule(container=st.sampled_from("xyz"))
    def forget_retained(self, container: str) -> None:
        self.ledger.execute(actions.ForgetRetained("any", container), ledgers.NOW)
        self.expected.retained.pop(container, None)
        self.expected.forgetting.pop(container, None)

    @rule(container=st.sampled_from("xyz"), at=TIMES)
    def request_forgetting(self, container: str, at: dt.datetime) -> None:
        self.ledger.request_forgetting(container, at)
        self.expected.forgetting[container] = at

    def become(self, kind: str, name: str, value: object) -> None:
        self.expected.changes[kind].pop(name, None)
        if value is not None:
            self.expected.changes[kind][name] = value

    @rule(held=st.lists(HELD, max_size=3))
    def hold(self, held: list[memory.Held]) -> None:
        self.ledger.hold(held)
        for one in held:
            self.become("held", one.workspace, one)

    @rule(approval=APPROVALS)
    def approve(self, approval: memory.Approval) -> None:
        self.ledger.approve(approval)
        self.become("approvals", approval.workspace, approval)
        self.become("held", approval.workspace, None)
        self.become("pins", approval.workspace, None)

    @rule(begun=REPLACEMENTS)
    def begin_replacement(self, begun: memory.Replacement) -> None:
        self.ledger.execute(actions.BeginReplacement(begun.workspace, begun), ledgers.NOW)
        self.become("replacements", begun.workspace, begun)

    @rule(name=NAMES, failed=st.none() | FAILURES)
    def end_replacement(self, name: str, failed: memory.FailedTemplate | None) -> None:
        failed = dataclasses.replace(failed, workspace=name) if failed else None
        self.ledger.execute(actions.EndReplacement(name, failed), ledgers.NOW)
        self.become("replacements", name, None)
        self.become("failed", name, failed)

    @rule(rollback=ROLLBACKS, asked=st.booleans())
    def begin_rollback(self, rollback: memory.Rollback, asked: bool) -> None:
        if asked:
            self.ledger.request_rollback(rollback)
        else:
            self.ledger.execute(actions.BeginRollback(rollback.workspace, rollback), ledgers.NOW)
        self.become("rollbacks", rollback.workspace, rollback)

    @rule(name=NAMES, pin=st.none() | PINS)
    def end_rollback(self, name: str, pin: memory.Pin | None) -> None:
        pin = dataclasses.replace(pin, workspace=name) if pin else None
        self.ledger.execute(actions.EndRollback(name, pin), ledgers.NOW)
        self.become("rollbacks", name, None)
        self.become("replacements", name, None)
        self.become("pins", name, pin)

    @rule(name=NAMES, container=st.sampled_from("xyz"), at=TIMES)
    def adopt(self, name: str, container: str, at: dt.datetime) -> None:
        adoption = memory.Adoption(container, name, at, "root")
        self.ledger.adopt(adoption)
        self.expected.adopted[container] = adoption

    @rule(name=NAMES, service=st.sampled_from("st"), port=st.integers(1, 4))
    def grant(self, name: str, service: str, port: int) -> None:
        outcome = self.ledger.execute(
            ledgers.grant_ports(ledgers.grant(port, service, name, name), workspace=name), ledgers.NOW
        )
        free = self.expected.grants.get(port, (name, ""))[0] == name
        assert isinstance(outcome, outcomes.Succeeded if free else outcomes.Failed)
        if free:
            kept = {one: holder for one, holder in self.expected.grants.items() if holder != (name, service)}
            self.expected.grants = {**kept, port: (name, service)}

    @rule(name=NAMES, base=st.integers(100, 103), size=st.integers(1, 2), days=st.integers(0, 9))
    def take_block(self, name: str, base: int, size: int, days: int) -> None:
        now = ledgers.NOW + dt.timedelta(days=days)
        self.ledger.execute(ledgers.grant_ports(blocks=(ledgers.block(name, base, size),)), now)
        blocks = self.ledger.recall(NONCE, now).port_blocks
        taken = [port for block in blocks for port in range(block.base, block.base + block.size)]
        assert len(taken) == len(set(taken))

    @rule(name=NAMES, days=st.integers(0, 9))
    def forget_workspace(self, name: str, days: int) -> None:
        self.ledger.execute(actions.ForgetWorkspace(name), ledgers.NOW + dt.timedelta(days=days))
        expected = self.expected
        for kept in (expected.accepted, expected.suspensions, expected.backoffs, expected.restarts):
            kept.pop(name, None)
        expected.requests.pop(name, None)
        expected.given.pop(name, None)
        expected.gpu_waits.pop(name, None)
        expected.removals.pop(name, None)
        expected.pauses.pop(name, None)
        for kind in CHANGES:
            self.become(kind, name, None)
        expected.grants = {port: holder for port, holder in expected.grants.items() if holder[0] != name}

    @rule()
    def next_epoch(self) -> None:
        self.expected.epoch += 1
        assert self.ledger.next_epoch("E", ledgers.NOW) == self.expected.epoch

    @rule(name=NAMES, reason=REASONS)
    def open_intent(self, name: str, reason: Reason) -> None:
        begun = dataclasses.replace(ledgers.decision(name), reason=reason)
        self.expected.open[self.ledger.open_intent(begun, ledgers.NOW)] = (name, self.expected.epoch)

    @rule(number=st.integers(1, 6))
    def resolve_intent(self, number: int) -> None:
        self.ledger.resolve_intent(number, (), ledgers.NOW)
        self.expected.open.pop(number, None)

    @rule()
    def abandon_intents(self) -> None:
        young = {key: one for key, one in self.expected.open.items() if one[1] >= self.expected.epoch}
        assert self.ledger.abandon_intents(ledgers.NOW) == len(self.expected.open) - len(young)
        self.expected.open = young

    @rule(subject=NAMES, message=TEXT)
    def record_event(self, subject: str, message: str) -> None:
        count = self.expected.events.pop((subject, message), 0) + 1
        event = Event(ledgers.NOW, subject, Reason.PAUSED, message, warning=False)
        assert self.ledger.record_event(event).count == count
        self.expected.events[subject, message] = count

    @invariant()
    def the_ledger_recalls_what_is_expected(self) -> None:
        recalled, expected = self.ledger.recall(NONCE, ledgers.NOW), self.expected
        told = self.ledger.events(None, 1000)
        assert recalled == memory.Memory(
            epoch=expected.epoch,
            claim_key=self.ledger.claim_key,
            nonce=NONCE,
            accepted=expected.accepted,
            spec_identity=expected.identity,
            port_blocks=recalled.port_blocks,
            port_holds=recalled.port_holds,
            port_grants=tuple(
                ledgers.grant(port, service, name, name)
                for port, (name, service) in sorted(expected.grants.items())
            ),
            suspensions=expected.suspensions,
            host_pause=expected.pauses.get(None),
            pauses={name: pause for name, pause in expected.pauses.items() if name is not None},
            restarts=expected.restarts,
            backoffs=expected.backoffs,
            open_intents=recalled.open_intents,
            retained={
                container: memory.Retained(container, name, "n", ledgers.NOW, reason)
                for container, (name, reason) in expected.retained.items()
            },
            restart_requests=recalled.restart_requests,
            forget_requests=expected.forgetting,
            removal_requests=expected.removals,
            identities=expected.identities,
            contents=expected.contents,
            asked=expected.asked,
            adopted=expected.adopted,
            given_limits=expected.given,
            cordons=expected.cordons,
            fences=expected.fences,
            gpu_waits=expected.gpu_waits,
            **expected.changes,  # type: ignore[arg-type]
        )
        owners = {block.base: block.owner for block in recalled.port_blocks}
        granted = {name for name, _ in expected.grants.values()}
        assert recalled.port_holds.keys() <= owners.keys()
        assert granted.isdisjoint(owners[base] for base in recalled.port_holds)
        assert all(until > ledgers.NOW for until in recalled.port_holds.values())
        assert recalled.restart_requests == expected.requests
        assert {one.id: (one.workspace, one.epoch) for one in recalled.open_intents} == expected.open
        assert [((one.subject, one.message), one.count) for one in told] == list(expected.events.items())


def test_the_ledger_is_a_durable_dictionary() -> None:
    run_state_machine_as_test(LedgerMachine)
