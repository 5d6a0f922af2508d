"""A workspace's life: made, reached, changed, stopped, removed and put back, on real containers."""

import os
import socket
import time
from datetime import datetime
from typing import Any

from controller.planning import security
from tests.support import process
from tests.support.fleet import Fleet, limits_of

SERVED: process.Tree = {"services": [{"name": "web", "port": 8888, "expose": "Port"}]}
CANARY = "canary-3f9a1c77"


def instance(container: dict[str, Any]) -> tuple[str, str]:
    return container["Id"], container["State"]["StartedAt"]


def host_port(fleet: Fleet, name: str) -> int:
    return int(fleet.controller.status(name)["ports"][0]["hostPort"])


def test_a_service_is_published_and_answers(fleet: Fleet) -> None:
    fleet.up("served", SERVED)
    port = host_port(fleet, "served")
    assert process.POOL_FIRST <= port <= process.POOL_LAST
    assert "version 1" in process.page(port)


def test_a_workspace_is_ready_only_when_its_service_listens(fleet: Fleet) -> None:
    fleet.site.spec(
        "silent",
        {
            **SERVED,
            "command": ["sh", "-c", "until [ -e /tmp/go ]; do sleep 0.2; done; httpd -f -p 8888 -h /srv"],
        },
    )
    controller = fleet.controller
    controller.until(
        lambda: controller.condition("silent", "Ready").get("reason") == "NotYetListening", "silence"
    )
    assert "web" in controller.condition("silent", "Ready")["message"]
    (fleet.root("silent") / "tmp" / "go").write_text("")
    controller.runs("silent")


def test_two_workspaces_of_one_owner_share_a_block_and_no_port(fleet: Fleet) -> None:
    fleet.up("first", {**SERVED, "owner": "games"})
    fleet.up("further", {**SERVED, "owner": "games"})
    one, other = host_port(fleet, "first"), host_port(fleet, "further")
    assert one != other
    assert one // 100 == other // 100


def test_a_host_port_may_be_named_within_the_owners_block(fleet: Fleet) -> None:
    fleet.up("named", {**SERVED, "owner": "mail"})
    wanted = host_port(fleet, "named") // 100 * 100 + 77
    service = {"name": "web", "port": 8888, "expose": "Port", "hostPort": wanted}
    fleet.up("named-two", {"owner": "mail", "services": [service]})
    assert "version 1" in process.page(wanted)
    fleet.site.spec("named-three", {"owner": "mail", "services": [{**service, "hostPort": 30000}]})
    held = fleet.controller.decided("named-three", "PortOutsidePool")
    assert "30000" in held["message"]


def test_a_port_taken_by_another_process_is_named_and_waited_for(fleet: Fleet) -> None:
    fleet.up("taken", {**SERVED, "owner": "news"})
    wanted = host_port(fleet, "taken") // 100 * 100 + 66
    service = {"name": "web", "port": 8888, "expose": "Port", "hostPort": wanted}
    with socket.create_server(("127.0.0.1", wanted)):
        fleet.site.spec("taken-two", {"owner": "news", "services": [service]})
        held = fleet.controller.decided("taken-two", "PortTaken")
        assert held["verdict"] == "Hold"
        assert str(wanted) in held["message"]
        assert not any(one["State"] == "running" for one in fleet.all_of("taken-two"))
    fleet.controller.runs("taken-two")
    assert "version 1" in process.page(wanted)


def test_secrets_reach_the_container_and_nobody_else(fleet: Fleet) -> None:
    fleet.site.secret("games/token", CANARY)
    secrets = [{"name": "token", "file": "games/token"}]
    fields = {"class": "own", "owner": "games", "secrets": secrets}
    container = fleet.up("secret", fields)
    seen = fleet.root("secret") / "run" / "secrets" / "token"
    found = seen.stat()
    assert seen.read_text() == CANARY
    assert (found.st_mode & 0o7777, found.st_uid, found.st_gid) == (0o400, 5, 60)
    fleet.site.secret("games/token", f"{CANARY}-new")
    fleet.controller.until(lambda: seen.read_text() == f"{CANARY}-new", "the running container sees it")
    assert instance(fleet.container("secret")) == instance(container)
    fleet.site.secret("games/token", f"{CANARY}-newer")
    restarted = fleet.site.wharf("restart", "secret")
    assert restarted.code == 0, restarted
    assert fleet.container("secret")["Id"] == container["Id"]
    seen = fleet.root("secret") / "run" / "secrets" / "token"
    assert seen.read_text() == f"{CANARY}-newer"
    assert seen.stat().st_mode & 0o7777 == 0o400
    told = {
        "log": fleet.controller.log.read_text(),
        "metrics": fleet.controller.get("/metrics")[1],
        "events": fleet.site.wharf("get", "events", "-o", "json").out,
        "object": fleet.site.wharf("get", "workspace", "secret", "-o", "yaml").out,
        "describe": fleet.site.wharf("describe", "workspace", "secret").out,
        "inspect": str(fleet.container("secret")),
    }
    assert all("secret" in text for text in told.values()), "each of them was read"
    assert [where for where, text in told.items() if CANARY in text] == []
    ledger = [path for path in fleet.site.state.iterdir() if CANARY.encode() in path.read_bytes()]
    assert ledger == []


