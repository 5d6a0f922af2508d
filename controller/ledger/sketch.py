"""Knows what a ledger would hold after a look, and forgets it: for commands that look while nobody controls.

Refuses to write anything down.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from controller.model import actions, errors
from controller.model.desired import AcceptedSpec
from controller.model.gpus import Fence
from controller.model.memory import BackOff, Content, Held, Identity, Memory
from controller.model.observed import Account
from controller.model.outcomes import Outcome, Succeeded
from controller.model.plan import Decision


class Sketch:
    """A copy of a ledger that takes writes and keeps them to itself."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def recall(self, nonce: bytes, now: datetime) -> Memory:
        """Return the copy as it is now."""
        del now
        return replace(self._memory, nonce=nonce)

    def probe(self, now: datetime) -> None:
        """Nothing needs to be durable here."""

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        """Nothing needs to be atomic here."""
        yield

    def accept(self, accepted: Iterable[AcceptedSpec]) -> None:
        """Take specs as in force."""
        specs = {**self._memory.accepted, **{spec.name: spec for spec in accepted}}
        self._memory = replace(self._memory, accepted=specs)

    def record_spec_identity(self, identity: tuple[int, int]) -> None:
        """Take a directory as the one the specs came from."""
        self._memory = replace(self._memory, spec_identity=identity)

    def record_account(self, account: Account) -> None:
        """Take an account as known."""
        known = {**self._memory.accounts, account.name: account}
        self._memory = replace(self._memory, accounts=known)

    def abandon_intents(self, now: datetime) -> int:
        """Leave intents to whoever wrote them: their chains may be under way."""
        del now
        return 0

    def set_backoff(self, workspace: str, backoff: BackOff | None) -> None:
        """Nothing is tried here, so nothing fails."""

    def clear_suspension(self, workspace: str) -> None:
        """Forget what a person asked for."""
        kept = {name: wish for name, wish in self._memory.suspensions.items() if name != workspace}
        self._memory = replace(self._memory, suspensions=kept)

    def clear_removal(self, workspace: str) -> None:
        """Forget that a person took its file away."""
        kept = {name: one for name, one in self._memory.removal_requests.items() if name != workspace}
        self._memory = replace(self._memory, removal_requests=kept)

    def identify(self, seen: Iterable[Identity], gone: Iterable[str]) -> None:
        """Take containers as those that bear their instances."""
        del gone
        known = {**self._memory.identities, **{one.instance: one for one in seen}}
        self._memory = replace(self._memory, identities=known)

    def record_contents(self, seen: Iterable[Content]) -> None:
        """Take contents as known."""
        known = {**{one.digest: one for one in seen}, **self._memory.contents}
        self._memory = replace(self._memory, contents=known)

    def record_asked(self, reference: str, at: datetime) -> None:
        """Nobody is asked here."""

    def fence(self, fences: Iterable[Fence], ended: Iterable[str]) -> None:
        """Take devices as out of use, and others as well again."""
        known = {**self._memory.fences, **{one.uuid: one for one in fences}}
        gone = frozenset(ended)
        kept = {uuid: one for uuid, one in known.items() if uuid not in gone}
        self._memory = replace(self._memory, fences=kept)

    def note_gpu_waits(self, waits: Mapping[str, datetime]) -> None:
        """Take these as those who wait for devices."""
        self._memory = replace(self._memory, gpu_waits=waits)

    def open_intent(self, decision: Decision, now: datetime) -> int:
        """Nothing is done here."""
        raise errors.Terminal(decision.reason, f"a sketch does nothing ({decision.workspace}, {now})")

    def resolve_intent(self, intent_id: int, results: tuple[Outcome, ...], now: datetime) -> None:
        """Nothing was done here."""

    def hold(self, held: Iterable[Held]) -> None:
        """Nothing is held by a look."""

    def proven_host(self) -> str:
        """A look needs no proof."""
        return ""

    def prove_host(self, identity: str) -> None:
        """A look proves nothing."""

    def execute(self, action: actions.LedgerAction, now: datetime) -> Outcome:
        """Nothing is written here."""
        del now
        return Succeeded(action, 0.0, already=True)
