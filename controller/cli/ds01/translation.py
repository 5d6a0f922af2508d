"""A DS01 limits file and its side files as one resource policy: which layers there are and what each says.

It refuses to be silent: what does not reach the policy is in the report, with the reason.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from controller.api import meta
from controller.cli import logins
from controller.cli.ds01 import exemptions, keys, limits, people, sheet
from controller.cli.ds01.keys import Generation
from controller.cli.ds01.limits import FALLBACK, Lines
from controller.cli.ds01.notes import Kind, Report
from controller.cli.ds01.sheet import Entries
from controller.sources.foreign import Node

Json = dict[str, object]

_DEFAULT_GROUP = (
    "what it says stands in the policy's defaults, because whoever was in no group had it; the group keeps "
    "its members"
)
_LAYERS = ("defaults", "groups", "user_overrides", "policies")
_AGGREGATES_ON = "an aggregate of the policy always holds"
_AGGREGATES_OFF = "DS01 applied no aggregate, so none is carried over"
_NOT_APPLIED = "aggregate_limits is false, so DS01 did not apply it"
_NO_CPUS = "it says nothing of processors, and DS01 gave 16 then; that is written"


@dataclass(frozen=True, slots=True)
class Sources:
    """What is translated.

    Attributes:
        limits: the limits file.
        users: the file of users' overrides, if there is one of its own.
        members: login names from side files, by group.
        exemptions: the file of exemptions from idle and longest run time.
    """

    limits: Node
    users: Node | None = None
    members: Mapping[str, tuple[Node, ...]] = field(default_factory=dict)
    exemptions: Node | None = None


@dataclass(frozen=True, slots=True)
class Translation:
    """The policy as plain values, and how the format was known."""

    policy: Json
    generation: Generation
    signs: tuple[Node, ...]


def translate(sources: Sources, report: Report, *, as_written: bool) -> Translation:
    """The policy that gives everybody what DS01 gave; with `as_written`, what its file says they get.

    The two differ for users with an override: DS01 laid it over the defaults alone and skipped their group.
    What there is to say goes to `report`; a translation with errors there is not to be used.
    """
    generation, signs = sheet.generation(sources.limits)
    top = sheet.section(sources.limits, report)
    world = _read(top, sources, report, generation)
    spec = world.everybody_spec()
    roster = people.roster(top, sources.members, report)
    exempt = exemptions.translate(sources.exemptions, report)
    users = _Overrides(world, roster, as_written=as_written).translate()
    for name, given in exempt.users.items():
        users[name] = exemptions.merged(users.get(name, {}), given)
    spec["groups"] = _groups(world, roster)
    spec["users"] = dict(users)
    spec["grants"] = exempt.grants
    _explain(sources, report, generation)
    policy: Json = {
        "apiVersion": meta.API_VERSION,
        "kind": "ResourcePolicy",
        "metadata": {"name": "ds01"},
        "spec": {key: value for key, value in spec.items() if value},
    }
    return Translation(policy, generation, signs)


@dataclass(frozen=True, slots=True)
class _World:
    """Every layer of limits.

    Attributes:
        defaults: for those who have an override.
        everybody: for those who are in no group: with the default group.
        groups: each group's own limits.
        overrides: each user's entry.
        has_aggregates: whether DS01 applied aggregates at all.
    """

    defaults: Entries
    everybody: Entries
    groups: Mapping[str, Entries]
    default_group: str
    overrides: Mapping[str, Node]
    has_aggregates: bool
    report: Report
    generation: Generation

    def override(self, name: str) -> Entries:
        """The limits in a user's entry."""
        return _layer(self.overrides[name], self.report, has_aggregates=self.has_aggregates)

    def of_group(self, name: str | None) -> Entries:
        """What holds for a group's members; None: for those who are in none."""
        if name is None or name == self.default_group:
            return self.everybody
        return sheet.over(self.defaults, self.groups[name])

    def lines(self, entries: Entries, own: Entries, *, silent: bool = False) -> Lines:
        """The policy's values for those for whom `entries` hold."""
        return limits.lines(entries, own, Report() if silent else self.report, self.generation)

    def everybody_spec(self) -> Json:
        """The parts of the policy that are about everybody."""
        found = self.lines(self.everybody, self.everybody)
        preset = _tree(found, {}, self.everybody, self.report)
        apart: Json = {key: preset.pop(key) for key in ("quotas", "aggregate") if key in preset}
        return {"defaults": preset, **apart}

    def uses_priorities(self) -> bool:
        """Whether the file says who comes before whom, in a version of DS01 that looked at it."""
        layers = (self.everybody, *self.groups.values())
        return self.generation is not Generation.CURRENT and any("priority" in layer for layer in layers)


