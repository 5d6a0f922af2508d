"""A proposed directory: its files count at once, and what is missing from it shall go."""

from datetime import timedelta
from pathlib import Path

from controller.model.memory import Memory
from controller.model.observed import Seen, Unseen
from controller.planning import acceptance
from controller.planning.budget import Budget
from controller.sources import proposals
from tests.support import reports, wharf_host

GRACE = timedelta(seconds=10)


def test_every_file_is_settled_and_complete(tmp_path: Path) -> None:
    (tmp_path / "alice.yaml").write_text(wharf_host.spec("alice"))
    (tmp_path / "bob.yaml").write_text("kind: [")
    found = proposals.Proposal(str(tmp_path), GRACE).observe(reports.NOW)
    assert isinstance(found, Seen)
    assert {name: file.terminated for name, file in found.value.files.items()} == {"alice": True}
    assert [file.file for file in found.value.rejected] == ["bob.yaml"]
    assert (found.value.settling, found.value.deliberate) == ((), True)


def test_what_is_missing_goes_and_is_no_accident(tmp_path: Path) -> None:
    known = {f"w{number}": reports.spec(f"w{number}") for number in range(9)}
    memory = Memory(1, b"", b"", accepted=known, spec_identity=(1, 2))
    (tmp_path / "w0.yaml").write_text(wharf_host.spec("w0"))
    scan = proposals.Proposal(str(tmp_path), GRACE).observe(reports.NOW)
    accepted = acceptance.accept(scan, memory, lambda name: name, Budget(1, 10), reports.NOW)
    assert (accepted.accident, accepted.removals_held) == ("", "")
    assert accepted.specs["w0"].confirmed
    missing = {name for name, spec in accepted.specs.items() if spec.missing_since is not None}
    assert missing == known.keys() - {"w0"}
    assert all(
        reports.NOW - since >= GRACE for name in missing if (since := accepted.specs[name].missing_since)
    )


def test_a_directory_that_is_not_there_is_not_an_empty_one(tmp_path: Path) -> None:
    found = proposals.Proposal(str(tmp_path / "absent"), GRACE).observe(reports.NOW)
    assert isinstance(found, Unseen)