def test_a_secret_that_others_can_read_is_held_with_the_remedy(fleet: Fleet) -> None:
    fleet.site.secret("games/open", CANARY)
    (fleet.site.secrets / "games" / "open").chmod(0o644)
    secrets = [{"name": "token", "file": "games/open"}]
    fleet.site.spec("open-secret", {"class": "own", "owner": "games", "secrets": secrets})
    held = fleet.controller.decided("open-secret", "SecretUnavailable")
    assert "chmod 0600" in held["message"]
    (fleet.site.secrets / "games" / "open").chmod(0o600)
    fleet.controller.runs("open-secret")


def test_a_mount_that_is_to_be_made_gets_its_owner_and_is_seen(fleet: Fleet) -> None:
    home = fleet.site.storage / "homes" / "games"
    mounts = [{"name": "home", "source": str(home), "target": "/data", "mode": "ReadWrite", "create": True}]
    fleet.up("home", {"class": "own", "owner": "games", "mounts": mounts})
    found = home.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (5, 60, 0o700)
    (home / "note").write_text("hello")
    assert (fleet.root("home") / "data" / "note").read_text() == "hello"
    status = (fleet.root("home") / "proc" / "1" / "status").read_text()
    assert "Uid:\t5\t" in status


def test_a_change_of_limits_takes_effect_while_it_runs(fleet: Fleet) -> None:
    before = fleet.up("live")
    fleet.site.spec("live", {"resources": {"cpus": "0.25", "memory": "48m", "pids": 32}})
    pid = before["State"]["Pid"]
    wanted = {"memory": 48 * 2**20, "cpu": 250, "pids": 32}
    fleet.controller.until(lambda: limits_of(pid) == wanted, "the kernel has the new limits")
    fleet.controller.runs("live")
    assert fleet.container("live")["State"]["Pid"] == pid
    assert fleet.controller.workspace("live")["metadata"]["generation"] == 2
    assert fleet.controller.status("live")["observedGeneration"] == 2


def test_a_change_that_needs_a_new_container_waits_for_a_stop(fleet: Fleet) -> None:
    before = instance(fleet.up("parked"))
    fleet.site.spec("parked", {"env": {"COLOUR": "blue"}})
    parked = fleet.controller.decided("parked", "ChangePending")
    assert parked["verdict"] == "Wait"
    assert "wharf approve parked" in parked["message"]
    assert fleet.controller.condition("parked", "ChangePending")["status"] == "True"
    assert fleet.controller.condition("parked", "Ready")["status"] == "True"
    assert instance(fleet.container("parked")) == before
    assert fleet.controller.workspace("parked")["metadata"]["generation"] == 2
    done = fleet.site.wharf("restart", "parked", "--no-wait")
    assert done.code == 0, done
    after = fleet.runs_another("parked", before[0])
    assert "COLOUR=blue" in after["Config"]["Env"]
    kept = fleet.retained("parked")
    assert kept["Id"] == before[0]
    assert not kept["State"]["Running"]
    assert kept["Name"] == f"/workspace-parked.{kept['Config']['Labels']['dev.wharfinger.instance'][:8]}"


def test_an_immediate_change_waits_five_seconds_and_keeps_the_old_container(fleet: Fleet) -> None:
    before = fleet.up("swift", {**SERVED, "lifecycle": {"changes": "Immediate"}})
    port = host_port(fleet, "swift")
    text = process.text_of(
        process.document("swift", {**SERVED, "lifecycle": {"changes": "Immediate"}, "image": "second"})
    )
    began = time.time()
    fleet.site.place(fleet.site.specs / "swift.yaml", text.removesuffix("...\n"))
    waits = fleet.controller.decided("swift", "Confirming")
    assert "5 s" in waits["message"]
    assert instance(fleet.container("swift")) == instance(before)
    fleet.controller.until(lambda: "version 2" in process.page(port), "the new image answers on the old port")
    fleet.runs_another("swift", before["Id"])
    kept = fleet.retained("swift")
    assert kept["Id"] == before["Id"]
    assert not kept["State"]["Running"]
    stopped = datetime.fromisoformat(kept["State"]["FinishedAt"][:23] + "+00:00").timestamp()
    assert stopped - began >= 5
    assert fleet.site.wharf("get", "retained", "-o", "name").out


