"""The spec directory: what counts, from when on, and what never does."""

import datetime as dt
import os
import pathlib
import time

import pytest

from controller.api.conditions import Reason
from controller.model.desired import SpecScan
from controller.model.observed import Seen, Unseen
from controller.sources import directory
from tests.support import specfiles

SETTLE = dt.timedelta(milliseconds=300)


class Watch:
    """A spec directory under a clock that only moves when told."""

    def __init__(self, path: pathlib.Path, start: dt.datetime) -> None:
        self.path = path
        self.now = start
        self.specs = directory.SpecDirectory(str(path), SETTLE)

    def look(self, after: float = 0.0) -> SpecScan:
        self.now += dt.timedelta(seconds=after)
        scan = self.specs.observe(self.now)
        assert isinstance(scan, Seen), scan
        assert scan.at == self.now
        return scan.value

    def look_until_settled(self) -> SpecScan:
        self.look()
        return self.look(after=10)

    def fail(self, after: float = 0.0) -> Unseen:
        self.now += dt.timedelta(seconds=after)
        scan = self.specs.observe(self.now)
        assert isinstance(scan, Unseen), scan
        return scan


@pytest.fixture
def watch(tmp_path: pathlib.Path) -> Watch:
    """A directory whose files all look fresh: the clock is behind their times."""
    path = tmp_path / "workspaces.d"
    path.mkdir()
    return Watch(path, specfiles.START)


def test_an_empty_directory_is_a_complete_scan_without_specs(watch: Watch) -> None:
    scan = watch.look()
    assert scan == SpecScan(scan.identity, {})


def test_a_new_file_counts_once_it_has_read_the_same_twice(watch: Watch) -> None:
    specfiles.write_in_place(watch.path / "alice.yaml", specfiles.workspace())
    specfiles.age(watch.path / "alice.yaml")
    first = watch.look()
    assert (first.files, first.settling) == ({}, ("alice.yaml",))
    assert first.next_look == watch.now + SETTLE
    assert watch.look(after=0.29).files == {}
    scan = watch.look(after=0.01)
    assert scan.files["alice"].file == "alice.yaml"
    assert scan.files["alice"].settled_at == specfiles.START
    assert (scan.settling, scan.next_look) == ((), None)


def test_a_file_that_is_being_written_under_its_name_must_be_quiet(watch: Watch) -> None:
    specfiles.write_in_place(watch.path / "alice.yaml", specfiles.workspace())
    assert watch.look().next_look == watch.now + dt.timedelta(seconds=2)
    assert watch.look(after=1.9).settling == ("alice.yaml",)
    assert "alice" in watch.look(after=0.1).files


def test_an_old_file_needs_no_quiet_time(tmp_path: pathlib.Path) -> None:
    watch = Watch(tmp_path, specfiles.LATE)
    specfiles.write_in_place(tmp_path / "alice.yaml", specfiles.workspace())
    watch.look()
    assert "alice" in watch.look(after=0.3).files


def test_a_new_file_with_a_certain_end_needs_no_quiet_time(watch: Watch) -> None:
    specfiles.write_in_place(watch.path / "alice.yaml", specfiles.workspace() + b"...\n")
    watch.look()
    assert watch.look(after=0.3).files["alice"].terminated


def test_a_change_in_place_waits_for_quiet_and_one_by_rename_only_to_settle(watch: Watch) -> None:
    path = watch.path / "alice.yaml"
    path.write_bytes(specfiles.workspace())
    watch.look_until_settled()
    specfiles.write_in_place(path, specfiles.workspace(body="  class: big\n"))
    assert watch.look().settling == ("alice.yaml",)
    assert watch.look(after=1).settling == ("alice.yaml",)
    assert watch.look(after=1).files["alice"].workspace.spec.class_name == "big"
    specfiles.rename_into_place(path, specfiles.workspace(body="  class: small\n"))
    watch.look()
    assert watch.look(after=0.3).files["alice"].workspace.spec.class_name == "small"


def test_each_write_starts_the_wait_anew(watch: Watch) -> None:
    path = watch.path / "alice.yaml"
    text = specfiles.workspace()
    for end in range(10, len(text), 10):
        specfiles.write_in_place(path, text[:end])
        assert watch.look(after=1.9).settling == ("alice.yaml",)
    specfiles.write_in_place(path, text)
    watch.look(after=1.9)
    assert "alice" in watch.look(after=2).files


