"""Knows what can go wrong below the controller: Engine, disk, clock, files, itself; each by a name.

It refuses to do harm for ever: what lasts ends after a while, and `heal` ends it at once.
"""

import random
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from controller.audit.evidence import Ask
from tests.simulation import durable
from tests.simulation.call_faults import CALL_FAULTS
from tests.simulation.filesystem import SPECS
from tests.simulation.process import Process
from tests.simulation.scenario import Disturb
from tests.support.sim_container import SimImage

if TYPE_CHECKING:
    from tests.simulation.world import World


def stuck(world: "World", chance: random.Random) -> str | None:
    """One container's lock is held: its inspect hangs, the list goes on (AP7)."""
    ids = sorted(world.engine.containers)
    if not ids:
        return None
    chosen = chance.choice(ids)
    world.engine.stuck.add(chosen)
    world.after(chance.uniform(1, 30), lambda: world.engine.stuck.discard(chosen), "the lock is free")
    return world.engine.containers[chosen].name


# the Engine


def engine_dies(world: "World", chance: random.Random) -> str | None:
    """The daemon is killed and comes back; without live restore it takes all containers with it (RS1-RS3)."""
    if world.engine.down:
        return None
    kills = chance.random() < 0.3  # noqa: PLR2004 - less often than not
    world.engine.down = True
    world.wire.cut()
    world.engine.pending.clear()
    world.after(chance.choice((0.2, 3.0, 40.0)), lambda: rise(world, kills=kills), "the Engine is back")
    return "without live restore" if kills else "with live restore"


def rise(world: "World", *, kills: bool) -> None:
    """Start the daemon, if it is down."""
    if world.engine.down:
        world.engine.rise(kills=kills)
        world.reconnect()


def disk_full(world: "World", chance: random.Random) -> str | None:
    """Changes of state do not reach the list (AP9)."""
    if world.engine.disk_full:
        return None
    world.engine.disk_full = True
    world.after(chance.uniform(2, 60), lambda: free_disk(world), "the disk has space")
    return "the list is stale"


def disk_crowded(world: "World", chance: random.Random) -> str | None:
    """The Engine's disk is above the high watermark: nothing new is made, and all else goes on (CT8)."""
    if world.engine.crowded:
        return None
    world.engine.crowded = True
    world.after(chance.uniform(2, 120), lambda: free_disk(world), "the disk has space")
    return "above the high watermark"


def free_disk(world: "World") -> None:
    """The next checkpoint of each container succeeds."""
    world.engine.disk_full = world.engine.crowded = False
    for container in world.engine.containers.values():
        world.engine.checkpoint(container)


def events_lost(world: "World", chance: random.Random) -> str | None:
    """The next events never come (EV3)."""
    world.losing = chance.randint(1, 20)
    return str(world.losing)


def events_doubled(world: "World", chance: random.Random) -> str | None:
    """The next events come twice."""
    world.doubling = chance.randint(1, 20)
    return str(world.doubling)


def stream_ends(world: "World", chance: random.Random) -> str | None:
    """The stream of events ends (EV7)."""
    del chance
    world.reconnect()
    return "opened anew"


def registry_away(world: "World", chance: random.Random) -> str | None:
    """Nothing can be pulled for a while."""
    if not world.engine.registry:
        return None
    kept = dict(world.engine.registry)
    world.engine.registry.clear()
    world.after(chance.uniform(1, 60), lambda: world.engine.registry.update(kept), "the registry is back")
    return "nothing can be pulled"


def image_moves(world: "World", chance: random.Random) -> str | None:
    """A tag means another image, on the host or at the registry."""
    image = SimImage("sha256:" + world.engine.new_id())
    world.asks.append(Ask(world.true_time(), "tag", ""))
    if chance.random() < 0.3:  # noqa: PLR2004 - less often than not
        far = chance.choice(("far:1", "sample:1", "sample:2"))
        world.engine.registry[far] = image
        return f"{far} at the registry"
    tag = chance.choice(("sample:1", "sample:2"))
    world.engine.add_image(tag, image)
    return tag


