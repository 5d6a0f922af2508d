"""A controller that only observes plans as the other one does, and touches nothing."""

from datetime import timedelta
from pathlib import Path

import pytest

from controller.model.plan import Verdict
from tests.support.lab import Site

IMMEDIATE = "  class: small\n  env: {A: b}\n  lifecycle: {changes: Immediate}\n"


def looks(site: Site) -> list[str]:
    return [call for call in site.engine.calls if not call.startswith(("list", "inspect", "info", "version"))]


@pytest.mark.parametrize("body", ["  class: small\n  desiredState: Stopped\n", IMMEDIATE])
def test_in_mode_observe_nothing_is_done(tmp_path: Path, body: str) -> None:
    site = Site(tmp_path)
    site.write("alice")
    site.settle()
    site.process.reconciler._mode = "Observe"
    before, pictured = looks(site), site.picture()
    site.write("alice", body)
    site.write("bob")
    for _ in range(20):
        report = site.process.step()
        site.clock.advance(timedelta(seconds=1))
    assert report.plan.decisions["bob"].verdict is Verdict.CREATE
    assert report.plan.decisions["alice"].actions
    assert (looks(site), site.picture()) == (before, pictured)
    assert not site.process.ledger.recall(b"", site.clock()).open_intents
    assert not report.in_progress