def test_a_touch_or_a_chmod_does_not_unsettle(watch: Watch) -> None:
    path = watch.path / "alice.yaml"
    path.write_bytes(specfiles.workspace())
    before = watch.look_until_settled()
    path.chmod(0o600)
    path.touch()
    assert watch.look() == before


def test_a_clock_that_steps_back_only_delays(watch: Watch) -> None:
    (watch.path / "alice.yaml").write_bytes(specfiles.workspace())
    watch.look()
    watch.now -= dt.timedelta(hours=1)
    assert watch.look().settling == ("alice.yaml",)
    assert "alice" in watch.look(after=2).files


def test_a_rejected_file_says_why_and_whom_it_is_about(watch: Watch) -> None:
    path = watch.path / "alice.yaml"
    path.write_bytes(specfiles.workspace(body="  nix: 1\n"))
    (rejected,) = watch.look_until_settled().rejected
    assert (rejected.file, rejected.name, rejected.reason) == ("alice.yaml", "alice", Reason.SPEC_REJECTED)
    assert str(rejected.findings[0]).startswith("alice.yaml:6:3: spec.nix: unknown key")


def test_an_unreadable_file_keeps_the_name_that_it_had(watch: Watch) -> None:
    path = watch.path / "alice.yaml"
    path.write_bytes(specfiles.workspace())
    watch.look_until_settled()
    specfiles.rename_into_place(path, b"{{{")
    (rejected,) = watch.look_until_settled().rejected
    assert rejected.name == "alice"


def test_two_files_with_one_name_are_both_rejected(watch: Watch) -> None:
    (watch.path / "alice.yaml").write_bytes(specfiles.workspace())
    assert "alice" in watch.look_until_settled().files
    (watch.path / "copy.yaml").write_bytes(specfiles.workspace())
    assert "alice" in watch.look().files
    scan = watch.look(after=10)
    assert scan.files == {}
    told = {rejected.file: rejected for rejected in scan.rejected}
    assert set(told) == {"alice.yaml", "copy.yaml"}
    assert {rejected.reason for rejected in scan.rejected} == {Reason.SPEC_CONFLICT}
    assert str(told["copy.yaml"].findings[0]).startswith("copy.yaml:4:9: metadata.name: ")
    assert "alice.yaml" in told["copy.yaml"].findings[0].message
    (watch.path / "copy.yaml").unlink()
    assert "alice" in watch.look().files


def test_renaming_a_file_keeps_its_workspace(watch: Watch) -> None:
    (watch.path / "alice.yaml").write_bytes(specfiles.workspace())
    watch.look_until_settled()
    (watch.path / "alice.yaml").rename(watch.path / "bob.yaml")
    scan = watch.look()
    assert scan.settling == ("bob.yaml",)
    assert watch.look(after=0.3).files["alice"].file == "bob.yaml"


def test_what_is_no_spec_is_listed_and_editors_leftovers_are_not(watch: Watch) -> None:
    text = specfiles.workspace()
    for name in ("Alice.yaml", "README", "alice.json", "-a.yaml", ".hidden.yaml"):
        (watch.path / name).write_bytes(text)
    for name in ("alice.yaml~", ".alice.yaml.swp", ".#alice.yaml", "4913", "#alice.yaml#", "alice.yaml.bak"):
        (watch.path / name).write_bytes(text)
    (watch.path / "target").write_bytes(text)
    (watch.path / "link.yaml").symlink_to("target")
    (watch.path / "hard.yaml").hardlink_to(watch.path / "target")
    (watch.path / "folder.yaml").mkdir()
    os.mkfifo(watch.path / "pipe.yaml")
    (watch.path / os.fsdecode(b"caf\xe9.yaml")).write_bytes(text)
    scan = watch.look_until_settled()
    assert scan.files == {}
    assert scan.settling == ()
    reasons = dict(scan.ignored)
    assert "symbolic link" in reasons["link.yaml"]
    assert "hard link" in reasons["hard.yaml"]
    assert "regular file" in reasons["folder.yaml"]
    assert "regular file" in reasons["pipe.yaml"]
    assert "caf\\xe9.yaml" in reasons
    assert set(reasons) == {
        "Alice.yaml", "README", "alice.json", "-a.yaml", ".hidden.yaml", "target",
        "link.yaml", "hard.yaml", "folder.yaml", "pipe.yaml", "caf\\xe9.yaml",
    }  # fmt: skip


