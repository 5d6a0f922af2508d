"""A short chaos run on a real Engine, one that finds harm done on purpose, and one that is interrupted."""

import contextlib
import random
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from deploy.dev import host
from tests.chaos import acts, run
from tests.chaos.rig import Rig
from tests.support import dockerd as dockerd_support
from tests.support import process

pytestmark = pytest.mark.engine


@contextlib.contextmanager
def harm(rig: Rig, rng: random.Random) -> Iterator[frozenset[str]]:
    """Somebody takes a container, and nobody says so."""
    rig.ask("DELETE", f"/containers/workspace-{rig.names[0]}?force=1")
    yield acts.NOBODY


def test_nothing_is_lost_and_harm_is_found() -> None:
    script = (
        acts.engine_and_containerd_killed,
        acts.planned,
        acts.disk_full,
        acts.removed,
        acts.renamed,
        harm,
    )
    result = run.play(seed=1, seconds=0, workspaces=2, script=script)
    assert "ran, and was removed" in result.story, f"{result.figures}\n{result.story}"
    assert "== controller log-" in result.story
    assert "round 5: harm" in result.story
    assert result.figures["rounds"] == len(script), "all that went before was harmless"
    assert result.figures["lost_bytes"] == result.figures["doubled"] == 0
    assert result.figures["removed"] == 1
    assert result.figures["controller_kills"] >= len(script)
    assert result.figures["engine_kills"] >= 1
    assert result.figures["values"] > 20
    assert "1 removed; at rest after p50" in result.line


def test_an_interrupted_run_leaves_nothing_behind() -> None:
    command = [sys.executable, "-m", "tests.chaos", "--workspaces", "1", "--seed", "7"]
    begun = subprocess.Popen(command, cwd=dockerd_support.ROOT, stdout=subprocess.PIPE, text=True)
    engine = dockerd_support.BASE / f"{begun.pid}-chaos"
    try:
        assert begun.stdout is not None
        assert begun.stdout.readline() == "seed 7\n"
        log = engine / "site" / "log-1.jsonl"
        process.until(log.exists, "the first controller was killed", deadline=60)
        assert host.mounts_below(engine)
        begun.send_signal(signal.SIGINT)
        assert begun.wait(60) == 130
    finally:
        begun.kill()
        begun.communicate()
    assert not engine.exists()
    assert host.mounts_below(engine) == []
    assert host.processes_naming(str(engine)) == []
