"""Knows how to have a real registry in a test: start, stop, push to it, take a tag somewhere else.

It refuses to be reached from elsewhere: it listens on the loopback address, which Engines use without TLS.
"""

import http.client
import json
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from deploy.dev import host
from tests.support import dockerd as dockerd_support

PROGRAM = "docker-registry"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DEADLINE = 20.0


class Registry:
    """One registry with its data in one directory; not started by its construction."""

    def __init__(self, directory: Path, port: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self._configuration = directory / "registry.json"
        self._process: subprocess.Popen[bytes] | None = None
        configuration = {
            "version": "0.1",
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(directory / "registry")}},
            "http": {"addr": self.address},
        }
        self._configuration.write_text(json.dumps(configuration), encoding="utf-8")

    def start(self) -> None:
        """Starts it, with what was pushed before; returns when it answers."""
        program = host.unpacked_program(PROGRAM, PROGRAM, dockerd_support.ROOT / ".dev" / "programs")
        command = [program, "serve", str(self._configuration)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        assert host.wait_until(self._answers, DEADLINE), f"{' '.join(command)} does not answer"

    def stop(self) -> None:
        """Ends it; nobody listens then."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the registry ended"
        try:
            urllib.request.urlopen(f"http://{self.address}/v2/", timeout=1).close()
        except (urllib.error.URLError, OSError):
            return False
        return True

    def publish(self, engine: dockerd_support.Dockerd, image: str, name: str, tag: str) -> str:
        """Push an image of an Engine and let a tag name it; the digest, with its repository.

        The Engine's own tags stay as they are, as if somebody else had pushed it.
        """
        repository, client = f"{self.address}/{name}", engine.client()
        client.tag(image, repository, "pushed")
        told = [json.loads(line) for line in client.push(repository, tag="pushed").splitlines() if line]
        client.remove_image(f"{repository}:pushed")
        manifest = self._call("GET", f"/v2/{name}/manifests/pushed").read()
        self._call("PUT", f"/v2/{name}/manifests/{tag}", manifest).close()
        digest = next(line["aux"]["Digest"] for line in told if "aux" in line)
        return f"{repository}@{digest}"

    def _call(self, method: str, path: str, body: bytes | None = None) -> http.client.HTTPResponse:
        headers = {"Accept": MANIFEST, "Content-Type": MANIFEST}
        request = urllib.request.Request(f"http://{self.address}{path}", body, headers=headers, method=method)
        answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=DEADLINE)
        return answer