def _read(top: Mapping[str, Node], sources: Sources, report: Report, generation: Generation) -> _World:
    switch = sheet.section(top.get("enforcement"), report).get("aggregate_limits")
    has_aggregates = switch is None or switch.value is not False
    if switch is not None:
        kind = Kind.CHANGED if has_aggregates else Kind.MEANINGLESS
        report.say(kind, switch, _AGGREGATES_ON if has_aggregates else _AGGREGATES_OFF)
    policies = {f"policies.{key}": node for key, node in sheet.section(top.get("policies"), report).items()}
    written = _layer(top.get("defaults"), report, has_aggregates=has_aggregates)
    defaults = sheet.over(policies, written)
    groups = {
        name: _layer(node, report, has_aggregates=has_aggregates)
        for name, node in sheet.section(top.get("groups"), report).items()
    }
    default = _default_group(top.get("default_group"), groups, report)
    everybody = sheet.over(defaults, groups.get(default, {}))
    overrides = people.overrides(top.get("user_overrides"), sources.users, report)
    world = _World(defaults, everybody, groups, default, overrides, has_aggregates, report, generation)
    if generation is Generation.CURRENT and not set(keys.CPUS) & set(everybody):
        report.remark(Kind.CHANGED, top.get("defaults", sources.limits), _NO_CPUS)
    return world


def _layer(node: Node | None, report: Report, *, has_aggregates: bool) -> Entries:
    """The limits of one layer; without its aggregate, and that is told, where DS01 applied none."""
    found = sheet.entries(node, report)
    if has_aggregates:
        return found
    for key, value in found.items():
        if key.startswith(sheet.AGGREGATE):
            report.say(Kind.MEANINGLESS, value, _NOT_APPLIED)
    return sheet.without_aggregate(found)


def _default_group(node: Node | None, groups: Mapping[str, Entries], report: Report) -> str:
    if node is None:
        return ""
    if node.text in groups:
        report.say(Kind.CHANGED, node, f"{node.text}: {_DEFAULT_GROUP}")
        return node.text
    report.say(Kind.AMBIGUOUS, node, "there is no such group; whoever is in none has the defaults")
    return ""


def _groups(world: _World, roster: people.Roster) -> Json:
    found: Json = {}
    everybody = world.lines(world.everybody, {}, silent=True)
    for name, own in world.groups.items():
        of_group = world.of_group(name)
        is_default = name == world.default_group
        written: Entries = {} if is_default else own
        lines = world.lines(of_group, own)
        group: Json = {}
        if members := [login for login, where in roster.groups.items() if where == name]:
            group["members"] = members
        group |= _tree(lines, everybody, written, world.report)
        found[roster.labels[name]] = group
    return found


