"""A controller that is killed at any write into a slice, and started again, ends where it would have."""

import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from controller.api.config import SliceDriver
from controller.model.memory import Suspension
from controller.model.slices import SliceLimit, SliceLimits
from tests.support import specfiles
from tests.support.lab import POLICY, Site

Story = Callable[[Site], None]
"""What people and things do to the host; it comes to rest by itself afterwards."""

MIB = 1 << 20
LATER = timedelta(seconds=2)
"""By then a look is too old to be given again."""
LIMITED = b"  aggregate: {cpus: '1', memory: 64m, memoryHigh: 48m, memoryLow: 8m, pids: 100}\n"
RAISED = b"  aggregate: {cpus: '1.5', memory: 96m, memoryHigh: 80m, memoryLow: 16m, pids: 200}\n"


def _edit(site: Site, policy: bytes) -> None:
    head, rest = POLICY.split(b"spec:\n")
    specfiles.rename_into_place(site.root / "policy.yaml", head + b"spec:\n" + policy + rest)


def _limits(site: Site) -> dict[str, tuple[SliceLimits, bool]]:
    """The slices that there are: their limits, and whether anything runs in them."""
    tree = site.slices
    assert tree is not None
    return {name: (group.limits, tree.populated(name)) for name, group in tree.groups.items()}


def _running(site: Site) -> None:
    site.write("alice")
    site.settle()


def make(site: Site) -> None:
    site.write("alice")


def raise_limits(site: Site) -> None:
    _running(site)
    _edit(site, RAISED)


def take_limits_away(site: Site) -> None:
    _running(site)
    _edit(site, b"")


def put_back_what_somebody_changed(site: Site) -> None:
    _running(site)
    assert site.slices is not None
    name = site.slices.name("alice")
    site.slices.write(name, SliceLimit.MEMORY, None)
    site.slices.write(name, SliceLimit.PIDS, 7)
    site.clock.advance(LATER)


def lower_below_what_is_in_use(site: Site) -> None:
    _running(site)
    assert site.slices is not None
    container = site.engine.get("workspace-alice")
    site.slices.take(container, 40 * MIB)
    site.clock.advance(LATER)
    _edit(site, b"  aggregate: {memory: 32m}\n")
    site.settle()
    assert container.running
    limits = site.slices.groups[site.slices.name("alice")].limits
    assert limits.memory == 64 * MIB
    assert limits.memory_high is not None
    assert 31 * MIB < limits.memory_high <= 32 * MIB
    site.slices.take(container, 4 * MIB)
    site.clock.advance(LATER)


def remove_what_is_empty(site: Site) -> None:
    _running(site)
    wish = Suspension(running=False, desired_state="Running", at=site.clock(), by="root")
    site.process.ledger.suspend("alice", wish)
    site.settle()
    site.remove("alice")


FILES, UNITS = SliceDriver.CGROUPFS, SliceDriver.SYSTEMD
STORIES: tuple[tuple[Story, SliceDriver], ...] = (
    (make, FILES),
    (make, UNITS),
    (raise_limits, FILES),
    (take_limits_away, UNITS),
    (put_back_what_somebody_changed, FILES),
    (lower_below_what_is_in_use, UNITS),
    (remove_what_is_empty, FILES),
    (remove_what_is_empty, UNITS),
)


def _run(root: Path, story: Story, at: int | None, *, applied: bool, driver: SliceDriver) -> tuple[Site, int]:
    site = Site(root)
    site.make_slices(driver, LIMITED)
    story(site)
    site.fuse.at, site.fuse.applied, site.fuse.count = at, applied, 0
    site.settle()
    return site, site.fuse.count


@pytest.fixture
def memory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        yield Path(directory)


@pytest.mark.parametrize(
    ("story", "driver"), STORIES, ids=[f"{story.__name__}, {driver}" for story, driver in STORIES]
)
def test_a_kill_at_any_write_changes_neither_the_end_nor_what_is_made_and_removed(
    story: Story, driver: SliceDriver, memory: Path
) -> None:
    reference, effects = _run(memory / "reference", story, None, applied=False, driver=driver)
    assert effects >= 2, "a story without effects proves nothing"
    for at in range(effects):
        for applied in (False, True):
            site, _ = _run(memory / f"{at}-{applied}", story, at, applied=applied, driver=driver)
            where = f"killed {'after' if applied else 'before'} effect {at} of {effects}"
            assert _limits(site) == _limits(reference), where
            assert site.picture() == reference.picture(), where
            assert site.counts() == reference.counts(), where
            left = [one.reason for one in site.process.ledger.intents(None, 100) if one.resolved_at is None]
            assert left == [], where
            site.process.ledger.close()
    reference.process.ledger.close()
