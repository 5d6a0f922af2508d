"""A host that is new or changed is looked at completely, once, before it is touched."""

from datetime import timedelta
from pathlib import Path

from tests.support import specfiles
from tests.support.lab import POLICY, Site


def steps(site: Site, count: int) -> None:
    for _ in range(count):
        site.process.step()
        site.clock.advance(timedelta(seconds=1))


def test_a_host_of_which_a_part_is_not_seen_is_not_proven(tmp_path: Path) -> None:
    site = Site(tmp_path)
    specfiles.rename_into_place(site.root / "policy.yaml", b"kind: Nonsense\n")
    site.write("alice")
    steps(site, 5)
    assert site.process.ledger.proven_host() == ""
    specfiles.rename_into_place(site.root / "policy.yaml", POLICY)
    site.settle()
    assert site.process.ledger.proven_host() == f"one boot/{site.engine.engine_id}"
    assert [container.name for container in site.engine.containers.values()] == ["workspace-alice"]


def test_a_host_that_was_proven_is_acted_on_although_a_part_of_it_is_not_seen(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.write("alice")
    site.settle()
    specfiles.rename_into_place(site.root / "policy.yaml", b"kind: Nonsense\n")
    site.crash()
    site.engine.exit("workspace-alice", 1)
    steps(site, 5)
    assert site.engine.get("workspace-alice").running