def network_goes(world: "World", chance: random.Random) -> str | None:
    """Somebody removes the workspaces' network, which the Engine allows while none of them runs."""
    del chance
    containers = world.engine.containers.values()
    if any(item.running or item.host_config["RestartPolicy"]["Name"] == "always" for item in containers):
        return None
    if world.engine.by_hand("DELETE", "/networks/wharf").status != 204:  # noqa: PLR2004 - of HTTP
        return None
    return "wharf"


def port_taken(world: "World", chance: random.Random) -> str | None:
    """Another process of the host listens on a port of ours."""
    port = 10000 + chance.randrange(6)
    if any(
        container.running and port in container.host_ports() for container in world.engine.containers.values()
    ):
        return None
    world.engine.host_ports.add(port)
    world.after(chance.uniform(5, 90), lambda: world.engine.host_ports.discard(port), "a port is free")
    return str(port)


def mount_goes(world: "World", chance: random.Random) -> str | None:
    """A directory that is mounted is not there for a while (RS4)."""
    source = f"/srv/data/{chance.choice(('alice', 'bob', 'carol', 'dave'))}"
    world.engine.missing_paths.add(source)
    world.after(chance.uniform(2, 60), lambda: world.engine.missing_paths.discard(source), "a mount is back")
    return source


def account_is_odd(world: "World", chance: random.Random) -> str | None:
    """The host no longer has somebody's account, has another of that name, or cannot tell for a while."""
    owner, how = chance.choice(("alice", "carol", "dave")), chance.choice(("gone", "changed", "silent"))
    recorded = world.process is not None and owner in world.process.ledger.recall(b"", world.wall()).accounts
    if how == "changed" and not recorded:
        return None  # another uid at first sight would be the one that counts
    world.engine.odd_accounts[owner] = how
    world.after(
        chance.uniform(2, 60), lambda: world.engine.odd_accounts.pop(owner, None), "an account is as it was"
    )
    return f"{owner}: {how}"


# the controller and its ledger


def kill(world: "World", chance: random.Random) -> str | None:
    """The controller is killed, wherever it is."""
    if world.process is None:
        return None
    under_way = len(world.wire.calls)
    world.kill(world.process)
    world.after(chance.choice((0.1, 1.0, 30.0, 3600.0)), world.boot_controller, "boot")
    return f"with {under_way} calls under way"


def kill_at_commit(world: "World", chance: random.Random) -> str | None:
    """The controller is killed right before or after what it writes next is durable."""
    if world.process is None:
        return None
    world.strikes.append(chance.choice(("kill before", "kill after")))
    return world.strikes[-1]


def commit_fails(world: "World", chance: random.Random) -> str | None:
    """The ledger cannot write once."""
    del chance
    world.strikes.append("fail")
    return "the next one"


def ledger_full(world: "World", chance: random.Random) -> str | None:
    """The ledger cannot write for a while."""
    if world.ledger_full:
        return None
    world.ledger_full = True
    world.after(chance.uniform(1, 60), lambda: setattr(world, "ledger_full", False), "the ledger has space")
    return "full"


def second_controller(world: "World", chance: random.Random) -> str | None:
    """Somebody starts a controller beside the one that runs, with a ledger of its own: it is turned away."""
    del chance
    if world.holder is None or world.engine.down:
        return None
    connection = durable.begin()
    intruder = Process(world, durable.TornDatabase(connection, lambda _: None), b"another key".ljust(32))
    intruder.begin_pass()
    for _ in range(200):
        if intruder.doomed:
            break
        theirs = [call for call in world.wire.calls if call.owner is intruder]
        tasks = [task for task in world.runnable if task.process is intruder]
        if tasks:
            world.runnable.remove(tasks[0])
            world.resume(tasks[0])
        elif theirs:
            world.wire.advance(theirs[0])
    assert intruder.refused, "a second controller was let in"
    intruder.kill()
    connection.close()
    return "turned away"


# the host


