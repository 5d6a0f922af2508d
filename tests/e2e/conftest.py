"""Knows which hosts the end-to-end tests run on: one with a controller for a module, or a bare one."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import dockerd as dockerd_support
from tests.support import process as process_support
from tests.support.fleet import Fleet


@pytest.fixture(scope="module")
def fleet(dockerd: dockerd_support.Dockerd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A host whose controller runs for the whole module; each test has workspaces of its own names."""
    site = process_support.Site(tmp_path_factory.mktemp("site"), dockerd.base_url, dockerd.free_subnet())
    try:
        yield Fleet(site, site.run().ready(), dockerd)
    finally:
        site.close()
        dockerd.remove_everything()
        dockerd.close_clients()


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[[dockerd_support.Dockerd], process_support.Site]]:
    """Makes hosts for an Engine, without a controller."""
    made: list[process_support.Site] = []

    def make(engine: dockerd_support.Dockerd) -> process_support.Site:
        root = tmp_path / f"site-{len(made)}"
        made.append(process_support.Site(root, engine.base_url, engine.free_subnet()))
        return made[-1]

    yield make
    for site in made:
        site.close()


@pytest.fixture
def site(
    engine: dockerd_support.Dockerd, make_site: Callable[[dockerd_support.Dockerd], process_support.Site]
) -> process_support.Site:
    """A host on the run's Engine, without a controller yet."""
    return make_site(engine)
