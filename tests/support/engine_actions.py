"""Knows how to build actions on an Engine with as few words as a test needs."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from controller.api import labels
from controller.model import actions, observed
from controller.model.template import Template

IMAGE = "wharf-sample:1"
SLEEP = ("/bin/sleep", "600")


def template(**changes: Any) -> Template:  # noqa: ANN401 - fields of a template
    """A template on the Engine's own bridge, with everything else at its least."""
    fields: dict[str, Any] = {
        "image": IMAGE,
        "hostname": "alice",
        "command": SLEEP,
        "env": (),
        "user": None,
        "init": True,
        "binds": (),
        "ports": (),
        "network": "bridge",
        "shm": 64 * 2**20,
        "limits": observed.Limits(),
        "stop_grace": timedelta(seconds=5),
    }
    return Template(**(fields | changes))


def create(name: str = "alice", instance: str = "11" * 16, **changes: Any) -> actions.CreateContainer:  # noqa: ANN401
    """The container of a workspace; `changes` are fields of its template."""
    own = {labels.WORKSPACE: name, labels.INSTANCE: instance}
    return actions.CreateContainer(name, labels.container_name(name), template(**changes), own)


def expected(container: observed.Container) -> actions.Expected:
    """The run that was seen."""
    return actions.Expected(container.running, container.started_at, container.pid)


def start(container: observed.Container) -> actions.StartContainer:
    return actions.StartContainer("alice", container.id, container.name, expected(container))


def stop(container: observed.Container, seconds: float = 5) -> actions.StopContainer:
    return actions.StopContainer(
        "alice", container.id, container.name, timedelta(seconds=seconds), expected(container)
    )


def remove(container: observed.Container) -> actions.RemoveContainer:
    return actions.RemoveContainer("alice", container.id, container.name, expected(container))


def rename(container: observed.Container, new_name: str) -> actions.RenameContainer:
    return actions.RenameContainer("alice", container.id, container.name, new_name)


def update(container: observed.Container, limits: observed.Limits) -> actions.UpdateLimits:
    return actions.UpdateLimits("alice", container.id, container.name, limits, expected(container))


def unpause(container: observed.Container) -> actions.UnpauseContainer:
    return actions.UnpauseContainer("alice", container.id, container.name)


def owns(_: str, marks: Mapping[str, str]) -> bool:
    """What an executor is told of containers: any labels are ours."""
    return bool(marks)