def test_a_file_over_64_kib_is_rejected_unread(watch: Watch) -> None:
    with (watch.path / "alice.yaml").open("wb") as file:
        file.truncate(2**40)
    (rejected,) = watch.look_until_settled().rejected
    assert "64 KiB" in rejected.findings[0].message


def test_a_missing_directory_is_not_an_empty_one(watch: Watch) -> None:
    (watch.path / "alice.yaml").write_bytes(specfiles.workspace())
    watch.look_until_settled()
    watch.path.rename(watch.path.with_name("elsewhere"))
    first = watch.fail()
    assert first.reason == Reason.SPECS_UNREADABLE
    assert str(watch.path) in first.message
    assert watch.fail(after=60).since == first.since
    watch.path.with_name("elsewhere").rename(watch.path)
    assert "alice" in watch.look().files


def test_a_file_in_the_directorys_place_is_not_an_empty_one(watch: Watch) -> None:
    watch.path.rmdir()
    watch.path.write_bytes(b"")
    assert watch.fail().reason == Reason.SPECS_UNREADABLE


def test_a_replaced_directory_is_told_once_and_then_read_under_its_new_identity(watch: Watch) -> None:
    (watch.path / "alice.yaml").write_bytes(specfiles.workspace())
    before = watch.look_until_settled()
    watch.path.rename(watch.path.with_name("old"))
    watch.path.mkdir()
    assert "replaced" in watch.fail().message
    after = watch.look()
    assert after.files == {}
    assert after.identity != before.identity


def test_a_directory_that_is_replaced_during_the_scan_is_not_an_empty_one(watch: Watch) -> None:
    class Swapped(directory.SpecDirectory):
        """Loses its directory after it was opened and before it is listed."""

        def _gather(self, descriptor: int, now: dt.datetime) -> directory._Harvest:
            watch.path.rename(watch.path.with_name("old"))
            watch.path.mkdir()
            return super()._gather(descriptor, now)

    scan = Swapped(str(watch.path), SETTLE).observe(watch.now)
    assert isinstance(scan, Unseen)
    assert "replaced" in scan.message


def test_one_look_never_settles_anything(tmp_path: pathlib.Path) -> None:
    (tmp_path / "alice.yaml").write_bytes(specfiles.workspace())
    specs = directory.SpecDirectory(str(tmp_path), dt.timedelta(0))
    for expected in (set(), set(), {"alice"}):
        scan = specs.observe(specfiles.LATE + dt.timedelta(seconds=bool(expected)))
        assert isinstance(scan, Seen)
        assert set(scan.value.files) == expected


def test_every_prefix_of_a_spec_changes_nothing(watch: Watch) -> None:
    """S12: whatever part of a new text is in the file, only a settled, whole one counts."""
    path = watch.path / "alice.yaml"
    old = specfiles.workspace(body="  class: old\n")
    new = specfiles.workspace(
        body="  class: new\n  resources: {memory: 640m}\n  lifecycle: {idleTimeout: 48h}\n"
    )
    path.write_bytes(old)
    watch.look_until_settled()
    for end in range(len(new)):
        specfiles.write_in_place(path, new[:end])
        scan = watch.look(after=0.5)
        assert scan.files == {}
        assert scan.rejected == ()
        assert scan.settling == ("alice.yaml",)
    specfiles.write_in_place(path, new)
    watch.look()
    assert watch.look(after=2).files["alice"].workspace.spec.class_name == "new"


def test_200_unchanged_files_cost_less_than_5_ms(tmp_path: pathlib.Path) -> None:
    watch = Watch(tmp_path, specfiles.LATE)
    for number in range(200):
        (tmp_path / f"w{number}.yaml").write_bytes(specfiles.workspace(f"w{number}"))
    assert len(watch.look_until_settled().files) == 200
    costs = []
    for _ in range(20):
        begun = time.perf_counter()
        watch.look(after=1)
        costs.append(time.perf_counter() - begun)
    assert min(costs) < 0.005
