"""What was begun, and what came of it: each chain of actions is written down before its first call.

It refuses to write down values of a container's environment; the names are enough to explain a decision.
"""

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from controller.ledger import shelves
from controller.ledger.database import Database, Row
from controller.model import actions, outcomes, plan
from controller.model.memory import Cause, Disruption, Intent

T = TypeVar("T")

COUNTED: Final = 2_000
"""How many of the latest disruptions are read at the start: more than any budget allows in ten minutes."""
KEPT: Final = 20_000
"""How many intents are kept; resolved ones beyond go, oldest first."""

_PRUNED_EVERY: Final = 500


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One chain, for `wharf explain`.

    Attributes:
        actions: as JSON objects with the key `action`, without values of the environment.
        outcomes: as JSON objects with the keys `result`, `action`, `seconds` and what else there is to say.
        resolved_at: None while it is under way.
        abandoned: its controller died before it was resolved; what came of it was looked at instead.
        cause: of a disruption that nobody asked for, as the budget counts it.
    """

    id: int
    workspace: str
    opened_at: datetime
    epoch: int
    verdict: str
    reason: str
    message: str
    disrupts: bool
    container_id: str | None
    actions: tuple[Mapping[str, object], ...]
    resolved_at: datetime | None
    abandoned: bool
    outcomes: tuple[Mapping[str, object], ...]
    cause: str | None = None


def open_intents(database: Database, report: Callable[[str], None]) -> tuple[Intent, ...]:
    """Return all intents that are not resolved, oldest first; call `report` for each that cannot be read."""
    rows = database.execute("SELECT * FROM intents WHERE resolved_at IS NULL ORDER BY id")
    return tuple(_readable(rows, _intent, report))


def disruptions(database: Database, report: Callable[[str], None]) -> tuple[Disruption, ...]:
    """Return the latest disruptions that nobody asked for, oldest first."""
    rows = database.execute(
        "SELECT workspace, cause, opened_at FROM intents WHERE cause IS NOT NULL ORDER BY id DESC LIMIT ?",
        (COUNTED,),
    )
    return tuple(_readable(reversed(rows), _disruption, report))


def begin(database: Database, decision: plan.Decision, epoch: int, now: datetime) -> Intent:
    """Write down that a decision's actions are begun."""
    ports = _ports(decision.actions)
    written = [told(action) for action in decision.actions]
    (row,) = database.execute(
        "INSERT INTO intents (workspace, opened_at, epoch, verdict, reason, message, disrupts, container_id,"
        " ports, actions, cause, gpus) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING *",
        (
            decision.workspace,
            shelves.stamp(now),
            epoch,
            decision.verdict,
            decision.reason,
            decision.message,
            decision.disrupts,
            decision.container_id,
            json.dumps(ports),
            json.dumps(written),
            decision.cause if decision.disrupts else None,
            json.dumps(_gpus(decision.actions)),
        ),
    )
    intent = _intent(row)
    if intent.id % _PRUNED_EVERY == 0:
        database.execute("DELETE FROM intents WHERE id <= ? AND resolved_at IS NOT NULL", (intent.id - KEPT,))
    return intent


def resolve(database: Database, intent_id: int, results: tuple[outcomes.Outcome, ...], now: datetime) -> None:
    """Write down what came of an intent; one that is resolved stays as it is."""
    database.execute(
        "UPDATE intents SET resolved_at = ?, outcomes = ? WHERE id = ? AND resolved_at IS NULL",
        (shelves.stamp(now), json.dumps([_result(one) for one in results]), intent_id),
    )


def abandon(database: Database, before_epoch: int, now: datetime) -> int:
    """Resolve the open intents of older epochs as abandoned; return how many there were."""
    rows = database.execute(
        "UPDATE intents SET resolved_at = ?, abandoned = 1 WHERE resolved_at IS NULL AND epoch < ?"
        " RETURNING id",
        (shelves.stamp(now), before_epoch),
    )
    return len(rows)


def entries(database: Database, workspace: str | None, limit: int) -> tuple[Entry, ...]:
    """Return the newest intents of one workspace, or of all, oldest of them first."""
    rows = database.execute(
        "SELECT * FROM intents WHERE ? IS NULL OR workspace = ? ORDER BY id DESC LIMIT ?",
        (workspace, workspace, limit),
    )
    return tuple(_readable(reversed(rows), _entry, lambda _: None))


