"""Knows a host for commands: configuration, spec directory, and a controller's stand-in when asked for."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.cli import main
from tests.support import controller_stand_in, wharf_host


@pytest.fixture
def host() -> Iterator[wharf_host.Host]:
    # a unix socket's path has at most 107 bytes, which pytest's own directories exceed
    root = Path(tempfile.mkdtemp(prefix="wharf-"))
    (root / "workspaces.d").mkdir()
    wharf_host.lay(root / "policy.yaml", wharf_host.POLICY)
    wharf_host.lay(root / "images.yaml", wharf_host.CATALOG)
    config = root / "controller.yaml"
    config.write_text(
        "apiVersion: wharfinger.dev/v1\nkind: ControllerConfig\nstateDir: state\nruntimeDir: .\n"
        "docker: {host: 'unix:///nowhere/docker.sock'}\nnetwork: {advertiseAddress: gpu1.example}\n"
    )
    yield wharf_host.Host(root, config, root / "workspaces.d", root / "control.sock")
    shutil.rmtree(root)


@pytest.fixture
def world(host: wharf_host.Host) -> Iterator[controller_stand_in.World]:
    """A controller answers on this host."""
    with controller_stand_in.StandIn(host.socket, controller_stand_in.World()) as world:
        yield world


@pytest.fixture
def wharf(host: wharf_host.Host, capsys: pytest.CaptureFixture[str]) -> wharf_host.Wharf:
    """Runs one command line on the host."""

    def run(*arguments: str) -> wharf_host.Result:
        capsys.readouterr()
        code = main.invoke(["--config", str(host.config), *arguments])
        captured = capsys.readouterr()
        return wharf_host.Result(int(code), captured.out, captured.err)

    return run
