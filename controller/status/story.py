"""Why a workspace is as it is: what is remembered of it now, and what was decided, done and seen, in order.

Refuses to guess: every line of a story is recorded evidence with its time.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, NotRequired, Protocol, TypedDict

from controller.model.memory import Memory
from controller.model.status import Event, WorkspaceStatus
from controller.status import objects, planned

CHAINS: Final = 20
"""How many of the last chains of actions a story has."""
EVENTS: Final = 40
"""How many of the last events."""


class Chain(Protocol):
    """One chain of actions as the journal has it."""

    @property
    def opened_at(self) -> datetime: ...  # noqa: D102 - as named
    @property
    def resolved_at(self) -> datetime | None: ...  # noqa: D102
    @property
    def abandoned(self) -> bool: ...  # noqa: D102
    @property
    def verdict(self) -> str: ...  # noqa: D102
    @property
    def reason(self) -> str: ...  # noqa: D102
    @property
    def message(self) -> str: ...  # noqa: D102
    @property
    def actions(self) -> Sequence[Mapping[str, object]]: ...  # noqa: D102
    @property
    def outcomes(self) -> Sequence[Mapping[str, object]]: ...  # noqa: D102


class RememberedObject(TypedDict):
    """Something that the ledger keeps of a workspace: since when (where that is known), and the specifics."""

    at: NotRequired[str]
    what: str
    message: str


class EntryObject(TypedDict):
    """One thing that happened: an event, or a chain of actions with what came of each in `details`."""

    time: str
    kind: str
    reason: str
    message: str
    details: list[str]
    count: NotRequired[int]


class StoryObject(TypedDict):
    """All that explains a workspace, as `wharf explain NAME -o json` prints it."""

    workspace: objects.WorkspaceObject
    when: str
    remembered: list[RememberedObject]
    history: list[EntryObject]


def story_object(
    status: WorkspaceStatus, memory: Memory, chains: Iterable[Chain], events: Iterable[Event]
) -> StoryObject:
    """The story of one workspace, oldest first."""
    remembered = sorted(_remembered(status.workspace, memory), key=lambda found: found.get("at", ""))
    timed = [(chain.opened_at, _chain(chain)) for chain in chains]
    timed += [(event.at, _event(event)) for event in events]
    return {
        "workspace": objects.workspace_object(status),
        "when": planned.when_in_words(status.decision),
        "remembered": remembered,
        "history": [entry for _, entry in sorted(timed, key=lambda pair: pair[0])],
    }


def _remembered(name: str, memory: Memory) -> Iterator[RememberedObject]:
    yield from _wishes(name, memory)
    yield from _attempts(name, memory)
    yield from _change(name, memory)
    for kept in memory.retained.values():
        if kept.workspace == name:
            yield _fact(kept.at, "kept container", f"{kept.name} ({kept.reason})")


def _wishes(name: str, memory: Memory) -> Iterator[RememberedObject]:
    for pause in (memory.host_pause, memory.pauses.get(name)):
        if pause is not None:
            yield _fact(pause.at, "paused", f"by {pause.by}: {pause.reason}")
    wish = memory.suspensions.get(name)
    if wish is not None:
        yield _fact(wish.at, "start asked" if wish.running else "stop asked", f"by {wish.by}")
    restart = memory.restart_requests.get(name)
    if restart is not None:
        yield _fact(restart, "restart asked", "not begun yet")


def _attempts(name: str, memory: Memory) -> Iterator[RememberedObject]:
    failure = memory.backoffs.get(name)
    if failure is not None:
        next_ = objects.timestamp(failure.next_attempt)
        text = f"{failure.failures} in a row, tried again at {next_}: {failure.reason}: {failure.message}"
        yield {"what": "failures", "message": text}
    if name in memory.gpu_waits:
        yield _fact(memory.gpu_waits[name], "waits for GPUs", "see: wharf get gpus")
    restarts = memory.restarts.get(name)
    if restarts is not None:
        yield _fact(restarts.last_start, "started again", f"{restarts.count} times since it last ran well")


def _change(name: str, memory: Memory) -> Iterator[RememberedObject]:
    held, approval = memory.held.get(name), memory.approvals.get(name)
    if held is not None:
        yield _fact(held.at, "held", f"by the budget, cause {held.cause}")
    if approval is not None:
        yield _fact(approval.at, "approved", f"by {approval.by}")
    begun, rollback = memory.replacements.get(name), memory.rollbacks.get(name)
    if begun is not None:
        message = f"of {begun.old_id[:12]}, not proven yet"
        yield _fact(begun.begun_at, "replacement begun", message)
    if rollback is not None:
        by = f"asked by {rollback.by}" if rollback.requested else "because the replacement failed"
        yield _fact(rollback.at, "roll-back begun", f"to {rollback.to_id[:12]}, {by}")
    pin, failed = memory.pins.get(name), memory.failed.get(name)
    if pin is not None:
        message = f"{pin.container_id[:12]} stays while the spec is of generation {pin.generation} ({pin.by})"
        yield _fact(pin.at, "pinned", message)
    if failed is not None:
        message = f"template {failed.template_hash} is not tried again by itself: {failed.message}"
        yield _fact(failed.at, "replacement failed", message)


def _fact(at: datetime, what: str, message: str) -> RememberedObject:
    return {"at": objects.timestamp(at), "what": what, "message": message}


def _event(event: Event) -> EntryObject:
    return {
        "time": objects.timestamp(event.at),
        "kind": "warning" if event.warning else "event",
        "reason": str(event.reason),
        "message": event.message,
        "details": [],
        "count": event.count,
    }


def _chain(chain: Chain) -> EntryObject:
    told = [_outcome(outcome) for outcome in chain.outcomes]
    rest = [str(action.get("action", "")) for action in chain.actions]
    if chain.abandoned:
        told = [f"{', '.join(rest)}: the controller ended meanwhile, so what came of it was looked at"]
    elif chain.resolved_at is None:
        told = [f"{', '.join(rest)}: under way"]
    return {
        "time": objects.timestamp(chain.opened_at),
        "kind": "decision",
        "reason": f"{chain.verdict} ({chain.reason})",
        "message": chain.message,
        "details": told,
    }


def _outcome(outcome: Mapping[str, object]) -> str:
    """`StopContainer: Succeeded in 1.2 s`, with the words of what failed."""
    seconds = outcome.get("seconds")
    took = f" in {seconds:.1f} s" if isinstance(seconds, float | int) else ""
    already = " already" if outcome.get("already") else ""
    said = ": ".join(str(outcome[key]) for key in ("reason", "message") if outcome.get(key))
    text = f"{outcome.get('action')}: {outcome.get('result')}{already}{took}"
    return f"{text}: {said}" if said else text
