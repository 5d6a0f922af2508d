"""Knows what people write, and what they say to the controller; each act by a name.

It refuses to ask the controller anything but by its service, and to touch what only the controller may.
"""

import contextlib
import hashlib
import random
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from controller import changes
from controller.audit.evidence import Ask
from controller.reporting import control
from tests.simulation import durable, laws
from tests.simulation.board import Board
from tests.simulation.filesystem import SPECS
from tests.simulation.process import Killed
from tests.simulation.scenario import NAMES, Disturb
from tests.support import specfiles

if TYPE_CHECKING:
    from tests.simulation.world import World

CALLER = control.Caller(0, 1)
SEEN_AFTER: Final = 120 * 10**9
"""Nanoseconds after which the controller has seen a file, whatever kept it from looking."""
CANARY = "canary-5f1d"
"""Stands in the environment of some specs, under a name that says what it is: nobody may tell it."""
KILLED_BEFORE: Final = f"killed {durable.BEFORE}"
SERVICES: Final = "[{name: jupyter, port: 8888}, {name: code, port: 8080, expose: Hostname}]"
"""One with a port, and one with a name that all workspaces of an owner want."""
OWNERS: Final = {"bob": "alice"}
"""Who owns a workspace, where that is not the one of its name."""


def owner(name: str) -> str:
    """The line of a spec that names the owner."""
    return f"  owner: {OWNERS[name]}\n" if name in OWNERS else ""


def gpu(chance: random.Random, board: Board | None) -> str:
    """What a spec says of GPUs; nothing on a host without any."""
    if board is None or chance.random() < 0.3:  # noqa: PLR2004 - less often than not
        return ""
    lines = [
        *["mode: Exclusive"] * 4,
        "mode: Exclusive, count: 2",
        "mode: Exclusive, minMemory: 60g",
        *["mode: Shared"] * 3,
        "mode: All",
    ]
    if any(one.divided for one in board.devices.values()):
        lines += ["mode: Exclusive, migProfile: 1g.10gb"] * 3 + ["mode: Shared, migProfile: 1g.10gb"]
    if board.devices and chance.random() < 0.15:  # noqa: PLR2004 - seldom
        lines = [f"mode: Exclusive, uuids: [{chance.choice(sorted(board.devices))}]"]
    return f"  gpu: {{{chance.choice(lines)}}}\n"


def calm(chance: random.Random, name: str, board: Board | None = None) -> str:
    """What a spec says that asks for nothing unusual."""
    extra = ("", f"  services: {SERVICES}\n", "  env: {A: x}\n")
    return (
        owner(name)
        + "  class: small\n  lifecycle: {changes: Immediate}\n"
        + chance.choice(extra)
        + gpu(chance, board)
    )


def body(chance: random.Random, name: str, board: Board | None = None) -> str:
    """What a spec says."""
    lines = ["  class: small"]
    changes = chance.choice(("Immediate", "Immediate", "Immediate", "WhenIdle", "Manual", None))
    if changes:
        lines.append(f"  lifecycle: {{changes: {changes}}}")
    if chance.random() < 0.5:  # noqa: PLR2004 - as often as not
        lines.append(chance.choice(("  env: {A: x}", "  env: {A: y}", f"  env: {{API_TOKEN: {CANARY}}}")))
    image = chance.choice((*(None,) * 6, *("sample:1", "sample:2", "far:1") * 2, "absent:1"))
    if image:
        lines.append(f"  image: {image}")
    lines += _one_of(
        chance,
        0.25,
        (
            "  desiredState: Stopped",
            "  resources: {memory: 64m}",
            "  resources: {memory: 128m}",
            f"  services: {SERVICES}",
            f"  services: [{{name: ssh, port: 22, hostPort: {_host_port(name)}}}]",
            f"  mounts: [{{name: data, source: /srv/data/{name}, target: /data}}]",
            '  command: ["/bin/nothing"]',
            '  command: ["/bin/false"]',
            "  pull: Always",
        ),
    )
    return owner(name) + "\n".join(lines) + "\n" + gpu(chance, board)


