"""Changes that wait, are let go, fail, are taken back; and containers that are adopted and forgotten."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support import process as process_support
from tests.support.fleet import Fleet

AT_ONCE = {"lifecycle": {"changes": "Immediate", "stopGrace": "1s"}}


@pytest.fixture(scope="module")
def changed(fleet: Fleet) -> Mapping[str, tuple[str, str]]:
    """Workspaces whose changes were approved and made: the ids of their old and their new containers.

    They are made at the same time, since each takes 10 s.
    """
    old = {name: fleet.up(name)["Id"] for name in ("back", "tidy")}
    home = fleet.site.storage / "gone-home"
    home.mkdir()
    mounts = [{"name": "home", "source": str(home), "target": "/data", "mode": "ReadWrite"}]
    old["stays"] = fleet.up("stays", {"mounts": mounts})["Id"]
    for name in old:
        fleet.site.spec(name, {} if name == "stays" else {"env": {"A": "b"}})
        fleet.controller.decided(name, "ChangePending")
        approved = fleet.site.wharf("approve", name)
        assert (approved.code, approved.out) == (0, f"workspace/{name} approved\n"), approved
    for name, before in old.items():
        fleet.controller.until(lambda name=name, before=before: fleet.has_another(name, before), "a new one")  # type: ignore[misc]
        fleet.controller.runs(name)
    return {name: (before, fleet.container(name)["Id"]) for name, before in old.items()}


def test_a_parked_change_is_planned_explained_and_let_go(fleet: Fleet) -> None:
    old = fleet.up("parked", {"owner": "games"})["Id"]
    assert fleet.site.wharf("approve", "parked").code == 5
    fleet.site.spec("parked", {"owner": "games", "env": {"API_TOKEN": "very-secret"}})
    fleet.controller.decided("parked", "ChangePending")
    assert fleet.controller.condition("parked", "ChangePending")["status"] == "True"
    since = "workspace_change_pending_since_timestamp_seconds"
    assert fleet.controller.metric(since, workspace="parked")
    planned = fleet.site.wharf("plan", "parked")
    assert planned.code == 0, planned
    assert "interrupts games: at most 1s to stop, then some seconds to start" in planned.out
    assert "wharf approve parked" in planned.out
    told = fleet.site.wharf("explain", "parked")
    assert told.code == 0, told
    assert told.out.startswith("parked: Wait (ChangePending)")
    assert "Create (ContainerMissing)" in told.out
    assert "very-secret" not in planned.out + told.out
    assert fleet.container("parked")["Id"] == old
    assert fleet.site.wharf("approve", "parked").code == 0
    fleet.runs_another("parked", old)
    assert fleet.controller.metric(since, workspace="parked") is None
    assert "root lets it go" in fleet.site.wharf("get", "events", "parked").out


def test_a_change_is_taken_back_pinned_and_made_again(
    fleet: Fleet, changed: Mapping[str, tuple[str, str]]
) -> None:
    assert fleet.site.wharf("rollback", "no-such-one").code == 3
    old, new = changed["back"]
    done = fleet.site.wharf("rollback", "back")
    assert done.code == 0, done
    assert done.out.startswith("workspace/back rolled back to workspace-back.")
    assert fleet.container("back")["Id"] == old
    assert fleet.container("back")["State"]["Running"]
    assert fleet.retained("back")["Id"] == new
    fleet.controller.decided("back", "Pinned")
    told = fleet.site.wharf("explain", "back").out
    assert "pinned" in told
    assert "RollbackRequested" in told
    approved = fleet.site.wharf("approve", "back")
    assert approved.code == 0, approved
    assert "A=b" in fleet.runs_another("back", old)["Config"]["Env"]


def test_a_roll_back_that_cannot_be_stops_nothing(
    fleet: Fleet, changed: Mapping[str, tuple[str, str]]
) -> None:
    """The kept container's mount is gone: the new one runs on, and the roll-back is made once it is back."""
    home = fleet.site.storage / "gone-home"
    before = fleet.container("stays")
    assert before["Id"] == changed["stays"][1]
    home.rmdir()
    assert fleet.site.wharf("rollback", "stays", "--no-wait").code == 0
    fleet.controller.decided("stays", "MountMissing")
    now = fleet.container("stays")
    assert (now["Id"], now["State"]["StartedAt"]) == (before["Id"], before["State"]["StartedAt"])
    assert now["State"]["Running"]
    assert str(home) in fleet.site.wharf("explain", "stays").out
    home.mkdir()
    assert fleet.runs_another("stays", before["Id"])["Id"] == changed["stays"][0], "the kept one is back"


def test_a_workspace_that_was_never_changed_has_no_way_back(fleet: Fleet) -> None:
    fleet.up("fresh")
    done = fleet.site.wharf("rollback", "fresh")
    assert done.code == 3, done
    assert "nothing to go back to" in done.err


