"""Knows which owners use a host: whose workspaces run or are to run, and what memory they are promised.

Refuses to promise more memory than the host has: who runs comes first, and who is too much waits.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from controller.api import quantities
from controller.model.desired import AcceptedSpec
from controller.model.effective import Refusal
from controller.model.memory import Memory
from controller.model.plan import Verdict
from controller.model.slices import UNLIMITED, SliceLimits
from controller.planning import resolve
from controller.planning.case import Beyond, Blueprint, Ours, should_run
from controller.planning.quotas import Member
from controller.planning.standing import Standing

Designs = Mapping[str, Blueprint | Refusal]
_NOTHING = Ours()
_ENDS = frozenset({Verdict.STOP, Verdict.REMOVE})


@dataclass(frozen=True, slots=True)
class Tenancy:
    """Who uses the host in one pass.

    Attributes:
        active: owners of whom something runs, or is to run.
        guaranteed: bytes of memory for the owner, of those to whom any are.
        promised: workspaces that wait because they would be guaranteed too much, with the numbers.
    """

    active: frozenset[str]
    guaranteed: Mapping[str, int] = field(default_factory=dict)
    promised: Mapping[str, str] = field(default_factory=dict)


class Tenants:
    """Keeps in mind from pass to pass who owns what, while that stays the same."""

    def __init__(self) -> None:
        self._designs: Designs | None = None
        self.owned: Mapping[str, tuple[AcceptedSpec, ...]] = {}
        """Every owner's specs."""
        self.owner_of: Mapping[str, str] = {}
        """Whose each workspace is."""
        self.limits: Mapping[str, SliceLimits | None] = {}
        """What the policy asks of the owners whom it limits; None while that is not known."""
        self.reserving: frozenset[str] = frozenset()
        """Owners to whom memory may be guaranteed."""

    def enter(self, specs: Mapping[str, AcceptedSpec], designs: Designs, standing: Standing | None) -> None:
        """Take note of the workspaces; `designs` must be another object where anything of them is another."""
        if designs is self._designs:
            return
        owned: dict[str, list[AcceptedSpec]] = {}
        reserving = set()
        for spec in specs.values():
            owner = resolve.owner_of(spec.workspace)
            owned.setdefault(owner, []).append(spec)
            if _reservation(designs.get(spec.name), _NOTHING):
                reserving.add(owner)
        self._designs = designs
        self.owned = {owner: tuple(theirs) for owner, theirs in owned.items()}
        self.owner_of = {spec.name: owner for owner, theirs in owned.items() for spec in theirs}
        asked = ((owner, None if standing is None else limits_of(standing, owner)) for owner in owned)
        self.limits = {owner: found for owner, found in asked if found is not UNLIMITED}
        guaranteed = {owner for owner, found in self.limits.items() if found is not None and found.memory_low}
        self.reserving = frozenset(reserving | guaranteed)

    def tenancy(
        self,
        designs: Designs,
        index: Mapping[str, Ours],
        memory: Memory,
        beyond: Mapping[str, Beyond],
        total: int,
    ) -> Tenancy:
        """Return who uses the host; `total` is its memory, bytes."""
        begun = frozenset(one.workspace for one in memory.open_intents if one.verdict not in _ENDS)
        members: dict[str, list[Member]] = {}
        active = set()
        for owner, specs in self.owned.items():
            for spec in specs:
                ours, design = index.get(spec.name, _NOTHING), designs[spec.name]
                runs = bool(ours.running()) or ours.unknown or spec.name in begun
                wanted = _is_wanted(spec, design, memory)
                if not (runs or wanted):
                    continue
                active.add(owner)
                held = spec.name in beyond or spec.name in memory.pauses
                if owner in self.reserving and (runs or not held):
                    members.setdefault(owner, []).append(Member(spec, design, ours, runs, wanted))
        if not members:
            return Tenancy(frozenset(active))
        book = _Promises(self.limits, total)
        promised = dict(book.enter(member for theirs in members.values() for member in theirs))
        return Tenancy(frozenset(active), book.given, promised)


def limits_of(standing: Standing, owner: str) -> SliceLimits | None:
    """Return what the policy asks of an owner's slice, None while that is not known."""
    place = standing.profile(owner)
    return None if isinstance(place, Refusal) else place.limits


def _is_wanted(spec: AcceptedSpec, design: Blueprint | Refusal, memory: Memory) -> bool:
    return (
        isinstance(design, Blueprint)
        and spec.missing_since is None
        and should_run(design.effective, memory.suspensions.get(spec.name))
    )


def _reservation(design: Blueprint | Refusal | None, ours: Ours) -> int:
    if isinstance(design, Blueprint):
        return design.effective.limits.memory_reservation or 0
    return 0 if ours.main is None else ours.main.configuration.limits.memory_reservation or 0


@dataclass
class _Promises:
    """Memory that is guaranteed: to each owner the policy's word, or all reservations, whichever is more."""

    limits: Mapping[str, SliceLimits | None]
    total: int
    given: dict[str, int] = field(default_factory=dict)
    _reserved: dict[str, int] = field(default_factory=dict)
    _running: set[str] = field(default_factory=set)

    def enter(self, members: Iterable[Member]) -> Iterator[tuple[str, str]]:
        """Promise to one after another; yield who has to wait, with the numbers."""
        for member in sorted(members, key=lambda one: one.place):
            owner, own = resolve.owner_of(member.spec.workspace), _reservation(member.design, member.ours)
            asked = self.limits.get(owner)
            floor = 0 if asked is None else asked.memory_low
            reserved = self._reserved.get(owner, 0) + own
            after = max(floor, reserved)
            sum_ = sum(self.given.values()) - self.given.get(owner, 0) + after
            if not member.runs and sum_ > self.total and after > self.given.get(owner, 0):
                yield member.spec.name, self._words(owner, after, sum_)
                continue
            self.given[owner], self._reserved[owner] = after, reserved
            if member.runs:
                self._running.add(owner)

    def _words(self, owner: str, after: int, sum_: int) -> str:
        rest = sorted(self.given.items(), key=lambda one: (-one[1], one[0]))
        held = ", ".join(f"{name} {self._amount(name, amount)}" for name, amount in rest[:5] if amount)
        more = ", ..." if len(rest) > 5 else ""  # noqa: PLR2004 - who has most is named
        return (
            f"with it {quantities.format_bytes(after)} would be guaranteed to {owner} and "
            f"{quantities.format_bytes(sum_)} in all, and the host has "
            f"{quantities.format_bytes(self.total)} (guaranteed now: {held or 'nothing'}{more})"
        )

    def _amount(self, owner: str, amount: int) -> str:
        idle = "" if owner in self._running else ", who does not run and comes first"
        return quantities.format_bytes(amount) + idle
