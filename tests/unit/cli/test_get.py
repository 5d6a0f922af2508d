"""Rows of every kind, in every format, as a controller's answers make them."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from controller.api.conditions import Reason
from controller.model.memory import Memory, PortBlock, PortGrant, Retained
from controller.model.plan import Verdict
from controller.model.status import Event, ServiceAddress
from controller.status import records, wording
from tests.support import controller_stand_in, reports, wharf_host

ROOT = Path(__file__).resolve().parents[3]
MEMORY = Memory(
    epoch=1,
    claim_key=b"",
    nonce=b"",
    port_blocks=(PortBlock("alice", "main", 10000, 100), PortBlock("bob", "main", 10100, 100)),
    port_holds={10100: datetime(2026, 8, 1, 12, tzinfo=UTC)},
    port_grants=(PortGrant("alice", "alice", "ssh", 10022), PortGrant("alice", "alice", "jupyter", 10003)),
    retained={
        reports.ID: Retained(
            reports.ID, "alice", "workspace-alice.01234567", reports.NOW, Reason.SPEC_CHANGED
        )
    },
)
EVENTS = (
    Event(reports.NOW, "alice", Reason.CRASH_LOOP, "exited thrice", warning=True, count=3),
    Event(reports.later(60), "bob", Reason.ACCEPTED, "bob.yaml is in force", warning=False),
)


@pytest.fixture
def busy(world: controller_stand_in.World) -> controller_stand_in.World:
    """Two workspaces, one of them held, with ports and a past."""
    jupyter = ServiceAddress("jupyter", 8888, 10003)
    held = reports.decision("bob", Verdict.HOLD, Reason.IMAGE_UNKNOWN, message='no image "x"')
    world.workspaces = {
        "alice": wording.object_of(reports.status("alice", services=(jupyter,))),
        "bob": wording.object_of(reports.status("bob", held)),
    }
    world.answers = {
        "ports": records.ports_object(MEMORY),
        "retained": {"items": records.retained_objects(MEMORY, {reports.ID: 1_500_000})},
        "events": {"items": [records.event_object(event) for event in EVENTS]},
    }
    return world


def test_workspaces_are_one_row_each(wharf: wharf_host.Wharf, busy: controller_stand_in.World) -> None:
    lines = wharf("get", "workspaces").out.splitlines()
    assert lines[0].split() == ["NAME", "OWNER", "READY", "STATE", "GPU", "IDLE", "REASON", "AGE"]
    assert lines[1].split() == ["alice", "alice", "True", "Running", "<none>", "<none>", "AsSpecified", "5m"]
    assert lines[2].split()[0] == "bob"
    assert "ImageUnknown" in lines[2].split()
    assert lines[1].index("True") == lines[2].index("True") == lines[0].index("READY")


def test_the_wide_format_adds_columns(wharf: wharf_host.Wharf, busy: controller_stand_in.World) -> None:
    header, alice, _ = wharf("get", "ws", "-o", "wide").out.splitlines()
    assert header.split()[8:] == ["CLASS", "PROFILE", "IMAGE", "PORTS", "ADDRESS"]
    assert alice.split()[8:] == ["vm", "<none>", "<none>", "10003", "172.28.0.2"]


def test_a_privileged_container_is_shown_as_such_whatever_is_wanted_now(
    wharf: wharf_host.Wharf, busy: controller_stand_in.World
) -> None:
    alice = busy.workspaces["alice"]["status"]
    alice["effective"] = [{"path": "security.profile", "value": "Standard", "origin": "default"}]
    assert wharf("get", "ws", "alice", "-o", "wide").out.splitlines()[1].split()[9] == "Standard"
    alice["container"]["privileged"] = True
    assert wharf("get", "ws", "alice", "-o", "wide").out.splitlines()[1].split()[9] == "Privileged"
    assert "privileged: root on the host" in wharf("describe", "workspace", "alice").out


def test_one_workspace_is_printed_as_its_object(
    wharf: wharf_host.Wharf, busy: controller_stand_in.World
) -> None:
    for form, parse in (("json", json.loads), ("yaml", yaml.safe_load)):
        found = parse(wharf("get", "workspace", "alice", "-o", form).out)
        assert found == busy.workspaces["alice"]


def test_several_are_printed_as_a_list(wharf: wharf_host.Wharf, busy: controller_stand_in.World) -> None:
    found = json.loads(wharf("get", "workspaces", "-o", "json").out)
    assert found["kind"] == "List"
    assert found["items"] == [busy.workspaces["alice"], busy.workspaces["bob"]]


def test_names_can_be_given_back_to_other_commands(
    wharf: wharf_host.Wharf, busy: controller_stand_in.World
) -> None:
    assert wharf("get", "workspaces", "-o", "name").out == "workspace/alice\nworkspace/bob\n"
    assert wharf("get", "ws", "workspace/bob", "-o", "name").out == "workspace/bob\n"


def test_headers_can_be_left_out(wharf: wharf_host.Wharf, busy: controller_stand_in.World) -> None:
    assert wharf("get", "ws", "alice", "--no-headers").out.split()[0] == "alice"


def test_an_unknown_name_is_3(wharf: wharf_host.Wharf, busy: controller_stand_in.World) -> None:
    result = wharf("get", "workspaces", "alice", "carol", "dave")
    assert (result.code, result.out) == (3, "")
    assert result.err == "wharf: workspace/carol, workspace/dave: not found\n"


def test_ports_events_and_retained_have_their_columns(
    wharf: wharf_host.Wharf, busy: controller_stand_in.World
) -> None:
    assert [line.split() for line in wharf("get", "ports").out.splitlines()] == [
        ["PORT", "OWNER", "WORKSPACE", "SERVICE"],
        ["10003", "alice", "alice", "jupyter"],
        ["10022", "alice", "alice", "ssh"],
        [],
        ["BLOCK", "OWNER", "POOL", "HELD-UNTIL"],
        ["10000-10099", "alice", "main", "<none>"],
        ["10100-10199", "bob", "main", "2026-08-01T12:00:00Z"],
    ]
    assert [line.split() for line in wharf("get", "retained").out.splitlines()] == [
        ["CONTAINER", "WORKSPACE", "REASON", "SIZE", "AGE"],
        ["workspace-alice.01234567", "alice", "SpecChanged", "1.4MiB", "5m"],
    ]
    assert wharf("get", "events").out.splitlines()[1].split() == [
        *["5m", "Warning", "CrashLoop", "alice", "3", "exited", "thrice"]
    ]


def test_events_and_ports_are_chosen_by_workspace(
    wharf: wharf_host.Wharf, busy: controller_stand_in.World
) -> None:
    assert "alice" not in wharf("get", "events", "bob").out
    assert wharf("get", "ports", "bob").out == ""
    assert wharf("get", "ports", "bob").err == "wharf: no ports\n"
    assert wharf("get", "ports", "alice").out.count("\n") == 6
    assert wharf("get", "ports", "alice", "-o", "name").out.splitlines()[:2] == ["port/10003", "port/10022"]
    blocks = json.loads(wharf("get", "ports", "-o", "json").out)["items"][2:]
    assert [block["owner"] for block in blocks] == ["alice", "bob"]


def test_kept_containers_are_chosen_by_workspace_or_by_name(
    wharf: wharf_host.Wharf, busy: controller_stand_in.World
) -> None:
    for name in ("alice", "workspace-alice.01234567"):
        assert wharf("get", "retained", name, "-o", "name").out == "retained/workspace-alice.01234567\n"
    assert wharf("get", "retained", "bob").code == 3


def test_the_size_of_a_kept_container_may_be_unknown(
    wharf: wharf_host.Wharf, busy: controller_stand_in.World
) -> None:
    busy.answers["retained"] = {"items": records.retained_objects(MEMORY)}
    assert wharf("get", "retained", "--no-headers").out.split()[3] == "<none>"


def test_events_in_full_have_their_times(wharf: wharf_host.Wharf, busy: controller_stand_in.World) -> None:
    header, first, _ = wharf("get", "events", "-o", "wide").out.splitlines()
    assert header.split() == ["LAST", "FIRST", "TIME", "TYPE", "REASON", "SUBJECT", "COUNT", "MESSAGE"]
    assert first.split()[1:3] == ["2026-11-22T12:00:00Z"] * 2
    assert json.loads(wharf("get", "events", "alice", "-o", "json").out)["items"][0]["count"] == 3


def test_nothing_is_said_on_stderr_alone(wharf: wharf_host.Wharf, world: controller_stand_in.World) -> None:
    result = wharf("get", "workspaces")
    assert (result.code, result.out, result.err) == (0, "", "wharf: no workspaces\n")


def test_the_policy_comes_from_its_file(wharf: wharf_host.Wharf) -> None:
    assert wharf("get", "policy").out.splitlines()[1].split()[:3] == ["lab", "small", "small"]


def test_images_are_told_without_a_controller_and_without_an_engine(wharf: wharf_host.Wharf) -> None:
    assert [line.split() for line in wharf("get", "images", "--no-headers").out.splitlines()] == [
        ["draft", "wharf-draft:1", "<none>", "not", "approved", "<none>", "0"],
        ["sample", "wharf-sample:1", "<none>", "approved", "<none>", "0"],
    ]


def test_images_are_rows_with_what_is_known_of_them_here(
    wharf: wharf_host.Wharf, world: controller_stand_in.World
) -> None:
    digest = "lab/jupyter@sha256:" + "0123456789ab" * 5 + "cdef"
    known = {
        "state": "deprecated -> new",
        "usedBy": ["alice", "bob"],
        "local": True,
        "imageID": "sha256:" + "f" * 64,
        "recordedDigest": digest,
        "askedAt": "2026-11-22T11:58:00Z",
    }
    world.answers["images"] = {
        "items": [
            {"name": "jupyter", "reference": "lab/jupyter:1", "gpu": True, "digest": None, "status": known},
            {
                "name": "late",
                "reference": "lab/late:1",
                "digest": "sha256:" + "e" * 64,
                "status": {"state": "approved", "usedBy": [], "local": False},
            },
        ]
    }
    header, jupyter, late = wharf("get", "images").out.splitlines()
    assert header.split() == ["ALIAS", "REFERENCE", "DIGEST", "STATE", "LOCAL", "USED-BY"]
    assert jupyter.split()[1:3] == ["lab/jupyter:1", "0123456789ab"]
    assert jupyter.split()[3:] == ["deprecated", "->", "new", "f" * 12, "2"]
    assert late.split() == ["late", "lab/late:1", "e" * 12, "approved", "no", "0"]
    assert digest in wharf("get", "images", "jupyter", "-o", "wide").out
    assert wharf("get", "images", "nothing").code == 3


def test_an_invalid_policy_is_told_with_line_and_column(
    wharf: wharf_host.Wharf, host: wharf_host.Host
) -> None:
    policy = host.root / "policy.yaml"
    policy.write_text(policy.read_text() + "  quotes: {}\n")
    result = wharf("get", "policy")
    assert result.code == 1
    assert f"{policy}:8:3: spec.quotes" in result.err


def test_watch_prints_a_row_again_only_when_it_changed(
    host: wharf_host.Host, busy: controller_stand_in.World
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "controller", "--config", str(host.config), "get", "ws", "-w"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        first = [running.stdout.readline().split()[0] for _ in range(3)]
        stopped = reports.decision("bob", Verdict.STOP, Reason.SPEC_STOPPED)
        busy.workspaces["bob"] = wording.object_of(reports.status("bob", stopped))
        fourth = running.stdout.readline()
        running.kill()
    assert first == ["NAME", "alice", "bob"]
    assert fourth.split()[0] == "bob"
