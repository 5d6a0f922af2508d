"""Tags that move at a real registry, digests that do not, and a registry that falls silent."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract import backends
from tests.support import dockerd as dockerd_support
from tests.support import process as process_support
from tests.support import registry as registry_support
from tests.support.fleet import Fleet

FIRST, SECOND = "wharf-sample:1", "wharf-sample:2"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[registry_support.Registry]:
    """A registry of the test's own."""
    served = registry_support.Registry(tmp_path, backends.free_port())
    served.start()
    yield served
    served.stop()


@pytest.fixture
def site(
    engine: dockerd_support.Dockerd,
    registry: registry_support.Registry,
    make_site: Callable[[dockerd_support.Dockerd], process_support.Site],
) -> Iterator[process_support.Site]:
    """A host whose catalog has a tag to follow, one to keep, and a digest; nothing of them is left behind."""
    made = make_site(engine)
    for name in ("follow", "keep"):
        digest = registry.publish(engine, FIRST, f"lab/{name}", "1")
    pin = {"reference": f"{registry.address}/lab/keep:1", "digest": digest.rpartition("@")[2]}
    images = {name: {"reference": f"{registry.address}/lab/{name}:1"} for name in ("follow", "keep")}
    made.catalog(**images, pinned=pin)
    yield made
    made.close()
    engine.remove_everything()
    docker = engine.client()
    for image in docker.images():
        for name in (*(image["RepoTags"] or ()), *(image["RepoDigests"] or ())):
            if name.startswith(registry.address) and docker.images(name):
                docker.remove_image(name)


def rows(fleet: Fleet) -> dict[str, list[str]]:
    """What `wharf get images` prints, by alias."""
    lines = fleet.site.wharf("get", "images", "--no-headers").out.splitlines()
    return {line.split()[0]: line.split()[1:] for line in lines}


def pulls(engine: dockerd_support.Dockerd, reference: str, since: float) -> int:
    """How often the Engine pulled a reference."""
    told = engine.events(since, time.time())
    return sum((one["Action"], one["Actor"]["ID"]) == ("pull", reference) for one in told)


def an_hour_goes_by(site: process_support.Site) -> None:
    """What was asked, and asked in vain, was so an hour earlier; no controller runs."""
    database = sqlite3.connect(site.state / "state.db")
    with database:
        for table, column in (("asked", "at"), ("backoffs", "next_attempt")):
            earlier = f"strftime('%Y-%m-%dT%H:%M:%f+00:00', {column}, '-1 hour')"
            database.execute(f"UPDATE {table} SET {column} = {earlier}")  # noqa: S608 - constants
    database.close()


def test_tags_are_followed_where_pull_is_always_and_nowhere_else(
    site: process_support.Site, registry: registry_support.Registry, engine: dockerd_support.Dockerd
) -> None:
    always: dict[str, Any] = {"pull": "Always", "lifecycle": {"changes": "Immediate", "stopGrace": "1s"}}
    began, fleet = time.time(), Fleet(site, site.run().ready(), engine)
    site.spec("follow", {"image": "follow", **always})
    site.spec("pinned", {"image": "pinned", **always})
    kept = fleet.up("keep", {"image": "keep"})
    for name in ("follow", "pinned"):
        fleet.controller.runs(name)
    before, pinned = fleet.container("follow"), fleet.container("pinned")
    old = fleet.controller.status("follow")["container"]["imageDigest"]
    assert old.startswith(f"{registry.address}/lab/follow@sha256:")
    assert pulls(engine, f"{registry.address}/lab/follow:1", began) == 1

    registry.stop()
    a_restart_starts_what_is_here(fleet, registry)
    assert fleet.controller.stop()[0] == 0

    registry.start()
    registry.publish(engine, SECOND, "lab/keep", "1")
    new = registry.publish(engine, SECOND, "lab/follow", "1")
    an_hour_goes_by(site)
    fleet = Fleet(site, site.run().ready(), engine)
    fleet.controller.until(lambda: fleet.has_another("follow", before["Id"]), "the tag is followed")
    assert fleet.container("follow")["Image"] == engine.client().images(SECOND)[0]["Id"]
    shown = fleet.controller.status
    fleet.controller.until(lambda: shown("follow")["container"]["imageDigest"] == new, "it shows its digest")
    assert (fleet.container("keep")["State"], fleet.container("pinned")["State"]) == (
        kept["State"],
        pinned["State"],
    )
    told = rows(fleet)
    assert told["follow"][1:3] == [new.rpartition("sha256:")[2][:12], "approved"]
    assert told["follow"][-1] == told["pinned"][-1] == "1"
    assert told["second"][-1] == "0"
    assert new in site.wharf("describe", "workspace", "follow").out


def a_restart_starts_what_is_here(fleet: Fleet, registry: registry_support.Registry) -> None:
    """The registry is asked for a restart, in vain; that is told, and nobody else notices."""
    before = fleet.container("follow")
    done = fleet.site.wharf("restart", "follow")
    assert done.code == 0, done
    fleet.controller.runs("follow")
    after = fleet.container("follow")
    assert after["Id"] == before["Id"]
    assert after["State"]["StartedAt"] != before["State"]["StartedAt"]
    planned = fleet.site.wharf("plan").out
    assert f"ImageUnavailable: {registry.address}/lab/follow:1" in planned
    assert "connection refused" in planned
    assert "connection refused" in fleet.site.wharf("get", "events", "host").out
