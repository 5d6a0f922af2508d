"""A controller that is killed at any effect of any chain, and started again, ends where it would have ended.

Sieve's oracle: the end state and the numbers of containers made and removed are those without a kill.
"""

import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from controller.model.memory import Adoption, Approval, Pause, Rollback, Suspension
from tests.support.lab import Site
from tests.support.sim_container import SimImage

Story = Callable[[Site], None]
"""What people and things do to the host; it comes to rest by itself afterwards."""

BEGUN = "  class: small\n"
NAMED = "  services: [{name: code, port: 8080, expose: Hostname}]\n"
IMMEDIATE = "  class: small\n  lifecycle: {changes: Immediate}\n"


def _running(site: Site, body: str = BEGUN) -> None:
    site.write("alice", body)
    site.settle()


def _kept_id(site: Site) -> str:
    memory = site.process.ledger.recall(b"", site.clock())
    return max(memory.retained.values(), key=lambda kept: kept.at).container_id


def _change(site: Site, lines: str) -> None:
    _running(site, IMMEDIATE)
    site.write("alice", IMMEDIATE + lines)


def create(site: Site) -> None:
    site.write("alice")


def create_with_a_pull(site: Site) -> None:
    site.engine.registry["far:1"] = SimImage("sha256:" + "f" * 64)
    site.write("alice", BEGUN + "  image: far:1\n")


def create_three_with_ports(site: Site) -> None:
    for name in ("alice", "bob", "carol"):
        site.write(name, BEGUN + "  services: [{name: jupyter, port: 8888}]\n")


def stop_what_is_named(site: Site) -> None:
    _running(site, BEGUN + NAMED)
    assert [part for part in site.picture() if part[0] == "route"], "nothing leads to it"
    site.write("alice", BEGUN + NAMED + "  desiredState: Stopped\n")


def move_what_is_named(site: Site) -> None:
    """Another container takes the address before the workspace comes back."""
    _running(site, BEGUN + NAMED)
    site.engine.exit("workspace-alice", 1)
    site.write("aaa", BEGUN + NAMED)


def start_what_exited(site: Site) -> None:
    _running(site)
    site.engine.exit("workspace-alice", 1)


def start_what_was_removed(site: Site) -> None:
    _running(site)
    site.engine.by_hand("DELETE", "/containers/workspace-alice", {"force": "1"})


def thaw(site: Site) -> None:
    _running(site)
    site.engine.by_hand("POST", "/containers/workspace-alice/pause")


def rename_back(site: Site) -> None:
    _running(site)
    site.engine.by_hand("POST", "/containers/workspace-alice/rename", {"name": "mine"})


def stop_by_spec(site: Site) -> None:
    _running(site)
    site.write("alice", BEGUN + "  desiredState: Stopped\n")


def _suspend(site: Site, *, running: bool, word: str) -> None:
    at = site.clock()
    wish = Suspension(running=running, desired_state=word, at=at, by="root")
    site.process.ledger.suspend("alice", wish)


def stop_by_request(site: Site) -> None:
    _running(site)
    _suspend(site, running=False, word="Running")


def start_by_request(site: Site) -> None:
    _running(site, BEGUN + "  desiredState: Stopped\n")
    _suspend(site, running=True, word="Stopped")


def restart_by_request(site: Site) -> None:
    _running(site)
    site.process.ledger.request_restart("alice", site.clock())


def change_memory_live(site: Site) -> None:
    _running(site, BEGUN + "  resources: {memory: 64m}\n")
    site.write("alice", BEGUN + "  resources: {memory: 128m}\n")


def put_memory_back(site: Site) -> None:
    _running(site, BEGUN + "  resources: {memory: 64m}\n")
    body = {"Memory": 32 << 20, "MemorySwap": 32 << 20}
    site.engine.by_hand("POST", "/containers/workspace-alice/update", body=body)


def replace_for_env(site: Site) -> None:
    _change(site, "  env: {A: b}\n")


def replace_for_image(site: Site) -> None:
    _change(site, "  image: sample:2\n")


def replace_what_is_stopped(site: Site) -> None:
    _running(site, BEGUN + "  desiredState: Stopped\n")
    _suspend(site, running=True, word="Stopped")
    site.settle()
    _suspend(site, running=False, word="Stopped")
    site.settle()
    site.write("alice", BEGUN + "  desiredState: Stopped\n  env: {A: b}\n")
    site.settle()
    _suspend(site, running=True, word="Stopped")


def replacement_with_a_bad_program(site: Site) -> None:
    _change(site, '  command: ["/bin/nothing"]\n')


def replacement_that_ends_at_once(site: Site) -> None:
    _change(site, '  command: ["/bin/false"]\n')


def replacement_on_a_taken_port(site: Site) -> None:
    site.engine.host_ports.add(10022)
    _change(site, "  services: [{name: ssh, port: 22, hostPort: 10022}]\n")


