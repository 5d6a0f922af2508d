"""What policy and spec say together, where a plan does not show it."""

import pytest

from controller.model.effective import Effective
from controller.planning import resolve
from tests.support import builders


@pytest.mark.parametrize(("uid", "needed"), [(0, True), (1, False)])
def test_an_owner_who_is_root_runs_as_root(uid: int, needed: bool) -> None:
    spec = builders.accepted("alice", uid=uid, gid=uid)
    found = resolve.resolve(spec, builders.standing(), builders.account("alice"))
    assert isinstance(found, Effective)
    assert found.nosuid_mounts is needed


@pytest.mark.parametrize(
    ("run_as", "allowed", "needed"),
    [("Owner", False, False), ("Owner", True, False), ("Image", False, True), ("Image", True, False)],
)
def test_where_root_can_run_mounts_must_be_nosuid_unless_the_policy_allows_it(
    run_as: str, allowed: bool, needed: bool
) -> None:
    spec = builders.accepted("alice", security={"runAs": run_as})
    standing = builders.standing(allowSuidMounts=allowed)
    found = resolve.resolve(spec, standing, builders.account("alice"))
    assert isinstance(found, Effective)
    assert found.nosuid_mounts is needed