def complete_since(database: Database) -> datetime | None:
    """Return since when every intent is there: since the first epoch, or since the oldest if some went."""
    rows = database.execute(
        "SELECT CASE WHEN (SELECT max(id) FROM intents) > ? THEN (SELECT min(opened_at) FROM intents)"
        " ELSE (SELECT min(began_at) FROM epochs) END AS since",
        (KEPT,),
    )
    since = rows[0]["since"]
    return None if since is None else datetime.fromisoformat(str(since))


def _readable(rows: Iterable[Row], decode: Callable[[Row], T], report: Callable[[str], None]) -> Iterator[T]:
    for row in rows:
        try:
            value = decode(row)
        except ValueError as error:
            report(f"an intent of {row['workspace']!r} cannot be read and is left as it is: {error}")
            continue
        yield value


def _intent(row: Row) -> Intent:
    return Intent(
        id=int(str(row["id"])),
        workspace=str(row["workspace"]),
        opened_at=datetime.fromisoformat(str(row["opened_at"])),
        epoch=int(str(row["epoch"])),
        verdict=str(row["verdict"]),
        reason=str(row["reason"]),
        ports=tuple(json.loads(str(row["ports"]))),
        images=_images(json.loads(str(row["actions"]))),
        gpus=tuple(json.loads(str(row["gpus"]))),
    )


def _images(told: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """References that a chain pulls, or makes a container from."""
    found = {str(one["reference"]) for one in told if one["action"] == actions.PullImage.__name__}
    found |= {
        str(one["template"]["image"]) for one in told if one["action"] == actions.CreateContainer.__name__
    }
    return tuple(sorted(found))


def _disruption(row: Row) -> Disruption:
    at = datetime.fromisoformat(str(row["opened_at"]))
    return Disruption(str(row["workspace"]), Cause(str(row["cause"])), at)


def _entry(row: Row) -> Entry:
    resolved, container = row["resolved_at"], row["container_id"]
    return Entry(
        id=int(str(row["id"])),
        workspace=str(row["workspace"]),
        opened_at=datetime.fromisoformat(str(row["opened_at"])),
        epoch=int(str(row["epoch"])),
        verdict=str(row["verdict"]),
        reason=str(row["reason"]),
        message=str(row["message"]),
        disrupts=bool(row["disrupts"]),
        container_id=None if container is None else str(container),
        actions=tuple(json.loads(str(row["actions"]))),
        resolved_at=None if resolved is None else datetime.fromisoformat(str(resolved)),
        abandoned=bool(row["abandoned"]),
        outcomes=tuple(json.loads(str(row["outcomes"]))),
        cause=None if row["cause"] is None else str(row["cause"]),
    )


def _ports(chain: tuple[actions.Action, ...]) -> list[int]:
    given: set[int] = set()
    for action in chain:
        if isinstance(action, actions.GrantPorts):
            given.update(grant.port for grant in action.grants)
        elif isinstance(action, actions.CreateContainer):
            given.update(port.host_port for port in action.template.ports)
    return sorted(given)


def _gpus(chain: tuple[actions.Action, ...]) -> list[str]:
    given: set[str] = set()
    for action in chain:
        if isinstance(action, actions.StartContainer):
            given.update(action.gpus)
        elif isinstance(action, actions.CreateContainer) and action.template.gpus is not None:
            given.update(action.template.gpus.uuids)
    return sorted(given)


def told(action: actions.Action) -> Mapping[str, object]:
    """Return an action as it is written down: without values of the environment."""
    if isinstance(action, actions.CreateContainer):
        names = tuple((name, "") for name, _ in action.template.env)
        action = dataclasses.replace(action, template=dataclasses.replace(action.template, env=names))
    return {"action": type(action).__name__, **_fields(action)}


def _result(outcome: outcomes.Outcome) -> object:
    told = {name: value for name, value in _fields(outcome).items() if name != "action"}
    return {"result": type(outcome).__name__, "action": type(outcome.action).__name__, **told}


def _fields(value: actions.Action | outcomes.Outcome) -> dict[str, object]:
    return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}


def _plain(value: object) -> object:
    match value:
        case datetime():
            return shelves.stamp(value)
        case timedelta():
            return value.total_seconds()
        case Mapping():
            return {str(key): _plain(one) for key, one in value.items()}
        case tuple() | frozenset():
            return [_plain(one) for one in value]
        case _ if dataclasses.is_dataclass(value):
            return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        case _:
            return value