def _host_port(name: str) -> int:
    """A port in the block that its owner gets first."""
    block = 10000 + 100 * NAMES.index(OWNERS.get(name, name))
    return block + 50 if name in OWNERS else block


def _one_of(chance: random.Random, share: float, lines: tuple[str, ...]) -> list[str]:
    chosen = [line for line in lines if chance.random() < share / 2]
    keys = {line.split(":")[0]: line for line in chosen}
    return list(keys.values())


# files


def write(world: "World", chance: random.Random, name: str | None = None) -> str:
    """A person writes a spec, carefully or not."""
    name = name or chance.choice(NAMES)
    end = chance.choice((b"...\n", b""))
    how = chance.choice(("rename", "write"))
    world.write_spec(
        f"{name}.yaml", name, specfiles.workspace(name, body(chance, name, world.board)) + end, how=how
    )
    return f"{name} by {how}"


def write_in_halves(world: "World", chance: random.Random) -> str | None:
    """A careless tool writes the head of a spec, and its rest a moment later (SP1).

    Into a file that the controller has seen, or that never was: one that takes the place of another between
    two looks counts as renamed into place, and its head as whole (docs/known-flaws.md).
    """
    name = chance.choice(NAMES)
    file = world.files.specs.files.get(f"{name}.yaml") if world.files.specs else None
    if name in world.written and (file is None or world.nanoseconds() - file.ctime_ns < SEEN_AFTER):
        return None
    text = specfiles.workspace(name, body(chance, name, world.board)) + chance.choice((b"...\n", b""))
    cut = min(chance.randrange(len(text)), len(text) - 2)  # without its last line break it says the same
    world.put_file(f"{SPECS}/{name}.yaml", text[:cut], how="write")
    world.writers += 1

    def write_rest() -> None:
        world.writers -= 1
        world.write_spec(f"{name}.yaml", name, text, how="write")

    world.after(chance.uniform(0.05, 1.9), write_rest, f"the rest of {name}")
    return f"{cut} of {len(text)} bytes of {name}"


def spoil(world: "World", chance: random.Random) -> str:
    """A person makes a mistake in a spec, and mends it later."""
    name = chance.choice(NAMES)
    bad = specfiles.workspace(name, body(chance, name, world.board)) + b"  nosuch: key\n...\n"
    good = specfiles.workspace(name, body(chance, name, world.board)) + b"...\n"
    world.put_file(f"{SPECS}/{name}.yaml", bad, how="rename")
    mend = lambda: world.write_spec(f"{name}.yaml", name, good, how="rename")  # noqa: E731 - for later
    world.after(chance.uniform(5, 100), mend, f"{name} is mended")
    return name


def claim_twice(world: "World", chance: random.Random) -> str | None:
    """Two files claim one name for a while (SP6)."""
    name = chance.choice(NAMES)
    if f"{name}.yaml" not in world.files.names():
        return None
    text = specfiles.workspace(name, body(chance, name, world.board)) + b"...\n"
    world.write_spec(f"{name}-copy.yaml", name, text, how="rename")
    world.after(
        chance.uniform(1, 60), lambda: remove_file(world, f"{name}-copy.yaml"), f"the copy of {name} goes"
    )
    return name


def remove_file(world: "World", file: str) -> None:
    """A file goes, and with it what it asked for."""
    workspace = file.removesuffix(".yaml").removesuffix("-copy")
    world.asks.append(Ask(world.true_time(), "remove", workspace))
    world.files.remove(f"{SPECS}/{file}")
    world.files_changed()


def remove(world: "World", chance: random.Random) -> str | None:
    """A person removes a spec, and may put it back."""
    names = world.files.names()
    if not names:
        return None
    file = chance.choice(names)
    before = world.files.specs.files[file].text if world.files.specs else b""
    workspace = file.removesuffix(".yaml")
    remove_file(world, file)
    if chance.random() < 0.6:  # noqa: PLR2004 - more often than not
        back = lambda: world.write_spec(file, workspace, before, how="rename")  # noqa: E731 - for later
        if workspace in NAMES and before in _whole(world, workspace, before):
            world.after(chance.choice((1.0, 8.0, 60.0, 300.0)), back, f"{file} is back")
    return file


