"""What a person deletes by a word to the controller goes; what vanishes otherwise needs an approval."""

import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from controller.api.conditions import Reason
from controller.model.memory import RemovalRequest
from controller.planning.budget import Budget
from tests.support.lab import Site

NAMES = ("a", "b", "c", "d", "e", "f")


@pytest.fixture
def site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as root:
        site = Site(Path(root), Budget(1, 10))
        for name in NAMES:
            site.write(name)
        site.settle()
        yield site
        site.process.ledger.close()


def delete(site: Site, name: str) -> None:
    site.remove(name)
    request = RemovalRequest(name, site.clock(), "root")
    site.process.ledger.request_removal(request)


def left(site: Site) -> set[str]:
    return {c.name for c in site.engine.containers.values() if c.status == "running"}


def test_four_of_six_that_a_person_deleted_go_at_once(site: Site) -> None:
    for name in NAMES[:4]:
        delete(site, name)
    site.settle(timedelta(seconds=30))
    assert left(site) == {"workspace-e", "workspace-f"}
    memory = site.process.ledger.recall(b"", site.clock())
    assert (memory.disruptions, memory.removal_requests, set(memory.accepted)) == ((), {}, {"e", "f"})


def test_a_kill_between_the_word_and_the_removal_changes_nothing(site: Site) -> None:
    for name in NAMES[:4]:
        delete(site, name)
    site.crash()
    site.settle(timedelta(seconds=30))
    assert left(site) == {"workspace-e", "workspace-f"}


def test_a_file_that_is_there_again_makes_the_word_void(site: Site) -> None:
    for name in NAMES[:4]:
        delete(site, name)
        site.write(name)
    site.settle(timedelta(seconds=30))
    assert site.process.ledger.recall(b"", site.clock()).removal_requests == {}
    for name in NAMES[:4]:
        site.remove(name)
    report = site.settle(timedelta(seconds=30))
    assert {report.plan.decisions[name].reason for name in NAMES[:4]} == {Reason.REMOVALS_HELD}
    assert len(left(site)) == len(NAMES)
