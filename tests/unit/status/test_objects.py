"""The public shape of a workspace, where it is not seen through the command."""

from dataclasses import replace

import pytest

from controller.status import objects
from tests.support import reports


@pytest.mark.parametrize("privileged", [True, False])
def test_a_container_is_said_to_be_privileged_only_where_it_is(privileged: bool) -> None:
    status = reports.status()
    assert status.container is not None
    configuration = replace(status.container.configuration, privileged=privileged)
    found = replace(status, container=replace(status.container, configuration=configuration))
    described = objects.workspace_object(found)["status"]["container"]
    assert described.get("privileged", False) is privileged
