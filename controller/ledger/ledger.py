"""What only the controller knows, durable before anything rests on it: the single writer of `state.db`.

It refuses to keep what Docker can tell, to write where another controller does, and to answer from anything
that is not durable.
"""

import contextlib
import dataclasses
import os
import secrets
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from controller.api.conditions import Reason
from controller.ledger import chronicle, database, edits, files, image, journal, ports, schema, shelves
from controller.model import actions, errors, gpus, memory, outcomes, plan
from controller.model.desired import AcceptedSpec
from controller.model.observed import Account
from controller.model.status import Event

T = TypeVar("T")

DATABASE: Final = "state.db"
CLAIM_KEY: Final = "claim.key"


class Ledger:
    """The ledger of one state directory. Every method may be called from any thread.

    A method that writes is durable when it returns (outside of `batch`), and raises
    `errors.Retryable(LEDGER_UNAVAILABLE)` if it is not; then nothing of it happened.
    """

    def __init__(
        self, opened: database.Database, claim_key: bytes, findings: Iterable[str], directory: int | None
    ) -> None:
        found = list(findings)
        self._database = opened
        self._directory = directory
        self._lock = threading.RLock()
        self._image = self._durable = image.load(opened, claim_key, found.append)
        self.findings: tuple[plan.HostFinding, ...] = tuple(
            plan.HostFinding(Reason.LEDGER_UNAVAILABLE, DATABASE, message) for message in found
        )
        """What was wrong when it was opened, and what was done about it."""

    @classmethod
    def open(cls, state_dir: Path, now: datetime) -> "Ledger":
        """Open or begin the ledger of a directory, as its only writer.

        A database that is not sound is set aside and a new one begun; `findings` says so.

        Raises:
            errors.Retryable: it cannot be read or written now.
            errors.Terminal: another controller has the directory, the claim key is unsafe, or a newer version
                wrote the database; the message has the remedy.
        """
        path = state_dir.absolute() / DATABASE
        with contextlib.ExitStack() as undo:
            directory = files.take_directory(path.parent)
            undo.callback(os.close, directory)
            key, made = files.claim_key(path.with_name(CLAIM_KEY))
            opened, findings = _open_sound(path)
            undo.callback(opened.close)
            if made and image.last_epoch(opened):
                findings.append(
                    f"{CLAIM_KEY} was missing and a new one was made: all containers of before are foreign "
                    "now; put the old key back from a backup, or adopt them with `wharf adopt`"
                )
            ledger = cls(opened, key, findings, directory)
            ledger.probe(now)
            undo.pop_all()
        return ledger

    @classmethod
    def open_read_only(cls, state_dir: Path) -> "Ledger | None":
        """Take a copy of the ledger as it is now, for commands; None if there is none.

        It works beside a running controller, creates nothing, and every method that writes raises. Without a
        readable claim key it has a random one, by which no container is ours.

        Raises:
            errors.Retryable: the database cannot be read.
            errors.Terminal: the caller may not read it, it is not sound, or a newer version wrote it.
        """
        path = state_dir.absolute() / DATABASE
        try:
            opened = database.open_copy(path, schema.steps())
        except PermissionError as error:
            message = f"you may not read {path}; ask as root"
            raise errors.Terminal(Reason.LEDGER_UNAVAILABLE, message) from error
        except database.Damaged as error:
            raise errors.Terminal(
                Reason.LEDGER_UNAVAILABLE,
                f"{path} is damaged ({error}); the controller sets it aside at its start",
            ) from error
        if opened is None:
            return None
        findings = []
        try:
            key = files.read_claim_key(path.with_name(CLAIM_KEY))
        except (OSError, errors.Terminal) as error:
            key = secrets.token_bytes(files.KEY_LENGTH)
            findings.append(f"{CLAIM_KEY} cannot be used, so no container can be told as ours: {error}")
        return cls(opened, key, findings, None)

    def close(self) -> None:
        """Close the files and let another controller have the directory; closing again does nothing."""
        with self._lock:
            self._database.close()
            if self._directory is not None:
                os.close(self._directory)
                self._directory = None

    @property
    def claim_key(self) -> bytes:
        """The 32 bytes that sign and verify the claim label."""
        return self._durable.memory.claim_key

    def recall(self, nonce: bytes, now: datetime) -> memory.Memory:
        """Return all that is durable, without a query; what a batch under way wrote is not in it.

        What did not change since the last time is the same object. Blocks whose hold is over are left out.
        """
        durable = self._durable
        return dataclasses.replace(
            durable.memory,
            nonce=nonce,
            port_blocks=durable.book.held(now),
            port_grants=tuple(durable.book.grants.values()),
            port_holds=durable.book.holds(now),
            slice_repairs=durable.repaired.within(now),
        )

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        """Make the writes of the block durable together, at its end, or none of them if it raises.

        Other threads' writes wait until then: no effect on anything else belongs into the block.
        """
        with self._lock:
            before, done = self._image, False
            try:
                with self._database.transaction():
                    yield
                done = True
            finally:
                if not done:
                    self._image = before
                elif not self._database.in_transaction:
                    self._durable = self._image

    def probe(self, now: datetime) -> None:
        """Write something small durably, to learn whether that is possible."""
        with self.batch():
            shelves.replace_row(self._database, "probes", {"id": 1, "at": shelves.stamp(now)})

    def next_epoch(self, engine_id: str, now: datetime) -> int:
        """Begin a new epoch, greater than all before; return it."""
        with self.batch():
            epoch = self._image.memory.epoch + 1
            self._database.execute(
                "INSERT INTO epochs (epoch, engine_id, began_at) VALUES (?, ?, ?)",
                (epoch, engine_id, shelves.stamp(now)),
            )
            self._image = self._image.having(epoch=epoch)
        return epoch

    def accept(self, accepted: Iterable[AcceptedSpec]) -> None:
        """Put these specs in force, each for the one of its name; an equal one stays the same object."""
        with self.batch():
            self._image = edits.accept(self._database, self._image, accepted)

    def record_spec_identity(self, identity: tuple[int, int]) -> None:
        """Remember which directory (device, inode) the accepted specs came from."""
        with self.batch():
            self._image = edits.record_spec_identity(self._database, self._image, identity)

    def remember_source(self, kind: str, text: str, digest: str) -> None:
        """Keep the last accepted text of a file, by kind: `policy`, `catalog`."""
        with self.batch():
            row: database.Row = {"kind": kind, "text": text, "digest": digest}
            shelves.replace_row(self._database, "sources", row)

    def remembered_source(self, kind: str) -> tuple[str, str] | None:
        """Return text and digest of the last accepted file of a kind."""
        with self._lock:
            rows = self._database.execute("SELECT text, digest FROM sources WHERE kind = ?", (kind,))
        return (str(rows[0]["text"]), str(rows[0]["digest"])) if rows else None

    def record_account(self, account: Account) -> None:
        """Remember an account as the host knew it last."""
        self._put(shelves.ACCOUNTS, account.name, account)

    def open_intent(self, decision: plan.Decision, now: datetime) -> int:
        """Write down that a decision's actions are begun; return the number by which to resolve it."""
        with self.batch():
            self._image, intent_id = edits.open_intent(self._database, self._image, decision, now)
        return intent_id

    def resolve_intent(self, intent_id: int, results: tuple[outcomes.Outcome, ...], now: datetime) -> None:
        """Write down what came of an intent; to do so again changes nothing."""
        with self.batch():
            self._image = edits.resolve_intent(self._database, self._image, intent_id, results, now)

    def abandon_intents(self, now: datetime) -> int:
        """Resolve what controllers of older epochs left open, as abandoned; return how many there were."""
        with self.batch():
            self._image, count = edits.abandon_intents(self._database, self._image, now)
        return count

    def intents(self, workspace: str | None, limit: int) -> tuple[journal.Entry, ...]:
        """Return the newest chains of one workspace, or of all, newest last."""
        with self._lock:
            return journal.entries(self._database, workspace, limit)

    def complete_since(self) -> datetime | None:
        """Return since when `intents` has every chain; None where nothing is known."""
        with self._lock:
            return journal.complete_since(self._database)

    def set_backoff(self, workspace: str, backoff: memory.BackOff | None) -> None:
        """Keep when a workspace is tried again; None: nothing failed."""
        self._put(shelves.BACKOFFS, workspace, backoff)

    def suspend(self, workspace: str, suspension: memory.Suspension) -> None:
        """Keep a person's `stop` or `start`, in place of the last one."""
        self._put(shelves.SUSPENSIONS, workspace, suspension)

    def clear_suspension(self, workspace: str) -> None:
        """Forget a person's `stop` or `start`."""
        self._put(shelves.SUSPENSIONS, workspace, None)

    def request_restart(self, workspace: str, at: datetime) -> None:
        """Keep that a person asked for a restart, until it was begun."""
        self._put(shelves.RESTART_REQUESTS, workspace, at)

    def pause(self, workspace: str | None, pause: memory.Pause) -> None:
        """Keep that nothing shall be done to a workspace, or (None) on the host."""
        self._pause(workspace, pause)

    def resume(self, workspace: str | None) -> None:
        """Forget the pause of a workspace, or (None) of the host."""
        self._pause(workspace, None)

    def hold(self, held: Iterable[memory.Held]) -> None:
        """Keep what the breaker holds, until it is approved or no longer wanted."""
        with self.batch():
            for one in held:
                self._put(shelves.HELD, one.workspace, one)

    def approve(self, approval: memory.Approval) -> None:
        """Let what is held or parked of a workspace go; a pin ends, too."""
        with self.batch():
            self._put(shelves.APPROVALS, approval.workspace, approval)
            self._put(shelves.HELD, approval.workspace, None)
            self._put(shelves.PINS, approval.workspace, None)

    def request_rollback(self, rollback: memory.Rollback) -> None:
        """Keep that a person asked for the kept container."""
        self._put(shelves.ROLLBACKS, rollback.workspace, rollback)

    def adopt(self, adoption: memory.Adoption) -> None:
        """Keep that a person declared a container ours."""
        self._put(shelves.ADOPTED, adoption.container_id, adoption)

    def request_forgetting(self, container_id: str, at: datetime) -> None:
        """Keep that a person wants a kept container removed."""
        self._put(shelves.FORGET_REQUESTS, container_id, at)

    def request_removal(self, request: memory.RemovalRequest) -> None:
        """Keep that a person took the spec file of a workspace away."""
        self._put(shelves.REMOVAL_REQUESTS, request.workspace, request)

    def clear_removal(self, workspace: str) -> None:
        """Forget that, for the file is there again."""
        self._put(shelves.REMOVAL_REQUESTS, workspace, None)

    def identify(self, seen: Iterable[memory.Identity], gone: Iterable[str]) -> None:
        """Keep which containers were first seen with an instance, and forget instances that none bears."""
        with self.batch():
            self._image = edits.identify(self._database, self._image, seen, gone)

    def record_contents(self, seen: Iterable[memory.Content]) -> None:
        """Keep which content references had here; what is known keeps its first time."""
        with self.batch():
            for one in seen:
                if one.digest not in self._image.memory.contents:
                    self._put(shelves.CONTENTS, one.digest, one)

    def record_asked(self, reference: str, at: datetime) -> None:
        """Keep when the registry of a reference was asked last."""
        self._put(shelves.ASKED, reference, at)

    def cordon(self, cordon: gpus.Cordon) -> None:
        """Keep that a person took a device out of use, in place of what was said of it before."""
        self._put(shelves.CORDONS, cordon.uuid, cordon)

    def uncordon(self, uuid: str) -> None:
        """Forget that."""
        self._put(shelves.CORDONS, uuid, None)

    def fence(self, fences: Iterable[gpus.Fence], ended: Iterable[str]) -> None:
        """Keep which devices are out of use by themselves, and forget those that are well again."""
        with self.batch():
            self._image = edits.fence(self._database, self._image, fences, ended)

    def note_gpu_waits(self, waits: Mapping[str, datetime]) -> None:
        """Keep who waits for devices since when, in place of all who did."""
        with self.batch():
            self._image = edits.note_gpu_waits(self._database, self._image, waits)

    def proven_host(self) -> str:
        """Return the identity of the host at the last complete look, empty before the first."""
        with self._lock:
            rows = self._database.execute("SELECT identity FROM proven_host")
        return str(rows[0]["identity"]) if rows else ""

    def prove_host(self, identity: str) -> None:
        """Keep the identity of a host that was looked at completely."""
        with self.batch():
            shelves.replace_row(self._database, "proven_host", {"id": 1, "identity": identity})

    def record_event(self, event: Event) -> Event:
        """Write down an event; return it with its count and first time."""
        with self.batch():
            return chronicle.record(self._database, event)

    def events(self, subject: str | None, limit: int) -> tuple[Event, ...]:
        """Return the newest events about a subject, or about all, newest last."""
        with self._lock:
            return chronicle.events(self._database, subject, limit)

    def execute(self, action: actions.LedgerAction, now: datetime) -> outcomes.Outcome:
        """Carry out an action that only writes here.

        A port that somebody else holds is `Failed(PORT_TAKEN)`, an unusable ledger
        `Failed(LEDGER_UNAVAILABLE)`; then nothing of the action happened.
        """
        begun = time.monotonic()
        before = self._image
        try:
            with self.batch():
                before = self._image
                self._image = edits.carry_out(self._database, self._image, action, now)
                already = self._image is before
        except database.Conflict as error:
            self._read_ports()
            seconds = time.monotonic() - begun
            return outcomes.Failed(action, seconds, Reason.PORT_TAKEN, str(error), retryable=True)
        except errors.Retryable as error:
            seconds = time.monotonic() - begun
            return outcomes.Failed(action, seconds, error.reason, error.message, retryable=True)
        return outcomes.Succeeded(action, time.monotonic() - begun, already=already)

    def _read_ports(self) -> None:
        """Learn from the tables what they hold: another writer's grants would be in the way for ever."""
        with contextlib.suppress(errors.Retryable), self.batch():
            book = ports.load(self._database, lambda _: None)
            if book != self._image.book:
                self._image = self._image.booking(book)

    def _put(self, shelf: shelves.Shelf[T], key: str, value: T | None) -> None:
        with self.batch():
            self._image = edits.put(self._database, self._image, shelf, key, value)

    def _pause(self, workspace: str | None, pause: memory.Pause | None) -> None:
        with self.batch():
            self._image = edits.pause(self._database, self._image, workspace, pause)


def _open_sound(path: Path) -> tuple[database.Database, list[str]]:
    steps = schema.steps()
    try:
        return database.open_file(path, steps), []
    except database.Damaged as error:
        aside = files.set_aside(path)
        message = (
            f"{path} was damaged ({error}); it is kept as {aside.name} and a new one was begun: what it "
            "alone knew (stops and pauses by people, port grants, events) is gone, what runs goes on"
        )
        return database.open_file(path, steps), [message]
