"""Knows how a simulated host is judged: its ground truth as evidence, before the product's own invariants.

It refuses to have invariants of its own.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from controller.audit.evidence import Evidence, Standing
from controller.audit.invariants import SAFETY
from controller.model.desired import AcceptedSpec
from controller.model.memory import Retained

if TYPE_CHECKING:
    from tests.simulation.world import World

SECRETS: Final = "/run/wharfinger/secrets"
ROOTS: Final = ("/srv/data", SECRETS)
WINDOW: Final = timedelta(minutes=11)
"""As long as the budget looks back, and a little."""
_NO_SPECS: Final[Mapping[str, AcceptedSpec]] = {}
_NOTHING_KEPT: Final[Mapping[str, Retained]] = {}


class ViolatedError(Exception):
    """An invariant does not hold."""

    def __init__(self, invariant: str, message: str) -> None:
        super().__init__(f"{invariant}: {message}")
        self.invariant = invariant
        self.message = message


def look_for_secrets(world: "World", canary: str) -> None:
    """Judge all that was written down of a run: it must not hold a value of a container's environment.

    Raises:
        ViolatedError: it does.
    """
    told = [
        *world.disk.execute("SELECT message, actions, outcomes FROM intents"),
        *world.disk.execute("SELECT subject, message, reason FROM events"),
    ]
    texts = tuple(str(row) for row in told)
    labels = tuple(str(item.config["Labels"]) for item in world.engine.containers.values())
    _check(Evidence(at=world.true_time(), texts=texts + labels, canaries=(canary,)))


def _check(evidence: Evidence) -> None:
    for invariant in SAFETY:
        for violation in invariant.check(evidence):
            raise ViolatedError(violation.invariant, f"{violation.subject}: {violation.message}")


class Judge:
    """Judges what is new since its last look, and what stands otherwise."""

    def __init__(self) -> None:
        self._judged = (0, 0)
        self._standings: tuple[Standing, ...] = ()
        self._retained = _NOTHING_KEPT
        self._accepted = _NO_SPECS

    def look(self, world: "World") -> None:
        """Judge the host as it is after a step.

        Raises:
            ViolatedError: an invariant does not hold.
        """
        known = world.process.ledger._durable.memory if world.process is not None else None
        retained = known.retained if known is not None else self._retained
        accepted = known.accepted if known is not None else self._accepted
        judged = len(world.deeds.all), len(world.engine.happenings)
        moved = world.engine.changed or retained is not self._retained
        if judged == self._judged and not moved and accepted is self._accepted:
            return
        if moved:
            self._standings = world.engine.standings(frozenset(retained))
            world.engine.changed = False
        self._retained, self._accepted = retained, accepted
        evidence = self._evidence(world)
        self._judged = judged
        _check(evidence)

    def _evidence(self, world: "World") -> Evidence:
        # the budget is counted by the wall clock: one that is set gives it back too early
        leapt = world.leapt_at is not None and world.true_time() - world.leapt_at < WINDOW
        return Evidence(
            at=world.true_time(),
            deeds=world.deeds.all,
            happenings=world.engine.happenings,
            standings=self._standings,
            asks=world.asks,
            fresh_deeds=self._judged[0],
            fresh_happenings=self._judged[1],
            epoch=world.process.epoch if world.process else None,
            per_minute=None if leapt else world.scenario.per_minute,
            percent=None if leapt else world.scenario.percent,
            roots=ROOTS,
            spec_digests=world.written,
            accepted={name: spec.digest for name, spec in self._accepted.items()},
            epoch_began=world.epoch_began,
        )
