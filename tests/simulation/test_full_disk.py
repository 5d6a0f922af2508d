"""What cannot be written down is not done, and is done once it can be."""

import contextlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from controller.api.conditions import Reason
from controller.ledger.ledger import Ledger
from controller.model import errors
from controller.model.plan import Decision
from tests.support.lab import Site

STORIES = {
    "a first container": "  class: small\n",
    "a change of what runs": "  class: small\n  env: {A: b}\n  lifecycle: {changes: Immediate}\n",
    "a stop": "  class: small\n  desiredState: Stopped\n",
}


class FullDisk:
    """Lets every transaction with an intent in it fail at its end, and counts them."""

    def __init__(self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failures = 0
        self._begun = False
        self._transaction, self._open_intent = ledger._database.transaction, ledger.open_intent
        monkeypatch.setattr(ledger._database, "transaction", self._fail_at_the_end)
        monkeypatch.setattr(ledger, "open_intent", self._note_and_open)
        self._depth = 0

    def _note_and_open(self, decision: Decision, now: datetime) -> int:
        self._begun = True
        return self._open_intent(decision, now)

    @contextlib.contextmanager
    def _fail_at_the_end(self) -> Iterator[None]:
        self._depth += 1
        try:
            with self._transaction():
                yield
                if self._depth == 1 and self._begun:
                    self._begun = False
                    self.failures += 1
                    raise errors.Retryable(Reason.LEDGER_UNAVAILABLE, "the disk is full")
        finally:
            self._depth -= 1


def changes(calls: list[str]) -> list[str]:
    return [call for call in calls if call in {"create_container", "start", "stop", "remove", "rename"}]


@pytest.mark.parametrize("body", STORIES.values(), ids=STORIES.keys())
def test_what_cannot_be_written_down_is_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    site = Site(tmp_path)
    if body != STORIES["a first container"]:
        site.write("alice")
        site.settle()
    before = changes(site.engine.calls)
    with monkeypatch.context() as broken:
        disk = FullDisk(site.process.ledger, broken)
        site.write("alice", body)
        for _ in range(40):
            site.process.step()
            site.clock.advance(timedelta(seconds=1))
        assert disk.failures > 1
        assert changes(site.engine.calls) == before
        assert not site.process.ledger.recall(b"", site.clock()).open_intents
    site.settle()
    assert changes(site.engine.calls) != before
