"""Each change of what the ledger remembers, made in the tables and in the image of them at once.

It refuses to make anything durable by itself: that is the transaction around it. What is so already is not
written, and the image comes back as the same object.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from controller.api.conditions import Reason
from controller.ledger import journal, ports, shelves, specs
from controller.ledger.database import Database
from controller.ledger.image import Image
from controller.model import actions, gpus, memory, outcomes, plan
from controller.model.desired import AcceptedSpec

T = TypeVar("T")

COUNTED_FOR: Final = timedelta(minutes=15)
"""How long a disruption is remembered: longer than any budget looks back."""
CHANGES: Final[tuple[shelves.Shelf[Any], ...]] = (
    shelves.HELD,
    shelves.APPROVALS,
    shelves.REPLACEMENTS,
    shelves.ROLLBACKS,
    shelves.PINS,
    shelves.FAILED,
)
"""What is remembered of a workspace's changes; it goes with the workspace."""


def accept(database: Database, image: Image, accepted: Iterable[AcceptedSpec]) -> Image:
    """Put specs in force; their owners' blocks no longer run out."""
    known = image.memory.accepted
    last = {spec.name: spec for spec in accepted}
    changed = {name: spec for name, spec in last.items() if known.get(name) != spec}
    if not changed:
        return image
    for spec in changed.values():
        specs.put(database, spec)
    book = ports.keep(database, image.book, {specs.owner(spec) for spec in changed.values()})
    return image.having(accepted={**known, **changed}).booking(book)


def record_spec_identity(database: Database, image: Image, identity: tuple[int, int]) -> Image:
    """Remember which directory the accepted specs came from."""
    if image.memory.spec_identity == identity:
        return image
    device, inode = map(str, identity)
    shelves.replace_row(database, "spec_directory", {"id": 1, "device": device, "inode": inode})
    return image.having(spec_identity=identity)


def open_intent(
    database: Database, image: Image, decision: plan.Decision, now: datetime
) -> tuple[Image, int]:
    """Write down that a decision's actions are begun; return the number of the intent, too."""
    intent, known = journal.begin(database, decision, image.memory.epoch, now), image.memory
    image = image.having(open_intents=(*known.open_intents, intent))
    if decision.disrupts and decision.cause is not None:
        new = memory.Disruption(decision.workspace, decision.cause, now)
        recent = (one for one in known.disruptions if now - one.at < COUNTED_FOR)
        image = image.having(disruptions=(*recent, new))
    chain = map(journal.told, decision.actions)
    return image.repairing(image.repaired.begun(intent.workspace, intent.verdict, chain, now)), intent.id


def resolve_intent(
    database: Database, image: Image, intent_id: int, results: tuple[outcomes.Outcome, ...], now: datetime
) -> Image:
    """Write down what came of an intent."""
    journal.resolve(database, intent_id, results, now)
    known, book = image.memory.open_intents, image.repaired
    for one in known:
        if one.id == intent_id:
            chain = (journal.told(result.action) for result in results)
            book = book.ended(one.workspace, chain, (type(result).__name__ for result in results))
    return image.having(open_intents=tuple(one for one in known if one.id != intent_id)).repairing(book)


def abandon_intents(database: Database, image: Image, now: datetime) -> tuple[Image, int]:
    """Resolve what controllers of older epochs left open, as abandoned; return how many there were, too."""
    epoch, known, book = image.memory.epoch, image.memory.open_intents, image.repaired
    count = journal.abandon(database, epoch, now)
    for one in known:
        if one.epoch < epoch:
            book = book.ended(one.workspace, (), ())
    rest = tuple(one for one in known if one.epoch >= epoch)
    return image.having(open_intents=rest).repairing(book), count


def put(database: Database, image: Image, shelf: shelves.Shelf[T], key: str, value: T | None) -> Image:
    """Put a value on a shelf, or (None) take away what is there."""
    known: Mapping[str, T] = getattr(image.memory, shelf.table)
    if known.get(key) == value:
        return image
    rest = {name: one for name, one in known.items() if name != key}
    if value is None:
        shelf.remove(database, key)
    else:
        shelf.put(database, key, value)
        rest = {**known, key: value}
    return image.having(**{shelf.table: rest})


def identify(database: Database, image: Image, seen: Iterable[memory.Identity], gone: Iterable[str]) -> Image:
    """Keep identities, and forget those of some instances; what the table has already stays."""
    old = frozenset(gone)
    for instance in old:
        shelves.IDENTITIES.remove(database, instance)
    known = {name: one for name, one in image.memory.identities.items() if name not in old}
    for one in seen:
        rows = database.execute("SELECT container_id FROM identities WHERE instance = ?", (one.instance,))
        if not rows:
            shelves.IDENTITIES.put(database, one.instance, one)
        first = str(rows[0]["container_id"]) if rows else one.container_id
        known[one.instance] = memory.Identity(one.instance, first)
    return image.having(identities=known)


def fence(database: Database, image: Image, fences: Iterable[gpus.Fence], ended: Iterable[str]) -> Image:
    """Put fences, each for the one of its device, and take away those of some devices."""
    for one in fences:
        image = put(database, image, shelves.FENCES, one.uuid, one)
    for uuid in ended:
        image = put(database, image, shelves.FENCES, uuid, None)
    return image


