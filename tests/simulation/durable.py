"""Knows what survives a kill of the controller: the real ledger on a database in memory, torn at its commits.

It refuses to be a second ledger: tables, transactions and image are the product's own.
"""

import contextlib
import dataclasses
import functools
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from controller.audit.evidence import Deed
from controller.ledger import database, journal, schema
from controller.ledger.ledger import Ledger
from controller.model import outcomes, plan

BEFORE, AFTER = "before commit", "after commit"


@functools.cache
def _empty() -> bytes:
    """A database with the product's schema, as bytes."""
    connection = database._connect(":memory:")
    database._migrate(connection, schema.steps(), None)
    return connection.serialize()


def begin() -> sqlite3.Connection:
    """A new database; it lives as long as the host."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.deserialize(_empty())
    return connection


class TornDatabase(database.Database):
    """A database whose commits may be struck: `strike` is told of each moment and may raise."""

    def __init__(self, connection: sqlite3.Connection, strike: Callable[[str], None]) -> None:
        super().__init__(connection, None)
        self._strike = strike
        self.kept: list[Callable[[], None]] = []

    def execute(self, sql: str, values: Sequence[database.Value] = ()) -> list[database.Row]:
        if sql != "COMMIT":
            return super().execute(sql, values)
        self._strike(BEFORE)
        rows = super().execute(sql, values)
        told, self.kept = self.kept, []
        for tell in told:
            tell()
        self._strike(AFTER)
        return rows


class Deeds:
    """The actions of all chains, in the order of their intents, as the journal has them."""

    def __init__(self, true_time: Callable[[], datetime]) -> None:
        self.all: list[Deed] = []
        self._true_time = true_time
        self._places: dict[int, range] = {}
        self._open: dict[int, int] = {}

    def begin(self, intent: int, epoch: int, decision: plan.Decision, at: datetime) -> None:
        first = len(self.all)
        self.all.extend(
            Deed(
                at=at,
                intent=intent,
                place=place,
                epoch=epoch,
                workspace=decision.workspace,
                verdict=decision.verdict,
                reason=decision.reason,
                cause=decision.cause,
                disrupts=decision.disrupts,
                kind=type(action).__name__,
                facts=journal._fields(action),
                result="",
                resolved_at=None,
            )
            for place, action in enumerate(decision.actions)
        )
        self._places[intent] = range(first, len(self.all))
        self._open[intent] = epoch

    def end(self, intent: int, results: tuple[outcomes.Outcome, ...]) -> None:
        """Results are those of the last actions; what came before them was written with the intent."""
        if self._open.pop(intent, None) is None:
            return
        places = self._places[intent]
        done = [one.action for one in results]
        first = next((p for p in places if done and self.all[p].kind == type(done[0]).__name__), places.stop)
        for place in places:
            if place < first:
                self._mark(place, "Succeeded")
            else:
                reached = place - first < len(results)
                self._mark(place, type(results[place - first]).__name__ if reached else "")

    def abandon(self, before_epoch: int) -> None:
        for intent in [intent for intent, epoch in self._open.items() if epoch < before_epoch]:
            del self._open[intent]
            for place in self._places[intent]:
                self._mark(place, "Abandoned")

    def _mark(self, place: int, result: str) -> None:
        self.all[place] = dataclasses.replace(self.all[place], result=result, resolved_at=self._true_time())


class WitnessedLedger(Ledger):
    """The real ledger; each transaction begins when the scheduler says so, and its intents are witnessed.

    `pause` gives the thread away before a transaction; `true` tells the true time of a pass's own.
    """

    def __init__(
        self,
        torn: TornDatabase,
        claim_key: bytes,
        deeds: Deeds,
        pause: Callable[[], None],
        true: Callable[[datetime], datetime],
    ) -> None:
        super().__init__(torn, claim_key, (), None)
        self._torn = torn
        self._deeds = deeds
        self._true = true
        self._give_way = pause

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        if self._torn.in_transaction:
            with super().batch():
                yield
            return
        self._give_way()
        self._torn.kept.clear()
        with super().batch():
            yield

    def open_intent(self, decision: plan.Decision, now: datetime) -> int:
        with self.batch():
            intent = super().open_intent(decision, now)
            epoch, at = self._image.memory.epoch, self._true(now)
            self._torn.kept.append(lambda: self._deeds.begin(intent, epoch, decision, at))
        return intent

    def resolve_intent(self, intent_id: int, results: tuple[outcomes.Outcome, ...], now: datetime) -> None:
        with self.batch():
            super().resolve_intent(intent_id, results, now)
            self._torn.kept.append(lambda: self._deeds.end(intent_id, results))

    def abandon_intents(self, now: datetime) -> int:
        with self.batch():
            count = super().abandon_intents(now)
            epoch = self._image.memory.epoch
            self._torn.kept.append(lambda: self._deeds.abandon(epoch))
        return count
