"""What fails for a moment inside a pass leaves nothing behind: the ledger, or a look that takes too long."""

import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from controller.api.conditions import Reason
from controller.model import errors
from controller.model.memory import Suspension
from tests.support.lab import CrashError, Site

BEGUN = "  class: small\n"


@pytest.fixture
def site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        made = Site(Path(directory) / "site")
        yield made
        made.process.ledger.close()


def _failing_once(write: Callable[..., object]) -> Callable[..., object]:
    """The same, but its first call finds the disk full."""
    failures = [errors.Retryable(Reason.LEDGER_UNAVAILABLE, "database or disk is full")]

    def call(*arguments: object) -> object:
        if failures:
            raise failures.pop()
        return write(*arguments)

    return call


def _open(site: Site) -> list[str]:
    return [one.workspace for one in site.process.ledger.intents(None, 100) if one.resolved_at is None]


def test_what_came_of_a_chain_is_written_as_soon_as_the_ledger_can_be_written_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = site.process.ledger
    monkeypatch.setattr(ledger, "resolve_intent", _failing_once(ledger.resolve_intent))
    site.write("alice")
    site.settle()
    assert site.engine.get("workspace-alice").running
    assert _open(site) == []


def test_a_failure_at_the_first_look_does_not_keep_the_chains_of_a_dead_controller_open(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.write("alice")
    site.settle()
    site.process.ledger.request_restart("alice", site.clock.advance(timedelta(seconds=1)))
    site.fuse.at, site.fuse.count = 2, 0  # the stop itself
    with pytest.raises(CrashError):
        site.process.step()
    process = site.crash()
    assert _open(site) == ["alice"]
    monkeypatch.setattr(process.ledger, "abandon_intents", _failing_once(process.ledger.abandon_intents))
    site.settle()
    assert site.engine.get("workspace-alice").running
    assert _open(site) == []


def test_nothing_is_stopped_on_a_look_that_took_longer_than_evidence_may_be_old(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.write("alice")
    site.settle()
    wish = Suspension(running=False, desired_state="Running", at=site.clock(), by="root")
    site.process.ledger.suspend("alice", wish)
    times = iter((0.0, 31.0, 31.0, 0.0, 1.0, 1.0))
    monkeypatch.setattr(site.process.reconciler, "_monotonic", lambda: next(times))
    slow = site.process.step()
    assert site.engine.get("workspace-alice").running
    assert slow.plan.decisions["alice"].reason is Reason.NOT_SEEN
    site.process.step()
    assert not site.engine.get("workspace-alice").running
