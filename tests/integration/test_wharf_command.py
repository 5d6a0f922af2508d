"""The command against a real Engine while no controller runs, and the controller run once by it."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import wharf_host
from tests.support.dockerd import ROOT, Dockerd

OFFLINE = "wharf: the controller is not running; this is read from files, Engine and ledger\n"
POOL = "  portPools: [{name: main, from: 33000, to: 33999, block: 100, bind: 127.0.0.1}]\n"
TALK = "command: [sh, -c, 'echo to-stdout; echo to-stderr >&2; exec httpd -f -p 8888']"


class Site:
    """A configured host without a controller."""

    def __init__(self, root: Path, engine: Dockerd) -> None:
        self.root = root
        self.specs = root / "workspaces.d"
        self.specs.mkdir()
        wharf_host.lay(root / "policy.yaml", wharf_host.POLICY + POOL)
        wharf_host.lay(root / "images.yaml", wharf_host.CATALOG)
        (root / "controller.yaml").write_text(
            "apiVersion: wharfinger.dev/v1\nkind: ControllerConfig\nstateDir: state\nruntimeDir: run\n"
            f"docker: {{host: '{engine.base_url}'}}\nsettle: 50ms\ngpus: {{source: None}}\n"
            f"network: {{subnet: {engine.free_subnet()}}}\nmetrics: {{listen: '127.0.0.1:0'}}\n"
            f"slices: {{root: {engine.slices}}}\n"
        )

    def wharf(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "controller", "--config", str(self.root / "controller.yaml"), *arguments],
            cwd=ROOT,
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture
def site(engine: Dockerd) -> Iterator[Site]:
    root = Path(tempfile.mkdtemp(prefix="wharf-"))
    yield Site(root, engine)
    shutil.rmtree(root)


def test_without_a_controller_everything_can_be_read_and_nothing_is_written(
    site: Site, engine: Dockerd
) -> None:
    wharf_host.lay(site.specs / "alice.yaml", wharf_host.spec("alice"))
    planned = site.wharf("plan")
    assert planned.returncode == 2, planned.stderr
    assert planned.stderr.startswith(OFFLINE)
    assert planned.stdout.startswith("host: create network wharf\n")
    rows = site.wharf("get", "workspaces", "-o", "json")
    assert (rows.returncode, rows.stderr) == (0, OFFLINE)
    assert [item["metadata"]["name"] for item in json.loads(rows.stdout)["items"]] == ["alice"]
    described = site.wharf("describe", "workspace", "alice")
    assert (described.returncode, described.stderr) == (0, OFFLINE)
    assert "image" in described.stdout
    for kind in ("events", "ports", "retained"):
        assert site.wharf("get", kind).returncode == 0
    assert sorted(path.name for path in site.root.iterdir()) == [
        *["controller.yaml", "images.yaml", "policy.yaml", "workspaces.d"]
    ]
    assert engine.client().containers(all=True) == []


def test_run_once_makes_the_workspace_and_its_log_can_be_read(site: Site) -> None:
    wharf_host.lay(site.specs / "alice.yaml", wharf_host.spec("alice", TALK))
    once = site.wharf("run", "--once")
    assert once.returncode == 0, once.stderr
    row = site.wharf("get", "workspaces", "--no-headers").stdout.split()
    assert row[:4] == ["alice", "alice", "True", "Running"]
    assert site.wharf("plan").returncode == 0
    assert sorted(site.wharf("logs", "alice").stdout.split()) == ["to-stderr", "to-stdout"]
    assert len(site.wharf("logs", "alice", "--tail", "1").stdout.split()) == 1
    assert "Accepted" in site.wharf("get", "events", "alice").stdout


def test_run_once_names_what_is_held_and_says_5(site: Site) -> None:
    wharf_host.lay(site.specs / "alice.yaml", wharf_host.spec("alice", "image: draft"))
    once = site.wharf("run", "--once")
    assert once.returncode == 5
    assert "alice" in once.stderr
    assert "ImageNotApproved" in once.stderr


def test_an_engine_that_does_not_answer_is_7(site: Site) -> None:
    wharf_host.lay(site.specs / "alice.yaml", wharf_host.spec("alice"))
    lost = {"WHARF_DOCKER_HOST": "unix:///nowhere/docker.sock"}
    planned = site.wharf("plan", **lost)
    assert planned.returncode == 7
    assert "EngineUnavailable" in planned.stdout
    assert "could not be looked at" in planned.stderr


def test_the_log_of_what_has_no_container_is_3(site: Site) -> None:
    wharf_host.lay(site.specs / "alice.yaml", wharf_host.spec("alice"))
    assert site.wharf("logs", "alice").returncode == 3
    assert site.wharf("logs", "bob").returncode == 3
