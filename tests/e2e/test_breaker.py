"""The breaker on a host with the default share: what is too much at once is held until it is approved."""

from collections.abc import Iterator

import pytest

from tests.support import dockerd as dockerd_support
from tests.support import process as process_support
from tests.support.fleet import Fleet

QUICK_SAFETY = {"deletionGrace": "1s", "maxDisruptionsPerMinute": 60}
AT_ONCE = {"lifecycle": {"changes": "Immediate", "stopGrace": "1s"}}


@pytest.fixture(scope="module")
def fleet(dockerd: dockerd_support.Dockerd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A host that disrupts quickly, so that a test of the breaker does not wait for the pace."""
    site = process_support.Site(tmp_path_factory.mktemp("site"), dockerd.base_url, dockerd.free_subnet())
    site.configure(safety=QUICK_SAFETY)
    try:
        yield Fleet(site, site.run().ready(), dockerd)
    finally:
        site.close()
        dockerd.remove_everything()
        dockerd.close_clients()


def test_of_many_changes_at_once_some_are_held_until_all_are_approved(fleet: Fleet) -> None:
    names = [f"many{number}" for number in range(5)]
    before = {name: fleet.up(name, AT_ONCE)["Id"] for name in names}
    for name in names:
        fleet.site.spec(name, {**AT_ONCE, "env": {"A": "b"}})

    def held() -> set[str]:
        reasons = {name: fleet.controller.status(name)["decision"]["reason"] for name in names}
        return {name for name, reason in reasons.items() if reason == "BudgetExceeded"}

    waiting = fleet.controller.until(lambda: held() if len(held()) >= 3 else None, "three are held")
    assert {name for name in waiting if fleet.container(name)["Id"] == before[name]} == waiting
    assert fleet.controller.metric("held_changes", cause="Edited") == len(waiting)
    done = fleet.site.wharf("approve", "--all")
    assert done.code == 0, done
    assert {f"workspace/{name} approved" for name in waiting} <= set(done.out.splitlines())
    for name in names:
        fleet.runs_another(name, before[name])
