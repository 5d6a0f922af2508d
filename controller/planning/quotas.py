"""Knows which workspaces of an owner find room beneath the owner's quotas, and which are beyond them.

Refuses to act on it, and to let one that waits take the place of one that runs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import Final

from controller.api import quantities
from controller.api.conditions import Reason
from controller.api.presets import Enforcement, LimitName
from controller.model.desired import AcceptedSpec
from controller.model.effective import Effective, OwnerQuotas, Refusal
from controller.model.memory import Memory
from controller.model.observed import Container
from controller.model.plan import Verdict
from controller.planning.case import Beyond, Blueprint, Ours, should_run
from controller.planning.memo import Memo

Designs = Mapping[str, Blueprint | Refusal]
Amounts = Mapping[str, int | Fraction]
"""By the name of a total in the policy: `cpus`, `memory`, ..."""

_NOTHING: Final = Ours()
_ENDS: Final = frozenset({Verdict.STOP, Verdict.REMOVE})
_ENFORCED: Final = frozenset(LimitName)


@dataclass(frozen=True, slots=True)
class Household:
    """One owner's workspaces, with what the owner may have in all."""

    owner: str
    quotas: OwnerQuotas
    specs: tuple[AcceptedSpec, ...]


class Register:
    """Judges the whole host at once. It keeps in mind which owners could be beyond their quotas at all."""

    def __init__(self) -> None:
        self._designs: Designs = {}
        self._households: tuple[Household, ...] = ()
        self._judged: Memo[Mapping[str, Beyond]] = Memo()

    def beyond(
        self,
        specs: Mapping[str, AcceptedSpec],
        designs: Designs,
        containers: Mapping[str, Ours],
        memory: Memory,
        enforce: Mapping[LimitName, Enforcement],
    ) -> Mapping[str, Beyond]:
        """Return what is beyond its owner's quotas, by workspace: it may not start, or has more than it may.

        `designs` must be another object where any of them, or of the specs, is another.
        """
        if designs is not self._designs:
            self._designs, self._households = designs, tuple(_tight(specs, designs))
            self._judged = Memo()
        found: dict[str, Beyond] = {}
        for household in self._households:
            seen = [containers.get(spec.name, _NOTHING) for spec in household.specs]
            rests_on = [part for ours in seen for part in (ours.main, ours.unknown, *ours.others)]
            judge = _Account(household, designs, containers, memory, enforce).judge
            arguments = (memory.suspensions, memory.open_intents, enforce, *rests_on)
            found.update(self._judged.get(household.owner, arguments, judge))
        return found


def _tight(specs: Mapping[str, AcceptedSpec], designs: Designs) -> Iterator[Household]:
    """Return the owners whose workspaces would not all have room if every one of them ran."""
    owned: dict[str, list[AcceptedSpec]] = {}
    for spec in specs.values():
        owned.setdefault(spec.workspace.spec.owner or spec.name, []).append(spec)
    for owner, theirs in owned.items():
        resolved = [
            design.effective for spec in theirs if isinstance(design := designs.get(spec.name), Blueprint)
        ]
        if not resolved:
            continue
        quotas = resolved[0].quotas
        wanted = {name: sum(_needs(one, quotas)[name] for one in resolved) for name in _totals(quotas)}
        counts = ((len(theirs), quotas.workspaces), (len(resolved), quotas.running_workspaces))
        crowded = any(cap is not None and count > cap for count, cap in counts)
        if crowded or any(wanted[name] > cap for name, cap in _totals(quotas).items()):
            yield Household(owner, quotas, tuple(theirs))


def _totals(quotas: OwnerQuotas) -> Amounts:
    """Return the caps on what running workspaces have together, those that there are."""
    gpus = None if quotas.gpu_equivalents is None else Fraction(quotas.gpu_equivalents)
    caps = {
        "gpuEquivalents": gpus,
        "cpus": quotas.cpus,
        "memory": quotas.memory,
        "shm": quotas.shm,
        "pids": quotas.pids,
    }
    return {name: cap for name, cap in caps.items() if cap is not None}


def _needs(effective: Effective, quotas: OwnerQuotas) -> Amounts:
    """Return what a workspace takes of each total while it runs; what is unlimited takes all of it."""
    wanted: dict[str, int | Fraction | None] = {
        "gpuEquivalents": effective.gpu_equivalents,
        "cpus": effective.limits.nano_cpus,
        "memory": effective.limits.memory,
        "shm": effective.shm,
        "pids": effective.limits.pids,
    }
    return {name: cap if (need := wanted[name]) is None else need for name, cap in _totals(quotas).items()}


def _has(container: Container, needs: Amounts) -> Amounts:
    """Return what a running workspace takes: no more than it has, where it shall have more."""
    limits = container.configuration.limits
    there = {"cpus": limits.nano_cpus, "memory": limits.memory, "pids": limits.pids}
    return {
        name: need if (has := there.get(name)) is None else min(need, has) for name, need in needs.items()
    }


@dataclass(frozen=True, slots=True)
class Member:
    """One workspace of an owner, and what counts for its place among the others.

    Attributes:
        runs: a container of it runs, or may, or is being started.
        wanted: it shall run.
    """

    spec: AcceptedSpec
    design: Blueprint | Refusal
    ours: Ours
    runs: bool
    wanted: bool

    @property
    def place(self) -> tuple[int, float, datetime, str]:
        """What runs comes first; then what ran, the latest first; then the oldest spec."""
        ends = [c.finished_at for c in self.ours.all() if c.started_at is not None and c.finished_at]
        if self.runs:
            return (0, 0.0, self.spec.since, self.spec.name)
        if ends:
            return (1, -max(ends).timestamp(), self.spec.since, self.spec.name)
        return (2, 0.0, self.spec.since, self.spec.name)


