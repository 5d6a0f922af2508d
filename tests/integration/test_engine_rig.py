"""The test set-up's own promises: containers outlive their daemon's death, and no trace stays on the host."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest

from deploy.dev import host, image
from tests.support import dockerd as dockerd_support

DEADLINE = 20.0
COUNTERS = re.compile(r"\[\d+:\d+\]")
EMPTY_CHAIN = re.compile(r"^:[A-Z]+ ACCEPT$")


def until(condition: Callable[[], object]) -> None:
    assert host.wait_until(lambda: bool(condition()), DEADLINE), "the deadline is over"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run_sample(client: docker.APIClient, tag: str = "1", port: int | None = None) -> str:
    bindings: dict[int | str, Any] = {} if port is None else {image.SERVED_PORT: ("127.0.0.1", port)}
    created = client.create_container(
        image.name_of(tag),
        user="4321:4321",
        ports=[image.SERVED_PORT],
        host_config=client.create_host_config(port_bindings=bindings, init=True),
    )
    client.start(created["Id"])
    return str(created["Id"])


def image_id(engine: dockerd_support.Dockerd, tag: str) -> str:
    client: Any = engine.client()
    return str(client.inspect_image(image.name_of(tag))["Id"])


def page(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def firewall_rules() -> set[str]:
    """Every rule and every chain of the host, as each installed variant of iptables tells it."""
    rules = set()
    for variant in (
        "iptables-legacy-save",
        "ip6tables-legacy-save",
        "iptables-nft-save",
        "ip6tables-nft-save",
    ):
        program = host.find_program(variant)
        if program is None:
            continue
        saved = subprocess.run([program], capture_output=True, text=True, check=True, timeout=30).stdout
        table = ""
        for raw in saved.splitlines():
            line = COUNTERS.sub("", raw).strip()
            table = line if line.startswith("*") else table
            if line.startswith(("-A", ":")) and not EMPTY_CHAIN.match(line):
                rules.add(f"{variant} {table} {line}")
    return rules


def test_the_sample_image_serves_its_version_as_any_user(engine: dockerd_support.Dockerd) -> None:
    first, second = free_port(), free_port()
    run_sample(engine.client(), "1", first)
    run_sample(engine.client(), "2", second)
    until(lambda: "version 1" in page(first))
    until(lambda: "version 2" in page(second))


def test_the_sample_image_has_the_same_id_on_every_engine(
    engine: dockerd_support.Dockerd, own_dockerd: dockerd_support.Dockerd
) -> None:
    assert image_id(engine, "1") == image_id(own_dockerd, "1")
    assert image_id(engine, "1") != image_id(engine, "2")


def test_a_container_outlives_the_death_of_its_daemon(own_dockerd: dockerd_support.Dockerd) -> None:
    port = free_port()
    container = run_sample(own_dockerd.client(), port=port)
    until(lambda: page(port))
    before = own_dockerd.client().inspect_container(container)["State"]

    own_dockerd.kill9()
    assert own_dockerd.pid() is None
    assert Path("/proc", str(before["Pid"])).exists()

    own_dockerd.start()
    after = own_dockerd.client().inspect_container(container)["State"]
    assert (after["Pid"], after["StartedAt"]) == (before["Pid"], before["StartedAt"])
    until(lambda: page(port))


def test_down_after_a_crash_leaves_no_process_mount_bridge_or_file(
    own_dockerd: dockerd_support.Dockerd,
) -> None:
    container = run_sample(own_dockerd.client())
    inner = own_dockerd.client().inspect_container(container)["State"]["Pid"]
    own_dockerd.kill9()
    own_dockerd.stop()
    until(lambda: not host.command_line(inner))
    assert host.processes_naming(str(own_dockerd.socket.parent)) == []
    assert host.processes_naming(str(own_dockerd.directory)) == []
    assert host.mounts_below(own_dockerd.directory) == []
    assert not host.bridge_exists(own_dockerd.bridge)
    assert not own_dockerd.directory.exists()
    assert not own_dockerd.socket.parent.exists()


def test_a_stale_pid_file_is_nobody(tmp_path: Path) -> None:
    victim = subprocess.Popen(["sleep", "60"])
    try:
        directory = tmp_path / "engine"
        directory.mkdir()
        for name in ("dockerd.pid", "containerd.pid"):
            (directory / name).write_text(str(victim.pid))
        fake = dockerd_support.Dockerd(directory)
        assert fake.pid() is None
        fake.kill9()
        fake.stop()
        assert victim.poll() is None
    finally:
        victim.kill()
        victim.wait()


def test_the_engine_of_a_killed_test_run_is_ended_by_the_next_run() -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    orphan = dockerd_support.Dockerd(dockerd_support.BASE / f"{dead.pid}-orphan")
    alive = dockerd_support.Dockerd(dockerd_support.BASE / f"{os.getpid()}-alive")
    try:
        orphan.start()
        alive.start()
        dockerd_support.remove_leftovers()
        assert orphan.pid() is None
        assert not orphan.directory.exists()
        assert alive.pid() is not None
    finally:
        orphan.stop()
        alive.stop()


def test_a_deep_directory_and_containers_that_end_with_the_daemon(tmp_path: Path) -> None:
    rig = dockerd_support.Dockerd(tmp_path / ("deep" * 30), live_restore=False)
    try:
        rig.start()
        container = run_sample(rig.client())
        rig.restart()
        assert not rig.client().inspect_container(container)["State"]["Running"]
    finally:
        rig.stop()


def test_a_failed_start_shows_the_end_of_the_daemons_log(tmp_path: Path) -> None:
    rig = dockerd_support.Dockerd(tmp_path / "engine")
    try:
        (rig.directory / "data").mkdir(parents=True)
        (rig.directory / "data" / "image").write_text("in the way of the Engine's own folder")
        with pytest.raises(
            dockerd_support.DockerdError, match=r"(?s)the end of .*dockerd\.log:.*not a directory"
        ):
            rig.start()
    finally:
        rig.stop()


def test_up_twice_is_one_engine(engine: dockerd_support.Dockerd) -> None:
    before = engine.pid()
    engine.start()
    assert engine.pid() == before


def test_the_hosts_firewall_is_the_same_after_an_engine_published_a_port() -> None:
    before = firewall_rules()
    rig = dockerd_support.Dockerd(dockerd_support.BASE / f"{os.getpid()}-firewall")
    try:
        rig.start()
        client = rig.client()
        client.create_network(
            "trial", driver="bridge", options={"com.docker.network.bridge.enable_icc": "false"}
        )
        port = free_port()
        run_sample(client, port=port)
        until(lambda: page(port))
        during = firewall_rules()
    finally:
        rig.stop()
    assert during == before
    assert firewall_rules() == before


def test_the_firewall_check_sees_a_rule(tmp_path: Path) -> None:
    """In a network namespace of its own: the comparison above would notice one chain and one rule."""
    if host.find_program("iptables") is None:
        pytest.fail("iptables comes with the Engine's package")
    code = (
        "from tests.integration import test_engine_rig as rig; import subprocess;"
        "before = rig.firewall_rules();"
        "subprocess.run(['iptables', '-N', 'TRIAL'], check=True);"
        "subprocess.run(['iptables', '-A', 'INPUT', '-j', 'TRIAL'], check=True);"
        "print(len(rig.firewall_rules() - before))"
    )
    unshare = shutil.which("unshare")
    assert unshare is not None
    seen = subprocess.run(
        [unshare, "-n", sys.executable, "-c", code],
        cwd=dockerd_support.ROOT,
        env={**os.environ, "PATH": host.SYSTEM_PATH},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert int(seen.stdout) >= 2


def test_events_are_those_of_the_time_asked_for(engine: dockerd_support.Dockerd) -> None:
    begin = time.time()
    container = run_sample(engine.client())
    end = time.time() + 0.001
    started = [event for event in engine.events(begin, end) if event["Action"] == "start"]
    assert [event["Actor"]["ID"] for event in started] == [container]
    before = engine.events(begin - 60, begin)
    assert container not in {event["Actor"]["ID"] for event in before}
    assert all(begin - 60 <= event["timeNano"] / 1e9 <= begin for event in before)


def test_a_free_subnet_clashes_with_no_route(engine: dockerd_support.Dockerd) -> None:
    subnet = engine.free_subnet()
    network = engine.client().create_network(
        "trial", ipam=docker.types.IPAMConfig(pool_configs=[docker.types.IPAMPool(subnet=subnet)])
    )
    assert network["Id"]
    assert engine.free_subnet() != subnet
