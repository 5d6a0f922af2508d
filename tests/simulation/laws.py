"""Knows the policy and the catalog of a simulated host, and what people change and spoil in them.

It refuses to know what they mean for a workspace: that is for the product to find out.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

from controller.audit.evidence import Ask
from tests.simulation.filesystem import CATALOG, POLICY
from tests.simulation.scenario import Disturb

if TYPE_CHECKING:
    from tests.simulation.world import World

LOOKS: Final = (
    "image: 'sample:1', security: {runAs: Image}, lifecycle: {stopGrace: 5s}",
    "image: 'sample:1', security: {runAs: Image}, lifecycle: {stopGrace: 5s}, env: {SITE: new}",
    "image: 'sample:2', security: {runAs: Image}, lifecycle: {stopGrace: 5s}",
)
"""What the class says but for its limits."""
QUOTAS: Final = (
    "",
    "runningWorkspaces: 1",
    "workspaces: 1",
    "runningWorkspaces: 0",
    "memory: 256m",
    "memory: 160m, pids: 300",
)
LIMITS: Final = ("", "memory: 64m", "memory: 128m", "memory: 128m, pids: 100", "memory: 256m, pids: 200")
ENFORCE: Final = (
    "",
    "runningWorkspaces: Now, workspaces: Now",
    "workspaces: Now, memory: Now",
    "runningWorkspaces: AtNextStart, pids: Now",
)
GRANTED: Final = ("quotas: {runningWorkspaces: 3}", "quotas: {memory: 1g}", "resources: {memory: 192m}")
EVERYBODY: Final = "allowAll: [alice, carol, dave]"
GPUS: Final = (
    f"sharers: 2, {EVERYBODY}",
    f"sharers: 1, {EVERYBODY}",
    "sharers: 3, allowAll: [alice]",
)
HOLDS: Final = ("1s", "20s", "15m")
GROUPS: Final = ("", "staff", "guests")
IMAGES: Final = ("sample:1", "sample:2")
Aggregate: TypeAlias = tuple[tuple[str, str | None], ...]
"""What a layer says of all that an owner's workspaces may use together: names as in a policy, and words."""
AGGREGATES: Final[tuple[Aggregate, ...]] = (
    (),
    (("cpus", "1"), ("memory", "512m"), ("pids", "400")),
    (("cpus", "1.5"), ("memory", "256m"), ("memoryHigh", "200m")),
    (("memory", "96m"), ("pids", "100")),
    (("memory", "24m"),),
    (("cpuset", "0"), ("cpuWeight", "200"), ("memoryLow", "64m"), ("ioWeight", "50")),
    (("memoryHigh", "160m"), ("io", "[{path: /srv/data, read: 10m}, {path: /srv/none, write: 5m}]")),
    (("memory", "128m"), ("swap", "64m"), ("cpus", "0.5")),
)
OF_A_GROUP: Final[tuple[Aggregate, ...]] = (
    (),
    (("memory", None), ("cpus", None)),
    (("memory", "64m"), ("cpuset", "1")),
)
GRANTED_TOGETHER: Final[tuple[Aggregate, ...]] = ((), (("memory", "1g"), ("pids", "900")), (("cpus", None),))
RESERVED: Final = ("", "", "16m", "32m")