@dataclass(slots=True)
class _Account:
    """One owner's workspaces, entered one after another as long as there is room.

    Attributes:
        presumed: one that was entered may run, and was not seen to: nothing is stopped for its place.
    """

    household: Household
    designs: Designs
    containers: Mapping[str, Ours]
    memory: Memory
    enforce: Mapping[LimitName, Enforcement]
    there: list[str] = field(default_factory=list)
    active: list[str] = field(default_factory=list)
    used: dict[str, list[tuple[str, int | Fraction]]] = field(default_factory=dict)
    presumed: bool = False

    def judge(self) -> Mapping[str, Beyond]:
        return dict(self._judge())

    def _judge(self) -> Iterator[tuple[str, Beyond]]:
        members = [self._member(spec) for spec in self.household.specs]
        for member in sorted(members, key=lambda member: member.place):
            if member.spec.missing_since is not None and not member.runs:
                continue  # it is going, and takes no room
            beyond = self._enter(member)
            self.presumed = self.presumed or (member.runs and not member.ours.running())
            if beyond is not None and (member.runs or member.wanted):
                yield member.spec.name, beyond

    def _member(self, spec: AcceptedSpec) -> Member:
        design, ours = self.designs[spec.name], self.containers.get(spec.name, _NOTHING)
        begun = any(i.workspace == spec.name and i.verdict not in _ENDS for i in self.memory.open_intents)
        wanted = (
            isinstance(design, Blueprint)
            and spec.missing_since is None
            and should_run(design.effective, self.memory.suspensions.get(spec.name))
        )
        return Member(spec, design, ours, bool(ours.running()) or ours.unknown or begun, wanted)

    def _enter(self, member: Member) -> Beyond | None:
        """Count a workspace, or say why there is no room for it; what runs is counted all the same."""
        name, quotas, design = member.spec.name, self.household.quotas, member.design
        counts = {"workspaces": self._count("workspaces", quotas.workspaces, self.there, member)}
        if member.runs or not counts["workspaces"]:
            self.there.append(name)
        if not isinstance(design, Blueprint) or not (member.runs or member.wanted):
            return None
        cap = quotas.running_workspaces
        counts["runningWorkspaces"] = self._count("runningWorkspaces", cap, self.active, member)
        needs = _needs(design.effective, quotas)
        takes = _has(member.ours.main, needs) if member.runs and member.ours.main else needs
        wanted = {limit: self._total(limit, needs, member) for limit in needs}
        told = [text for text in (*counts.values(), *wanted.values()) if text]
        exceeded = [limit for limit, text in counts.items() if text]
        exceeded += [limit for limit in takes if self._total(limit, takes, member)]
        if member.runs or not told:
            self.active.append(name)
            for limit, amount in takes.items():
                self.used.setdefault(limit, []).append((name, amount))
        if not told:
            return None
        return Beyond(
            reason=Reason.USER_AT_LIMIT if any(counts.values()) else Reason.QUOTA_EXCEEDED,
            message="; ".join(told),
            stop=not self.presumed and any(self._is_enforced(limit) for limit in exceeded),
            uncovered=frozenset(limit for limit, text in wanted.items() if text),
        )

    def _is_enforced(self, limit: str) -> bool:
        return limit in _ENFORCED and self.enforce.get(LimitName(limit)) is Enforcement.NOW

    def _count(self, limit: str, cap: int | None, before: Sequence[str], member: Member) -> str:
        """Say that there are too many, or nothing."""
        if cap is None or len(before) < cap:
            return ""
        names = [*before, member.spec.name] if member.runs else before
        what = "workspaces" if limit == "workspaces" else "running workspaces"
        listed = f" ({', '.join(names)})" if names else ""
        return f"{self.household.owner} has {len(names)} of {cap} {what}{listed}; {self._origin(limit)}"

    def _total(self, limit: str, takes: Amounts, member: Member) -> str:
        """Say that it is too much together, or nothing."""
        before, cap = self.used.get(limit, []), _totals(self.household.quotas)[limit]
        sum_, more = sum(amount for _, amount in before), takes[limit]
        if not more or sum_ + more <= cap:
            return ""
        users = ", ".join(f"{name} {_text(limit, amount)}" for name, amount in before if amount)
        asked = "" if member.runs and not _grows(member, limit, more) else " asked"
        text = f"{_text(limit, sum_)} + {_text(limit, more)}{asked} of {_text(limit, cap)}"
        return f"{limit} {text}{f' ({users})' if users else ''}; {self._origin(limit)}"

    def _origin(self, limit: str) -> str:
        return self.household.quotas.origins.get(limit, "policy")


def _grows(member: Member, limit: str, more: int | Fraction) -> bool:
    main = member.ours.main
    return main is None or _has(main, {limit: more})[limit] < more


def _text(limit: str, amount: int | Fraction) -> str:
    if limit == "cpus":
        return quantities.format_cpus(int(amount))
    if limit in {"memory", "shm"}:
        return quantities.format_bytes(int(amount))
    return str(amount)
