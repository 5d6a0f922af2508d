"""What policy and spec say together, where a plan does not show it."""

from typing import Any

import pytest

from controller.api.conditions import Reason
from controller.model.effective import Effective, Refusal
from controller.model.observed import AccountSeen, Unseen
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


@pytest.mark.parametrize(
    ("account", "reason"),
    [
        (None, Reason.ACCOUNT_UNKNOWN),
        (Unseen(Reason.NAME_SERVICE_SILENT, "it did not answer", builders.NOW), Reason.NAME_SERVICE_SILENT),
    ],
)
def test_a_home_that_nobody_tells_is_not_one_that_there_is_not(account: AccountSeen, reason: Reason) -> None:
    """Where the policy says the ids alone, the home is the host's to tell."""
    mount = {"name": "home", "source": "/srv/home", "target": "{home}", "mode": "ReadWrite"}
    standing = builders.standing(
        users={"alice": {"uid": 1234, "gid": 1234}}, classes={"vm": {"mounts": [mount]}}
    )
    spec: dict[str, Any] = {"class": "vm"}
    found = resolve.resolve(builders.accepted("alice", **spec), standing, account)
    assert isinstance(found, Refusal)
    assert found.reason is reason
