"""Knows what one owner may have and has: account, group, grants, and quotas with their use, and why.

Refuses to decide: it says what resolution and admission rest on. Nobody is described before somebody asks.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from fractions import Fraction
from typing import Final

from controller.api.conditions import Reason
from controller.api.presets import Grant, User
from controller.model.desired import AcceptedSpec
from controller.model.effective import Effective, Refusal
from controller.model.observed import Account
from controller.model.status import Exemption, OwnerStatus, QuotaUse, WorkspaceStatus
from controller.planning import origins, resolve
from controller.planning.case import Blueprint
from controller.planning.standing import Profile, Standing

_HELD: Final = frozenset({Reason.USER_AT_LIMIT, Reason.QUOTA_EXCEEDED})
_AMOUNTS: Final[Mapping[str, Callable[[Effective], int | Fraction | None]]] = {
    "gpuEquivalents": lambda one: one.gpu_equivalents,
    "cpus": lambda one: one.limits.nano_cpus,
    "memory": lambda one: one.limits.memory,
    "shm": lambda one: one.shm,
    "pids": lambda one: one.limits.pids,
}
"""What a workspace takes of each total; None is all there is."""


def groups(standing: Standing, logins: Iterable[str]) -> Mapping[str, str]:
    """Return which group counts, by login name; without those for whom none does, or none can be told."""
    profiles = ((login, standing.profile(login)) for login in logins)
    return {
        login: found.group
        for login, found in profiles
        if not isinstance(found, Refusal) and found.group is not None
    }


class Owners(Mapping[str, OwnerStatus]):
    """Everybody who has a workspace or is named in the policy, at the time of one pass."""

    def __init__(
        self,
        standing: Standing,
        now: datetime,
        specs: Mapping[str, AcceptedSpec],
        designs: Mapping[str, Blueprint | Refusal],
        statuses: Mapping[str, WorkspaceStatus],
        accounts: Mapping[str, Account],
    ) -> None:
        self._standing = standing
        self._now = now
        self._specs = specs
        self._designs = designs
        self._statuses = statuses
        self._accounts = accounts

    def __iter__(self) -> Iterator[str]:
        """Yield their login names, sorted."""
        owners = {resolve.owner_of(spec.workspace) for spec in self._specs.values()}
        return iter(sorted(owners | self._standing.logins()))

    def __len__(self) -> int:
        """Return how many there are."""
        return sum(1 for _ in self)

    def __getitem__(self, name: str) -> OwnerStatus:
        """Describe one.

        Raises:
            KeyError: nobody knows that name.
        """
        theirs = tuple(
            sorted(one for one, spec in self._specs.items() if resolve.owner_of(spec.workspace) == name)
        )
        if not theirs and name not in self._standing.logins():
            raise KeyError(name)
        place = self._standing.profile(name)
        known = None if isinstance(place, Refusal) else place
        group = known.group if known else None
        return OwnerStatus(
            name=name,
            account=self._account(name, theirs),
            group=group or "",
            groups=self._standing.groups(name),
            why=self._why(name, place),
            layers=tuple(map(str, known.sources)) if known else (),
            exemptions=tuple(self._exemptions(name)),
            quotas=tuple(self._quotas(known, theirs)) if known else (),
            aggregate=origins.in_words(known.aggregate) if known else (),
            workspaces=theirs,
        )

    def _account(self, name: str, theirs: tuple[str, ...]) -> Account | None:
        for one in theirs:
            design = self._designs.get(one)
            if isinstance(design, Blueprint) and design.effective.account is not None:
                return design.effective.account
        return self._accounts.get(name)

    def _why(self, name: str, place: Profile | Refusal) -> str:
        if isinstance(place, Refusal):
            return f"{place.reason}: {place.message}"
        if place.group is None:
            return "no group lists the owner"
        origin = self._standing.origin(("groups", place.group), f"group {place.group}")
        others = [group for group in self._standing.groups(name) if group != place.group]
        if not others:
            return str(origin)
        order = self._standing.origin(("groupOrder",), "groupOrder")
        return f"{origin}; before {', '.join(others)} by {order}"

    def _exemptions(self, name: str) -> Iterator[Exemption]:
        rules = self._standing.policy.policy.spec
        user, privilege = rules.users.get(name), rules.privileged.get(name)
        if user is not None:
            yield self._exemption(f"user {name}", ("users", name), user, user.reason, user.approved_by)
        mine = {name, *(f"group {group}" for group in self._standing.groups(name))}
        for number, grant in enumerate(rules.grants):
            if mine & {*(grant.users or ()), *(f"group {group}" for group in grant.groups or ())}:
                path = ("grants", number)
                yield self._exemption(f"grant {grant.name}", path, grant, grant.reason, grant.approved_by)
        if privilege is not None:
            origin = str(self._standing.origin(("privileged", name), "privileged"))
            state = self._state(None, privilege.expires)
            said = (privilege.reason, privilege.approved_by)
            yield Exemption("privileged", origin, state, None, privilege.expires, *said)

    def _exemption(
        self,
        rule: str,
        path: tuple[str | int, ...],
        said: User | Grant,
        reason: str | None,
        approved_by: str | None,
    ) -> Exemption:
        starts = said.starts if isinstance(said, Grant) else None
        return Exemption(
            rule=rule,
            origin=str(self._standing.origin(path, rule)),
            state=self._state(starts, said.expires),
            starts=starts,
            expires=said.expires,
            reason=reason or "",
            approved_by=approved_by or "",
        )

    def _state(self, starts: datetime | None, expires: datetime | None) -> str:
        if expires is not None and expires <= self._now:
            return "Over"
        return "NotYet" if starts is not None and starts > self._now else "InForce"

    def _quotas(self, place: Profile, theirs: tuple[str, ...]) -> Iterator[QuotaUse]:
        active = [one for one in theirs if self._counts(one)]
        used = {"workspaces": str(len(theirs)), "runningWorkspaces": str(len(active))}
        for limit, amount in _AMOUNTS.items():
            designs = (self._designs.get(one) for one in active)
            amounts = [amount(one.effective) for one in designs if isinstance(one, Blueprint)]
            known = [one for one in amounts if one is not None]
            used[limit] = "unlimited" if len(known) < len(amounts) else _sum(limit, known)
        for limit, text in used.items():
            cap = place.caps.get(limit, origins.by_default(None))
            yield QuotaUse(origins.worded(limit, cap), text)

    def _counts(self, name: str) -> bool:
        """Tell whether a workspace takes part in its owner's totals: it runs, or it shall and may."""
        status = self._statuses.get(name)
        if status is None:
            return False
        runs = status.container is not None and status.container.running
        return runs or (status.desired_running and status.decision.reason not in _HELD)


def _sum(limit: str, amounts: list[int | Fraction]) -> str:
    total = sum(amounts, Fraction(0))
    return str(total) if limit == "gpuEquivalents" else origins.word(limit, int(total))
