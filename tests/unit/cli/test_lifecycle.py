"""Requests to a running controller: what they change there and what is said."""

import pytest

from controller.api.conditions import Reason
from controller.model.observed import ContainerState
from controller.model.plan import Verdict
from controller.status import objects, summary, wording
from tests.support import controller_stand_in, reports, wharf_host


def running() -> objects.WorkspaceObject:
    return wording.object_of(reports.status("alice"))


def stopped() -> objects.WorkspaceObject:
    decided = reports.decision("alice", Verdict.KEEP, Reason.STOPPED_BY_REQUEST)
    container = reports.container("alice", state=ContainerState.EXITED, exit_code=0)
    spec = reports.spec("alice", desiredState="Stopped")
    return wording.object_of(summary.summarize(None, spec, decided, container, summary.Facts(), reports.NOW))


@pytest.mark.parametrize(
    ("verb", "result", "said"),
    [
        ("start", running(), "started"),
        ("stop", stopped(), "stopped"),
        ("restart", running(), "restarted"),
    ],
)
def test_the_request_is_made_and_its_result_awaited(
    wharf: wharf_host.Wharf,
    world: controller_stand_in.World,
    verb: str,
    result: objects.WorkspaceObject,
    said: str,
) -> None:
    world.workspaces["alice"] = result
    done = wharf(verb, "alice")
    assert (done.code, done.out, done.err) == (0, f"workspace/alice {said}\n", "")
    assert [asked[:2] for asked in world.requested] == [(verb, "alice"), ("wait", "alice")]


def test_no_wait_only_asks(wharf: wharf_host.Wharf, world: controller_stand_in.World) -> None:
    world.workspaces["alice"] = running()
    assert wharf("stop", "workspace/alice", "--no-wait").out == "workspace/alice stop requested\n"
    assert world.requested == [("stop", "alice", {})]


def test_of_several_each_is_told_and_the_first_failure_is_the_code(
    wharf: wharf_host.Wharf, world: controller_stand_in.World
) -> None:
    held = reports.decision("bob", Verdict.HOLD, Reason.PAUSED, message="demo")
    world.workspaces = {"alice": running(), "bob": wording.object_of(reports.status("bob", held))}
    done = wharf("start", "bob", "alice")
    assert (done.code, done.out) == (5, "workspace/alice started\n")
    assert done.err == "wharf: workspace/bob: held: Paused: demo\n"


@pytest.mark.parametrize("verb", ["start", "stop", "restart"])
def test_an_unknown_workspace_is_3(
    wharf: wharf_host.Wharf, world: controller_stand_in.World, verb: str
) -> None:
    assert wharf(verb, "carol").code == 3


@pytest.mark.parametrize(
    "line", [["start", "alice"], ["stop", "alice"], ["pause", "--reason", "x"], ["resume"]]
)
def test_without_a_controller_it_is_7(wharf: wharf_host.Wharf, line: list[str]) -> None:
    done = wharf(*line)
    assert done.code == 7
    assert "the controller is not running" in done.err


@pytest.mark.parametrize(
    ("arguments", "name", "subject"), [([], None, "host"), (["alice"], "alice", "workspace/alice")]
)
def test_pause_and_resume_name_what_they_are_about(
    wharf: wharf_host.Wharf,
    world: controller_stand_in.World,
    arguments: list[str],
    name: str | None,
    subject: str,
) -> None:
    assert wharf("pause", *arguments, "--reason", "new disk").out == f"{subject} paused\n"
    assert wharf("resume", *arguments).out == f"{subject} resumed\n"
    assert world.requested == [
        ("pause", "", {"workspace": name, "reason": "new disk"}),
        ("resume", "", {"workspace": name}),
    ]


def test_a_refusal_keeps_the_controllers_words(
    wharf: wharf_host.Wharf, world: controller_stand_in.World
) -> None:
    world.workspaces["alice"] = running()
    error = {"error": {"reason": "Forbidden", "message": "only root may do that"}}
    world.on_post["stop"] = lambda name, body: (403, error)
    done = wharf("stop", "alice")
    assert (done.code, done.err) == (4, "wharf: only root may do that (Forbidden)\n")