def clock_steps(world: "World", chance: random.Random) -> str | None:
    """The wall clock jumps. Not within a moment of a file being written: see QUIET."""
    if world.writers:
        return None
    seconds = chance.choice((-7200, -60, -5, 5, 60, 7200))
    world.stepped += timedelta(seconds=seconds)
    world.furthest = max(world.stepped, world.furthest)
    world.leapt_at = world.true_time()
    return f"{seconds} s"


def suspend(world: "World", chance: random.Random) -> str | None:
    """The machine sleeps: the monotonic clock does not count it, the wall clock does.

    Not within a moment of a file being written: see QUIET.
    """
    if world.writers:
        return None
    seconds = chance.choice((60, 3600, 86400))
    world.asleep += timedelta(seconds=seconds)
    return f"{seconds} s"


def reboot(world: "World", chance: random.Random) -> str | None:
    """The host starts anew: nothing runs, and Engine and controller come back in any order."""
    while world.process is not None:
        world.kill(world.process)
    world.wire.cut()
    world.wire.calls.clear()
    world.engine.rise(kills=True)
    world.engine.down = True
    world.boot = f"boot {world.number}"
    if world.board is not None:
        world.board.renumber(chance)
    if world.slices is not None:
        world.slices.tree.vanish()
    world.after(chance.uniform(0.1, 20), lambda: rise(world, kills=True), "the Engine is up")
    world.after(chance.uniform(0.1, 20), world.boot_controller, "boot")
    return world.boot


def watch_lost(world: "World", chance: random.Random) -> str | None:
    """Changes of files are not told for a while (SP3-SP5)."""
    if not world.watched:
        return None
    world.watched = False
    world.after(chance.uniform(10, 120), lambda: setattr(world, "watched", True), "files are watched")
    return "blind"


def specs_unreadable(world: "World", chance: random.Random) -> str | None:
    """The directory of specs cannot be read for a while."""
    if world.files.unreadable:
        return None
    world.files.unreadable = True
    world.after(
        chance.uniform(1, 60), lambda: setattr(world.files, "unreadable", False), "specs are readable"
    )
    return SPECS


def specs_vanish(world: "World", chance: random.Random) -> str | None:
    """The directory of specs is gone for a while, or another one is in its place (SP7)."""
    before = world.files.specs
    if before is None or not before.files or world.writers or world.vanished:
        return None
    world.vanished = True
    how = chance.choice(("missing", "another", "empty"))
    if how == "missing":
        world.files.specs = None
    else:
        world.files.replace_specs(with_files=how == "another")
    world.files_changed()

    def put_back() -> None:
        world.vanished = False
        if world.files.specs is None or not world.files.specs.files:
            world.files.specs = before
            world.files_changed()

    world.after(chance.choice((1.0, 20.0, 100.0)), put_back, "the specs are back")
    return how


def heal(world: "World") -> None:
    """Whatever goes wrong below the controller is over; a clock that was set back is right again."""
    rise(world, kills=False)
    free_disk(world)
    if world.stepped < world.furthest:
        world.stepped, world.leapt_at = world.furthest, world.true_time()
    world.engine.stuck.clear()
    world.engine.host_ports.clear()
    world.engine.missing_paths.clear()
    world.engine.odd_accounts.clear()
    if world.board is not None:
        world.board.heal()
    if world.slices is not None:
        world.slices.heal()
    world.ledger_full = world.files.unreadable = False
    world.watched = True
    world.strikes.clear()


FAULTS: Final[Mapping[str, Disturb]] = {
    disturb.__name__: disturb
    for disturb in (
        *CALL_FAULTS,
        stuck,
        engine_dies,
        disk_full,
        disk_crowded,
        events_lost,
        events_doubled,
        stream_ends,
        registry_away,
        image_moves,
        network_goes,
        port_taken,
        mount_goes,
        account_is_odd,
        kill,
        kill_at_commit,
        commit_fails,
        ledger_full,
        second_controller,
        clock_steps,
        suspend,
        reboot,
        watch_lost,
        specs_unreadable,
        specs_vanish,
    )
}