def _whole(world: "World", workspace: str, text: bytes) -> tuple[bytes, ...]:
    """The text, if a person wrote it completely."""
    return (text,) if hashlib.sha256(text).hexdigest() in world.written.get(workspace, ()) else ()


# the command


def command(world: "World", what: str, name: str) -> None:
    """A person says something to the controller.

    Raises:
        control.ControlError: it is refused, or nobody listens.
    """
    if world.process is None:
        raise control.BadRequest("nobody listens")
    said = len(world.asks)
    world.asks.append(Ask(world.true_time(), what, name))
    report = world.process.report
    status = report.statuses.get(name) if report else None
    if what == "approve" and status is not None and status.decision.change.startswith("removed:"):
        world.asks.append(Ask(world.true_time(), "remove", name))  # who lets it go says that it is meant
    with _unless_said(world, said):
        getattr(world.process.service, what)(name, CALLER)


@contextlib.contextmanager
def _unless_said(world: "World", before: int) -> Iterator[None]:
    """Take back what was not said: it was refused, or the controller was killed before it wrote it down."""
    lost = world.counts[KILLED_BEFORE]
    try:
        yield
    except control.ControlError:
        del world.asks[before:]
        raise
    except Killed:
        if world.counts[KILLED_BEFORE] != lost:
            del world.asks[before:]
        raise


def _told(world: "World", what: str) -> tuple[str, ...]:
    """Workspaces of which it makes sense to say this; a person looks first."""
    memory, process = world.memory(), world.process
    if memory is None or process is None or process.report is None:
        return ()
    if what == "rollback":
        return tuple(sorted({kept.workspace for kept in memory.retained.values()}))
    if what == "approve":
        statuses = process.report.statuses
        return tuple(name for name in statuses if changes.is_approvable(statuses[name].decision))
    return NAMES


def _command(what: str) -> Disturb:
    def act(world: "World", chance: random.Random) -> str | None:
        names = _told(world, what)
        if not names:
            return None
        name = chance.choice(names)
        try:
            command(world, what, name)
        except control.ControlError:
            return None
        return name

    act.__name__ = f"wharf_{what}"
    return act


wharf_stop, wharf_start, wharf_restart, wharf_approve, wharf_rollback = map(
    _command, ("stop", "start", "restart", "approve", "rollback")
)


def wharf_forget(world: "World", chance: random.Random) -> str | None:
    """A person lets a kept container go."""
    memory = world.memory()
    kept = sorted(memory.retained) if memory else []
    if not kept or world.process is None:
        return None
    chosen, said = chance.choice(kept), len(world.asks)
    world.asks.append(Ask(world.true_time(), "forget", chosen))
    try:
        with _unless_said(world, said):
            world.process.service.forget(chosen, CALLER)
    except control.ControlError:
        return None
    return memory.retained[chosen].name if memory else chosen


def wharf_pause(world: "World", chance: random.Random) -> str | None:
    """A person says hands off, of the host or of one workspace, and later takes it back."""
    name = chance.choice((None, *NAMES))
    if world.process is None:
        return None
    try:
        world.process.service.pause(name, "to think", CALLER)
    except control.ControlError:
        return None
    world.after(chance.choice((2.0, 30.0, 90.0)), lambda: resume(world, name), "resume")
    return name or "the host"


def resume(world: "World", name: str | None) -> None:
    """Take a pause back; try again while nobody listens."""
    try:
        if world.process is None:
            raise control.BadRequest("nobody listens")
        world.process.service.resume(name, CALLER)
    except control.ControlError:
        world.after(5.0, lambda: resume(world, name), "resume again")


ACTS: Final[Mapping[str, Disturb]] = {
    **laws.LAWS,
    **{
        act.__name__: act
        for act in (
            write,
            write_in_halves,
            spoil,
            claim_twice,
            remove,
            wharf_stop,
            wharf_start,
            wharf_restart,
            wharf_approve,
            wharf_rollback,
            wharf_forget,
            wharf_pause,
        )
    },
}