class _Overrides:
    """Users who have limits of their own; those who lost their group's by that leave the group."""

    def __init__(self, world: _World, roster: people.Roster, *, as_written: bool) -> None:
        self._world = world
        self._roster = roster
        self._as_written = as_written

    def translate(self) -> dict[str, Json]:
        found = {}
        for name, node in self._world.overrides.items():
            if logins.is_login(name):
                found[name] = self._user(name, node)
            else:
                self._world.report.refuse(node, f'"{name}" is not a login name')
        return found

    def _user(self, name: str, node: Node) -> Json:
        world, report = self._world, self._world.report
        own = world.override(name)
        group = self._roster.groups.get(name)
        of_group = world.of_group(group)
        got = world.lines(sheet.over(world.defaults, own), own, silent=True)
        written = world.lines(sheet.over(of_group, own), own, silent=True)
        different = [path for path in FALLBACK if _value(got, path) != _value(written, path)]
        layer = sheet.over(of_group if self._as_written or not different else world.defaults, own)
        found = world.lines(layer, own)
        if different:
            self._tell(name, node, group, (got, written))
            if not self._as_written:
                self._roster.groups.pop(name, None)
        inherited = of_group if self._as_written or not different else world.everybody
        user = _tree(found, world.lines(inherited, {}, silent=True), own, report)
        if world.uses_priorities() and "priority" not in own:
            user["priority"] = 100
            report.remark(Kind.CHANGED, node, "an override came before everybody there: priority 100")
        entry = sheet.section(node, report)
        given = {
            "reason": exemptions.reason(entry.get("reason"), report),
            "approvedBy": exemptions.approved_by(entry.get("approved_by"), report),
        }
        return user | {key: value for key, value in given.items() if value is not None}

    def _tell(self, name: str, node: Node, group: str | None, both: tuple[Lines, Lines]) -> None:
        got, written = both
        parts = [
            f"{'.'.join(path)} {_word(_value(got, path))} (as written: {_word(_value(written, path))})"
            for path in FALLBACK
            if _value(got, path) != _value(written, path)
        ]
        where = f"the group {group}" if group else f"the default group {self._world.default_group}"
        message = f"the override of {name} skipped {where} there, so what held was {', '.join(parts)}; "
        message += (
            "--as-written was given, so what is written holds here"
            if self._as_written
            else (f"that is carried over, and {name} is in no group; --as-written takes what is written")
        )
        self._world.report.remark(Kind.AMBIGUOUS, node, message)


def _word(value: limits.Value) -> str:
    return "null" if value is None else str(value)


def _value(lines: Lines, path: limits.Path) -> limits.Value:
    return lines[path].value if path in lines else FALLBACK[path]


def _tree(lines: Lines, inherited: Lines, own: Entries, report: Report) -> Json:
    """What a layer must say: what is written in `own`, and what differs from what it would inherit."""
    written = {(node.file, node.path) for node in own.values()}
    found: Json = {}
    for path in FALLBACK:
        line = lines.get(path)
        for node in line.nodes if line else ():
            report.take(node)
        is_written = line is not None and any((node.file, node.path) in written for node in line.nodes)
        is_new = line is not None and not inherited
        if is_written or is_new or _value(lines, path) != _value(inherited, path):
            _put(found, path, _value(lines, path))
    return found


def _put(tree: Json, path: limits.Path, value: limits.Value) -> None:
    *above, last = path
    for key in above:
        below = tree.setdefault(key, {})
        assert isinstance(below, dict)
        tree = below
    tree[last] = value


def _explain(sources: Sources, report: Report, generation: Generation) -> None:
    """Say why everything that was not used was not."""
    for root in filter(None, (sources.limits, sources.users, sources.exemptions)):
        for leaf in _silent(root, report):
            name = next((str(part) for part in reversed(leaf.path) if isinstance(part, str)), "")
            why = keys.reason(name, generation)
            if why is not None:
                kind, message = why
                report.say(kind, leaf, message)
        for leaf in _silent(root, report):
            top = str(leaf.path[0]) if leaf.path else ""
            if top in keys.SECTIONS and isinstance(root.value, Mapping):
                report.say(Kind.DROPPED, root.value[top], keys.SECTIONS[top])
            elif leaf.key in keys.CARRIED and (top in _LAYERS or root is sources.users):
                report.say(Kind.DROPPED, leaf, "it reached nobody: for everybody something stronger holds")
            else:
                report.say(Kind.UNKNOWN, leaf, "nothing is known of it")


def _silent(root: Node, report: Report) -> Iterator[Node]:
    return (leaf for leaf in root.leaves() if not report.is_settled(leaf))