def note_gpu_waits(database: Database, image: Image, waits: Mapping[str, datetime]) -> Image:
    """Put who waits for devices since when, in place of all who did."""
    for workspace in (*waits, *(image.memory.gpu_waits.keys() - waits.keys())):
        image = put(database, image, shelves.GPU_WAITS, workspace, waits.get(workspace))
    return image


def pause(database: Database, image: Image, workspace: str | None, value: memory.Pause | None) -> Image:
    """Put the pause of a workspace or (None) the host, or take it away."""
    if workspace is not None:
        return put(database, image, shelves.PAUSES, workspace, value)
    if image.memory.host_pause == value:
        return image
    if value is None:
        shelves.PAUSES.remove(database, shelves.HOST)
    else:
        shelves.PAUSES.put(database, shelves.HOST, value)
    return image.having(host_pause=value)


def carry_out(  # noqa: C901 - one case for each word of the vocabulary
    database: Database, image: Image, action: actions.LedgerAction, now: datetime
) -> Image:
    """Carry out an action.

    Raises:
        database.Conflict: a port or a block is somebody else's.
    """
    match action:
        case actions.GrantPorts() | actions.ReturnPorts():
            return _book(database, image, action, now)
        case actions.RecordRestarts():
            if action.given is not None:
                image = put(database, image, shelves.GIVEN_LIMITS, action.workspace, action.given)
            return put(database, image, shelves.RESTARTS, action.workspace, action.restarts)
        case actions.RecordLimits():
            return put(database, image, shelves.GIVEN_LIMITS, action.workspace, action.given)
        case actions.RetainContainer():
            return _retain(database, image, action, now)
        case actions.ForgetRetained():
            image = put(database, image, shelves.FORGET_REQUESTS, action.container_id, None)
            return put(database, image, shelves.RETAINED, action.container_id, None)
        case actions.ForgetWorkspace():
            return _forget(database, image, action.workspace, now)
        case actions.CompleteRestart():
            return _complete_restart(database, image, action.workspace)
        case actions.BeginReplacement():
            return put(database, image, shelves.REPLACEMENTS, action.workspace, action.replacement)
        case actions.EndReplacement():
            image = put(database, image, shelves.REPLACEMENTS, action.workspace, None)
            return put(database, image, shelves.FAILED, action.workspace, action.failed)
        case actions.BeginRollback():
            return put(database, image, shelves.ROLLBACKS, action.workspace, action.rollback)
        case actions.EndRollback():
            image = put(database, image, shelves.ROLLBACKS, action.workspace, None)
            image = put(database, image, shelves.REPLACEMENTS, action.workspace, None)
            return put(database, image, shelves.PINS, action.workspace, action.pin)


def _book(
    database: Database, image: Image, action: actions.GrantPorts | actions.ReturnPorts, now: datetime
) -> Image:
    if isinstance(action, actions.GrantPorts):
        book = ports.grant(database, image.book, action.blocks, action.grants, now)
    else:
        book = ports.give_back(database, image.book, action.grants)
    return image if book is image.book else image.booking(book)


def _complete_restart(database: Database, image: Image, workspace: str) -> Image:
    """A restart that a person asked for also forgets which template failed."""
    image = put(database, image, shelves.FAILED, workspace, None)
    return put(database, image, shelves.RESTART_REQUESTS, workspace, None)


def _retain(database: Database, image: Image, action: actions.RetainContainer, now: datetime) -> Image:
    known = image.memory.retained.get(action.container_id)
    value = memory.Retained(
        container_id=action.container_id,
        workspace=action.workspace,
        name=action.name,
        at=known.at if known else now,
        reason=Reason(action.reason),
    )
    return put(database, image, shelves.RETAINED, action.container_id, value)


def _forget(database: Database, image: Image, workspace: str, now: datetime) -> Image:
    image = put(database, image, shelves.SUSPENSIONS, workspace, None)
    image = put(database, image, shelves.PAUSES, workspace, None)
    image = put(database, image, shelves.RESTARTS, workspace, None)
    image = put(database, image, shelves.GIVEN_LIMITS, workspace, None)
    image = put(database, image, shelves.BACKOFFS, workspace, None)
    image = put(database, image, shelves.RESTART_REQUESTS, workspace, None)
    image = put(database, image, shelves.REMOVAL_REQUESTS, workspace, None)
    image = put(database, image, shelves.GPU_WAITS, workspace, None)
    for shelf in CHANGES:
        image = put(database, image, shelf, workspace, None)
    spec = image.memory.accepted.get(workspace)
    owners = {one.owner for one in image.book.grants.values() if one.workspace == workspace}
    if owners:
        image = image.booking(ports.free(database, image.book, workspace))
    if spec is not None:
        specs.remove(database, workspace)
        owners.add(specs.owner(spec))
        rest = {name: one for name, one in image.memory.accepted.items() if name != workspace}
        image = image.having(accepted=rest)
    owners -= {specs.owner(one) for one in image.memory.accepted.values()}
    for owner in owners:
        image = image.booking(ports.release(database, image.book, owner, now))
    return image