def test_kept_containers_are_shown_with_their_size_and_forgotten(
    fleet: Fleet, changed: Mapping[str, tuple[str, str]]
) -> None:
    old, new = changed["tidy"]
    kept = fleet.retained("tidy")["Name"].removeprefix("/")
    row = fleet.site.wharf("get", "retained", "tidy", "--no-headers").out.split()
    assert row[:3] == [kept, "tidy", "SpecChanged"]
    assert row[3] != "<none>"
    assert fleet.site.wharf("forget", "tidy").code == 5
    done = fleet.site.wharf("forget", "tidy", "--yes")
    assert (done.code, done.out) == (0, f"retained/{kept} removed\n"), done
    assert [one["Id"] for one in fleet.all_of("tidy")] == [new]
    assert old != new
    assert fleet.site.wharf("forget", "tidy", "--yes").code == 3


def test_a_replacement_that_fails_gives_the_old_container_back_until_a_restart(fleet: Fleet) -> None:
    old = fleet.up("fails", AT_ONCE)["Id"]
    fleet.site.spec("fails", {**AT_ONCE, "command": ["/no/such/program"]})
    held = fleet.controller.decided("fails", "ReplacementFailed")
    assert "127" in held["message"]
    assert fleet.container("fails")["Id"] == old
    assert fleet.container("fails")["State"]["Running"]
    refused = fleet.site.wharf("approve", "fails")
    assert refused.code == 5, refused
    assert "wharf restart fails" in refused.err
    mark = fleet.controller.mark()
    again = fleet.site.wharf("restart", "fails")
    assert again.code == 5, again
    assert "ReplacementFailed" in again.err
    fleet.controller.said("action", mark, workspace="fails", action="create_container", result="success")
    assert fleet.container("fails")["Id"] == old
    fleet.site.spec("fails", AT_ONCE)
    fleet.controller.runs("fails")


def test_a_foreign_container_is_adopted_as_it_is(fleet: Fleet) -> None:
    docker = fleet.docker
    made = docker.create_container("wharf-sample:1", name="workspace-found", labels={"team": "vision"})
    docker.start(made["Id"])
    before = fleet.container("found")
    fleet.site.spec("found")
    fleet.controller.decided("found", "NameTaken")
    assert fleet.site.wharf("adopt", "found").code == 5
    done = fleet.site.wharf("adopt", "found", "--yes")
    assert (done.code, done.out) == (0, "workspace/found adopted\n"), done
    assert made["Id"] in done.err
    assert "team=vision" in done.err
    fleet.controller.decided("found", "ChangePending")
    after = fleet.container("found")
    assert (after["Id"], after["Config"]["Labels"]) == (made["Id"], before["Config"]["Labels"])
    assert after["State"]["Running"]
    assert fleet.site.wharf("adopt", "found", "--yes").out == "workspace/found adopted already\n"
    assert fleet.site.wharf("adopt", "no-such-one", "--yes").code == 3


def test_proposed_specs_are_planned_and_change_nothing(fleet: Fleet, tmp_path: Path) -> None:
    before = fleet.up("merge")["Id"]
    fleet.up("leaves")
    proposed = tmp_path / "proposed"
    shutil.copytree(fleet.site.specs, proposed)
    assert fleet.site.wharf("plan", "merge", "--spec-dir", str(proposed)).code == 0
    changed = process_support.document("merge", {"env": {"A": "b"}, **AT_ONCE})
    (proposed / "merge.yaml").write_text(process_support.text_of(changed))
    (proposed / "leaves.yaml").unlink()
    planned = fleet.site.wharf("plan", "--spec-dir", str(proposed), "-o", "json")
    assert planned.code == 2, planned
    decisions = {one["workspace"]: one for one in json.loads(planned.out)["decisions"]}
    merge = decisions["merge"]
    assert (merge["verdict"], merge["reason"]) in {("Replace", "SpecChanged"), ("Hold", "BudgetExceeded")}
    assert (merge["owner"], merge["drift"][0]["field"]) == ("merge", "A")
    assert merge["interruption"] == "at most 1s to stop, then some seconds to start"
    assert decisions["leaves"]["verdict"] == "Remove"
    assert decisions["leaves"]["interruption"].endswith("it stays stopped")
    (proposed / "wrong.yaml").write_text("kind: Workspace\nspec: {}\n")
    wrong = fleet.site.wharf("plan", "--spec-dir", str(proposed))
    assert wrong.code == 1, wrong
    assert f"{proposed}/wrong.yaml:" in wrong.out
    fleet.controller.runs("merge")
    assert fleet.container("merge")["Id"] == before


def test_the_host_is_checked_while_a_controller_runs(fleet: Fleet) -> None:
    found = fleet.site.wharf("check")
    lines = {line[6:22].strip(): line for line in found.out.splitlines()}
    assert lines["engine"].startswith("ok"), found
    assert f"process {fleet.controller.process.pid} " in lines["controller"]
    assert "of 10 blocks of the pool main are given" in lines["ports"]
    fleet.site.specs.chmod(0o777)
    try:
        unsafe = fleet.site.wharf("check")
        assert unsafe.code == 1
        assert f"chmod 0775 {fleet.site.specs}" in unsafe.out
    finally:
        fleet.site.specs.chmod(0o755)
    lost = fleet.site.wharf("check", WHARF_DOCKER_HOST="unix:///nowhere/docker.sock")
    assert lost.code == 1
    assert "docker.host" in lost.out
