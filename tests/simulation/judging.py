"""Knows how a simulated host is judged: its ground truth as evidence, before the product's own invariants.

It refuses to have invariants of its own, but for one that only two controllers without a lock could break.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from controller.api import labels
from controller.audit import tracing
from controller.audit.evidence import Evidence, Happening, Standing
from controller.audit.finding import Invariant, Violation, nothing
from controller.audit.invariants import SAFETY
from controller.model.desired import AcceptedSpec
from controller.model.memory import Retained
from tests.simulation import gpu_verdicts, slice_verdicts

if TYPE_CHECKING:
    from tests.simulation.world import World

SECRETS: Final = "/run/wharfinger/secrets"
ROOTS: Final = ("/srv/data", SECRETS)
WINDOW: Final = timedelta(minutes=11)
"""As long as the budget looks back, and a little."""


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
    marks = tuple(str(item.config["Labels"]) for item in world.engine.containers.values())
    _check(SAFETY, Evidence(at=world.true_time(), texts=texts + marks, canaries=(canary,)))


def _check(invariants: Sequence[Invariant], evidence: Evidence) -> None:
    for invariant in invariants:
        for violation in invariant.check(evidence):
            raise ViolatedError(violation.invariant, f"{violation.subject}: {violation.message}")


def made_once(evidence: Evidence) -> Iterator[Violation]:
    """No two containers have one name, and controllers give no instance, which stands in names, to two."""
    names = Counter(standing.name for standing in evidence.standings)
    for name, times in names.items():
        if times > 1:
            yield Violation("names", evidence.at, name, f"{times} containers have this name")
    for made in tracing.by_controller(evidence, "create"):
        instance = _instance(evidence, made)
        others = (one for one in evidence.happenings if one.what == "create" and one.by == made.by)
        if instance and any(one is not made and _instance(evidence, one) == instance for one in others):
            yield Violation("names", made.at, made.name, f"{instance} is the instance of two")


def _instance(evidence: Evidence, made: Happening) -> str:
    """The instance of a container that a controller made."""
    deed = tracing.deed(tracing.chain(evidence, made.intent), made)
    given = deed.facts["labels"] if deed else {}
    return str(given[labels.INSTANCE]) if isinstance(given, Mapping) else ""


_BY_ID: Final = {invariant.id: invariant for invariant in SAFETY}
WITHOUT_LOCK: Final = (
    *(_BY_ID[one] for one in ("S1", "S2", "S4", "S5", "S6", "S7", "S8", "S12", "S13", "S14")),
    Invariant("names", "Names are the mutex", made_once, nothing),
)
"""What must not happen although two controllers are at work with one ledger.

Not promised then are S3 and S10, as the memory of one lacks what people said to the other, and what the
other disrupted; S9, which says that there is one; and S11, as the younger gives up what the older has begun.
A start may meet another one that began after the comparison (S7, docs/known-flaws.md).
"""
WHAT_STANDS: Final = (_BY_ID["S12"],)
"""What is judged of the memory of each controller but the first, with which the rest is."""


class Judge:
    """Judges what is new since its last look, and what stands otherwise, by some of the invariants."""

    def __init__(self, invariants: Sequence[Invariant]) -> None:
        self._invariants = invariants
        self._judged = (0, 0)
        self._standings: tuple[Standing, ...] = ()
        self._retained: tuple[Mapping[str, Retained], ...] = ()
        self._accepted: tuple[Mapping[str, AcceptedSpec], ...] = ()

    def look(self, world: "World") -> None:
        """Judge the host as it is after a step.

        Raises:
            ViolatedError: an invariant does not hold.
        """
        _look_at_gpus(world)
        _look_at_slices(world)
        known = [process.ledger._durable.memory for process in world.processes]
        retained = tuple(one.retained for one in known) or self._retained
        accepted = tuple(one.accepted for one in known) or self._accepted
        judged = len(world.deeds.all), len(world.engine.happenings)
        moved = world.engine.changed or retained != self._retained
        if judged == self._judged and not moved and accepted == self._accepted:
            return
        if moved:
            self._standings = world.engine.standings(frozenset().union(*retained))
            world.engine.changed = False
        self._retained, self._accepted = retained, accepted
        evidence = self._evidence(world)
        self._judged = judged
        _check(self._invariants, evidence)
        for others in self._accepted[1:]:
            _check(WHAT_STANDS, replace(evidence, accepted=_digests(others)))

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
            epoch=world.process.epoch if world.process and not world.lockless else None,
            per_minute=None if leapt else world.scenario.per_minute,
            percent=None if leapt else world.scenario.percent,
            roots=ROOTS,
            spec_digests=world.written,
            accepted=_digests(self._accepted[0]) if self._accepted else {},
            epoch_began=world.epoch_began,
            enforced=world.enforced,
        )


def _look_at_gpus(world: "World") -> None:
    """Judge each start with devices; who had them is known of that very moment."""
    board = world.board
    if board is None or not board.given:
        return
    epoch = world.process.epoch if world.process and not world.lockless else None
    fresh, board.given = board.given, []
    for given in fresh:
        world.counts["started with devices"] += 1
        for violation in gpu_verdicts.judged(board, given, lockless=world.lockless, epoch=epoch):
            raise ViolatedError(violation.invariant, f"{violation.subject}: {violation.message}")


def _look_at_slices(world: "World") -> None:
    """Judge each start in a slice; what limits it had then is known of that very moment."""
    host = world.slices
    if host is None or not host.started:
        return
    fresh, host.started = host.started, []
    for started in fresh if not world.lockless else ():
        sight = started.by.slices
        since = sight.taken_at if sight is not None else started.at
        lawful = tuple(law for at, law in world.in_force if at >= since)
        touched = host.touched.get(started.parent)
        world.counts["started in slices"] += bool(started.limits)
        for violation in slice_verdicts.judged(started, host.tree, lawful, touched):
            raise ViolatedError(violation.invariant, f"{violation.subject}: {violation.message}")


def _digests(accepted: Mapping[str, AcceptedSpec]) -> dict[str, str]:
    return {name: spec.digest for name, spec in accepted.items()}
