"""Specs written and removed, and what people are told of the result."""

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from controller.api.conditions import Reason
from controller.model.plan import Decision, Verdict
from controller.model.status import ServiceAddress
from controller.status import summary, wording
from tests.support import controller_stand_in, reports, wharf_host
from tests.support.wharf_host import spec

ROOT = Path(__file__).resolve().parents[3]
SSH = ServiceAddress("ssh", 22, 10022)
JUPYTER = ServiceAddress("jupyter", 8888, 10003)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A spec that is not yet in place."""
    path = tmp_path / "mine.yaml"
    path.write_text(spec("alice"))
    return path


def knows(
    world: controller_stand_in.World, decided: Decision | None = None, listening: Iterable[int] = (22, 8888)
) -> None:
    container = reports.container("alice", listening=frozenset(listening))
    facts = summary.Facts(services=(SSH, JUPYTER))
    decided = decided or reports.decision("alice")
    status = summary.summarize(None, reports.spec("alice"), decided, container, facts, reports.NOW)
    world.workspaces["alice"] = wording.object_of(status)


def files(host: wharf_host.Host) -> dict[str, str]:
    return {path.name: path.read_text() for path in host.specs.iterdir()}


def test_a_new_workspace_is_created_and_the_lines_to_connect_follow(
    wharf: wharf_host.Wharf, host: wharf_host.Host, world: controller_stand_in.World, file: Path
) -> None:
    knows(world)
    result = wharf("apply", "-f", str(file))
    assert result.out.splitlines() == [
        "workspace/alice created",
        "ssh -p 10022 alice@gpu1.example",
        "http://gpu1.example:10003/",
    ]
    assert (result.code, result.err) == (0, "")
    assert files(host) == {"alice.yaml": spec("alice")}
    digest = hashlib.sha256(spec("alice").encode()).hexdigest()
    assert [(verb, body["digest"]) for verb, _, body in world.requested] == [("wait", digest)]


def test_the_file_that_declares_it_is_replaced_whatever_its_name(
    wharf: wharf_host.Wharf, host: wharf_host.Host, file: Path
) -> None:
    host.write("team-vision.yml", spec("alice", "class: other")).chmod(0o640)
    result = wharf("apply", "-f", str(file), "--no-wait")
    assert (result.code, result.out) == (0, "workspace/alice configured\n")
    assert files(host) == {"team-vision.yml": spec("alice")}
    assert (host.specs / "team-vision.yml").stat().st_mode & 0o777 == 0o640


def test_a_broken_file_of_that_name_can_be_mended(
    wharf: wharf_host.Wharf, host: wharf_host.Host, file: Path
) -> None:
    host.write("alice.yaml", spec("alice", "clas: small"))
    assert wharf("apply", "-f", str(file), "--no-wait").out == "workspace/alice configured\n"
    assert files(host) == {"alice.yaml": spec("alice")}


def test_the_same_content_is_left_alone(wharf: wharf_host.Wharf, host: wharf_host.Host, file: Path) -> None:
    before = host.write("alice.yaml", spec("alice")).stat()
    assert wharf("apply", "-f", str(file), "--no-wait").out == "workspace/alice unchanged\n"
    after = (host.specs / "alice.yaml").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_wrong_spec_is_not_written(wharf: wharf_host.Wharf, host: wharf_host.Host, file: Path) -> None:
    file.write_text(spec("alice", "clas: small"))
    result = wharf("apply", "-f", str(file), "--no-wait")
    assert (result.code, result.out, files(host)) == (1, "", {})
    assert f"{file}:5:3: spec.clas" in result.err
    assert "nothing was written" in result.err


def test_a_file_of_another_workspace_is_not_overwritten(
    wharf: wharf_host.Wharf, host: wharf_host.Host, file: Path
) -> None:
    host.write("alice.yaml", spec("bob"))
    result = wharf("apply", "-f", str(file), "--no-wait")
    assert (result.code, result.out, files(host)) == (5, "", {"alice.yaml": spec("bob")})


def test_a_name_that_two_files_declare_is_refused(
    wharf: wharf_host.Wharf, host: wharf_host.Host, file: Path
) -> None:
    host.write("a.yaml", spec("alice"))
    host.write("b.yaml", spec("alice"))
    assert wharf("apply", "-f", str(file), "--no-wait").code == 5
    assert wharf("delete", "workspace", "alice", "--yes").code == 5
    assert len(files(host)) == 2


def test_stdin_is_a_file_too(host: wharf_host.Host) -> None:
    command = [
        sys.executable,
        "-m",
        "controller",
        "--config",
        str(host.config),
        "apply",
        "-f",
        "-",
        "--no-wait",
    ]
    for text, code in ((spec("alice"), 0), (spec("Alice"), 1)):
        done = subprocess.run(command, cwd=ROOT, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == code
    assert "stdin:3:" in done.stderr
    assert files(host) == {"alice.yaml": spec("alice")}


@pytest.mark.parametrize(
    ("verdict", "reason", "code"),
    [
        (Verdict.HOLD, Reason.IMAGE_UNKNOWN, 5),
        (Verdict.HOLD, Reason.ENGINE_UNAVAILABLE, 7),
        (Verdict.WAIT, Reason.CRASH_LOOP, 1),
        (Verdict.WAIT, Reason.BACKING_OFF, 1),
        (Verdict.WAIT, Reason.IMAGE_PENDING, 6),
        (Verdict.CREATE, Reason.CONTAINER_MISSING, 6),
    ],
)
def test_what_keeps_it_from_being_ready_is_told(
    wharf: wharf_host.Wharf,
    world: controller_stand_in.World,
    file: Path,
    verdict: Verdict,
    reason: Reason,
    code: int,
) -> None:
    knows(world, reports.decision("alice", verdict, reason, message="this is why"))
    result = wharf("apply", "-f", str(file), "--timeout", "1s")
    assert (result.code, result.out) == (code, "workspace/alice created\n")
    assert f"{reason}: this is why" in result.err


def test_a_change_that_waits_for_its_time_is_accepted(
    wharf: wharf_host.Wharf, world: controller_stand_in.World, file: Path
) -> None:
    knows(world, reports.decision("alice", Verdict.WAIT, Reason.CHANGE_PENDING, message="env differs"))
    result = wharf("apply", "-f", str(file))
    assert (result.code, len(result.out.splitlines())) == (0, 3)
    assert result.err == "wharf: workspace/alice: accepted: ChangePending: env differs\n"


@pytest.mark.parametrize("status", [200, 404])
def test_a_file_that_the_controller_never_took_up_is_no_success(
    wharf: wharf_host.Wharf, world: controller_stand_in.World, file: Path, status: int
) -> None:
    def reply(name: str, body: controller_stand_in.Body) -> controller_stand_in.Reply:
        over.wait(body["timeout"])
        return status, world.workspaces[name]

    over = threading.Event()
    knows(world)
    world.on_post["wait"] = reply
    result = wharf("apply", "-f", str(file), "--timeout", "200ms")
    assert (result.code, result.out) == (6, "workspace/alice created\n")
    assert "has not acted on it yet" in result.err


def test_a_service_that_does_not_listen_yet_is_waited_for(
    wharf: wharf_host.Wharf, world: controller_stand_in.World, file: Path
) -> None:
    def reply(name: str, body: controller_stand_in.Body) -> controller_stand_in.Reply:
        found = world.workspaces[name]
        knows(world)
        return 200, found

    knows(world, listening=())
    world.on_post["wait"] = reply
    assert wharf("apply", "-f", str(file)).code == 0
    knows(world, listening=())
    del world.on_post["wait"]
    silent = wharf("apply", "-f", str(file), "--timeout", "300ms")
    assert (silent.code, silent.out) == (6, "workspace/alice unchanged\n")
    assert "NotYetListening" in silent.err


def test_without_a_controller_the_file_is_written_and_the_code_is_7(
    wharf: wharf_host.Wharf, host: wharf_host.Host, file: Path
) -> None:
    result = wharf("apply", "-f", str(file))
    assert (result.code, files(host)) == (7, {"alice.yaml": spec("alice")})
    assert result.err.startswith("wharf: the file is written, but the controller is not running")


def as_nobody(host: wharf_host.Host, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = (
        "import os, sys; from controller.cli import main, apply, delete\n"
        "from controller.sources import positions\n"
        "os.setgid(65534); os.setuid(65534); sys.exit(main.invoke(sys.argv[1:]))"
    )
    host.root.chmod(0o755)
    command = [sys.executable, "-c", code, "--config", str(host.config), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_without_the_right_to_write_the_code_is_4(host: wharf_host.Host) -> None:
    assert os.getuid() == 0, "the tests run as root"
    mine = host.root / "mine.yaml"
    mine.write_text(spec("alice"))
    done = as_nobody(host, "apply", "-f", str(mine), "--no-wait")
    assert (done.returncode, done.stdout, files(host)) == (4, "", {})
    assert f"{host.specs}/alice.yaml: Permission denied" in done.stderr
    host.write("alice.yaml", spec("alice"))
    assert as_nobody(host, "delete", "workspace", "alice", "--yes").returncode == 4
    assert files(host) == {"alice.yaml": spec("alice")}


def test_delete_removes_the_spec_and_waits_until_the_workspace_is_gone(
    wharf: wharf_host.Wharf, host: wharf_host.Host, world: controller_stand_in.World
) -> None:
    host.write("team.yaml", spec("alice"))
    result = wharf("delete", "workspace", "alice", "--yes")
    assert (result.code, result.out, files(host)) == (0, "workspace/alice deleted\n", {})
    assert "kept" in result.err


def test_delete_tells_the_controller_that_it_was_no_accident(
    wharf: wharf_host.Wharf, host: wharf_host.Host, world: controller_stand_in.World
) -> None:
    knows(world)
    host.write("alice.yaml", spec("alice"))
    assert wharf("delete", "workspace", "alice", "--yes", "--no-wait").code == 0
    assert world.requested == [("delete", "alice", {})]


def test_delete_without_a_controller_says_that_it_counts(
    wharf: wharf_host.Wharf, host: wharf_host.Host
) -> None:
    host.write("alice.yaml", spec("alice"))
    result = wharf("delete", "workspace", "alice", "--yes", "--no-wait")
    assert (result.code, files(host)) == (0, {})
    assert "counts in the budget" in result.err
    host.write("alice.yaml", spec("alice"))
    result = wharf("delete", "workspace", "alice", "--yes")
    assert (result.code, files(host)) == (7, {})
    assert "the spec is removed, but the controller is not running" in result.err


def test_delete_says_when_it_takes_longer(
    wharf: wharf_host.Wharf, host: wharf_host.Host, world: controller_stand_in.World
) -> None:
    knows(world)
    host.write("alice.yaml", spec("alice"))
    result = wharf("delete", "workspace", "alice", "--yes", "--timeout", "100ms")
    assert (result.code, result.out) == (6, "")
    assert "not gone" in result.err


def test_delete_of_nothing_is_3(wharf: wharf_host.Wharf, world: controller_stand_in.World) -> None:
    result = wharf("delete", "workspace", "carol", "--yes")
    assert (result.code, result.err) == (3, "wharf: workspace/carol: not found\n")


@pytest.mark.parametrize(("answer", "code", "left"), [(b"n\n", 130, 1), (b"y\n", 0, 0)])
def test_delete_asks_on_a_terminal(host: wharf_host.Host, answer: bytes, code: int, left: int) -> None:
    host.write("alice.yaml", spec("alice"))
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "controller", "--config", str(host.config)]
    with subprocess.Popen(
        [*command, "delete", "workspace", "alice", "--no-wait"],
        cwd=ROOT,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        os.close(theirs)
        os.write(ours, answer)
        _, err = running.communicate(timeout=60)
    os.close(ours)
    assert b"Remove workspace/alice" in err
    assert (running.returncode, len(files(host))) == (code, left)