@dataclass(frozen=True)
class Law:
    """What a policy says.

    Attributes:
        look: which of `LOOKS` the class has.
        limits, quotas, enforce: as the file has them, or empty.
        group: of alice, or empty.
        grant: what alice is granted, from when and until when; None for nothing.
        gpus: how GPUs are given; empty on a host without any. `hold`: how long they are kept for who stopped.
        aggregate, of_group, granted: what each owner's slice may use, what alice's may by her group, and by a
            grant. `reserved`: memory of each workspace that is guaranteed, or empty.
    """

    look: int = 0
    limits: str = ""
    quotas: str = ""
    enforce: str = ""
    group: str = ""
    grant: tuple[str, datetime, datetime] | None = None
    gpus: str = ""
    hold: str = ""
    aggregate: Aggregate = ()
    of_group: Aggregate = ()
    granted: Aggregate = ()
    reserved: str = ""

    def text(self) -> bytes:
        """The whole file."""
        reserved = f"memoryReservation: {self.reserved}" if self.reserved else ""
        limited = ", ".join(one for one in (self.limits, reserved) if one)
        limits = f", resources: {{{limited}}}" if limited else ""
        lines = [
            "apiVersion: wharfinger.dev/v1\nkind: ResourcePolicy\nmetadata: {name: lab}\nspec:",
            "  defaultClass: small\n  mountRoots: [/srv/data]\n  hostnames: {domain: lab.test}",
            f"  classes:\n    small: {{{self._look()}{limits}}}",
            "  portPools:\n    - {name: main, from: 10000, to: 10999}",
            *([f"  gpus: {{{self.gpus}}}"] if self.gpus else ()),
            *self._of_owners(),
        ]
        return "\n".join([*lines, "...\n"]).encode()

    def _look(self) -> str:
        hold = f", gpuHold: {self.hold}}}" if self.hold else "}"
        return LOOKS[self.look].replace("stopGrace: 5s}", f"stopGrace: 5s{hold}")

    def _of_owners(self) -> list[str]:
        lines = [f"  quotas: {{{self.quotas}}}"] if self.quotas else []
        lines += [f"  {_together(self.aggregate)}"] if self.aggregate else []
        lines += [f"  enforce: {{{self.enforce}}}"] if self.enforce else []
        if self.group:
            members = {name: "[alice]" if name == self.group else "[]" for name in GROUPS[1:]}
            lines.append("  groups:")
            more = f", {_together(self.of_group)}" if self.of_group else ""
            lines.append(
                f"    staff: {{members: {members['staff']}, quotas: {{runningWorkspaces: null}}{more}}}"
            )
            guest = f"quotas: {{runningWorkspaces: 1}}, resources: {{memory: 96m}}{more}"
            lines.append(f"    guests: {{members: {members['guests']}, {guest}}}")
        if self.grant:
            what, starts, expires = self.grant
            what += f", {_together(self.granted)}" if self.granted else ""
            times = f'starts: "{_stamp(starts)}", expires: "{_stamp(expires)}"'
            words = "users: [alice], reason: thesis, approvedBy: prof"
            lines.append(f"  grants:\n    - {{name: thesis, {words}, {times}, {what}}}")
        return lines


def _together(aggregate: Aggregate) -> str:
    """As a policy says it."""
    said = (f"{name}: {_value(name, word)}" for name, word in aggregate)
    return f"aggregate: {{{', '.join(said)}}}"


def _value(name: str, word: str | None) -> str:
    if word is None:
        return "null"
    return word if name in {"io", "pids", "cpuWeight", "ioWeight"} else f"'{word}'"