def test_a_file_that_is_put_back_within_the_five_seconds_changes_nothing(fleet: Fleet) -> None:
    fields = {"lifecycle": {"changes": "Immediate"}}
    before = instance(fleet.up("wavering", fields))
    text = process.text_of(process.document("wavering", {**fields, "image": "second"}))
    fleet.site.place(fleet.site.specs / "wavering.yaml", text.removesuffix("...\n"))
    fleet.controller.decided("wavering", "Confirming")
    fleet.site.spec("wavering", fields)
    fleet.controller.runs("wavering")
    assert fleet.controller.workspace("wavering")["metadata"]["generation"] == 3
    assert instance(fleet.container("wavering")) == before
    assert len(fleet.all_of("wavering")) == 1


def test_a_stop_gives_the_grace_that_the_spec_says(fleet: Fleet) -> None:
    """A process that needs two seconds to write its last word has them."""
    path = fleet.site.storage / "last-word"
    path.mkdir()
    command = ["sh", "-c", "trap 'sleep 2; echo done > /data/word; exit 0' TERM; while :; do sleep 0.1; done"]
    mounts = [{"name": "data", "source": str(path), "target": "/data", "mode": "ReadWrite"}]
    fields = {"command": command, "mounts": mounts, "lifecycle": {"stopGrace": "10s"}}
    fleet.up("graceful", fields)
    fleet.site.spec("graceful", {**fields, "desiredState": "Stopped"})
    fleet.controller.decided("graceful", "Stopped")
    assert (path / "word").read_text() == "done\n"
    ended = fleet.container("graceful")["State"]
    assert (ended["Running"], ended["ExitCode"]) == (False, 0)
    assert fleet.controller.condition("graceful", "Ready") | {"lastTransitionTime": ""} == {
        "type": "Ready",
        "status": "True",
        "reason": "Stopped",
        "message": "",
        "lastTransitionTime": "",
        "observedGeneration": 2,
    }


def test_a_removed_workspace_is_kept_with_its_data_and_the_very_same_comes_back(fleet: Fleet) -> None:
    before = fleet.up("leaving")
    (fleet.root("leaving") / "tmp" / "work").write_text("precious")
    file = fleet.site.specs / "leaving.yaml"
    text = file.read_text()
    file.unlink()
    fleet.controller.said("decision", workspace="leaving", reason="DeletionGrace")
    fleet.controller.gone("leaving")
    kept = fleet.retained("leaving")
    assert kept["Id"] == before["Id"]
    assert not kept["State"]["Running"]
    series = [key for key in fleet.controller.metrics() if ("workspace", "leaving") in key[1]]
    assert series == []
    fleet.site.place(file, text)
    fleet.controller.runs("leaving")
    back = fleet.container("leaving")
    assert back["Id"] == before["Id"]
    assert (fleet.root("leaving") / "tmp" / "work").read_text() == "precious"
    assert len(fleet.all_of("leaving")) == 1


def test_a_workspace_of_another_template_does_not_take_the_kept_container(fleet: Fleet) -> None:
    before = fleet.up("changed")
    (fleet.site.specs / "changed.yaml").unlink()
    fleet.controller.gone("changed")
    after = fleet.up("changed", {"env": {"A": "b"}})
    assert after["Id"] != before["Id"]
    assert fleet.retained("changed")["Id"] == before["Id"]


def test_a_container_is_made_as_published(fleet: Fleet) -> None:
    made = fleet.up("published", {"owner": "games"})
    labels = {key.removeprefix("dev.wharfinger."): text for key, text in made["Config"]["Labels"].items()}
    workspace = fleet.controller.workspace("published")
    assert labels["workspace"] == "published"
    assert labels["owner"] == "games"
    assert labels["uid"] == workspace["metadata"]["uid"]
    assert labels["generation"] == "1"
    assert labels["template-hash"].startswith("v2:")
    assert len(labels["instance"]) == 32
    assert len(labels["claim"]) == 64
    assert made["Config"]["Hostname"] == "published"
    assert made["HostConfig"]["RestartPolicy"]["Name"] == "no"
    assert made["HostConfig"]["CapDrop"] == ["ALL"]
    assert {name.removeprefix("CAP_") for name in made["HostConfig"]["CapAdd"]} == set(security.CAPABILITIES)
    assert made["HostConfig"]["Init"] is True
    assert "NVIDIA_VISIBLE_DEVICES=void" in made["Config"]["Env"]
    network = fleet.docker.inspect_network("wharf")
    assert network["Options"]["com.docker.network.bridge.enable_icc"] == "false"


def test_the_controller_disturbs_nothing_while_nothing_changes(fleet: Fleet) -> None:
    """Several passes later the Engine has seen no change of the quiet workspace."""
    made = fleet.up("quiet", SERVED)
    began = time.time()
    passes = fleet.controller.metric("reconcile_total", controller="pass", result="success") or 0

    def later() -> bool:
        now = fleet.controller.metric("reconcile_total", controller="pass", result="success") or 0
        return now >= passes + 4

    fleet.controller.until(later, "four passes")
    seen = [one for one in fleet.engine.events(began, time.time()) if one["Actor"]["ID"] == made["Id"]]
    assert seen == []
    assert os.path.exists(f"/proc/{made['State']['Pid']}")  # noqa: PTH110 - a process, not a file
