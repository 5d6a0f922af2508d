"""What must never be seen on the Engine is noticed, and what may be seen is not."""

import os
import threading
from typing import Any, cast

import pytest

from tests.chaos import rig as rigs
from tests.chaos import watch
from tests.chaos.rig import Row

NOBODY = cast("Any", None)


class Rig(rigs.Rig):
    """A host without an Engine: every container that is inspected has this process."""

    pid = os.getpid()

    def inspect(self, container: str) -> Row:
        return {"State": {"Pid": self.pid}}


@pytest.fixture
def rig() -> Rig:
    return Rig(NOBODY, NOBODY, NOBODY, ("a", "b"), {}, {}, over=threading.Event())


def row(container: str, name: str, state: str = "running", workspace: str = "a") -> Row:
    return {"Id": container, "Names": [f"/{name}"], "State": state, "Labels": {rigs.WORKSPACE: workspace}}


def test_what_is_usual_is_no_finding(rig: Rig) -> None:
    watched = watch.Watch(rig)
    watched.look(
        [row("1", "workspace-a"), row("2", "workspace-b", workspace="b"), row("9", "new", "created")]
    )
    watched.look([row("1", "workspace-a.12", "exited"), row("2", "workspace-b", workspace="b")])
    watched.look(
        [row("1", "workspace-a.12", "exited"), row("3", "workspace-a"), row("2", "b", workspace="b")]
    )
    rig.lost.add("3")
    watched.look([row("1", "workspace-a.12", "exited"), row("2", "b", workspace="b")])
    watched.judge()
    assert watched.findings == []
    assert any(
        "('workspace-a', 'running') -> ('workspace-a.12', 'exited')" in line for line in watched.changes
    )


@pytest.mark.parametrize("state", ["running", "paused", "restarting"])
def test_two_that_run_are_found_once_both_truly_have_a_process(rig: Rig, state: str) -> None:
    watched = watch.Watch(rig)
    rig.pid = 0
    watched.look([row("1", "workspace-a"), row("2", "workspace-a.12", state)])
    assert watched.doubled == 0
    rig.pid = os.getpid()
    watched.look([row("1", "workspace-a"), row("2", "workspace-a.12", state)])
    assert watched.doubled == 1
    with pytest.raises(rigs.ViolationError, match="a ran twice"):
        watched.judge()


def test_one_that_ran_and_is_gone_is_found(rig: Rig) -> None:
    watched = watch.Watch(rig)
    watched.look([row("1", "workspace-a.12", "exited"), row("2", "workspace-b", workspace="b")])
    watched.look([row("2", "workspace-b", workspace="b")])
    assert watched.removed == 1
    with pytest.raises(rigs.ViolationError, match=r"workspace-a\.12 1 ran, and was removed"):
        watched.judge()