def _stamp(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def at_first(seed: int, *, gpus: bool, slices: bool, hold: str = "20s") -> Law:
    """Return what a host's policy says at first."""
    law = Law(gpus=GPUS[0], hold=hold) if gpus else Law()
    if not slices:
        return law
    chance = random.Random(f"together/{seed}/{hold}")
    return replace(law, aggregate=chance.choice(AGGREGATES), reserved=chance.choice(RESERVED))


def catalog(choice: int) -> bytes:
    """The text of a catalog that nobody refers to."""
    return (
        "apiVersion: wharfinger.dev/v1\nkind: ImageCatalog\nmetadata: {name: lab}\nspec:\n"
        f"  images:\n    base: {{reference: '{IMAGES[choice]}'}}\n...\n"
    ).encode()


def put(world: "World", law: Law) -> None:
    """An admin writes the policy."""
    world.law = law
    world.asks.append(Ask(world.true_time(), "edit", ""))
    world.put_policy()


# what people change


def edit_policy(world: "World", chance: random.Random) -> str:
    """A class means something else from now on."""
    choice = chance.randrange(len(LOOKS))
    put(world, replace(world.law, look=choice))
    return str(choice)


def edit_limits(world: "World", chance: random.Random) -> str:
    """The limits of a class are lowered or raised."""
    put(world, replace(world.law, limits=chance.choice(LIMITS)))
    return world.law.limits


def edit_quotas(world: "World", chance: random.Random) -> str:
    """Quotas are lowered or raised."""
    put(world, replace(world.law, quotas=chance.choice(QUOTAS)))
    return world.law.quotas


def pull_policy(world: "World", chance: random.Random) -> str:
    """An admin brings another policy from elsewhere, in which much is different."""
    limits, quotas, enforce, group = map(chance.choice, (LIMITS, QUOTAS, ENFORCE, GROUPS))
    put(world, replace(world.law, limits=limits, quotas=quotas, enforce=enforce, group=group))
    return f"{world.law}"


def edit_enforce(world: "World", chance: random.Random) -> str:
    """Limits that were tightened reach what runs, or do not any more."""
    put(world, replace(world.law, enforce=chance.choice(ENFORCE)))
    return world.law.enforce


def move_member(world: "World", chance: random.Random) -> str:
    """Alice comes into another group."""
    put(world, replace(world.law, group=chance.choice(GROUPS)))
    return world.law.group


def edit_grant(world: "World", chance: random.Random) -> str:
    """Alice is granted something for a time, or no more."""
    if chance.random() < 0.2:  # noqa: PLR2004 - seldom
        put(world, replace(world.law, grant=None))
        return "none"
    begin = world.wall() + timedelta(seconds=chance.choice((-60, 2, 20)))
    end = begin + timedelta(seconds=chance.choice((61, 90, 700)))
    put(world, replace(world.law, grant=(chance.choice(GRANTED), begin, end)))
    return f"{world.law.grant}"


def edit_gpu_rules(world: "World", chance: random.Random) -> str | None:
    """GPUs are given otherwise, and held for others times."""
    if world.board is None:
        return None
    put(world, replace(world.law, gpus=chance.choice(GPUS), hold=chance.choice(HOLDS)))
    return f"{world.law.gpus}, held {world.law.hold}"


def edit_aggregate(world: "World", chance: random.Random) -> str | None:
    """What owners may use together is raised, or lowered, perhaps below what they use."""
    if world.slices is None:
        return None
    law = world.law
    match chance.choice(("aggregate", "aggregate", "of_group", "granted", "reserved")):
        case "aggregate":
            put(world, replace(law, aggregate=chance.choice(AGGREGATES)))
            return f"{world.law.aggregate}"
        case "of_group":
            group = law.group or chance.choice(GROUPS[1:])
            put(world, replace(law, group=group, of_group=chance.choice(OF_A_GROUP)))
            return f"{group}: {world.law.of_group}"
        case "granted":
            put(world, replace(law, granted=chance.choice(GRANTED_TOGETHER)))
            return f"granted {world.law.granted}"
        case _:
            put(world, replace(law, reserved=chance.choice(RESERVED)))
            return f"reserved {world.law.reserved}"


def edit_catalog(world: "World", chance: random.Random) -> str:
    """The catalog says something else."""
    choice = chance.randrange(len(IMAGES))
    world.asks.append(Ask(world.true_time(), "edit", ""))
    world.catalog = catalog(choice)
    world.put_file(CATALOG, world.catalog, how="rename")
    return str(choice)


# what goes wrong


def break_policy(world: "World", chance: random.Random) -> str:
    """The policy is no policy for a while."""
    whole = world.law.text()
    world.put_file(POLICY, whole[: chance.randrange(40, 120)], how="rename")
    world.after(chance.uniform(5, 60), lambda: put(world, world.law), "the policy is mended")
    return "half of it"


def _spoils(path: str, other: bytes) -> Disturb:
    """Something that is done to one of the two files; what was meant is there again after a while."""
    name = "policy" if path == POLICY else "catalog"

    def spoil(world: "World", chance: random.Random) -> str | None:
        meant = world.law.text() if path == POLICY else world.catalog
        if not meant:
            return None
        how = chance.choice(("written slowly", "rejected", "gone", "another file"))
        if how == "written slowly":
            world.put_file(path, meant[: chance.randrange(len(meant))], how="write")
        elif how == "rejected":
            world.put_file(path, meant.replace(b"metadata:", b"nosuch: key\nmetadata:"), how="rename")
        elif how == "gone":
            world.remove_file(path)
        else:
            world.put_file(path, other, how="rename")

        def mend() -> None:
            if path == POLICY:
                put(world, world.law)
            else:
                world.put_file(path, world.catalog, how="rename")

        seconds = chance.uniform(0.05, 1.9) if how == "written slowly" else chance.uniform(1, 60)
        world.after(seconds, mend, f"the {name} is whole")
        return how

    spoil.__name__ = f"spoil_{name}"
    return spoil


spoil_policy = _spoils(POLICY, catalog(0))
spoil_catalog = _spoils(CATALOG, Law().text())

LAWS: Final[Mapping[str, Disturb]] = {
    act.__name__: act
    for act in (
        edit_policy,
        break_policy,
        edit_limits,
        edit_quotas,
        pull_policy,
        edit_enforce,
        move_member,
        edit_grant,
        edit_catalog,
        spoil_policy,
        spoil_catalog,
    )
}
