"""`wharf audit` where all sorts of things were done, and where the records were tampered with."""

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.support import process
from tests.support.fleet import Fleet

AT_ONCE: process.Tree = {"lifecycle": {"changes": "Immediate", "stopGrace": "1s"}}
FULL = {"S1", "S7", "S8", "S10", "S13", "S14"}
"""What a host can tell completely."""


@pytest.fixture(scope="module")
def history(fleet: Fleet) -> Fleet:
    """A host with a life: an edit, a replacement, a stop and a start, a deletion, a removal, a secret."""
    fleet.site.secret("alice/token", "tapioca-and-marzipan")
    home = fleet.site.storage / "alice"
    home.mkdir()
    mounts = [{"name": "home", "source": str(home), "target": "/data", "mode": "ReadWrite"}]
    secret = [{"name": "token", "file": "alice/token"}]
    fields = {**AT_ONCE, "mounts": mounts, "secrets": secret}
    before = fleet.up("alice", fields)["Id"]
    for name in ("bob", "carol"):
        fleet.up(name)
    fleet.site.spec("bob", {"resources": {"pids": 50}})
    fleet.site.spec("alice", {**fields, "image": "second"})
    fleet.controller.until(lambda: fleet.container("bob")["HostConfig"]["PidsLimit"] == 50, "bob has it")
    for command in (
        ("stop", "bob"),
        ("start", "bob"),
        ("delete", "workspace", "carol", "--yes"),
        ("forget", "carol", "--yes"),
    ):
        done = fleet.site.wharf(*command)
        assert done.code == 0, done
    fleet.controller.until(lambda: fleet.has_another("alice", before), "alice has a new one")
    fleet.controller.runs("alice")
    return fleet


def audit(fleet: Fleet, state: Path | None = None, *, code: int = 0) -> dict[str, Any]:
    environment = {} if state is None else {"WHARF_STATE_DIR": str(state)}
    done = fleet.site.wharf("audit", "-o", "json", **environment)
    assert done.code == code, done
    found: dict[str, Any] = json.loads(done.out)
    return found


def results(found: dict[str, Any]) -> dict[str, str]:
    return {one["id"]: one["result"] for one in found["invariants"]}


def tampered(fleet: Fleet, place: Path, sql: str) -> Path:
    """A copy of the state directory, with its journal changed."""
    copy = place / "state"
    shutil.copytree(fleet.site.state, copy)
    with sqlite3.connect(copy / "state.db") as database:
        assert database.execute(sql).rowcount > 0
    database.close()
    return copy


def test_nothing_is_violated_by_what_a_controller_does(history: Fleet) -> None:
    found = audit(history)
    assert found["violations"] == []
    said = results(found)
    assert list(said) == [f"S{number}" for number in range(1, 15)]
    assert {name for name, result in said.items() if result == "holds"} >= FULL
    hidden = {one["id"] for one in found["invariants"] if one["notKnown"]}
    assert hidden == {name for name, result in said.items() if result in {"partly", "unknown"}}
    assert {"S2", "S4", "S6", "S12"} <= hidden, "of what was removed nobody can tell what it held"


def test_the_table_says_what_holds_and_what_nobody_can_tell(history: Fleet) -> None:
    done = history.site.wharf("audit")
    assert done.code == 0, done
    header, *rows = done.out.splitlines()
    assert header.split() == ["ID", "RESULT", "PROMISE", "NOT", "KNOWN"]
    assert [row.split()[0] for row in rows] == [f"S{number}" for number in range(1, 15)]
    assert "holds" in done.err
    assert "tapioca" not in done.out + done.err


def test_a_container_whose_intent_is_gone_from_the_journal(history: Fleet, tmp_path: Path) -> None:
    gone = "DELETE FROM intents WHERE workspace = 'bob' AND verdict = 'Create'"
    found = audit(history, tampered(history, tmp_path, gone), code=1)
    (violation,) = found["violations"]
    assert (violation["invariant"], violation["subject"]) == ("S11", "bob")
    assert "no intent" in violation["message"]
    assert results(found)["S11"] == "violated"


def test_a_stop_for_no_reason_at_all(history: Fleet, tmp_path: Path) -> None:
    reason = "UPDATE intents SET reason = 'AsSpecified' WHERE workspace = 'bob' AND verdict = 'Stop'"
    found = audit(history, tampered(history, tmp_path, reason), code=1)
    assert {(one["invariant"], one["subject"]) for one in found["violations"]} == {("S3", "bob")}


def test_a_secret_in_the_journal(history: Fleet, tmp_path: Path) -> None:
    leak = "UPDATE intents SET message = 'it is tapioca-and-marzipan' WHERE workspace = 'alice'"
    found = audit(history, tampered(history, tmp_path, leak), code=1)
    assert {one["invariant"] for one in found["violations"]} == {"S14"}
    assert "tapioca" not in json.dumps(found)


def test_a_mount_that_the_policy_in_force_does_not_allow(history: Fleet, tmp_path: Path) -> None:
    rules = "UPDATE sources SET text = replace(text, '/storage', '/elsewhere') WHERE kind = 'ResourcePolicy'"
    found = audit(history, tampered(history, tmp_path, rules), code=1)
    assert {(one["invariant"], one["subject"]) for one in found["violations"]} == {("S13", "alice")}


def test_what_is_older_than_asked_for_is_not_judged(history: Fleet, tmp_path: Path) -> None:
    gone = tampered(history, tmp_path, "DELETE FROM intents WHERE verdict = 'Create'")
    done = history.site.wharf("audit", "--since", "1ms", WHARF_STATE_DIR=str(gone))
    assert done.code == 0, done


def test_what_a_person_did_is_not_laid_on_the_controller(history: Fleet) -> None:
    history.docker.restart("workspace-bob", timeout=0)
    history.controller.runs("bob")
    found = audit(history)
    assert found["violations"] == []
    assert results(found)["S11"] == "partly"


def test_a_removal_that_nobody_asked_for(history: Fleet, tmp_path: Path) -> None:
    reason = "UPDATE intents SET reason = 'SpecChanged' WHERE reason = 'ForgetRequested'"
    found = audit(history, tampered(history, tmp_path, reason), code=1)
    assert {(one["invariant"], one["subject"]) for one in found["violations"]} == {("S2", "carol")}


def test_without_a_ledger_there_is_nothing_to_judge(history: Fleet, tmp_path: Path) -> None:
    done = history.site.wharf("audit", WHARF_STATE_DIR=str(tmp_path / "nowhere"))
    assert done.code == 3, done


def test_without_an_engine_nothing_is_said(history: Fleet) -> None:
    done = history.site.wharf("audit", WHARF_DOCKER_HOST="unix:///nowhere.sock")
    assert (done.code, done.out) == (7, ""), done
