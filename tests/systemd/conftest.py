"""Knows the guest that these tests run in: its set-up and its Engine.

It refuses to run anywhere else: `make test-systemd` boots the guests, one for each set-up.
"""

import os
from collections.abc import Iterator

import docker
import pytest

from deploy.dev import api, guest, image

ENGINE = "unix:///run/docker.sock"
collect_ignore = ["test_slices.py"] if os.environ.get("WHARF_GUEST", "").endswith("-qemu") else []
"""A whole controller needs minutes to begin in QEMU, and the other guests show the same."""


@pytest.fixture(scope="session")
def setup() -> guest.Setup:
    """Of this guest: the version of its cgroups, and its Engine's driver for them."""
    name = os.environ.get("WHARF_GUEST")
    assert name in guest.SETUPS, "this test is for a guest: make test-systemd"
    return guest.SETUPS[name]


@pytest.fixture(scope="session")
def _client(setup: guest.Setup) -> Iterator[docker.APIClient]:
    image.load_missing(api.Api(ENGINE))
    client = docker.APIClient(ENGINE, version="auto", timeout=120)
    yield client
    client.close()


@pytest.fixture
def engine(_client: docker.APIClient) -> Iterator[docker.APIClient]:
    """The guest's Engine, with the sample images; the containers that are there at the end are removed."""
    yield _client
    for container in _client.containers(all=True):
        _client.remove_container(container["Id"], force=True, v=True)
