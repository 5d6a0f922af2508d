"""A ledger of the test's own, open and empty."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.ledger.ledger import Ledger
from tests.support import ledgers


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "state", ledgers.NOW)
    yield opened
    opened.close()