def edit_while_a_replacement_is_under_way(site: Site) -> None:
    _change(site, "  env: {A: b}\n")
    for _ in range(6):
        site.process.step()
    site.write("alice", IMMEDIATE + "  env: {A: c}\n")


def take_back_what_is_under_way(site: Site) -> None:
    _change(site, "  env: {A: b}\n")
    for _ in range(10):
        if len(site.engine.containers) > 1:
            break
        site.clock.advance(timedelta(milliseconds=200))
        site.process.step()
    assert len(site.engine.containers) == 2
    site.process.ledger.pause(None, Pause("time to think", site.clock(), "root"))
    site.write("alice", IMMEDIATE)
    site.settle()
    site.process.ledger.resume(None)


def approve_a_parked_change(site: Site) -> None:
    _running(site)
    site.write("alice", BEGUN + "  env: {A: b}\n")
    parked = site.settle().plan.decisions["alice"]
    assert parked.change
    site.process.ledger.approve(Approval("alice", parked.change, site.clock(), "root"))


def delete(site: Site) -> None:
    _running(site)
    site.remove("alice")


def delete_and_put_back(site: Site) -> None:
    _running(site)
    site.remove("alice")
    site.settle()
    site.write("alice")


def _roll_back(site: Site) -> None:
    _change(site, "  env: {A: b}\n")
    site.settle()
    wish = Rollback("alice", _kept_id(site), requested=True, at=site.clock(), by="root")
    site.process.ledger.request_rollback(wish)


def roll_back_by_request(site: Site) -> None:
    _roll_back(site)


def roll_back_what_is_stopped(site: Site) -> None:
    _change(site, "  env: {A: b}\n")
    site.settle()
    _suspend(site, running=False, word="Running")
    site.settle()
    wish = Rollback("alice", _kept_id(site), requested=True, at=site.clock(), by="root")
    site.process.ledger.request_rollback(wish)


def approve_after_a_rollback(site: Site) -> None:
    _roll_back(site)
    pinned = site.settle().plan.decisions["alice"]
    site.process.ledger.approve(Approval("alice", pinned.change, site.clock(), "root"))


def forget_a_kept_container(site: Site) -> None:
    _change(site, "  env: {A: b}\n")
    site.settle()
    site.process.ledger.request_forgetting(_kept_id(site), site.clock())


def pause_and_resume(site: Site) -> None:
    _running(site)
    site.process.ledger.pause(None, Pause("maintenance", site.clock(), "root"))
    site.engine.exit("workspace-alice", 1)
    site.settle()
    site.process.ledger.resume(None)


def adopt(site: Site) -> None:
    _running(site)
    (container,) = site.engine.containers.values()
    container.config["Labels"] = {**container.config["Labels"], "dev.wharfinger.claim": "lost"}
    site.settle()
    site.process.ledger.adopt(Adoption(container.id, "alice", site.clock(), "root"))
    site.engine.exit("workspace-alice", 1)


STORIES: tuple[Story, ...] = (
    create,
    create_with_a_pull,
    create_three_with_ports,
    stop_what_is_named,
    move_what_is_named,
    start_what_exited,
    start_what_was_removed,
    thaw,
    rename_back,
    stop_by_spec,
    stop_by_request,
    start_by_request,
    restart_by_request,
    change_memory_live,
    put_memory_back,
    replace_for_env,
    replace_for_image,
    replace_what_is_stopped,
    replacement_with_a_bad_program,
    replacement_that_ends_at_once,
    replacement_on_a_taken_port,
    edit_while_a_replacement_is_under_way,
    take_back_what_is_under_way,
    approve_a_parked_change,
    delete,
    delete_and_put_back,
    roll_back_by_request,
    roll_back_what_is_stopped,
    approve_after_a_rollback,
    forget_a_kept_container,
    pause_and_resume,
    adopt,
)


def _run(root: Path, story: Story, at: int | None, *, applied: bool) -> tuple[Site, int]:
    site = Site(root)
    story(site)
    site.fuse.at, site.fuse.applied, site.fuse.count = at, applied, 0
    site.settle()
    return site, site.fuse.count


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory in memory: a kill loses nothing that was written, so no disk needs to be waited for."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        yield Path(directory)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_a_kill_at_any_effect_changes_neither_the_end_nor_what_is_made_and_removed(
    story: Story, memory: Path
) -> None:
    reference, effects = _run(memory / "reference", story, None, applied=False)
    assert effects >= 2, "a story without effects proves nothing"
    for at in range(effects):
        for applied in (False, True):
            site, _ = _run(memory / f"{at}-{applied}", story, at, applied=applied)
            where = f"killed {'after' if applied else 'before'} effect {at} of {effects}"
            assert site.picture() == reference.picture(), where
            assert site.counts() == reference.counts(), where
            left = [one.reason for one in site.process.ledger.intents(None, 100) if one.resolved_at is None]
            assert left == [], where
            site.process.ledger.close()
    reference.process.ledger.close()
