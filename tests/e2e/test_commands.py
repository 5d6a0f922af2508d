"""The wharf command against a running controller, as a person or a script uses it."""

import json

import yaml

from tests.support import process
from tests.support.fleet import Fleet

SERVED: process.Tree = {
    "services": [
        {"name": "jupyter", "port": 8888, "expose": "Port"},
        {"name": "ssh", "port": 22, "expose": "Port"},
    ]
}


def apply(fleet: Fleet, name: str, fields: process.Tree | None = None) -> process.Result:
    return fleet.site.wharf("apply", "-f", "-", stdin=process.text_of(process.document(name, fields)))


def test_apply_makes_a_workspace_and_ends_with_the_lines_to_connect(fleet: Fleet) -> None:
    services = SERVED["services"][:1]
    first = apply(fleet, "made", {"owner": "games", "services": services})
    assert first.code == 0, first
    port = fleet.controller.runs("made")["ports"][0]["hostPort"]
    assert first.out.splitlines() == ["workspace/made created", f"http://127.0.0.1:{port}/"]
    assert "version 1" in process.page(port)
    again = apply(fleet, "made", {"owner": "games", "services": services})
    assert (again.code, again.out.splitlines()[0]) == (0, "workspace/made unchanged")
    changed = apply(fleet, "made", {"owner": "games", "services": services, "resources": {"pids": 50}})
    assert (changed.code, changed.out.splitlines()[0]) == (0, "workspace/made configured")
    assert fleet.container("made")["HostConfig"]["PidsLimit"] == 50


def test_the_line_of_ssh_names_port_owner_and_host(fleet: Fleet) -> None:
    command = ["sh", "-c", "httpd -p 22 -h /srv; exec httpd -f -p 8888 -h /srv"]
    done = apply(fleet, "reach", {**SERVED, "owner": "mail", "command": command})
    assert done.code == 0, done
    ports = {one["service"]: one["hostPort"] for one in fleet.controller.status("reach")["ports"]}
    assert f"ssh -p {ports['ssh']} mail@127.0.0.1" in done.out.splitlines()


def test_apply_of_what_is_held_says_why_and_exits_with_5(fleet: Fleet) -> None:
    done = apply(fleet, "held", {"gpu": {"mode": "All"}})
    assert done.code == 5, done
    assert "GpuModeRefused" in done.err
    assert "spec.gpu.mode" in done.err


def test_apply_of_a_wrong_file_writes_nothing_and_exits_with_1(fleet: Fleet) -> None:
    done = apply(fleet, "wrong", {"clas": "small"})
    assert done.code == 1, done
    assert "spec.clas" in done.err
    assert not (fleet.site.specs / "wrong.yaml").exists()


def test_apply_of_a_change_that_waits_says_what_it_waits_for(fleet: Fleet) -> None:
    fleet.up("waits")
    done = apply(fleet, "waits", {"env": {"A": "b"}})
    assert done.code == 0, done
    assert "ChangePending" in done.err
    assert "wharf approve waits" in done.err


def _storage(fleet: Fleet, name: str) -> process.Tree:
    """What is known of the size of a container's layer."""
    layer: process.Tree = fleet.controller.status(name)["storage"]["layer"]
    return layer


def test_get_and_describe(fleet: Fleet) -> None:
    fleet.up("shown", {**SERVED, "services": SERVED["services"][:1], "owner": "news"})
    table = fleet.site.wharf("get", "workspaces", "shown")
    assert table.code == 0, table
    header, row = (line.split() for line in table.out.splitlines())
    assert header == ["NAME", "OWNER", "READY", "STATE", "GPU", "IDLE", "REASON", "AGE"]
    assert row[:4] == ["shown", "news", "True", "Running"]
    named = fleet.site.wharf("get", "ws", "shown", "-o", "name")
    assert named.out == "workspace/shown\n"
    process.until(lambda: "bytes" in _storage(fleet, "shown") or None, "how large it is to be measured")
    plain = json.loads(fleet.site.wharf("get", "workspace", "shown", "-o", "json").out)
    same = yaml.safe_load(fleet.site.wharf("get", "workspace", "shown", "-o", "yaml").out)
    for shown in (plain, same):
        del shown["status"]["slice"]["use"]  # it grows from look to look
    assert plain == same
    assert plain["status"]["container"]["id"] == fleet.container("shown")["Id"]
    origins = {one["path"]: one for one in plain["status"]["effective"]}
    memory = origins["resources.memory"]
    assert memory["origin"] == f"{memory['file']}:{memory['line']} (class small)"
    described = fleet.site.wharf("describe", "workspace", "shown")
    assert described.code == 0, described
    port = plain["status"]["ports"][0]["hostPort"]
    assert f"http://127.0.0.1:{port}/" in described.out
    ports = fleet.site.wharf("get", "ports", "shown")
    assert str(port) in ports.out
    events = fleet.site.wharf("get", "events", "shown", "-o", "json")
    assert {"shown"} == {one["subject"] for one in json.loads(events.out)["items"]}
    owner = json.loads(fleet.site.wharf("describe", "user", "news", "-o", "json").out)
    assert owner["workspaces"][0] == {
        "name": "shown",
        "desiredState": "Running",
        "verdict": "Keep",
        "reason": "AsSpecified",
        "message": "",
    }
    assert {one["name"]: one["used"] for one in owner["quotas"]}["runningWorkspaces"] == "1"
    assert fleet.site.wharf("describe", "user", "no-such-one").code == 3
    assert fleet.site.wharf("get", "workspace", "no-such-one").code == 3
    assert fleet.site.wharf("describe", "workspace", "no-such-one").code == 3
    assert fleet.site.wharf("get", "workspaecs").code == 64


