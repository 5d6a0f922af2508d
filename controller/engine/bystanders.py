"""Knows which containers that are not ours may use a GPU, and asks the Engine about each only once.

It refuses to say who uses one, which processes tell, and to take "no answer" for "has none": then all are
Unseen.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from controller.api.conditions import Reason
from controller.engine import calls, gpus, transport
from controller.model import errors, observed
from controller.model.gpus import Attached, Bystander

SILENCE = timedelta(minutes=1)
"""How long a container that did not answer is not asked about again: each silence costs a pass its time."""
RESTING_A_PASS: Final = 100
"""So many that do not run are asked about in a pass: there may be thousands, and they use nothing yet."""
NOT_ASKED: Final = observed.Unseen(
    Reason.NOT_SEEN,
    "there were no GPUs yet when containers of others were looked at",
    datetime.min.replace(tzinfo=UTC),
)
"""What is known where they do not matter: GPUs may come before anybody looks at those."""
FIELDS: Final = ("Id", "Names", "State")
"""What is needed of a row of the Engine's list: there may be thousands of others, and each is long."""
_AT_REST = frozenset({"created", "exited"})
"""States of the Engine's in which a container has no processes for certain."""


@dataclass(frozen=True, slots=True)
class _Made:
    """How a container was made, which never changes."""

    attached: Attached
    honours: bool


class Bystanders:
    """Looks at the containers of others; for the observer's thread alone.

    `wanted` says whether they matter now.
    """

    def __init__(self, client: calls.EngineClient, wanted: Callable[[], bool]) -> None:
        self._client = client
        self._wanted = wanted
        self._made: dict[str, _Made | None] = {}
        self._silent: dict[str, datetime] = {}
        self._unseen: observed.Unseen | None = None

    def forget(self) -> None:
        """Ask about every container anew: it may be another Engine."""
        self._made.clear()
        self._silent.clear()

    def look(
        self, rows: Iterable[transport.Row], default_runtime: str, deadline: float, now: datetime
    ) -> Mapping[str, Bystander] | observed.Unseen:
        """Those that may use a GPU, by full id; `NOT_ASKED` where that does not matter.

        Args:
            rows: `FIELDS` of the Engine's list, of containers that are not ours.
            default_runtime: of the Engine.
            deadline: of the monotonic clock, seconds: the rest is asked about in the next pass.
            now: since when they are Unseen, if they are from now on.
        """
        if not self._wanted():
            return NOT_ASKED
        listed = {str(row["Id"]): row for row in rows}
        self._made = {known: made for known, made in self._made.items() if known in listed}
        self._silent = {known: at for known, at in self._silent.items() if known in listed}
        for new in self._new(listed):
            if time.monotonic() < deadline and not self._is_silent(new, now):
                self._ask(new, default_runtime, now)
        missed = sorted(new for new in listed.keys() - self._made.keys() if not _rests(listed[new]))
        if missed:
            since = now if self._unseen is None else self._unseen.since
            message = f"{_name(listed[missed[0]])} could not be inspected: it may use any GPU"
            self._unseen = observed.Unseen(Reason.NOT_SEEN, message, since)
            return self._unseen
        self._unseen = None
        return {
            known: Bystander(known, _name(row), not _rests(row), made.attached, made.honours)
            for known, row in listed.items()
            if (made := self._made.get(known)) is not None
        }

    def _new(self, listed: Mapping[str, transport.Row]) -> list[str]:
        """Those that nothing is known of: who runs first, then a few of those at rest."""
        new = sorted(listed.keys() - self._made.keys(), key=lambda one: (_rests(listed[one]), one))
        running = sum(not _rests(listed[one]) for one in new)
        return new[: running + RESTING_A_PASS]

    def _is_silent(self, container_id: str, now: datetime) -> bool:
        """Whether it did not answer lately; a time to come is one of a clock that was set back."""
        at = self._silent.get(container_id)
        return at is not None and timedelta(0) <= now - at < SILENCE

    def _ask(self, container_id: str, default_runtime: str, now: datetime) -> None:
        try:
            row = self._client.inspect_container(container_id)
        except errors.EffectError:
            self._silent[container_id] = now
        else:
            self._made[container_id] = None if row is None else _made(row, default_runtime)
            self._silent.pop(container_id, None)


def _made(row: transport.Row, default_runtime: str) -> _Made | None:
    """How a container was made, or None where no GPU can come of it."""
    env = dict(
        item.partition("=")[::2] for item in row["Config"].get("Env") or ()
    )  # of others nothing is kept
    attached = gpus.parse(row["HostConfig"], env)
    honours = gpus.reads_the_variable(row["HostConfig"], default_runtime)
    return _Made(attached, honours) if gpus.uses_any(attached, honours=honours) else None


def _rests(row: transport.Row) -> bool:
    return row["State"] in _AT_REST


def _name(row: transport.Row) -> str:
    return str((row["Names"] or [""])[0]).removeprefix("/")
