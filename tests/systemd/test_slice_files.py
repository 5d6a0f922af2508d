"""The tests of slices on cgroup files, on the cgroups of a guest."""

import pytest

from tests.integration.test_slices import *  # noqa: F403 - each of its tests, and its fixture

pytestmark = pytest.mark.systemd
