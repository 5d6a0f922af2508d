"""A service with expose: Hostname is reached through a proxy that reads our documents, wherever it runs."""

import asyncio
import contextlib
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.support import dockerd as dockerd_support
from tests.support import process, reverse_proxy, traefik
from tests.support.fleet import Fleet

WEB = {"name": "web", "port": 8888, "expose": "Hostname"}
ECHO = {"name": "echo", "port": 9000, "expose": "Hostname"}
ALICE = {"services": [WEB, ECHO]}
BOB = {"image": "second", "services": [WEB]}
DOMAIN = "lab.test"
THEIRS = """
http:
  routers: {site: {rule: "Host(`site.lab.test`)", service: site}}
  services: {site: {loadBalancer: {servers: [{url: "http://127.0.0.1:9"}]}}}
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the site's proxy, with a document of the site's own."""
    path = tmp_path_factory.mktemp("proxy")
    (path / "site.yaml").write_text(THEIRS)
    return path


@pytest.fixture(scope="module")
def fleet(
    dockerd: dockerd_support.Dockerd, tmp_path_factory: pytest.TempPathFactory, directory: Path
) -> Iterator[Fleet]:
    """A host with a proxy."""
    site = process.Site(tmp_path_factory.mktemp("site"), dockerd.base_url, dockerd.free_subnet())
    site.configure(proxy={"directory": str(directory)})
    site.policy(hostnames={"domain": DOMAIN, "patterns": {"echo": "echo-{owner}.{domain}"}})
    try:
        yield Fleet(site, site.run().ready(), dockerd)
    finally:
        site.close()
        dockerd.remove_everything()
        dockerd.close_clients()


@pytest.fixture(scope="module")
def proxy(directory: Path) -> Iterator[int]:
    """The port of the site's proxy."""
    with reverse_proxy.serving(directory) as port:
        yield port


def ask(proxy: int, host: str) -> tuple[int, str]:
    """Status and text of a page."""
    request = urllib.request.Request(f"http://127.0.0.1:{proxy}/", headers={"Host": host})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""


async def talk(proxy: int, host: str, text: str) -> str:
    """What a web socket answers."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"http://127.0.0.1:{proxy}/chat", headers={"Host": host}) as socket,
    ):
        await socket.send_str(text)
        return await socket.receive_str(timeout=5)


def address(fleet: Fleet, name: str) -> str:
    networks = fleet.container(name)["NetworkSettings"]["Networks"]
    return str(networks["wharf"]["IPAddress"])


def leads(fleet: Fleet, directory: Path, name: str) -> None:
    """Waits until the document of a workspace leads to its container as it runs now."""
    file = directory / f"wharf-{name}.yaml"

    def found() -> bool:
        return file.exists() and f'"http://{address(fleet, name)}:8888"' in file.read_text()

    fleet.controller.until(found, f"{file} leads to {name}")


@contextlib.contextmanager
def listening(fleet: Fleet, name: str) -> Iterator[None]:
    """An echo that listens inside a workspace's container."""
    pid = str(fleet.container(name)["State"]["Pid"])
    inside = ["nsenter", "-t", pid, "-n", sys.executable, "-m", "tests.support.echo", str(ECHO["port"])]
    with subprocess.Popen(inside, cwd=dockerd_support.ROOT) as echo:
        try:
            yield
        finally:
            echo.kill()


def test_a_page_and_a_web_socket_are_reached_by_name_through_restarts(
    fleet: Fleet, directory: Path, proxy: int
) -> None:
    fleet.site.spec("alice", ALICE)
    leads(fleet, directory, "alice")
    first = address(fleet, "alice")
    with listening(fleet, "alice"):
        fleet.controller.runs("alice")
        assert "version 1" in ask(proxy, f"alice-web.{DOMAIN}")[1]
        assert asyncio.run(talk(proxy, f"echo-alice.{DOMAIN}", "hello")) == f"echo-alice.{DOMAIN}/chat hello"
    assert ask(proxy, f"bob-web.{DOMAIN}")[0] == 404

    assert fleet.site.wharf("stop", "alice").code == 0
    gone = directory / "wharf-alice.yaml"
    fleet.controller.until(lambda: not gone.exists(), "nothing leads to what is stopped")
    fleet.site.spec("bob", BOB)
    leads(fleet, directory, "bob")  # and may have the address that alice had
    fleet.controller.runs("bob")
    assert ask(proxy, f"alice-web.{DOMAIN}")[0] == 404
    assert "version 2" in ask(proxy, f"bob-web.{DOMAIN}")[1]

    assert fleet.site.wharf("start", "alice", "--no-wait").code == 0
    leads(fleet, directory, "alice")
    assert address(fleet, "alice") != first
    with listening(fleet, "alice"):
        fleet.controller.runs("alice")
        assert "version 1" in ask(proxy, f"alice-web.{DOMAIN}")[1]
        assert asyncio.run(talk(proxy, f"echo-alice.{DOMAIN}", "again")) == f"echo-alice.{DOMAIN}/chat again"

    for path in directory.glob("wharf-*.yaml"):
        traefik.check(path.read_text())
    described = fleet.site.wharf("describe", "workspace", "alice").out
    assert f"http://alice-web.{DOMAIN}/" in described
    assert f"http://echo-alice.{DOMAIN}/" in described
    assert f"proxy dir         {directory}" in fleet.site.wharf("check").out


def test_what_people_break_is_mended_and_what_is_theirs_stays(fleet: Fleet, directory: Path) -> None:
    fleet.up("carol", {"services": [WEB]})
    leads(fleet, directory, "carol")
    document = directory / "wharf-carol.yaml"
    text = document.read_text()
    document.unlink()
    (directory / "wharf-nobody.yaml").write_text(text)
    leads(fleet, directory, "carol")
    fleet.controller.until(lambda: not (directory / "wharf-nobody.yaml").exists(), "a stray is removed")
    assert document.read_text() == text
    assert fleet.site.wharf("delete", "workspace", "carol", "--yes").code == 0
    fleet.controller.until(lambda: not document.exists(), "nothing leads to what is removed")
    assert (directory / "site.yaml").read_text() == THEIRS
