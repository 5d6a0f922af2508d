"""Which policy is in force while its file is wrong, unfinished or gone."""

from datetime import timedelta
from pathlib import Path

import pytest

from controller.api.conditions import Reason
from controller.model.desired import AcceptedPolicy
from controller.model.observed import Unseen
from controller.sources.policies import Policies
from tests.support import specfiles

SETTLE = timedelta(milliseconds=100)
ROOTED = b"""\
apiVersion: wharfinger.dev/v1
kind: ResourcePolicy
metadata: {name: lab}
spec: {mountRoots: [/mnt/storage]}
"""
WRONG = ROOTED.replace(b"mountRoots", b"mountRoot")


class Shelf:
    """What outlives a controller."""

    def __init__(self) -> None:
        self.texts: dict[str, tuple[str, str]] = {}

    def remember(self, kind: str, text: str, digest: str) -> None:
        self.texts[kind] = (text, digest)


class World:
    def __init__(self, folder: Path) -> None:
        self.policy, self.catalog = folder / "policy.yaml", folder / "images.yaml"
        self.shelf = Shelf()
        self.now = specfiles.LATE
        self.boot()

    def boot(self) -> None:
        self.policies = Policies(
            str(self.policy), str(self.catalog), SETTLE, self.shelf.texts.get, self.shelf.remember
        )

    def look(self) -> AcceptedPolicy | Unseen:
        """Look until what is there has settled."""
        for _ in range(3):
            found = self.policies.observe({}, self.now)
            self.now += timedelta(seconds=3)
        return found

    def roots(self) -> tuple[str, ...]:
        found = self.look()
        assert isinstance(found, AcceptedPolicy), found
        return tuple(found.policy.spec.mount_roots)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_without_a_file_nothing_is_allowed_and_nothing_is_wrong(world: World) -> None:
    found = world.look()
    assert isinstance(found, AcceptedPolicy)
    assert (found.policy.spec.mount_roots, found.findings) == ((), ())


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("text", [None, WRONG], ids=["gone", "wrong"])
def test_the_last_accepted_policy_stays_in_force(world: World, text: bytes | None, restarted: bool) -> None:
    specfiles.rename_into_place(world.policy, ROOTED)
    assert world.roots() == ("/mnt/storage",)
    if text is None:
        world.policy.unlink()
    else:
        specfiles.rename_into_place(world.policy, text)
    if restarted:
        world.boot()
    assert world.roots() == ("/mnt/storage",)
    found = world.look()
    assert isinstance(found, AcceptedPolicy)
    assert [finding.file for finding in found.findings] == [str(world.policy)]


def test_a_policy_that_was_never_valid_is_not_an_empty_one(world: World) -> None:
    specfiles.rename_into_place(world.policy, WRONG)
    found = world.look()
    assert isinstance(found, Unseen)
    assert found.reason is Reason.POLICY_REJECTED
    assert "mountRoot" in found.message


def test_an_empty_policy_takes_rules_away(world: World) -> None:
    specfiles.rename_into_place(world.policy, ROOTED)
    assert world.roots() == ("/mnt/storage",)
    empty = ROOTED.replace(b"spec: {mountRoots: [/mnt/storage]}", b"spec: {}")
    specfiles.rename_into_place(world.policy, empty)
    assert world.roots() == ()


def test_files_of_members_are_part_of_what_is_in_force(world: World) -> None:
    named = ROOTED.replace(b"mountRoots", b"groups: {students: {membersFile: students}}, mountRoots")
    world.policy.write_bytes(named)
    world.policy.with_name("students").write_text("alice\n")
    first = world.look()
    assert isinstance(first, AcceptedPolicy)
    assert first.members == {"students": {"alice"}}
    assert first.unread_groups == frozenset()
    assert world.look() is first
    assert world.policies.files()["MembersFile", "valid"] == 1
    world.policy.with_name("students").write_text("alice\nbob\n")
    second = world.look()
    assert isinstance(second, AcceptedPolicy)
    assert second.members == {"students": {"alice", "bob"}}
    assert second.digest != first.digest


def test_lines_are_those_of_the_file_in_force_also_after_a_restart(world: World) -> None:
    specfiles.rename_into_place(world.policy, ROOTED)
    for _ in range(2):
        found = world.look()
        assert isinstance(found, AcceptedPolicy)
        assert (found.policy_file, found.lines["spec.mountRoots"]) == ("policy.yaml", 4)
        assert (found.catalog_file, found.catalog_lines) == ("images.yaml", {})
        world.boot()


def test_a_file_that_is_not_in_force_lends_it_no_lines(world: World) -> None:
    specfiles.rename_into_place(world.policy, ROOTED)
    before = world.look()
    specfiles.rename_into_place(world.policy, b"# two lines\n# more\n" + WRONG)
    after = world.look()
    assert isinstance(before, AcceptedPolicy)
    assert isinstance(after, AcceptedPolicy)
    assert (after.policy, after.lines) == (before.policy, {})
    assert world.look() is after