def test_stop_start_and_restart(fleet: Fleet) -> None:
    before = fleet.up("word")
    stopped = fleet.site.wharf("stop", "word")
    assert (stopped.code, stopped.out) == (0, "workspace/word stopped\n"), stopped
    assert not fleet.container("word")["State"]["Running"]
    kept = fleet.controller.decided("word", "StoppedByRequest")
    assert "root" in kept["message"]
    assert fleet.controller.condition("word", "Ready")["status"] == "False"
    refused = fleet.site.wharf("restart", "word")
    assert refused.code == 5, refused
    assert "wharf start word" in refused.err
    started = fleet.site.wharf("start", "word")
    assert (started.code, started.out) == (0, "workspace/word started\n"), started
    running = fleet.container("word")
    assert running["Id"] == before["Id"]
    assert running["State"]["Running"]
    restarted = fleet.site.wharf("restart", "word")
    assert (restarted.code, restarted.out) == (0, "workspace/word restarted\n"), restarted
    after = fleet.container("word")
    assert after["Id"] == before["Id"]
    assert after["State"]["Running"]
    assert after["State"]["StartedAt"] > running["State"]["StartedAt"]
    assert fleet.site.wharf("stop", "no-such-one").code == 3


def test_a_stop_holds_until_the_spec_itself_says_otherwise(fleet: Fleet) -> None:
    fleet.up("hold")
    assert fleet.site.wharf("stop", "hold").code == 0
    fleet.site.spec("hold", {"resources": {"pids": 40}})
    fleet.controller.until(
        lambda: fleet.controller.workspace("hold")["metadata"]["generation"] == 2, "the edit is accepted"
    )
    fleet.controller.decided("hold", "StoppedByRequest")
    assert not fleet.container("hold")["State"]["Running"]
    fleet.site.spec("hold", {"resources": {"pids": 40}, "desiredState": "Stopped"})
    fleet.controller.decided("hold", "Stopped")
    fleet.site.spec("hold", {"resources": {"pids": 40}, "desiredState": "Running"})
    fleet.controller.runs("hold")
    assert fleet.container("hold")["State"]["Running"]


def test_a_pause_of_one_workspace_leaves_it_as_it_is(fleet: Fleet) -> None:
    fleet.up("still")
    done = fleet.site.wharf("pause", "still", "--reason", "a talk at noon")
    assert (done.code, done.out) == (0, "workspace/still paused\n"), done
    mark = fleet.controller.mark()
    fleet.docker.stop("workspace-still", timeout=0)
    held = fleet.controller.decided("still", "Paused")
    assert "a talk at noon" in held["message"]
    assert fleet.controller.said("decision", mark=0, workspace="still", reason="Paused")["level"] == "warning"
    assert [
        one for one in fleet.controller.lines()[mark:] if one.get("action") and one["workspace"] == "still"
    ] == []
    assert not fleet.container("still")["State"]["Running"]
    resumed = fleet.site.wharf("resume", "still")
    assert (resumed.code, resumed.out) == (0, "workspace/still resumed\n"), resumed
    fleet.controller.runs("still")


def test_a_pause_of_the_host_shows_in_plan_and_metrics(fleet: Fleet) -> None:
    fleet.up("planned")
    assert fleet.site.wharf("plan", "planned").code == 0
    assert fleet.site.wharf("pause", "--reason", "storage").code == 0
    try:
        fleet.docker.stop("workspace-planned", timeout=0)
        held = fleet.controller.decided("planned", "Paused")
        assert "storage" in held["message"]
        plan = fleet.site.wharf("plan", "planned")
        assert plan.code == 0, plan
        assert "Paused" in plan.out
        assert fleet.controller.metric("controller_mode", mode="paused") == 1
    finally:
        assert fleet.site.wharf("resume").code == 0
    fleet.controller.runs("planned")


def test_logs(fleet: Fleet) -> None:
    fleet.up("talks", {"command": ["sh", "-c", "echo hello; echo trouble >&2; sleep 1000"]})
    done = fleet.site.wharf("logs", "talks")
    assert done.code == 0, done
    assert sorted((done.out + done.err).split()) == ["hello", "trouble"]
    assert fleet.site.wharf("logs", "no-such-one").code == 3


def test_delete_waits_until_it_is_gone_and_keeps_the_container(fleet: Fleet) -> None:
    before = fleet.up("deleted")
    done = fleet.site.wharf("delete", "workspace", "deleted", "--yes")
    assert (done.code, done.out) == (0, "workspace/deleted deleted\n"), done
    assert "kept" in done.err
    assert fleet.retained("deleted")["Id"] == before["Id"]
    assert not fleet.retained("deleted")["State"]["Running"]
    assert fleet.site.wharf("delete", "workspace", "deleted", "--yes").code == 3
    rows = fleet.site.wharf("get", "retained").out
    assert fleet.retained("deleted")["Name"].removeprefix("/") in rows
