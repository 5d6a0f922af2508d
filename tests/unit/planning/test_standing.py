"""Who stands where under a policy at one time, and when that is worked out anew."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.model.desired import AcceptedPolicy
from controller.model.effective import Refusal
from controller.planning.planner import Planner
from controller.planning.standing import Profile, Standing, Standings
from tests.support import builders
from tests.support.world import World

NOW = builders.NOW
BEGIN, END, LAST = (datetime(2026, 12, day, tzinfo=UTC) for day in (1, 10, 24))
GRANT = {"users": ["alice"], "reason": "thesis", "approvedBy": "prof", "priority": 50}
TIMED = {
    "grants": [{**GRANT, "name": "thesis", "starts": BEGIN.isoformat(), "expires": END.isoformat()}],
    "users": {"bob": {"priority": 60, "expires": LAST.isoformat()}},
    "privileged": {"carol": {"reason": "drivers", "approvedBy": "root", "expires": END.isoformat()}},
}


def policy(**spec: Any) -> AcceptedPolicy:  # noqa: ANN401 - as written
    return builders.policy(**spec)


def profile(standing: Standing, owner: str) -> Profile:
    found = standing.profile(owner)
    assert isinstance(found, Profile)
    return found


@pytest.mark.parametrize(
    ("at", "until"),
    [
        (NOW, BEGIN),
        (BEGIN - timedelta(microseconds=1), BEGIN),
        (BEGIN, END),
        (END, LAST),
        (LAST, None),
        (LAST + timedelta(days=400), None),
    ],
)
def test_it_says_when_something_begins_or_ends_next(at: datetime, until: datetime | None) -> None:
    assert Standing(policy(**TIMED), at).until == until


def test_it_is_the_same_object_until_something_begins_or_ends() -> None:
    given, standings = policy(**TIMED), Standings()
    first = standings.at(given, NOW)
    assert standings.at(given, BEGIN - timedelta(seconds=1)) is first
    second = standings.at(given, BEGIN)
    assert second is not first
    assert standings.at(given, END - timedelta(seconds=1)) is second
    assert standings.at(given, NOW) is not second, "a clock that was set back counts"
    assert standings.at(policy(**TIMED), NOW) is not standings.at(given, NOW), "another policy is another"


def test_without_terms_it_stays_for_ever() -> None:
    given, standings = policy(groups={"students": {"members": ["alice"]}}), Standings()
    first = standings.at(given, NOW)
    assert first.until is None
    assert standings.at(given, NOW + timedelta(days=4000)) is first
    assert standings.at(given, NOW - timedelta(days=4000)) is first


def test_owners_of_whom_the_same_is_said_share_it() -> None:
    standing = Standing(policy(groups={"students": {"members": ["alice", "bob", "carol"]}}, **TIMED), BEGIN)
    assert profile(standing, "carol") is profile(standing, "carol")
    assert profile(standing, "carol") is not profile(standing, "bob"), "bob has an entry of his own"
    assert profile(standing, "carol") is not profile(standing, "alice"), "alice has a grant"
    assert profile(standing, "dave") is profile(standing, "erin")


def test_a_privilege_lasts_until_its_end() -> None:
    assert Standing(policy(**TIMED), NOW).privilege("carol") is not None
    assert Standing(policy(**TIMED), END).privilege("carol") is None
    assert Standing(policy(**TIMED), NOW).privilege("alice") is None


def test_who_cannot_be_placed_has_no_profile() -> None:
    both = {"members": ["alice"]}
    standing = Standing(policy(groups={"a": both, "b": both}, quotas={"workspaces": 1}), NOW)
    assert isinstance(standing.profile("alice"), Refusal)
    assert profile(standing, "bob").quotas.workspaces == 1


def test_a_pass_looks_again_when_a_grant_begins() -> None:
    world = World(policy=policy(**TIMED))
    world.specs["alice"] = builders.accepted("alice")
    for _ in range(2):
        world.execute(world.plan())
    planner = Planner(world.rules)
    plan = world.plan(planner)
    assert plan.next_look == BEGIN
    design = planner.designs["alice"]
    assert world.plan(planner).next_look == BEGIN
    assert planner.designs["alice"] is design, "nothing is worked out anew meanwhile"
    world.now = BEGIN
    assert world.plan(planner).next_look == END
    assert planner.designs["alice"] is not design
