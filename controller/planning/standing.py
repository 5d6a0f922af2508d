"""Knows who belongs where under a policy, and which grants and exceptions are in force at one time.

Refuses to know a workspace. All of it is worked out once and shared: a standing stays the same object until
the policy changes, or something in it begins or ends.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple, cast

from controller.api import fields, meta, workspace
from controller.api import policy as policies
from controller.api.conditions import Reason
from controller.api.presets import Preset, User
from controller.model import paths
from controller.model.desired import AcceptedPolicy
from controller.model.effective import DEFAULT_PRIORITY, OwnerQuotas, Refusal
from controller.model.plan import HostFinding
from controller.model.slices import SliceLimits
from controller.planning import aggregates, layers, origins
from controller.planning.layers import Layer
from controller.planning.origins import Origin, Value

_OF_WORKSPACES: Final = tuple(Preset.model_fields)
"""What groups, users and grants say of workspaces; all else in them is about the owner."""
_DEFAULTS: Final[Mapping[str, Value]] = {
    path: origins.by_default(value)
    for path, value in {**workspace.CONTRACT_DEFAULTS, "priority": DEFAULT_PRIORITY}.items()
}


class Over(NamedTuple):
    """A grant, exception or privilege that has ended; `line` of its end in the policy, 0 if not known."""

    line: int
    message: str


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """What the policy says of owners of one group, with the same grants and the same entry of their own.

    Attributes:
        group: the one that counts, None for no group.
        layers: of the group, of the user and of the grants, weakest first.
        sources: where all that is said, after the policy's defaults.
        caps: quotas by name, those of the policy for everybody included.
        aggregate: limits on the owner's workspaces together, by name, likewise.
        quotas: the same as `caps`, for counting.
        limits: the same as `aggregate`, for the owner's slice.
    """

    group: str | None
    layers: tuple[Layer, ...]
    sources: tuple[Origin, ...]
    caps: dict[str, Value]
    aggregate: dict[str, Value]
    quotas: OwnerQuotas
    limits: SliceLimits


class Base:
    """What a class and a profile give a workspace before its own file is looked at.

    Attributes:
        class_name: empty for no class.
        needs: placeholders anywhere in the class.
        wording: of the values that workspaces have in common.
    """

    def __init__(self, class_name: str, values: Mapping[str, Value], mine: Mapping[str, Value]) -> None:
        self.class_name = class_name
        self.wording = origins.Wording(values)
        self._values = values
        blanks = {path: found for path, (value, _) in mine.items() if (found := layers.placeholders(value))}
        self.needs = frozenset().union(*blanks.values())
        self._open = [(path, tuple(sorted(found))) for path, found in blanks.items() if path in values]
        self._filled: dict[tuple[str, tuple[str | None, ...]], Value] = {}

    def filled(self, replacements: Mapping[str, str]) -> dict[str, Value]:
        """Return a copy of the values with the placeholders replaced."""
        values = dict(self._values)
        for path, names in self._open:
            key = (path, tuple(replacements.get(name) for name in names))
            found = self._filled.get(key)
            if found is None:
                value, origin = values[path]
                found = self._filled[key] = Value(layers.fill(value, replacements), origin)
            values[path] = found
        return values


class Standing:
    """One policy at one time. Equal arguments give equal answers, whatever the order within the file."""

    def __init__(self, policy: AcceptedPolicy, now: datetime) -> None:
        self.policy = policy
        rules = policy.policy.spec
        self._since = max((at for at in _bounds(rules) if at <= now), default=None)
        self.until = min((at for at in _bounds(rules) if at > now), default=None)
        """When the next grant or exception begins or ends, if any does."""
        self.over = tuple(_over(policy, now))
        """What has ended and should be taken out of the file."""
        running = [
            (grant.expires, grant.name, number, grant)
            for number, grant in enumerate(rules.grants)
            if grant.expires > now and (grant.starts is None or grant.starts <= now)
        ]
        running.sort(key=lambda one: one[:2])
        self._grants = [(number, grant) for _, _, number, grant in running]
        self._exceptions = {name: user for name, user in rules.users.items() if not _is_over(user, now)}
        self._privileges = {
            name: given
            for name, given in rules.privileged.items()
            if given.expires is None or given.expires > now
        }
        self._groups = _by_login(policy)
        self._by_user = _index(grant.users or () for _, grant in self._grants)
        self._by_group = _index(grant.groups or () for _, grant in self._grants)
        self._profiles: dict[tuple[str | None, str, tuple[int, ...]], Profile] = {}
        self._bases: dict[tuple[str, int], tuple[Profile, Base | Refusal]] = {}

    def holds_at(self, now: datetime) -> bool:
        """Tell whether nothing begins or ends between the time that this was made for and `now`."""
        return (self._since is None or self._since <= now) and (self.until is None or now < self.until)

    def groups(self, owner: str) -> tuple[str, ...]:
        """Return the groups that list an owner, by name."""
        return self._groups.get(owner, ())

    def logins(self) -> frozenset[str]:
        """Return everybody whom the policy names."""
        rules = self.policy.policy.spec
        granted = {login for grant in rules.grants for login in grant.users or ()}
        return frozenset({*self._groups, *rules.users, *rules.privileged, *granted})

    def privilege(self, owner: str) -> policies.Privilege | None:
        """Return why an owner may have privileged containers now, or None."""
        return self._privileges.get(owner)

    def origin(self, path: tuple[str | int, ...], rule: str) -> Origin:
        """Return where a part of the policy stands; an item of a list where its name does."""
        key = (*path, "name") if isinstance(path[-1], int) else path
        line = self.policy.lines.get(paths.render_path(("spec", *key)), 0)
        return Origin(self.policy.policy_file, line, rule)

    def quotas(self, owner: str) -> OwnerQuotas:
        """Return what an owner may have in all; no caps while the group is not known."""
        found = self.profile(owner)
        return OwnerQuotas() if isinstance(found, Refusal) else found.quotas

    def findings(self) -> tuple[HostFinding, ...]:
        """Return the same for those who look after the host."""
        file = self.policy.policy_file
        return tuple(
            HostFinding(Reason.GRANT_OVER, f"{file}:{line}" if line else file, message)
            for line, message in self.over
        )

    def profile(self, owner: str) -> Profile | Refusal:
        """Return what the policy says of an owner, or why that cannot be told."""
        group = self._group(owner)
        if isinstance(group, Refusal):
            return group
        ranks = {*self._by_user.get(owner, ())}
        ranks.update(rank for name in self.groups(owner) for rank in self._by_group.get(name, ()))
        key = (group, owner if owner in self._exceptions else "", tuple(sorted(ranks)))
        found = self._profiles.get(key)
        if found is None:
            found = self._profiles[key] = self._profile(*key)
        return found

    def _group(self, owner: str) -> str | Refusal | None:
        mine = self.groups(owner)
        unread = self._unread_before(mine)
        if unread:
            message = (
                f"the members of {', '.join(unread)} could not be read yet, and {owner} may be one of them"
            )
            return Refusal(Reason.GROUP_UNSEEN, message)
        if len(mine) < 2:  # noqa: PLR2004 - none or one leaves no choice
            return mine[0] if mine else None
        for name in self.policy.policy.spec.group_order:
            if name in mine:
                return name
        message = f"{owner} is in the groups {', '.join(mine)}; name the one that counts in groupOrder"
        return Refusal(Reason.AMBIGUOUS_GROUP, message)

    def _unread_before(self, mine: tuple[str, ...]) -> list[str]:
        """Return the groups that nobody could read yet and that would count before these."""
        unread = self.policy.unread_groups
        if not mine or not unread:
            return sorted(unread)
        order = self.policy.policy.spec.group_order
        known = next((place for place, name in enumerate(order) if name in mine), len(order))
        return [name for name in order[:known] if name in unread]

    def _profile(self, group: str | None, user: str, ranks: tuple[int, ...]) -> Profile:
        rules = self.policy.policy.spec
        grants = [self._grants[rank] for rank in ranks]
        named: list[tuple[str, tuple[str | int, ...], Preset]] = []
        if group is not None:
            named.append((f"group {group}", ("groups", group), rules.groups[group]))
        if user:
            named.append((f"user {user}", ("users", user), rules.users[user]))
        named += [(f"grant {grant.name}", ("grants", number), grant) for number, grant in grants]
        caps = self._layer("quotas", ("quotas",), rules.quotas).values()
        aggregate = self._layer("aggregate", ("aggregate",), rules.aggregate).values()
        for rule, path, said in named:
            for folded, part in ((caps, "quotas"), (aggregate, "aggregate")):
                model = getattr(said, part)
                if model is not None:
                    layers.lay_over(folded, self._layer(rule, (*path, part), model).values())
        aggregates.settle(aggregate)
        stack = tuple(self._layer(rule, path, said, _OF_WORKSPACES) for rule, path, said in named)
        sources = (
            self.origin(("defaults",), "defaults"),
            *(self.origin(path, rule) for rule, path, _ in named),
        )
        quotas, limits = _owner_quotas(caps), aggregates.limits_of(aggregate)
        return Profile(group, stack, sources, caps, aggregate, quotas, limits)

    def _layer(
        self, rule: str, path: tuple[str | int, ...], model: meta.ApiModel, only: tuple[str, ...] = ()
    ) -> Layer:
        prefix = f"{paths.render_path(('spec', *path))}."
        return Layer(self.policy.policy_file, rule, model, self.policy.lines, prefix, only)

    def base(self, class_name: str | None, profile: Profile) -> Base | Refusal:
        """Fold defaults, a class (None: the default one) and a profile, or say that the class is unknown."""
        key = (class_name or "", id(profile))
        known = self._bases.get(key)
        if known is None:
            known = self._bases[key] = (profile, self._base(class_name, profile))
        return known[1]

    def _base(self, class_name: str | None, profile: Profile) -> Base | Refusal:
        rules = self.policy.policy.spec
        name = class_name or rules.default_class
        values = dict(_DEFAULTS)
        layers.lay_over(values, self._layer("defaults", ("defaults",), rules.defaults).values())
        mine: dict[str, Value] = {}
        if name is not None:
            preset = rules.classes.get(name)
            if preset is None:
                known = ", ".join(sorted(rules.classes)) or "none"
                return Refusal(Reason.CLASS_UNKNOWN, f'class "{name}" is not in the policy; it has: {known}')
            mine = self._layer(f"class {name}", ("classes", name), preset).values()
            layers.lay_over(values, mine)
            if class_name is None:
                place = self._layer("defaultClass", (), rules, ("default_class",)).values()
                values["class"] = place["defaultClass"]
        for layer in profile.layers:
            layers.lay_over(values, layer.values())
        return Base(name or "", values, mine)


class Standings:
    """Gives the same standing again while nothing in it changed."""

    def __init__(self) -> None:
        self._latest: Standing | None = None

    def at(self, policy: AcceptedPolicy, now: datetime) -> Standing:
        """Return how everybody stands under a policy at a time."""
        latest = self._latest
        if latest is None or latest.policy is not policy or not latest.holds_at(now):
            latest = self._latest = Standing(policy, now)
        return latest


def _index(named: Iterable[Iterable[str]]) -> Mapping[str, tuple[int, ...]]:
    """Return by name the places of the lists that have it."""
    found: dict[str, list[int]] = {}
    for rank, names in enumerate(named):
        for name in names:
            found.setdefault(name, []).append(rank)
    return {name: tuple(ranks) for name, ranks in found.items()}


def _by_login(policy: AcceptedPolicy) -> Mapping[str, tuple[str, ...]]:
    """Return the groups of everybody who is in one, by name."""
    found: dict[str, list[str]] = {}
    for name, group in sorted(policy.policy.spec.groups.items()):
        for login in {*(group.members or ()), *policy.members.get(name, ())}:
            found.setdefault(login, []).append(name)
    return {login: tuple(names) for login, names in found.items()}


def _bounds(rules: policies.PolicySpec) -> Iterator[datetime]:
    """Yield each time at which something of a policy begins or ends."""
    for grant in rules.grants:
        if grant.starts is not None:
            yield grant.starts
        yield grant.expires
    for user in rules.users.values():
        if user.expires is not None:
            yield user.expires
    for privilege in rules.privileged.values():
        if privilege.expires is not None:
            yield privilege.expires


def _is_over(user: User, now: datetime) -> bool:
    return user.expires is not None and user.expires <= now


def _over(policy: AcceptedPolicy, now: datetime) -> Iterator[Over]:
    rules = policy.policy.spec
    ended = [
        (f"the grant {grant.name}", paths.render_path(("spec", "grants", number, "expires")), grant.expires)
        for number, grant in enumerate(rules.grants)
    ]
    timed: tuple[tuple[str, str, Mapping[str, User | policies.Privilege]], ...] = (
        ("the exception of", "users", rules.users),
        ("the privilege of", "privileged", rules.privileged),
    )
    for what, part, entries in timed:
        ended += [
            (f"{what} {name}", paths.render_path(("spec", part, name, "expires")), entry.expires)
            for name, entry in entries.items()
            if entry.expires is not None
        ]
    for what, path, expires in ended:
        if expires <= now:
            at = fields.format_timestamp(expires)
            message = f"{what} ended at {at} and has no effect; take it out, or write a later time"
            yield Over(policy.lines.get(path, 0), message)


def _owner_quotas(caps: Mapping[str, Value]) -> OwnerQuotas:
    def number(name: str) -> int | None:
        found = caps.get(name)
        return None if found is None else cast("int | None", found.value)

    equivalents = caps.get("gpuEquivalents")
    return OwnerQuotas(
        workspaces=number("workspaces"),
        running_workspaces=number("runningWorkspaces"),
        gpu_equivalents=None if equivalents is None else cast("Decimal | None", equivalents.value),
        cpus=number("cpus"),
        memory=number("memory"),
        shm=number("shm"),
        pids=number("pids"),
        origins={name: str(value.origin) for name, value in caps.items()},
    )
